"""COCO: boxes, masks and keypoints of the objects, for detectors and segmenters.

    annotations/instances_<split>.json
    images/<split>/<shard>/scene_000012_view_003.png
    parts/<split>-<shard>.json        a shard's images and annotations

A category is one of the catalog's, with the same id; the background is none. An object
that a view shows at least one pixel of has an annotation:

- `bbox` [x, y, width, height], `area` and `segmentation` (uncompressed RLE) are those
  of its visible pixels. As in COCO, the first pixel covers x and y from 0 to 1.
- `keypoints` are the eight corners of its 3D box, see `dyso.reading.box_corners`.
  COCO's keypoints are indices of pixels: (0, 0) is the centre of the first pixel. Flag
  2: in the image, and nothing that the view shows is nearer; 1: hidden or outside the
  image; 0: behind the camera.
- `amodal_bbox` holds the whole object, see `dyso.reading.amodal_boxes`, and
  `visible_fraction` is from `dyso.reading.visible_fractions`; both are not COCO's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from jaxtyping import Bool, Float64

from dyso import geometry
from dyso.export.cameras import require_rigid
from dyso.export.images import png
from dyso.files import replacing
from dyso.reading import (
    amodal_boxes,
    box_corner_pixels,
    box_corners,
    boxes,
    visible_fractions,
)
from dyso.reading.motion import steps_of
from dyso.reading.objects import EDGES
from dyso.spec import ResolvedSpec, Spec

ABOUT = "COCO: boxes, masks as RLE, amodal boxes, corners of 3D boxes as keypoints"

CORNERS = tuple(f"corner_{i}{j}{k}" for i in (0, 1) for j in (0, 1) for k in (0, 1))
"""Names of the keypoints: i, j and k are 1 at the upper ends of the axes x, y and z."""
MOST_INSTANCES = 256
"""The ids of annotations are image id * this + instance."""


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: objects change their shapes.
    """
    require_rigid(spec, "coco")


def paths(
    resolved: ResolvedSpec, split: str, shard: int, shards: int
) -> tuple[str, ...]:
    """Returns the folder of one shard's images and the file of its annotations."""
    return f"images/{split}/{shard:05d}", f"parts/{split}-{shard:05d}.json"


def write(
    resolved: ResolvedSpec, scenes: Iterable[Mapping[str, Any]], files: Sequence[Path]
) -> None:
    """Writes the images and the annotations of one shard."""
    folder, part = files
    folder.mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for record in scenes:
        names = []
        for view, color in enumerate(record["color"]):
            scene = int(record["index"])
            name = f"scene_{scene:06d}_view_{view:03d}.png"
            (folder / name).write_bytes(png(color))
            names.append(scene * resolved.spec.views + view)
            images.append(
                {
                    "id": names[-1],
                    "file_name": f"{folder.name}/{name}",
                    "height": color.shape[0],
                    "width": color.shape[1],
                }
            )
        annotations += annotations_of(record, names)
    part.write_text(json.dumps({"images": images, "annotations": annotations}))


def annotations_of(
    record: Mapping[str, Any], image_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """Returns the annotations of a scene.

    Args:
      record: the whole scene.
      image_ids: the ids of its views.
    """
    tight, whole = boxes(record), amodal_boxes(record)
    fractions = visible_fractions(record)
    keypoints = _keypoints(record)
    annotations = []
    for view, image in enumerate(image_ids):
        for number, category in enumerate(record["objects/category_id"]):
            mask = record["instance"][view, ..., 0] == number + 1
            if not mask.any():
                continue
            annotations.append(
                {
                    "id": image * MOST_INSTANCES + number + 1,
                    "image_id": image,
                    "category_id": int(category),
                    "bbox": _sides(tight[number, view]),
                    "area": int(mask.sum()),
                    "segmentation": {"size": mask.shape, "counts": run_lengths(mask)},
                    "iscrowd": 0,
                    "keypoints": keypoints[number, view].round(3).ravel().tolist(),
                    "num_keypoints": int((keypoints[number, view, :, 2] > 0).sum()),
                    "amodal_bbox": _sides(whole[number, view].round(3)),
                    "visible_fraction": round(float(fractions[number, view]), 4),
                }
            )
    return annotations


def run_lengths(mask: Bool[np.ndarray, "H W"]) -> list[int]:
    """Returns a mask's runs in column order, which begin with one of 0."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], ends, [mask.size]])).tolist()


def finish(
    resolved: ResolvedSpec, shards: Mapping[str, Sequence[int]], out: Path
) -> None:
    """Writes the annotations of each split, as one file."""
    spec = resolved.spec
    about = f"{spec.name} {spec.version}, {resolved.hash}: {spec.description}"
    head = {
        "info": {"description": about, "version": spec.version},
        "licenses": [],
        "categories": [
            {
                "id": index + 1,
                "name": name,
                "supercategory": "object",
                "keypoints": CORNERS,
                # From 1, as in COCO.
                "skeleton": (EDGES + 1).tolist(),
            }
            for index, name in enumerate(resolved.objects.categories())
        ],
    }
    (out / "annotations").mkdir(exist_ok=True)
    for split, lengths in shards.items():
        parts = [out / paths(resolved, split, i, 0)[1] for i in range(len(lengths))]
        with (
            replacing(out / "annotations" / f"instances_{split}.json") as path,
            path.open("w") as file,
        ):
            file.write(json.dumps(head)[:-1])
            for name in ("images", "annotations"):
                file.write(f', "{name}": [')
                _join(file, parts, name)
                file.write("]")
            file.write("}\n")


def _join(file: TextIO, parts: Iterable[Path], name: str) -> None:
    """Writes the lists of all parts as one; holds one part in memory at a time."""
    separator = ""
    for part in parts:
        for item in json.loads(part.read_text())[name]:
            file.write(f"{separator}\n{json.dumps(item)}")
            separator = ","


def _sides(box: Float64[np.ndarray, " 4"]) -> list[float]:
    low, high = box[:2], box[2:]
    return np.concatenate([low, high - low]).tolist()


def _keypoints(record: Mapping[str, Any]) -> Float64[np.ndarray, "N V 8 3"]:
    """Returns the corners as COCO's keypoints: x, y as indices of pixels, flag."""
    pixels, z = box_corner_pixels(record)
    views, height, width = record["depth"].shape[:3]
    centres = geometry.invert(record["extrinsics"].astype(np.float64))[:, None, :, 3]
    corners = box_corners(record)[:, steps_of(record)]
    distance = np.linalg.norm(corners - centres, axis=-1)
    inside = (z > 0) & ((pixels >= 0) & (pixels < [width, height])).all(-1)
    column, row = np.moveaxis(np.where(inside[..., None], pixels, 0), -1, 0).astype(int)
    shown = record["depth"][np.arange(views)[:, None], row, column, 0]
    seen = inside & (distance <= shown * (1 + geometry.DEPTH_TOLERANCE))
    flags = np.where(z > 0, np.where(seen, 2, 1), 0)
    points = np.where((z > 0)[..., None], pixels - 0.5, 0)
    return np.concatenate([points, flags[..., None]], axis=-1)
