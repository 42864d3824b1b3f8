"""Structural similarity of images."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from dyso.errors import UserError

WINDOW = 11
"""Pixels; the least side of an image that can be measured."""


def ssim(
    true: Float[np.ndarray, "H W 3"], predicted: Float[np.ndarray, "H W 3"]
) -> tuple[float, Float64[np.ndarray, "H W"]]:
    """Returns an image's structural similarity, and that of each pixel's window.

    Both are means over the channels. The first leaves out the border, in which no whole
    window fits. Uses the Gaussian window, sigma 1.5, of Wang et al., "Image Quality
    Assessment: From Error Visibility to Structural Similarity", 2004.

    Args:
      true: in [0, 1].
      predicted: in [0, 1].

    Raises:
      UserError: scikit-image is not installed.
    """
    try:
        from skimage.metrics import structural_similarity
    except ModuleNotFoundError as error:
        raise UserError("SSIM needs scikit-image: pip install 'dyso[score]'") from error
    mean, windows = structural_similarity(
        true.astype(np.float64),
        predicted.astype(np.float64),
        data_range=1.0,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return float(mean), windows.mean(axis=-1)
