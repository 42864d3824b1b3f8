"""The panorama that is filled, and what is seen in which pixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dyso.assets.environments.functions import sin_cos
from dyso.assets.environments.surfaces import Ground

EYE = 3.0
"""Metres above the ground from which a panorama is seen."""
LARGEST = 60000.0
"""The largest radiance, which half precision holds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rays:
    """Some pixels of a panorama.

    Attributes:
      rows: [n].
      columns: [n].
      x: [n], of the unit direction.
      y: [n].
      z: [n].
    """

    rows: np.ndarray
    columns: np.ndarray
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray

    def take(self, which: np.ndarray) -> Rays:
        """Returns some of them."""
        return Rays(
            rows=self.rows[which],
            columns=self.columns[which],
            x=self.x[which],
            y=self.y[which],
            z=self.z[which],
        )


class Panorama:
    """Pixels and their distances, painted by whatever is nearest.

    Attributes:
      color: [height, width, 3], radiance.
      depth: [height, width], metres.
      ground: what the ground is painted with, and the metres around the centre in which
        nothing stands on it; known when the painting begins.
    """

    def __init__(self, height: int):
        """Creates a black one.

        Args:
          height: in pixels; it is twice as wide. With 0, nothing is painted.
        """
        self.height, self.width = height, 2 * height
        self.pixel = math.pi / max(height, 1)
        azimuth = (0.5 - (np.arange(self.width) + 0.5) / self.width) * 2 * math.pi
        elevation = (0.5 - (np.arange(height) + 0.5) / height) * math.pi
        self.azimuth, self.elevation = azimuth, elevation
        self._sin, self._cos = (v.astype(np.float32) for v in sin_cos(azimuth))
        self._up, self._flat = (v.astype(np.float32) for v in sin_cos(elevation))
        self.color = np.zeros((height, self.width, 3), np.float32)
        self.depth = np.full((height, self.width), np.inf, np.float32)
        self.ground: tuple[Ground, float] | None = None

    def rays(self, top: int = 0, bottom: int | None = None) -> Rays:
        """Returns whole rows of pixels."""
        rows = np.arange(top, self.height if bottom is None else bottom)
        return self._grid(rows, np.arange(self.width))

    def _grid(self, rows: np.ndarray, columns: np.ndarray) -> Rays:
        shape = len(rows), len(columns)
        flat = self._flat[rows][:, None]
        return Rays(
            rows=np.broadcast_to(rows[:, None], shape).ravel(),
            columns=np.broadcast_to(columns[None], shape).ravel(),
            x=(flat * self._cos[columns]).ravel(),
            y=(flat * self._sin[columns]).ravel(),
            z=np.broadcast_to(self._up[rows][:, None], shape).ravel(),
        )

    def around(self, x: float, y: float, reach: float, low: float, high: float) -> Rays:
        """Returns the pixels that may show what a vertical cylinder holds.

        Args:
          x: of its axis.
          y: of its axis.
          reach: its radius.
          low: its lower end.
          high: its upper end.
        """
        away = math.sqrt(x * x + y * y)
        near = max(away - reach, 0.05)
        ends = [
            math.atan2(z - EYE, d) for z in (low, high) for d in (near, away + reach)
        ]
        # A pixel more on each side: here, rounding changes no pixel.
        top = int((0.5 - max(ends) / math.pi) * self.height) - 2
        bottom = int((0.5 - min(ends) / math.pi) * self.height) + 3
        rows = np.arange(max(top, 0), min(bottom, self.height))
        if away <= reach * 1.02:
            return self._grid(rows, np.arange(self.width))
        half = math.asin(min(reach / away, 1)) / math.pi / 2 * self.width
        middle = (0.5 - math.atan2(y, x) / (2 * math.pi)) * self.width
        first, last = math.floor(middle - half) - 2, int(middle + half) + 3
        columns = np.arange(first, min(last, first + self.width)) % self.width
        return self._grid(rows, columns)

    def paint(
        self,
        rays: Rays,
        distance: np.ndarray,
        colors: Callable[[np.ndarray], np.ndarray],
        alpha: np.ndarray | None = None,
    ) -> None:
        """Paints what is nearer than all that was painted before.

        Args:
          rays: pixels.
          distance: [n]; infinity where a pixel does not show it.
          colors: returns radiance [m, 3] for the indices of m of the rays.
          alpha: [n], the share of a pixel that it covers; None for whole pixels.
        """
        near = distance < self.depth[rays.rows, rays.columns]
        if alpha is not None:
            near &= alpha > 0.01
        which = np.nonzero(near)[0]
        if not len(which):
            return
        place = rays.rows[which], rays.columns[which]
        new = colors(which)
        if alpha is not None:
            share = alpha[which][:, None]
            new = self.color[place] * (1 - share) + new * share
        self.color[place] = new
        solid = which if alpha is None else which[alpha[which] > 0.5]
        self.depth[rays.rows[solid], rays.columns[solid]] = distance[solid]

    def radiance(self) -> np.ndarray:
        """Returns the pixels as half floats."""
        assert np.isfinite(self.color).all()
        return np.clip(self.color, 0, LARGEST).astype(np.float16)
