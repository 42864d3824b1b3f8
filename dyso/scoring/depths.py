"""Measures of predicted depth."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

DELTA = 1.25
"""The ratio of `delta`."""


def median_scale(
    true: Float64[np.ndarray, " P"], predicted: Float64[np.ndarray, " P"]
) -> float:
    """Returns the factor that gives the predicted depths the true depths' median."""
    median = float(np.median(predicted))
    return float(np.median(true)) / median if median > 0 else 1.0


def absolute_relative(
    true: Float64[np.ndarray, " P"], predicted: Float64[np.ndarray, " P"]
) -> Float64[np.ndarray, " P"]:
    """Returns each pixel's error over its true depth."""
    return np.abs(predicted - true) / true


def within_delta(
    true: Float64[np.ndarray, " P"], predicted: Float64[np.ndarray, " P"]
) -> Float64[np.ndarray, " P"]:
    """Returns 1 where neither depth is `DELTA` times the other, else 0."""
    # Multiplied out: a predicted depth of 0 is allowed, and wrong.
    larger, smaller = np.maximum(true, predicted), np.minimum(true, predicted)
    return (larger < DELTA * smaller).astype(np.float64)
