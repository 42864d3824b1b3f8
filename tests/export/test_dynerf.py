"""DyNeRF's folders, read by the rules of the loaders of three projects."""

import dataclasses

import av
import numpy as np
import pytest
import trimesh

from dyso.export import dynerf
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, Dynamics, Patterns, UserError
from helpers.exported_scenes import files, known_points, written

STEPS = 3
ORDER = [3, 0, 1, 2]
"""The cameras of cam00, cam01 ...; camera 4, held out too, is left out."""
HEIGHT, WIDTH, TOP, LEFT = 24, 32, 0, 4
"""The size of the frames, cropped from 24 x 40."""


@pytest.fixture(scope="module")
def split(make_split):
    return make_split(
        resolution=(24, 40),
        dynamics=Dynamics(steps=STEPS),
        cameras=Cameras(count=5, held_out=2),
    )


@pytest.fixture(scope="module")
def folder(split, tmp_path_factory):
    return written("dynerf", split, tmp_path_factory.mktemp("out") / "scene")


def poses_of(folder):
    """Camera to world [C, 3, 4]: x right, y up, z backwards; the first row's lens."""
    table = np.load(folder / "poses_bounds.npy")
    assert table.shape == (len(list(folder.glob("cam*.mp4"))), 17)
    matrices = table[:, :15].reshape(-1, 3, 5)
    down, right, back, centre, lens = np.moveaxis(matrices, -1, 0)
    return np.stack([right, -down, back, centre], -1), lens[0], table[:, 15:]


def by_4dgaussians(folder, camera, points):
    """Points in frames of 1352 x 1014: it halves the focal length, and sees along z."""
    poses, lens, _ = poses_of(folder)
    rotation = poses[camera, :, :3] * [1, -1, -1]
    local = points @ rotation - poses[camera, :, 3] @ rotation
    pixels = lens[2] / 2 * local[:, :2] / local[:, 2:] + [676, 507]
    return pixels * [WIDTH / 1352, HEIGHT / 1014], local[:, 2]


def centred(folder, nearest, points):
    """Poses and points as HexPlane and K-Planes move and scale the world for NDC."""
    poses, _, bounds = poses_of(folder)
    back = poses[..., 2].mean(0) / np.linalg.norm(poses[..., 2].mean(0))
    right = np.cross(poses[..., 1].mean(0), back)
    right /= np.linalg.norm(right)
    mean = np.eye(4)
    mean[:3] = np.stack([right, np.cross(back, right), back, poses[..., 3].mean(0)], -1)
    inverse = np.linalg.inv(mean)
    scale = bounds.min() * nearest
    moved = inverse[:3] @ np.concatenate(
        [poses, np.broadcast_to([[[0, 0, 0, 1]]], (len(poses), 1, 4))], 1
    )
    moved[..., 3] /= scale
    return moved, (points @ inverse[:3, :3].T + inverse[:3, 3]) / scale


def seen_by(pose, points, focal_length, width, height):
    local = (points - pose[:, 3]) @ pose[:, :3]
    pixels = focal_length * local[:, :2] / -local[:, 2:] * [1, -1]
    pixels += np.array([width, height]) / 2
    return pixels * [WIDTH / width, HEIGHT / height], -local[:, 2]


def by_hexplane(folder, camera, points):
    """At `downsample = 1024 / W`: it takes the focal length to be of 2704 pixels."""
    _, lens, _ = poses_of(folder)
    downsample = 1024 / WIDTH
    width, height = int(1024 / downsample), int(768 / downsample)
    assert (width, height) == (WIDTH, HEIGHT)
    poses, moved = centred(folder, 0.75, points)
    focal_length = lens[2] / (2704 / width)
    return seen_by(poses[camera], moved, focal_length, width, height)


def by_kplanes(folder, camera, points):
    """At `data_downsample = 2`: it divides all of the lens, and scales the frames."""
    _, lens, _ = poses_of(folder)
    height, width = round(lens[0] / 2), round(lens[1] / 2)
    poses, moved = centred(folder, 0.95, points)
    focal_length = lens[2] * width / lens[1]
    return seen_by(poses[camera], moved, focal_length, width, height)


@pytest.mark.parametrize("reader", [by_4dgaussians, by_hexplane, by_kplanes])
def test_known_points_land_on_their_pixels(reader, split, folder):
    record = split[0]
    for step in range(STEPS):
        for place, camera in enumerate(ORDER):
            points, pixels = known_points(record, step * 5 + camera)
            found, z = reader(folder, place, points)
            assert (z > 0).all()
            assert abs(found - pixels + [LEFT, TOP]).max() < 0.01


