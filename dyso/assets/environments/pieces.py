"""Objects of the grammars that stand in a room, and which pixels show them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from dyso.assets.environments.facades import plain
from dyso.assets.environments.functions import circle, sin_cos
from dyso.assets.environments.panorama import EYE, Panorama, Rays
from dyso.assets.environments.solids import Solid, box
from dyso.assets.environments.surfaces import grey
from dyso.assets.procedural.draw import Draw
from dyso.assets.procedural.grammars import GRAMMARS
from dyso.assets.procedural.materials import FAMILIES, SIDE, pixels
from dyso.assets.procedural.model import Model
from dyso.srgb import to_linear

FINE = 2
"""Rays a pixel, along each side."""
CHUNK = 200_000
"""Pairs of a ray and a triangle that are tested at once."""
PASSES = 0.5
"""Share of the light that passes a piece's box: it is not full."""
LIT = ("fabric", "paper", "wicker")
"""Materials of a lamp's shade through which its light is seen."""
# Rounded, because powers differ in their last bits between machines.
_LINEAR = np.round(to_linear(np.arange(256) / 255), 5).astype(np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    """A mesh in metres, which stands on z = 0 about the z axis.

    Attributes:
      corners: [m, 3, 3], of the triangles.
      normals: [m, 3, 3], at the corners.
      uv: [m, 3, 2], likewise.
      materials: [m], indices.
      albedo: each material's picture [256, 256, 3].
      glow: what each material gives of its own, as a multiple of its albedo.
      clear: [m], whether half of the light passes a triangle.
    """

    corners: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    materials: np.ndarray
    albedo: tuple[np.ndarray, ...]
    glow: tuple[float, ...]
    clear: np.ndarray


class Design:
    """An object of a grammar, of which there may be several pieces."""

    def __init__(
        self,
        category: str,
        draw: Draw,
        sides: tuple[float, float, float],
        size: float = 1.0,
    ):
        """Draws which one it is.

        Args:
          category: of the object.
          draw: one number of it decides everything.
          sides: metres; across the direction it faces, along it, and up.
          size: multiplies them.
        """
        self.category = category
        self.sides = sides[0] * size, sides[1] * size, sides[2] * size
        self._seed = draw.whole(0, 2**32 - 1)

    @cached_property
    def mesh(self) -> Mesh:
        """The mesh, which faces x."""
        across, along, up = self.sides
        longest = max(self.sides)
        # A texture covers a square of the longest side.
        sides = along / longest, across / longest, up / longest
        model = Model(sides, Draw((self._seed,), "shape"))
        GRAMMARS[self.category](model)
        made = model.made()
        points = (made.vertices + np.array([0, 0, sides[2] / 2])) * longest
        families = zip(made.families, made.draws, strict=True)
        materials = [FAMILIES[family](draw) for family, draw in families]
        glow = [
            2 * material.glow
            or (1.2 if self.category == "lamp" and family in LIT else 0)
            for family, material in zip(made.families, materials, strict=True)
        ]
        clear = np.array([material.transmission > 0 for material in materials])
        return Mesh(
            corners=points[made.faces],
            normals=made.normals,
            uv=made.uv,
            materials=made.materials,
            albedo=tuple(
                _LINEAR[pixels(_of_side(material.picture))] for material in materials
            ),
            glow=tuple(glow),
            clear=clear[made.materials],
        )


def _of_side(picture: np.ndarray) -> np.ndarray:
    """Returns a picture of SIDE pixels, the mean where it is finer."""
    return _coarser(picture, len(picture) // SIDE)


def _coarser(picture: np.ndarray, factor: int) -> np.ndarray:
    total = np.zeros_like(picture[::factor, ::factor])
    for i in range(factor):
        for j in range(factor):
            total += picture[i::factor, j::factor]
    return total / np.float32(factor * factor)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sight:
    """What pixels [n] show of a piece.

    Attributes:
      rays: the pixels.
      distance: [n], metres.
      share: [n], of the pixel that shows it.
      normal: [n, 3], in the world.
      albedo: [n, 3].
      glow: [n, 3], radiance of its own.
    """

    rays: Rays
    distance: np.ndarray
    share: np.ndarray
    normal: np.ndarray
    albedo: np.ndarray
    glow: np.ndarray


class Piece:
    """An object that stands somewhere, and faces y turned by a yaw."""

    def __init__(
        self, design: Design, x: float, y: float, yaw: float, base: float = 0.0
    ):
        """See the arguments.

        Args:
          design: what it looks like.
          x: metres.
          y: metres.
          yaw: radians.
          base: metres above the floor on which it stands.
        """
        self.design, self.x, self.y, self.yaw, self.base = design, x, y, yaw, base
        shape = box(x, y, design.sides, plain(grey(0.5)), base=base, yaw=yaw)
        self.bounds: Solid = replace(shape, soft=PASSES)

    def seen(self, panorama: Panorama) -> Sight:
        """Casts rays at the mesh."""
        mesh = self.design.mesh
        c, s = circle(self.yaw + math.pi / 2)
        x, y, z = (mesh.corners[..., i] for i in range(3))
        points = np.stack(
            [
                self.x + c * x - s * y,
                self.y + s * x + c * y,
                z + (self.base - EYE),
            ],
            -1,
        )
        rays = panorama.around(
            self.x, self.y, self.bounds.reach, self.base, self.base + self.bounds.height
        )
        rows, columns = np.unique(rays.rows), rays.columns[: len(rays.rows)]
        columns = columns[: len(rays.rows) // len(rows)]
        view = _View(panorama.height, rows, columns)
        triangle, pixel, t, weights = _nearest(view.hits(points, mesh.clear))
        shape = len(rays.rows)
        coarse = view.pixel(pixel)
        count = np.bincount(coarse, minlength=shape)

        def mean(values: np.ndarray) -> np.ndarray:
            """Returns the means [n] or [n, 3] of what fine rays see in pixels."""
            if values.ndim == 1:
                return np.bincount(coarse, values, shape) / np.maximum(count, 1)
            return np.stack([mean(column) for column in values.T], -1)

        def at(values: np.ndarray) -> np.ndarray:
            """Interpolates values [m, 3, k] of the corners."""
            own = values[triangle]
            return sum(weights[i][:, None] * own[:, i] for i in range(3))

        lx, ly, lz = at(mesh.normals).T
        normal = np.stack([c * lx - s * ly, s * lx + c * ly, lz], -1)
        toward = view.directions(pixel)
        away = sum(n * d for n, d in zip(normal.T, toward, strict=True)) > 0
        normal = mean(np.where(away[:, None], -normal, normal))
        length = np.sqrt(sum(n * n for n in normal.T))
        normal /= np.maximum(length, 1e-6)[:, None]
        distance = mean(t)
        albedo, glow = self._color(
            mesh, triangle, at(mesh.uv), panorama.pixel * float(t.min(initial=9))
        )
        return Sight(
            rays=rays,
            distance=np.where(count, distance, np.inf).astype(np.float32),
            share=(count / FINE**2).astype(np.float32),
            normal=normal.astype(np.float32),
            albedo=mean(albedo).astype(np.float32),
            glow=mean(glow).astype(np.float32),
        )

    def _color(
        self, mesh: Mesh, triangle: np.ndarray, uv: np.ndarray, pixel: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the albedo [n, 3] and what is given [n, 3] at points.

        Args:
          mesh: the mesh.
          triangle: [n], indices.
          uv: [n, 2].
          pixel: metres that a pixel shows.
        """
        texel = max(self.design.sides) / SIDE
        factor = 1
        while factor < 16 and 2 * factor * texel < pixel / FINE:
            factor *= 2
        albedo = np.zeros((len(triangle), 3), np.float32)
        glow = np.zeros_like(albedo)
        side = SIDE // factor
        column, row = (
            np.minimum(((v - np.floor(v)) * side).astype(int), side - 1)
            for v in (uv[:, 0], 1 - uv[:, 1])
        )
        used = mesh.materials[triangle]
        for index, (picture, own) in enumerate(
            zip(mesh.albedo, mesh.glow, strict=True)
        ):
            on = used == index
            albedo[on] = _coarser(picture, factor)[row[on], column[on]]
            glow[on] = albedo[on] * np.float32(own)
        return albedo, glow


class _View:
    """Fine rays through some rows and columns of a panorama."""

    def __init__(self, height: int, rows: np.ndarray, columns: np.ndarray):
        self.rows, self.columns = FINE * len(rows), FINE * len(columns)
        self.height = FINE * height
        self.top, self.left = FINE * int(rows[0]), FINE * int(columns[0])
        row = self.top + np.arange(self.rows) + 0.5
        column = self.left + np.arange(self.columns) + 0.5
        self._up, self._flat = sin_cos((0.5 - row / self.height) * math.pi)
        self._sin, self._cos = sin_cos((0.5 - column / 2 / self.height) * 2 * math.pi)

    def directions(self, pixel: np.ndarray) -> tuple[np.ndarray, ...]:
        """Returns x, y and z of the directions of fine rays [n]."""
        row, column = np.divmod(pixel, self.columns)
        flat = self._flat[row]
        return flat * self._cos[column], flat * self._sin[column], self._up[row]

    def pixel(self, fine: np.ndarray) -> np.ndarray:
        """Returns in which pixel, row by row, fine rays [n] are."""
        row, column = np.divmod(fine, self.columns)
        return (row // FINE) * (self.columns // FINE) + column // FINE

    def hits(
        self, points: np.ndarray, clear: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Yields triangles, fine rays that meet them, distances, weights [3, n].

        Args:
          points: [m, 3, 3], the triangles' corners as seen from the eye.
          clear: [m], whether every other ray passes.
        """
        x, y, z = (points[..., i] for i in range(3))
        turn = math.pi / self.height
        row = (0.5 - np.arctan2(z, np.sqrt(x * x + y * y)) / math.pi) * self.height
        column = (0.5 - np.arctan2(y, x) / (2 * math.pi)) * 2 * self.height
        middle = self.left + self.columns / 2
        around = 2 * self.height
        column += np.floor((middle - column) / around + 0.5) * around
        # An edge bends between its ends. A pixel more: rounding changes no pixel.
        wide = column.max(1) - column.min(1)
        bend = wide * wide * turn / 8 + 2
        spans = []
        for low, high, start, count in (
            (row.min(1) - bend, row.max(1) + bend, self.top, self.rows),
            (column.min(1) - 2, column.max(1) + 2, self.left, self.columns),
        ):
            first = np.clip(np.floor(low).astype(int) - start, 0, count)
            last = np.clip(np.floor(high).astype(int) - start + 1, 0, count)
            spans.append((first, last - first))
        (top, tall), (left, width) = spans
        many = tall * width
        ends = np.cumsum(many)
        edges = [_cross(points[:, i - 2], points[:, i - 1]) for i in range(3)]
        volume = sum(points[:, 0, i] * edges[0][i] for i in range(3))
        first = 0
        while first < len(many):
            done = ends[first - 1] if first else 0
            last = max(int(np.searchsorted(ends, done + CHUNK, "right")), first + 1)
            own = np.repeat(np.arange(first, last), many[first:last])
            place = np.arange(len(own)) - (ends[own] - many[own] - done)
            first = last
            i, j = np.divmod(place, np.maximum(width[own], 1))
            i, j = i + top[own], j + left[own]
            d = self.directions(i * self.columns + j)
            weights = np.stack([sum(e[k][own] * d[k] for k in range(3)) for e in edges])
            total = weights[0] + weights[1] + weights[2]
            inside = ((weights >= 0).all(0) | (weights <= 0).all(0)) & (total != 0)
            inside &= ~clear[own] | ((i + j) % 2 == 0)
            own, weights, total = own[inside], weights[:, inside], total[inside]
            t = volume[own] / total
            ahead = t > 0
            fine = (i * self.columns + j)[inside][ahead]
            yield own[ahead], fine, t[ahead], (weights / total)[:, ahead]


def _nearest(
    hits: Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns, of each fine ray that hits, the first hit: see `_View.hits`."""
    triangle, pixel, t, weights = (
        np.concatenate(parts, -1) for parts in zip(*hits, strict=True)
    )
    order = np.lexsort((t, pixel))
    first = np.ones(len(order), bool)
    first[1:] = pixel[order][1:] != pixel[order][:-1]
    chosen = order[first]
    return triangle[chosen], pixel[chosen], t[chosen], weights[:, chosen]


def _cross(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns the cross products of [m, 3], by their coordinates."""
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
