"""A room, and how it is painted: its light comes through windows and from lamps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dyso.assets.environments import surfaces
from dyso.assets.environments.functions import mix, step
from dyso.assets.environments.panorama import EYE, Panorama, Rays
from dyso.assets.environments.pieces import Piece
from dyso.assets.environments.place import Place
from dyso.assets.environments.solids import Solid, hits_of, seen
from dyso.assets.environments.surfaces import Ground
from dyso.assets.procedural.draw import Draw

AXES = ((0, 1.0), (0, -1.0), (1, 1.0), (1, -1.0))
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
        self.pieces: list[Piece] = []
        self.target = draw.named("lamps").real(2.0, 4.5)
        warm = draw.named("warm").real(0, 1)
        self.glow = np.array([1.0, 0.95 - 0.2 * warm, 0.9 - 0.45 * warm], np.float32)
        self.frame = surfaces.paint(
            draw.named("frame"),
            draw.named("frame").pick(("wall", "wall", "wood", "dark_glass")),
        )
        self.panes = 1.0, 1.2

    def add(self, things: Iterable[Solid | Piece]) -> None:
        """Adds furniture."""
        for thing in things:
            if isinstance(thing, Piece):
                self.pieces.append(thing)
            else:
                self.solids.append(thing)

    @property
    def _bodies(self) -> list[Solid]:
        """What light does not pass: solids, and the boxes around pieces."""
        return [*self.solids, *(piece.bounds for piece in self.pieces)]

    def extent(self, wall: int) -> float:
        """Returns half of a wall's length."""
        return self.half[1 - AXES[wall][0]]

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
        self.panorama.ground = floor, self._free()
        if not self.panorama.height:
            return
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
        for piece in sorted(self.pieces, key=lambda p: -math.hypot(p.x, p.y)):
            self._paint_piece(piece)

    def _free(self) -> float:
        """Returns the metres around the centre in which the eye sees only floor."""
        free = min(self.half)
        centre = np.zeros(1, np.float32)
        for solid in self._bodies:
            if solid.center[2] >= EYE:
                continue
            away = math.dist(solid.center[:2], (0, 0)) - solid.reach
            # A long rack is nearer to its cylinder's rim than to its side.
            if solid.planes:
                away = max(away, float(solid.beside(centre, centre, math.inf)[1][0]))
            free = min(free, away)
        return free

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
            axis, side = AXES[window.wall]
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
        axis, side = AXES[wall]
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
        """Returns how much furniture blocks the way [n], up to a share of it.

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
        for solid in self._bodies:
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
            dark = np.where(t < most, np.float32(1 - solid.soft), np.float32(0))
            hidden[near] = np.maximum(hidden[near], dark)
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
                axis, side = AXES[window.wall]
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
        axis, side = AXES[index]
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
                axis, side = AXES[index]
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
                u, v = (y, z) if AXES[index][0] == 0 else (x, z)
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
            for solid in self._bodies:
                if solid.center[2] <= 0.6 and solid.planes:
                    near, out = solid.beside(u, v, 0.4)
                    dark[near] *= 0.5 + 0.5 * step(out, -0.05, 0.4)
        return dark.astype(np.float32)

    def _paint_solid(self, solid: Solid) -> None:
        p, base = self.panorama, solid.center[2]
        rays, t, face = seen(solid, p)

        def colors(which: np.ndarray) -> np.ndarray:
            few, away = rays.take(which), t[which]
            hits = hits_of(solid, few, away, face[which], p.pixel)
            albedo, own = solid.surface(hits)
            light = self._on_solid(few, away, hits.normal, hits.z + base)
            return (albedo * light / math.pi + own).astype(np.float32)

        p.paint(rays, t, colors)

    def _paint_piece(self, piece: Piece) -> None:
        sight = piece.seen(self.panorama)

        def colors(which: np.ndarray) -> np.ndarray:
            few, away = sight.rays.take(which), sight.distance[which]
            height = few.z * away + EYE
            light = self._on_solid(few, away, sight.normal[which], height)
            color = sight.albedo[which] * light / math.pi + sight.glow[which]
            return np.asarray(color, np.float32)

        self.panorama.paint(sight.rays, sight.distance, colors, sight.share)

    def _on_solid(
        self, rays: Rays, t: np.ndarray, normal: np.ndarray, height: np.ndarray
    ) -> np.ndarray:
        """Returns the light [n, 3] on surfaces that rays meet.

        Args:
          rays: from the eye.
          t: [n], metres along them.
          normal: [n, 3], of the surfaces.
          height: [n], metres above the floor.
        """
        n = normal[:, 0], normal[:, 1], normal[:, 2]
        points = (
            rays.x * t + n[0] * np.float32(0.01),
            rays.y * t + n[1] * np.float32(0.01),
            rays.z * t + EYE + n[2] * np.float32(0.01),
        )
        low = 0.5 + 0.5 * step(height, 0, 0.8)
        open_ = (0.7 + 0.3 * n[2]) * low
        light = self._direct(points, n, shadows=False) * low[:, None]
        light = light + self._ambient * open_[:, None]
        return np.asarray(light + self._sun(points, n), np.float32)
