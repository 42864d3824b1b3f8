"""TFRecord folders that tfds reads without this package.

They are written without TensorFlow, whose start takes longer than writing a shard.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.example_serializer import ExampleSerializer

from dyso.export.images import png


def shard_path(builder: str, split: str, shard: int, shards: int) -> str:
    """Returns the path of a shard, named as tfds does.

    Args:
      builder: `<dataset>/<config, if there is one>/<version>`.
      split: the split's name.
      shard: the shard's number, from 0.
      shards: the number of shards of the split.
    """
    name = f"{Path(builder).parts[0]}-{split}.tfrecord"
    return f"{builder}/{name}-{shard:05d}-of-{shards:05d}"


def mapped(feature: Any, change: Callable[[Any], Any]) -> Any:
    """Applies `change` to a feature, or to each leaf of dictionaries and sequences."""
    match feature:
        case tfds.features.FeaturesDict():
            return tfds.features.FeaturesDict(
                {name: mapped(inner, change) for name, inner in feature.items()}
            )
        case tfds.features.Sequence(feature=inner) if not hasattr(inner, "items"):
            length = feature.get_tensor_info().shape[0]
            return tfds.features.Sequence(change(inner), length=length, doc=feature.doc)
    return change(feature)


class _Image(tfds.features.Image):
    """An image feature that is encoded without TensorFlow."""

    def encode_example(self, example_data: np.ndarray) -> bytes:
        """Returns the PNG of an image; a float32 pixel becomes four uint8 channels."""
        return png(example_data.view(np.uint8))


def _encoding(feature: Any) -> Any:
    if isinstance(feature, tfds.features.Image):
        return _Image(shape=feature.shape, dtype=feature.np_dtype)
    return feature


def write_examples(
    path: Path, features: tfds.features.FeaturesDict, examples: Iterable[dict[str, Any]]
) -> None:
    """Writes a shard; the same examples give the same bytes."""
    serializer = ExampleSerializer(features.get_serialized_info())
    encoding = mapped(features, _encoding)
    with open(path, "wb") as file:
        for example in examples:
            proto = serializer.get_tf_example(encoding.encode_example(example))
            record = proto.SerializeToString(deterministic=True)
            # TFRecord: the length and the record, each followed by a masked CRC-32C.
            for part in (struct.pack("<Q", len(record)), record):
                file.write(part + struct.pack("<I", _masked_checksum(part)))


def _masked_checksum(data: bytes) -> int:
    import google_crc32c

    checksum = google_crc32c.value(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def write_info(
    out: Path,
    builder: str,
    features: tfds.features.FeaturesDict,
    shards: Mapping[str, Sequence[int]],
    description: str,
) -> None:
    """Writes tfds's metadata, next to the shards.

    Args:
      out: tfds's `data_dir`, which contains `builder`.
      builder: see `shard_path`.
      features: the features of an example.
      shards: the number of examples in each shard of each split.
      description: a text for the users of the dataset.
    """
    name, *config, version = Path(builder).parts
    info = tfds.core.DatasetInfo(
        builder=tfds.core.dataset_info.DatasetIdentity(
            name=name,
            version=tfds.core.Version(version),
            data_dir=str(out / builder),
            module_name="",
            config_name=config[0] if config else None,
        ),
        features=features,
        description=description,
    )
    info.set_file_format("tfrecord")
    template = tfds.core.ShardedFileTemplate(
        dataset_name=name, data_dir=str(out / builder), filetype_suffix="tfrecord"
    )
    infos = []
    for split, lengths in shards.items():
        files = [
            out / shard_path(builder, split, shard, len(lengths))
            for shard in range(len(lengths))
        ]
        infos.append(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=list(lengths),
                num_bytes=sum(file.stat().st_size for file in files),
                filename_template=template.replace(split=split),
            )
        )
    info.set_splits(tfds.core.splits.SplitDict(infos))
    info.write_to_directory(out / builder)
