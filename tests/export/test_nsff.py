"""Neural Scene Flow Fields' folders, read by the rules of its loader."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from dyso import geometry
from dyso.export import nsff
from dyso.reading import Dataset, flow
from dyso.records.synthetic import synthetic_views
from dyso.spec import Patterns, UserError
from helpers.dataset_writer import write_dataset
from helpers.exported_scenes import files, known_points, written

HEIGHT, WIDTH, FRAMES = 24, 32, 7


@pytest.fixture(scope="module")
def split(videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset") / "data"
    return Dataset(write_dataset(folder, videos, synthetic_views))["train"]


@pytest.fixture(scope="module")
def folder(split, tmp_path_factory):
    return written("nsff", split, tmp_path_factory.mktemp("out") / "scene")


def cameras_of(folder):
    """Camera-to-world [T, 3, 4], x right, y up, z backwards; focal length; bounds."""
    table = np.load(folder / "poses_bounds.npy")
    assert table.shape == (FRAMES, 17)
    poses = table[:, :15].reshape(-1, 3, 5)
    assert (poses[:, :2, 4] == [HEIGHT, WIDTH]).all()
    down, right, back = (poses[:, :, i] for i in range(3))
    turned = np.stack([right, -down, back, poses[:, :, 3]], -1)
    return turned, poses[:, 2, 4], table[:, 15:]


def project(pose, focal, points):
    local = (points - pose[:, 3]) @ pose[:, :3]
    pixels = focal * local[:, :2] / -local[:, 2:] * [1, -1]
    return pixels + np.array([WIDTH, HEIGHT]) / 2, -local[:, 2]


def test_known_points_land_on_their_pixels(split, folder):
    record = split[0]
    poses, focal, bounds = cameras_of(folder)
    np.testing.assert_allclose(np.linalg.det(poses[:, :, :3]), 1, atol=1e-5)
    for frame in range(FRAMES):
        points, pixels = known_points(record, frame)
        found, z = project(poses[frame], focal[frame], points)
        assert abs(found - pixels).max() < 0.01
        disparity = np.load(folder / "disp" / f"{frame:05}.npy")
        column, row = np.floor(pixels[1:]).astype(int).T
        np.testing.assert_allclose(disparity[row, column], 1 / z[1:], rtol=2e-4)
        assert bounds[frame, 0] == pytest.approx(1 / disparity.max(), rel=0.1)
        assert bounds[frame, 1] == pytest.approx(1 / disparity.min(), rel=0.1)


def test_images_and_masks_are_those_of_the_frames(split, folder):
    record = split[0]
    for frame in range(FRAMES):
        image = np.asarray(Image.open(folder / "images" / f"{frame:05}.png"))
        # NSFF's loader reads this folder, for `--final_height` of the dataset's height.
        height, width = split.spec.resolution
        same = folder / f"images_{width}x{height}" / f"{frame:05}.png"
        assert np.array_equal(image, np.asarray(Image.open(same)))
        np.testing.assert_array_equal(image, record["color"][frame])
        mask = np.asarray(Image.open(folder / "motion_masks" / f"{frame:05}.png"))
        assert mask.shape == (HEIGHT, WIDTH)
        np.testing.assert_array_equal(mask > 0, record["instance"][frame, ..., 0] > 0)


def test_a_video_is_exported_without_its_held_out_cameras(videos, tmp_path):
    cameras = dataclasses.replace(videos.spec.cameras, count=FRAMES + 2, held_out=2)
    spec = dataclasses.replace(videos.spec, cameras=cameras, splits={"train": 1})
    beside = dataclasses.replace(videos, spec=spec)
    data = write_dataset(tmp_path / "data", beside, synthetic_views)
    split = Dataset(data)["train"]
    record = split[0]
    assert len(record["color"]) == 3 * FRAMES
    for name in ("nsff", "nerfstudio", "colmap"):
        folder = written(name, split, tmp_path / name)
        images = sorted((folder / "images").iterdir())
        assert len(images) == FRAMES
        for frame, path in enumerate(images):
            image = np.asarray(Image.open(path))
            np.testing.assert_array_equal(image, record["color"][3 * frame])
    poses, _, _ = cameras_of(tmp_path / "nsff")
    centres = geometry.invert(record["extrinsics"][::3])[..., 3]
    np.testing.assert_allclose(poses[..., 3], centres, atol=1e-5)


@pytest.mark.parametrize(
    ("way", "frames", "to"), [("fwd", range(6), 1), ("bwd", range(1, 7), -1)]
)
def test_flow_goes_to_where_points_are_in_the_neighbours(
    split, folder, way, frames, to
):
    record = split[0]
    poses, focal, _ = cameras_of(folder)
    names = sorted(path.name for path in (folder / "flow_i1").glob(f"*_{way}.npz"))
    assert names == [f"{frame:05}_{way}.npz" for frame in frames]
    for frame in frames:
        data = np.load(folder / "flow_i1" / f"{frame:05}_{way}.npz")
        assert data["flow"].dtype == np.float32 and data["mask"].dtype == bool
        again = np.load(folder / "flow" / f"{frame:03}_{way}.npz")
        np.testing.assert_array_equal(data["flow"], again["flow"])
        points, pixels = known_points(record, frame)
        points, pixels = points[1:], pixels[1:]
        column, row = np.floor(pixels).astype(int).T
        ids = record["instance"][frame, row, column, 0]
        here, there = (
            geometry.pose_matrix(
                record["objects/positions"][0, step].astype(float),
                record["objects/quaternions"][0, step].astype(float),
            )
            for step in (frame, frame + to)
        )
        local = (points - here[:, 3]) @ here[:, :3]
        moved = np.where(
            ids[:, None] == 1, local @ there[:, :3].T + there[:, 3], points
        )
        expected, _ = project(poses[frame + to], focal[frame + to], moved)
        assert abs(pixels + data["flow"][row, column] - expected).max() < 0.01
        own = flow(record, frame, frame + to)
        np.testing.assert_array_equal(data["mask"], own.visible)
        assert 0.5 < data["mask"].mean() < 1


def test_static_objects_have_no_motion_mask(videos, tmp_path):
    def still(scene):
        item = scene.objects[0]
        poses = item.poses[:1] * len(item.poses)
        resting = dataclasses.replace(item, poses=poses)
        return synthetic_views(dataclasses.replace(scene, objects=(resting,)))

    data = write_dataset(tmp_path / "data", videos, still)
    out = written("nsff", Dataset(data)["train"], tmp_path / "out")
    for path in (out / "motion_masks").iterdir():
        assert not np.asarray(Image.open(path)).any()


def test_frames_without_depth_have_the_bounds_of_others(videos, tmp_path):
    def empty(scene):
        views = synthetic_views(scene)
        views.depth[3] = np.inf
        views.instance[3] = 0
        return views

    data = write_dataset(tmp_path / "data", videos, empty)
    out = written("nsff", Dataset(data)["train"], tmp_path / "out")
    _, _, bounds = cameras_of(out)
    others = np.delete(bounds, 3, axis=0)
    assert bounds[3].tolist() == [others[:, 0].min(), others[:, 1].max()]
    assert (np.load(out / "disp" / "00003.npy") == 0).all()


def test_it_is_the_same_again(split, folder, tmp_path):
    assert files(written("nsff", split, tmp_path / "again")) == files(folder)


def test_files_that_are_not_videos_are_refused(videos, make_resolved):
    with pytest.raises(UserError, match="one moving camera"):
        nsff.check(make_resolved().spec)
    zoom = dataclasses.replace(Patterns().zoom, by="focal_length")
    cameras = dataclasses.replace(videos.spec.cameras, patterns=Patterns(zoom=zoom))
    with pytest.raises(UserError, match="one focal length"):
        nsff.check(dataclasses.replace(videos.spec, cameras=cameras))
