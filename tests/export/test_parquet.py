"""Exports as parquet, read by the datasets package."""

import mlcroissant
import numpy as np
import pytest

from dyso import geometry
from dyso.reading import captions

IMAGES = ("color", "instance", "category", "normal", "object_coordinates", "depth")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield pytest.importorskip("datasets")


@pytest.fixture(scope="module")
def train(hub, exported, tmp_path_factory):
    files = str(exported("parquet") / "data" / "train-*.parquet")
    cache = str(tmp_path_factory.mktemp("cache"))
    return hub.load_dataset("parquet", data_files=files, cache_dir=cache)["train"]


def test_a_row_is_a_view(hub, train, dataset):
    assert len(train) == 5 * 6
    for name in IMAGES:
        assert isinstance(train.features[name], hub.Image)
    for index, record in enumerate(dataset["train"]):
        for view in range(6):
            row = train[index * 6 + view]
            assert (row["view"], row["step"], row["camera"]) == (
                view,
                view // 3,
                view % 3,
            )
            for name in IMAGES:
                image = np.asarray(row[name]).reshape(24, 32, -1)
                assert image.dtype == record[name].dtype
                assert np.array_equal(image, record[name][view]), name
            for name in ("intrinsics", "extrinsics"):
                assert np.array_equal(
                    np.float32(row[name]), record[name][view].astype(np.float32)
                )
            words = captions(record, dataset.resolved.objects)
            assert row["captions"] == list(words)
            assert row["objects_pixels"] == record["objects/pixels"][:, view].tolist()
            for name, value in record.items():
                if name not in (*IMAGES, "intrinsics", "extrinsics", "objects/pixels"):
                    assert row[name.replace("/", "_")] == value.tolist(), name


def test_depth_and_cameras_place_the_spheres(train):
    for row in train:
        origins, directions = geometry.rays(
            np.array(row["intrinsics"]),
            np.array(row["extrinsics"]),
            geometry.pixel_grid(24, 32, np),
        )
        depth = np.asarray(row["depth"])[..., None].astype(np.float64)
        points = origins + directions * depth
        seen = points[np.asarray(row["instance"]) == 1]
        centre = np.array(row["objects_positions"])[0, row["step"]]
        radii = np.linalg.norm(seen - centre, axis=-1)
        assert np.abs(radii - row["objects_sizes"][0][0] / 2).max(initial=0) < 2e-3


def test_the_card_names_the_splits(hub, exported, tmp_path):
    loaded = hub.load_dataset(str(exported("parquet")), cache_dir=str(tmp_path))
    assert {name: len(part) for name, part in loaded.items()} == {
        "train": 30,
        "validation": 12,
    }
    card = (exported("parquet") / "README.md").read_text()
    assert "| `depth` | Metres, Euclidean distance" in card
    assert "| `captions` | What the scene shows" in card


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph:DeprecationWarning")
def test_mlcroissant_reads_the_records(exported, dataset):
    folder = exported("parquet")
    described = mlcroissant.Dataset(str(folder / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    rows = list(described.records("train"))
    assert len(rows) == 30
    record, row = dataset["train"][1], rows[6 + 4]
    assert (row["train/view"], row["train/step"], row["train/camera"]) == (4, 1, 1)
    for name in IMAGES:
        image = np.asarray(row[f"train/{name}"]).reshape(24, 32, -1)
        assert np.array_equal(image, record[name][4]), name
    assert np.array_equal(
        np.float32(row["train/extrinsics"]), record["extrinsics"][4].astype(np.float32)
    )
    assert row["train/scene_name"].decode() == record["scene_name"]
    words = captions(record, dataset.resolved.objects)
    assert [each.decode() for each in row["train/captions"]] == list(words)
