"""Boxes, silhouettes and velocities of objects, computed from a record.

They follow from poses, depth and instances, and are therefore not stored. Pixels are
(x, y), and pixel (row i, column j) covers x from j to j + 1 and y from i to i + 1. N is
the number of objects, V of views, T of dynamics steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from dyso import geometry
from dyso.reading.motion import (
    MOTION_FIELDS,
    deforms,
    steps_of,
    view_of,
    views_of,
)
from dyso.spec import UserError

OBJECT_FIELDS = (*MOTION_FIELDS, "objects/sizes")
"""The fields that a record must hold."""

Surfaces = tuple[Float32[np.ndarray, "_ 3"], ...]
"""Points on each object, metres in its own frame, whose origin is its box's centre."""

_SIGNS = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))
EDGES = np.array(
    [(a, b) for a in range(8) for b in range(a) if bin(a ^ b).count("1") == 1]
)
"""The twelve edges of a box, [12, 2]: the indices of two of its corners."""
_NEAR = 1e-3
"""Metres; parts of a box that are nearer along the optical axis are cut off."""
_SLOPE = 4
"""A surface spans neighbouring pixels if its points are at most so many pixels apart,
seen from the front; farther points lie on two sides of a gap."""
_FINEST = 8
"""The most points on a side of a pixel."""
_PER_PIXEL = 4
"""Points on a side of a pixel, in the view where the object is nearest."""
_REACH = 0.2
"""Pixels; a point of the surface fills a pixel if it is this near to its centre. With
0.5 silhouettes would be half a pixel too wide, with 0 they would have holes."""


class Velocities(NamedTuple):
    """Velocities of objects, in the world.

    Attributes:
      linear: metres per second, or per dynamics step; of the object's origin.
      angular: radians per second, or per dynamics step; the direction is the axis.
    """

    linear: Float64[np.ndarray, "N T 3"]
    angular: Float64[np.ndarray, "N T 3"]


def box_corners(record: Mapping[str, Any]) -> Float64[np.ndarray, "N T 8 3"]:
    """Returns the corners of the objects' 3D boxes, metres in the world.

    The box of an object that deforms holds its mesh at each step; for it, the record
    must have `mesh/vertices` and `mesh/instance`.

    Corner 4 i + 2 j + k is at the upper end of the object's own x axis if i is 1, of
    its y axis if j is 1, and of its z axis if k is 1; otherwise at the lower end.

    Args:
      record: with `objects/sizes`, `objects/positions` and `objects/quaternions`.
    """
    poses = _poses(record)
    if deforms(record):
        corners = np.stack(
            [
                vertices.min(1)[:, None]
                + (_SIGNS + 0.5) * np.ptp(vertices, axis=1)[:, None]
                for vertices in _vertices(record)
            ]
        )
        return geometry.transform(poses[:, :, None], corners)
    corners = record["objects/sizes"].astype(np.float64)[:, None] * _SIGNS
    return geometry.transform(poses[:, :, None], corners[:, None])


def box_corner_pixels(
    record: Mapping[str, Any], steps: Sequence[int] | None = None
) -> tuple[Float64[np.ndarray, "N V 8 2"], Float64[np.ndarray, "N V 8"]]:
    """Returns where the corners of the 3D boxes are in each view.

    Args:
      record: with cameras and objects, see `OBJECT_FIELDS`.
      steps: the dynamics step of each view; None if the record has all its views.

    Returns:
      Pixels (x, y), which may be outside the image, and metres along the optical axis,
      which are not positive for corners behind the camera. Their pixels are
      meaningless.
    """
    corners = box_corners(record)[:, steps_of(record, steps)]
    pixels, _, z = geometry.project(
        corners,
        record["intrinsics"].astype(np.float64)[:, None],
        record["extrinsics"].astype(np.float64)[:, None],
    )
    return pixels, z


