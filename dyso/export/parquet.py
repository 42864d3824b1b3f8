"""`parquet`: a table of views, for the datasets package and other Parquet readers.

A row is a view, because rows are read at random and images are decoded row by row. The
views of a scene are consecutive: view v of scene s of a split is row s * V + v. Fields
of the whole scene are repeated in each of its rows, and so are its captions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dyso import records
from dyso.export.formats import Contents
from dyso.export.images import float_tiff, png
from dyso.reading import captions
from dyso.records import croissant
from dyso.spec import ResolvedSpec, Spec

if TYPE_CHECKING:
    import pyarrow as pa

_KEYS = {
    "view": "The view: dynamics step * cameras + camera.",
    "step": "Its dynamics step.",
    "camera": "Its camera.",
}

_CAPTIONS = "captions", "What the scene shows, in three lengths; see docs/boxes.md."

ABOUT = "a table of views, for the datasets package and other Parquet readers"


def check(spec: Spec) -> None:
    """Accepts every dataset."""


def paths(
    resolved: ResolvedSpec, split: str, shard: int, shards: int
) -> tuple[str, ...]:
    """Returns the path of one shard."""
    return (f"data/{split}-{shard:05d}-of-{shards:05d}.parquet",)


def write(
    resolved: ResolvedSpec, scenes: Iterable[Mapping[str, Any]], files: Sequence[Path]
) -> None:
    """Writes one shard, with one row group per scene."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = schema(resolved.spec)
    # Images are already compressed; zstd is for the values repeated in every row.
    with pq.ParquetWriter(files[0], columns, compression="zstd") as writer:
        for record in scenes:
            rows = list(_rows(record, resolved))
            writer.write_table(pa.Table.from_pylist(rows, columns))


def finish(
    resolved: ResolvedSpec, shards: Mapping[str, Sequence[int]], out: Path
) -> None:
    """Does nothing: readers need only the shards and the card."""


def contents(
    resolved: ResolvedSpec, shards: Mapping[str, Sequence[int]], out: Path
) -> Contents:
    """Describes the files; a split is a record set, and a record is a view."""
    spec = resolved.spec
    globs = {split: f"data/{split}-*.parquet" for split in shards}
    files, sets = [], []
    for split, glob in globs.items():
        name = f"{split}-files"
        files.append(croissant.file_set(name, "application/x-parquet", glob))

        def source(column: str, name: str = name) -> dict[str, Any]:
            return {"fileSet": {"@id": name}, "extract": {"column": column}}

        fields = [
            croissant.source_field(split, key, about, "sc:Integer", source(key))
            for key, about in _KEYS.items()
        ]
        for field in _fields(spec):
            place = source(_column(field))
            if field.encoding in ("image", "depth"):
                place["transform"] = {"jsonPath": "bytes"}
            fields.append(croissant.column(split, field, place))
        name, about = _CAPTIONS
        fields.append(
            croissant.source_field(split, name, about, "sc:Text", source(name))
        )
        sets.append(croissant.record_set(split, "A record is one view.", fields))
    return Contents(
        files=files,
        record_sets=sets,
        rows=spec.views,
        globs=globs,
        columns=_KEYS
        | {_column(field): field.meaning for field in _fields(spec)}
        | dict([_CAPTIONS]),
    )


def schema(spec: Spec) -> pa.Schema:
    """Returns the columns, whose metadata mark the images for the datasets package."""
    import pyarrow as pa

    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    columns = dict.fromkeys(_KEYS, pa.int32())
    hints: dict[str, Any] = {name: _value("int32") for name in columns}
    for field in _fields(spec):
        name = _column(field)
        if field.encoding in ("image", "depth"):
            columns[name], hints[name] = image, {"_type": "Image"}
            continue
        dtype = "string" if field.dtype == "str" else field.dtype
        kind, hint = pa.type_for_alias(dtype), _value(dtype)
        # A row holds one view, so the axis V is dropped.
        for _ in [axis for axis in field.shape if axis != "V"]:
            kind, hint = pa.list_(kind), {"feature": hint, "_type": "List"}
        columns[name], hints[name] = kind, hint
    columns["captions"] = pa.list_(pa.string())
    hints["captions"] = {"feature": _value("string"), "_type": "List"}
    metadata = {"huggingface": json.dumps({"info": {"features": hints}})}
    return pa.schema(columns, metadata)


def _value(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "_type": "Value"}


def _column(field: records.Field) -> str:
    return field.name.replace("/", "_")


def _fields(spec: Spec) -> tuple[records.Field, ...]:
    # A mesh would be repeated in every view's row.
    fields = records.fields_of(spec)
    return tuple(field for field in fields if field.encoding != "packed")


def _rows(
    record: Mapping[str, Any], resolved: ResolvedSpec
) -> Iterator[dict[str, Any]]:
    spec = resolved.spec
    words = captions(record, resolved.objects)
    for view, (step, camera) in enumerate(spec.layout.pairs):
        row: dict[str, Any] = {"view": view, "step": step, "camera": camera}
        row["captions"] = words
        for field in _fields(spec):
            value = record[field.name]
            if "V" in field.shape:
                value = np.take(value, view, field.shape.index("V"))
            if field.encoding in ("image", "depth"):
                encode = png if field.encoding == "image" else float_tiff
                row[_column(field)] = {"bytes": encode(value), "path": None}
            else:
                row[_column(field)] = value.tolist()
        yield row
