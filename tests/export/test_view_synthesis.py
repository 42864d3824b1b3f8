"""Files of pixelSplat and LVSM, read by the rules of their loaders."""

import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dyso.export import Export, lvsm, pixelsplat
from dyso.export.view_synthesis import examples_of
from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, UserError
from helpers.dataset_writer import write_dataset
from helpers.exported_scenes import known_points

HEIGHT, WIDTH, STEPS, CAMERAS = 24, 32, 2, 3


def test_an_example_is_a_step_or_a_video(own, videos):
    assert dict(examples_of(own.spec)) == {
        "step_000": range(0, 3),
        "step_001": range(3, 6),
    }
    assert dict(examples_of(videos.spec)) == {"video": range(0, 7, 1)}


def test_lvsm_by_the_rules_of_its_loader(exported, dataset):
    out = exported("lvsm")
    paths = (out / "train" / "full_list.txt").read_text().splitlines()
    assert len(paths) == 5 * STEPS
    seen = set()
    for path in paths:
        example = json.loads(Path(path).read_text())
        name = example["scene_name"]
        # Its evaluation finds scenes by the name of the file.
        assert path.split("/")[-1].split(".")[0] == name
        scene, step = int(name.split("_")[1]), int(name.split("_")[3])
        seen.add((scene, step))
        record = dataset["train"][scene]
        assert len(example["frames"]) == CAMERAS
        for camera, frame in enumerate(example["frames"]):
            view = step * CAMERAS + camera
            color = np.asarray(Image.open(frame["image_path"]))
            np.testing.assert_array_equal(color, record["color"][view])
            points, pixels = known_points(record, view)
            w2c = np.array(frame["w2c"])
            assert (w2c[3] == [0, 0, 0, 1]).all()
            local = points @ w2c[:3, :3].T + w2c[:3, 3]
            fx, fy, cx, cy = frame["fxfycxcy"]
            x = local[:, 0] / local[:, 2] * fx + cx
            y = local[:, 1] / local[:, 2] * fy + cy
            # Its rays go through (j + 0.5, i + 0.5).
            assert abs(np.stack([x, y], -1) - pixels).max() < 0.01
    assert len(seen) == len(paths)


def test_a_moved_export_has_its_new_paths_after_another_run(folder, tmp_path):
    first = tmp_path / "first"
    Export.of(folder, format="lvsm", out=first, scenes=":1").run(1, lambda: None)
    second = first.rename(tmp_path / "second")
    export = Export.of(folder, format="lvsm", out=second, scenes=":1")
    ticks = []
    export.run(1, lambda: ticks.append(1))
    assert not ticks
    for path in (second / "train" / "full_list.txt").read_text().splitlines():
        for frame in json.loads(Path(path).read_text())["frames"]:
            assert frame["image_path"].startswith(f"{second}/train/scene_0/")
            assert Path(frame["image_path"]).exists()


def test_lvsm_has_the_frames_of_a_video_in_order(videos, tmp_path):
    data = write_dataset(tmp_path / "data", videos, synthetic_views)
    out = tmp_path / "out"
    Export.of(data, format="lvsm", out=out, scenes=":1").run(1, lambda: None)
    example = json.loads((out / "train/metadata/scene_0_video.json").read_text())
    expected = Dataset(data)["train"][0]["extrinsics"]
    found = [np.array(frame["w2c"])[:3] for frame in example["frames"]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_notes_say_what_the_loaders_need(make_resolved):
    few = make_resolved(cameras=Cameras(count=5)).spec
    assert "need 27 views per example; this dataset has 5" in lvsm.notes(few)[0]
    assert not lvsm.notes(make_resolved(cameras=Cameras(count=27)).spec)
    assert "skips images that are not of 360 x 640" in pixelsplat.notes(few)[0]
    assert not pixelsplat.notes(make_resolved(resolution=(360, 640)).spec)


def test_a_single_camera_is_refused(make_resolved):
    with pytest.raises(UserError, match=r"lvsm: needs parallax"):
        lvsm.check(make_resolved(cameras=Cameras(count=1)).spec)


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is not None, reason="PyTorch is installed"
)
def test_pixelsplat_without_pytorch_says_what_to_install(folder, tmp_path):
    with pytest.raises(UserError, match="not installed: pip install torch") as raised:
        Export.of(folder, format="pixelsplat", out=tmp_path / "out")
    assert "lvsm" in str(raised.value)


def test_pixelsplat_by_the_rules_of_its_loader(exported, dataset):
    """PyTorch is no dependency: `pip install torch` runs this."""
    torch = pytest.importorskip("torch")
    root = exported("pixelsplat") / "train"
    index = json.loads((root / "index.json").read_text())
    chunks = sorted(path for path in root.iterdir() if path.suffix == ".torch")
    assert len(chunks) == 3
    keys = []
    for path in chunks:
        for example in torch.load(path):
            keys.append(example["key"])
            assert root / index[example["key"]] == path
            split, _, scene, _, step = example["key"].split("_")
            record = dataset[split][int(scene)]
            poses = example["cameras"]
            assert poses.shape == (CAMERAS, 18) and poses.dtype == torch.float32
            assert example["timestamps"].tolist() == list(range(CAMERAS))
            fx, fy, cx, cy = poses[:, :4].T.numpy()
            w2c = poses[:, 6:].reshape(-1, 3, 4).numpy().astype(float)
            for camera in range(CAMERAS):
                view = int(step) * CAMERAS + camera
                data = example["images"][camera].numpy().tobytes()
                color = np.asarray(Image.open(io.BytesIO(data)))
                np.testing.assert_array_equal(color, record["color"][view])
                points, pixels = known_points(record, view)
                local = points @ w2c[camera, :, :3].T + w2c[camera, :, 3]
                x = local[:, 0] / local[:, 2] * fx[camera] + cx[camera]
                y = local[:, 1] / local[:, 2] * fy[camera] + cy[camera]
                # Normalised: pixel centres are at (index + 0.5) / length.
                found = np.stack([x * WIDTH, y * HEIGHT], -1)
                assert abs(found - pixels).max() < 0.01
    assert keys == list(index) and len(set(keys)) == 5 * STEPS
