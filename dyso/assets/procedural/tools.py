"""Tools that lie along x: hammer, axe, wrench, saw, trowel, pan."""

from __future__ import annotations

import numpy as np

from dyso.assets.procedural.model import Model
from dyso.assets.procedural.shapes import (
    box,
    cylinder,
    extrude,
    hull,
    lathe,
    ring,
    rod,
    rounded_cylinder,
    spline,
    tube,
    vessel,
)


def tool(m: Model) -> None:
    """Adds one of several hand tools."""
    m.draw.pick((_hammer, _hammer, _axe, _wrench, _saw, _pan))(m)


def _grip(m: Model, start: float, end: float, radius: float, flat: float = 1.0) -> int:
    """Adds a handle along x; returns its material."""
    r = m.draw
    wood = m.material("wood", "plastic", "rubber", "painted_wood", "leather")
    swell = [r.real(0.75, 1.0) for _ in range(4)]
    curve = spline(
        [(0.8, 0), (swell[0], 0.08), (swell[1], 0.35), (swell[2], 0.7), (swell[3], 1)],
        24,
    )
    curve = curve * (radius, end - start)
    part = lathe([(0, 0), *curve, (0, end - start)], 20).turned("y", 90)
    m.add(wood, part.scaled(1, 1, flat).moved(x=start))
    for i in range(r.whole(0, 4)):
        band = (
            ring(radius * 0.95, radius * 0.12, 20, 6).turned("y", 90).scaled(1, 1, flat)
        )
        m.add(
            m.material("rubber") if i == 0 else wood,
            band.moved(x=start + (end - start) * (0.08 + 0.05 * i)),
        )
    return wood


def _hammer(m: Model) -> None:
    r, w, d, h = m.draw, m.w, m.d, m.h
    steel = m.material(
        "brushed_metal", "polished_metal", "rust", "painted_metal", "rubber", "wood"
    )
    _grip(m, -w / 2, w * 0.44, h * 0.34)
    x, long = w / 2 - h * 0.5, d * 0.5
    mallet = r.chance(0.25)
    if mallet:
        m.add(
            steel,
            rounded_cylinder(h * 0.5, d, h * 0.08, 28)
            .moved(z=-d / 2)
            .turned("x", 90)
            .moved(x=x),
        )
        return
    m.add(steel, box(h * 0.8, long * 0.7, h * 0.8, h * 0.1).moved(x, 0, -h * 0.4))
    face = lathe(
        [
            (0, 0),
            (h * 0.36, 0),
            (h * 0.36, long * 0.3),
            (h * 0.5, long * 0.45),
            (h * 0.5, long * 0.65),
            (0, long * 0.65),
        ],
        28,
    )
    m.add(steel, face.turned("x", -90).moved(x, long * 0.35))
    if r.chance(0.6):
        for s in (-1, 1):
            path = [
                (x, -long * 0.3, s * h * 0.12),
                (x + 0.01 * w, -long * 0.7, s * h * 0.2),
                (x - h * 0.5, -long, s * h * 0.26),
            ]
            m.add(
                steel, tube(spline(path, 12), np.linspace(h * 0.22, h * 0.05, 12), 10)
            )
    else:
        wedge = [(sx * h * 0.4, 0, sz * h * 0.4) for sx in (-1, 1) for sz in (-1, 1)]
        edge = [
            (sx * h * 0.4, -long * 0.7, sz * h * 0.04)
            for sx in (-1, 1)
            for sz in (-1, 1)
        ]
        m.add(steel, hull(np.array(wedge + edge)).moved(x, -long * 0.3))


def _axe(m: Model) -> None:
    r, w, d, h = m.draw, m.w, m.d, m.h
    steel = m.material("brushed_metal", "rust", "painted_metal")
    _grip(m, -w / 2, w / 2, h * 0.34)
    x, wide = w * r.real(0.36, 0.4), w * r.real(0.1, 0.14)
    root = [
        (sx * wide * 0.5, s * h * 0.2, sz * h * 0.5)
        for sx in (-1, 1)
        for s in (-1, 1)
        for sz in (-1, 1)
    ]
    arc = [
        (wide * 1.0 * np.sin(a), d * 0.72 * np.cos(a) ** 0.5, sz * 0.004 * w)
        for a in np.linspace(-1, 1, 7)
        for sz in (-1, 1)
    ]
    m.add(steel, hull(np.array(root + arc)).moved(x=x))
    m.add(steel, box(wide * 0.9, d * 0.26, h, h * 0.1).moved(x, -d * 0.13, -h / 2))


