"""Houses and towers."""

from __future__ import annotations

import numpy as np

from dyso.assets.procedural.model import Model
from dyso.assets.procedural.shapes import (
    ball,
    box,
    cylinder,
    extrude,
    hull,
    lathe,
    rod,
    upright,
)


def house(m: Model) -> None:
    """Adds walls with windows and a door at +x, under a gabled, hipped or flat roof."""
    r, w, d, h = m.draw, m.w, m.d, m.h
    wall = m.material("plaster", "brick", "planks", "concrete", "painted_wood")
    tiles = m.material("shingles", "shingles", "painted_metal", "wicker")
    trim, glass = m.material("painted_wood", "plastic", "wood"), m.material("window")
    kind = r.pick(("gable", "gable", "hip", "flat"))
    floors = r.whole(1, 3) if kind != "flat" else r.whole(2, 3)
    over = 0.05 * w
    a, b = w - 2 * over, d - 2 * over
    eaves = h * (r.real(0.5, 0.68) if kind != "flat" else 0.93)
    m.add(m.material("concrete", "granite", "brick"), box(a * 1.03, b * 1.03, 0.05 * h))
    m.add(wall, box(a, b, eaves))
    chimney = r.chance(0.6) and kind != "flat"
    top = h * (0.93 if chimney else 1.0)
    if kind == "gable":
        gable = [(-b / 2, 0), (b / 2, 0), (0, top - eaves - 0.02 * h)]
        m.add(wall, upright(extrude(gable, a)).turned("z", 90).moved(z=eaves))
        slope = np.array(
            [(-d / 2, -0.06 * h), (0, top - eaves - 0.04 * h), (d / 2, -0.06 * h)]
        )
        thick = np.array([(0, 0.045 * h)] * 3)
        outline = np.concatenate([slope, (slope + thick)[::-1]])
        m.add(tiles, upright(extrude(outline, w)).turned("z", 90).moved(z=eaves))
    elif kind == "hip":
        ridge = max(0.0, a - b) / 2 + 0.05 * w
        low = [
            (sx * w / 2, sy * d / 2, z)
            for sx in (-1, 1)
            for sy in (-1, 1)
            for z in (eaves, eaves + 0.02 * h)
        ]
        m.add(tiles, hull(np.array([*low, (-ridge, 0, top), (ridge, 0, top)])))
    else:
        m.add(tiles, box(w, d, h - eaves, 0.01 * w).moved(z=eaves))
        m.add(wall, box(a * 0.3, b * 0.3, 0.05 * h).moved(0, 0, h - 0.01 * h))
    if chimney:
        x, y = a * r.real(-0.3, 0.3), b * r.real(0.12, 0.3)
        m.add(m.material("brick"), box(0.1 * w, 0.1 * w, h - eaves).moved(x, y, eaves))
    _openings(m, trim, glass, a, b, eaves, floors)
    if r.chance(0.4):
        porch = m.material("planks", "painted_wood")
        m.add(
            porch,
            box(over * 2, b * 0.34, 0.03 * h).moved(
                a / 2 + over * 0.2, 0, eaves / floors * 0.82
            ),
        )
        m.mirrored(
            porch,
            rod(
                (a / 2 + over * 0.8, b * 0.15, 0),
                (a / 2 + over * 0.8, b * 0.15, eaves / floors * 0.82),
                0.012 * w,
            ),
        )
    if kind == "gable" and r.chance(0.5):
        disc = cylinder(0.06 * h, a * 1.02, segments=20).turned("y", 90)
        m.add(glass, disc.moved(-a * 0.51, 0, eaves + (top - eaves) * 0.35))


