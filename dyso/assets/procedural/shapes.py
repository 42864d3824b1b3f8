"""Closed surfaces that grammars put together: lofts, lathes, tubes, boxes, booleans.

Every function returns a `Part` whose faces turn counter-clockwise seen from outside,
and which is watertight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import manifold3d
import numpy as np

TURN = 2 * np.pi
Point = Sequence[float] | np.ndarray
Points = Sequence[Point] | np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A surface.

    Attributes:
      vertices: [n, 3].
      faces: [m, 3], vertex indices.
      uv: [m, 3, 2] at the faces' corners; None lets them be projected from six sides.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray | None = None

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Part:
        """Returns it elsewhere."""
        return replace(self, vertices=self.vertices + np.array([x, y, z]))

    def scaled(self, x: float, y: float | None = None, z: float | None = None) -> Part:
        """Returns it in another size; a negative factor mirrors."""
        factors = np.array([x, x if y is None else y, x if z is None else z])
        flips = (factors < 0).sum() % 2
        faces = self.faces[:, ::-1] if flips else self.faces
        uv = self.uv[:, ::-1] if flips and self.uv is not None else self.uv
        return Part(vertices=self.vertices * factors, faces=faces, uv=uv)

    def turned(self, axis: str, degrees: float) -> Part:
        """Returns it turned about an axis of coordinates."""
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        a, b = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        out = self.vertices.copy()
        out[:, a] = c * self.vertices[:, a] - s * self.vertices[:, b]
        out[:, b] = s * self.vertices[:, a] + c * self.vertices[:, b]
        return replace(self, vertices=out)

    def fitted(self, low: Point, high: Point) -> Part:
        """Returns it so that it fills a box."""
        start, end = self.vertices.min(0), self.vertices.max(0)
        share = (self.vertices - start) / np.maximum(end - start, 1e-12)
        low, high = np.asarray(low, float), np.asarray(high, float)
        return replace(self, vertices=low * (1 - share) + high * share)


def loft(rings: np.ndarray, around: float = 0.0) -> Part:
    """Returns the skin over rings of points [k, n, 3], closed at both ends.

    Rings turn counter-clockwise seen from where the last one lies. A ring of which all
    points are the same is a tip.

    Args:
      rings: at least two, not all of them tips.
      around: what u gains on the way around; 0 projects from six sides.
    """
    rings = np.asarray(rings, float)
    k, n = rings.shape[:2]
    tips = (np.abs(rings - rings[:, :1]).max((1, 2)) < 1e-9) & np.isin(
        np.arange(k), (0, k - 1)
    )
    vertices: list[np.ndarray] = []
    first: list[int] = []
    for ring, tip in zip(rings, tips, strict=True):
        first.append(sum(len(each) for each in vertices))
        vertices.append(ring[:1] if tip else ring)
    i, j = np.arange(n), (np.arange(n) + 1) % n
    steps = np.sqrt(((rings[1:] - rings[:-1]) ** 2).sum(-1)).mean(1)
    v = np.concatenate([[0.0], np.cumsum(steps)])
    size = np.sqrt(((rings - np.roll(rings, 1, 1)) ** 2).sum(-1)).sum(1).max()
    u = np.arange(n + 1) / n * (around or 1.0)
    v = v / size * (around or 1.0)
    faces, uv = [], []
    for r in range(k - 1):
        a, b = first[r], first[r + 1]
        low, high = (i * 0 + a, i * 0 + a) if tips[r] else (a + i, a + j)
        up, on = (i * 0 + b, i * 0 + b) if tips[r + 1] else (b + i, b + j)
        ua, ub = u[:-1], u[1:]
        va, vb = np.full(n, v[r]), np.full(n, v[r + 1])
        if not tips[r]:
            faces.append(np.stack([low, high, on], 1))
            uv.append(_corners((ua, va), (ub, va), (ub, vb)))
        if not tips[r + 1]:
            faces.append(np.stack([low, on, up], 1))
            uv.append(_corners((ua, va), (ub, vb), (ua, vb)))
    for r, turn in ((0, 1), (k - 1, -1)):
        if tips[r]:
            continue
        center = sum(len(each) for each in vertices)
        vertices.append(rings[r].mean(0)[None])
        ends = np.stack([i * 0 + center, first[r] + j, first[r] + i], 1)[:, ::turn]
        faces.append(ends)
        points = np.concatenate(vertices)[ends]
        spread = rings[r].max(0) - rings[r].min(0)
        axes = np.sort(np.argsort(-spread, kind="stable")[:2])
        uv.append(points[..., axes] / size * (around or 1.0))
    return Part(
        vertices=np.concatenate(vertices),
        faces=np.concatenate(faces),
        uv=np.concatenate(uv) if around else None,
    )


def _corners(*corners: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return np.stack([np.stack(corner, 1) for corner in corners], 1)


@cache
def _circle(segments: int) -> np.ndarray:
    angles = TURN * np.arange(segments) / segments
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def lathe(
    profile: Points, segments: int = 40, waves: int = 0, depth: float = 0.0
) -> Part:
    """Returns the solid of revolution of a profile about z.

    Args:
      profile: (radius, z) from the bottom's middle to the top's, outside; of a vessel
        it goes on along the inside. Radii of 0 may stand first and last alone.
      segments: on the way around.
      waves: flutes around it ...
      depth: ... and how deep they are, as a share of the radius.
    """
    points = np.asarray(profile, float)
    moves = np.abs(np.diff(points, axis=0)).max(1) > 1e-9
    points = points[np.concatenate([[True], moves])]
    circle = _circle(segments)
    if waves:
        angles = TURN * np.arange(segments) / segments
        circle = circle * (1 + depth * np.cos(waves * angles))[:, None]
    rings = np.zeros((len(points), segments, 3))
    rings[..., :2] = points[:, None, :1] * circle
    rings[..., 2] = points[:, None, 1]
    length = TURN * points[:, 0].max()
    return loft(rings, around=1.0 if length > 0.6 else length)


def spline(points: Points, count: int) -> np.ndarray:
    """Returns a smooth curve [count, d] through points (Catmull and Rom's)."""
    p = np.asarray(points, float)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, len(p) - 3, count)
    i = np.minimum(t.astype(int), len(p) - 4)
    f = (t - i)[:, None]
    a, b, c, d = p[i], p[i + 1], p[i + 2], p[i + 3]
    return 0.5 * (
        2 * b
        + (c - a) * f
        + (2 * a - 5 * b + 4 * c - d) * f * f
        + (3 * b - a - 3 * c + d) * f * f * f
    )


