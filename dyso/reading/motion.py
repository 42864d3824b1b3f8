"""Flow and tracks between the views of a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from dyso import geometry

MOTION_FIELDS = (
    "depth",
    "instance",
    "intrinsics",
    "extrinsics",
    "objects/positions",
    "objects/quaternions",
)
"""The fields that a record must hold."""
MOVED = 1e-3
"""Metres; a point moves if it is farther than this from where it was."""


def views_of(
    record: Mapping[str, Any], steps: Sequence[int] | None = None
) -> geometry.View:
    """Returns the views of a decoded record as float64 arrays.

    Args:
      record: with `MOTION_FIELDS`.
      steps: the dynamics step of each view; None if the record has all its views.
    """
    poses = geometry.instance_poses(
        record["objects/positions"].astype(np.float64),
        record["objects/quaternions"].astype(np.float64),
    )
    return geometry.View(
        depth=record["depth"][..., 0].astype(np.float64),
        instance=record["instance"][..., 0],
        intrinsics=record["intrinsics"].astype(np.float64),
        extrinsics=record["extrinsics"].astype(np.float64),
        poses=poses[:, steps_of(record, steps)].swapaxes(0, 1),
    )


def steps_of(
    record: Mapping[str, Any], steps: Sequence[int] | None = None
) -> Int[np.ndarray, " V"]:
    """Returns the dynamics step of each view: `steps`, or those of a whole record.

    Args:
      record: with `intrinsics` and `objects/positions`.
      steps: the dynamics step of each view; None if the record has all its views.
    """
    if steps is not None:
        return np.asarray(steps)
    # In every layout, views are ordered by step and all steps have equally many.
    views = len(record["intrinsics"])
    return np.arange(views) * record["objects/positions"].shape[1] // views


def view_of(views: geometry.View, index: int | slice) -> geometry.View:
    """Returns one or some of several views."""
    return views.at(index)


def flow(record: Mapping[str, Any], source: int, target: int) -> geometry.Flow:
    """Returns the flow from one view of a record, read with all views, to another.

    See `dyso.geometry.flow`.
    """
    views = views_of(record)
    return geometry.flow(view_of(views, source), view_of(views, target))


def tracks(
    record: Mapping[str, Any],
    source: int,
    rows: Int[np.ndarray, " P"],
    columns: Int[np.ndarray, " P"],
) -> geometry.Tracks:
    """Tracks the points shown by pixels of one view through all views of a record.

    See `dyso.geometry.tracks`.
    """
    views = views_of(record)
    return geometry.tracks(view_of(views, source), rows, columns, views)


def motion_masks(
    record: Mapping[str, Any],
    steps: Sequence[int] | None = None,
    others: Sequence[int] | None = None,
) -> Bool[np.ndarray, "V H W"]:
    """Returns which pixels show something that moves.

    A pixel moves if the point that it shows is more than `MOVED` away at one of the
    other dynamics steps. The background is still, and so are shadows on it.

    Args:
      record: with `MOTION_FIELDS`, of some or all views, and of all dynamics steps.
      steps: the dynamics step of each view; None if the record has all its views.
      others: the dynamics steps to compare with; None means all steps of the scene.
    """
    views = views_of(record, steps)
    poses = geometry.instance_poses(
        record["objects/positions"].astype(np.float64),
        record["objects/quaternions"].astype(np.float64),
    )
    if others is not None:
        poses = poses[:, list(others)]
    moves = np.zeros(views.depth.shape, bool)
    for index, mask in enumerate(moves):
        view = views.at(index)
        for instance in np.unique(view.instance[view.instance > 0]):
            row, column = np.nonzero(view.instance == instance)
            pixels = np.stack([column, row], axis=-1) + 0.5
            origins, directions = geometry.rays(
                view.intrinsics, view.extrinsics, pixels
            )
            points = origins + directions * view.depth[row, column][:, None]
            local = geometry.transform(
                geometry.invert(view.poses[instance])[None], points
            )
            still = np.arange(len(points))
            for pose in poses[instance]:
                there = geometry.transform(pose[None], local[still])
                distance = np.linalg.norm(there - points[still], axis=-1)
                still = still[distance <= MOVED]
                if not len(still):
                    break
            moving = np.ones(len(points), bool)
            moving[still] = False
            mask[row, column] = moving
    return moves
