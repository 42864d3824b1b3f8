"""A place under a sky, and how it is painted: ground, solids, trees, backdrops."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from dyso.assets.environments.facades import building
from dyso.assets.environments.functions import Noise, circle, exp, mix, step
from dyso.assets.environments.panorama import EYE, Panorama
from dyso.assets.environments.sky import Sky
from dyso.assets.environments.solids import Solid, hits_of, seen
from dyso.assets.environments.surfaces import Ground
from dyso.assets.environments.trees import Species, Tree
from dyso.assets.procedural.draw import Draw

FREE = 9.0
"""Metres around the centre that nothing may stand in, or put into its shadow."""
FAR = 160.0
"""Metres within which the ground shows shadows."""


class Place:
    """Ground, backdrop, solids and trees under a sky."""

    def __init__(self, panorama: Panorama, draw: Draw, spread: float = math.pi):
        """Draws the sky.

        Args:
          panorama: that is filled.
          draw: of the environment.
          spread: radians about the x axis within which the sun stands.
        """
        self.panorama, self.draw = panorama, draw
        self.sky = Sky(draw, panorama, spread)
        self.shore = (1.0, 0.0, math.inf)
        self.reach = draw.named("air").real(900, 4000)
        self.solids: list[Solid] = []
        self.trees: list[Tree] = []
        self.backdrops: list[Callable[[], None]] = []
        self._land = Noise(draw, "land")

    def lowest(self, x: float, y: float, reach: float, height: float) -> float:
        """Returns a height that leaves the sun on the centre, at most `height`."""
        sx, sy, sz = self.sky.sun
        flat = math.sqrt(sx * sx + sy * sy)
        along = (x * sx + y * sy) / flat
        aside = abs(x * sy - y * sx) / flat
        if along < 0 or aside > reach + FREE or max(self.sky.direct) <= 0:
            return height
        return min(height, max(along - reach - FREE, 1.0) * sz / flat * 0.92)

    def block(
        self,
        draw: Draw,
        x: float,
        y: float,
        sides: tuple[float, float, float],
        yaw: float,
    ) -> None:
        """Adds a building, lower where it would hide the sun."""
        w, d, h = sides
        h = self.lowest(x, y, math.sqrt(w * w + d * d) / 2, h)
        if h > 3:
            self.solids += building(draw, self.sky, x, y, (w, d, round(h, 3)), yaw)

    def tree(
        self, draw: Draw, kind: Species, x: float, y: float, height: float
    ) -> None:
        """Adds a tree where it does not hide the sun."""
        if self.lowest(x, y, height * 0.6, height) >= height:
            self.trees.append(Tree(draw, kind, x, y, height))

    def add(self, solids: Iterable[Solid]) -> None:
        """Adds solids."""
        self.solids += solids

    def paint(self, ground: Ground, relief: float = 0.0) -> None:
        """Paints everything.

        Args:
          ground: its material; x and y are world coordinates.
          relief: how uneven it is: changes of the light by its noise.
        """
        self.panorama.ground = ground, FREE
        if not self.panorama.height:
            return
        self.sky.paint()
        for backdrop in self.backdrops:
            backdrop()
        self._paint_ground(ground, relief)
        for solid in self.solids:
            self._paint_solid(solid)
        trees = sorted(self.trees, key=lambda t: -(t.x * t.x + t.y * t.y))
        for tree in trees:
            tree.paint(self.panorama, self.sky, self.reach)

    def _paint_ground(self, ground: Ground, relief: float) -> None:
        p, sky = self.panorama, self.sky
        for first in range(p.height // 2, p.height, 64):
            rays = p.rays(first, min(first + 64, p.height))
            t = EYE / np.maximum(-rays.z, 1e-4)
            x, y = rays.x * t, rays.y * t
            # The geometric mean of a pixel's two sides on the ground.
            pixel = p.pixel * t * np.sqrt(np.maximum(t / EYE, 1))
            albedo = ground(x, y, pixel)
            sunlit = self._sunlit(x, y, np.zeros_like(x), t)
            if relief:
                a = self._land.layers(x * 0.8, y * 0.8, 6, 0.62, pixel * 0.8)
                b = self._land.layers(
                    x * 0.8 + 0.05 * sky.sun[0],
                    y * 0.8 + 0.05 * sky.sun[1],
                    6,
                    0.62,
                    pixel * 0.8,
                )
                sunlit = sunlit * np.clip(1 + relief * 10 * (a - b), 0.3, 1.6)
            light = sky.light(albedo, (0.0, 0.0, 1.0), sunlit)
            light *= self._near_walls(x, y)[:, None]
            light = sky.haze(light, rays.x, rays.y, t, self.reach)
            p.paint(rays, t, light.__getitem__)

    def _near_walls(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Returns how much of the sky the ground sees beside solids [n]."""
        seen = np.ones_like(x)
        for solid in self.solids:
            if solid.center[2] > 1 or solid.height < 0.3 or not solid.planes:
                continue
            margin = min(0.25 * solid.height, 2.5) + 0.15
            near, out = solid.beside(x, y, margin)
            dark = 1 - 0.5 * (1 - step(out, 0, margin))
            seen[near] *= dark.astype(np.float32)
        return seen

    def _sunlit(
        self, x: np.ndarray, y: np.ndarray, z: np.ndarray, t: np.ndarray
    ) -> np.ndarray:
        """Returns how much of the sun points see [n]; t is their distance."""
        lit = np.ones_like(x)
        sx, sy, sz = self.sky.sun
        if max(self.sky.direct) <= 0:
            return lit
        flat = math.sqrt(sx * sx + sy * sy)
        leaves = self._land
        for solid in [*self.solids, *(tree.shadow() for tree in self.trees)]:
            cx, cy, base = solid.center
            dx, dy = x - cx, y - cy
            aside = np.abs(dx * sy - dy * sx) / flat
            behind = -(dx * sx + dy * sy) / flat
            length = (base + solid.height) * flat / sz
            near = np.nonzero(
                (aside < solid.reach)
                & (behind > -solid.reach)
                & (behind < length + solid.reach)
                & (t < FAR)
            )[0]
            if not len(near):
                continue
            ox, oy = solid.local(dx[near], dy[near])
            ex, ey = (float(v) for v in solid.local(sx, sy))
            oz = z[near] - base
            hit, _ = solid.enter((ox, oy, oz), (ex, ey, sz))
            blocked = np.isfinite(hit).astype(np.float32)
            if solid.soft:
                gaps = leaves.layers(x[near] * 1.7, y[near] * 1.7, 4, 0.7)
                blocked *= np.clip(1.25 - solid.soft - 0.8 * step(gaps, 0.5, 0.7), 0, 1)
            lit[near] *= 1 - blocked
        return lit

    def _paint_solid(self, solid: Solid) -> None:
        p, sky, base = self.panorama, self.sky, solid.center[2]
        rays, t, face = seen(solid, p)

        def colors(which: np.ndarray) -> np.ndarray:
            hits = hits_of(solid, rays.take(which), t[which], face[which], p.pixel)
            albedo, own = solid.surface(hits)
            n = hits.normal
            away = t[which]
            x, y = rays.x[which] * away, rays.y[which] * away
            z = rays.z[which] * away + EYE
            lift = np.float32(0.01)
            lit = self._sunlit(
                x + n[:, 0] * lift, y + n[:, 1] * lift, z + n[:, 2] * lift, away
            )
            light = sky.light(albedo, (n[:, 0], n[:, 1], n[:, 2]), lit) + own
            # Less of the sky is seen near the ground.
            light *= (0.72 + 0.28 * step(hits.z + base, 0, 3))[:, None]
            return sky.haze(light, rays.x[which], rays.y[which], away, self.reach)

        p.paint(rays, t, colors)

    def ridge(
        self,
        draw: Draw,
        height: tuple[float, float],
        color: np.ndarray,
        *,
        distance: float,
        rough: float = 0.5,
        leafy: float = 0.0,
    ) -> None:
        """Adds hills, mountains or a wood on the horizon.

        Args:
          draw: of the ridge.
          height: degrees above the horizon, from and to.
          color: albedo [3].
          distance: metres, for the haze.
          rough: how jagged it is, from 0 to 1.
          leafy: degrees of tree tops along it.
        """
        noise, p, sky = Noise(draw, "ridge"), self.panorama, self.sky
        low, high = (math.radians(h) for h in height)

        def backdrop() -> None:
            rows = int((0.5 - (high + 0.05) / math.pi) * p.height) - 4
            rays = p.rays(max(rows, 0), p.height // 2 + 2)
            # A circle through the noise, so that it closes.
            flat = np.sqrt(rays.x * rays.x + rays.y * rays.y)
            cx, cy = rays.x / flat, rays.y / flat
            shape = noise.layers(
                cx * 2.2 + 50, cy * 2.2 + 50, 8, 0.3 + 0.3 * rough, 0.0
            )
            top = low + (high - low) * step(shape, 0.15, 0.85)
            if leafy:
                tops = noise.layers(cx * 90 + 20, cy * 90 + 20, 4, 0.7, 0.0)
                top = top + math.radians(leafy) * (tops - 0.4)
            slope = rays.z / flat
            inside = step(top - slope, -0.5 * p.pixel, 0.7 * p.pixel)
            u, v = cx * 30, slope * 34
            side = noise.layers(u + v * 0.7, v + cy * 30, 6, 0.65, p.pixel * 60)
            other = noise.layers(
                u + v * 0.7 + 0.3 * sky.sun[0],
                v + cy * 30 + 0.3 * sky.sun[1],
                6,
                0.65,
                p.pixel * 60,
            )
            facing = -(cx * sky.sun[0] + cy * sky.sun[1])
            lit = np.clip(0.35 + 0.35 * facing + 3.5 * (side - other), 0.05, 1)
            albedo = ((0.55 + 0.8 * side)[:, None] * color).astype(np.float32)
            light = sky.light(albedo, sky.sun, lit)
            light = sky.haze(
                light, rays.x, rays.y, np.full_like(u, distance), self.reach
            )
            far = np.full_like(u, 1e6)
            p.paint(rays, far, light.__getitem__, inside)

        self.backdrops.append(backdrop)

    def sea(self, draw: Draw, toward: float) -> None:
        """Adds water from a shore to the horizon in a direction."""
        p, sky, noise = self.panorama, self.sky, Noise(draw, "sea")
        c, s = circle(toward)
        deep = np.array([0.02, 0.075, 0.09], np.float32) * draw.real(0.7, 1.6)
        shallow = np.array([0.1, 0.3, 0.28], np.float32)
        shore = draw.real(14, 22)
        self.shore = (c, s, shore)

        def backdrop() -> None:
            for first in range(p.height // 2, p.height, 64):
                rays = p.rays(first, min(first + 64, p.height))
                t = EYE / np.maximum(-rays.z, 1e-4)
                x, y = rays.x * t, rays.y * t
                along, aside = x * c + y * s, y * c - x * s
                edge = shore + 4 * (noise.layers(aside * 0.05, aside * 0 + 3, 4) - 0.5)
                out = along - edge
                wet = step(out, 0, 0.6)
                if not wet.any():
                    continue
                pixel = p.pixel * t * np.sqrt(np.maximum(t / EYE, 1))
                w1 = noise.layers(along * 0.5, aside * 0.16, 5, 0.65, pixel * 0.4)
                w2 = noise.layers(
                    along * 0.5 + 0.15, aside * 0.16, 5, 0.65, pixel * 0.4
                )
                tilt = (w1 - w2) * 1.6
                rise = np.maximum(-rays.z + 0.08 + tilt, 0.02)
                flat = np.sqrt(np.maximum(1 - rise * rise, 0.01))
                level = np.sqrt(rays.x * rays.x + rays.y * rays.y)
                mirror = sky.radiance(
                    rays.x / level * flat, rays.y / level * flat, rise
                )
                facing = np.clip(-rays.z - 0.5 * tilt, 0.0, 1)
                fresnel = 0.03 + 0.97 * exp(-6.5 * facing)
                body = mix(shallow, deep, step(out, 0, 35)[:, None])
                light = sky.light(
                    body.astype(np.float32), (0.0, 0.0, 1.0), np.ones_like(x)
                )
                light = mix(light, np.minimum(mirror, 40), fresnel[:, None])
                # The sun's glitter.
                hx = rays.x / level * sky.sun[0] + rays.y / level * sky.sun[1]
                glint = step(hx, 0.75, 1.0) * step(tilt, 0.1, 0.5) * 3
                light += glint[:, None] * np.array(sky.direct) * 0.1
                surf = noise.layers(along * 0.35 + 9, aside * 0.06, 5, 0.6, 0.0)
                foam = step(-out, -5, 0) * step(
                    surf + 0.4 * step(-out, -1.5, 0), 0.5, 0.7
                )
                white = sky.light(
                    np.full_like(light, 0.85), (0.0, 0.0, 1.0), np.ones_like(x)
                )
                light = mix(light, white, foam[:, None])
                light = sky.haze(light, rays.x, rays.y, t, self.reach).astype(
                    np.float32
                )
                near = np.where(along > 0, t, np.float32(np.inf)) * np.float32(0.999)
                p.paint(rays, near, light.__getitem__, wet)

        self.backdrops.append(backdrop)
