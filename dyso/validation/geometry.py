"""The geometry proof: depth, instances and poses of all views of a scene agree.

A pixel of one view, unprojected by its depth, is a point. It moves with its object
from one dynamics step to the next (the background stands still), and is projected into
every other view. There it is

- left out, if it is not in frame;
- agreed, if one of the 3 x 3 pixels around it shows the same instance, and the depths
  of those that do, widened by `TOLERANCE`, span its own;
- hidden, if not agreed, and one of the 3 x 3 shows something nearer;
- wrong otherwise: the view looks through the point at something behind it.

Visible points are the agreed and the wrong. The span of 3 x 3 depths is there for
surfaces seen at a slant, whose depth changes much from one pixel to the next. A point
that is too deep in one view passes as hidden, but on the way back it is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from dyso import geometry

TOLERANCE = 1e-3
"""Relative depth; the rounding of stored depth takes less than a tenth of it."""
REQUIRED = 0.99
"""The share of visible points that must agree; at 128 x 128, 0.998 and more do."""
FEW = 10_000
REQUIRED_OF_FEW = 0.95
"""The share for an instance with fewer visible points, often a sliver of an object."""
SLACK = 25
"""Wrong points that any instance may have."""
POINTS = 256
"""Most pixels that are followed, of the background and of each object, in a view."""

FIELDS = (
    "depth",
    "instance",
    "intrinsics",
    "extrinsics",
    "objects/positions",
    "objects/quaternions",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """Points of instance i followed from view v into view w, counted at [i, v, w].

    Attributes:
      agreed: seen where they must be.
      wrong: not seen there, with nothing that hides them.
      hidden: by something nearer.
    """

    agreed: Int[np.ndarray, "N+1 V V"]
    wrong: Int[np.ndarray, "N+1 V V"]
    hidden: Int[np.ndarray, "N+1 V V"]

    def shares(self) -> Float[np.ndarray, " N+1"]:
        """Gives the share of each instance's visible points that agree; 1 of none."""
        agreed, wrong = self.agreed.sum((1, 2)), self.wrong.sum((1, 2))
        return 1 - wrong / np.maximum(agreed + wrong, 1)

    def share(self) -> float:
        """Gives the share of all visible points that agree; 1 of none."""
        agreed, wrong = self.agreed.sum(), self.wrong.sum()
        return float(1 - wrong / max(agreed + wrong, 1))

    def failed(self) -> Int[np.ndarray, " F"]:
        """Gives the instances too few of whose visible points agree."""
        wrong = self.wrong.sum((1, 2))
        visible = self.agreed.sum((1, 2)) + wrong
        required = np.where(visible < FEW, REQUIRED_OF_FEW, REQUIRED)
        return np.flatnonzero((self.shares() < required) & (wrong > SLACK))


def agreement(record: Mapping[str, Any], points: int = POINTS) -> Agreement:
    """Follows pixels of every view of a scene into every other view.

    Args:
      record: a decoded record with `FIELDS`.
      points: most pixels, evenly chosen, of each instance in each view.
    """
    depth = record["depth"][..., 0].astype(np.float64)
    instance = record["instance"][..., 0]
    intrinsics = record["intrinsics"].astype(np.float64)
    extrinsics = record["extrinsics"].astype(np.float64)
    poses = geometry.pose_matrix(
        record["objects/positions"].astype(np.float64),
        record["objects/quaternions"].astype(np.float64),
    )
    objects, steps = poses.shape[:2]
    # Instance 0, the background, has a pose too: it stands still.
    still = np.broadcast_to(np.eye(3, 4), (1, steps, 3, 4))
    poses = np.concatenate([still, poses])
    views = len(depth)
    # In every layout each step has as many views, one step after the other.
    step_of = np.arange(views) * steps // views
    # A border without depth, so that 3 x 3 pixels are there around every pixel.
    border = ((0, 0), (1, 1), (1, 1))
    padded = np.pad(depth, border, constant_values=np.inf)
    padded_instance = np.pad(instance, border)
    counts = np.zeros((3, objects + 1, views, views), np.int64)
    for view in range(views):
        rows, columns = _chosen(instance[view], depth[view], points)
        ids = instance[view, rows, columns]
        world = geometry.unproject(depth[view], intrinsics[view], extrinsics[view])
        local = geometry.transform(
            geometry.invert(poses[ids, step_of[view]]), world[rows, columns]
        )
        pixels, expected, z = geometry.project(
            geometry.transform(poses[ids, step_of[:, None]], local),
            intrinsics[:, None],
            extrinsics[:, None],
        )
        size = depth.shape[:0:-1]
        inside = (z > 0) & ((pixels >= 0) & (pixels < size)).all(-1)
        inside[view] = False
        other, point = np.nonzero(inside)
        x, y = np.floor(pixels[inside]).astype(np.int64).T
        outcome = _outcome(
            *_around(padded, padded_instance, other, y, x),
            ids[point],
            expected[inside],
        )
        np.add.at(counts[:, :, view], (outcome, ids[point], other), 1)
    return Agreement(agreed=counts[0], wrong=counts[1], hidden=counts[2])


def _chosen(
    instance: UInt8[np.ndarray, "H W"], depth: Float[np.ndarray, "H W"], points: int
) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """Gives rows and columns of pixels, evenly chosen, of each instance."""
    found = []
    for i in np.unique(instance):
        pixels = np.argwhere((instance == i) & np.isfinite(depth))
        found.append(pixels[:: -(-len(pixels) // points) or 1])
    rows, columns = np.concatenate(found).T
    return rows, columns


def _around(
    depth: Float[np.ndarray, "V H+2 W+2"],
    instance: UInt8[np.ndarray, "V H+2 W+2"],
    view: Int[np.ndarray, " P"],
    y: Int[np.ndarray, " P"],
    x: Int[np.ndarray, " P"],
) -> tuple[Float[np.ndarray, "9 P"], UInt8[np.ndarray, "9 P"]]:
    """Gives what the 3 x 3 pixels around a pixel show."""
    down, right = np.mgrid[0:3, 0:3].reshape(2, 9, 1)
    at = (view, y + down, x + right)
    return depth[at], instance[at]


def _outcome(
    depths: Float[np.ndarray, "9 P"],
    instances: UInt8[np.ndarray, "9 P"],
    ids: UInt8[np.ndarray, " P"],
    expected: Float[np.ndarray, " P"],
) -> Int[np.ndarray, " P"]:
    """Gives 0 where a point is agreed, 1 where wrong, 2 where hidden."""
    same = (instances == ids) & np.isfinite(depths)
    nearest = np.where(same, depths, np.inf).min(0)
    farthest = np.where(same, depths, -np.inf).max(0)
    low, high = expected * (1 - TOLERANCE), expected * (1 + TOLERANCE)
    agreed = (nearest <= high) & (low <= farthest)
    hidden = depths.min(0) < low
    return np.select([agreed, hidden], [0, 2], 1)
