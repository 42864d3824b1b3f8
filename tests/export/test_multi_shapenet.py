"""MultiShapeNet, read by the rules of SRT's, OSRT's and GTA's loaders, with sunds."""

import numpy as np
import pytest

from dyso.export import Export, multi_shapenet
from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, Dynamics, Objects, UserError
from helpers.dataset_writer import write_dataset

# tfds, TensorFlow and sunds warn of their own parts.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
]


@pytest.fixture(scope="module")
def own(make_resolved):
    """More cameras and steps than the readers take."""
    return make_resolved(
        splits={"train": 2, "validation": 1},
        resolution=(16, 16),
        objects=Objects(count=(2, 2)),
        dynamics=Dynamics(steps=2),
        cameras=Cameras(count=12),
    )


def test_ten_views_of_one_step_as_the_readers_take_them(own, tmp_path):
    sunds = pytest.importorskip("sunds")
    dataset = Dataset(write_dataset(tmp_path / "data", own, synthetic_views))
    out = tmp_path / "out"
    Export.of(tmp_path / "data", format="multi_shapenet", out=out).run(1, lambda: None)
    assert (out / "multi_shapenet_frames" / own.spec.version).is_dir()
    builder = sunds.builder("multi_shapenet", data_dir=out)
    task = sunds.tasks.Nerf(
        yield_mode="stacked", additional_camera_specs={"instance_image"}
    )
    for name, split in (("train", "train"), ("val", "validation")):
        examples = builder.as_dataset(split=name, task=task).as_numpy_iterator()
        for example, record in zip(examples, dataset.splits[split], strict=True):
            assert int(example["scene_name"][6:]) == record["index"]
            views = [int(camera[7:]) for camera in example["camera_name"]]
            assert views == list(range(10))
            assert np.array_equal(example["color_image"], record["color"][:10])
            # As OSRT has it: 1 is the background, which becomes mask 0.
            masks = example["instance_image"].clip(1, 34) - 1
            assert np.array_equal(masks, record["instance"][:10])
            assert set(np.unique(masks)) == {0, 1, 2}
            centres = -np.einsum(
                "vji,vj->vi",
                record["extrinsics"][:10, :, :3],
                record["extrinsics"][:10, :, 3],
            )
            np.testing.assert_allclose(
                example["ray_origins"][:, 0, 0], centres, atol=1e-4
            )


def test_datasets_that_the_format_cannot_hold_are_refused(make_resolved, videos):
    with pytest.raises(UserError, match=r"10 views.*cameras.count is 5"):
        multi_shapenet.check(make_resolved().spec)
    with pytest.raises(UserError, match="one camera sees each"):
        multi_shapenet.check(videos.spec)
    many = make_resolved(cameras=Cameras(count=10), objects=Objects(count=(1, 34)))
    with pytest.raises(UserError, match=r"33 objects.*\[1, 34\]"):
        multi_shapenet.check(many.spec)


def test_notes_say_what_is_left_out(own, make_resolved):
    assert len(multi_shapenet.notes(own.spec)) == 2
    whole = make_resolved(
        resolution=(128, 128), cameras=Cameras(count=10), dynamics=Dynamics(steps=1)
    )
    assert multi_shapenet.notes(whole.spec) == []
