"""A dataset folder, small and without a renderer."""

import pytest

from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, Dynamics, Objects
from helpers.dataset_writer import write_shards

SHARDS = {"train": (4, 1, 5), "test": (2,)}


@pytest.fixture(scope="session")
def folder(make_resolved, tmp_path_factory):
    """A finished dataset: 10 scenes in 3 shards and 2 in one; 6 views a scene."""
    path = tmp_path_factory.mktemp("dataset")
    resolved = make_resolved(
        splits={"train": 10, "test": 2},
        resolution=(24, 32),
        dynamics=Dynamics(steps=2),
        cameras=Cameras(count=3),
        objects=Objects(count=(1, 2)),
    )
    return write_shards(path, resolved, SHARDS, synthetic_views)


@pytest.fixture
def dataset(folder):
    return Dataset(folder)
