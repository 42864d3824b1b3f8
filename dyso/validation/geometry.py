"""The geometry proof: depth, instances and poses of all views of a scene agree.

Pixels of each view are unprojected by their depth. The points move with their objects
from one dynamics step to the next (the background does not move), and are projected
into all other views. In each view, a point is

- ignored, if it is not in frame, or if the view does not resolve it: it is at an edge
  of its object or on a thin part of it, and the pixels around show another part;
- agreed, if the view sees it, see `dyso.geometry.visibility_of`;
- hidden, if the view shows something nearer;
- wrong otherwise: the view shows something behind the point.

Visible points are the agreed and the wrong ones. A point that is too far away in one
view counts as hidden in the others, but points of the others are wrong in that view.
At most `VIEWS` views of a scene are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from dyso import geometry
from dyso.reading import views_of

REQUIRED = 0.99
"""The share of visible points that must agree; at 128 x 128, 0.998 and more do."""
FEW = 10_000
REQUIRED_OF_FEW = 0.95
"""The required share for an instance with fewer than `FEW` visible points."""
SLACK = 25
"""The number of wrong points that every instance may have."""
VIEWS = 128
"""The most views to compare, since the work grows with their square."""
POINTS = 256
"""The most pixels to follow, of the background and of each object, in a view."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """Counts at [i, v, w] of points of instance i followed from view v into view w.

    Instance 0 of I is the background, as in instance images.

    Attributes:
      views: the compared views of the scene, which v and w index.
      agreed: points that the view sees at the expected place.
      wrong: points that the view does not see although nothing hides them.
      hidden: points hidden by something nearer.
    """

    views: Int[np.ndarray, " V"]
    agreed: Int[np.ndarray, "I V V"]
    wrong: Int[np.ndarray, "I V V"]
    hidden: Int[np.ndarray, "I V V"]

    def shares(self) -> Float[np.ndarray, " I"]:
        """Returns the share of agreeing visible points by instance; 1 without any."""
        agreed, wrong = self.agreed.sum((1, 2)), self.wrong.sum((1, 2))
        return 1 - wrong / np.maximum(agreed + wrong, 1)

    def share(self) -> float:
        """Returns the share of agreeing points of all visible ones; 1 without any."""
        agreed, wrong = self.agreed.sum(), self.wrong.sum()
        return float(1 - wrong / max(agreed + wrong, 1))

    def failed(self) -> Int[np.ndarray, " F"]:
        """Returns the instances with too small a share of agreeing points."""
        wrong = self.wrong.sum((1, 2))
        visible = self.agreed.sum((1, 2)) + wrong
        required = np.where(visible < FEW, REQUIRED_OF_FEW, REQUIRED)
        return np.flatnonzero((self.shares() < required) & (wrong > SLACK))


def agreement(record: Mapping[str, Any], points: int = POINTS) -> Agreement:
    """Follows pixels of every view of a scene into all other views.

    Args:
      record: a decoded record with `dyso.reading.MOTION_FIELDS`.
      points: the most pixels of each instance in each view, evenly chosen.
    """
    total = len(record["depth"])
    # At random: every n-th view might belong to the same camera.
    rng = np.random.default_rng(0)
    compared = np.sort(rng.choice(total, min(total, VIEWS), replace=False))
    all_views = views_of(record).at(compared)
    depth, instance, intrinsics, extrinsics, poses, _ = all_views
    views, instances = poses.shape[:2]
    counts = np.zeros((3, instances, views, views), np.int64)
    for view in range(views):
        rows, columns = _chosen(instance[view], depth[view], points)
        ids = instance[view, rows, columns]
        _, moved = geometry.follow(all_views.at(view), (rows, columns), all_views)
        pixels, expected, z = geometry.project(
            moved, intrinsics[:, None], extrinsics[:, None]
        )
        size = depth.shape[:0:-1]
        inside = (z > 0) & ((pixels >= 0) & (pixels < size)).all(-1)
        inside[view] = False
        other, point = np.nonzero(inside)
        seen, hidden, unresolved = geometry.visibility_of(
            depth, instance, other, pixels[inside], expected[inside], ids[point]
        )
        outcome = np.select([seen, hidden], [0, 2], 1)[~unresolved]
        point, other = point[~unresolved], other[~unresolved]
        np.add.at(counts[:, :, view], (outcome, ids[point], other), 1)
    return Agreement(
        views=compared, agreed=counts[0], wrong=counts[1], hidden=counts[2]
    )


def _chosen(
    instance: UInt8[np.ndarray, "H W"], depth: Float[np.ndarray, "H W"], points: int
) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """Returns rows and columns of evenly chosen pixels of each instance."""
    parts = []
    for i in np.unique(instance):
        pixels = np.argwhere((instance == i) & np.isfinite(depth))
        parts.append(pixels[:: -(-len(pixels) // points) or 1])
    rows, columns = np.concatenate(parts).T
    return rows, columns
