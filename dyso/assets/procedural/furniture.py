"""Chairs, tables and lamps."""

from __future__ import annotations

import itertools

import numpy as np

from dyso.assets.procedural.model import Model
from dyso.assets.procedural.shapes import (
    Part,
    ball,
    box,
    ellipsoid,
    lathe,
    ring,
    rod,
    rounded_cylinder,
    spline,
    tube,
)


def chair(m: Model) -> None:
    """Adds a seat on legs, a back at -x, sometimes arms."""
    r, w, d, h = m.draw, m.w, m.d, m.h
    seat = h * r.real(0.4, 0.5)
    thick = r.real(0.03, 0.06) * h
    frame = m.material(
        "wood", "painted_wood", "brushed_metal", "painted_metal", "plastic"
    )
    soft = m.material("fabric", "leather", "wood", "plastic", "wicker")
    base = r.pick(("legs", "legs", "legs", "splayed", "star", "sled"))
    top = seat - thick / 2
    leg = r.real(0.018, 0.032) * h
    if base == "star":
        m.add(frame, rod((0, 0, 0.1 * h), (0, 0, top), 0.03 * h))
        for i in range(5):
            a = 2 * np.pi * i / 5
            end = np.array([np.cos(a) * w * 0.46, np.sin(a) * d * 0.46, 0.06 * h])
            m.add(frame, rod((0, 0, 0.12 * h), end, 0.024 * h, 0.016 * h))
            m.add(
                frame,
                ball(0.03 * h, 12).moved(end[0], end[1], 0.03 * h),
            )
    elif base == "sled":
        x, y = w * 0.42, d * 0.44
        points = [(-x, y, top), (-x, y, leg), (x, y, leg), (x, y, top)]
        m.mirrored(frame, *_bars(points, leg))
    else:
        spread = 1.0 if base == "legs" else 0.72
        square = r.chance(0.4) and spread == 1
        for sx in (-1, 1):
            x, y = sx * w * 0.43, d * 0.43
            if square:
                m.mirrored(frame, box(2 * leg, 2 * leg, top, leg / 4).moved(x, y))
            else:
                up = (x * spread, y * spread, top)
                m.mirrored(frame, rod((x, y, 0), up, leg * 0.7, leg))
        if r.chance(0.5):
            z, s = top * r.real(0.25, 0.6), (1 + spread) / 2
            ends = ((-w * 0.43 * s, d * 0.43 * s, z), (w * 0.43 * s, d * 0.43 * s, z))
            m.mirrored(frame, rod(*ends, leg * 0.6))
    if r.chance(0.25):
        m.add(soft, rounded_cylinder(min(w, d) * 0.48, thick, thick / 2).moved(z=top))
    else:
        m.add(soft, box(w * 0.95, d * 0.95, thick, thick * 0.49, 3).moved(z=top))
    if r.chance(0.35):
        cushion = box(w * 0.86, d * 0.86, thick * 1.6, thick * 0.75, 4)
        m.add(m.material("fabric", "leather"), cushion.moved(z=top + thick * 0.8))
    _back(m, frame, soft, seat, leg)
    if base != "splayed" and r.chance(0.35):
        z = seat + h * r.real(0.16, 0.22)
        arm = box(w * 0.85, leg * 2.6, leg * 1.4, leg * 0.5, 2)
        m.mirrored(frame, arm.moved(0, d * 0.45, z))
        m.mirrored(
            frame, rod((w * 0.34, d * 0.45, seat), (w * 0.34, d * 0.45, z), leg * 0.8)
        )