def frames_of(path):
    """Returns the frames as 8-bit RGB, as imageio's PyAV plug-in and OpenCV do."""
    with av.open(str(path)) as film:
        return np.stack(
            [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        )


def test_videos_are_the_exact_pixels_the_test_camera_first(split, folder):
    record = split[0]
    # The loaders take the videos in the order of their names.
    names = sorted(path.name for path in folder.glob("cam*.mp4"))
    assert names == ["cam00.mp4", "cam01.mp4", "cam02.mp4", "cam03.mp4"]
    for name, camera in zip(names, ORDER, strict=True):
        own = record["color"][camera::5, :, LEFT : LEFT + WIDTH]
        np.testing.assert_array_equal(frames_of(folder / name), own)


def test_bounds_hold_what_is_seen(split, folder):
    record = split[0]
    _, _, bounds = poses_of(folder)
    for (near, far), camera in zip(bounds, ORDER, strict=True):
        for step in range(STEPS):
            points, _ = known_points(record, step * 5 + camera)
            _, z = by_4dgaussians(folder, ORDER.index(camera), points[2:])
            within = np.percentile(z, [10, 90])
            assert near < within[0] + 1e-3 and within[1] - 1e-3 < far
        assert 0 < near < far


def test_4dgaussians_starts_from_what_training_cameras_see(split, folder, tmp_path):
    record = split[0]
    cloud = trimesh.load(folder / "points3D_downsample2.ply")
    assert len(cloud.vertices) == 3 * HEIGHT * WIDTH
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].reshape(2, -1)
    for place, points in enumerate(np.split(np.asarray(cloud.vertices), 3), 1):
        pixels, _ = by_4dgaussians(folder, place, points)
        assert abs(pixels - np.stack([columns, rows], -1) - 0.5).max() < 0.01
    header = (folder / "points3D_downsample2.ply").read_bytes()[:400].decode("latin-1")
    for name in ("float x", "float nx", "uchar red"):
        assert f"property {name}\n" in header
    colors = np.asarray(cloud.colors)[: HEIGHT * WIDTH, :3]
    own = record["color"][ORDER[1], :, LEFT : LEFT + WIDTH]
    np.testing.assert_array_equal(colors, own.reshape(-1, 3))


def test_without_held_out_cameras_the_last_is_the_test(make_split, tmp_path):
    # What is cut off an odd height is even all the same: 21 x 28 of 27 x 32.
    split = make_split(resolution=(27, 32), dynamics=Dynamics(steps=2))
    out = written("dynerf", split, tmp_path / "out")
    for place, camera in enumerate([4, 0, 1, 2, 3]):
        own = split[0]["color"][camera::5, 3:24, 2:30]
        np.testing.assert_array_equal(frames_of(out / f"cam{place:02}.mp4"), own)
    _, lens, _ = poses_of(out)
    assert lens[2] / 2704 == pytest.approx(split[0]["intrinsics"][0, 0, 0] / 28)


def test_a_camera_without_depth_has_the_bounds_of_others(make_split, tmp_path):
    def empty(scene):
        views = synthetic_views(scene)
        views.depth[:, 1] = np.inf
        return views

    out = written("dynerf", make_split(empty), tmp_path / "out")
    _, _, bounds = poses_of(out)
    others = np.delete(bounds, 2, axis=0)
    assert bounds[2].tolist() == [others[:, 0].min(), others[:, 1].max()]


def test_it_is_the_same_again(split, folder, tmp_path):
    assert files(written("dynerf", split, tmp_path / "again")) == files(folder)


def test_datasets_that_the_format_cannot_hold_are_refused(videos, make_resolved):
    def refused(why, **fields):
        with pytest.raises(UserError, match=why):
            dynerf.check(make_resolved(**fields).spec)

    with pytest.raises(UserError, match=r"cameras\.paired is true"):
        dynerf.check(videos.spec)
    zoom = dataclasses.replace(Patterns().zoom, by="focal_length")
    refused("one focal length", cameras=Cameras(patterns=Patterns(zoom=zoom)))
    refused("2 to 300 frames.* is 1$", dynamics=Dynamics(steps=1))
    refused("2 to 300 frames.* is 301$", dynamics=Dynamics(steps=301))
    refused(r"even width.*\[24, 33\]", resolution=(24, 33))


def test_notes_say_what_the_loaders_do(make_resolved):
    def notes(**fields):
        return " | ".join(dynerf.notes(make_resolved(**fields).spec))

    most = {"resolution": (24, 32), "dynamics": Dynamics(steps=300)}
    assert notes(**most) == ""
    said = notes(cameras=Cameras(count=9, held_out=3), resolution=(90, 160))
    for what in (
        "from 90 x 160 (height x width) to 90 x 120 (height x width)",
        "K-Planes needs at least 25 steps; this dataset has 5",
        "HexPlane hard-codes 300 frames; this dataset has 5",
        "held-out cameras that are left out: 2;",
    ):
        assert what in said
