"""A dataset folder, small and without a renderer."""

import pytest

from dyso import records
from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.sampling import sample_scene
from dyso.spec import Cameras, Dynamics, Objects

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
    for split, lengths in SHARDS.items():
        index = 0
        for shard, length in enumerate(lengths):
            scenes = [sample_scene(resolved, split, index + i) for i in range(length)]
            records.write_shard(
                path / records.shard_name("test", split, shard, len(lengths)),
                [records.encode(scene, synthetic_views(scene)) for scene in scenes],
            )
            index += length
    records.write_metadata(path, resolved, SHARDS, {"rendered": 12})
    return path


@pytest.fixture
def dataset(folder):
    return Dataset(folder)
