"""D-NeRF's folders, by the rules of its loader, HexPlane's and nerfstudio's."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from dyso.export import dnerf
from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, Dynamics, Patterns, UserError
from helpers.dataset_writer import write_dataset
from helpers.exported_scenes import files, known_points, written

SIZE = 24


@pytest.fixture(scope="module")
def split(make_split):
    return make_split(
        resolution=(SIZE, SIZE),
        dynamics=Dynamics(steps=3),
        cameras=Cameras(count=4, held_out=2),
    )


@pytest.fixture(scope="module")
def folder(split, tmp_path_factory):
    return written("dnerf", split, tmp_path_factory.mktemp("out") / "scene")


def test_held_out_cameras_beside_a_video_are_its_test_views(videos, tmp_path):
    cameras = dataclasses.replace(videos.spec.cameras, count=9, held_out=2)
    spec = dataclasses.replace(
        videos.spec, cameras=cameras, resolution=(SIZE, SIZE), splits={"train": 1}
    )
    resolved = dataclasses.replace(videos, spec=spec)
    data = write_dataset(tmp_path / "data", resolved, synthetic_views)
    folder = written("dnerf", Dataset(data)["train"], tmp_path / "out")
    views = {
        name: [
            (int(frame["file_path"][-3:]), frame["time"])
            for frame in meta_of(folder, name)["frames"]
        ]
        for name in ("train", "test")
    }
    assert views["train"] == [(3 * step, step / 6) for step in range(7)]
    assert views["test"] == [(3 * s + i, s / 6) for s in range(7) for i in (1, 2)]


def meta_of(folder, split):
    return json.loads((folder / f"transforms_{split}.json").read_text())


def project(meta, frame, points, size=(SIZE, SIZE)):
    """Blender's camera: x right, y up, looking along -z; half the width spans half the
    angle, and the focal length is that of both axes."""
    pose = np.array(frame["transform_matrix"])
    scaled = (points - np.array(meta["world_origin"])) * meta["world_scale"]
    local = (scaled - pose[:3, 3]) @ pose[:3, :3]
    focal = 0.5 * size[1] / np.tan(0.5 * meta["camera_angle_x"])
    pixels = focal * local[:, :2] / -local[:, 2:]
    return pixels * [1, -1] + np.array(size)[::-1] / 2, -local[:, 2]


def test_known_points_land_on_their_pixels(split, folder):
    record = split[0]
    for name, cameras in (("train", (0, 1)), ("val", (2, 3)), ("test", (2, 3))):
        meta = meta_of(folder, name)
        views = [step * 4 + camera for step in range(3) for camera in cameras]
        assert [frame["time"] for frame in meta["frames"]] == [0, 0, 0.5, 0.5, 1, 1]
        for view, frame in zip(views, meta["frames"], strict=True):
            points, pixels = known_points(record, view)
            found, z = project(meta, frame, points)
            assert (z > 0).all()
            assert abs(found - pixels).max() < 0.01
            image = Image.open(folder / (frame["file_path"] + ".png"))
            assert image.mode == "RGBA"
            rgba = np.asarray(image)
            np.testing.assert_array_equal(rgba[..., :3], record["color"][view])
            np.testing.assert_array_equal(
                rgba[..., 3] == 255, record["instance"][view, ..., 0] > 0
            )
            assert set(np.unique(rgba[..., 3])) <= {0, 255}


def test_images_that_are_not_square(make_split, tmp_path):
    split = make_split(resolution=(24, 40))
    out = written("dnerf", split, tmp_path / "out")
    meta, record = meta_of(out, "train"), split[0]
    for view, frame in enumerate(meta["frames"][:4]):
        points, pixels = known_points(record, view)
        found, _ = project(meta, frame, points, (24, 40))
        assert abs(found - pixels).max() < 0.01
    assert "HexPlane and K-Planes read square" in dnerf.notes(split.spec)[1]
    assert len(dnerf.notes(dataclasses.replace(split.spec, resolution=(24, 24)))) == 1


def test_the_world_is_as_large_as_the_loaders_suppose(split, folder):
    record = split[0]
    meta = meta_of(folder, "train")
    frames = meta["frames"] + meta_of(folder, "test")["frames"]
    poses = np.array([frame["transform_matrix"] for frame in frames])
    assert np.linalg.norm(poses[:, :3, 3], axis=-1).mean() == pytest.approx(4)
    centres = record["objects/positions"].reshape(-1, 3) - meta["world_origin"]
    assert abs(centres * meta["world_scale"]).max() < 1.3
    np.testing.assert_allclose(
        poses[:, :3, :3] @ poses[:, :3, :3].swapaxes(1, 2),
        np.broadcast_to(np.eye(3), (12, 3, 3)),
        atol=1e-5,
    )


def test_without_held_out_cameras_the_last_is_the_test(make_split, tmp_path):
    split = make_split(resolution=(SIZE, SIZE))
    out = written("dnerf", split, tmp_path / "out")
    names = [frame["file_path"] for frame in meta_of(out, "test")["frames"]]
    assert names == [f"./images/r_{5 * step + 4:03}" for step in range(5)]
    assert len(meta_of(out, "train")["frames"]) == 20


def test_every_split_of_a_video_begins_at_time_0(videos, tmp_path):
    many = dataclasses.replace(
        videos.spec,
        resolution=(SIZE, SIZE),
        splits={"train": 1},
        dynamics=dataclasses.replace(videos.spec.dynamics, steps=17),
        cameras=dataclasses.replace(videos.spec.cameras, count=17),
    )
    resolved = dataclasses.replace(videos, spec=many)
    data = write_dataset(tmp_path / "data", resolved, synthetic_views)
    split = Dataset(data)["train"]
    out = written("dnerf", split, tmp_path / "out")
    times = {
        name: [frame["time"] * 16 for frame in meta_of(out, name)["frames"]]
        for name in ("train", "val", "test")
    }
    assert times["val"] == times["test"] == [0, 8, 16]
    assert times["train"] == [step for step in range(16) if step != 8]
    meta, record = meta_of(out, "train"), split[0]
    for frame in meta["frames"]:
        view = round(frame["time"] * 16)
        points, pixels = known_points(record, view)
        assert abs(project(meta, frame, points)[0] - pixels).max() < 0.01


def test_kplanes_finds_a_number_in_each_name(split, folder):
    numbers = []
    for name in ("train", "test"):
        for frame in meta_of(folder, name)["frames"]:
            path = frame["file_path"]
            # With `_r` in it, the time would be looked for in the name.
            assert "_r" not in path and path.count("r_") == 1
            numbers.append(int(path.split("r_")[-1]))
    assert sorted(numbers) == list(range(12))


def as_gaussians_read(frame):
    """Returns the camera that 4DGaussians and Deformable-3D-Gaussians make of a frame:
    world to camera, OpenCV's axes."""
    matrix = np.linalg.inv(np.array(frame["transform_matrix"]))
    rotation = matrix[:3, :3] * [[1], [-1], [-1]]
    return rotation, -matrix[:3, 3]


def test_the_note_is_true_of_gaussians_readers(split, folder):
    """They mirror the position of the origin, unless it is at the image's centre."""
    for frame in meta_of(folder, "train")["frames"]:
        pose = np.array(frame["transform_matrix"])
        rotation, t = as_gaussians_read(frame)
        true = -rotation @ pose[:3, 3]
        np.testing.assert_allclose(t, true * [-1, 1, 1], atol=1e-9)
    cameras = dnerf.notes(split.spec)[0]
    assert "4DGaussians" in cameras and cameras.endswith("export d3dgs for 4DGaussians")


def test_it_is_the_same_again(split, folder, tmp_path):
    assert files(written("dnerf", split, tmp_path / "again")) == files(folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dynamics": Dynamics(steps=1)}, "steps is 1"),
        (
            {
                "cameras": Cameras(
                    patterns=Patterns(
                        zoom=dataclasses.replace(Patterns().zoom, by="focal_length")
                    )
                )
            },
            "one focal length",
        ),
    ],
)
def test_datasets_that_the_format_cannot_hold_are_refused(
    make_resolved, fields, message
):
    with pytest.raises(UserError, match=message):
        dnerf.check(make_resolved(**fields).spec)
