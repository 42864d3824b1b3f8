"""Flow files, read by the rules of Middlebury's and KITTI's formats."""

import av
import numpy as np
import pytest
from PIL import Image

from dyso import geometry
from dyso.export import flow as flow_format
from dyso.reading import flow as flow_between
from dyso.reading import motion_masks, view_of, views_of
from dyso.spec import Cameras, Dynamics, UserError
from helpers.exported_scenes import files, known_points, written

HEIGHT, WIDTH, STEPS, CAMERAS = 24, 32, 3, 2
WAYS = {"": 1, "_backward": -1}


@pytest.fixture(scope="module")
def split(make_split):
    return make_split(
        dynamics=Dynamics(steps=STEPS, motion="smooth"), cameras=Cameras(count=CAMERAS)
    )


@pytest.fixture(scope="module")
def folder(split, tmp_path_factory):
    return written("flow", split, tmp_path_factory.mktemp("out") / "scene")


def read_flo(path):
    """Middlebury's rule: a tag, width, height, then x and y of each pixel by rows."""
    data = path.read_bytes()
    assert np.frombuffer(data, "<f4", 1)[0] == 202021.25
    width, height = np.frombuffer(data, "<i4", 2, offset=4)
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2)


def read_kitti(path):
    """KITTI's rule: (RGB - 2^15) / 64, the third channel is validity; by FFmpeg."""
    with av.open(str(path)) as file:
        frame = next(file.decode(video=0))
    assert frame.format.name == "rgb48be"
    image = frame.to_ndarray().astype(np.float64)
    return (image[..., :2] - 2**15) / 64, image[..., 2] == 1


def frames(way):
    """Yields camera, step and the other step of each flow."""
    for camera in range(CAMERAS):
        for step in range(STEPS):
            if 0 <= step + WAYS[way] < STEPS:
                yield camera, step, step + WAYS[way]


@pytest.mark.parametrize("way", WAYS)
def test_known_points_go_to_where_they_are_in_the_other_frame(split, folder, way):
    record = split[0]
    moved = 0
    for camera, step, other in frames(way):
        view, goal = step * CAMERAS + camera, other * CAMERAS + camera
        points, pixels = known_points(record, view)
        # Those that pixels show, and what they show.
        count = len(record["objects/sizes"])
        points, pixels = points[count:], pixels[count:]
        column, row = np.floor(pixels).astype(int).T
        poses = geometry.instance_poses(
            record["objects/positions"].astype(float),
            record["objects/quaternions"].astype(float),
        )
        ids = record["instance"][view, row, column, 0]
        gone = geometry.carry(points, ids, poses[:, step], poses[:, other])
        expected, _, z = geometry.project(
            gone, record["intrinsics"][goal], record["extrinsics"][goal]
        )
        assert (z > 0).all()
        name = f"cam_{camera:03}/frame_{step + 1:04}"
        found = read_flo(folder / f"flow{way}" / f"{name}.flo")
        assert found.shape == (HEIGHT, WIDTH, 2)
        assert abs(pixels + found[row, column] - expected).max() < 0.01
        kitti, valid = read_kitti(folder / f"flow_occ{way}" / f"{name}.png")
        assert valid.all()
        assert abs(pixels + kitti[row, column] - expected).max() < 0.01
        scene = np.load(folder / f"scene_flow{way}" / f"{name}.npz")
        np.testing.assert_allclose(scene["points"][row, column], points, atol=1e-3)
        np.testing.assert_allclose(scene["flow"][row, column], gone - points, atol=1e-4)
        np.testing.assert_array_equal(
            scene["extrinsics"], record["extrinsics"][[view, goal]]
        )
        moved = max(moved, abs(found[row, column]).max())
    assert moved > 0.5


