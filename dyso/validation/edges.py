"""Straight steps in brightness, as the edge of a path traced window would show.

The worker path traces a rectangle around the objects and looks up the rest of a view,
see docs/rendering.md. A record does not store the rectangle. But a camera's empty view
is the same in all dynamics steps, so that a view divided by the brightest step does not
have the pattern of the ground. What remains is 1, except for the objects' shadows and
any difference between path traced and looked-up pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.lib.stride_tricks import sliding_window_view

from dyso.spec import Layout

LENGTH = 24
"""Pixels along a line that show a step; the edge of a shadow is seldom as straight."""
LEAST = 3
"""Views of one camera that are compared, at least."""
DARKEST = 0.8
"""Grey level, relative to the brightest step; darker pixels are in a shadow."""
_NEAR = 2  # pixels around objects that are not examined
_STRIDE = 4  # pixels from the first pixel of a line to that of the next


def straight_step(record: Mapping[str, Any], layout: Layout) -> float | None:
    """Returns the largest step in brightness along a vertical or horizontal line.

    The step at a pixel is its difference from the next one, less the larger of the
    differences before and after, as a share of the grey level. The step of a line is
    the median of LENGTH pixels, all of them background outside shadows.

    Args:
      record: with the fields color and instance.
      layout: of the record's views.

    Returns:
      The largest in any view; None if no camera has LEAST views, or if none of them
      shows such a line.
    """
    found: list[float] = []
    for camera in range(layout.cameras):
        views = [layout.view(step, camera) for step in layout.steps_of(camera)]
        if len(views) < LEAST:
            continue
        hidden = _widened(record["instance"][views, ..., 0] > 0)
        grey = np.where(hidden, 0.0, record["color"][views].mean(-1))
        light = grey / np.maximum(grey.max(0), 1)
        light[(light < DARKEST) | ((~hidden).sum(0) < LEAST)] = np.nan
        found += [*_steps(light), *_steps(light.swapaxes(1, 2))]
    return max(found, default=None)


def _widened(objects: Bool[np.ndarray, "T H W"]) -> Bool[np.ndarray, "T H W"]:
    """Returns the objects with the pixels around them."""
    side = 2 * _NEAR + 1
    padded = np.pad(objects, ((0, 0), (_NEAR, _NEAR), (_NEAR, _NEAR)))
    around = sliding_window_view(padded, (1, side, side))
    return np.asarray(around.any((-3, -2, -1)))


def _steps(light: Float[np.ndarray, "T H W"]) -> list[float]:
    """Returns the largest step between columns, if there are lines to measure."""
    if min(light.shape[1] - LENGTH, light.shape[2] - 4) < 0:
        return []
    change = np.diff(light, axis=2)
    beside = np.maximum(np.abs(change[..., :-2]), np.abs(change[..., 2:]))
    middle = change[..., 1:-1]
    step = np.sign(middle) * np.maximum(np.abs(middle) - beside, 0)
    lines = sliding_window_view(step, LENGTH, axis=1)[:, ::_STRIDE]
    lines = lines[np.isfinite(lines).all(-1)]
    return [float(np.abs(np.median(lines, axis=-1)).max())] if len(lines) else []
