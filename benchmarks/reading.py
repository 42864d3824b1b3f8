"""Scenes a second and core: 7 of 25 views by dyso.reading, all of them by tfds.

    python benchmarks/reading.py [DATASET]

Both read the same scenes in turn, and the median of the pairs' ratios is printed. tfds
decodes every field, or the named ones alone, which only `tfds.load` can. A second is
one of CPU time, summed over threads, so that other programs do not count. Without a
dataset it makes one of 16 scenes, 25 views of 128 x 128, without a renderer.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

# ruff: noqa: E402
# One core: TensorFlow looks at this when it is imported.
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import tensorflow_datasets as tfds

import dyso.tfds  # noqa: F401
from dyso import records
from dyso.reading import Dataset, Source
from dyso.records.synthetic import synthetic_views
from dyso.sampling import sample_scene
from dyso.spec import Asset, Catalog, ResolvedSpec, Spec

PAIRS = 5
VIEWS = 7
FIELDS = [("color",), ("color", "depth")]


def make_dataset(folder: Path, shards: int = 1) -> None:
    """Writes shards of 16 scenes each."""
    box = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    resolved = ResolvedSpec(
        spec=Spec(name="benchmark", splits={"train": 16 * shards}),
        objects=Catalog(
            name="objects",
            manifest="",
            assets=tuple(
                Asset(id=f"{i:02}", category="sphere", bounds=box) for i in range(20)
            ),
        ),
        backgrounds=Catalog(name="hdris", manifest="", assets=(Asset(id="noon"),)),
    )
    for shard in range(shards):
        indices = range(16 * shard, 16 * (shard + 1))
        scenes = (sample_scene(resolved, "train", index) for index in indices)
        records.write_shard(
            folder / records.shard_name("benchmark", "train", shard, shards),
            (records.encode(scene, synthetic_views(scene)) for scene in scenes),
        )
    records.write_metadata(folder, resolved, {"train": [16] * shards})


def rate(scenes: Iterable[object]) -> float:
    """Reads all; returns scenes per CPU second."""
    start = time.process_time()
    count = sum(1 for _ in scenes)
    return count / (time.process_time() - start)


def compare(
    name: str, ours: Callable[[], Iterable], theirs: Callable[[], Iterable]
) -> None:
    """Reads with both in turn and prints the medians."""
    pairs = [(rate(ours()), rate(theirs())) for _ in range(PAIRS + 1)][1:]
    own, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name:44} {own:7.0f} {other:7.0f} {ratio:7.1f} x", flush=True)


def benchmark(folder: Path) -> None:
    split = next(iter(Dataset(folder).splits.values()))
    print(f"{len(split)} scenes of {split.spec.views} views; scenes/s a core")
    print(f"{'':44} {'dyso':>7} {'tfds':>7}")

    def ours(fields: tuple[str, ...]) -> Callable[[], Iterable]:
        source = Source(split=split, fields=fields, views=VIEWS)
        return lambda: (source[index] for index in range(len(source)))

    def load(decoders: object) -> Callable[[], Iterable]:
        config = tfds.ReadConfig(try_autocache=False)
        return lambda: tfds.load(
            "dyso",
            data_dir=folder,
            split=split.name,
            decoders=decoders,
            read_config=config,
        )

    def data_source() -> Iterable:
        return tfds.data_source("dyso", data_dir=folder, split=split.name)

    for fields in FIELDS:
        name = " + ".join(fields)
        partial = tfds.decode.PartialDecoding(dict.fromkeys(fields, True))
        compare(f"{name}; tfds.load of these alone", ours(fields), load(partial))
        compare(f"{name}; tfds.load", ours(fields), load(None))
        compare(f"{name}; tfds.data_source", ours(fields), data_source)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        benchmark(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            make_dataset(Path(folder))
            benchmark(Path(folder))
