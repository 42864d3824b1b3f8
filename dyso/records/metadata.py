"""The files beside the shards that make a folder a dataset."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dyso.records.errors import RecordError
from dyso.records.shards import shard_name
from dyso.spec import ResolvedSpec, save_resolved
from dyso.storage import Folder, open_folder


def write_metadata(
    directory: str | Path | Folder,
    resolved: ResolvedSpec,
    splits: Mapping[str, Sequence[int]],
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Makes a folder of shards a dataset that `dyso.reading` and tfds can load.

    Writes spec.json, metadata.json (`extra`), features.json, and last
    dataset_info.json, each whole or not at all.

    Args:
      directory: the folder with the shards, which bear the names of `shard_name`.
      resolved: the spec and its catalogs.
      splits: the number of records in each shard of each split.
      extra: JSON-able values.
    """
    import tensorflow_datasets as tfds

    from dyso.records.features import tfds_features

    folder = directory if isinstance(directory, Folder) else open_folder(directory)
    spec = resolved.spec
    sizes = folder.sizes()
    info = tfds.core.DatasetInfo(
        builder=tfds.core.dataset_info.DatasetIdentity(
            name=spec.name,
            version=tfds.core.Version(spec.version),
            data_dir=str(folder),
            module_name="",
        ),
        features=tfds_features(spec),
        description=spec.description or spec.name,
    )
    info.set_file_format("array_record")
    template = tfds.core.ShardedFileTemplate(
        dataset_name=spec.name, data_dir=str(folder), filetype_suffix="array_record"
    )
    infos = []
    for split, lengths in splits.items():
        names = [
            shard_name(spec.name, split, index, len(lengths))
            for index in range(len(lengths))
        ]
        infos.append(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=list(lengths),
                num_bytes=sum(sizes[name] for name in names),
                filename_template=template.replace(split=split),
            )
        )
    info.set_splits(tfds.core.splits.SplitDict(infos))
    with tempfile.TemporaryDirectory() as scratch:
        info.write_to_directory(scratch)
        written = {file.name: file.read_text() for file in Path(scratch).iterdir()}
    texts: dict[str, str | bytes] = {
        "spec.json": save_resolved(resolved),
        "metadata.json": json.dumps(dict(extra or {}), indent=1) + "\n",
        "features.json": written["features.json"],
        "dataset_info.json": written["dataset_info.json"],
    }
    for name, text in texts.items():
        folder.write(name, text if isinstance(text, bytes) else text.encode())
    folder.clean()


def read_splits(directory: str | Path) -> dict[str, tuple[tuple[Path, int], ...]]:
    """Gives each split's shards: the path and the number of records.

    Raises:
      RecordError: the folder is not a dataset of this project.
    """
    path = Path(directory) / "dataset_info.json"
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        dataset, splits = _word(info["name"]), {}
        for split in info["splits"]:
            name = _word(split["name"])
            lengths = [int(length) for length in split["shardLengths"]]
            if not lengths or not all(0 <= length < 2**40 for length in lengths):
                raise ValueError(f"{name}: shards without numbers of records")
            splits[name] = tuple(
                (path.parent / shard_name(dataset, name, i, len(lengths)), length)
                for i, length in enumerate(lengths)
            )
    except OSError as error:
        raise RecordError(
            f"{directory}: not a finished dataset: {path.name}: {error.strerror}"
        ) from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise RecordError(f"{path}: not a dataset's metadata") from error
    return splits


def _word(name: str) -> str:
    """Gives a name that is no path."""
    if not re.fullmatch(r"\w{1,200}", name):
        raise ValueError(f"not a name: {name[:80]!r}")
    return name