def vessel(profile: Points, wall: float, segments: int = 40, **more: Any) -> Part:
    """Returns an open vessel by its outer profile, the bottom's edge first.

    Args:
      profile: (radius, z), upwards.
      wall: its thickness.
      segments: see `lathe`.
      more: see `lathe`.
    """
    outer = np.asarray(profile, float)
    inner = outer[::-1].copy()
    inner[:, 0] = np.maximum(inner[:, 0] - wall, wall / 4)
    inner[:, 1] = np.maximum(inner[:, 1], outer[0, 1] + wall)
    rim = [(outer[-1, 0] - wall / 2, outer[-1, 1] + wall / 3)]
    bottom, floor = (0.0, outer[0, 1]), (0.0, outer[0, 1] + wall)
    keep = np.concatenate([[True], np.abs(np.diff(inner, axis=0)).max(1) > 1e-6])
    points = np.concatenate([[bottom], outer, rim, inner[keep], [floor]])
    return lathe(points, segments, **more)


def cylinder(
    radius: float, height: float, top: float | None = None, segments: int = 24
) -> Part:
    """Returns a cylinder, or a cone's lower part, that stands on z = 0."""
    top = radius if top is None else top
    return lathe([(0, 0), (radius, 0), (top, height), (0, height)], segments)


