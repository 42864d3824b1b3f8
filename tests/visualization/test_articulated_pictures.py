"""Pictures, pages and statistics of datasets whose objects have joints."""

import dataclasses

import numpy as np
import pytest

from dyso.reading import Dataset, parts
from dyso.records.synthetic import synthetic_views
from dyso.spec import (
    REQUIRED_LAYERS,
    Articulate,
    Cameras,
    Dynamics,
    Objects,
    ProceduralCatalog,
    Render,
)
from dyso.visualization.page import page
from dyso.visualization.pictures import NOTHING, layers_of, pictures
from dyso.visualization.scenes import load
from dyso.visualization.statistics import report, statistics
from helpers.dataset_writer import write_dataset


@pytest.fixture(scope="module")
def dataset(make_resolved, tmp_path_factory):
    resolved = make_resolved(
        resolution=(40, 56),
        splits={"train": 2},
        objects=Objects(size=1.2, count=(2, 2)),
        dynamics=Dynamics(
            steps=2, spawn_radius=2.0, articulate=Articulate(change=(0.5, 1.0))
        ),
        cameras=Cameras(count=2),
        render=Render(layers=(*REQUIRED_LAYERS, "surface")),
    )
    catalog = ProceduralCatalog.of(0, 60, ("cart", "desk_lamp"))
    resolved = dataclasses.replace(resolved, objects=catalog)
    place = tmp_path_factory.mktemp("pictures") / "data"
    return Dataset(write_dataset(place, resolved, synthetic_views))


def test_parts_are_a_picture_of_their_own(dataset):
    record = dataset["train"][0]
    image = pictures(record)["part"]
    shown = parts(record)
    assert (image[shown == 0] == NOTHING).all()
    instance = record["instance"][..., 0]
    for number in (1, 2):
        colors = {
            tuple(np.unique(image[(instance == number) & (shown == part)], axis=0)[0])
            for part in np.unique(shown[instance == number])
        }
        # Each part of an object has one colour, which no other part of it has.
        assert len(colors) == len(np.unique(shown[instance == number]))
    assert layers_of(dataset.resolved.spec)[-1] == "part"
    assert "part" in load(dataset, "train", 0).layers


def test_the_page_has_the_layer(dataset):
    resolved = dataset.resolved
    assert '"surface","part"' in page(resolved, {"train": 2}, []).replace(", ", ",")


def test_statistics_count_the_joints(dataset):
    summary = statistics(dataset, [("train", 0), ("train", 1)])
    assert {*summary["joint"]} <= {
        "wheels",
        "steering",
        "handle",
        "bed",
        "post",
        "arm",
        "head",
    }
    total = sum(len(dataset["train"][i]["joints/part"]) for i in range(2))
    assert sum(summary["joint"].values()) == total
    assert "joints, by what they move" in [*report(summary, 2)]
