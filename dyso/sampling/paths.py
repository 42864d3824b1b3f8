"""Smooth random paths: sums of a few sinusoids, so that no step of them is sudden."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Real

from dyso.geometry import quaternion_from_axis_angle

WAVES = 4  # sinusoids along an axis
SLOW = (0.25, 1.0)
"""Lowest and highest frequency of a slow path, in cycles over its whole time."""
QUICK = (1 / 16, 1 / 4)
"""Of what trembles, in cycles a frame."""
# Moments at which the largest distance is looked for.
_MOMENTS = np.linspace(-0.5, 0.5, 65)


def slow(
    rng: np.random.Generator, times: Float[np.ndarray, " T"], axes: int
) -> Float[np.ndarray, "T axes"]:
    """Draws a path whose largest distance between two places is 1, at 0 at time 0.

    It is the same path whichever its times are.

    Args:
      rng: draws.
      times: from -1/2 to 1/2.
      axes: of the space that it is in.
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
) -> Float[np.ndarray, "T axes"]:
    """Draws values with mean 0 and standard deviation 1, over all that can be drawn.

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


def turns(vectors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 4"]:
    """Gives quaternions of rotation vectors: their axes, times angles in radians."""
    angles = np.linalg.norm(vectors, axis=-1)
    # Where there is no turn, any axis will do.
    axes = vectors / np.where(angles > 0, angles, 1)[..., None]
    return quaternion_from_axis_angle(axes, angles)
