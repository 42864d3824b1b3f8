"""nerfstudio's folders, read by the rules of its documentation."""

import json

import numpy as np
import pytest
from made import write_dataset
from PIL import Image
from scenes import files, known_points, written

from dyso.export import nerfstudio
from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, Dynamics, Objects, UserError


@pytest.fixture(scope="module")
def split(make_resolved, tmp_path_factory):
    resolved = make_resolved(
        splits={"train": 2},
        resolution=(24, 32),
        objects=Objects(count=(2, 2)),
        dynamics=Dynamics(steps=3),
        cameras=Cameras(count=4, held_out=1),
    )
    folder = tmp_path_factory.mktemp("dataset") / "data"
    return Dataset(write_dataset(folder, resolved, synthetic_views))["train"]


@pytest.fixture(scope="module")
def folder(split, tmp_path_factory):
    return written("nerfstudio", split, tmp_path_factory.mktemp("out") / "scene", 1)


def frames_of(folder, step):
    meta = json.loads((folder / f"step_{step:03}" / "transforms.json").read_text())
    return meta, meta["frames"]


def project(frame, points):
    """OpenGL camera: x right, y up, looking along -z; the image's y goes down."""
    pose = np.array(frame["transform_matrix"])
    local = (points - pose[:3, 3]) @ pose[:3, :3]
    x = frame["cx"] + frame["fl_x"] * local[:, 0] / -local[:, 2]
    y = frame["cy"] - frame["fl_y"] * local[:, 1] / -local[:, 2]
    return np.stack([x, y], -1), -local[:, 2]


def test_known_points_land_on_their_pixels(split, folder):
    record = split[1]
    for step in range(3):
        meta, frames = frames_of(folder, step)
        assert (meta["w"], meta["h"]) == (32, 24)
        assert "applied_transform" not in meta and len(frames) == 4
        for camera, frame in enumerate(frames):
            points, pixels = known_points(record, step * 4 + camera)
            found, z = project(frame, points)
            assert (z > 0).all()
            assert abs(found - pixels).max() < 0.01


def test_images_depths_and_masks_are_those_of_the_view(split, folder):
    record = split[1]
    for step in range(3):
        _, frames = frames_of(folder, step)
        for camera, frame in enumerate(frames):
            view = step * 4 + camera
            own = folder / f"step_{step:03}"
            color = np.asarray(Image.open(own / frame["file_path"]))
            np.testing.assert_array_equal(color, record["color"][view])
            mask = np.asarray(Image.open(own / frame["mask_path"]))
            np.testing.assert_array_equal(
                mask, np.where(record["instance"][view, ..., 0] > 0, 255, 0)
            )
            depth = np.asarray(Image.open(own / frame["depth_file_path"]))
            assert depth.dtype == np.uint16
            points, pixels = known_points(record, view)
            column, row = np.floor(pixels[2:]).astype(int).T
            _, z = project(frame, points[2:])
            # Millimetres along the axis, not along the ray.
            assert abs(depth[row, column] / 1000 - z).max() < 0.6e-3


def test_held_out_cameras_are_for_testing(folder):
    meta, frames = frames_of(folder, 2)
    names = [frame["file_path"] for frame in frames]
    assert meta["train_filenames"] == names[:3]
    assert meta["val_filenames"] == meta["test_filenames"] == names[3:]


def test_a_second_file_holds_the_whole_scene(folder):
    for step in range(3):
        meta, frames = frames_of(folder, step)
        path = folder / f"step_{step:03}" / "transforms_scene.json"
        for frame in frames:
            del frame["mask_path"]
        assert json.loads(path.read_text()) == meta


def test_what_is_too_far_is_unknown(make_resolved, tmp_path):
    def far(scene):
        views = synthetic_views(scene)
        views.depth[:, :, :2] = 90.0
        views.depth[:, :, 2:4] = np.inf
        return views

    resolved = make_resolved(splits={"train": 1}, resolution=(24, 24))
    split = Dataset(write_dataset(tmp_path / "data", resolved, far))["train"]
    own = written("nerfstudio", split, tmp_path / "out") / "step_000" / "depths"
    depth = np.asarray(Image.open(own / "cam_000.png"))
    assert (depth[:4] == 0).all() and (depth[4:] > 0).all()
    meta, _ = frames_of(tmp_path / "out", 0)
    assert "train_filenames" not in meta


def test_it_is_the_same_again(split, folder, tmp_path):
    again = written("nerfstudio", split, tmp_path / "again", 1)
    assert files(again) == files(folder)


def test_one_camera_is_refused(videos, make_resolved):
    with pytest.raises(UserError, match=r"cameras\.paired is true"):
        nerfstudio.check(videos.spec)
    with pytest.raises(UserError, match=r"cameras\.count is 1"):
        nerfstudio.check(make_resolved(cameras=Cameras(count=1)).spec)
