"""A worker renders objects that it makes, of every category."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dyso.assets import manifests, resolve
from dyso.render import Renderer, RenderError
from dyso.sampling import sample_scene
from dyso.sampling.scene import Pose
from dyso.spec import Cameras, Dynamics, Objects, Render, Spec
from dyso.spec.procedural import CATEGORIES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made():
    return resolve(
        Spec(
            name="made",
            splits={"train": 100},
            resolution=(32, 32),
            objects=Objects(catalog="procedural"),
            dynamics=Dynamics(steps=1),
            cameras=Cameras(count=1),
            render=Render(samples=4),
        ),
        Path(),
    )


@pytest.fixture(scope="module")
def worker(made, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        objects, backgrounds = manifests(made)
        patch.setenv("XDG_CACHE_HOME", str(folder))
        with Renderer(
            objects=objects, backgrounds=backgrounds, timeout=300
        ) as renderer:
            yield renderer


def test_every_category_is_shown_as_declared(made, worker):
    scene = sample_scene(made, "train", 0)
    position = (0.0, 0.0, 0.5)
    for number, category in enumerate(CATEGORIES):
        asset = made.objects.asset(number)
        shown = dataclasses.replace(
            scene.objects[0],
            asset_id=asset.id,
            category=category,
            poses=(Pose(position=position, quaternion=(1.0, 0.0, 0.0, 0.0)),),
        )
        views = worker.render(dataclasses.replace(scene, objects=(shown,)))
        assert (views.instance == 1).sum() > 5, asset.id
        sides = np.ptp(asset.bounds, axis=0)
        assert np.allclose(views.sizes[0], sides * 2.0, atol=1e-4), asset.id
        # It rests on its lower side.
        assert abs(views.positions[0, 0, 2] - sides[2]) < 1e-4, asset.id


def test_an_object_that_is_not_in_the_catalog_is_named(made, worker):
    scene = sample_scene(made, "train", 0)
    item = dataclasses.replace(scene.objects[0], asset_id="car_0000000")
    with pytest.raises(RenderError, match="not among procedural:1:0:1000000"):
        worker.render(dataclasses.replace(scene, objects=(item,)))
