"""`dyso show`: prints one record as numbers."""

from __future__ import annotations

import json as json_module
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from dyso import geometry, terminal
from dyso.reading import Dataset, captions
from dyso.records.sizes import stored_bytes
from dyso.spec import LAYERS, Catalog, Layout, ProceduralCatalog, UserError
from dyso.terminal import say
from dyso.videos.reading import ClipFolder, is_clip_folder

LONGEST = 500  # characters of the line of versions
_Objects = Catalog | ProceduralCatalog


def main(
    dataset: tyro.conf.Positional[Path],
    /,
    *,
    split: str | None = None,
    index: int = 0,
    json: bool = False,
) -> int:
    """Print one record: content, poses, sizes in bytes, provenance.

    Of an output of `dyso videos ingest`, it prints one clip.

    Args:
      dataset: the folder of the dataset, or of the clips.
      split: the split; default: the first.
      index: the record's position in the split; negative counts from its end.
      json: print JSON, with all fields except the images.
    """
    if is_clip_folder(dataset):
        return _show_clip(ClipFolder(dataset), split, index, json)
    opened = Dataset(dataset)
    source = opened[split or next(iter(opened.splits))]
    layout = source.spec.layout
    objects = opened.resolved.objects
    try:
        record, data = source[index], source.record(index)
    except IndexError as error:
        raise UserError(f"{dataset}: {error}") from error
    sizes = stored_bytes(data)
    if json:
        say(_json(record, objects, sizes, len(data)))
    else:
        for line in _lines(record, objects, layout, sizes, len(data)):
            say(line)
    return 0


def _show_clip(folder: ClipFolder, split: str | None, index: int, json: bool) -> int:
    split = split or next(iter(folder.splits))
    try:
        clip = folder[split][index]
    except IndexError as error:
        raise UserError(f"{folder.folder}: {error}") from error
    height, width = folder[split].resolution
    values = {
        "name": clip.name,
        "split": split,
        "label": clip.label,
        "category": clip.category,
        "category_id": clip.category_id,
        "frames": len(clip),
        "resolution": [height, width],
        "fps": round(clip.fps, 3),
        "seconds": round(clip.times[-1], 3),
        "bytes": sum(map(len, clip.images)),
    }
    if json:
        say(json_module.dumps(values | {"times": clip.times}))
    else:
        for name, value in (
            values | {"resolution": terminal.size(height, width)}
        ).items():
            say(f"{name:12} {value}")
    return 0


def _json(
    record: dict[str, Any], objects: _Objects, sizes: dict[str, int], total: int
) -> str:
    values = {
        name: np.asarray(value).tolist()
        for name, value in record.items()
        if name not in LAYERS and not name.startswith("mesh/")
    }
    for name in ("scene", "versions"):
        values[name] = _parsed(values[name])
    images = {name: list(record[name].shape) for name in LAYERS if name in record}
    meshes = {
        name: list(value.shape)
        for name, value in record.items()
        if name.startswith("mesh/")
    }
    near, far = _depth_range(record)
    extra: dict[str, Any] = {"images": images, "depth_range": [near, far]}
    extra["captions"] = _captions(record, objects)
    if meshes:
        extra["meshes"] = meshes
    return json_module.dumps(values | extra | {"bytes": sizes, "total_bytes": total})


def _captions(record: dict[str, Any], objects: _Objects) -> tuple[str, ...]:
    """Returns a record's captions; none if its scene is not that of a scene."""
    try:
        return captions(record, objects)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ()


def _parsed(text: str) -> Any:
    """Parses JSON in a record; returns text that is not JSON unchanged."""
    try:
        return json_module.loads(text)
    except (ValueError, RecursionError):
        return text


def _depth_range(record: dict[str, Any]) -> tuple[float, float] | tuple[None, None]:
    depth = record["depth"]
    hit = depth[np.isfinite(depth)]
    return (float(hit.min()), float(hit.max())) if hit.size else (None, None)


def _lines(
    record: dict[str, Any],
    objects: _Objects,
    layout: Layout,
    sizes: dict[str, int],
    total: int,
) -> Iterator[str]:
    views, height, width, _ = record["color"].shape
    near, far = _depth_range(record)
    yield f"{record['scene_name']} of split {record['split']}"
    for caption in _captions(record, objects)[-1:]:
        yield f"  caption     {caption}"
    size = terminal.size(height, width)
    cameras = f" x {layout.cameras} cameras"
    if layout.paired:
        beside = layout.cameras - layout.steps
        cameras = ", a camera each" + (f", and {beside} held out" if beside else "")
    yield f"  views       {layout.steps} dynamics steps{cameras}, {size}"
    yield f"  pattern     {record['camera_pattern']}"
    turned = math.degrees(float(record["background/rotation"]))
    yield f"  HDRI        {record['background/asset_id']}, turned {turned:.1f} degrees"
    yield "  depth       " + (
        "nothing is hit" if near is None else f"{near:.3f} to {far:.3f} m"
    )
    yield ""
    yield "cameras            position (m)              looking along     focal (px)"
    to_world = geometry.invert(record["extrinsics"].astype(np.float64))
    for camera in range(layout.cameras):
        view = layout.view(layout.steps_of(camera)[0], camera)
        pose, focal_length = to_world[view], record["intrinsics"][view, 0, 0]
        yield (
            f"  {camera:3}  {_row(pose[:, 3])}  {_row(pose[:, 2], 6)}  "
            f"{focal_length:9.2f}"
        )
    for i in range(len(record["objects/sizes"])):
        sides = " x ".join(f"{side:.3f}" for side in record["objects/sizes"][i])
        yield ""
        yield (
            f"object {i}: {record['objects/asset_id'][i]}, "
            f"{record['objects/category'][i] or 'no category'} "
            f"({record['objects/category_id'][i]}), {sides} m"
        )
        yield "  step         position (m)                quaternion (w, x, y, z)" + (
            "        pixels by camera"
        )
        pixels = record["objects/pixels"][i].reshape(layout.shape)
        for step in range(layout.steps):
            counts = " ".join(f"{count:5}" for count in pixels[step][:10])
            yield (
                f"  {step:4} {_row(record['objects/positions'][i, step])} "
                f"{_row(record['objects/quaternions'][i, step])}  {counts}"
            )
    yield ""
    yield f"bytes, {total:,} in all, {total / views:,.0f} a view"
    for name in (name for name in LAYERS if name in sizes):
        yield f"  {name:18} {sizes[name]:9,}  {sizes[name] / views:8,.0f} a view"
    rest = total - sum(sizes[name] for name in LAYERS if name in sizes)
    yield f"  {'all else':18} {rest:9,}"
    yield ""
    yield "provenance"
    yield f"  spec hash   {record['spec_hash']}"
    yield f"  scene       index {record['index']}, attempt {record['attempt']}"
    versions = _parsed(str(record["versions"]))
    if isinstance(versions, dict):
        versions = ", ".join(f"{name} {value}" for name, value in versions.items())
    yield f"  versions    {str(versions)[:LONGEST]}"


def _row(values: np.ndarray, width: int = 9) -> str:
    return " ".join(f"{value:{width}.3f}" for value in values)
