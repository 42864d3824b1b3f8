"""Exports as tfrecord, read exactly by tfds where this package cannot be imported."""

import subprocess
import sys

import numpy as np

from dyso.reading import captions

SCRIPT = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "dyso":
            raise ImportError("dyso is not here")

sys.meta_path.insert(0, Blocker())
import numpy as np
import tensorflow_datasets as tfds

folder, out = sys.argv[1:]

def flat(example, prefix=""):
    for key, value in example.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}/")
        else:
            yield prefix + key, np.asarray(value)

found = {}
for split in ("train", "validation"):
    loaded = tfds.load("test", data_dir=folder, split=split)
    for i, example in enumerate(loaded.as_numpy_iterator()):
        for name, value in flat(example):
            if value.dtype == object:
                value = value.astype("S")
            found[f"{split} {i} {name}"] = value
builder = tfds.builder_from_directory(f"{folder}/test/1.0.0")
[example] = builder.as_dataset(split="train[4:]").as_numpy_iterator()
assert np.array_equal(example["color"], found["train 4 color"])
assert builder.info.features["color"].feature.encoding_format == "png"
assert "dyso" not in sys.modules
np.savez(out, **found)
"""


def test_tfds_reads_it_without_this_package(exported, dataset, tmp_path):
    out = tmp_path / "found.npz"
    subprocess.run(
        [sys.executable, "-c", SCRIPT, exported("tfrecord"), out],
        check=True,
        timeout=120,
        capture_output=True,
    )
    found = dict(np.load(out))
    for split in ("train", "validation"):
        for index, record in enumerate(dataset[split]):
            for name, value in record.items():
                got = found.pop(f"{split} {index} {name}")
                if value.dtype.kind == "U":
                    value = np.char.encode(value)
                else:
                    assert got.dtype == value.dtype, name
                assert np.array_equal(got, value), name
            words = found.pop(f"{split} {index} captions").astype(str)
            assert tuple(words) == captions(record, dataset.resolved.objects)
    assert not found