def _back(m: Model, frame: int, soft: int, seat: float, leg: float) -> None:
    r, w, d, h = m.draw, m.w, m.d, m.h
    lean = r.real(0.0, 0.1) * h
    x, y, low = -w * 0.43, d * 0.42, seat - 0.02 * h

    def at(z: float) -> float:
        return x - lean * (z - low) / (h - low)

    m.mirrored(frame, rod((x, y, low), (at(h), y, h), leg, leg * 0.8))
    rail = box(leg * 1.6, 2 * y, h * r.real(0.06, 0.12), leg * 0.5, 2)
    high = rail.vertices[:, 2].max()
    m.add(frame, rail.moved(at(h), 0, h - high))
    kind = r.pick(("panel", "ladder", "spindles", "pad"))
    start, end = seat + h * r.real(0.03, 0.15), h - high * 0.6
    if kind in ("panel", "pad"):
        thick = leg * (1.2 if kind == "panel" else 2.4)
        pad = box(thick, 2 * y * 0.92, end - start, thick * 0.45, 3)
        tilt = np.degrees(np.arctan2(at(end) - at(start), end - start))
        m.add(soft, pad.turned("y", tilt).moved(at(start), 0, start))
    elif kind == "ladder":
        n = r.whole(2, 4)
        for i in range(n):
            z = start + (end - start) * i / n
            m.add(frame, box(leg, 2 * y, h * 0.045, leg * 0.3).moved(at(z), 0, z))
    else:
        n = r.whole(3, 7)
        for i in range(n):
            s = (2 * (i + 0.5) / n - 1) * y
            m.add(frame, rod((at(low), s, low), (at(end), s, end), leg * 0.5, n=8))


def _bars(points: list[tuple[float, float, float]], radius: float) -> list[Part]:
    bars = [rod(a, b, radius) for a, b in itertools.pairwise(points)]
    return [*bars, *(ball(radius, 12).moved(*p) for p in points[1:-1])]


def table(m: Model) -> None:
    """Adds a top on four legs, a trestle or a foot."""
    r, w, d, h = m.draw, m.w, m.d, m.h
    thick = r.real(0.03, 0.07) * max(w, d)
    top = m.material(
        "wood", "planks", "marble", "terrazzo", "glass", "painted_wood", "granite"
    )
    legs = m.material("wood", "brushed_metal", "painted_metal", "painted_wood", "rust")
    low = h - thick
    oval = r.chance(0.3)
    if oval:
        plate = rounded_cylinder(0.5, thick, thick * 0.4, 48).scaled(w, d, 1)
    else:
        plate = box(w, d, thick, thick * r.real(0.1, 0.49), 3)
    m.add(top, plate.moved(z=low))
    leg = r.real(0.018, 0.035) * max(w, d)
    x, y = w * (0.3 if oval else 0.45) - leg, d * (0.3 if oval else 0.45) - leg
    kind = r.pick(("legs", "legs", "legs", "turned", "foot", "trestle"))
    if kind == "foot":
        profile = [(0.5, 0), (0.45, 0.06), (0.1, 0.15), (0.08, 0.5), (0.13, 0.7)]
        curve = spline([*profile, (0.1, 0.85), (0.3, 1.0)], 24)
        curve = curve * (min(w, d) * 0.62, low)
        m.add(legs, lathe([(0, 0), *curve, (0, low)]))
    elif kind == "trestle":
        for sx in (-1, 1):
            for sy in (-1, 1):
                foot = (sx * x, sy * y, 0)
                m.add(legs, rod(foot, (sx * x * 0.9, -sy * y * 0.6, low), leg * 0.8))
        m.add(legs, rod((-x, 0, low * 0.45), (x, 0, low * 0.45), leg * 0.8))
    else:
        curve = spline(
            [(0.6, 0), (0.7, 0.05), (0.5, 0.1), (1.0, 0.35), (0.5, 0.7), (1.1, 0.74)],
            20,
        )
        turned = lathe([(0, 0), *(curve * (leg, low)), (leg, low), (0, low)], 16)
        slant = r.chance(0.3) and kind == "legs"
        for sx in (-1, 1):
            if kind == "turned":
                m.mirrored(legs, turned.moved(sx * x, y))
            elif slant:
                m.mirrored(
                    legs,
                    rod((sx * x, y, 0), (sx * x * 0.8, y * 0.8, low), leg * 0.6, leg),
                )
            else:
                m.mirrored(legs, box(2 * leg, 2 * leg, low, leg * 0.2).moved(sx * x, y))
        if not slant and r.chance(0.6):
            high = r.real(0.08, 0.16) * h
            m.mirrored(legs, box(2 * x, leg, high).moved(0, y, low - high))
            m.add(
                legs,
                *(box(leg, 2 * y, high).moved(s * x, 0, low - high) for s in (-1, 1)),
            )
        if not oval and r.chance(0.3):
            shelf = box(2 * x, 2 * y, thick * 0.6).moved(z=low * r.real(0.2, 0.4))
            m.add(top, shelf)