@pytest.mark.parametrize("way", WAYS)
def test_masks_tell_what_the_other_frame_shows(split, folder, way):
    record = split[0]
    shares = []
    for camera, step, other in frames(way):
        truth = flow_between(record, step * CAMERAS + camera, other * CAMERAS + camera)
        name = f"cam_{camera:03}/frame_{step + 1:04}"
        hidden = np.asarray(Image.open(folder / f"occlusions{way}" / f"{name}.png"))
        assert set(np.unique(hidden)) <= {0, 255}
        np.testing.assert_array_equal(hidden == 0, truth.visible)
        _, valid = read_kitti(folder / f"flow_noc{way}" / f"{name}.png")
        np.testing.assert_array_equal(valid, truth.visible)
        scene = np.load(folder / f"scene_flow{way}" / f"{name}.npz")
        np.testing.assert_array_equal(scene["visible"], truth.visible)
        assert scene["valid"].all()
        shares.append(truth.visible.mean())
    assert 0.3 < min(shares) < max(shares) <= 1


@pytest.mark.parametrize("way", WAYS)
def test_motion_masks_tell_what_is_elsewhere_in_the_other_frame(split, folder, way):
    record = split[0]
    for camera, step, other in frames(way):
        truth = motion_masks(record, others=[other])[step * CAMERAS + camera]
        name = f"cam_{camera:03}/frame_{step + 1:04}.png"
        mask = np.asarray(Image.open(folder / f"motion{way}" / name))
        np.testing.assert_array_equal(mask, truth * np.uint8(255))
        assert 0 < truth.mean() < 1


def test_it_is_laid_out_as_sintel_is(split, folder):
    """RAFT's `MpiSintel(root=OUT/train, split="scene_0")` pairs sorted names."""
    record = split[0]
    for camera in range(CAMERAS):
        place = f"cam_{camera:03}"
        images = sorted((folder / "clean" / place).glob("*.png"))
        flows = sorted((folder / "flow" / place).glob("*.flo"))
        assert len(images) == len(flows) + 1 == STEPS
        assert [p.stem for p in flows] == [p.stem for p in images[:-1]]
        backward = sorted((folder / "flow_backward" / place).glob("*.flo"))
        assert [p.stem for p in backward] == [p.stem for p in images[1:]]
        for step, path in enumerate(images):
            color = record["color"][step * CAMERAS + camera]
            np.testing.assert_array_equal(np.asarray(Image.open(path)), color)


def test_a_video_has_the_flow_of_its_moving_camera(video, tmp_path):
    folder = written("flow", video, tmp_path / "out")
    record = video[0]
    assert [path.name for path in (folder / "flow").iterdir()] == ["cam_000"]
    for step in range(len(record["depth"]) - 1):
        truth = flow_between(record, step, step + 1)
        found = read_flo(folder / "flow" / "cam_000" / f"frame_{step + 1:04}.flo")
        np.testing.assert_allclose(found, truth.optical, atol=1e-4)


def test_points_behind_the_other_camera_are_unknown(split, tmp_path):
    view = view_of(views_of(split[0]), 0)
    turned = view.extrinsics.copy()
    turned[[0, 2]] *= -1  # Half a turn about the vertical axis.
    flow_format._write(
        tmp_path, "", tmp_path / "a", view, view._replace(extrinsics=turned)
    )
    assert (read_flo(tmp_path / "a.flo") > 1e9).all()


def test_flow_that_kitti_cannot_hold_is_invalid(tmp_path):
    flow = np.zeros((2, 3, 2))
    flow[0, 1] = 511.98, -512
    flow[0, 2] = 512, 0
    flow[1, 0] = 0, -512.1
    valid = np.ones((2, 3), bool)
    valid[1, 1] = False
    path = tmp_path / "flow.png"
    path.write_bytes(flow_format.kitti_png(flow, valid))
    found, known = read_kitti(path)
    assert known.tolist() == [[True, True, False], [False, False, True]]
    assert abs(found[known] - flow[known]).max() <= 1 / 128


def test_it_is_the_same_again(split, folder, tmp_path):
    assert files(written("flow", split, tmp_path / "again")) == files(folder)


def test_a_single_step_is_refused(make_resolved):
    with pytest.raises(UserError, match=r"dynamics\.steps is 1"):
        flow_format.check(make_resolved(dynamics=Dynamics(steps=1)).spec)
