"""Point tracks in the formats of TAP-Vid, TAPVid-3D and MVTracker, by their rules."""

import io
import json
import pickle

import imageio
import numpy as np
import pytest
from PIL import Image

from dyso import geometry
from dyso.export import mvtracker, tapvid, tapvid3d, tracks
from dyso.reading import views_of
from dyso.spec import Cameras, Dynamics, UserError
from helpers.exported_scenes import files, written

HEIGHT, WIDTH, STEPS, CAMERAS = 24, 32, 4, 3


@pytest.fixture(scope="module")
def split(make_split):
    return make_split(
        dynamics=Dynamics(steps=STEPS, motion="smooth"), cameras=Cameras(count=CAMERAS)
    )


@pytest.fixture(scope="module")
def record(split):
    return split[0]


def world_tracks(record, first, instance):
    """Moves points [P, 3] of step 0 with their objects: [T, P, 3]."""
    poses = geometry.instance_poses(
        record["objects/positions"].astype(float),
        record["objects/quaternions"].astype(float),
    )
    steps = range(poses.shape[1])
    return np.stack(
        [geometry.carry(first, instance, poses[:, 0], poses[:, step]) for step in steps]
    )


def test_points_are_drawn_from_all_views_half_on_objects(record):
    views = views_of(record)
    found = tracks.track_points(views, 400, (3,))
    count = len(found.source)
    assert count == 400 and set(found.source) == set(range(len(views.depth)))
    assert (found.instance > 0).sum() == 200
    each = np.arange(count)
    assert found.visible[found.source, each].all()
    # Centres of pixels that show the instance.
    pixels = found.pixels[found.source, each]
    assert abs(pixels % 1 - 0.5).max() < 1e-5
    column, row = np.floor(pixels).astype(int).T
    shown = views.instance[found.source, row, column]
    np.testing.assert_array_equal(shown, found.instance)
    again = tracks.track_points(views, 400, (3,))
    np.testing.assert_array_equal(again.pixels, found.pixels)
    other = tracks.track_points(views, 400, (4,))
    assert (other.source != found.source).any()


def test_views_with_few_pixels_of_one_kind_give_more_of_the_other(record):
    views = views_of(record)._replace()
    some = views.instance.copy()
    some[:] = 0
    some[1, :2, :5] = 1
    found = tracks.track_points(views._replace(instance=some), 100, (0,))
    assert (found.instance > 0).sum() == 10 and len(found.source) == 100
    nothing = views._replace(depth=np.full_like(views.depth, np.inf))
    assert len(tracks.track_points(nothing, 100, (0,)).source) == 0


@pytest.fixture(scope="module")
def tapvid_videos(exported):
    """All videos, read as TAP-Vid's `create_davis_dataset` reads each pickle."""
    videos = {}
    for path in sorted(exported("tapvid").glob("test-train-*.pkl")):
        videos |= pickle.loads(path.read_bytes())
    return videos


def test_tapvid_has_a_video_of_each_camera(tapvid_videos, dataset):
    cameras = 3
    assert len(tapvid_videos) == 5 * cameras
    for scene, record in enumerate(dataset["train"]):
        for camera in range(cameras):
            video = tapvid_videos[f"train_scene_{scene}_cam_{camera:03}"]
            own = record["color"][camera::cameras]
            np.testing.assert_array_equal(video["video"], own)
            count = len(video["points"])
            assert count == tapvid.POINTS
            assert video["points"].shape == (count, 2, 2)
            assert video["points"].dtype == np.float32
            assert video["occluded"].shape == (count, 2)
            assert video["occluded"].dtype == bool
            # As `sample_queries_first`: every track has a first visible frame.
            assert (~video["occluded"]).any(1).all()


