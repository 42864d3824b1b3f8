"""A tiny dataset of real renders, made once."""

import dataclasses
from pathlib import Path

import pytest

from dyso import assets
from dyso.render import Renderer
from dyso.spec import Render
from helpers.dataset_writer import write_dataset

STARTER = Path(__file__).parents[2] / "specs" / "starter.yaml"


@pytest.fixture(scope="session")
def rendered(tmp_path_factory) -> Path:
    """Two splits of specs/starter.yaml, 96 x 96, with few samples."""
    resolved = assets.load(STARTER)
    spec = dataclasses.replace(
        resolved.spec,
        splits={"train": 2, "test": 1},
        resolution=(96, 96),
        render=Render(samples=2, denoise=False, layers=resolved.spec.render.layers),
    )
    resolved = dataclasses.replace(resolved, spec=spec)
    with Renderer(
        objects=resolved.objects.manifest, backgrounds=resolved.backgrounds.manifest
    ) as renderer:
        folder = tmp_path_factory.mktemp("rendered") / "data"
        return write_dataset(folder, resolved, renderer.render)


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory, make_resolved) -> Path:
    """Two splits of made-up assets and views."""
    from dyso.records.synthetic import synthetic_views

    resolved = make_resolved(resolution=(24, 32), splits={"train": 4, "test": 2})
    folder = tmp_path_factory.mktemp("synthetic") / "data"
    return write_dataset(folder, resolved, synthetic_views)


@pytest.fixture(scope="session")
def starter_spec() -> Path:
    """The spec of the starter assets."""
    return STARTER