def rounded_cylinder(
    radius: float, height: float, bevel: float, segments: int = 32
) -> Part:
    """Returns a cylinder with round edges that stands on z = 0."""
    bevel = min(bevel, height / 2.01, radius / 1.01)
    arc = np.radians(np.linspace(0, 90, 5))
    low = [(radius - bevel + bevel * np.sin(a), bevel - bevel * np.cos(a)) for a in arc]
    high = [
        (radius - bevel + bevel * np.cos(a), height - bevel + bevel * np.sin(a))
        for a in arc
    ]
    return lathe([(0, 0), *low, *high, (0, height)], segments)


def ellipsoid(x: float, y: float, z: float, segments: int = 24) -> Part:
    """Returns an ellipsoid about the origin, of these radii."""
    angles = np.radians(np.linspace(-90, 90, segments // 2 + 1))
    profile = np.stack([np.cos(angles), np.sin(angles)], 1)
    profile[[0, -1], 0] = 0
    return lathe(profile, segments).scaled(x, y, z)


def ball(radius: float, segments: int = 20) -> Part:
    """Returns a ball about the origin."""
    return ellipsoid(radius, radius, radius, segments)


def tube(
    path: Points, radius: float | Sequence[float] | np.ndarray, segments: int = 12
) -> Part:
    """Returns a round tube along points [k, 3]; a radius of 0 at an end is a tip."""
    points = np.asarray(path, float)
    radii = np.broadcast_to(np.asarray(radius, float), len(points))
    ways = np.gradient(points, axis=0)
    ways /= np.sqrt((ways**2).sum(1, keepdims=True)) + 1e-12
    side = np.cross(ways[0], np.eye(3)[np.abs(ways[0]).argmin()])
    circle, rings = _circle(segments), []
    for point, way, r in zip(points, ways, radii, strict=True):
        side = side - way * (side * way).sum()
        side = side / np.sqrt((side**2).sum())
        other = np.cross(way, side)
        rings.append(point + r * (circle[:, :1] * side + circle[:, 1:] * other))
    length = TURN * radii.max()
    return loft(np.array(rings), around=1.0 if length > 0.6 else length)


def rod(
    start: Point, end: Point, radius: float, top: float | None = None, n: int = 12
) -> Part:
    """Returns a straight round bar."""
    return tube([start, end], [radius, radius if top is None else top], n)


def box(x: float, y: float, z: float, bevel: float = 0.0, fine: int = 1) -> Part:
    """Returns a box about the origin, in the plane, that stands on z = 0.

    Args:
      x: side.
      y: side.
      z: side.
      bevel: how much its edges are cut or, where `fine` is above 1, rounded.
      fine: facets of a rounded edge.
    """
    half = np.array([x, y, z]) / 2
    bevel = min(bevel, half.min() * 0.98)
    if bevel <= 0:
        c = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half[:2]
        rings = np.array([[(*p, 0.0) for p in c], [(*p, z) for p in c]])
        return loft(rings)
    angles = np.radians(np.linspace(0, 90, fine + 1))
    points = []
    for a in angles:
        for b in angles:
            points.append((np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)))
    octant = np.array(points) * bevel + (half - bevel)
    signs = np.array([(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)])
    corners = (octant[None] * signs[:, None]).reshape(-1, 3)
    return hull(corners).moved(z=z / 2)


def hull(points: np.ndarray) -> Part:
    """Returns the convex hull of points [n, 3]."""
    return _part(manifold3d.Manifold.hull_points(np.unique(points.round(9), axis=0)))


def extrude(outline: Points, height: float, *holes: Points) -> Part:
    """Returns an outline in x and y, counter-clockwise, raised from z = 0.

    Args:
      outline: [n, 2].
      height: how far.
      holes: outlines within, counter-clockwise too.
    """
    loops = [np.asarray(outline, float), *(np.asarray(h, float)[::-1] for h in holes)]
    flat = np.concatenate(loops)
    caps = np.asarray(manifold3d.triangulate([loop.copy() for loop in loops]))
    count = len(flat)
    sides, start = [], 0
    for loop in loops:
        i = np.arange(len(loop))
        j = (i + 1) % len(loop)
        a, b = start + i, start + j
        sides += [
            np.stack([a, b, b + count], 1),
            np.stack([a, b + count, a + count], 1),
        ]
        start += len(loop)
    bottom = np.concatenate([flat, np.zeros((count, 1))], 1)
    top = np.concatenate([flat, np.full((count, 1), height)], 1)
    return Part(
        vertices=np.concatenate([bottom, top]),
        faces=np.concatenate([caps[:, ::-1], caps + count, *sides]),
    )


def upright(part: Part) -> Part:
    """Returns an extrusion with its outline in x and z, and its height along y."""
    v = part.vertices
    depth = v[:, 2].max() / 2
    return replace(part, vertices=np.stack([v[:, 0], depth - v[:, 2], v[:, 1]], 1))


def sheet(points: np.ndarray, thickness: float) -> Part:
    """Returns a curved sheet over a grid of points [k, n, 3], with a thickness.

    Seen from outside, the grid's rows go up and its columns to the right.
    """
    grid = np.asarray(points, float)
    k, n = grid.shape[:2]
    across = np.gradient(grid, axis=1)
    along = np.gradient(grid, axis=0)
    normal = np.cross(across, along)
    normal /= np.sqrt((normal**2).sum(-1, keepdims=True)) + 1e-12
    index = np.arange(k * n).reshape(k, n)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    front = np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    )
    rim = np.concatenate(
        [index[0], index[1:, -1], index[-1, -2::-1], index[-2:0:-1, 0]]
    )
    after = np.roll(rim, -1)
    many = k * n
    edge = [
        np.stack([rim, rim + many, after + many], 1),
        np.stack([rim, after + many, after], 1),
    ]
    flat = grid.reshape(-1, 3)
    return Part(
        vertices=np.concatenate([flat, flat - thickness * normal.reshape(-1, 3)]),
        faces=np.concatenate([front, front[:, ::-1] + many, *edge]),
    )


