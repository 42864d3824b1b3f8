"""`webdataset`: tar files for the webdataset package; a sample is a scene.

A sample holds a whole scene, because a tar is read in order and shuffled by sample,
which would separate the views of a scene. Its key, `<split>_<scene_name>`, is unique in
the dataset. A sample contains, for each view i, zero-padded:

    color_<i>.png  instance_<i>.png  category_<i>.png  normal_<i>.png ...
    depth.npy       float32 [V, H, W, 1], metres
    intrinsics.npy, extrinsics.npy, objects_sizes.npy ...   the other numeric fields
    scene.json      the text and scalar fields, and the whole `Scene`
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dyso import records
from dyso.export.formats import Contents
from dyso.export.images import png
from dyso.reading import captions
from dyso.records import croissant
from dyso.spec import Catalog, ProceduralCatalog, ResolvedSpec, Spec

ABOUT = "tar files, one sample per scene, for the webdataset package"


def check(spec: Spec) -> None:
    """Accepts every dataset."""


def paths(
    resolved: ResolvedSpec, split: str, shard: int, shards: int
) -> tuple[str, ...]:
    """Returns the path of one shard."""
    return (f"{resolved.spec.name}-{split}-{shard:06d}.tar",)


def write(
    resolved: ResolvedSpec, scenes: Iterable[Mapping[str, Any]], files: Sequence[Path]
) -> None:
    """Writes one shard."""
    import webdataset

    with (
        open(files[0], "wb") as file,
        # A fixed time stamp, so that the bytes do not depend on the time of writing.
        webdataset.TarWriter(file, encoder=False, mtime=0) as writer,
    ):
        for record in scenes:
            writer.write(sample(record, resolved.objects))


def finish(
    resolved: ResolvedSpec, shards: Mapping[str, Sequence[int]], out: Path
) -> None:
    """Does nothing: readers need only the shards."""


def contents(
    resolved: ResolvedSpec, shards: Mapping[str, Sequence[int]], out: Path
) -> Contents:
    """Describes the files.

    Each split has a record set of its scenes' scene.json, and one of views for each
    layer that is an image. Croissant cannot read .npy files.
    """
    files: list[dict[str, Any]] = []
    sets: list[dict[str, Any]] = []
    for split, lengths in shards.items():
        archives = [
            paths(resolved, split, shard, len(lengths))[0]
            for shard in range(len(lengths))
        ]
        files += [
            croissant.file_object(
                tar, "application/x-tar", sha256=records.checksum(out / tar)
            )
            for tar in archives
        ]
        inside = {"containedIn": [{"@id": archive} for archive in archives]}
        name = f"{split}-scenes"
        files.append(
            croissant.file_set(f"{name}-files", "text/plain", "*.scene.json", **inside)
        )
        sets.append(
            croissant.record_set(
                name,
                "A record is one scene.",
                [
                    _from_name(name, "key", "sc:Text", r"^([^.]+)\."),
                    croissant.source_field(
                        name, "scene", "scene.json, as text.", "sc:Text", _content(name)
                    ),
                ],
            )
        )
        for field in records.fields_of(resolved.spec):
            if field.encoding != "image":
                continue
            name, pattern = f"{split}-{field.name}", f"*.{field.name}_*.png"
            files.append(
                croissant.file_set(f"{name}-files", "image/png", pattern, **inside)
            )
            sets.append(
                croissant.record_set(
                    name,
                    f"A record is the {field.name} of one view.",
                    [
                        _from_name(name, "key", "sc:Text", r"^([^.]+)\."),
                        _from_name(name, "view", "sc:Integer", r"^.*_(\d+)\.png$"),
                        croissant.column(name, field, _content(name)),
                    ],
                )
            )
    return Contents(files=files, record_sets=sets)


def _content(name: str) -> dict[str, Any]:
    """Returns the place of a record set's values: the files' contents."""
    return {"fileSet": {"@id": f"{name}-files"}, "extract": {"fileProperty": "content"}}


def _from_name(name: str, key: str, kind: str, pattern: str) -> dict[str, Any]:
    """Returns a field that stands in the names of a record set's files."""
    source = {
        "fileSet": {"@id": f"{name}-files"},
        "extract": {"fileProperty": "filename"},
        "transform": {"regex": pattern},
    }
    return croissant.source_field(name, key, f"The {key}.", kind, source)


def sample(
    record: Mapping[str, Any], objects: Catalog | ProceduralCatalog
) -> dict[str, str | bytes]:
    """Returns a sample: a scene's files by extension, and its `__key__`."""
    digits = len(str(len(record["color"]) - 1))
    files: dict[str, str | bytes] = {
        # Unique in the dataset: people read several splits as one stream.
        "__key__": f"{record['split']}_{record['scene_name']}"
    }
    facts: dict[str, Any] = {}
    for field in records.FIELDS:
        if field.name not in record:
            continue
        name, value = field.name.replace("/", "_"), record[field.name]
        if field.encoding == "image":
            for view, image in enumerate(value):
                files[f"{name}_{view:0{digits}d}.png"] = png(image)
        elif field.encoding == "text" or not field.shape:
            facts[name] = value.tolist()
        else:
            file = io.BytesIO()
            np.save(file, value)
            files[f"{name}.npy"] = file.getvalue()
    for name in ("scene", "versions"):
        facts[name] = json.loads(facts[name])
    facts["captions"] = captions(record, objects)
    return files | {"scene.json": json.dumps(facts).encode()}