def lamp(m: Model) -> None:
    """Adds a shade over a bulb on a stand."""
    r, w, h = m.draw, m.w, m.h
    stand = m.material(
        "wood", "brushed_metal", "polished_metal", "ceramic", "painted_metal", "marble"
    )
    shade = m.material("fabric", "paper", "painted_metal", "plastic", "wicker")
    radius = w / 2
    tall = h * r.real(0.28, 0.42)
    low = h - tall
    tilt = 0.0
    m.add(stand, rounded_cylinder(radius * r.real(0.5, 0.75), h * 0.03, h * 0.012, 40))
    kind = r.pick(("stem", "jug", "balls", "arm", "tripod"))
    pole = h * r.real(0.011, 0.02)
    if kind == "jug":
        wide = [r.real(0.2, 0.55) for _ in range(3)]
        curve = spline(
            [(0.3, 0), (wide[0], 0.2), (wide[1], 0.5), (wide[2], 0.75), (0.1, 1)], 28
        )
        curve = curve * (radius, low * 0.92)
        m.add(stand, lathe([(0, 0), *curve, (0, low * 0.92)]))
    elif kind == "balls":
        n = r.whole(3, 5)
        size = low / (2 * n)
        for i in range(n):
            m.add(
                stand,
                ellipsoid(size * 1.1, size * 1.1, size, 24).moved(z=size * (2 * i + 1)),
            )
    elif kind == "arm":
        path = [
            (0, 0, 0),
            (-radius * 0.4, 0, low * 0.5),
            (-radius * 0.35, 0, low),
            (0, 0, low + tall * 0.8),
        ]
        m.add(stand, tube(spline(path, 20), pole))
        tilt = r.real(10, 30)
    elif kind == "tripod":
        for i in range(3):
            a = 2 * np.pi * i / 3
            m.add(
                stand,
                rod(
                    (np.cos(a) * radius * 0.8, np.sin(a) * radius * 0.8, 0),
                    (0, 0, low),
                    pole,
                ),
            )
    m.add(stand, rod((0, 0, 0), (0, 0, low + tall * 0.6), pole))
    top, wall = radius * r.real(0.35, 1.0), radius * 0.03
    if r.chance(0.3):
        arc = np.radians(np.linspace(0, 80, 12))
        profile = np.stack([radius * np.cos(arc), tall * np.sin(arc)], 1)
    else:
        profile = np.array([(radius, 0), (top, tall)])
    outer = profile
    inner = profile[::-1] - (wall, 0)
    cone = np.concatenate([outer, inner, outer[:1]])
    skin = _tube_shell(cone)
    m.add(shade, skin.turned("y", tilt).moved(z=low))
    m.add(
        m.material("lamp"),
        ball(min(radius, tall) * 0.26, 20).moved(z=low + tall * 0.3),
    )
    if r.chance(0.5):
        m.add(
            stand, ring(radius - wall / 2, wall, 40, 8).turned("y", tilt).moved(z=low)
        )


def _tube_shell(loop: np.ndarray) -> Part:
    """Returns the solid of revolution of a closed outline beside the z axis."""
    count = 48
    n = len(loop) - 1
    angles = 2 * np.pi * np.arange(count) / count
    points = np.zeros((count, n, 3))
    points[..., 0] = np.cos(angles)[:, None] * loop[:-1, 0]
    points[..., 1] = np.sin(angles)[:, None] * loop[:-1, 0]
    points[..., 2] = loop[:-1, 1]
    i, j = np.arange(count)[:, None], np.arange(n)[None]
    a, b = i * n + j, ((i + 1) % count) * n + j
    c, e = ((i + 1) % count) * n + (j + 1) % n, i * n + (j + 1) % n
    faces = np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, e], -1).reshape(-1, 3)]
    )
    return Part(vertices=points.reshape(-1, 3), faces=faces)
