"""Convex solids and ellipsoids: where rays meet them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dyso.assets.environments.functions import circle
from dyso.assets.environments.panorama import EYE, Panorama, Rays

Surface = Callable[["Hits"], tuple[np.ndarray, np.ndarray]]
"""Returns albedo [n, 3] and the radiance [n, 3] that a surface has of its own."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Hits:
    """Points of a surface.

    Attributes:
      x: [n], metres in the solid's own frame.
      y: [n].
      z: [n], above the solid's base.
      u: [n], metres along the surface, level.
      v: [n], metres up the surface; y on a level one.
      normal: [n, 3], in the world.
      pixel: [n], metres that a pixel covers.
      face: [n], index of the plane.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    u: np.ndarray
    v: np.ndarray
    normal: np.ndarray
    pixel: np.ndarray
    face: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Solid:
    """A convex solid that stands somewhere, turned about the vertical.

    Attributes:
      planes: outward normals (x, y, z) and offsets, in the solid's own frame: inside,
        normal . point <= offset. Empty for an ellipsoid.
      center: x and y of its origin, and the height of its base.
      yaw: radians.
      reach: radius of the vertical cylinder that holds it.
      height: of it above its base.
      surface: what covers it.
      axes: half axes of an ellipsoid, which is about (0, 0, height / 2).
      soft: share of the sun's light that passes, as through leaves.
    """

    planes: Sequence[tuple[float, float, float, float]] = ()
    center: tuple[float, float, float]
    yaw: float = 0.0
    reach: float
    height: float
    surface: Surface
    axes: tuple[float, float, float] = (0.0, 0.0, 0.0)
    soft: float = 0.0

    def local(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Turns a direction into the solid's own frame."""
        c, s = circle(self.yaw)
        return c * x + s * y, c * y - s * x

    def enter(
        self,
        origin: tuple[Any, Any, Any],
        direction: tuple[Any, Any, Any],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns where rays enter [n]; infinity where they miss; and which plane.

        Both are in the solid's own frame.
        """
        (ox, oy, oz), (dx, dy, dz) = origin, direction
        if not self.planes:
            return self._ellipsoid(origin, direction)
        near = np.full(np.broadcast(ox, dx).shape, -np.inf, np.float32)
        far = np.full_like(near, np.inf)
        face = np.zeros(near.shape, np.int8)
        for index, (nx, ny, nz, offset) in enumerate(self.planes):
            slope = nx * dx + ny * dy + nz * dz
            slope = np.where(np.abs(slope) < 1e-9, np.float32(1e-9), slope)
            t = (offset - (nx * ox + ny * oy + nz * oz)) / slope
            entering = slope < 0
            later = entering & (t > near)
            near = np.where(later, t, near)
            face = np.where(later, np.int8(index), face)
            far = np.where(entering, far, np.minimum(far, t))
        hit = (near < far) & (near > 1e-3)
        return np.where(hit, near, np.float32(np.inf)).astype(np.float32), face

    def beside(
        self, x: np.ndarray, y: np.ndarray, margin: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Finds the points [n] that are near the sides of a solid with planes.

        Args:
          x: of the points.
          y: of the points.
          margin: metres from the vertical cylinder that holds the solid.

        Returns:
          The indices [m] of those within the margin, and how many metres [m] they are
          outside of the steep planes; negative below the solid.
        """
        dx, dy = x - self.center[0], y - self.center[1]
        reach = self.reach + margin
        near = np.nonzero(dx * dx + dy * dy < reach * reach)[0]
        lx, ly = self.local(dx[near], dy[near])
        out = np.full(len(near), -np.inf, np.float32)
        for nx, ny, nz, offset in self.planes:
            if abs(nz) < 0.9:
                out = np.maximum(out, nx * lx + ny * ly - offset)
        return near, out

    def _ellipsoid(
        self,
        origin: tuple[Any, Any, Any],
        direction: tuple[Any, Any, Any],
    ) -> tuple[np.ndarray, np.ndarray]:
        a, b, c = self.axes
        ox, oy, oz = origin[0] / a, origin[1] / b, (origin[2] - self.height / 2) / c
        dx, dy, dz = direction[0] / a, direction[1] / b, direction[2] / c
        square = dx * dx + dy * dy + dz * dz
        half = ox * dx + oy * dy + oz * dz
        root = half * half - square * (ox * ox + oy * oy + oz * oz - 1)
        t = (-half - np.sqrt(np.maximum(root, 0))) / square
        hit = (root > 0) & (t > 1e-3)
        t = np.where(hit, t, np.float32(np.inf)).astype(np.float32)
        return t, np.zeros(t.shape, np.int8)


def _on_rectangle(
    planes: Sequence[tuple[float, float, float, float]],
    x: float,
    y: float,
    sides: tuple[float, float, float],
    surface: Surface,
    base: float,
    yaw: float,
) -> Solid:
    """Returns a solid that stands on a rectangle about (x, y)."""
    w, d, h = sides
    return Solid(
        planes=planes,
        center=(x, y, base),
        yaw=yaw,
        reach=math.sqrt(w * w + d * d) / 2,
        height=h,
        surface=surface,
    )


def box(
    x: float,
    y: float,
    sides: tuple[float, float, float],
    surface: Surface,
    *,
    base: float = 0.0,
    yaw: float = 0.0,
) -> Solid:
    """Returns a box about (x, y) on a base."""
    w, d, h = sides
    planes = [
        (1.0, 0.0, 0.0, w / 2),
        (-1.0, 0.0, 0.0, w / 2),
        (0.0, 1.0, 0.0, d / 2),
        (0.0, -1.0, 0.0, d / 2),
        (0.0, 0.0, 1.0, h),
        (0.0, 0.0, -1.0, 0.0),
    ]
    return _on_rectangle(planes, x, y, sides, surface, base, yaw)


def gable(
    x: float,
    y: float,
    sides: tuple[float, float, float],
    surface: Surface,
    *,
    base: float = 0.0,
    yaw: float = 0.0,
) -> Solid:
    """Returns a prism with a ridge along x: a roof."""
    w, d, h = sides
    slope = math.sqrt(h * h + d * d / 4)
    ny, nz = h / slope, d / 2 / slope
    planes = [
        (1.0, 0.0, 0.0, w / 2),
        (-1.0, 0.0, 0.0, w / 2),
        (0.0, ny, nz, nz * h),
        (0.0, -ny, nz, nz * h),
        (0.0, 0.0, -1.0, 0.0),
    ]
    return _on_rectangle(planes, x, y, sides, surface, base, yaw)


def wedge(
    x: float,
    y: float,
    sides: tuple[float, float, float],
    top: float,
    surface: Surface,
    *,
    base: float = 0.0,
    yaw: float = 0.0,
) -> Solid:
    """Returns a box whose top is shorter and narrower: a share of its base."""
    w, d, h = sides
    planes: list[tuple[float, float, float, float]] = [(0.0, 0.0, 1.0, h)]
    for axis, half in ((0, w / 2), (1, d / 2)):
        lean = half * (1 - top)
        length = math.sqrt(h * h + lean * lean)
        for sign in (1.0, -1.0):
            flat = sign * h / length
            normal = (flat, 0.0) if axis == 0 else (0.0, flat)
            planes.append((*normal, lean / length, half * h / length))
    planes.append((0.0, 0.0, -1.0, 0.0))
    return _on_rectangle(planes, x, y, sides, surface, base, yaw)


def column(
    x: float,
    y: float,
    radius: float,
    height: float,
    surface: Surface,
    *,
    base: float = 0.0,
    top: float = 1.0,
    sides: int = 12,
) -> Solid:
    """Returns an upright prism of so many sides, whose top is a share of its base."""
    lean = radius * (1 - top)
    length = math.sqrt(height * height + lean * lean)
    planes = []
    for index in range(sides):
        c, s = circle(2 * math.pi * index / sides)
        flat = height / length
        planes.append((c * flat, s * flat, lean / length, radius * flat))
    planes += [(0.0, 0.0, 1.0, height), (0.0, 0.0, -1.0, 0.0)]
    return Solid(
        planes=planes,
        center=(x, y, base),
        reach=radius * max(1, top) * 1.1,
        height=height,
        surface=surface,
    )


def ellipsoid(
    x: float,
    y: float,
    axes: tuple[float, float, float],
    surface: Surface,
    *,
    base: float = 0.0,
    soft: float = 0.0,
) -> Solid:
    """Returns an ellipsoid with half axes, whose lowest point is at the base."""
    return Solid(
        center=(x, y, base),
        reach=max(axes[:2]),
        height=2 * axes[2],
        axes=axes,
        surface=surface,
        soft=soft,
    )


def seen(solid: Solid, panorama: Panorama) -> tuple[Rays, np.ndarray, np.ndarray]:
    """Returns the pixels that may show a solid; the distance to it; and which plane.

    The distance is infinite where a pixel does not show it.
    """
    cx, cy, base = solid.center
    rays = panorama.around(cx, cy, solid.reach, base, base + solid.height)
    ones = np.ones_like(rays.x)
    ox, oy = (float(v) for v in solid.local(-cx, -cy))
    dx, dy = solid.local(rays.x, rays.y)
    distance, face = solid.enter(
        (ox * ones, oy * ones, (EYE - base) * ones), (dx, dy, rays.z)
    )
    return rays, distance, face


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
