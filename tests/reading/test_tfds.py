"""tfds reads the same values as `dyso.reading`, through each of its interfaces."""

import pickle

import numpy as np
import pytest

# tfds and TensorFlow warn of their own parts.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def tfds():
    import tensorflow_datasets

    import dyso.tfds  # noqa: F401

    return tensorflow_datasets


def flat(example, prefix=""):
    for key, value in example.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}/")
        else:
            yield prefix + key, np.asarray(value)


def assert_same(example, expected):
    found = dict(flat(example))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if value.dtype.kind == "U":
            assert np.array_equal(found[name].astype("S"), np.char.encode(value)), name
        else:
            assert np.array_equal(found[name], value), name
    assert found["depth"].dtype == np.float32
    assert found["color"].dtype == np.uint8


def test_data_source(tfds, dataset, folder):
    source = tfds.data_source("dyso", data_dir=folder, split="train")
    assert len(source) == 10
    assert_same(source[7], dataset["train"][7])
    parts = tfds.data_source("dyso", data_dir=folder)
    assert {split: len(part) for split, part in parts.items()} == {
        "train": 10,
        "test": 2,
    }


def test_builder_from_directory(tfds, dataset, folder):
    builder = tfds.builder_from_directory(folder)
    assert builder.info.splits["train"].num_examples == 10
    assert builder.info.dataset_size == sum(
        file.stat().st_size for file in folder.glob("*array_record*")
    )
    source = builder.as_data_source("train[3:6]")
    assert len(source) == 3
    assert_same(source[2], dataset["train"][5])


def test_load_as_tensorflow_dataset(tfds, dataset, folder):
    loaded = tfds.load("dyso", data_dir=folder, split="train[3:7]+test")
    assert loaded.cardinality() == 6
    assert loaded.element_spec["color"].shape == (6, 24, 32, 3)
    examples = list(loaded.as_numpy_iterator())
    expected = [*dataset["train[3:7]"], *dataset["test"]]
    for example, scene in zip(examples, expected, strict=True):
        assert_same(example, scene)


def test_load_with_shuffling_and_partial_decoding(tfds, folder):
    partial = tfds.decode.PartialDecoding({"index": True})
    config = tfds.ReadConfig(shuffle_seed=1)

    def indices(**options):
        loaded = tfds.load(
            "dyso", data_dir=folder, split="train", decoders=partial, **options
        )
        return [int(example["index"]) for example in loaded.as_numpy_iterator()]

    assert indices() == list(range(10))
    shuffled = indices(shuffle_files=True, read_config=config)
    assert sorted(shuffled) == list(range(10)) and shuffled != list(range(10))


def test_the_builder_pickles(tfds, folder):
    builder = pickle.loads(pickle.dumps(tfds.builder("dyso", data_dir=folder)))
    assert len(builder.as_data_source("test")) == 2
