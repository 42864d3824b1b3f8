"""Conversion of layers to uint8 RGB images for display."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8

from dyso.reading import parts
from dyso.spec import LAYERS, Spec

PART = "part"
"""The layer that follows from `surface` where joints move: the part of every pixel."""
IDS = ("instance", "category", "surface", PART)
"""The layers whose colours stand for numbers, and must not be blended."""
NOTHING = 24
"""The grey level of pixels without depth, and of the background in id layers."""

# From near to far: anchors of matplotlib's colour map `magma`, reversed.
_DEPTH = ["fcfdbf", "fe9f6d", "de4968", "8c2981", "3b0f70", "140e36"]
# The palette of Okabe and Ito, distinguishable with any colour vision.
_IDS = ["e69f00", "56b4e9", "009e73", "f0e442", "0072b2", "d55e00", "cc79a7", "aaaaaa"]


def _palette(colors: list[str]) -> UInt8[np.ndarray, "N 3"]:
    return np.frombuffer(bytes.fromhex("".join(colors)), np.uint8).reshape(-1, 3)


def picture(
    layer: str, values: Shaped[np.ndarray, "... H W K"]
) -> UInt8[np.ndarray, "... H W 3"]:
    """Converts a layer of a decoded record to RGB images.

    Depth is shown on a logarithmic scale, light for near and dark for far, common to
    all of `values`. Each id has its own colour, and so has each face of `surface`; the
    background is dark grey.

    Args:
      layer: one of `dyso.spec.LAYERS`, or `PART`.
      values: the decoded layer, of any number of views.
    """
    if layer == "depth":
        return _depth(values[..., 0])
    if layer in ("instance", "category", PART):
        ids = values[..., 0]
        colors = _palette(_IDS)[(ids.astype(np.int64) - 1) % len(_IDS)]
        return np.where(ids[..., None] > 0, colors, np.uint8(NOTHING))
    if layer == "surface":
        # An odd factor scatters the faces over all colours, and keeps them distinct.
        faces = values.astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16], np.uint32)
        mixed = faces * np.uint32(0x9E3779) & np.uint32(0xFFFFFF)
        colors = np.stack([mixed >> shift & 255 for shift in (0, 8, 16)], axis=-1)
        shown = np.where(faces[..., None] > 0, 64 + colors * 3 // 4, NOTHING)
        return shown.astype(np.uint8)
    return values


def _depth(depth: Shaped[np.ndarray, "... H W"]) -> UInt8[np.ndarray, "... H W 3"]:
    finite = np.isfinite(depth)
    if not finite.any():
        return np.full((*depth.shape, 3), NOTHING, np.uint8)
    logarithm = np.log(np.where(finite, depth, depth[finite].min()))
    low, high = np.percentile(logarithm[finite], [0.5, 99.5])
    share = np.clip((logarithm - low) / max(high - low, 1e-9), 0, 1)
    at = share * (len(_DEPTH) - 1)
    anchors = np.arange(len(_DEPTH))
    channels = [np.interp(at, anchors, channel) for channel in _palette(_DEPTH).T]
    colors = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return np.where(finite[..., None], colors, np.uint8(NOTHING))


def pictures(record: Mapping[str, Any]) -> dict[str, UInt8[np.ndarray, "V H W 3"]]:
    """Returns the RGB images of all layers in a decoded record, by layer."""
    images = {name: picture(name, record[name]) for name in LAYERS if name in record}
    if "mesh/part" in record:
        shown = parts(record).astype(int)
        # Parts of several objects differ in colour, too.
        apart = np.where(shown > 0, shown + 3 * (record["instance"][..., 0] - 1.0), 0)
        images[PART] = picture(PART, apart[..., None])
    return images


def layers_of(spec: Spec) -> list[str]:
    """Returns the layers that pictures of a spec's records have, in their order."""
    layers: list[str] = [name for name in LAYERS if name in spec.render.layers]
    return [*layers, PART] if spec.articulated else layers