def test_tapvid_points_follow_what_they_show(tapvid_videos, dataset):
    """By its rule: points * [width, height] are raster coordinates."""
    moved = 0
    for scene, record in enumerate(dataset["train"]):
        views = views_of(record)
        for camera in range(3):
            video = tapvid_videos[f"train_scene_{scene}_cam_{camera:03}"]
            pixels = video["points"] * np.array([WIDTH, HEIGHT])
            here, there = views.depth[camera], views.depth[camera + 3]
            both = ~video["occluded"].any(1)
            first, second = pixels[both, 0], pixels[both, 1]
            # Those drawn from the first frame are centres of its pixels.
            centres = abs(first % 1 - 0.5).max(1) < 1e-4
            column, row = np.floor(first[centres]).astype(int).T
            ids = views.instance[camera, row, column]
            origins, rays = geometry.rays(
                views.intrinsics[camera], views.extrinsics[camera], first[centres]
            )
            points = origins + rays * here[row, column][:, None]
            gone = geometry.carry(
                points, ids, views.poses[camera], views.poses[camera + 3]
            )
            expected, distance, _ = geometry.project(
                gone, views.intrinsics[camera + 3], views.extrinsics[camera + 3]
            )
            assert len(expected) > 10
            assert abs(expected - second[centres]).max() < 0.01
            column, row = np.floor(second[centres]).astype(int).T
            ratio = there[row, column] / distance
            assert abs(np.median(ratio) - 1) < 0.01
            moved = max(moved, abs(second - first).max())
    assert moved > 1


def test_tapvid3d_by_the_rules_of_its_evaluation(split, record, tmp_path):
    folder = written("tapvid3d", split, tmp_path / "scene")
    assert len(list(folder.iterdir())) == CAMERAS
    views = views_of(record)
    for camera in range(CAMERAS):
        data = np.load(folder / f"cam_{camera:03}.npz")  # Without pickles.
        for step, image in enumerate(data["images_jpeg_bytes"]):
            color = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
            own = record["color"][step * CAMERAS + camera]
            np.testing.assert_array_equal(color, own)
        xyz, visible = data["tracks_XYZ"], data["visibility"]
        count = tapvid3d.POINTS
        assert xyz.shape == (STEPS, count, 3) and visible.shape == (STEPS, count)
        fx, fy, cx, cy = data["fx_fy_cx_cy"]
        x, y, t = data["queries_xyt"].T
        t = t.astype(int)
        assert visible[t, np.arange(count)].all()
        own = xyz[t, np.arange(count)]
        assert abs(own[:, 0] / own[:, 2] * fx + cx - x).max() < 0.01
        assert abs(own[:, 1] / own[:, 2] * fy + cy - y).max() < 0.01
        # In the world, points move with what the query's pixel shows.
        inverse = np.linalg.inv(data["extrinsics_w2c"].astype(float))
        world = np.einsum("tij,tpj->tpi", inverse[:, :3, :3], xyz)
        world += inverse[:, None, :3, 3]
        column, row = np.floor([x, y]).astype(int)
        ids = views.instance[t * CAMERAS + camera, row, column]
        depth = record["depth"][t * CAMERAS + camera, row, column, 0]
        np.testing.assert_allclose(np.linalg.norm(own, axis=-1), depth, rtol=1e-4)
        expected = world_tracks(record, world[0], ids)
        np.testing.assert_allclose(world, expected, atol=1e-3)
        matrix = views.intrinsics[0]
        for step in range(STEPS):
            found = xyz[step] @ matrix.T
            pixel, _, z = geometry.project(
                expected[step],
                record["intrinsics"][step * CAMERAS + camera],
                record["extrinsics"][step * CAMERAS + camera],
            )
            assert (z > 0).all()
            assert abs(found[:, :2] / found[:, 2:] - pixel).max() < 0.01


def test_a_video_has_the_poses_of_its_moving_camera(video, tmp_path):
    folder = written("tapvid3d", video, tmp_path / "scene")
    assert [path.name for path in folder.iterdir()] == ["cam_000.npz"]
    data = np.load(folder / "cam_000.npz")
    expected = video[0]["extrinsics"]
    np.testing.assert_allclose(data["extrinsics_w2c"][:, :3], expected, atol=1e-6)
    assert (data["extrinsics_w2c"][:, 3] == [0, 0, 0, 1]).all()
    assert abs(np.diff(expected, axis=0)).max() > 0.01


