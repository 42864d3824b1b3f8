"""Procedural materials for objects without their own."""

from __future__ import annotations

import colorsys
from typing import get_args, get_type_hints

import numpy as np

from dyso.sampling.poses import DECIMALS
from dyso.sampling.scene import Color, Material
from dyso.srgb import to_linear

TEXTURES = get_args(get_type_hints(Material)["texture"])


def sample_material(rng: np.random.Generator) -> Material:
    """Draws a material of two related, saturated colours, neither near white."""
    hue, saturation = rng.uniform(), rng.uniform(0.5, 0.95)
    value = rng.uniform(0.35, 0.85)
    # A neighbour on the colour circle, or nearly the opposite.
    turn = rng.uniform(0.04, 0.16) if rng.uniform() < 0.7 else rng.uniform(0.4, 0.6)
    metal = rng.uniform() < 0.2
    return Material(
        texture=TEXTURES[rng.integers(len(TEXTURES))],
        colors=(
            _linear(hue, saturation, value),
            _linear(
                hue + turn * rng.choice([-1, 1]),
                rng.uniform(0.5, 0.95),
                value * rng.uniform(0.35, 0.8),
            ),
        ),
        scale=_plain(np.exp(rng.uniform(np.log(1.5), np.log(6.0)))),
        offset=(
            _plain(rng.uniform(0, 10)),
            _plain(rng.uniform(0, 10)),
            _plain(rng.uniform(0, 10)),
        ),
        roughness=_plain(rng.uniform(0.15, 0.5) if metal else rng.uniform(0.2, 0.9)),
        metallic=_plain(rng.uniform(0.7, 1.0)) if metal else 0.0,
        bump=_plain(rng.uniform(0.0, 0.4)),
    )


def _linear(hue: float, saturation: float, value: float) -> Color:
    """Converts a display colour (HSV) to scene-linear light by the sRGB curve."""
    color = np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, value))
    r, g, b = to_linear(color)
    return _plain(r), _plain(g), _plain(b)


def _plain(value: float) -> float:
    return round(float(value), DECIMALS)
