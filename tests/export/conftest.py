"""A dataset folder without a renderer, and exports of it in several small shards."""

import pytest

from dyso.export import Export, job
from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import LAYERS, Cameras, Dynamics, Objects, Render
from helpers.dataset_writer import write_dataset

SCENES = {"train": 5, "validation": 2}


@pytest.fixture(scope="session")
def own(make_resolved):
    """6 views per scene, all layers, one or two spheres."""
    return make_resolved(
        splits=SCENES,
        resolution=(24, 32),
        dynamics=Dynamics(steps=2),
        cameras=Cameras(count=3),
        objects=Objects(count=(1, 2)),
        render=Render(layers=tuple(n for n in LAYERS if n != "surface")),
    )


@pytest.fixture(scope="session")
def folder(own, tmp_path_factory):
    path = tmp_path_factory.mktemp("dataset") / "data"
    return write_dataset(path, own, synthetic_views)


@pytest.fixture(scope="session")
def dataset(folder):
    return Dataset(folder)


@pytest.fixture(scope="session")
def make_split(make_resolved, tmp_path_factory):
    """A function that writes one scene of two objects, and returns its split."""

    def make(render=synthetic_views, **fields):
        shape = {"splits": {"train": 1}, "resolution": (24, 32)}
        resolved = make_resolved(
            **{"objects": Objects(count=(2, 2)), **shape, **fields}
        )
        folder = tmp_path_factory.mktemp("dataset") / "data"
        return Dataset(write_dataset(folder, resolved, render))["train"]

    return make


@pytest.fixture(scope="session")
def video(videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset") / "data"
    return Dataset(write_dataset(folder, videos, synthetic_views))["train"]


@pytest.fixture
def small_shards(monkeypatch):
    """At most two scenes per shard."""
    monkeypatch.setattr(job, "_SHARD_BYTES", 150_000)


@pytest.fixture(scope="session")
def exported(folder, tmp_path_factory):
    """A function that exports to a format, once, with at most two scenes per shard."""
    made = {}

    def export(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name) / "out"
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(job, "_SHARD_BYTES", 150_000)
                Export.of(folder, format=name, out=made[name]).run(1, lambda: None)
        return made[name]

    return export
