"""What the page to browse loads of a scene, when it is looked at.

A folder a scene: `thumb.webp`; for each layer one picture of all views; and `scene.js`,
a script that hands facts to the page, for pages opened from a disk may not read files.
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dyso import geometry, records
from dyso.reading import Dataset
from dyso.storage import inside
from dyso.visualization.scenes import SIDE, Sight, fitted, look, tiled

THUMB = 96
"""Longest side of a thumbnail, in pixels."""
# The largest side of a WebP image.
_MAX_SHEET = 16383


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A scene as the page lists it, and what it can be filtered by.

    Attributes:
      split: the split's name.
      index: the record's position in the split.
      pattern: the camera pattern.
      categories: of the objects, each once.
      hdri: the HDRI's id.
    """

    split: str
    index: int
    pattern: str
    categories: tuple[str, ...]
    hdri: str

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"{self.split}-{self.index:05}"


def prepare(dataset: Dataset, split: str, index: int, folder: Path) -> Entry:
    """Writes a scene's files, whatever is there: it may be a stranger's.

    Args:
      dataset: the dataset.
      split: the split's name.
      index: the record's position in it.
      folder: gets the scene's own folder.

    Raises:
      RecordError: the scene is damaged.
      OSError: a file cannot be written.
    """
    sight = look(dataset, split, index)
    record = sight.record
    entry = Entry(
        split=split,
        index=index,
        pattern=str(record["camera_pattern"]),
        categories=tuple(sorted(set(map(str, record["objects/category"])))),
        hdri=str(record["background/asset_id"]),
    )
    write(inside(folder, f"{entry.folder}/"), sight)
    return entry


def write(folder: Path, sight: Sight) -> None:
    """Writes a scene's files; `scene.js`, without which the page shows none, last.

    Args:
      folder: is made if it is not there.
      sight: the scene.
    """
    folder.mkdir(parents=True, exist_ok=True)
    middle = sight.layers["color"][0, len(sight.cameras) // 2]
    pictures = {"thumb": _webp(fitted(middle, THUMB), quality=85)}
    for name, images in sight.layers.items():
        # Colours of ids stand for them, so they are kept as they are.
        ids = name in ("instance", "category")
        side = min(SIDE, _MAX_SHEET // max(images.shape[:2]))
        options = {"lossless": True} if ids else {"quality": 92}
        pictures[name] = _webp(tiled(fitted(images, side, smooth=not ids)), **options)
    for name, data in pictures.items():
        with records.replacing(folder / f"{name}.webp") as temporary:
            temporary.write_bytes(data)
    facts = {"facts": _scene_facts(sight), "views": _view_facts(sight)}
    with records.replacing(folder / "scene.js") as temporary:
        temporary.write_text(f"receive({to_json(facts)});\n", encoding="utf-8")


def to_json(value: Any) -> str:
    """Gives JSON that neither HTML nor scripts take for anything else."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _webp(image: UInt8[np.ndarray, "H W 3"], **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="WEBP", method=2, **options)
    return file.getvalue()


def _scene_facts(sight: Sight) -> list[tuple[str, str]]:
    record = sight.record
    facts = [
        ("scene", f"{record['scene_name']}, attempt {record['attempt']}"),
        ("pattern", str(record["camera_pattern"])),
    ]
    for i, (asset, category, size) in enumerate(
        zip(
            record["objects/asset_id"],
            record["objects/category"],
            record["objects/sizes"],
            strict=True,
        )
    ):
        sides = " × ".join(f"{side:.2f}" for side in size)
        label = "object" if len(record["objects/asset_id"]) == 1 else f"object {i}"
        facts.append((label, f"{asset}, {category or 'no category'}, {sides} m"))
    degrees = math.degrees(float(record["background/rotation"]))
    facts.append(("HDRI", f"{record['background/asset_id']}, turned {degrees:.0f}°"))
    return facts


def _view_facts(sight: Sight) -> list[list[tuple[str, str]]]:
    """Gives facts of each view, in the order of the views."""
    record = sight.record
    centres = geometry.invert(record["extrinsics"].astype(np.float64))[..., 3]
    facts = []
    for view in range(len(centres)):
        step = sight.steps[view // max(1, len(sight.cameras))]
        depth = record["depth"][view]
        hit = depth[np.isfinite(depth)]
        span = f"{hit.min():.2f} to {hit.max():.2f} m" if hit.size else "nothing hit"
        pixels = record["objects/pixels"][:, view]
        share = 100 * pixels.sum() / depth.size
        facts.append(
            [
                ("camera at", _vector(centres[view], "m")),
                ("focal length", f"{record['intrinsics'][view, 0, 0]:.1f} px"),
                ("object at", _vector(record["objects/positions"][0, step], "m")),
                ("turned by", _vector(record["objects/quaternions"][0, step], "")),
                ("object pixels", f"{pixels.sum():,} ({share:.1f} %)"),
                ("depth", span),
            ]
        )
    return facts


def _vector(values: np.ndarray, unit: str) -> str:
    return f"({', '.join(f'{value:.2f}' for value in values)}) {unit}".strip()
