"""Scenes and their views, small and without a renderer."""

import pytest

from dyso import records
from dyso.records.synthetic import synthetic_views
from dyso.sampling import sample_scene
from dyso.spec import LAYERS, Backgrounds, Objects, Render


@pytest.fixture(scope="session")
def whole(make_resolved):
    """Scene and views with every layer and two objects."""
    resolved = make_resolved(
        resolution=(48, 64), objects=Objects(count=(2, 2)), render=Render(layers=LAYERS)
    )
    return rendered(resolved)


@pytest.fixture(scope="session")
def bare(make_resolved):
    """Scene and views in which rays can miss everything, without optional layers."""
    backgrounds = Backgrounds(backdrop="environment")
    return rendered(make_resolved(resolution=(48, 64), backgrounds=backgrounds))


@pytest.fixture(scope="session")
def data(whole):
    """The record of `whole`."""
    return records.encode(*whole)


def rendered(resolved, split="train", index=0):
    scene = sample_scene(resolved, split, index)
    return scene, synthetic_views(scene)
