"""Elementary functions and noise that have the same bits on every machine.

The functions of mathematical libraries differ in their last bits between processors and
versions. These are polynomials, by sums and products alone; numpy's sums of products
(`dot`, `einsum`), which may fuse them, are avoided for the same reason.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dyso.assets.procedural.draw import Draw

TABLE = 256
"""Cells per side of a noise's lattice, after which it repeats."""
_LN2 = 0.6931471805599453


def _polynomial(x: Any, *coefficients: float) -> Any:
    """Returns c0 + c1 x + c2 x^2 ..., by Horner's rule."""
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


def sin_cos(angle: Any) -> tuple[Any, Any]:
    """Returns the sine and the cosine of radians, as float64."""
    angle = np.asarray(angle, float)
    turns = np.floor(angle / (math.pi / 2) + 0.5)
    r = angle - turns * (math.pi / 2)
    q = r * r
    sine = r * _polynomial(
        q, 1, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800, 1 / 6227020800
    )
    cosine = _polynomial(
        q, 1, -1 / 2, 1 / 24, -1 / 720, 1 / 40320, -1 / 3628800, 1 / 479001600
    )
    quarter = turns.astype(int) % 4
    odd = quarter % 2 == 1
    s, c = np.where(odd, cosine, sine), np.where(odd, sine, cosine)
    s, c = (
        np.where(quarter >= 2, -s, s),
        np.where((quarter == 1) | (quarter == 2), -c, c),
    )
    return s, c


def circle(angle: float) -> tuple[float, float]:
    """Returns the cosine and the sine of radians, as floats."""
    sine, cosine = sin_cos(angle)
    return float(cosine), float(sine)


def exp(x: Any) -> Any:
    """Returns e^x for x of at most 80, of the same precision as x."""
    x = np.maximum(x, -80.0)
    turns = np.floor(x * (1 / _LN2) + 0.5)
    r = x - turns * _LN2
    series = _polynomial(
        r, 1, 1, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040, 1 / 40320
    )
    return np.ldexp(series, turns.astype(np.int32))


def arccos(x: Any) -> Any:
    """Returns radians, to 7e-5 (Abramowitz and Stegun, 4.4.45)."""
    a = np.abs(np.clip(x, -1, 1))
    angle = np.sqrt(1 - a) * _polynomial(
        a, 1.5707288, -0.2121144, 0.0742610, -0.0187293
    )
    return np.where(x < 0, math.pi - angle, angle)


def step(x: Any, low: Any, high: Any) -> Any:
    """Returns 0 below low, 1 above high, and a smooth way between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: Any, b: Any, share: Any) -> Any:
    """Returns a where the share is 0 and b where it is 1."""
    return a + (b - a) * share


def cell_value(i: Any, j: Any, salt: int = 0) -> np.ndarray:
    """Returns a number in [0, 1) for each cell of a grid, by integers."""
    h = (
        np.asarray(i).astype(np.int64) * 73856093
        ^ np.asarray(j).astype(np.int64) * 19349663
        ^ salt * 83492791
    )
    h = (h ^ (h >> 13)) * 1274126177 & 0xFFFFFFFF
    h = (h ^ (h >> 16)) * 668265263 & 0xFFFFFFFF
    return ((h ^ (h >> 15)) & 0xFFFF).astype(np.float32) / np.float32(65536)


class Noise:
    """Value noise on a lattice that is drawn once."""

    def __init__(self, draw: Draw, name: str):
        """Draws the lattice.

        Args:
          draw: of the environment.
          name: of the noise.
        """
        rng = draw.named(f"noise {name}").rng
        self._table = rng.random((TABLE, TABLE), np.float32).ravel()

    def smooth(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Returns values in [0, 1) that vary over a length of 1."""
        left, top = np.floor(x), np.floor(y)
        u, v = x - left, y - top
        u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
        i, j = left.astype(np.int32) & (TABLE - 1), top.astype(np.int32) & (TABLE - 1)
        k = (i + 1) & (TABLE - 1)
        rows = j * TABLE, ((j + 1) & (TABLE - 1)) * TABLE
        a, b = (
            mix(self._table.take(row + i), self._table.take(row + k), u) for row in rows
        )
        return mix(a, b, v)

    def layers(
        self,
        x: np.ndarray,
        y: np.ndarray,
        octaves: int = 5,
        gain: float = 0.55,
        pixel: np.ndarray | float = 0.0,
    ) -> np.ndarray:
        """Returns noise in [0, 1] about 0.5 with detail at several scales.

        Args:
          x: coordinates.
          y: coordinates.
          octaves: how many scales, each half of the one before.
          gain: weight of a scale relative to the one before.
          pixel: size of a pixel in the coordinates; finer detail is left out.
        """
        total: Any = np.zeros_like(x)
        weight, weights, scale = 1.0, 0.0, 1.0
        for octave in range(octaves):
            shift = 17.37 * octave
            seen = np.clip(1.6 - 2 * scale * pixel, 0, 1)
            if np.any(seen > 0):
                value = self.smooth(x * scale + shift, y * scale - shift) - 0.5
                total += weight * seen * value
            weights += weight
            weight, scale = weight * gain, scale * 2.03
        return np.clip(total / weights * 1.8 + 0.5, 0, 1)