def ring(radius: float, thick: float, segments: int = 32, around: int = 10) -> Part:
    """Returns a torus about z."""
    c, t = _circle(segments), _circle(around)
    r = radius + thick * t[:, 0]
    points = np.concatenate(
        [
            c[:, None] * r[None, :, None],
            np.broadcast_to(thick * t[:, 1], (segments, around))[..., None],
        ],
        -1,
    )
    i, j = np.arange(segments), np.arange(around)
    a = i[:, None] * around + j
    b = ((i + 1) % segments)[:, None] * around + j
    a2 = i[:, None] * around + (j + 1) % around
    b2 = ((i + 1) % segments)[:, None] * around + (j + 1) % around
    faces = [
        np.stack([a, b, b2], -1).reshape(-1, 3),
        np.stack([a, b2, a2], -1).reshape(-1, 3),
    ]
    return Part(vertices=points.reshape(-1, 3), faces=np.concatenate(faces))


def subtract(part: Part, *others: Part) -> Part:
    """Returns a part minus the volume of others."""
    result = _manifold(part)
    for other in others:
        result = result - _manifold(other)
    return _part(result)


def refined(part: Part, longest: float) -> Part:
    """Returns the part with its edges divided to at most that length."""
    return _part(_manifold(part).refine_to_length(longest))


def _manifold(part: Part) -> manifold3d.Manifold:
    mesh = manifold3d.Mesh(
        vert_properties=part.vertices.astype(np.float32),
        tri_verts=part.faces.astype(np.uint32),
    )
    mesh.merge()
    return manifold3d.Manifold(mesh)


def _part(solid: manifold3d.Manifold) -> Part:
    mesh = solid.to_mesh()
    return Part(
        vertices=np.asarray(mesh.vert_properties, float)[:, :3],
        faces=np.asarray(mesh.tri_verts, np.int64),
    )
