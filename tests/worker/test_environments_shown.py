"""A worker renders in environments that it makes, and a catalog of them is the same."""

import dataclasses
import tarfile
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from dyso.assets import environments, manifests, resolve
from dyso.assets.manifest import read_catalog
from dyso.cli.assets import environments as environments_command
from dyso.render import Renderer, RenderError
from dyso.sampling import sample_scene
from dyso.spec import Backgrounds, Cameras, Dynamics, ProceduralEnvironments, Spec
from dyso.spec import Render as RenderSettings

pytestmark = pytest.mark.slow


def test_a_scene_shows_the_environment_that_it_names(tmp_path, monkeypatch):
    made = resolve(
        Spec(
            name="made",
            splits={"train": 9},
            resolution=(32, 32),
            backgrounds=Backgrounds(catalog="procedural"),
            dynamics=Dynamics(steps=1),
            cameras=Cameras(count=1),
            render=RenderSettings(samples=4),
        ),
        Path(),
    )
    objects, backgrounds = manifests(made)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    scene = sample_scene(made, "train", 0)
    other = dataclasses.replace(scene.background, asset_id="park_0000001")
    wrong = dataclasses.replace(scene.background, asset_id="park_0000002")
    with Renderer(objects=objects, backgrounds=backgrounds, timeout=500) as renderer:
        first = renderer.render(scene)
        second = renderer.render(dataclasses.replace(scene, background=other))
        with pytest.raises(RenderError, match="not among procedural:environments:2:0"):
            renderer.render(dataclasses.replace(scene, background=wrong))
    assert len([*tmp_path.glob("dyso/assets/content/*/environment.exr")]) == 2
    assert not np.array_equal(first.color, second.color)
    assert np.array_equal(first.depth, second.depth)


def test_a_catalog_holds_the_same_pixels(tmp_path):
    assert environments_command(out=tmp_path / "made", count=2, workers=1) == 0
    catalog = read_catalog(str(tmp_path / "made" / "manifest.json"), "Texture")
    ids = [asset.id for asset in catalog.assets]
    assert ids == ["park_0000001", "street_0000000"]
    assert all(asset.checksum for asset in catalog.assets)
    made = environments.make(ProceduralEnvironments(seed=0, count=2), 1)
    with tarfile.open(tmp_path / "made" / "park_0000001.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    with OpenEXR.File(str(tmp_path / "environment.exr")) as file:
        assert np.array_equal(file.channels()["RGB"].pixels, made)
