"""The sky: its colour, clouds and sun, and the light that they give.

The clear sky is "A Practical Analytic Model for Daylight", Preetham et al., 1999.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dyso.assets.environments.functions import (
    Noise,
    arccos,
    circle,
    exp,
    mix,
    sin_cos,
    step,
)
from dyso.assets.environments.panorama import Panorama, Rays
from dyso.assets.procedural.draw import Draw

LUMINANCE = (0.2126, 0.7152, 0.0722)
SUN_RADIUS = 0.0085
"""Radians; the real one has 0.0046. Larger, it fits into half precision."""
DAYLIGHT = 5.0
"""Irradiance of level ground, about: a white card has then a radiance of 1.6."""

# Perez' five coefficients of Y, x and y: slope with turbidity, and offset.
_PEREZ = (
    (
        (0.1787, -1.4630),
        (-0.3554, 0.4275),
        (-0.0227, 5.3251),
        (0.1206, -2.5771),
        (-0.0670, 0.3703),
    ),
    (
        (-0.0193, -0.2592),
        (-0.0665, 0.0008),
        (-0.0004, 0.2125),
        (-0.0641, -0.8989),
        (-0.0033, 0.0452),
    ),
    (
        (-0.0167, -0.2608),
        (-0.0950, 0.0092),
        (-0.0079, 0.2102),
        (-0.0441, -1.6537),
        (-0.0109, 0.0529),
    ),
)
# Chromaticity at the zenith: rows by turbidity^2, ^1, ^0; columns by angle^3 ... ^0.
_ZENITH = (
    (
        (0.00166, -0.00375, 0.00209, 0.0),
        (-0.02903, 0.06377, -0.03202, 0.00394),
        (0.11693, -0.21196, 0.06052, 0.25886),
    ),
    (
        (0.00275, -0.00610, 0.00317, 0.0),
        (-0.04214, 0.08970, -0.04153, 0.00516),
        (0.15346, -0.26756, 0.06670, 0.26688),
    ),
)
_TO_RGB = (
    (3.2404542, -1.5371385, -0.4985314),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0556434, -0.2040259, 1.0572252),
)


def _perez(which: int, turbidity: float, cosine: Any, angle: Any, near: Any) -> Any:
    a, b, c, d, e = (k * turbidity + m for k, m in _PEREZ[which])
    return (1 + a * exp(b / cosine)) * (1 + c * exp(d * angle) + e * near * near)


class Sky:
    """A sky of some weather.

    Attributes:
      sun: [3], unit direction towards the sun.
      direct: [3], irradiance of what faces the sun.
      diffuse: [3], irradiance of level ground by the rest of the sky.
      ground: [3], radiance that the ground sends up, about.
    """

    def __init__(self, draw: Draw, panorama: Panorama, spread: float):
        """Draws the weather and measures its light.

        Args:
          draw: of the environment.
          panorama: its resolution counts.
          spread: radians about the x axis within which the sun stands.
        """
        draw = draw.named("sky")
        weather = draw.real(0, 1)
        self._kind = (
            "overcast" if weather < 0.1 else "hazy" if weather < 0.22 else "sunny"
        )
        low, high = (12, 20) if draw.chance(0.12) else (24, 58)
        elevation = math.radians(draw.real(low, high))
        self.azimuth = draw.pick((0.0, math.pi)) + spread * draw.real(-0.5, 0.5)
        flat, up = circle(elevation)
        cosine, sine = circle(self.azimuth)
        self.sun = (flat * cosine, flat * sine, up)
        self._turbidity = draw.real(2.0, 3.5)
        if self._kind == "hazy":
            self._turbidity = draw.real(4.0, 6.0)
        ratio = {
            "sunny": draw.real(2.8, 6.0),
            "hazy": draw.real(1.2, 2.2),
            "overcast": 0.0,
        }[self._kind]
        bright = DAYLIGHT * draw.real(0.7, 1.3)
        self._cover = draw.pick((0.0, 0.22, 0.34, 0.42, 0.5))
        self._stretch = draw.pick((1.0, 1.0, 1.0, 3.5))
        self._scale = draw.real(0.5, 1.2)
        self._noise = Noise(draw, "clouds")
        self._drift = draw.real(0, 200), draw.real(0, 200)
        self.brightness = 1.0
        self._panorama = panorama
        share = 1 / (1 + ratio)
        # Warm where the light has a long way through the air.
        path = 1 / (up + 0.05)
        tint = [float(exp(-k * path)) for k in (0.03, 0.085, 0.2)]
        tint = [
            t / (tint[0] * 0.2126 + tint[1] * 0.7152 + tint[2] * 0.0722) for t in tint
        ]
        self.direct = [bright * (1 - share) / up * t for t in tint]
        self.diffuse = self._measure()
        level = sum(w * e for w, e in zip(LUMINANCE, self.diffuse, strict=True))
        self.brightness = bright * share / level
        self.diffuse = [e * self.brightness for e in self.diffuse]
        self.ground = [
            0.3 / math.pi * (d + s * up)
            for d, s in zip(self.diffuse, self.direct, strict=True)
        ]

    def _measure(self) -> list[float]:
        rows, columns = 24, 48
        polar = (np.arange(rows) + 0.5) / rows * math.pi / 2
        sp, cp = sin_cos(polar)
        sa, ca = sin_cos((np.arange(columns) + 0.5) / columns * 2 * math.pi)
        x, y = sp[:, None] * ca, sp[:, None] * sa
        z = np.broadcast_to(cp[:, None], x.shape)
        light = self.radiance(x.ravel(), y.ravel(), z.ravel())
        area = (math.pi / 2 / rows) * (2 * math.pi / columns)
        weight = (z * sp[:, None]).ravel() * area
        return [math.fsum((light[:, i] * weight).tolist()) for i in range(3)]

    def clear(self, x: Any, y: Any, z: Any) -> np.ndarray:
        """Returns radiance [n, 3] of the sky without clouds in unit directions."""
        z = np.maximum(z, 0.012)
        near = np.clip(x * self.sun[0] + y * self.sun[1] + z * self.sun[2], -1, 1)
        angle = arccos(near)
        up = self.sun[2]
        zenith = float(arccos(up))
        t = self._turbidity
        values = []
        for which in range(3):
            at_zenith = 1.0
            if which:
                rows = _ZENITH[which - 1]
                square = zenith * zenith
                powers = (square * zenith, square, zenith, 1.0)
                at_zenith = sum(
                    k * sum(c * p for c, p in zip(row, powers, strict=True))
                    for k, row in zip((t * t, t, 1.0), rows, strict=True)
                )
            scale = at_zenith / float(_perez(which, t, 1.0, zenith, up))
            values.append(scale * _perez(which, t, z, angle, near))
        luminance, cx, cy = values
        cy = np.maximum(cy, 0.05)
        xyz = luminance * cx / cy, luminance, luminance * (1 - cx - cy) / cy
        rgb = np.stack(
            [sum(m * v for m, v in zip(row, xyz, strict=True)) for row in _TO_RGB], -1
        )
        rgb = np.maximum(rgb, 0)
        # Towards white in haze.
        grey = {"sunny": 0.08, "hazy": 0.4, "overcast": 0.92}[self._kind]
        if self._kind == "overcast":
            luminance = (0.4 + 0.6 * z) * np.ones_like(luminance)
            rgb = rgb * 0 + np.stack([luminance] * 3, -1)
        low = (1 - z) * (1 - z)
        share = grey + (1 - grey) * 0.8 * low * low * low
        white = np.stack([luminance * k for k in (0.95, 1.0, 1.06)], -1)
        return mix(rgb, white, share[..., None] if np.ndim(share) else share)

    def radiance(self, x: Any, y: Any, z: Any) -> np.ndarray:
        """Returns radiance [n, 3] with clouds, without the sun's disc."""
        rgb = self.clear(x, y, z)
        level = (rgb[..., 0] + rgb[..., 1] + rgb[..., 2]) / 3
        rise = np.maximum(z, 0) + 0.07
        u = x / rise * self._scale + self._drift[0]
        v = y / rise * self._scale * self._stretch + self._drift[1]
        pixel = self._panorama.pixel / rise * self._scale * 2
        if self._kind == "overcast":
            thick = self._noise.layers(u * 0.5, v * 0.5, 5, pixel=pixel)
            return (rgb * (0.62 + 0.75 * thick[..., None])) * self.brightness
        if self._cover:
            cloud = self._noise.layers(u, v, 7, 0.52, pixel=pixel)
            near = np.clip(x * self.sun[0] + y * self.sun[1] + z * self.sun[2], -1, 1)
            edge = 1 - self._cover
            soft = 0.07 if self._stretch == 1 else 0.3
            cover = step(cloud, edge, edge + soft) * step(z, 0.01, 0.09)
            behind = self._noise.layers(
                u + 0.16 * self.sun[0], v + 0.16 * self.sun[1], 5, 0.52, pixel=pixel
            )
            dark = step(behind - edge, -0.05, 0.28)
            lit = 1.5 - 0.6 * dark + 0.6 * step(near, 0.6, 1.0)
            base = 0.35 * level + 2.0
            color = (lit * base)[..., None] * np.array([1.0, 0.985, 0.965], np.float32)
            shade = np.array([0.93, 0.98, 1.06], np.float32)
            color = color * mix(np.float32(1), shade, dark[..., None])
            # The sun's disc stays free.
            opaque = (0.96 if self._stretch == 1 else 0.55) - 0.9 * step(
                near, 0.975, 0.9995
            )
            opaque = np.maximum(opaque, 0)
            rgb = mix(rgb, color, (cover * opaque)[..., None])
        return rgb * self.brightness

    def paint(self) -> None:
        """Paints the sky, and the sun with all of its light."""
        p = self._panorama
        rays = p.rays(0, p.height // 2 + 1)
        color = self.radiance(rays.x, rays.y, rays.z).astype(np.float32)
        p.color[: p.height // 2 + 1] = color.reshape(-1, p.width, 3)
        if max(self.direct) <= 0:
            return
        shown = self._disc(rays)
        which = np.nonzero(shown)[0]
        _, polar = sin_cos(p.elevation[rays.rows[which]])
        area = math.fsum((shown[which] * polar).tolist()) * p.pixel * p.pixel
        place = rays.rows[which], rays.columns[which]
        light = np.array([d / area for d in self.direct], np.float32)
        p.color[place] += shown[which][:, None] * light

    def _disc(self, rays: Rays) -> np.ndarray:
        x, y, z = (
            r - s for r, s in zip((rays.x, rays.y, rays.z), self.sun, strict=True)
        )
        chord = np.sqrt(x * x + y * y + z * z)
        half = self._panorama.pixel / 2
        return np.clip((SUN_RADIUS - chord) / (2 * half) + 0.5, 0, 1)

    def light(
        self, albedo: np.ndarray, normal: Sequence[Any], sunlit: np.ndarray
    ) -> np.ndarray:
        """Returns the radiance [n, 3] of a diffuse surface.

        Args:
          albedo: [n, 3].
          normal: x, y and z, each [n] or a number.
          sunlit: [n], how much of the sun it sees.
        """
        nx, ny, nz = normal
        facing = np.maximum(nx * self.sun[0] + ny * self.sun[1] + nz * self.sun[2], 0)
        direct = np.asarray(facing * sunlit, np.float32)
        above = np.asarray(0.5 + 0.5 * nz, np.float32) * np.ones_like(direct)
        total = np.empty_like(albedo)
        for i in range(3):
            sky = self.diffuse[i] * above + math.pi * self.ground[i] * (1 - above)
            total[:, i] = albedo[:, i] / math.pi * (sky + self.direct[i] * direct)
        return total

    def haze(
        self, color: np.ndarray, x: Any, y: Any, distance: Any, reach: float
    ) -> np.ndarray:
        """Returns radiance as seen through so many metres of air."""
        ones = np.ones_like(x)
        flat = np.sqrt(x * x + y * y + 1e-9)
        behind = self.clear(x / flat, y / flat, 0.05 * ones) * self.brightness
        share = 1 - exp(-distance / (reach / (2.5 if self._kind != "sunny" else 1)))
        return mix(color, behind.astype(np.float32), share[..., None])