def _openings(
    m: Model, trim: int, glass: int, a: float, b: float, eaves: float, floors: int
) -> None:
    r, w = m.draw, m.w
    tall = eaves / floors
    door = m.material("wood", "painted_wood", "planks", "painted_metal")
    high, wide = tall * 0.62, min(0.16 * w, b * 0.24)
    m.add(trim, box(0.02 * w, wide * 1.25, high * 1.08).moved(a / 2))
    m.add(door, box(0.03 * w, wide, high).moved(a / 2))
    m.add(
        m.material("polished_metal"),
        ball(0.01 * w, 8).moved(a / 2 + 0.018 * w, wide * 0.36, high * 0.45),
    )
    m.add(
        m.material("concrete"),
        box(0.08 * w, wide * 1.5, 0.025 * w).moved(a / 2 + 0.03 * w),
    )
    panes = r.pick(((0.44, 0.5), (0.5, 0.42), (0.36, 0.58)))
    for length, along, offset in ((b, "y", a / 2), (a, "x", b / 2)):
        count = max(2, round(length / (0.3 * w)) + r.whole(0, 1))
        cell = length / count
        pw, ph = cell * panes[0], tall * panes[1]
        for floor in range(floors):
            for k in range(count):
                s = length * ((k + 0.5) / count - 0.5)
                z = tall * floor + tall * 0.34
                for side in (-1, 1):
                    if (
                        along == "y"
                        and side == 1
                        and floor == 0
                        and abs(s) < wide * 0.75 + pw / 2
                    ):
                        continue
                    for material, thick, grow in (
                        (trim, 0.016 * w, 1.22),
                        (glass, 0.022 * w, 1.0),
                    ):
                        size = (
                            (thick, pw * grow, ph * grow)
                            if along == "y"
                            else (pw * grow, thick, ph * grow)
                        )
                        at = (side * offset, s) if along == "y" else (s, side * offset)
                        m.add(material, box(*size).moved(*at, z - ph * (grow - 1) / 2))
                    bar = (
                        (0.03 * w, pw * 0.08, ph)
                        if along == "y"
                        else (pw * 0.08, 0.03 * w, ph)
                    )
                    at = (side * offset, s) if along == "y" else (s, side * offset)
                    m.add(trim, box(*bar).moved(*at, z))


def tower(m: Model) -> None:
    """Adds a castle's tower, a lighthouse, a tower block or a spire with a clock."""
    r = m.draw
    r.pick((_castle, _lighthouse, _block, _spire))(m)


def _slits(m: Model, radius: float, levels: list[float], count: int) -> None:
    glass = m.material("window")
    for i, z in enumerate(levels):
        for k in range(count):
            pane = box(0.05 * m.w, 0.12 * m.w, 0.2 * m.w).moved(x=radius)
            m.add(glass, pane.turned("z", 360 * (k + 0.5 * (i % 2)) / count).moved(z=z))


def _castle(m: Model) -> None:
    r, w, h = m.draw, m.w, m.h
    stone = m.material("brick", "stone", "stone")
    cone = r.chance(0.6)
    top = h * (0.66 if cone else 0.9)
    radius, crown = w * 0.38, w * 0.47
    m.add(
        stone,
        lathe(
            [
                (0, 0),
                (radius * 1.15, 0),
                (radius, h * 0.12),
                (radius * 0.95, top * 0.86),
                (crown, top * 0.92),
                (crown, top),
                (0, top),
            ],
            40,
        ),
    )
    teeth = r.whole(8, 12)
    for i in range(teeth):
        block = box(0.09 * w, 0.14 * w, 0.1 * w).moved(x=crown - 0.045 * w)
        m.add(stone, block.turned("z", 360 * i / teeth).moved(z=top))
    if cone:
        m.add(stone, cylinder(radius * 0.8, 0.14 * h).moved(z=top))
        m.add(
            m.material("shingles"),
            lathe(
                [
                    (0, top + 0.08 * h),
                    (w / 2, top + 0.08 * h),
                    (w * 0.2, top + 0.2 * h),
                    (0, h * 0.97),
                ],
                40,
            ),
        )
    m.add(m.material("wood"), rod((0, 0, top), (0, 0, h), 0.012 * w))
    m.add(
        m.material("fabric"),
        box(0.2 * w, 0.01 * w, 0.11 * w).moved(0.1 * w, 0, h - 0.11 * w),
    )
    _slits(m, radius * 0.97, [top * z for z in (0.3, 0.52, 0.72)], 4)
    door = m.material("planks")
    m.add(
        door,
        cylinder(0.13 * w, radius * 1.16, segments=24)
        .turned("y", 90)
        .moved(0, 0, 0.24 * w),
        box(radius * 1.16, 0.26 * w, 0.24 * w).moved(radius * 0.58),
    )


