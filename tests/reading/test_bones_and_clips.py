"""Readers of datasets some of whose objects have bones, or play clips."""

import dataclasses

import numpy as np
import pytest

from dyso import records
from dyso.reading import Dataset, Source, captions
from dyso.records.synthetic import synthetic_views
from dyso.sampling import Scene, sample_scene
from dyso.spec import (
    LAYERS,
    Animate,
    Asset,
    Cameras,
    Catalog,
    Clip,
    Dynamics,
    Gait,
    Objects,
    ProceduralCatalog,
    Render,
)
from dyso.validation import check_record
from helpers.dataset_writer import write_dataset

BOX = ((-1.0, -1.0, 0.0), (1.0, 1.0, 2.0))
WALK = Clip(name="walk", start=0.0, end=1.0, bounds=BOX)
ASSETS = (
    Asset(id="person", category="person", bounds=BOX, rest=BOX, clips=(WALK,)),
    Asset(id="stone", category="stone", bounds=BOX),
)


@pytest.fixture(scope="module", params=["bones", "clips"])
def resolved(request, make_resolved):
    moves = {
        "bones": {"gait": Gait(amplitude=(1.0, 1.0), bones=True)},
        "clips": {"animate": Animate(clips=("*",))},
    }[request.param]
    made = make_resolved(
        resolution=(24, 32),
        splits={"train": 8},
        objects=Objects(size=1.2),
        dynamics=Dynamics(steps=3, motion="smooth", **moves),
        cameras=Cameras(count=2),
        render=Render(layers=LAYERS),
    )
    objects = Catalog(name="o", manifest="o.json", assets=ASSETS)
    if request.param == "bones":
        objects = ProceduralCatalog.of(0, 60, ("car", "fish"))
    return dataclasses.replace(made, objects=objects)


@pytest.fixture(scope="module")
def dataset(resolved, tmp_path_factory):
    place = tmp_path_factory.mktemp("mixed") / "data"
    return Dataset(write_dataset(place, resolved, synthetic_views))


def test_scenes_with_and_without_are_read_and_sound(resolved, dataset):
    split = dataset["train"]
    moving = set()
    for index in range(len(split)):
        record = split[index]
        [item] = sample_scene(resolved, "train", index).objects
        moving.add(item.changes_shape)
        if resolved.spec.skeletal:
            assert record["bones/positions"].shape == (int(item.changes_shape), 3, 3)
            if item.changes_shape:
                # The bone of a synthetic creature is at its centre.
                expected = record["objects/positions"]
                assert np.allclose(record["bones/positions"], expected, atol=1e-6)
        else:
            clip = "walk" if item.changes_shape else ""
            assert record["objects/clip"].tolist() == [clip]
            assert record["objects/clip_times"].shape == (1, 3)
            told = captions(split.read(index))[0]
            assert ("the clip 'walk'" in told) == item.changes_shape
    assert moving == {True, False}


def test_records_are_sound(resolved):
    for index in range(8):
        scene = sample_scene(resolved, "train", index)
        assert Scene.from_json(scene.to_json()) == scene
        data = records.encode(scene, synthetic_views(scene))
        faults = check_record(data, resolved, "train").faults
        # Synthetic creatures have other meshes and bones than their grammar's.
        assert all("gait" in f or "shape" in f or "skeleton" in f for f in faults)
        if not scene.objects[0].changes_shape:
            assert faults == ()


def test_batches_hold_scenes_of_both_kinds(dataset):
    pytest.importorskip("torch")
    from dyso.reading.torch import Scenes

    spec = dataset.resolved.spec
    name = "bones/positions" if spec.skeletal else "objects/clip_times"
    scenes = Scenes(Source(dataset["train"], fields=(name,)))
    batch = scenes.collate([scenes[i] for i in range(4)])
    assert len(batch[name]) == 4
    assert spec.skeletal == isinstance(batch[name], list)
