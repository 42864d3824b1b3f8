"""Places under a sky: streets, squares, parks, fields, beaches and others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from dyso.assets.environments import surfaces
from dyso.assets.environments.facades import (
    bench,
    building,
    car,
    covered,
    house,
    lamp_post,
    plain,
)
from dyso.assets.environments.functions import Noise, circle, exp, mix, step
from dyso.assets.environments.panorama import EYE, Panorama, Rays
from dyso.assets.environments.sky import Sky
from dyso.assets.environments.solids import Hits, Solid, box
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
            cx, cy, base = solid.center
            if base > 1 or solid.height < 0.3:
                continue
            dx, dy = x - cx, y - cy
            margin = min(0.25 * solid.height, 2.5) + 0.15
            reach = solid.reach + margin
            near = np.nonzero(dx * dx + dy * dy < reach * reach)[0]
            if not len(near) or not solid.planes:
                continue
            lx, ly = solid.local(dx[near], dy[near])
            out = np.full(len(near), -np.inf, np.float32)
            for nx, ny, nz, offset in solid.planes:
                if abs(nz) < 0.9:
                    out = np.maximum(out, nx * lx + ny * ly - offset)
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
        p, sky = self.panorama, self.sky
        cx, cy, base = solid.center
        rays = p.around(cx, cy, solid.reach, base, base + solid.height)
        ones = np.ones_like(rays.x)
        ox, oy = (float(v) for v in solid.local(-cx, -cy))
        dx, dy = solid.local(rays.x, rays.y)
        t, face = solid.enter(
            (ox * ones, oy * ones, (EYE - base) * ones), (dx, dy, rays.z)
        )

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


def hits_of(
    solid: Solid, rays: Rays, t: np.ndarray, face: np.ndarray, angle: float
) -> Hits:
    """Returns the points that rays hit."""
    cx, cy, base = solid.center
    x, y = solid.local(rays.x * t - cx, rays.y * t - cy)
    z = rays.z * t + EYE - base
    if solid.planes:
        planes = np.array(solid.planes, np.float32)[face]
        nx, ny, nz = planes[:, 0], planes[:, 1], planes[:, 2]
    else:
        a, b, c = solid.axes
        nx, ny, nz = x / (a * a), y / (b * b), (z - solid.height / 2) / (c * c)
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        nx, ny, nz = nx / length, ny / length, nz / length
    c, s = circle(solid.yaw)
    normal = np.stack([c * nx - s * ny, s * nx + c * ny, nz], -1).astype(np.float32)
    level = np.abs(nz) > 0.8
    u = np.where(level, x, np.where(np.abs(nx) > np.abs(ny), y, x))
    return Hits(
        x=x,
        y=y,
        z=z,
        u=u,
        v=np.where(level, y, z),
        normal=normal,
        pixel=t * angle,
        face=face,
    )


GREEN = np.array([0.045, 0.075, 0.03], np.float32)
ROCK = np.array([0.2, 0.17, 0.145], np.float32)


def _far(place: Place, draw: Draw) -> None:
    """Adds what stands on the horizon behind a town or a field."""
    choice = draw.whole(0, 3)
    if choice == 0:
        color = mix(ROCK, GREEN, draw.real(0, 1)) * 1.3
        place.ridge(
            draw.named("a"), (2, draw.real(6, 11)), color, distance=2500, rough=0.7
        )
    if choice in (1, 3):
        place.ridge(
            draw.named("b"),
            (0.5, draw.real(2, 5)),
            GREEN * 1.4,
            distance=1200,
            rough=0.3,
            leafy=0.3,
        )
    place.ridge(
        draw.named("c"),
        (0.3, draw.real(1.4, 2.5)),
        GREEN,
        distance=350,
        rough=0.3,
        leafy=1.2,
    )


def _town(place: Place, draw: Draw, near: float, low: float, high: float) -> None:
    """Adds a ring of buildings."""
    angle, start = 0.0, draw.real(-math.pi, math.pi)
    while angle < 2 * math.pi - 0.3:
        far = near + draw.real(0, 18)
        w, d = draw.real(12, 26), draw.real(10, 16)
        step_ = w / far
        c, s = circle(start + angle + step_ / 2)
        if draw.chance(0.88):
            place.block(
                draw.named(f"block {angle:.3f}"),
                c * (far + d / 2),
                s * (far + d / 2),
                (d, w, draw.real(low, high)),
                round(start + angle + step_ / 2, 6),
            )
        angle += step_ + draw.real(0.0, 0.12)


def _trees(
    place: Place,
    draw: Draw,
    kinds: list[Species],
    count: int,
    near: float,
    far: float,
    height: tuple[float, float],
) -> None:
    for index in range(count):
        c, s = circle(draw.real(-math.pi, math.pi))
        share = draw.real(0, 1)
        away = near + (far - near) * share
        kind = draw.pick(kinds)
        place.tree(
            draw.named(f"tree {index}"), kind, c * away, s * away, draw.real(*height)
        )


def _species(draw: Draw, conifers: float = 0.25) -> list[Species]:
    return [
        Species(draw.named(f"species {i}"), conifer=draw.chance(conifers))
        for i in range(3)
    ]


def street(p: Panorama, draw: Draw) -> None:
    """Paints a street with pavements, houses on both sides and parked cars."""
    place, d = Place(p, draw, 0.8), draw.named("street")
    wide, walk = d.real(9.5, 12.5), d.real(3, 5)
    road, path = surfaces.asphalt(d.named("road")), surfaces.slabs(d.named("path"))
    kind = d.whole(0, 2)
    front = wide + walk + 0.3
    for side in (-1, 1):
        x = -130.0
        while x < 130:
            w, depth = d.real(11, 24), d.real(10, 15)
            name = f"{side} {x:.3f}"
            if d.chance(0.93):
                place.block(
                    d.named(name),
                    x + w / 2,
                    side * (front + depth / 2),
                    (w, depth, d.real(7, 22)),
                    0.0,
                )
            x += w + d.pick((0.0, 0.0, 0.05, 4.0))
    _far(place, d.named("far"))
    kinds = _species(d, 0.0)
    for x in np.arange(-90, 91, d.real(11, 16)).tolist():
        for side in (-1, 1):
            if abs(x) > 9 and d.chance(0.55):
                place.tree(
                    d.named(f"tree {x} {side}"),
                    d.pick(kinds),
                    x,
                    side * (wide + 0.9),
                    d.real(5, 9),
                )
            elif abs(x) > 9 and d.chance(0.4):
                place.add(
                    lamp_post(d.named(f"lamp {x} {side}"), x, side * (wide + 0.6), 6.5)
                )
    for side in (-1, 1):
        x = -70.0
        while x < 70:
            if abs(x) > 9 and d.chance(0.6):
                turn = 0.0 if side < 0 else math.pi
                place.add(
                    car(
                        d.named(f"car {side} {x:.3f}"),
                        place.sky,
                        x,
                        side * (wide - 1.3),
                        turn,
                    )
                )
            x += d.real(5.5, 8)

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        rgb = road(x, y, pixel)
        away = np.abs(y)
        dash = (x / 6 - np.floor(x / 6) < 0.5) if kind else np.ones_like(x, bool)
        line = step(
            0.07 - np.abs(away - (0.0 if kind < 2 else wide - 2.6)), 0, pixel + 0.01
        )
        rgb = mix(
            rgb, np.float32(0.6), (0.75 * line * dash)[:, None].astype(np.float32)
        )
        curb = (away > wide) & (away < wide + 0.22)
        rgb = np.where(curb[:, None], np.float32(0.32), rgb)
        beside = away >= wide + 0.22
        if beside.any():
            rgb[beside] = path(x[beside], y[beside], pixel[beside])
        return rgb

    place.paint(ground)


def plaza(p: Panorama, draw: Draw) -> None:
    """Paints a square with buildings around, trees, lamps and benches."""
    place, d = Place(p, draw), draw.named("plaza")
    make = d.pick((surfaces.slabs, surfaces.slabs, surfaces.cobbles, surfaces.concrete))
    first, other = make(d.named("a")), surfaces.slabs(d.named("b"))
    grid = d.pick((0.0, 4.5, 6.0))
    _town(place, d, d.real(24, 38), 9, 26)
    _far(place, d.named("far"))
    kinds = _species(d, 0.05)
    _trees(place, d, kinds, d.whole(3, 10), 15, 26, (5, 9))
    for index in range(d.whole(2, 6)):
        turn = d.real(-math.pi, math.pi)
        c, s = circle(turn)
        place.add(lamp_post(d.named(f"lamp {index}"), 15 * c, 15 * s, 3.6))
        c, s = circle(turn + 0.5)
        place.add(
            bench(d.named(f"bench {index}"), 13 * c, 13 * s, round(turn - 1.07, 6))
        )

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        rgb = first(x, y, pixel)
        if grid:
            line = surfaces.gap(x, grid, 0.5, pixel) + surfaces.gap(y, grid, 0.5, pixel)
            band = np.nonzero(line > 0.01)[0]
            new = other(x[band], y[band], pixel[band])
            rgb[band] = mix(rgb[band], new, np.minimum(line[band], 1)[:, None])
        return rgb

    place.paint(ground)


def park(p: Panorama, draw: Draw) -> None:
    """Paints a lawn with trees, a path and houses behind."""
    place, d = Place(p, draw), draw.named("park")
    lawn, path = surfaces.grass(d.named("lawn")), surfaces.earth(d.named("path"))
    kinds = _species(d)
    bushes = [Species(d.named("bush"), bush=True)]
    _trees(place, d, kinds, d.whole(25, 45), 17, 60, (6, 15))
    _trees(place, d.named("more"), kinds, 40, 60, 130, (8, 16))
    _trees(place, d.named("bushes"), bushes, d.whole(4, 14), 14, 40, (1.0, 2.4))
    if d.chance(0.5):
        _town(place, d.named("town"), d.real(90, 130), 10, 35)
    _far(place, d.named("far"))
    c, s = circle(d.real(-math.pi, math.pi))
    off, wide, bend = d.real(-9, 9), d.real(1.2, 2.2), d.real(0.0, 0.03)
    for index in range(d.whole(1, 4)):
        t = d.pick((-1, 1)) * d.real(11, 24)
        aside = off + bend * t * t * 0.3 + wide + 0.8
        if (t * t + aside * aside) > 100:
            yaw = math.atan2(s, c)
            place.add(
                bench(
                    d.named(f"bench {index}"),
                    c * t - s * aside,
                    s * t + c * aside,
                    round(yaw, 6),
                )
            )

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        rgb = lawn(x, y, pixel)
        along, aside = x * c + y * s, y * c - x * s
        away = np.abs(aside - off - bend * 0.3 * along * along)
        share = step(wide - away + 0.3 * (rgb[:, 1] - 0.05) * 10, -0.1, 0.15)
        which = np.nonzero(share > 0)[0]
        new = path(x[which], y[which], pixel[which]) * np.float32(1.7)
        rgb[which] = mix(rgb[which], new, share[which][:, None]).astype(np.float32)
        return rgb

    place.paint(ground, 0.4)


def meadow(p: Panorama, draw: Draw) -> None:
    """Paints open land with hills, single trees and a farmhouse."""
    place, d = Place(p, draw), draw.named("meadow")
    field = surfaces.grass(d.named("field"))
    far = mix(ROCK, GREEN * 1.6, d.real(0, 1))
    place.ridge(
        d.named("a"), (1, d.real(6, 16)), far, distance=3500, rough=d.real(0.3, 1)
    )
    place.ridge(
        d.named("b"),
        (0.5, d.real(2, 5)),
        GREEN * 2.2,
        distance=900,
        rough=0.1,
        leafy=0.25,
    )
    place.ridge(
        d.named("c"), (0.1, d.real(0.8, 1.8)), GREEN, distance=300, rough=0.3, leafy=0.9
    )
    kinds = _species(d, 0.2)
    _trees(place, d, kinds, d.whole(4, 18), 22, 90, (6, 14))
    _trees(
        place,
        d.named("bushes"),
        [Species(d.named("bush"), bush=True)],
        d.whole(2, 12),
        18,
        60,
        (0.8, 2),
    )
    for index in range(d.whole(0, 4)):
        c, s = circle(d.real(-math.pi, math.pi))
        away = d.real(45, 110)
        place.add(
            house(
                d.named(f"house {index}"), place.sky, c * away, s * away, d.real(0, 3)
            )
        )
    place.paint(field, 0.7)


def beach(p: Panorama, draw: Draw) -> None:
    """Paints sand before the sea, and land behind."""
    place, d = Place(p, draw), draw.named("beach")
    dry = surfaces.sand(d.named("sand"))
    toward = d.real(-math.pi, math.pi)
    place.ridge(
        d.named("hills"),
        (0.2, d.real(2, 7)),
        mix(ROCK, GREEN, d.real(0, 1)),
        distance=1800,
        rough=0.5,
    )
    place.sea(d.named("sea"), toward)
    c, s, shore = place.shore
    plants = [Species(d.named("bush"), bush=True)]
    trees = _species(d, 0.1)
    for index in range(d.whole(10, 45)):
        turn = toward + math.pi + d.real(-1.1, 1.1)
        cc, ss = circle(turn)
        away = d.real(18, 60)
        kind = d.pick([*plants, *plants, *trees])
        tall = d.real(0.6, 1.8) if kind.bush else d.real(5, 10)
        place.tree(d.named(f"plant {index}"), kind, cc * away, ss * away, tall)
    if d.chance(0.4):
        for index in range(d.whole(3, 7)):
            cc, ss = circle(toward + math.pi + d.real(-1, 1))
            away = d.real(50, 90)
            place.add(
                house(
                    d.named(f"house {index}"),
                    place.sky,
                    cc * away,
                    ss * away,
                    d.real(0, 3),
                )
            )

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        along = x * c + y * s
        wet = step(along, shore - 5, shore - 1.5)
        return dry(x, y, pixel) * (1 - 0.5 * wet[:, None]).astype(np.float32)

    place.paint(ground, 0.8)


def desert(p: Panorama, draw: Draw) -> None:
    """Paints dry land with rocks and table mountains."""
    place, d = Place(p, draw), draw.named("desert")
    make = d.pick((surfaces.sand, surfaces.sand, surfaces.earth))
    land = make(d.named("land"))
    red = np.array([0.36, 0.2, 0.12], np.float32) * d.real(0.7, 1.2)
    place.ridge(
        d.named("a"), (0.5, d.real(5, 13)), red, distance=3000, rough=d.real(0.4, 1)
    )
    place.ridge(
        d.named("b"), (0.1, d.real(1.5, 4)), red * 1.2, distance=1100, rough=0.5
    )
    _trees(
        place,
        d,
        [Species(d.named("bush"), bush=True)],
        d.whole(15, 60),
        15,
        90,
        (0.4, 1.3),
    )
    place.paint(land, 0.9)


def winter(p: Panorama, draw: Draw) -> None:
    """Paints a field of snow with conifers and mountains."""
    place, d = Place(p, draw), draw.named("winter")
    white = np.array([0.7, 0.72, 0.76], np.float32)
    place.ridge(d.named("a"), (3, d.real(9, 18)), white, distance=2500, rough=1.0)
    place.ridge(
        d.named("b"), (1, d.real(3, 5)), GREEN * 1.5, distance=900, rough=0.4, leafy=0.8
    )
    kinds = [Species(d.named(f"species {i}"), conifer=True) for i in range(2)]
    _trees(place, d, kinds, d.whole(35, 70), 18, 80, (6, 15))
    for index in range(d.whole(0, 3)):
        c, s = circle(d.real(-math.pi, math.pi))
        place.add(
            house(d.named(f"house {index}"), place.sky, c * 48, s * 48, d.real(0, 3))
        )
    place.paint(surfaces.snow(d.named("snow")), 0.5)


def forest(p: Panorama, draw: Draw) -> None:
    """Paints a clearing in a wood."""
    place, d = Place(p, draw), draw.named("forest")
    floor, lawn = surfaces.earth(d.named("floor")), surfaces.grass(d.named("grass"))
    noise, share = Noise(d, "patches"), d.real(0.3, 0.7)
    place.ridge(d.named("a"), (6, 12), GREEN * 0.8, distance=150, rough=0.4, leafy=3)
    kinds = _species(d, d.pick((0.0, 0.5, 1.0)))
    _trees(place, d, kinds, d.whole(60, 90), 17, 60, (9, 18))
    _trees(
        place,
        d.named("bushes"),
        [Species(d.named("bush"), bush=True)],
        25,
        15,
        45,
        (0.8, 2.2),
    )

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        patch = noise.layers(x * 0.3, y * 0.3, 6, 0.6, pixel * 0.3)
        green = step(patch, share - 0.05, share + 0.1)[:, None].astype(np.float32)
        return mix(floor(x, y, pixel), lawn(x, y, pixel), green)

    place.paint(ground, 0.4)


def car_park(p: Panorama, draw: Draw) -> None:
    """Paints an asphalt lot with marked bays, cars and halls."""
    place, d = Place(p, draw), draw.named("lot")
    road = surfaces.asphalt(d.named("road"))
    _town(place, d, d.real(45, 70), 6, 14)
    _far(place, d.named("far"))
    _trees(place, d, _species(d, 0.1), d.whole(6, 18), 34, 44, (5, 10))
    fill = d.real(0.3, 0.8)
    for row in (-24.0, -13.5, 13.5, 24.0):
        for bay in range(-11, 11):
            if d.chance(fill):
                place.add(
                    car(
                        d.named(f"car {row} {bay}"),
                        place.sky,
                        2.6 * bay + 1.3,
                        row,
                        round(math.pi / 2 * d.pick((-1, 1)), 6),
                    )
                )
    for x in (-19.5, 19.5):
        place.add(lamp_post(d.named(f"lamp {x}"), x, 18.75, 9.0))
        place.add(lamp_post(d.named(f"post {x}"), x, -18.75, 9.0))
    yellow = d.chance(0.25)
    white = np.array([0.6, 0.45, 0.1] if yellow else [0.6, 0.6, 0.6], np.float32)

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        rgb = road(x, y, pixel)
        rows = np.minimum(np.abs(np.abs(y) - 13.5), np.abs(np.abs(y) - 24.0))
        line = surfaces.gap(x, 2.6, 0.11, pixel) * (rows < 2.6) * (np.abs(x) < 28.7)
        mid = step(0.06 - np.abs(y), 0, pixel) * (np.floor(x / 2) % 2 == 0)
        return mix(
            rgb, white, (0.8 * np.maximum(line, mid))[:, None].astype(np.float32)
        )

    place.paint(ground)


def suburb(p: Panorama, draw: Draw) -> None:
    """Paints a road of houses with gardens."""
    place, d = Place(p, draw, 1.4), draw.named("suburb")
    road, lawn = surfaces.asphalt(d.named("road")), surfaces.grass(d.named("lawn"))
    path = surfaces.concrete(d.named("path"))
    _far(place, d.named("far"))
    kinds = _species(d, 0.2)
    hedge = [Species(d.named("hedge"), bush=True)]
    for side in (-1, 1):
        x = -110.0
        while x < 110:
            y = side * d.real(22, 27)
            place.add(
                house(
                    d.named(f"house {side} {x:.3f}"), place.sky, x, y, d.real(-0.1, 0.1)
                )
            )
            place.tree(
                d.named(f"t {side} {x:.3f}"),
                d.pick(kinds),
                x + 9,
                side * d.real(15, 19),
                d.real(4, 9),
            )
            for k in range(3):
                place.tree(
                    d.named(f"h {side} {x:.3f} {k}"),
                    hedge[0],
                    x + 4 * k,
                    side * d.real(13.5, 15),
                    d.real(0.8, 1.5),
                )
            if d.chance(0.6) and abs(x) > 8:
                place.add(
                    car(
                        d.named(f"car {side} {x:.3f}"),
                        place.sky,
                        x + 3,
                        side * 8.2,
                        0.0,
                    )
                )
            x += d.real(17, 22)
    _trees(place, d.named("behind"), kinds, 40, 45, 90, (7, 14))

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        away = np.abs(y)
        rgb = road(x, y, pixel)
        line = step(0.06 - away, 0, pixel) * (x / 5 - np.floor(x / 5) < 0.5)
        rgb = mix(rgb, np.float32(0.6), (0.7 * line)[:, None].astype(np.float32))
        walk, green = (away > 9.6) & (away < 11.4), away >= 11.4
        rgb[walk] = path(x[walk], y[walk], pixel[walk])
        rgb[green] = lawn(x[green], y[green], pixel[green])
        curb = (away > 9.4) & (away <= 9.6)
        return np.where(curb[:, None], np.float32(0.3), rgb)

    place.paint(ground)


def rooftop(p: Panorama, draw: Draw) -> None:
    """Paints a terrace above a city."""
    place, d = Place(p, draw), draw.named("rooftop")
    make = d.pick((surfaces.planks, surfaces.concrete, surfaces.slabs))
    floor = make(d.named("floor"))
    side = d.real(15, 19)
    coping = covered(surfaces.plaster(d.named("wall"), d.pick(("wall", "stone"))))
    for sign in (-1, 1):
        place.add([box(sign * side, 0, (0.4, 2 * side, 1.0), coping)])
        place.add([box(0, sign * side, (2 * side, 0.4, 1.0), coping)])
    pots = plain(surfaces.paint(d, "earth"))
    bush = Species(d.named("bush"), bush=True)
    for index in range(d.whole(4, 12)):
        x, y = side - 1.2, d.real(-0.9, 0.9) * side
        x, y = d.pick(((x, y), (-x, y), (y, x), (y, -x)))
        place.add([box(x, y, (0.9, 0.9, 0.7), pots)])
        place.trees.append(Tree(d.named(f"bush {index}"), bush, x, y, 1.7))
    _town(place, d.named("near"), 40, 6, 22)
    _town(place, d.named("middle"), 75, 12, 45)
    _town(place, d.named("behind"), 130, 20, 80)
    _far(place, d.named("far"))

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        rgb = floor(x, y, pixel)
        out = np.maximum(np.abs(x), np.abs(y)) > side
        return np.where(out[:, None], np.float32(0.12), rgb)

    place.paint(ground)


def courtyard(p: Panorama, draw: Draw) -> None:
    """Paints a yard between old walls."""
    place, d = Place(p, draw), draw.named("courtyard")
    make = d.pick((surfaces.cobbles, surfaces.cobbles, surfaces.slabs, surfaces.earth))
    floor = make(d.named("floor"))
    half = d.real(15, 20)
    for turn in range(4):
        c, s = circle(turn * math.pi / 2)
        place.block(
            d.named(f"wing {turn}"),
            c * (half + 5),
            s * (half + 5),
            (10, 2 * half + 20, d.real(6, 13)),
            round(turn * math.pi / 2, 6),
        )
    _town(place, d.named("behind"), 60, 14, 30)
    _far(place, d.named("far"))
    kinds = _species(d, 0.0)
    _trees(place, d, kinds, d.whole(1, 5), half - 4, half - 2, (4, 7))
    _trees(
        place,
        d.named("bushes"),
        [Species(d.named("bush"), bush=True)],
        d.whole(2, 9),
        half - 2,
        half - 1,
        (0.8, 1.8),
    )
    place.paint(floor)


OUTDOOR: dict[str, Callable[[Panorama, Draw], None]] = {
    "beach": beach,
    "car_park": car_park,
    "courtyard": courtyard,
    "desert": desert,
    "forest": forest,
    "meadow": meadow,
    "park": park,
    "plaza": plaza,
    "rooftop": rooftop,
    "street": street,
    "suburb": suburb,
    "winter": winter,
}
