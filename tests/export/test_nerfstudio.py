"""nerfstudio's folders, read by the rules of its documentation."""

import json

import numpy as np
import pytest
import trimesh
from PIL import Image

from dyso.export import nerfstudio
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, Dynamics, UserError
from helpers.exported_scenes import files, known_points, written


@pytest.fixture(scope="module")
def split(make_split):
    return make_split(
        splits={"train": 2},
        dynamics=Dynamics(steps=3),
        cameras=Cameras(count=4, held_out=1),
    )


@pytest.fixture(scope="module")
def folder(split, tmp_path_factory):
    return written("nerfstudio", split, tmp_path_factory.mktemp("out") / "scene", 1)


@pytest.fixture(scope="module")
def video_folder(video, tmp_path_factory):
    return written("nerfstudio", video, tmp_path_factory.mktemp("out") / "scene")


def indices_of(meta, split):
    """Returns the images of a split, by the rule of `nerfstudio-data`.

    It sorts the images by their names. Where the file lists any split, it must list
    all three, and name no image that is not there; its own share is not asked then.
    """
    images = sorted(frame["file_path"] for frame in meta["frames"])
    listed = [f"{name}_filenames" in meta for name in ("train", "val", "test")]
    if not any(listed):
        count = -(-len(images) * 9 // 10)
        train = set(np.linspace(0, len(images) - 1, count, dtype=int).tolist())
        return [i for i in range(len(images)) if (i in train) == (split == "train")]
    assert all(listed)
    own = set(meta[f"{split}_filenames"])
    assert own <= set(images)
    return [i for i, image in enumerate(images) if image in own]


def cloud_of(path, meta):
    """Returns the initial points of splatfacto, before nerfstudio's transform.

    It applies to them what it applies to the poses, so they are in the same world.
    """
    assert "applied_transform" not in meta and "applied_scale" not in meta
    cloud = trimesh.load(path.parent / meta["ply_file_path"])
    return np.asarray(cloud.vertices), np.asarray(cloud.colors)[:, :3]


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
        meta["ply_file_path"] = "points_scene.ply"
        assert json.loads(path.read_text()) == meta


def test_the_last_camera_is_the_test_without_held_out_ones(make_split, tmp_path):
    split = make_split(resolution=(24, 24))
    folder = written("nerfstudio", split, tmp_path / "out")
    for step in range(split.spec.dynamics.steps):
        meta, _ = frames_of(folder, step)
        # Of 5 images, nerfstudio's own share leaves none to evaluate on.
        assert indices_of(meta, "train") == [0, 1, 2, 3]
        assert indices_of(meta, "val") == indices_of(meta, "test") == [4]


def test_points_are_what_training_cameras_see(split, folder, monkeypatch, tmp_path):
    record = split[1]
    for name in ("transforms", "transforms_scene"):
        path = folder / "step_001" / f"{name}.json"
        meta = json.loads(path.read_text())
        points, colors = cloud_of(path, meta)
        shown = record["instance"][4:7, ..., 0] > 0
        if name == "transforms_scene":
            shown = np.ones_like(shown)
        assert len(points) == shown.sum() > 50
        rows = np.argwhere(shown)
        for camera, frame in enumerate(meta["frames"][:3]):
            own = rows[:, 0] == camera
            pixels, z = project(frame, points[own])
            assert (z > 0).all()
            # Each is what its pixel shows.
            assert abs(pixels - rows[own][:, :0:-1] - 0.5).max() < 0.01
            np.testing.assert_array_equal(
                colors[own], record["color"][4 + camera][rows[own, 1], rows[own, 2]]
            )
    monkeypatch.setattr(nerfstudio, "POINTS", 300)
    thin = written("nerfstudio", split, tmp_path / "out", 1) / "step_001"
    path = thin / "transforms_scene.json"
    fewer, _ = cloud_of(path, json.loads(path.read_text()))
    assert len(fewer) == 300
    assert set(map(bytes, fewer)) < set(map(bytes, points))


def test_a_video_is_one_capture_of_what_is_static(video, video_folder):
    record = video[0]
    assert not list(video_folder.glob("step_*"))
    meta = json.loads((video_folder / "transforms.json").read_text())
    assert indices_of(meta, "train") == [1, 2, 3, 4, 5, 6]
    assert indices_of(meta, "val") == indices_of(meta, "test") == [0]
    for step, frame in enumerate(meta["frames"]):
        assert frame["file_path"] == f"images/step_{step:03}.png"
        image = np.asarray(Image.open(video_folder / frame["file_path"]))
        np.testing.assert_array_equal(image, record["color"][step])
        mask = np.asarray(Image.open(video_folder / frame["mask_path"]))
        background = record["instance"][step, ..., 0] == 0
        np.testing.assert_array_equal(mask, np.where(background, 255, 0))
        points, pixels = known_points(record, step)
        found, z = project(frame, points)
        assert (z > 0).all() and abs(found - pixels).max() < 0.01
    whole = json.loads((video_folder / "transforms_scene.json").read_text())
    for frame in meta["frames"]:
        del frame["mask_path"]
    assert whole == meta
    points, _ = cloud_of(video_folder / "transforms.json", meta)
    assert len(points) > 500
    dome = abs(np.linalg.norm(points, axis=-1) - 25)
    assert np.minimum(abs(points[:, 2]), dome).max() < 5e-3


def test_depth_beyond_the_range_is_unknown(make_split, tmp_path):
    def far(scene):
        views = synthetic_views(scene)
        views.depth[:, :, :2] = 90.0
        views.depth[:, :, 2:4] = np.inf
        return views

    split = make_split(far, resolution=(24, 24))
    own = written("nerfstudio", split, tmp_path / "out") / "step_000" / "depths"
    depth = np.asarray(Image.open(own / "cam_000.png"))
    assert (depth[:4] == 0).all() and (depth[4:] > 0).all()


def test_it_is_the_same_again(split, folder, tmp_path):
    again = written("nerfstudio", split, tmp_path / "again", 1)
    assert files(again) == files(folder)


def test_one_place_is_refused(make_resolved):
    with pytest.raises(UserError, match=r"needs parallax.*cameras\.count is 1"):
        nerfstudio.check(make_resolved(cameras=Cameras(count=1)).spec)
