"""Measures of predicted images, on the whole image and on moving pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from dyso.spec import UserError

Image = UInt8[np.ndarray, "H W 3"]

WINDOW = 11
"""Pixels; the window of SSIM, and the least side of an image that it can measure."""


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


def ssim(true: Image, predicted: Image) -> tuple[float, Float64[np.ndarray, "H W"]]:
    """Returns an image's structural similarity, and that of each pixel's window.

    Wang et al., "Image Quality Assessment: From Error Visibility to Structural
    Similarity", 2004, with its Gaussian window, mean over channels. The first result
    leaves out the border that no whole window fits in, as usual.

    Raises:
      UserError: scikit-image is not installed.
    """
    try:
        from skimage.metrics import structural_similarity
    except ModuleNotFoundError as error:
        raise UserError("SSIM needs scikit-image: pip install 'dyso[score]'") from error
    pair: list[Any] = [true.astype(np.float64) / 255, predicted / 255.0]
    mean, windows = structural_similarity(
        *pair,
        data_range=1.0,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return float(mean), windows.mean(axis=-1)
