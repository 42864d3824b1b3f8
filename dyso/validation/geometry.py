"""The geometry proof: depth, instances and poses of all views of a scene agree.

A pixel of one view, unprojected by its depth, is a point. It moves with its object
from one dynamics step to the next (the background stands still), and is projected into
every other view. There it is

- left out, if it is not in frame;
- agreed, if it is seen there, see `dyso.geometry.visibility_of`;
- hidden, if something nearer is;
- wrong otherwise: the view looks through the point at something behind it.

Of scenes with more than `VIEWS` views, that many are compared.

Visible points are the agreed and the wrong. A point that is too deep in one view passes
as hidden, but on the way back it is wrong.
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
"""The share for an instance with fewer visible points, often a sliver of an object."""
SLACK = 25
"""Wrong points that any instance may have."""
VIEWS = 128
"""Most views that are compared, for the work grows with their square."""
POINTS = 256
"""Most pixels that are followed, of the background and of each object, in a view."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """Points of instance i followed from view v into view w, counted at [i, v, w].

    Attributes:
      views: the scene's views that v and w stand for.
      agreed: seen where they must be.
      wrong: not seen there, with nothing that hides them.
      hidden: by something nearer.
    """

    views: Int[np.ndarray, " V"]
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
      record: a decoded record with `dyso.reading.MOTION_FIELDS`.
      points: most pixels, evenly chosen, of each instance in each view.
    """
    total = len(record["depth"])
    # Not every so many: those might be a single camera's.
    rng = np.random.default_rng(0)
    kept = np.sort(rng.choice(total, min(total, VIEWS), replace=False))
    depth, instance, intrinsics, extrinsics, poses = (
        of_view[kept] for of_view in views_of(record)
    )
    views, instances = poses.shape[:2]
    counts = np.zeros((3, instances, views, views), np.int64)
    for view in range(views):
        rows, columns = _chosen(instance[view], depth[view], points)
        ids = instance[view, rows, columns]
        world = geometry.unproject(depth[view], intrinsics[view], extrinsics[view])
        pixels, expected, z = geometry.project(
            geometry.carry(world[rows, columns], ids, poses[view], poses),
            intrinsics[:, None],
            extrinsics[:, None],
        )
        size = depth.shape[:0:-1]
        inside = (z > 0) & ((pixels >= 0) & (pixels < size)).all(-1)
        inside[view] = False
        other, point = np.nonzero(inside)
        seen, hidden = geometry.visibility_of(
            depth, instance, other, pixels[inside], expected[inside], ids[point]
        )
        outcome = np.select([seen, hidden], [0, 2], 1)
        np.add.at(counts[:, :, view], (outcome, ids[point], other), 1)
    return Agreement(views=kept, agreed=counts[0], wrong=counts[1], hidden=counts[2])


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