def quaternion_to_matrix(q):
    """As kornia's `quaternion_to_rotation_matrix`: (w, x, y, z)."""
    w, x, y, z = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def test_mvtracker_by_the_rules_of_its_kubric_reader(split, record, tmp_path):
    folder = written("mvtracker", split, tmp_path / "0")
    points = np.load(folder / "tracks_3d.npz")["tracks_3d"]
    ids = np.load(folder / "tracks_segmentation_ids.npz")["tracks_segmentation_ids"]
    count = mvtracker.POINTS
    assert points.shape == (STEPS, count, 3) and ids.shape == (count,)
    np.testing.assert_allclose(points, world_tracks(record, points[0], ids), atol=1e-5)
    cameras = np.load(folder / "cameras.npz")
    assert cameras["camera_positions"].shape == (CAMERAS, 3)
    assert len(json.loads((folder / "tracked_objects.json").read_text())) == 2
    homogeneous = np.concatenate([points, np.ones((STEPS, count, 1))], -1)
    seen = np.zeros((STEPS, count), int)
    for camera in range(CAMERAS):
        place = folder / f"view_{camera}"
        metadata = json.loads((place / "metadata.json").read_text())
        width, height = metadata["metadata"]["resolution"]
        flip = np.diag([1, -1, -1])
        matrix = np.diag([width, height, 1]) @ metadata["camera"]["K"] @ flip
        data = np.load(place / "tracks_2d.npz")
        for step in range(STEPS):
            inverse = np.eye(4)
            inverse[:3, :3] = quaternion_to_matrix(
                metadata["camera"]["quaternions"][step]
            )
            inverse[:3, 3] = metadata["camera"]["positions"][step]
            extrinsics = flip @ np.linalg.inv(inverse)[:3]
            view = step * CAMERAS + camera
            np.testing.assert_allclose(
                extrinsics, record["extrinsics"][view], atol=1e-5
            )
            pixels = homogeneous[step] @ (matrix @ extrinsics).T
            pixels = pixels[:, :2] / pixels[:, 2:]
            np.testing.assert_allclose(pixels, data["tracks_2d"][step], atol=1e-3)
            rgba = imageio.v2.imread(place / f"rgba_{step:05}.png")
            np.testing.assert_array_equal(rgba[..., :3], record["color"][view])
            tiff = (place / f"depth_{step:05}.tiff").read_bytes()
            depth = imageio.v2.imread(tiff, format="tiff")
            np.testing.assert_array_equal(depth, record["depth"][view, ..., 0])
            # `depth_from_euclidean_to_z`, and the z of visible points.
            sensor = metadata["camera"]["sensor_width"]
            x = (np.arange(-width / 2, width / 2) + 0.5) / width * sensor
            y = (np.arange(-height / 2, height / 2) + 0.5) / width * sensor
            square = x[None] ** 2 + y[:, None] ** 2
            z = depth / np.sqrt(1 + square / metadata["camera"]["focal_length"] ** 2)
            visible = ~data["occlusion"][step]
            seen[step] += visible
            column, row = np.floor(data["tracks_2d"][step][visible]).astype(int).T
            true = homogeneous[step][visible] @ extrinsics[2]
            ratio = z[row, column] / true
            assert abs(np.median(ratio) - 1) < 1e-3
            assert (abs(ratio - 1) < 0.2).mean() > 0.95
    assert (seen > 0).any(0).all() and seen.max() == CAMERAS


def test_mvtracker_notes_what_its_settings_need(make_resolved):
    def notes(**fields):
        return " | ".join(mvtracker.notes(make_resolved(**fields).spec))

    said = notes(dynamics=Dynamics(steps=5), cameras=Cameras(count=3))
    assert "need 24 steps; this dataset has 5" in said
    assert "need 4 cameras; this dataset has 3" in said
    enough = notes(dynamics=Dynamics(steps=24), cameras=Cameras(count=4))
    assert enough.startswith("MVTracker skips scenes without points that move 2 m")


@pytest.mark.parametrize("name", ["tapvid3d", "mvtracker"])
def test_it_is_the_same_again(name, split, tmp_path):
    first = files(written(name, split, tmp_path / "first"))
    assert files(written(name, split, tmp_path / "again")) == first


@pytest.mark.parametrize("module", [tapvid, tapvid3d, mvtracker])
def test_a_single_step_is_refused(module, make_resolved):
    with pytest.raises(UserError, match=r"dynamics\.steps is 1"):
        module.check(make_resolved(dynamics=Dynamics(steps=1)).spec)
