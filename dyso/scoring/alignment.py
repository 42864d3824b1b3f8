"""Similarity transforms between predicted and true points and cameras."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64


class Similarity(NamedTuple):
    """X' = scale * rotation X + translation."""

    scale: float
    rotation: Float64[np.ndarray, "3 3"]
    translation: Float64[np.ndarray, " 3"]

    def apply(self, points: Float64[np.ndarray, "... 3"]) -> np.ndarray:
        """Transforms points."""
        return self.scale * points @ self.rotation.T + self.translation


def best_rotation(correlation: Float64[np.ndarray, "3 3"]) -> np.ndarray:
    """Returns the rotation R [3, 3] that maximises trace(R^T correlation)."""
    u, _, vt = np.linalg.svd(correlation)
    u[:, -1] *= np.sign(np.linalg.det(u) * np.linalg.det(vt))
    rotation: np.ndarray = u @ vt
    return rotation


def align(
    source: Float64[np.ndarray, "N 3"],
    target: Float64[np.ndarray, "N 3"],
    rotation: Float64[np.ndarray, "3 3"] | None = None,
) -> Similarity:
    """Returns the similarity from source to target points with least squared error.

    Umeyama, "Least-Squares Estimation of Transformation Parameters Between Two Point
    Patterns", 1991.

    Args:
      source: predicted points.
      target: true points.
      rotation: the rotation to use; None finds the best.
    """
    from_mean, to_mean = source.mean(axis=0), target.mean(axis=0)
    centred, aim = source - from_mean, target - to_mean
    correlation = aim.T @ centred
    if rotation is None:
        rotation = best_rotation(correlation)
    spread = float((centred**2).sum())
    along = float((rotation * correlation).sum())
    # Sources in one place, or that point away from the targets, have no scale.
    scale = max(along, 0.0) / spread if spread > 0 else 0.0
    return Similarity(scale, rotation, to_mean - scale * rotation @ from_mean)
