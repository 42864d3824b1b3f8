"""Differentiable measures of images, in JAX."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

WINDOW = 11
SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2


def psnr(true: Float[Array, "*N"], predicted: Float[Array, "*N"]) -> Float[Array, ""]:
    """Returns the peak signal-to-noise ratio of values in [0, 1], in dB."""
    return -10 * jnp.log10(jnp.maximum(((true - predicted) ** 2).mean(), 1e-10))


def ssim(
    true: Float[Array, "H W D"], predicted: Float[Array, "H W D"]
) -> Float[Array, ""]:
    """Returns the mean structural similarity of values in [0, 1].

    The window is Gaussian, with a sigma of 1.5 pixels and 11 pixels wide (Wang et al.,
    2004); pixels outside the image are 0, as in 3D Gaussian Splatting's loss.
    """
    moments = _blurred(
        jnp.stack([true, predicted, true**2, predicted**2, true * predicted])
    )
    mean_a, mean_b, square_a, square_b, product = moments
    variance_a, variance_b = square_a - mean_a**2, square_b - mean_b**2
    covariance = product - mean_a * mean_b
    similarity = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    similarity /= (mean_a**2 + mean_b**2 + _C1) * (variance_a + variance_b + _C2)
    return similarity.mean()


def _blurred(images: Float[Array, "M H W D"]) -> Float[Array, "M H W D"]:
    """Applies the window along both axes, as products with banded matrices."""
    _, height, width, _ = images.shape
    rows = jnp.einsum("ij,mjwd->miwd", _band(height), images)
    return jnp.einsum("ij,mhjd->mhid", _band(width), rows)


def _band(size: int) -> Float[np.ndarray, "S S"]:
    offsets = np.arange(size)[:, None] - np.arange(size)
    weights = np.exp(-(offsets**2) / (2 * SIGMA**2))
    taps = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    weights[np.abs(offsets) > WINDOW // 2] = 0
    return (weights / taps.sum()).astype(np.float32)
