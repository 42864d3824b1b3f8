"""Points to track, drawn from what a scene's views show, and their exact tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from dyso import geometry
from dyso.reading import view_of
from dyso.spec import Spec, UserError


@dataclass(frozen=True, kw_only=True)
class PointTracks:
    """P points in V views.

    Attributes:
      points: metres in the world.
      pixels: (x, y); 0 where the point is behind the camera.
      visible: in the image and not hidden.
      source: the view that the point was drawn from, where it is visible.
      instance: 0 for the background, or 1 + the object's index.
    """

    points: Float64[np.ndarray, "V P 3"]
    pixels: Float64[np.ndarray, "V P 2"]
    visible: Bool[np.ndarray, "V P"]
    source: Int64[np.ndarray, " P"]
    instance: Int64[np.ndarray, " P"]


def track_points(
    views: geometry.View, count: int, seed: Sequence[int], moving: float = 0.5
) -> PointTracks:
    """Draws points from pixels of any of the views and tracks them through all.

    Args:
      views: V views.
      count: the largest number of points.
      seed: decides the choice.
      moving: share of the points that lie on objects, if enough pixels show objects.
    """
    rng = np.random.default_rng(seed)
    finite = np.isfinite(views.depth)
    objects = np.flatnonzero(finite & (views.instance > 0))
    background = np.flatnonzero(finite & (views.instance == 0))
    first = min(len(objects), max(round(count * moving), count - len(background)))
    chosen = np.concatenate(
        [
            rng.choice(objects, first, replace=False),
            rng.choice(background, min(len(background), count - first), replace=False),
        ]
    )
    chosen.sort()
    source, row, column = np.unravel_index(chosen, views.depth.shape)
    shape = len(views.depth), len(chosen)
    tracks = geometry.Tracks(
        np.zeros((*shape, 3)), np.zeros((*shape, 2)), np.zeros(shape, bool)
    )
    for view in np.unique(source).tolist():
        own = source == view
        found = geometry.tracks(view_of(views, view), row[own], column[own], views)
        for array, part in zip(tracks, found, strict=True):
            array[:, own] = part
    return PointTracks(
        points=tracks.points,
        pixels=tracks.pixels,
        visible=tracks.visible,
        source=source,
        instance=views.instance[source, row, column].astype(np.int64),
    )


def require_several_steps(spec: Spec, name: str) -> None:
    """Checks that there is something to track.

    Raises:
      UserError: there is only one dynamics step; the message names the format.
    """
    if spec.dynamics.steps < 2:
        raise UserError(
            f"{name}: tracks points over dynamics steps, but dynamics.steps is 1; use "
            "2 or more"
        )
