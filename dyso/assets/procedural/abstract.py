"""Shapes of no kind: primitives, displaced, cut and framed (after Zeroverse)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dyso.assets.procedural.draw import Draw
from dyso.assets.procedural.model import Model
from dyso.assets.procedural.shapes import (
    Part,
    box,
    cylinder,
    ellipsoid,
    extrude,
    lathe,
    refined,
    ring,
    rod,
    spline,
    subtract,
    tube,
)

_ANY = (
    "wood",
    "painted_wood",
    "marble",
    "brushed_metal",
    "polished_metal",
    "hammered_metal",
    "painted_metal",
    "car_paint",
    "plastic",
    "speckled_plastic",
    "rubber",
    "ceramic",
    "terracotta",
    "fabric",
    "felt",
    "leather",
    "brick",
    "shingles",
    "concrete",
    "plaster",
    "terrazzo",
    "granite",
    "rust",
    "glass",
    "paper",
    "skin",
    "fur",
    "leaf",
    "bark",
    "wicker",
)


def abstract(m: Model) -> None:
    """Adds one to nine primitives, each with its own material."""
    r = m.draw
    count = r.whole(1, 9)
    size = 0.55 if count < 3 else 0.75 / count**0.5
    center = np.zeros(3)
    for index in range(count):
        stream = m.draw.named(f"primitive {index}")
        part = _primitive(stream)
        part = part.scaled(*(size * stream.real(0.5, 1.3) for _ in range(3)))
        for axis in "xyz":
            part = part.turned(axis, stream.real(0, 360))
        kind = stream.real(0, 1)
        if kind < 0.25:
            part = _displaced(stream, part, size, 9000 // count)
        elif kind < 0.45:
            part = _cut(stream, part, size)
        material = m.material(*_ANY)
        if kind > 0.88:
            _framed(m, material, part.moved(*center), size)
        else:
            m.add(material, part.moved(*center))
        step = stream.rng.normal(size=3)
        center = center + step / np.sqrt((step**2).sum()) * size * stream.real(0.5, 0.9)


def _primitive(r: Draw) -> Part:
    match r.whole(0, 7):
        case 0:
            return box(1, 1, 1, r.pick((0.0, 0.05, 0.2)), 3).moved(z=-0.5)
        case 1:
            return ellipsoid(0.5, 0.5, 0.5, 28)
        case 2:
            return cylinder(0.5, 1, r.pick((0.5, 0.5, 0.2, 0.02)), 32).moved(z=-0.5)
        case 3:
            return ring(0.36, r.real(0.08, 0.16), 36, 12)
        case 4:
            points = [(r.real(0.1, 0.5), z) for z in np.linspace(-0.5, 0.5, 6)]
            curve = np.maximum(spline(points, 18), (0.04, -1))
            return lathe([(0, curve[0, 1]), *curve, (0, curve[-1, 1])], 28)
        case 5:
            n = r.whole(3, 8) * 2
            t = 2 * np.pi * np.arange(n) / n
            radii = np.where(np.arange(n) % 2, 0.5, r.real(0.25, 0.5))
            outline = np.stack([np.cos(t), np.sin(t)], 1) * radii[:, None]
            return extrude(outline, r.real(0.3, 1)).moved(z=-0.3)
        case 6:
            through = r.rng.uniform(-0.5, 0.5, (5, 3))
            return tube(spline(through, 32), r.real(0.05, 0.13), 12)
    n = r.whole(3, 6)
    t = 2 * np.pi * np.arange(n) / n
    outline = np.stack([np.cos(t), np.sin(t)], 1) * 0.5
    return extrude(outline, r.real(0.4, 1.2)).moved(z=-0.4)


def _displaced(r: Draw, part: Part, size: float, most: int) -> Part:
    """Returns a finely divided surface, displaced along its normals by waves."""
    fine = refined(part, size * (0.09 if most > 2000 else 0.16))
    if len(fine.faces) > most:
        return part
    total = np.zeros_like(fine.vertices)
    a, b, c = (fine.vertices[fine.faces[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    for axis in range(3):
        for corner in range(3):
            total[:, axis] += np.bincount(
                fine.faces[:, corner], normals[:, axis], len(total)
            )
    total /= np.sqrt((total**2).sum(1, keepdims=True)) + 1e-12
    height = np.zeros(len(total))
    for octave in range(3):
        way = r.rng.normal(size=3) * (5 * 1.8**octave / size)
        phase = (fine.vertices * way).sum(1) + r.real(0, 6)
        height += np.sin(phase) * 0.55**octave
    return replace(
        fine,
        vertices=fine.vertices + total * (height * size * r.real(0.02, 0.06))[:, None],
    )


def _cut(r: Draw, part: Part, size: float) -> Part:
    """Returns a surface minus another primitive, or a thin shell."""
    cutter = r.pick(
        (
            ellipsoid(0.5, 0.5, 0.5),
            box(1, 1, 1).moved(z=-0.5),
            cylinder(0.5, 2).moved(z=-1),
        )
    )
    share = r.real(0.3, 0.6) * 1.4
    where = r.rng.uniform(-0.35, 0.35, 3) * size
    inner = part.scaled(1 - r.real(0.06, 0.15)) if r.chance(0.4) else None
    left = subtract(
        part, cutter.scaled(share * size).moved(*where), *([inner] if inner else [])
    )
    return left if len(left.faces) > 20 else part


def _framed(m: Model, material: int, part: Part, size: float) -> None:
    """Adds the edges of a coarse surface as rods."""
    faces = part.faces[:: max(1, len(part.faces) // 50)]
    edges = np.sort(
        np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1
    )
    radius = size * m.draw.real(0.012, 0.02)
    for a, b in np.unique(edges, axis=0):
        start, end = part.vertices[a], part.vertices[b]
        if np.abs(end - start).max() > radius:
            m.add(material, rod(start, end, radius, n=5))
