"""Layers as pictures for people: uint8 RGB images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8

LAYERS = ("color", "depth", "instance", "category", "normal", "object_coordinates")
NOTHING = 24
"""The grey of pixels that hit nothing, and of background where layers know none."""

# Near to far; anchors of matplotlib's `magma`, reversed.
_DEPTH = ["fcfdbf", "fe9f6d", "de4968", "8c2981", "3b0f70", "140e36"]
# Okabe and Ito's colours, which people with any colour vision tell apart.
_IDS = ["e69f00", "56b4e9", "009e73", "f0e442", "0072b2", "d55e00", "cc79a7", "aaaaaa"]


def _palette(colors: list[str]) -> UInt8[np.ndarray, "N 3"]:
    return np.frombuffer(bytes.fromhex("".join(colors)), np.uint8).reshape(-1, 3)


def picture(
    layer: str, values: Shaped[np.ndarray, "... H W K"]
) -> UInt8[np.ndarray, "... H W 3"]:
    """Gives a layer of a decoded record as RGB images.

    Depth is warm where near and dark where far, by its logarithm, on one scale for all
    of `values`; ids have a colour each, the background none.

    Args:
      layer: one of `LAYERS`.
      values: as decoded, of any number of views.
    """
    if layer == "depth":
        return _depth(values[..., 0])
    if layer in ("instance", "category"):
        ids = values[..., 0]
        colors = _palette(_IDS)[(ids.astype(np.int64) - 1) % len(_IDS)]
        return np.where(ids[..., None] > 0, colors, np.uint8(NOTHING))
    return values


def _depth(depth: Shaped[np.ndarray, "... H W"]) -> UInt8[np.ndarray, "... H W 3"]:
    hit = np.isfinite(depth)
    if not hit.any():
        return np.full((*depth.shape, 3), NOTHING, np.uint8)
    logarithm = np.log(np.where(hit, depth, depth[hit].min()))
    low, high = np.percentile(logarithm[hit], [0.5, 99.5])
    share = np.clip((logarithm - low) / max(high - low, 1e-9), 0, 1)
    at = share * (len(_DEPTH) - 1)
    anchors = np.arange(len(_DEPTH))
    channels = [np.interp(at, anchors, channel) for channel in _palette(_DEPTH).T]
    colors = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return np.where(hit[..., None], colors, np.uint8(NOTHING))


def pictures(record: Mapping[str, Any]) -> dict[str, UInt8[np.ndarray, "V H W 3"]]:
    """Gives the pictures of every layer that a decoded record has."""
    return {layer: picture(layer, record[layer]) for layer in LAYERS if layer in record}
