"""Datasets with a held-out camera, and predictions that are the truth."""

import dataclasses

import pytest

from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, Dynamics, Objects, Spec
from helpers.dataset_writer import write_dataset
from helpers.predictions import write_truth

SHAPE = {
    "splits": {"test": 2},
    "resolution": (24, 32),
    "dynamics": Dynamics(steps=3),
    "cameras": Cameras(count=3, held_out=1),
}


@pytest.fixture(scope="session")
def dataset(make_resolved, tmp_path_factory) -> Dataset:
    """Two scenes of three steps and three cameras, the last of which is held out."""
    resolved = make_resolved(objects=Objects(count=(2, 2)), **SHAPE)
    folder = tmp_path_factory.mktemp("scored") / "data"
    return Dataset(write_dataset(folder, resolved, synthetic_views))


@pytest.fixture(scope="session")
def rendered(starter, renderer, tmp_path_factory) -> Dataset:
    """The same of one scene that is really rendered."""
    spec: Spec = dataclasses.replace(starter.spec, **SHAPE | {"splits": {"test": 1}})
    resolved = dataclasses.replace(starter, spec=spec)
    folder = tmp_path_factory.mktemp("scored") / "data"
    return Dataset(write_dataset(folder, resolved, renderer.render))


@pytest.fixture
def perfect(dataset, tmp_path):
    return write_truth(tmp_path / "perfect", dataset)
