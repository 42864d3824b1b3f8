"""The curve of sRGB, between display values and linear light."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def to_linear(color: Float[np.ndarray, ...]) -> Float[np.ndarray, ...]:
    """Converts display values in [0, 1] to linear light."""
    low = color / 12.92
    return np.where(color <= 0.04045, low, ((color + 0.055) / 1.055) ** 2.4)


def to_display(light: Float[np.ndarray, ...]) -> Float[np.ndarray, ...]:
    """Converts linear light, clipped to [0, 1], to display values."""
    light = np.clip(light, 0, 1)
    return np.where(
        light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055
    )
