"""`tfrecord`: all fields of the records, and captions, for tfds without this package.

`tfds.load(name, data_dir=out)` reads it. An example is a scene with the fields of
docs/format.md, and its captions. Images are PNG; depth is a float32 image of tfds, with
exact values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from dyso.export.examples import mapped, shard_path, write_examples, write_info
from dyso.reading import captions
from dyso.records.features import ColorImage, DepthImage, PackedNumbers, tfds_features
from dyso.spec import ResolvedSpec, Spec

ABOUT = "all fields, for tfds (tfds.load) without this package"


def check(spec: Spec) -> None:
    """Accepts every dataset."""


def paths(
    resolved: ResolvedSpec, split: str, shard: int, shards: int
) -> tuple[str, ...]:
    """Returns the path of one shard."""
    return (shard_path(_builder(resolved.spec), split, shard, shards),)


def write(
    resolved: ResolvedSpec, scenes: Iterable[Mapping[str, Any]], files: Sequence[Path]
) -> None:
    """Writes one shard."""
    write_examples(files[0], features(resolved.spec), _nested(scenes, resolved))


def finish(
    resolved: ResolvedSpec, shards: Mapping[str, Sequence[int]], out: Path
) -> None:
    """Writes tfds's metadata."""
    spec = resolved.spec
    description = spec.description or spec.name
    write_info(out, _builder(spec), features(spec), shards, description)


def features(spec: Spec) -> tfds.features.FeaturesDict:
    """Returns the features, using only tfds's feature classes."""
    fields = mapped(tfds_features(spec), _plain)
    words = tfds.features.Sequence(
        tfds.features.Text(), doc="What the scene shows, in three lengths."
    )
    return tfds.features.FeaturesDict({**fields, "captions": words})


def _plain(feature: Any) -> Any:
    """Replaces a feature class of this project by one of tfds."""
    dtypes = {ColorImage: np.uint8, DepthImage: np.float32}
    if dtype := dtypes.get(type(feature)):
        return tfds.features.Image(
            shape=feature.shape, dtype=dtype, encoding_format="png"
        )
    if isinstance(feature, PackedNumbers):
        return tfds.features.Tensor(shape=feature.shape, dtype=feature.np_dtype)
    return feature


def _nested(
    scenes: Iterable[Mapping[str, Any]], resolved: ResolvedSpec
) -> Iterator[dict[str, Any]]:
    for scene in scenes:
        example: dict[str, Any] = {"captions": captions(scene, resolved.objects)}
        for name, value in scene.items():
            *parents, last = name.split("/")
            inner = example
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
        yield example


def _builder(spec: Spec) -> str:
    return f"{spec.name}/{spec.version}"
