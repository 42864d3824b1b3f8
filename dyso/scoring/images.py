"""Measures of predicted images, on the whole image and on moving pixels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, UInt8

Image = UInt8[np.ndarray, "H W 3"]


def squared_error(true: Image, predicted: Image) -> Float64[np.ndarray, "H W"]:
    """Returns each pixel's squared error, with values in [0, 1], mean over channels."""
    difference = (true.astype(np.float64) - predicted) / 255
    error: np.ndarray = (difference**2).mean(axis=-1)
    return error


def psnr(mean_squared_error: float) -> float:
    """Returns the peak signal-to-noise ratio in dB; infinity if there is no error."""
    if mean_squared_error == 0:
        return float("inf")
    return float(-10 * np.log10(mean_squared_error))
