"""`webdataset`: tar files for the webdataset package; a sample is a scene.

A whole scene, because a tar is read in order and shuffled by samples, which would tear
the views of a scene apart. Its key, `<split>_<scene_name>`, is in no other split. A
sample has, with i the view in as many digits as needed:

    color_<i>.png  instance_<i>.png  category_<i>.png  normal_<i>.png ...
    depth.npy       float32 [V, H, W, 1], metres
    intrinsics.npy, extrinsics.npy, objects_sizes.npy ...   the other numeric fields
    scene.json      the fields that are text or one number, and the `Scene` itself
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dyso import records
from dyso.export.images import png
from dyso.spec import ResolvedSpec, Spec

ABOUT = "tar files, a scene a sample, for the webdataset package"


def check(spec: Spec) -> None:
    """Holds every dataset."""


def paths(
    resolved: ResolvedSpec, split: str, shard: int, shards: int
) -> tuple[str, ...]:
    """Gives the path of one shard."""
    return (f"{resolved.spec.name}-{split}-{shard:06d}.tar",)


def write(
    resolved: ResolvedSpec, scenes: Iterable[Mapping[str, Any]], files: Sequence[Path]
) -> None:
    """Writes one shard."""
    import webdataset

    with (
        open(files[0], "wb") as file,
        # A fixed time, or the bytes would tell when they were written.
        webdataset.TarWriter(file, encoder=False, mtime=0) as writer,
    ):
        for record in scenes:
            writer.write(sample(record))


def finish(
    resolved: ResolvedSpec, shards: Mapping[str, Sequence[int]], out: Path
) -> None:
    """Needs nothing beside the shards."""


def sample(record: Mapping[str, Any]) -> dict[str, str | bytes]:
    """Returns a scene's files by extension, and its split and name as `__key__`."""
    digits = len(str(len(record["color"]) - 1))
    made: dict[str, str | bytes] = {
        # Of the whole dataset: people read several splits as one stream.
        "__key__": f"{record['split']}_{record['scene_name']}"
    }
    said: dict[str, Any] = {}
    for field in records.FIELDS:
        if field.name not in record:
            continue
        name, value = field.name.replace("/", "_"), record[field.name]
        if field.encoding == "image":
            for view, image in enumerate(value):
                made[f"{name}_{view:0{digits}d}.png"] = png(image)
        elif field.encoding == "text" or not field.shape:
            said[name] = value.tolist()
        else:
            file = io.BytesIO()
            np.save(file, value)
            made[f"{name}.npy"] = file.getvalue()
    for name in ("scene", "versions"):
        said[name] = json.loads(said[name])
    return made | {"scene.json": json.dumps(said).encode()}
