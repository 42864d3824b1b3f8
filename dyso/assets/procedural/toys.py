"""Toy blocks: piles of wooden shapes, and bricks with studs."""

from __future__ import annotations

import itertools

import numpy as np

from dyso.assets.procedural.model import Model
from dyso.assets.procedural.shapes import (
    Part,
    box,
    cylinder,
    extrude,
    rounded_cylinder,
    upright,
)

_BLOCK = ("plastic", "painted_wood", "wood", "plastic")


def toy_blocks(m: Model) -> None:
    """Adds a stable pile of blocks."""
    m.draw.pick((_pile, _pile, _bricks))(m)


def _shape(kind: str, x: float, y: float, z: float) -> Part:
    bevel = min(x, y, z) * 0.06
    match kind:
        case "cylinder":
            return rounded_cylinder(0.5, z, bevel, 28).scaled(x, y, 1)
        case "arch":
            t = np.linspace(0, np.pi, 17)
            hole = np.stack([np.cos(t) * x * 0.28, np.sin(t) * z * 0.55], 1)
            outline = [(x / 2, 0), (x / 2, z), (-x / 2, z), (-x / 2, 0), *hole[::-1]]
            return upright(extrude(outline, y))
        case "roof":
            return upright(extrude([(-x / 2, 0), (x / 2, 0), (0, z)], y))
        case "cone":
            return cylinder(0.5, z, 0.03, 28).scaled(x, y, 1)
    return box(x, y, z, bevel, 2)


def _pile(m: Model) -> None:
    r, w, d, h = m.draw, m.w, m.d, m.h
    paints = [m.material(*_BLOCK) for _ in range(r.whole(4, 6))]
    levels = r.whole(2, 4)
    tall, last = h / levels, -1
    low, high = -w / 2, w / 2
    for level in range(levels):
        top = level == levels - 1
        if level:
            low, high = low + w * r.real(0.0, 0.12), high - w * r.real(0.0, 0.12)
        room = high - low
        count = max(1, round(room / (0.36 * w)) - (r.chance(0.35)))
        cuts = np.linspace(low, high, count + 1)
        depth = d * (1 - 0.12 * level)
        for a, b in itertools.pairwise(cuts):
            kinds = (
                ["box", "box", "cylinder", "arch"]
                if not top
                else ["roof", "cone", "box", "cylinder", "roof"]
            )
            last = (last + r.whole(1, len(paints) - 1)) % len(paints)
            wide = (b - a) * (1.0 if not top else 0.92)
            part = _shape(r.pick(kinds), wide * 0.985, depth * r.real(0.8, 1.0), tall)
            m.add(paints[last], part.moved((a + b) / 2, 0, tall * level))


def _bricks(m: Model) -> None:
    r, w, d, h = m.draw, m.w, m.d, m.h
    paints = [m.material("plastic") for _ in range(5)]
    across, deep = r.whole(4, 6), r.whole(3, 4)
    a, b = w / across, d / deep
    levels = r.whole(3, 5)
    tall = h / (levels + 0.18)
    ground = np.zeros((across, deep), int)
    for level in range(levels):
        for i in range(0, across, 2):
            for j in range(0, deep, 2):
                cells = ground[i : i + 2, j : j + 2]
                if cells.min() < level or (level and r.chance(0.3)):
                    continue
                cells += 1
                x, y = cells.shape[0] * a, cells.shape[1] * b
                cx, cy = i * a - w / 2 + x / 2, j * b - d / 2 + y / 2
                paint = r.pick(paints)
                m.add(
                    paint,
                    box(x * 0.985, y * 0.985, tall, tall * 0.03).moved(
                        cx, cy, tall * level
                    ),
                )
                for k in range(cells.shape[0]):
                    for n in range(cells.shape[1]):
                        stud = cylinder(min(a, b) * 0.3, tall * 0.2, segments=16)
                        m.add(
                            paint,
                            stud.moved(
                                cx - x / 2 + a * (k + 0.5),
                                cy - y / 2 + b * (n + 0.5),
                                tall * (level + 0.98),
                            ),
                        )