def boxes(record: Mapping[str, Any]) -> Float64[np.ndarray, "N V 4"]:
    """Returns the 2D boxes around the visible pixels of each object in each view.

    Args:
      record: with `instance` and `objects/sizes`.

    Returns:
      Pixels (x_min, y_min, x_max, y_max); all 0 where no pixel shows the object. The
      box of a single pixel in row i and column j is (j, i, j + 1, i + 1).
    """
    instance = record["instance"][..., 0]
    result = np.zeros((len(record["objects/sizes"]), len(instance), 4))
    for number, view in np.ndindex(result.shape[:2]):
        result[number, view] = box_of(instance[view] == number + 1)
    return result


def box_of(mask: Bool[np.ndarray, "H W"]) -> Float64[np.ndarray, " 4"]:
    """Returns the 2D box around the pixels of a mask; see `boxes`."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.zeros(4)
    ends = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return np.array(ends, np.float64)


def amodal_boxes(
    record: Mapping[str, Any], steps: Sequence[int] | None = None
) -> Float64[np.ndarray, "N V 4"]:
    """Returns 2D boxes that hold each whole object in each view, hidden parts included.

    They are the boxes around the image of the object's 3D box: exact for the box, and
    wider than the object where it does not reach the corners of its box.

    Args:
      record: with cameras and objects, see `OBJECT_FIELDS`.
      steps: the dynamics step of each view; None if the record has all its views.

    Returns:
      Pixels (x_min, y_min, x_max, y_max), which may be outside the image; all 0 where
      the 3D box is behind the camera. Parts behind the camera are cut off.
    """
    intrinsics = record["intrinsics"].astype(np.float64)[:, None]
    extrinsics = record["extrinsics"].astype(np.float64)[:, None]
    corners = box_corners(record)[:, steps_of(record, steps)]
    local = geometry.transform(extrinsics, corners)
    start, end = local[..., EDGES[:, 0], :], local[..., EDGES[:, 1], :]
    along = end[..., 2] - start[..., 2]
    share = (_NEAR - start[..., 2]) / np.where(along == 0, np.inf, along)
    crossing = start + share[..., None] * (end - start)
    points = np.concatenate([local, crossing], axis=-2)
    valid = np.concatenate([local[..., 2] >= _NEAR, (share > 0) & (share < 1)], -1)
    identity = np.eye(3, 4)
    pixels, _, _ = geometry.project(points, intrinsics, identity)
    inside = valid[..., None]
    low = np.where(inside, pixels, np.inf).min(-2)
    high = np.where(inside, pixels, -np.inf).max(-2)
    seen = valid.any(-1)[..., None]
    return np.where(seen, np.concatenate([low, high], -1), 0)


def velocities(record: Mapping[str, Any], rate: float = 1.0) -> Velocities:
    """Returns the velocities of the objects at each dynamics step.

    They are differences between the next step and the previous one; at the first and
    the last step, between it and its neighbour. In scenes of one step, they are 0. A
    turn of more than half a circle between these steps is taken for the shorter one.

    Args:
      record: with `objects/positions` and `objects/quaternions`.
      rate: dynamics steps per second, such as the `dynamics.frame_rate` of a spec with
        physics; 1 gives velocities per step.
    """
    positions = record["objects/positions"].astype(np.float64)
    quaternions = record["objects/quaternions"].astype(np.float64)
    last = positions.shape[1] - 1
    if last == 0:
        return Velocities(np.zeros_like(positions), np.zeros_like(positions))
    before = np.maximum(np.arange(last + 1) - 1, 0)
    after = np.minimum(np.arange(last + 1) + 1, last)
    gap = ((after - before) / rate)[:, None]
    conjugate = quaternions[:, before] * [1.0, -1.0, -1.0, -1.0]
    turn = geometry.quaternion_multiply(quaternions[:, after], conjugate)
    turn = np.where(turn[..., :1] < 0, -turn, turn)
    sine = np.linalg.norm(turn[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, turn[..., :1])
    axis = turn[..., 1:] / np.where(sine == 0, 1, sine)
    return Velocities(
        linear=(positions[:, after] - positions[:, before]) / gap,
        angular=axis * angle / gap,
    )


def spacings(
    record: Mapping[str, Any], steps: Sequence[int] | None = None
) -> Float64[np.ndarray, " N"]:
    """Returns how far apart points on each object must be to fill its pixels, metres.

    It is the size of a pixel at the object's centre, in the view where this is nearest,
    over `_PER_PIXEL`.

    Args:
      record: with cameras and objects, see `OBJECT_FIELDS`.
      steps: the dynamics step of each view; None if the record has all its views.
    """
    centres = _poses(record)[..., 3][:, steps_of(record, steps)]
    z = geometry.transform(record["extrinsics"].astype(np.float64), centres)[..., 2]
    sizes = np.where(z > _NEAR, z, np.inf) / record["intrinsics"][:, 0, 0]
    # Objects that no camera has in front have no points; any spacing will do.
    nearest = sizes.min(1)
    return np.where(np.isfinite(nearest), nearest, 1) / _PER_PIXEL


def surfaces(
    record: Mapping[str, Any],
    steps: Sequence[int] | None = None,
    spacing: Float64[np.ndarray, " N"] | None = None,
) -> Surfaces:
    """Returns points on the part of each object's surface that any view shows.

    Args:
      record: with `OBJECT_FIELDS`.
      steps: the dynamics step of each view; None if the record has all its views.
      spacing: metres between points, about; None: `spacings` of these views.

    Raises:
      UserError: objects change their shapes, so no surface serves all steps.
    """
    if deforms(record):
        raise UserError(
            "surfaces, silhouettes and visible fractions are known only of objects "
            "that keep their shapes, but dynamics.animate, dynamics.articulate, "
            "dynamics.gait or dynamics.deform changes them"
        )
    if spacing is None:
        spacing = spacings(record, steps)
    views = views_of(record, steps)
    parts: list[list[np.ndarray]] = [[] for _ in spacing]
    for view in range(len(views.depth)):
        seen = view_of(views, view)
        points = geometry.unproject(
            np.where(seen.instance > 0, seen.depth, 0), seen.intrinsics, seen.extrinsics
        )
        pixel = seen.depth / seen.intrinsics[0, 0]
        for instance in np.unique(seen.instance[seen.instance > 0]):
            mask = seen.instance == instance
            step = spacing[instance - 1]
            dense = _between(points, mask, pixel, step)
            local = geometry.transform(
                geometry.invert(seen.poses[instance])[None],
                np.concatenate([points[mask], dense]),
            )
            parts[instance - 1].append(_thinned(local, step))
    return tuple(
        _thinned(np.concatenate([np.zeros((0, 3)), *own]), step).astype(np.float32)
        for own, step in zip(parts, spacing, strict=True)
    )


def merged_surfaces(
    first: Surfaces, second: Surfaces, spacing: Float64[np.ndarray, " N"]
) -> Surfaces:
    """Returns the surfaces of two parts of a record as one; see `surfaces`."""
    return tuple(
        _thinned(np.concatenate(parts), step)
        for *parts, step in zip(first, second, spacing, strict=True)
    )


def silhouettes(
    record: Mapping[str, Any],
    steps: Sequence[int] | None = None,
    surface: Surfaces | None = None,
    margin: int = 0,
) -> Iterator[Bool[np.ndarray, "N rows columns"]]:
    """Yields, for each view, the pixels of each object, with its hidden parts.

    A pixel belongs to an object if it shows it, or if a part of its surface that any
    other view shows, at whatever dynamics step, falls near its centre. What no view
    ever shows is missing, and edges are accurate to about a pixel.

    Args:
      record: with `OBJECT_FIELDS`.
      steps: the dynamics step of each view; None if the record has all its views.
      surface: the objects' `surfaces`, of more views; None: those of these views.
      margin: pixels around the image that are added on each side, for objects that are
        partly outside.
    """
    known = surfaces(record, steps) if surface is None else surface
    views = views_of(record, steps)
    height, width = views.depth.shape[1:]
    for view in range(len(views.depth)):
        seen = view_of(views, view)
        masks = np.zeros((len(known), height + 2 * margin, width + 2 * margin), bool)
        for number, local in enumerate(known):
            points = geometry.transform(
                seen.poses[number + 1][None], local.astype(np.float64)
            )
            pixels, _, z = geometry.project(points, seen.intrinsics, seen.extrinsics)
            # Clipped before the cast: pixels of near points may overflow integers.
            column, row = np.floor(np.clip(pixels, -1e6, 1e6)).astype(int).T + margin
            off = abs(pixels - np.floor(pixels) - 0.5).max(-1)
            inside = (z > _NEAR) & (row >= 0) & (off < _REACH) & (row < masks.shape[1])
            inside &= (column >= 0) & (column < masks.shape[2])
            masks[number, row[inside], column[inside]] = True
            image = masks[number, margin : margin + height, margin : margin + width]
            image |= seen.instance == number + 1
        yield masks


def visible_fractions(
    record: Mapping[str, Any],
    steps: Sequence[int] | None = None,
    surface: Surfaces | None = None,
) -> Float64[np.ndarray, "N V"]:
    """Returns the visible pixels of each object over those of its silhouette.

    The silhouette holds parts outside the image, up to the image's size away; see
    `silhouettes` for its accuracy. The fraction is 0 where the object is not seen.

    Args:
      record: with `OBJECT_FIELDS`.
      steps: the dynamics step of each view; None if the record has all its views.
      surface: the objects' `surfaces`, of more views; None: those of these views.
    """
    margin = max(record["instance"].shape[1:3])
    fractions = []
    whole = silhouettes(record, steps, surface, margin)
    for masks, instance in zip(whole, record["instance"][..., 0], strict=True):
        ids = np.arange(1, len(masks) + 1)
        seen = (instance == ids[:, None, None]).sum((1, 2))
        fractions.append(seen / np.maximum(masks.sum((1, 2)), 1))
    return np.array(fractions).T


def _vertices(record: Mapping[str, Any]) -> Iterator[Float64[np.ndarray, "T K 3"]]:
    """Yields the vertices of each object's mesh in its own frame, at each step."""
    for number in range(len(record["objects/sizes"])):
        own = record["mesh/instance"] == number + 1
        yield record["mesh/vertices"][:, own].astype(np.float64)


