"""The gallery shows every category, and its objects as large as their views allow."""

import importlib.util
import re

import numpy as np
import pytest

from dyso import geometry
from dyso.spec.procedural import CATEGORIES
from helpers.manual import ROOT

PICTURES = ROOT / "docs/images/gallery"


@pytest.fixture(scope="module")
def gallery():
    spec = importlib.util.spec_from_file_location("gallery", ROOT / "docs/gallery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_every_picture_and_is_small(gallery):
    page = (ROOT / "docs/gallery.md").read_text()
    shown = re.findall(r"\(images/gallery/(\w+)\.webp\)", page)
    assert shown == [*CATEGORIES, *(n for n in gallery.SECTIONS if n != "objects")]
    files = {path.stem: path.stat().st_size for path in PICTURES.iterdir()}
    assert set(files) == set(shown)
    assert sum(files.values()) < 1e6


@pytest.mark.parametrize("category", CATEGORIES)
def test_an_object_fits_its_view(gallery, category):
    resolved = gallery.resolved_spec()
    rng = np.random.default_rng(0)
    [chosen] = gallery.chosen(resolved, category, 1, rng)
    scene = gallery.portrait(resolved, chosen, rng, side=100)
    [item], [camera] = scene.objects, scene.cameras
    asset = resolved.objects.asset(resolved.objects.index(chosen))
    corners = np.stack(np.meshgrid(*np.transpose(asset.bounds)), -1).reshape(-1, 3)
    [at] = item.poses
    to_world = geometry.pose_matrix(np.array(at.position), np.array(at.quaternion))
    world = geometry.transform(to_world, corners * item.size)
    assert world[:, 2].min() == pytest.approx(0)
    seen = camera.pose
    to_camera = geometry.invert(
        geometry.pose_matrix(np.array(seen.position), np.array(seen.quaternion))
    )
    x, y, z = geometry.transform(to_camera, world).T
    half = camera.sensor_width / camera.focal_length / 2
    extent = np.abs(np.stack([x, y]) / z / half)
    assert 0.5 < extent.max() < 1
