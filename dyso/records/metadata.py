"""Reads and writes the metadata files beside a dataset's shards."""

from __future__ import annotations

import errno
import json
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dyso.records.card import CARD, card
from dyso.records.croissant import CROISSANT, describe, shard_files, to_text
from dyso.records.errors import RecordError
from dyso.records.fields import fields_of
from dyso.records.shards import shard_name
from dyso.spec import ResolvedSpec, Spec, save_resolved
from dyso.storage import Folder, open_folder, require_folder

MAX_JSON = 1 << 28
"""Largest metadata file in bytes; for a million scenes they take some MB."""


def write_metadata(
    directory: str | Path | Folder,
    resolved: ResolvedSpec,
    splits: Mapping[str, Sequence[int]],
    extra: Mapping[str, Any] | None = None,
    licenses: Sequence[str] = (),
) -> None:
    """Writes the metadata with which `dyso.reading` and tfds load a folder of shards.

    Writes spec.json, metadata.json (`extra`), croissant.json, README.md (the dataset
    card), features.json and, last, dataset_info.json, each atomically.

    Args:
      directory: the folder with the shards, named as by `shard_name`.
      resolved: the spec and its catalogs.
      splits: the number of records in each shard of each split.
      extra: values that JSON can hold; `shards` and `versions` as `dyso generate`
        writes them are described in croissant.json.
      licenses: the licences of the assets that the scenes show.
    """
    extra = dict(extra or {})
    described = describe(
        resolved,
        distribution=shard_files(extra.get("shards", ())),
        licenses=licenses,
        versions=extra.get("versions"),
    )
    about = card(
        resolved,
        rows=sum(sum(lengths) for lengths in splits.values()),
        layout=(
            "A shard is an ArrayRecord file with a `tf.train.Example` for each scene. "
            "`dyso.reading` and `tfds.builder_from_directory` read them."
        ),
        columns={f.name: f.meaning for f in fields_of(resolved.spec)},
        licenses=licenses,
    )
    folder = directory if isinstance(directory, Folder) else open_folder(directory)
    info = _dataset_info(folder, resolved.spec, splits)
    with tempfile.TemporaryDirectory() as scratch:
        info.write_to_directory(scratch)
        written = {file.name: file.read_text() for file in Path(scratch).iterdir()}
    texts: dict[str, str | bytes] = {
        "spec.json": save_resolved(resolved),
        "metadata.json": json.dumps(extra, indent=1) + "\n",
        CROISSANT: to_text(described),
        CARD: about,
        "features.json": written["features.json"],
        "dataset_info.json": written["dataset_info.json"],
    }
    for name, text in texts.items():
        folder.write(name, text if isinstance(text, bytes) else text.encode())
    folder.clean()


def _dataset_info(
    folder: Folder, spec: Spec, splits: Mapping[str, Sequence[int]]
) -> Any:
    """Returns the `tfds.core.DatasetInfo` of a folder of shards."""
    import tensorflow_datasets as tfds

    from dyso.records.features import tfds_features

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
    return info


def read_json(path: Path) -> Any:
    """Reads a metadata file, which may be untrusted.

    Raises:
      OSError: the file cannot be read, or is not a regular file.
      ValueError: the file is not JSON, or has more than `MAX_JSON` bytes.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is not a file", str(path))
    if status.st_size > MAX_JSON:
        raise ValueError(f"has {status.st_size} bytes, more than {MAX_JSON}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("is nested too deep") from error


def feature_faults(directory: str | Path, spec: Spec) -> Iterator[str]:
    """Yields the faults of a dataset's features.json; tfds imports what it names."""
    from dyso.records.features import tfds_features

    with tempfile.TemporaryDirectory() as scratch:
        tfds_features(spec).save_config(scratch)
        expected = dict(_kinds(read_json(Path(scratch) / "features.json")))
    try:
        stored = dict(_kinds(read_json(Path(directory) / "features.json")))
    except OSError as error:
        yield f"cannot be read: {error.strerror}"
        return
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        yield "is not what tfds reads"
        return
    for name in sorted(expected.keys() | stored.keys()):
        if stored.get(name) != expected.get(name):
            actual, wanted = (
                kind or "no such feature"
                for kind in (stored.get(name), expected.get(name))
            )
            yield f"{name}: expected {wanted}, got {actual}"


def _kinds(feature: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yields each feature's name and class in features.json."""
    yield name or "features", str(feature["pythonClassName"])
    if "sequence" in feature:
        yield from _kinds(feature["sequence"]["feature"], f"{name}[]")
    for key, inner in feature.get("featuresDict", {"features": {}})["features"].items():
        yield from _kinds(inner, f"{name}/{key}" if name else key)


def read_splits(directory: str | Path) -> dict[str, tuple[tuple[Path, int], ...]]:
    """Returns the path and the number of records of each split's shards.

    Raises:
      UserError: the folder does not exist.
      RecordError: the folder is not a dataset of this project.
    """
    require_folder(directory)
    path = Path(directory) / "dataset_info.json"
    try:
        info = read_json(path)
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
    """Returns a name after checking that it is not a path."""
    if not re.fullmatch(r"\w{1,200}", name):
        raise ValueError(f"not a name: {name[:80]!r}")
    return name
