"""Exports as webdataset, read by the webdataset package with its decoders."""

import json

import mlcroissant
import numpy as np
import pytest
from etils import epath
from mlcroissant._src.operation_graph.operations import extract

from dyso import geometry
from dyso.reading import captions

# The package leaves its files to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

IMAGES = ("color", "instance", "category", "normal", "object_coordinates")


@pytest.fixture(scope="module")
def samples(exported):
    webdataset = pytest.importorskip("webdataset")
    urls = str(exported("webdataset") / "test-train-{000000..000002}.tar")
    return list(webdataset.WebDataset(urls, shardshuffle=False).decode("rgb8"))


def test_a_sample_is_a_scene(samples, dataset):
    for sample, record in zip(samples, dataset["train"], strict=True):
        assert sample["__key__"] == f"train_{record['scene_name']}"
        for name in IMAGES:
            for view in range(6):
                image = sample[f"{name}_{view}.png"]
                # As "rgb8" asks, one channel is there three times.
                assert np.array_equal(
                    image, np.broadcast_to(record[name][view], image.shape)
                )
        said = sample["scene.json"]
        assert said["captions"] == list(captions(record, dataset.resolved.objects))
        for name, value in record.items():
            if name in IMAGES:
                continue
            key = name.replace("/", "_")
            if f"{key}.npy" in sample:
                assert sample[f"{key}.npy"].dtype == value.dtype
                assert np.array_equal(sample[f"{key}.npy"], value), name
            elif name in ("scene", "versions"):
                assert said[key] == json.loads(str(value))
            else:
                assert said[key] == value.tolist()


def test_depth_and_cameras_place_the_spheres(samples):
    for sample in samples:
        origins, directions = geometry.rays(
            sample["intrinsics.npy"][:, None, None].astype(np.float64),
            sample["extrinsics.npy"][:, None, None].astype(np.float64),
            geometry.pixel_grid(24, 32, np),
        )
        points = origins + directions * sample["depth.npy"]
        for view in range(6):
            seen = points[view][sample[f"instance_{view}.png"][..., 0] == 1]
            centre = sample["objects_positions.npy"][0, view // 3]
            radii = np.linalg.norm(seen - centre, axis=-1)
            error = np.abs(radii - sample["objects_sizes.npy"][0, 0] / 2)
            assert error.max(initial=0) < 2e-3


def test_samples_of_all_splits_have_different_keys(exported):
    webdataset = pytest.importorskip("webdataset")
    urls = sorted(map(str, exported("webdataset").glob("*.tar")))
    samples = webdataset.WebDataset(urls, shardshuffle=False)
    keys = [sample["__key__"] for sample in samples]
    assert len(keys) == len(set(keys)) == 7


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph:DeprecationWarning")
def test_mlcroissant_reads_scenes_and_images(exported, dataset, monkeypatch, tmp_path):
    # It keeps what it unpacks, by the archives' names.
    monkeypatch.setattr(extract, "EXTRACT_PATH", epath.Path(tmp_path))
    described = mlcroissant.Dataset(str(exported("webdataset") / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    keys = [f"train_{record['scene_name']}" for record in dataset["train"]]
    scenes = {
        row["train-scenes/key"].decode(): json.loads(row["train-scenes/scene"])
        for row in described.records("train-scenes")
    }
    assert sorted(scenes) == sorted(keys)
    for key, record in zip(keys, dataset["train"], strict=True):
        assert scenes[key]["camera_pattern"] == record["camera_pattern"]
    rows = list(described.records("train-color"))
    assert len(rows) == 5 * 6
    for row in rows:
        record = dataset["train"][keys.index(row["train-color/key"].decode())]
        image = np.asarray(row["train-color/color"])
        assert np.array_equal(image, record["color"][row["train-color/view"]])
