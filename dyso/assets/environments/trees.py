"""Trees as pictures that stand upright and face the eye."""

from __future__ import annotations

import math

import numpy as np

from dyso.assets.environments.functions import Noise, circle, mix, step
from dyso.assets.environments.panorama import EYE, Panorama
from dyso.assets.environments.sky import Sky
from dyso.assets.environments.solids import Solid, ellipsoid
from dyso.assets.environments.surfaces import paint
from dyso.assets.procedural.draw import Draw


class Species:
    """What trees of one kind have in common.

    Attributes:
      conifer: whether it has a pointed crown.
      bush: whether its crown begins at the ground.
    """

    def __init__(self, draw: Draw, *, conifer: bool = False, bush: bool = False):
        """Draws colours.

        Args:
          draw: of the species.
          conifer: whether it has a pointed crown.
          bush: whether its crown begins at the ground.
        """
        self.conifer, self.bush = conifer, bush
        self.leaf = paint(draw, "leaf") * (0.4 if conifer else 0.6)
        self.leaf *= np.array([1.05, 0.9, 0.7], np.float32)
        self.bark = paint(draw, "wood") * 0.35
        self.noise = Noise(draw, "leaves")


class Tree:
    """One tree."""

    def __init__(self, draw: Draw, species: Species, x: float, y: float, height: float):
        """Draws the crown's shape.

        Args:
          draw: of this tree.
          species: colours.
          x: metres.
          y: metres.
          height: metres.
        """
        self.species, self.x, self.y, self.height = species, x, y, height
        self.trunk = 0.0 if species.bush else height * draw.real(0.16, 0.3)
        self.width = height * (
            draw.real(0.32, 0.42) if species.conifer else draw.real(0.6, 0.95)
        )
        if species.bush:
            self.width = height * draw.real(1.0, 1.8)
        self.shift = draw.real(0, 200)
        self.tone = draw.real(0.75, 1.25)
        self.blobs = []
        rise = height - self.trunk
        for index in range(9):
            angle = 2 * math.pi * (index / 8 + draw.real(-0.04, 0.04))
            c, s = circle(angle)
            out = 0.0 if index == 8 else draw.real(0.5, 0.62)
            radius = draw.real(0.2, 0.3) if index < 8 else 0.34
            self.blobs.append(
                (
                    out * c * self.width / 2,
                    self.trunk + rise * (0.5 + 0.5 * out * s),
                    radius * self.width,
                    radius * rise * 0.95,
                )
            )

    def shadow(self) -> Solid:
        """Returns a solid of about the crown's extent, for shadows."""
        rise = self.height - self.trunk
        return ellipsoid(
            self.x,
            self.y,
            (self.width / 2.3, self.width / 2.3, rise / 2),
            lambda hits: (np.zeros((0, 3)), np.zeros((0, 3))),
            base=self.trunk,
            soft=0.12,
        )

    def paint(self, panorama: Panorama, sky: Sky, reach: float) -> None:
        """Paints it into a panorama; `reach` is the distance of half the haze."""
        away = math.sqrt(self.x * self.x + self.y * self.y)
        rays = panorama.around(self.x, self.y, self.width / 2, 0, self.height)
        fx, fy = self.x / away, self.y / away
        toward = rays.x * fx + rays.y * fy
        ahead = toward > 0.05
        rays = rays.take(ahead)
        t = away / toward[ahead]
        u = (rays.y * fx - rays.x * fy) * t
        v = EYE + rays.z * t
        alpha, shade, facing = self._shape(u, v, away * panorama.pixel)
        sun = sky.sun
        right = sun[1] * fx - sun[0] * fy
        front = -(sun[0] * fx + sun[1] * fy)
        nu, nv, nw, leafy = facing
        lit = np.clip(0.3 + 0.7 * (nu * right + nv * sun[2] + nw * front), 0, 1)
        gold = np.array([1.1, 1.0, 0.7], np.float32)
        leaf = self.species.leaf * self.tone

        def colors(which: np.ndarray) -> np.ndarray:
            k = leafy[which][:, None]
            tint = mix(leaf, leaf * gold, shade[which][:, None])
            albedo = mix(self.species.bark, tint, k).astype(np.float32)
            albedo *= (0.3 + 0.95 * shade[which])[:, None].astype(np.float32)
            light = sky.light(albedo, (sun[0], sun[1], sun[2]), lit[which])
            gloom = 0.45 + 0.55 * np.clip(nv[which] * 0.5 + 0.5, 0, 1)
            light *= gloom[:, None].astype(np.float32)
            return sky.haze(
                light, rays.x[which], rays.y[which], t[which], reach
            ).astype(np.float32)

        panorama.paint(rays, t, colors, alpha)

    def _shape(
        self, u: np.ndarray, v: np.ndarray, pixel: float
    ) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
        noise, s = self.species.noise, self.shift
        grain = 1.6 if self.species.bush else 0.9
        leaves = noise.layers((u + s) * grain, (v + s) * grain, 6, 0.72, pixel * grain)
        if self.species.conifer:
            share = np.clip((v - self.trunk) / (self.height - self.trunk), -0.2, 1)
            tiers = share * 9 + 0.35 * np.abs(u) / self.width * 9
            saw = tiers - np.floor(tiers)
            half = self.width / 2 * (1 - share) * (0.62 + 0.5 * (1 - saw)) + 0.05
            field = 1 - np.abs(u) / half + 0.9 * (leaves - 0.5)
            field = np.where(share < -0.05, -1, field)
            nu, nv = np.clip(u / half, -1, 1) * 0.8, 0.5 - 0.9 * saw
            nw = np.sqrt(np.maximum(1 - nu * nu - nv * nv * 0.5, 0))
        else:
            field = np.full_like(u, -9)
            nu, nv, nw = np.zeros_like(u), np.zeros_like(u), np.zeros_like(u)
            wobble = 0.35 * (
                noise.layers((u + s) * 0.4, (v - s) * 0.4, 4, 0.6, pixel * 0.4) - 0.5
            )
            for cu, cv, ru, rv in self.blobs:
                a, b = (u - cu) / ru, (v - cv) / rv
                value = 1 - np.sqrt(a * a + b * b) + wobble
                best = value > field
                field = np.where(best, value, field)
                nu, nv = np.where(best, a, nu), np.where(best, b, nv)
            nu, nv = np.clip(nu, -1, 1), np.clip(nv, -1, 1)
            nw = np.sqrt(np.maximum(1 - nu * nu - nv * nv, 0))
            field = field + 0.55 * (leaves - 0.5)
        crown = step(field, 0.0, 0.06 + 0.2 * min(pixel * 4, 1))
        thick = 0.035 * self.height * (1.3 - 0.8 * v / self.height)
        trunk = (
            step(thick - np.abs(u), 0, pixel)
            * (v > -0.05)
            * (v < self.trunk + 0.4 * (self.height - self.trunk))
        )
        if self.species.bush:
            trunk = np.zeros_like(trunk)
        shade = np.clip(leaves + 0.25 * np.clip(field, 0, 0.6) - 0.1, 0, 1)
        alpha = np.maximum(crown, trunk) * (v > -0.05)
        return alpha, shade, (nu, nv, nw, crown)
