"""The cameras and objects of a scene, seen from above."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from dyso import geometry

_GROUND, _GRID, _PATH = (24, 26, 29), (44, 47, 52), (110, 113, 118)
_OVERSAMPLED = 4
_MARGIN = 0.08  # share of the side that stays empty
_LENS = 0.16  # share of the side that a camera's field of view is drawn over
_LEAST = 1.0  # metres that the drawing spans at least


def top_view(record: Mapping[str, Any], side: int) -> UInt8[np.ndarray, "side side 3"]:
    """Draws a scene from above, with a grid of metres.

    Each camera is a triangle that opens in the direction of view, by its field of view;
    red is the first camera, violet the last. Each object is the outline of its bounding
    box at every dynamics step, brighter from step to step.

    Args:
      record: a scene, see `dyso.records`.
      side: of the picture, in pixels.
    """
    places, ahead, half_width = _cameras(record)
    boxes = _boxes(record)
    points = np.concatenate([places, boxes.reshape(-1, 2)])
    low, high = points.min(0), points.max(0)
    span = max(float((high - low).max()), _LEAST) / (1 - 2 * (_MARGIN + _LENS / 2))
    size = side * _OVERSAMPLED
    corner = (low + high) / 2 - span / 2

    def pixels(at: Float[np.ndarray, "n 2"]) -> list[tuple[float, float]]:
        """Returns the places in the picture, whose up is the world's y."""
        scaled = (at - corner) / span * size
        return [(float(x), float(size - y)) for x, y in scaled]

    picture = Image.new("RGB", (size, size), _GROUND)
    draw = ImageDraw.Draw(picture)
    unit = 10.0 ** np.ceil(np.log10(span / 20))  # metres, or tens where it is large
    for axis in (0, 1):
        first = np.ceil(corner[axis] / unit) * unit
        for place in np.arange(first, corner[axis] + span, unit):
            ends = np.stack([corner, corner + span])
            ends[:, axis] = place
            draw.line(pixels(ends), fill=_GRID, width=_OVERSAMPLED // 2)
    steps = boxes.shape[1]
    for box in boxes:
        for step, outline in enumerate(box):
            grey = int(90 + 150 * (step + 1) / steps)
            draw.polygon(pixels(outline), outline=(grey,) * 3, width=_OVERSAMPLED)
    if len(places) > 1:
        draw.line(pixels(places), fill=_PATH, width=_OVERSAMPLED // 2)
    sideways = np.stack([-ahead[:, 1], ahead[:, 0]], axis=-1) * half_width[:, None]
    for number, place in enumerate(places):
        hue = 0.8 * number / max(1, len(places) - 1)
        color = tuple(int(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.6, 1.0))
        far = place + _LENS * span * ahead[number]
        wide = _LENS * span * sideways[number]
        triangle = np.stack([place, far + wide, far - wide])
        draw.polygon(pixels(triangle), outline=color, width=_OVERSAMPLED)
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX))


def _cameras(
    record: Mapping[str, Any],
) -> tuple[Float[np.ndarray, "C 2"], Float[np.ndarray, "C 2"], Float[np.ndarray, " C"]]:
    """Returns the cameras' places, directions, and half widths at unit distance.

    Each camera that differs from the one before, in the order of the views.
    """
    extrinsics = _finite(record["extrinsics"])
    intrinsics = _finite(record["intrinsics"])
    both = np.concatenate([extrinsics.reshape(-1, 12), intrinsics.reshape(-1, 9)], 1)
    first = np.sort(np.unique(both, axis=0, return_index=True)[1])
    extrinsics, intrinsics = extrinsics[first], intrinsics[first]
    to_world = geometry.invert(extrinsics)
    ahead = to_world[:, :2, 2]
    # A camera that looks straight down has no direction here.
    ahead = ahead / np.maximum(np.linalg.norm(ahead, axis=-1, keepdims=True), 1e-6)
    half = intrinsics[:, 0, 2] / np.maximum(abs(intrinsics[:, 0, 0]), 1e-6)
    return to_world[:, :2, 3], ahead, half.clip(0.05, 2)


def _boxes(record: Mapping[str, Any]) -> Float[np.ndarray, "N T 4 2"]:
    """Returns the outlines of the objects' bounding boxes on the floor.

    They are the boxes' two longest horizontal extents, as a parallelogram.
    """
    sizes = _finite(record["objects/sizes"])
    positions = _finite(record["objects/positions"])
    rotations = geometry.quaternion_to_matrix(_finite(record["objects/quaternions"]))
    edges = rotations[..., :2, :] * (sizes[:, None, None] / 2)
    lengths = np.linalg.norm(edges, axis=-2)
    chosen = np.sort(np.argsort(lengths, axis=-1)[..., 1:], axis=-1)
    edges = np.take_along_axis(edges, chosen[..., None, :], axis=-1)
    corners = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])
    return positions[..., None, :2] + np.einsum("ki,ntji->ntkj", corners, edges)


def _finite(values: Any) -> Float[np.ndarray, ...]:
    """Returns values as float64, bounded, for a stranger's record may hold any."""
    wide = np.asarray(values, np.float64)
    return np.nan_to_num(wide, posinf=1e6, neginf=-1e6).clip(-1e6, 1e6)
