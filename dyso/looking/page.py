"""One HTML page, with everything in it, to browse scenes, views and layers."""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections.abc import Iterable
from importlib import resources
from typing import Any

import numpy as np
from PIL import Image

from dyso import geometry
from dyso.looking.animation import VIDEO_RATE
from dyso.looking.scenes import SIDE, Sight, fitted, tiled
from dyso.spec import ResolvedSpec

MAX_BYTES = 32 << 20
"""A page holds as many scenes as fit."""
# The largest side of a WebP image.
_MAX_SHEET = 16383


def page(
    resolved: ResolvedSpec,
    counts: dict[str, int],
    sights: Iterable[Sight],
    max_bytes: int = MAX_BYTES,
) -> tuple[str, int]:
    """Gives the page's HTML, and how many scenes it holds.

    Args:
      resolved: the dataset.
      counts: scenes in each split, for its heading.
      sights: what to show; those that fit are.
      max_bytes: the page's largest size, though one scene there always is.
    """
    scenes: list[str] = []
    template = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    size = len(template) + 2000
    for sight in sights:
        text = _json(_scene(sight))
        if scenes and size + len(text) > max_bytes:
            break
        scenes.append(text)
        size += len(text) + 1
    spec, layout = resolved.spec, resolved.spec.layout
    height, width = spec.resolution
    views = f"{layout.steps} × {layout.cameras} views"
    facts = [
        f"version {spec.version}",
        ", ".join(f"{count:,} {split}" for split, count in counts.items()),
        f"{f'{layout.views} frames' if layout.paired else views} of {width} × {height}",
        resolved.hash,
    ]
    head = {
        "name": spec.name,
        "facts": facts,
        "total": sum(counts.values()),
        "rate": VIDEO_RATE if layout.paired else None,
    }
    data = f'{{"head":{_json(head)},"scenes":[{",".join(scenes)}]}}'
    text = template.replace("{{title}}", html.escape(f"{spec.name}: scenes"))
    return text.replace("{{data}}", data), len(scenes)


def _json(value: Any) -> str:
    """Gives JSON that no HTML parser takes for markup."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _scene(sight: Sight) -> dict[str, Any]:
    return {
        "name": f"{sight.split} {sight.index}",
        "steps": [int(step) for step in sight.steps],
        "cameras": [int(camera) for camera in sight.cameras or (0,)],
        "facts": _scene_facts(sight),
        "views": _view_facts(sight),
        "layers": {
            name: _image(name, images, sight) for name, images in sight.layers.items()
        },
        "aspect": sight.layers["color"].shape[3] / sight.layers["color"].shape[2],
    }


def _image(name: str, images: np.ndarray, sight: Sight) -> str:
    """Gives all views of a layer as one WebP image, in base64."""
    most = _MAX_SHEET // max(images.shape[:2])
    ids = name in ("instance", "category")
    sheet = tiled(fitted(images, min(SIDE, most), smooth=not ids))
    file = io.BytesIO()
    options = {"lossless": True} if ids else {"quality": 92}
    Image.fromarray(sheet).save(file, format="WEBP", method=4, **options)
    return base64.b64encode(file.getvalue()).decode()


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