def _poses(record: Mapping[str, Any]) -> Float64[np.ndarray, "N T 3 4"]:
    return geometry.pose_matrix(
        record["objects/positions"].astype(np.float64),
        record["objects/quaternions"].astype(np.float64),
    )


def _between(
    points: Float64[np.ndarray, "H W 3"],
    mask: Bool[np.ndarray, "H W"],
    pixel: Float64[np.ndarray, "H W"],
    spacing: float,
) -> Float64[np.ndarray, "P 3"]:
    """Returns points between those of neighbouring pixels of one surface."""
    cells = (slice(None, -1), slice(1, None))
    places = list(itertools.product(cells, cells))
    whole = np.logical_and.reduce([mask[place] for place in places])
    corners = np.stack([points[place][whole] for place in places])  # [4, Q, 3]
    size = pixel[:-1, :-1][whole]
    reach = np.linalg.norm(corners[1:] - corners[:1], axis=-1).max(0, initial=0)
    corners = corners[:, reach <= _SLOPE * size]
    if not corners.size:
        return np.zeros((0, 3))
    count = int(np.clip(np.ceil(np.median(size) / spacing), 1, _FINEST))
    down, right = np.indices((count, count)).reshape(2, -1) / count
    weights = [(1 - down) * (1 - right), (1 - down) * right]
    weights += [down * (1 - right), down * right]
    return np.einsum("ck,cqx->qkx", weights, corners).reshape(-1, 3)


def _thinned(
    points: Float[np.ndarray, "P 3"], spacing: float
) -> Float[np.ndarray, "Q 3"]:
    """Returns one point of each cube of a grid."""
    cells = np.clip(np.floor(points / spacing).astype(np.int64) + (1 << 20), 0, 1 << 21)
    keys = (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2]
    return points[np.unique(keys, return_index=True)[1]]