def _wrench(m: Model) -> None:
    r, w, d, h = m.draw, m.w, m.d, m.h
    steel = m.material("polished_metal", "brushed_metal", "painted_metal", "rust")
    thick, bar = h, d * r.real(0.26, 0.34)
    m.add(steel, box(w * 0.72, bar, thick * 0.7, thick * 0.15, 2).moved(z=thick * 0.15))
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    hexagon = np.linspace(0, 2 * np.pi, 6, endpoint=False)
    outer = np.stack([np.cos(t), np.sin(t)], 1) * d * 0.42
    nut = np.stack([np.cos(hexagon), np.sin(hexagon)], 1) * d * 0.25
    m.add(steel, extrude(outer, thick, nut).moved(x=-w / 2 + d * 0.42))
    if r.chance(0.3):
        m.add(steel, extrude(outer * 0.9, thick, nut * 0.9).moved(x=w / 2 - d * 0.38))
        return
    start, end = 0.75, 2 * np.pi - 0.75
    t = np.linspace(start, end, 30)
    jaw = np.stack([np.cos(t), np.sin(t)], 1) * d * 0.5
    gap = d * 0.24
    jaw = np.concatenate(
        [
            jaw,
            [
                (d * 0.3, -gap),
                (-d * 0.02, -gap),
                (-d * 0.15, 0),
                (-d * 0.02, gap),
                (d * 0.3, gap),
            ],
        ]
    )
    m.add(
        steel,
        extrude(jaw, thick).turned("z", r.pick((0, 15, -15))).moved(x=w / 2 - d * 0.42),
    )


def _saw(m: Model) -> None:
    r, w, d, h = m.draw, m.w, m.d, m.h
    steel = m.material("brushed_metal", "polished_metal", "rust")
    wood = m.material("wood", "plastic", "painted_wood")
    n, x0, x1 = r.whole(24, 40), -w * 0.22, w / 2
    top = [(x1, d * 0.05), (x0, d * 0.42)]
    teeth = []
    for i in range(n):
        a = x0 + (x1 - x0) * i / n
        teeth += [(a, -d * 0.38), (a + (x1 - x0) * 0.5 / n, -d * 0.47)]
    m.add(steel, extrude([*teeth, (x1, -d * 0.38), *top], h * 0.12).moved(z=h * 0.44))
    t = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    outer = np.stack(
        [np.cos(t) * w * 0.15 * (1 - 0.25 * np.cos(2 * t)), np.sin(t) * d * 0.5], 1
    )
    hole = np.stack([np.cos(t) * w * 0.05, np.sin(t) * d * 0.24], 1)
    m.add(wood, extrude(outer, h, hole).moved(x=-w * 0.36))
    m.add(wood, box(w * 0.12, d * 0.5, h, h * 0.2).moved(-w * 0.23, 0))
    for y in (-0.12, 0.12):
        m.add(
            steel,
            cylinder(h * 0.2, h * 1.06, segments=14).moved(-w * 0.21, y * d, -h * 0.03),
        )


def _pan(m: Model) -> None:
    r, w, d, h = m.draw, m.w, m.d, m.h
    steel = m.material("hammered_metal", "rubber", "polished_metal", "painted_metal")
    radius = d / 2
    x = w / 2 - radius
    curve = [(radius * 0.78, 0), (radius * 0.85, h * 0.1), (radius, h * 0.75)]
    m.add(steel, vessel(curve, radius * 0.05, 48).moved(x=x))
    start = x - radius * 0.95
    m.add(
        steel,
        rod((start + 0.03 * w, 0, h * 0.6), (start - 0.12 * w, 0, h * 0.75), h * 0.14),
    )
    handle = box(start - 0.08 * w + w / 2, d * 0.13, h * 0.3, h * 0.14, 3)
    wood = m.material("wood", "plastic", "rubber")
    m.add(wood, handle.moved((start - 0.08 * w - w / 2) / 2, 0, h * 0.66))
    if r.chance(0.4):
        egg, yolk = m.material("paper", "plaster"), m.material("petal")
        m.add(
            egg,
            rounded_cylinder(radius * 0.5, h * 0.08, h * 0.03, 24).moved(x, 0, h * 0.1),
        )
        m.add(
            yolk,
            rounded_cylinder(radius * 0.2, h * 0.14, h * 0.06, 20).moved(
                x, 0, h * 0.12
            ),
        )
