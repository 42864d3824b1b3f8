"""Smooth random paths, as sums of a few sinusoids."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Real

from dyso.geometry import quaternion_from_axis_angle

WAVES = 4  # sinusoids per axis
SLOW = (0.25, 1.0)
"""Lowest and highest frequency of a slow path, in cycles over its whole time."""
QUICK = (1 / 16, 1 / 4)
"""Lowest and highest frequency of a tremble, in cycles per frame."""
# Times at which the path's largest extent is measured.
_MOMENTS = np.linspace(-0.5, 0.5, 65)


def slow(
    rng: np.random.Generator, times: Float[np.ndarray, " T"], axes: int
) -> Float[np.ndarray, "T {axes}"]:
    """Draws a path whose largest distance between two places is 1, at 0 at time 0.

    The path does not depend on `times`, which only samples it.

    Args:
      rng: draws.
      times: from -1/2 to 1/2.
      axes: the number of dimensions.
    """
    path = waves(rng, np.concatenate([times, _MOMENTS, [0.0]]), axes, *SLOW)
    moments = path[len(times) : -1]
    reach = np.linalg.norm(moments[:, None] - moments, axis=-1).max()
    return (path[: len(times)] - path[-1]) / reach


def waves(
    rng: np.random.Generator,
    times: Real[np.ndarray, " T"],
    axes: int,
    low: float,
    high: float,
) -> Float[np.ndarray, "T {axes}"]:
    """Draws smooth values; over all draws their mean is 0, their deviation 1.

    Args:
      rng: draws.
      times: in any unit.
      axes: values at each time, independent of one another.
      low: the lowest frequency, in cycles a unit of time.
      high: the highest.
    """
    frequencies = rng.uniform(low, high, (WAVES, axes))
    phases = rng.uniform(0, 1, (WAVES, axes))
    cycles = frequencies * times[:, None, None] + phases
    return np.sqrt(2 / WAVES) * np.sin(2 * np.pi * cycles).sum(1)


def turns(vectors: Float[np.ndarray, "*N 3"]) -> Float[np.ndarray, "*N 4"]:
    """Returns quaternions of rotation vectors: unit axes times angles in radians."""
    angles = np.linalg.norm(vectors, axis=-1)
    # Without a turn, any axis works.
    axes = vectors / np.where(angles > 0, angles, 1)[..., None]
    return quaternion_from_axis_angle(axes, angles)