def _lighthouse(m: Model) -> None:
    r, w, h = m.draw, m.w, m.h
    first, second = m.material("plaster"), m.material("painted_metal", "painted_wood")
    bands, top = r.whole(4, 7), h * 0.74
    low, high = w * 0.46, w * 0.26
    for i in range(bands):
        a, b = i / bands, (i + 1) / bands
        ra, rb = low + (high - low) * a, low + (high - low) * b
        part = lathe([(0, top * a), (ra, top * a), (rb, top * b), (0, top * b)], 40)
        m.add(second if i % 2 else first, part)
    metal = m.material("painted_metal")
    m.add(metal, cylinder(w * 0.38, 0.02 * h, segments=40).moved(z=top))
    for i in range(12):
        m.add(
            metal,
            rod(
                (w * 0.36, 0, top), (w * 0.36, 0, top + 0.06 * h), 0.008 * w, n=6
            ).turned("z", 30 * i),
        )
    m.add(m.material("lamp"), cylinder(w * 0.18, 0.12 * h).moved(z=top))
    m.add(
        metal,
        *(
            rod((w * 0.2, 0, top), (w * 0.2, 0, top + 0.12 * h), 0.012 * w, n=6).turned(
                "z", 60 * i
            )
            for i in range(6)
        ),
    )
    m.add(
        metal,
        lathe(
            [
                (0, top + 0.12 * h),
                (w * 0.28, top + 0.12 * h),
                (w * 0.2, top + 0.17 * h),
                (0.02 * w, h * 0.96),
                (0, h),
            ],
            32,
        ),
    )
    m.add(m.material("granite", "concrete"), cylinder(w / 2, 0.05 * h, w * 0.47, 40))
    _slits(m, w * 0.36, [top * 0.35], 3)
    m.add(m.material("planks"), box(w * 0.9, 0.2 * w, 0.3 * w).moved(0.02 * w))


def _block(m: Model) -> None:
    r, w, h = m.draw, m.w, m.h
    wall, glass = (
        m.material("concrete", "brick", "painted_metal", "plaster"),
        m.material("window"),
    )
    tiers = r.whole(1, 3)
    z, side = 0.0, w
    for tier in range(tiers):
        high = (h * 0.94 - z) * (1 if tier == tiers - 1 else r.real(0.45, 0.65))
        m.add(wall, box(side * 0.97, side * 0.97, high).moved(z=z))
        rows, columns = max(2, round(high / (0.11 * w))), r.whole(4, 6)
        for i in range(rows):
            at = z + high * (i + 0.3) / rows
            if r.chance(0.15):
                continue
            for k in range(columns):
                s = side * 0.94 * ((k + 0.5) / columns - 0.5)
                pane = side * 0.94 * 0.62 / columns
                m.add(glass, box(side * 0.985, pane, high * 0.5 / rows).moved(0, s, at))
                m.add(glass, box(pane, side * 0.985, high * 0.5 / rows).moved(s, 0, at))
        z += high
        m.add(wall, box(side, side, 0.012 * h).moved(z=z - 0.006 * h))
        side *= r.real(0.62, 0.8)
    m.add(
        m.material("brushed_metal"),
        rod((0, 0, z), (0, 0, h), 0.02 * w, 0.006 * w),
        box(side * 0.4, side * 0.3, 0.02 * h).moved(z=z),
    )
    m.add(m.material("polished_metal"), box(w, 0.3 * w, 0.06 * h).moved(0.0))


def _spire(m: Model) -> None:
    r, w, h = m.draw, m.w, m.h
    wall, roof = (
        m.material("brick", "stone", "plaster"),
        m.material("shingles", "hammered_metal"),
    )
    top = h * r.real(0.6, 0.7)
    side = w * 0.82
    m.add(wall, box(side, side, top), box(side * 1.08, side * 1.08, 0.06 * h))
    trim = m.material("concrete", "plaster")
    for z in (0.33, 0.62, 0.97):
        m.add(trim, box(side * 1.1, side * 1.1, 0.02 * h).moved(z=top * z))
    corners = [
        (sx * w / 2, sy * w / 2, top + 0.01 * h) for sx in (-1, 1) for sy in (-1, 1)
    ]
    m.add(roof, hull(np.array([*corners, (0, 0, h * 0.97)])))
    m.add(
        m.material("polished_metal"),
        rod((0, 0, h * 0.93), (0, 0, h), 0.012 * w),
        ball(0.03 * w, 12).moved(z=h * 0.965),
    )
    face, hand = m.material("paper", "plaster"), m.material("rubber")
    glass = m.material("window")
    for k in range(4):
        disc = (
            cylinder(side * 0.3, 0.02 * w, segments=32)
            .turned("y", 90)
            .moved(side / 2, 0, top * 0.81)
        )
        hands = [
            box(0.01 * w, 0.03 * w, side * s)
            .turned("x", a)
            .moved(side / 2 + 0.022 * w, 0, top * 0.81)
            for s, a in ((0.26, 20), (0.18, 130))
        ]
        arch = [
            box(0.02 * w, side * 0.22, top * 0.16).moved(side / 2, 0, top * 0.4),
            box(0.02 * w, side * 0.22, top * 0.14).moved(side / 2, 0, top * 0.1),
        ]
        m.add(face, disc.turned("z", 90 * k))
        m.add(hand, *(p.turned("z", 90 * k) for p in hands))
        m.add(glass, *(p.turned("z", 90 * k) for p in arch))
