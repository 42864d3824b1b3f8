"""Dynamic 3D Gaussians' folders, read by the rules of its `train.py`."""

import json

import numpy as np
import pytest
from PIL import Image

from dyso.export import d3dgs
from dyso.spec import Backgrounds, Cameras, Dynamics, UserError
from helpers.exported_scenes import files, known_points, written


@pytest.fixture(scope="module")
def split(make_split):
    return make_split(
        dynamics=Dynamics(steps=3),
        cameras=Cameras(count=5, held_out=2),
    )


@pytest.fixture(scope="module")
def folder(split, tmp_path_factory):
    return written("d3dgs", split, tmp_path_factory.mktemp("out") / "scene")


def meta_of(folder, name):
    return json.loads((folder / f"{name}_meta.json").read_text())


def y_down(points):
    """The floor stays at 0, what is above it is negative, and nothing is mirrored."""
    x, y, z = points.T
    return np.stack([x, -z, y], -1)


def project(meta, step, place, points):
    w2c = np.array(meta["w2c"][step][place])
    assert w2c.shape == (4, 4)
    local = points @ w2c[:3, :3].T + w2c[:3, 3]
    pixels = local @ np.array(meta["k"][step][place]).T
    return pixels[:, :2] / pixels[:, 2:], local[:, 2]


@pytest.mark.parametrize(("name", "cameras"), [("train", (0, 1, 2)), ("test", (3, 4))])
def test_known_points_land_on_their_pixels(split, folder, name, cameras):
    record, meta = split[0], meta_of(folder, name)
    assert (meta["w"], meta["h"]) == (32, 24)
    assert all(len(meta[key]) == 3 for key in ("k", "w2c", "fn", "cam_id"))
    for step in range(3):
        assert meta["cam_id"][step] == list(cameras)
        for place, camera in enumerate(cameras):
            points, pixels = known_points(record, step * 5 + camera)
            found, z = project(meta, step, place, y_down(points))
            assert (z > 0).all()
            assert abs(found - pixels).max() < 0.01


def test_images_and_segments_are_those_of_the_view(split, folder):
    record, meta = split[0], meta_of(folder, "train")
    for step in range(3):
        for camera in range(3):
            view, file = step * 5 + camera, meta["fn"][step][camera]
            image = np.asarray(Image.open(folder / "ims" / file))
            np.testing.assert_array_equal(image, record["color"][view])
            segment = np.asarray(
                Image.open(folder / "seg" / file.replace(".jpg", ".png"))
            )
            np.testing.assert_array_equal(
                segment, (record["instance"][view, ..., 0] > 0).astype(np.uint8)
            )


def test_the_cloud_is_what_training_cameras_see_first(split, folder):
    record, meta = split[0], meta_of(folder, "train")
    cloud = np.load(folder / "init_pt_cld.npz")["data"]
    assert cloud.shape == (3 * 24 * 32, 7)
    for camera, own in enumerate(np.split(cloud, 3)):
        pixels, _ = project(meta, 0, camera, own[:, :3])
        rows, columns = np.mgrid[:24, :32].reshape(2, -1)
        assert abs(pixels - np.stack([columns, rows], -1) - 0.5).max() < 0.01
        colors = record["color"][camera].reshape(-1, 3)
        np.testing.assert_allclose(own[:, 3:6] * 255, colors, atol=1e-3)
        seen = record["instance"][camera].ravel() > 0
        np.testing.assert_array_equal(own[:, 6], seen)
    # Spheres around the objects' places, on a floor at 0 with y down.
    objects, rest = cloud[cloud[:, 6] == 1, :3], cloud[cloud[:, 6] == 0, :3]
    centres = y_down(record["objects/positions"][:, 0])
    radii = record["objects/sizes"][:, 0] / 2
    off = np.linalg.norm(objects[:, None] - centres, axis=-1) - radii
    assert abs(off).min(1).max() < 2e-3
    assert rest[:, 1].max() < 1e-2 and (abs(rest[:, 1]) < 1e-2).mean() > 0.3


def test_a_large_cloud_is_thinned_evenly(split, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(d3dgs, "POINTS", 500)
    own = written("d3dgs", split, tmp_path / "out")
    thin = np.load(own / "init_pt_cld.npz")["data"]
    whole = np.load(folder / "init_pt_cld.npz")["data"]
    assert 400 < len(thin) <= 500
    assert set(map(bytes, thin)) < set(map(bytes, whole))
    assert thin[:, 6].mean() == pytest.approx(whole[:, 6].mean(), abs=0.1)


def test_it_is_the_same_again(split, folder, tmp_path):
    assert files(written("d3dgs", split, tmp_path / "again")) == files(folder)


def test_datasets_that_the_format_cannot_hold_are_refused(videos, make_resolved):
    with pytest.raises(UserError, match=r"cameras\.paired is true"):
        d3dgs.check(videos.spec)
    d3dgs.check(make_resolved(cameras=Cameras(count=60, held_out=10)).spec)
    with pytest.raises(UserError, match=r"at most 50 training cameras.*leaves 51"):
        d3dgs.check(make_resolved(cameras=Cameras(count=60, held_out=9)).spec)
    with pytest.raises(UserError, match=r"dynamics\.steps is 1; use 2"):
        d3dgs.check(make_resolved(dynamics=Dynamics(steps=1)).spec)
    with pytest.raises(UserError, match="at infinity; use backdrop: dome"):
        d3dgs.check(make_resolved(backgrounds=Backgrounds(backdrop="environment")).spec)
