"""Rooms: their light comes through windows and from lamps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dyso.assets.environments import surfaces
from dyso.assets.environments.facades import covered, plain
from dyso.assets.environments.functions import Noise, cell_value, mix, step
from dyso.assets.environments.furniture import Furniture, rug
from dyso.assets.environments.outdoor import (
    GREEN,
    Place,
    _species,
    _town,
    _trees,
    hits_of,
)
from dyso.assets.environments.panorama import EYE, Panorama, Rays
from dyso.assets.environments.solids import Solid, box, column
from dyso.assets.environments.surfaces import Ground, grey
from dyso.assets.procedural.draw import Draw

_AXES = ((0, 1.0), (0, -1.0), (1, 1.0), (1, -1.0))
"""Of the four walls: the axis that they cut, and the side."""
CEILING, FLOOR = 4, 5
GRID = 0.45
"""Metres between the points for which light is computed."""
Decor = Callable[[int, np.ndarray, np.ndarray, np.ndarray, Any], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Rectangle:
    """A window or a lamp in a wall or under the ceiling.

    Attributes:
      wall: its number.
      u: from and to, metres; y on the walls of x, x on the others and the ceiling.
      v: from and to, metres above the floor; y on the ceiling.
    """

    wall: int
    u: tuple[float, float]
    v: tuple[float, float]


class Room:
    """A rectangular room about the eye."""

    def __init__(
        self, panorama: Panorama, draw: Draw, half: tuple[float, float], height: float
    ):
        """See the attributes.

        Args:
          panorama: that is filled.
          draw: of the environment.
          half: half of its sides along x and y.
          height: of its ceiling.
        """
        self.panorama, self.draw, self.half, self.height = panorama, draw, half, height
        self.outside = Place(panorama, draw)
        self.windows: list[Rectangle] = []
        self.lamps: list[Rectangle] = []
        self.solids: list[Solid] = []
        self.target = draw.named("lamps").real(2.0, 4.5)
        warm = draw.named("warm").real(0, 1)
        self.glow = np.array([1.0, 0.95 - 0.2 * warm, 0.9 - 0.45 * warm], np.float32)
        self.frame = surfaces.paint(
            draw.named("frame"),
            draw.named("frame").pick(("wall", "wall", "wood", "dark_glass")),
        )
        self.panes = 1.0, 1.2

    def add(self, solids: Iterable[Solid]) -> None:
        """Adds furniture."""
        self.solids += solids

    def extent(self, wall: int) -> float:
        """Returns half of a wall's length."""
        return self.half[1 - _AXES[wall][0]]

    def row_of_windows(
        self, wall: int, width: float, gap: float, low: float, high: float
    ) -> None:
        """Adds as many windows as a wall has room for."""
        length = 2 * self.extent(wall) - 1.0
        count = int((length + gap) / (width + gap))
        start = -(count * width + (count - 1) * gap) / 2
        for index in range(count):
            u = start + index * (width + gap)
            self.windows.append(Rectangle(wall=wall, u=(u, u + width), v=(low, high)))

    def grid_of_lamps(self, size: tuple[float, float], apart: float) -> None:
        """Adds lamps under the ceiling."""
        # An even number: straight above the eye, one would outshine all others.
        counts = [2 * max(int(h / apart), 1) for h in self.half]
        for i in range(counts[0]):
            for j in range(counts[1]):
                x = (i + 0.5 - counts[0] / 2) * apart
                y = (j + 0.5 - counts[1] / 2) * apart
                self.lamps.append(
                    Rectangle(
                        wall=CEILING,
                        u=(x - size[0] / 2, x + size[0] / 2),
                        v=(y - size[1] / 2, y + size[1] / 2),
                    )
                )

    def paint(
        self,
        floor: Ground,
        walls: list[Ground],
        ceiling: Ground,
        decor: Decor | None = None,
    ) -> None:
        """Paints everything.

        Args:
          floor: its material.
          walls: of each of the four.
          ceiling: its material.
          decor: changes the walls' albedo: (wall, albedo, u, v, pixel) -> albedo.
        """
        self.outside.paint(surfaces.grass(self.draw.named("lawn")))
        self._prepare_light()
        for index in range(6):
            material = (
                floor
                if index == FLOOR
                else ceiling
                if index == CEILING
                else (walls[index])
            )
            self._paint_side(index, material, decor)
        for solid in self.solids:
            self._paint_solid(solid)

    def _prepare_light(self) -> None:
        """Places the sources' samples; makes the lamps as bright as wanted."""
        sky = self.outside.sky
        through = np.array(
            [
                0.45 * d / math.pi + 0.5 * g
                for d, g in zip(sky.diffuse, sky.ground, strict=True)
            ]
        )
        sources = []
        for kind, rectangles in (("window", self.windows), ("lamp", self.lamps)):
            rows = 2 if kind == "window" else 1
            for r in rectangles:
                for i in range(rows):
                    for j in range(rows):
                        u = mix(*r.u, (i + 0.5) / rows)
                        v = mix(*r.v, (j + 0.5) / rows)
                        area = (r.u[1] - r.u[0]) * (r.v[1] - r.v[0]) / rows / rows
                        sources.append((kind, self._on(r.wall, u, v), area))
        self._where = [(point, normal) for _, (point, normal), _ in sources]
        self._power = np.array(
            [a * (through if k == "window" else 0 * through) for k, _, a in sources]
        ).reshape(-1, 3)
        if self.lamps:
            lamps = np.array(
                [a * self.glow if k == "lamp" else 0 * self.glow for k, _, a in sources]
            )
            kept, self._power = self._power, lamps
            zero = np.zeros(1, np.float32)
            level = self._direct((zero, zero, zero), (0.0, 0.0, 1.0), shadows=False)
            self.lamp_radiance = float(self.target / level[0, 1])
            self._power = kept + lamps * self.lamp_radiance
        a, b = (2 * h for h in self.half)
        area = 2 * (a * b + a * self.height + b * self.height)
        flux = [math.fsum((self._power[:, i] * math.pi).tolist()) for i in range(3)]
        sun = [self._patches() * d for d in sky.direct]
        # An integrating sphere: light is reflected many times by walls of this albedo.
        rho = 0.62
        self._ambient = np.array(
            [(f + s) * rho / (1 - rho) / area for f, s in zip(flux, sun, strict=True)],
            np.float32,
        )

    def _patches(self) -> float:
        """Returns the area, facing the sun, of the windows that it shines through."""
        total = 0.0
        for window in self.windows:
            axis, side = _AXES[window.wall]
            facing = side * self.outside.sky.sun[axis]
            size = (window.u[1] - window.u[0]) * (window.v[1] - window.v[0])
            total += max(facing, 0.0) * size
        return total

    def _on(
        self, wall: int, u: float, v: float
    ) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Returns a point on a wall or the ceiling, and the normal there."""
        if wall == CEILING:
            return (u, v, self.height - 0.02), (0.0, 0.0, -1.0)
        axis, side = _AXES[wall]
        if axis == 0:
            return (side * self.half[0], u, v), (-side, 0.0, 0.0)
        return (u, side * self.half[1], v), (0.0, -side, 0.0)

    def _direct(
        self,
        points: tuple[np.ndarray, np.ndarray, np.ndarray],
        normal: tuple[Any, Any, Any],
        *,
        shadows: bool,
    ) -> np.ndarray:
        """Returns irradiance [n, 3] by windows and lamps."""
        x, y, z = points
        total = np.zeros((len(x), 3), np.float32)
        for ((px, py, pz), (mx, my, mz)), power in zip(
            self._where, self._power, strict=True
        ):
            dx, dy, dz = px - x, py - y, pz - z
            square = dx * dx + dy * dy + dz * dz + np.float32(0.3)
            here = dx * normal[0] + dy * normal[1] + dz * normal[2]
            there = -(dx * mx + dy * my + dz * mz)
            value = np.maximum(here, 0) * np.maximum(there, 0) / (square * square)
            if shadows:
                value = value * (1 - self._hidden(points, (dx, dy, dz), 0.999, 0.12))
            total += (value[:, None] * power).astype(np.float32)
        return total

    def _hidden(
        self,
        points: tuple[np.ndarray, np.ndarray, np.ndarray],
        way: tuple[Any, Any, Any],
        most: float,
        thin: float = 0.0,
    ) -> np.ndarray:
        """Returns 1 where furniture is on the way [n], up to a share of it.

        Args:
          points: x, y and z, each [n].
          way: to the light, each [n] or a number.
          most: share of the way that counts.
          thin: metres; what is thinner throws no shadow.
        """
        x, y, z = points
        dx, dy, dz = (np.broadcast_to(w, x.shape).astype(np.float32) for w in way)
        hidden = np.zeros_like(x)
        flat = np.sqrt(dx * dx + dy * dy) + np.float32(1e-6)
        for solid in self.solids:
            if solid.reach < thin:
                continue
            cx, cy, base = solid.center
            ax, ay = cx - x, cy - y
            aside = np.abs(ax * dy - ay * dx) / flat
            along = (ax * dx + ay * dy) / flat
            near = np.nonzero(
                (aside < solid.reach)
                & (along > -solid.reach)
                & (along < flat * most + solid.reach)
                & (hidden < 1)
            )[0]
            if not len(near):
                continue
            ox, oy = solid.local(-ax[near], -ay[near])
            ex, ey = solid.local(dx[near], dy[near])
            t, _ = solid.enter((ox, oy, z[near] - base), (ex, ey, dz[near]))
            hidden[near] = np.maximum(hidden[near], (t < most).astype(np.float32))
        return hidden

    def _sun(
        self,
        points: tuple[np.ndarray, np.ndarray, np.ndarray],
        normal: tuple[Any, Any, Any],
    ) -> np.ndarray:
        """Returns irradiance [n, 3] by the sun through the windows."""
        x, y, z = points
        s = self.outside.sky.sun
        facing = np.maximum(normal[0] * s[0] + normal[1] * s[1] + normal[2] * s[2], 0)
        facing = facing * np.ones_like(x)
        open_ = np.zeros_like(x)
        if max(self.outside.sky.direct) > 0:
            for window in self.windows:
                axis, side = _AXES[window.wall]
                if side * s[axis] < 0.02:
                    continue
                t = (side * self.half[axis] - points[axis]) / s[axis]
                u, v = points[1 - axis] + s[1 - axis] * t, z + s[2] * t
                open_ = np.maximum(open_, self._pane(window, u, v, np.float32(0.03)))
        lit = np.nonzero(open_ * facing > 0)[0]
        if len(lit):
            few = x[lit], y[lit], z[lit]
            way = 30 * s[0], 30 * s[1], 30 * s[2]
            open_[lit] *= 1 - self._hidden(few, way, 1.0)
        return ((open_ * facing)[:, None] * np.array(self.outside.sky.direct)).astype(
            np.float32
        )

    def _pane(self, window: Rectangle, u: Any, v: Any, soft: Any) -> np.ndarray:
        """Returns where a window is glass: 1, and frame or wall: 0."""
        inset = np.minimum(
            np.minimum(u - window.u[0], window.u[1] - u),
            np.minimum(v - window.v[0], window.v[1] - v),
        )
        open_ = step(inset, 0.06, 0.06 + soft)
        for value, (low, high), size in (
            (u, window.u, self.panes[0]),
            (v, window.v, self.panes[1]),
        ):
            count = max(round((high - low) / size), 1)
            t = (value - low) / (high - low) * count
            away = np.abs(t - np.floor(t + 0.5)) * (high - low) / count
            open_ = open_ * step(away, 0.025, 0.025 + soft)
        return open_

    def _grid_light(self, index: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Returns the light of a side at its u and v, interpolated on a grid."""
        if index >= CEILING:
            us, vs = self.half
            low, high = -vs, vs
        else:
            us, low, high = self.extent(index), 0.0, self.height
        columns = max(int(2 * us / GRID), 4)
        rows = max(int((high - low) / GRID), 4)
        u = ((np.arange(columns) + 0.5) / columns * 2 - 1) * us
        v = low + (np.arange(rows) + 0.5) / rows * (high - low)
        uu, vv = (g.ravel().astype(np.float32) for g in np.meshgrid(u, v))
        points, normal = self._points(index, uu, vv)
        light = self._direct(points, normal, shadows=True).reshape(rows, columns, 3)

        def at(u: np.ndarray, v: np.ndarray) -> np.ndarray:
            x = np.clip((u / us + 1) / 2 * columns - 0.5, 0, columns - 1.001)
            y = np.clip((v - low) / (high - low) * rows - 0.5, 0, rows - 1.001)
            i, j = x.astype(int), y.astype(int)
            s = (x - i)[:, None].astype(np.float32)
            r = (y - j)[:, None].astype(np.float32)
            upper = mix(light[j, i], light[j, i + 1], s)
            lower = mix(light[j + 1, i], light[j + 1, i + 1], s)
            return mix(upper, lower, r)

        return at

    def _points(
        self, index: int, u: np.ndarray, v: np.ndarray
    ) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], tuple[float, float, float]]:
        ones = np.ones_like(u)
        if index == FLOOR:
            return (u, v, 0 * ones), (0.0, 0.0, 1.0)
        if index == CEILING:
            return (u, v, self.height * ones), (0.0, 0.0, -1.0)
        axis, side = _AXES[index]
        place = side * np.float32(self.half[axis]) * ones
        if axis == 0:
            return (place, u, v), (-side, 0.0, 0.0)
        return (u, place, v), (0.0, -side, 0.0)

    def _paint_side(self, index: int, material: Ground, decor: Decor | None) -> None:
        p = self.panorama
        light_at = self._grid_light(index)
        half = p.height // 2
        spans = {FLOOR: (half, p.height), CEILING: (0, half)}.get(index, (0, p.height))
        for first in range(*spans, 64):
            rays = p.rays(first, min(first + 64, spans[1]))
            d = rays.x, rays.y, rays.z
            with np.errstate(divide="ignore", invalid="ignore"):
                tx = self.half[0] / np.abs(rays.x)
                ty = self.half[1] / np.abs(rays.y)
                tz = np.where(rays.z > 0, self.height - EYE, EYE) / np.abs(rays.z)
            t = np.minimum(np.minimum(tx, ty), tz)
            if index >= CEILING:
                seen = (tz <= t) & ((rays.z > 0) == (index == CEILING))
            else:
                axis, side = _AXES[index]
                seen = ((tx, ty)[axis] <= t) & (d[axis] * side > 0)
            seen &= np.isfinite(t)
            which = np.nonzero(seen)[0]
            if not len(which):
                continue
            rays, t = rays.take(which), t[which]
            x, y, z = rays.x * t, rays.y * t, rays.z * t + EYE
            if index >= CEILING:
                u, v = x, y
            else:
                u, v = (y, z) if _AXES[index][0] == 0 else (x, z)
            self._shade(index, material, decor, rays, (t, u, v), light_at)

    def _shade(
        self,
        index: int,
        material: Ground,
        decor: Decor | None,
        rays: Rays,
        where: tuple[np.ndarray, np.ndarray, np.ndarray],
        light_at: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> None:
        p = self.panorama
        t, u, v = where
        points, normal = self._points(index, u, v)
        slant = np.abs(rays.x * normal[0] + rays.y * normal[1] + rays.z * normal[2])
        pixel = p.pixel * t / np.sqrt(np.maximum(slant, 0.05))
        albedo = material(u, v, pixel)
        if decor is not None:
            albedo = decor(index, albedo, u, v, pixel)
        light = light_at(u, v) + self._ambient * self._corner(index, u, v)[:, None]
        light = light + self._sun(points, normal)
        color = albedo * light / np.float32(math.pi)
        alpha = np.ones_like(t)
        for window in self.windows:
            if window.wall != index:
                continue
            inside = (u > window.u[0]) & (u < window.u[1])
            inside &= (v > window.v[0]) & (v < window.v[1])
            frame = self.frame * light / np.float32(math.pi)
            color = np.where(inside[:, None], frame, color)
            alpha = alpha * (1 - self._pane(window, u, v, pixel))
        for lamp in self.lamps:
            if lamp.wall != index:
                continue
            inset = np.minimum(
                np.minimum(u - lamp.u[0], lamp.u[1] - u),
                np.minimum(v - lamp.v[0], lamp.v[1] - v),
            )
            share = step(inset, -pixel / 2, pixel / 2)[:, None]
            color = mix(color, self.glow * np.float32(self.lamp_radiance), share)
        # What is outside lies behind the panes.
        place = rays.rows, rays.columns
        behind = p.color[place]
        a = alpha[:, None].astype(np.float32)
        p.color[place] = behind * (1 - a) + color.astype(np.float32) * a
        p.depth[place] = t

    def _corner(self, index: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Returns how open a place of a side is: less near its edges [n]."""
        if index >= CEILING:
            edges = self.half[0] - np.abs(u), self.half[1] - np.abs(v)
        else:
            edges = self.extent(index) - np.abs(u), np.minimum(v, self.height - v)
        dark = np.ones_like(u)
        for edge in edges:
            dark = dark * (0.62 + 0.38 * step(edge, -0.2, 1.6))
        if index == FLOOR:
            for solid in self.solids:
                cx, cy, base = solid.center
                if base > 0.6 or not solid.planes:
                    continue
                dx, dy = u - cx, v - cy
                reach = solid.reach + 0.4
                near = np.nonzero(dx * dx + dy * dy < reach * reach)[0]
                if len(near):
                    lx, ly = solid.local(dx[near], dy[near])
                    out = np.full(len(near), -np.inf, np.float32)
                    for nx, ny, nz, offset in solid.planes:
                        if abs(nz) < 0.9:
                            out = np.maximum(out, nx * lx + ny * ly - offset)
                    dark[near] *= 0.5 + 0.5 * step(out, -0.05, 0.4)
        return dark.astype(np.float32)

    def _paint_solid(self, solid: Solid) -> None:
        p = self.panorama
        cx, cy, base = solid.center
        rays = p.around(cx, cy, solid.reach, base, base + solid.height)
        ones = np.ones_like(rays.x)
        ox, oy = (float(v) for v in solid.local(-cx, -cy))
        dx, dy = solid.local(rays.x, rays.y)
        t, face = solid.enter(
            (ox * ones, oy * ones, (EYE - base) * ones), (dx, dy, rays.z)
        )

        def colors(which: np.ndarray) -> np.ndarray:
            few, away = rays.take(which), t[which]
            hits = hits_of(solid, few, away, face[which], p.pixel)
            albedo, own = solid.surface(hits)
            n = hits.normal[:, 0], hits.normal[:, 1], hits.normal[:, 2]
            points = (
                few.x * away + n[0] * np.float32(0.01),
                few.y * away + n[1] * np.float32(0.01),
                few.z * away + EYE + n[2] * np.float32(0.01),
            )
            light = self._direct(points, n, shadows=False)
            low = 0.5 + 0.5 * step(hits.z + base, 0, 0.8)
            open_ = (0.7 + 0.3 * n[2]) * low
            light = light * low[:, None] + self._ambient * open_[:, None]
            light = light + self._sun(points, n)
            return (albedo * light / math.pi + own).astype(np.float32)

        p.paint(rays, t, colors)


def _white(draw: Draw) -> Ground:
    noise, base = Noise(draw, "white"), grey(draw.real(0.68, 0.82), 0.02)

    def ceiling(u: np.ndarray, v: np.ndarray, pixel: Any) -> np.ndarray:
        return surfaces.tinted(base, 0.96 + 0.06 * noise.layers(u, v, 4, 0.6, pixel))

    return ceiling


def _skirting(color: np.ndarray, height: float = 0.1) -> Decor:
    def decor(
        index: int, albedo: np.ndarray, u: np.ndarray, v: np.ndarray, pixel: Any
    ) -> np.ndarray:
        if index >= CEILING:
            return albedo
        return np.where((v < height)[:, None], color, albedo)

    return decor


def _pictures(draw: Draw, room: Room, walls: list[int], large: bool) -> Decor:
    """Returns paintings that hang on walls."""
    frames = []
    for wall in walls:
        extent, u = room.extent(wall), -room.extent(wall) + draw.real(1, 2)
        while u < extent - 2:
            w, h = (
                (draw.real(1.0, 2.6), draw.real(1.0, 1.9))
                if large
                else (draw.real(0.5, 1.2), draw.real(0.5, 1.0))
            )
            inks = np.stack([surfaces.paint(draw, "paint") for _ in range(4)])
            frames.append(
                (
                    wall,
                    u,
                    u + w,
                    1.65 - h / 2,
                    1.65 + h / 2,
                    inks,
                    Noise(draw, f"{wall} {u:.4f}"),
                    draw.whole(0, 2),
                )
            )
            u += w + draw.real(0.8, 2.2)

    def decor(
        index: int, albedo: np.ndarray, u: np.ndarray, v: np.ndarray, pixel: Any
    ) -> np.ndarray:
        for wall, left, right, low, high, inks, noise, style in frames:
            if wall != index:
                continue
            inset = np.minimum(
                np.minimum(u - left, right - u), np.minimum(v - low, high - v)
            )
            on = np.nonzero(inset > 0)[0]
            a, b = (u[on] - left) / (right - left), (v[on] - low) / (high - low)
            if style == 0:
                value = noise.layers(a * 3, b * 3, 6, 0.6, 0.01)
            elif style == 1:
                value = cell_value(np.floor(a * 5), np.floor(b * 4), int(left * 100))
            else:
                value = np.clip(
                    b + 0.5 * (noise.layers(a * 3, b * 8, 5, 0.6, 0.01) - 0.5), 0, 1
                )
            picture = inks[np.clip(value * 4, 0, 3).astype(int)]
            border = inset[on] < 0.05
            mat = (inset[on] < 0.13) & ~border & (style != 2)
            picture = np.where(mat[:, None], np.float32(0.75), picture)
            albedo = albedo.copy()
            albedo[on] = np.where(border[:, None], np.float32(0.06), picture)
        return albedo

    return decor


def _both(*decors: Decor) -> Decor:
    def decor(
        index: int, albedo: np.ndarray, u: np.ndarray, v: np.ndarray, pixel: Any
    ) -> np.ndarray:
        for each in decors:
            albedo = each(index, albedo, u, v, pixel)
        return albedo

    return decor


def _door(room: Room, draw: Draw, wall: int) -> Decor:
    base, at = surfaces.paint(draw, draw.pick(("wood", "wall"))), draw.real(-0.7, 0.7)
    middle = at * room.extent(wall)

    def decor(
        index: int, albedo: np.ndarray, u: np.ndarray, v: np.ndarray, pixel: Any
    ) -> np.ndarray:
        if index != wall:
            return albedo
        away = np.abs(u - middle)
        frame = (away < 0.58) & (v < 2.2)
        leaf = (away < 0.5) & (v < 2.1)
        panel = (np.abs(away - 0.25) > 0.17) | (np.abs(v - 1.05) % 1.0 > 0.86)
        rgb = np.where(frame[:, None], np.float32(0.5), albedo)
        color = np.where(panel[:, None], base, base * 0.8)
        return np.where(leaf[:, None], color, rgb).astype(np.float32)

    return decor


def _outlook(room: Room, draw: Draw) -> None:
    """Puts something before the windows."""
    place = room.outside
    place.ridge(
        draw.named("far"),
        (0.5, draw.real(2, 6)),
        GREEN * 1.5,
        distance=900,
        rough=0.4,
        leafy=0.5,
    )
    far = max(room.half) + 14
    if draw.chance(0.5):
        _town(place, draw.named("town"), far + 15, 8, 22)
    _trees(place, draw.named("trees"), _species(draw), 30, far, far + 50, (6, 13))


def _along_walls(
    room: Room, draw: Draw, inset: float
) -> Iterable[tuple[Draw, float, float, float, int]]:
    """Yields places along the walls, with a turn to look inwards."""
    for wall in range(4):
        axis, side = _AXES[wall]
        u = -room.extent(wall) + 1.4
        while u < room.extent(wall) - 1.2:
            away = side * (room.half[axis] - inset)
            x, y = (away, u) if axis == 0 else (u, away)
            yaw = {
                (0, 1.0): math.pi / 2,
                (0, -1.0): -math.pi / 2,
                (1, 1.0): math.pi,
                (1, -1.0): 0.0,
            }[(axis, side)]
            yield draw.named(f"piece {wall} {u:.4f}"), x, y, yaw, wall
            u += draw.real(2.3, 3.4)


def lounge(p: Panorama, draw: Draw) -> None:
    """Paints a large living room."""
    d = draw.named("lounge")
    room = Room(p, draw, (d.real(7.5, 10), d.real(7, 9)), d.real(4.1, 5.0))
    _outlook(room, d.named("outlook"))
    window = d.pick((0, 1, 2, 3))
    room.row_of_windows(
        window,
        d.real(1.3, 2.4),
        d.real(0.4, 1.0),
        d.pick((0.15, 0.8)),
        room.height - 0.5,
    )
    if d.chance(0.4):
        room.row_of_windows((window + 2) % 4, 1.4, 1.6, 0.8, room.height - 0.7)
    room.grid_of_lamps((0.3, 0.3), d.real(3.0, 4.5))
    lit = {w.wall for w in room.windows}
    for e, x, y, yaw, wall in _along_walls(room, d, 0.55):
        piece = Furniture(e, x, y, yaw)
        if wall in lit:
            if e.chance(0.3):
                room.add(piece.plant())
            continue
        choice = e.whole(0, 5)
        if choice <= 1:
            room.add(piece.sofa())
        elif choice == 2:
            room.add(piece.shelf(e.real(1.4, 2.2), e.real(1.8, 2.5)))
        elif choice == 3:
            room.add(piece.cabinet(e.real(1.2, 2.0), e.real(0.6, 1.0)))
        elif choice == 4:
            room.add(piece.plant())
        else:
            room.add(piece.floor_lamp(4.0))
    floor = d.pick(
        (surfaces.planks, surfaces.planks, surfaces.parquet, surfaces.tiles)
    )(d.named("floor"))
    lay = rug(d.named("rug"), d.real(5, 8), d.real(4, 6)) if d.chance(0.45) else None

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        rgb = floor(x, y, pixel)
        return lay(rgb, x, y, pixel) if lay else rgb

    paper = surfaces.plaster(d.named("wall"))
    other = surfaces.bricks(d.named("b")) if d.chance(0.3) else paper
    solid = [w for w in range(4) if w not in lit]
    decor = _both(
        _skirting(grey(0.7)),
        _pictures(d.named("p"), room, solid[:1], False),
        _door(room, d.named("door"), solid[-1]),
    )
    room.paint(ground, [paper, other, paper, paper], _white(d), decor)


def gallery(p: Panorama, draw: Draw) -> None:
    """Paints a white exhibition room with paintings and skylights."""
    d = draw.named("gallery")
    room = Room(p, draw, (d.real(9, 13), d.real(8, 11)), d.real(4.5, 6))
    room.grid_of_lamps(d.pick(((2.4, 0.25), (0.3, 0.3), (3.0, 1.5))), d.real(3.5, 5))
    floor = d.pick((surfaces.concrete, surfaces.planks, surfaces.parquet))(
        d.named("floor")
    )
    stand = surfaces.grey(0.75)
    for index, (e, x, y, _, _) in enumerate(_along_walls(room, d, 2.5)):
        if index % 4 == 1:
            room.add([box(x, y, (0.5, 0.5, e.real(0.8, 1.2)), plain(stand))])
    wall = (
        surfaces.plaster(d.named("wall")) if d.chance(0.3) else _white(d.named("wall"))
    )
    decor = _both(
        _skirting(grey(0.25), 0.06), _pictures(d.named("p"), room, [0, 1, 2, 3], True)
    )
    room.paint(floor, [wall] * 4, _white(d), decor)


def office(p: Panorama, draw: Draw) -> None:
    """Paints an open-plan office."""
    d = draw.named("office")
    room = Room(p, draw, (d.real(9, 13), d.real(8, 11)), d.real(4.1, 4.6))
    _outlook(room, d.named("outlook"))
    for wall in d.pick(((0,), (2,), (0, 2), (1, 3))):
        room.row_of_windows(wall, d.real(1.6, 2.6), 0.15, 0.75, room.height - 0.3)
    room.grid_of_lamps(d.pick(((1.2, 0.6), (0.6, 0.6), (1.5, 0.3))), d.real(2.4, 3.2))
    for x in np.arange(-room.half[0] + 1.5, room.half[0] - 1.4, 2.0).tolist():
        for side in (-1, 1):
            y = side * (room.half[1] - 2.2)
            if d.chance(0.85):
                room.add(
                    Furniture(
                        d.named(f"desk {x:.3f} {side}"),
                        x,
                        y,
                        0.0 if side > 0 else math.pi,
                    ).desk()
                )
    for e, x, y, yaw, wall in _along_walls(room, d, 0.5):
        if wall >= 2 or any(w.wall == wall for w in room.windows):
            continue
        piece = Furniture(e, x, y, yaw)
        choice = e.whole(0, 2)
        if choice == 0:
            room.add(piece.plant())
        elif choice == 1:
            room.add(piece.cabinet(1.6, 1.2))
        else:
            room.add(piece.shelf(1.6, 2.0))
    floor = d.pick((surfaces.carpet, surfaces.carpet, surfaces.planks))(
        d.named("floor")
    )
    white = _white(d)

    def ceiling(u: np.ndarray, v: np.ndarray, pixel: Any) -> np.ndarray:
        joint = np.maximum(
            surfaces.gap(u, 0.6, 0.02, pixel), surfaces.gap(v, 0.6, 0.02, pixel)
        )
        return white(u, v, pixel) * (1 - 0.35 * joint[:, None]).astype(np.float32)

    paper = surfaces.plaster(d.named("wall"))
    lit = {w.wall for w in room.windows}
    solid = [w for w in range(4) if w not in lit]
    decor = _both(_skirting(grey(0.3)), _door(room, d.named("door"), solid[0]))
    room.paint(floor, [paper] * 4, ceiling, decor)


def sports_hall(p: Panorama, draw: Draw) -> None:
    """Paints a sports hall with marked courts and high windows."""
    d = draw.named("hall")
    room = Room(p, draw, (d.real(13, 18), d.real(9, 12)), d.real(7, 9))
    _outlook(room, d.named("outlook"))
    for side in (2, 3):
        if side == 2 or d.chance(0.5):
            room.row_of_windows(
                side, 2.6, 0.3, room.height - d.real(2.6, 3.6), room.height - 0.6
            )
    room.grid_of_lamps((1.6, 0.35), d.real(4, 5))
    boards = surfaces.planks(d.named("floor"), 0.07)
    tint = surfaces.paint(d, "paint")
    painted = d.chance(0.4)
    inks = [
        np.array(c, np.float32)
        for c in (
            (0.7, 0.7, 0.7),
            (0.5, 0.05, 0.04),
            (0.03, 0.08, 0.4),
            (0.7, 0.5, 0.05),
        )
    ]

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        rgb = boards(x, y, pixel)
        if painted:
            rgb = mix(rgb, tint, np.float32(0.75))
        radius = np.sqrt(x * x + y * y)
        a, b = room.half[0] - 1.5, room.half[1] - 1.5
        edge = np.maximum(np.abs(x) - a, np.abs(y) - b)
        for ink, away in (
            (inks[0], np.abs(edge)),
            (inks[0], np.where(edge < 0, np.abs(x), 9.0)),
            (inks[0], np.abs(radius - 1.8)),
            (inks[1], np.abs(np.maximum(np.abs(x) - a * 0.62, np.abs(y) - b * 0.55))),
            (inks[2], np.where(np.abs(y) < b * 0.8, np.abs(np.abs(x) - a * 0.45), 9.0)),
            (inks[3], np.where(np.abs(x) < a * 0.9, np.abs(np.abs(y) - b * 0.82), 9.0)),
        ):
            line = step(-away, -0.025 - 0.5 * pixel, -0.02) * np.minimum(
                0.05 / pixel, 1
            )
            rgb = mix(rgb, ink, line[:, None].astype(np.float32))
        return rgb.astype(np.float32)

    wood = surfaces.planks(d.named("panel"), 0.12)
    upper = surfaces.plaster(d.named("wall"))

    def wall(u: np.ndarray, v: np.ndarray, pixel: Any) -> np.ndarray:
        return np.where((v < 2.4)[:, None], wood(u, v, pixel), upper(u, v, pixel))

    steel = surfaces.plaster(d.named("steel"), "wall")

    def ceiling(u: np.ndarray, v: np.ndarray, pixel: Any) -> np.ndarray:
        beam = surfaces.gap(u, 4.0, 0.35, pixel)
        return steel(u, v, pixel) * (1 - 0.6 * beam[:, None]).astype(np.float32)

    bench, white = plain(surfaces.paint(d, "wood")), plain(grey(0.75))
    for side in (-1, 1):
        room.add(
            [
                box(side * (room.half[0] - 0.6), 0, (0.06, 1.8, 1.05), white, base=2.9),
                box(side * (room.half[0] - 0.3), 0, (0.6, 0.1, 0.1), white, base=3.3),
            ]
        )
        for x in (-6.0, -2.0, 2.0, 6.0):
            room.add([box(x, side * (room.half[1] - 0.4), (3.2, 0.35, 0.42), bench)])
    room.paint(ground, [wall] * 4, ceiling)


def warehouse(p: Panorama, draw: Draw) -> None:
    """Paints a storehouse with racks, pallets and skylights."""
    d = draw.named("warehouse")
    room = Room(p, draw, (d.real(13, 18), d.real(10, 14)), d.real(6, 8.5))
    room.grid_of_lamps(d.pick(((1.5, 0.3), (0.6, 0.6), (2.5, 1.2))), d.real(4.3, 5.5))
    _outlook(room, d.named("outlook"))
    if d.chance(0.5):
        room.row_of_windows(0, 3.0, 0.8, room.height - 2.4, room.height - 0.8)
    floor = surfaces.concrete(d.named("floor"))
    levels = 2 if room.height < 7 else 3
    for side in (-1, 1):
        rack = Furniture(d.named(f"rack {side}"), 0, side * (room.half[1] - 1.2), 0.0)
        room.add(rack.rack(2 * room.half[0] - 4, levels))
    for index in range(d.whole(3, 9)):
        x = d.pick((-1, 1)) * d.real(8, room.half[0] - 1.5)
        y = d.real(-0.55, 0.55) * room.half[1]
        room.add(Furniture(d.named(f"crate {index}"), x, y, d.real(0, 1.5)).crates())
    yellow = np.array([0.65, 0.45, 0.03], np.float32)

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        rgb = floor(x, y, pixel)
        line = step(
            0.05 - np.abs(np.abs(y) - room.half[1] + 3.2), -pixel / 2, pixel / 2
        )
        return mix(rgb, yellow, (0.85 * line)[:, None].astype(np.float32))

    steel = surfaces.plaster(d.named("steel"), d.pick(("metal", "wall", "stone")))

    def wall(u: np.ndarray, v: np.ndarray, pixel: Any) -> np.ndarray:
        rib = surfaces.gap(u, 0.25, 0.05, pixel)
        return steel(u, v, pixel) * (1 - 0.35 * rib[:, None]).astype(np.float32)

    def ceiling(u: np.ndarray, v: np.ndarray, pixel: Any) -> np.ndarray:
        beam = surfaces.gap(u, 3.0, 0.3, pixel)
        return steel(u, v, pixel) * (0.7 - 0.45 * beam[:, None]).astype(np.float32)

    room.paint(ground, [wall] * 4, ceiling, _door(room, d.named("door"), 1))


def library(p: Panorama, draw: Draw) -> None:
    """Paints a reading room between bookshelves."""
    d = draw.named("library")
    room = Room(p, draw, (d.real(8, 11), d.real(7.5, 10)), d.real(4.3, 5.5))
    _outlook(room, d.named("outlook"))
    window = d.pick((0, 2))
    room.row_of_windows(
        window, d.real(1.2, 1.8), d.real(0.9, 1.4), 0.9, room.height - 0.6
    )
    room.grid_of_lamps(d.pick(((0.5, 0.5), (1.4, 0.3))), d.real(3.2, 4))
    high = d.real(2.3, 3.4)
    for wall in range(4):
        if wall == window:
            continue
        axis, side = _AXES[wall]
        away, extent = side * (room.half[axis] - 0.17), room.extent(wall) - 0.4
        count = int(2 * extent / 2.2)
        for index in range(count):
            u = (index + 0.5) / count * 2 * extent - extent
            x, y = (away, u) if axis == 0 else (u, away)
            yaw = math.pi / 2 if axis == 0 else 0.0
            piece = Furniture(d.named(f"shelf {wall} {index}"), x, y, yaw)
            room.add(piece.shelf(2 * extent / count - 0.04, high))
    for turn, (x, y) in enumerate(((6.0, 5.0), (-6.0, 5.0), (6.0, -5.0), (-6.0, -5.0))):
        if d.chance(0.8):
            room.add(
                Furniture(d.named(f"table {turn}"), x, y, 0.0).table(2.2, 1.0, 0.75)
            )
            for dx in (-0.6, 0.6):
                for dy in (-0.8, 0.8):
                    chair = Furniture(
                        d.named(f"chair {turn} {dx} {dy}"),
                        x + dx,
                        y + dy,
                        0.0 if dy < 0 else math.pi,
                    )
                    room.add(chair.chair())
    floor = d.pick(
        (surfaces.parquet, surfaces.planks, surfaces.tiles, surfaces.carpet)
    )(d.named("floor"))
    column_ = surfaces.plaster(d.named("wall"), "wall")

    for x in (-1, 1):
        for y in (-1, 1):
            room.add(
                [
                    column(
                        x * room.half[0] * 0.72,
                        y * room.half[1] * 0.72,
                        0.22,
                        room.height,
                        covered(column_),
                    )
                ]
            )
    room.paint(floor, [column_] * 4, _white(d), _skirting(grey(0.2)))


INDOOR: dict[str, Callable[[Panorama, Draw], None]] = {
    "gallery": gallery,
    "library": library,
    "lounge": lounge,
    "office": office,
    "sports_hall": sports_hall,
    "warehouse": warehouse,
}
