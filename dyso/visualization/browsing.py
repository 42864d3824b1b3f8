"""The files that the page to browse loads when it shows a scene.

Each scene has a folder with `thumb.webp`, one image of all views per layer, and
`scene.js`. The latter is a script that passes facts to the page, because a page opened
from disk may load scripts and images but not read other files.
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
from dyso.visualization.pictures import IDS
from dyso.visualization.scenes import SIDE, SceneView, fitted, load, tiled

THUMB = 96
"""Longest side of a thumbnail, in pixels."""
# The longest side of a WebP image that the format allows.
_MAX_SHEET = 16383


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry of the page's list of scenes, with the values of its filters.

    Attributes:
      split: the split's name.
      index: the record's position in the split.
      pattern: the camera pattern.
      categories: the distinct categories of the objects.
      hdri: the HDRI's id.
    """

    split: str
    index: int
    pattern: str
    categories: tuple[str, ...]
    hdri: str

    @property
    def folder(self) -> str:
        """The name of the scene's folder."""
        return f"{self.split}-{self.index:05}"


def prepare(dataset: Dataset, split: str, index: int, folder: Path) -> Entry:
    """Writes a scene's files and returns its entry.

    Existing files are overwritten, because they may have come with an untrusted
    dataset.

    Args:
      dataset: the dataset.
      split: the split's name.
      index: the record's position in the split.
      folder: the folder in which the scene's folder is created.

    Raises:
      RecordError: the scene is damaged.
      OSError: a file cannot be written.
    """
    scene = load(dataset, split, index)
    record = scene.record
    entry = Entry(
        split=split,
        index=index,
        pattern=str(record["camera_pattern"]),
        categories=tuple(sorted(set(map(str, record["objects/category"])))),
        hdri=str(record["background/asset_id"]),
    )
    write(inside(folder, f"{entry.folder}/"), scene)
    return entry


def write(folder: Path, scene: SceneView) -> None:
    """Writes a scene's files; `scene.js`, which the page needs, comes last.

    Args:
      folder: the scene's folder; created if missing.
      scene: the scene.
    """
    folder.mkdir(parents=True, exist_ok=True)
    middle = scene.layers["color"][0, len(scene.cameras) // 2]
    pictures = {"thumb": _webp(fitted(middle, THUMB), quality=85)}
    for name, images in scene.layers.items():
        # The colours encode ids, so they are neither blended nor compressed lossily.
        ids = name in IDS
        side = min(SIDE, _MAX_SHEET // max(images.shape[:2]))
        options = {"lossless": True} if ids else {"quality": 92}
        pictures[name] = _webp(tiled(fitted(images, side, smooth=not ids)), **options)
    for name, data in pictures.items():
        with records.replacing(folder / f"{name}.webp") as temporary:
            temporary.write_bytes(data)
    facts = {"facts": _scene_facts(scene), "views": _view_facts(scene)}
    with records.replacing(folder / "scene.js") as temporary:
        temporary.write_text(f"receive({to_json(facts)});\n", encoding="utf-8")


def to_json(value: Any) -> str:
    """Returns JSON that is safe to embed in HTML and in scripts."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _webp(image: UInt8[np.ndarray, "H W 3"], **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="WEBP", method=2, **options)
    return file.getvalue()


def _scene_facts(scene: SceneView) -> list[tuple[str, str]]:
    record = scene.record
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


def _view_facts(scene: SceneView) -> list[list[tuple[str, str]]]:
    """Returns names and values of facts, for each view in order."""
    record = scene.record
    centres = geometry.invert(record["extrinsics"].astype(np.float64))[..., 3]
    facts = []
    for view in range(len(centres)):
        step = scene.steps[view // max(1, len(scene.cameras))]
        depth = record["depth"][view]
        finite = depth[np.isfinite(depth)]
        span = "nothing hit"
        if finite.size:
            span = f"{finite.min():.2f} to {finite.max():.2f} m"
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
