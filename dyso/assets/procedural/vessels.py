"""Bottles, mugs, vases and bowls: what a lathe or a potter's wheel makes."""

from __future__ import annotations

import numpy as np

from dyso.assets.procedural.model import Model
from dyso.assets.procedural.shapes import (
    cylinder,
    ellipsoid,
    lathe,
    ring,
    rounded_cylinder,
    spline,
    tube,
    vessel,
)


def bottle(m: Model) -> None:
    """Adds a body, shoulders, a neck and a cap, mostly with a label."""
    r, h, radius = m.draw, m.h, m.w / 2
    body = m.material("glass", "glass", "plastic", "ceramic", "painted_metal")
    neck = radius * r.real(0.26, 0.45)
    shoulder, throat = h * r.real(0.5, 0.68), h * r.real(0.74, 0.84)
    top = h * 0.94
    waist = radius * (r.real(0.75, 0.92) if r.chance(0.3) else 1.0)
    points = [
        (radius * 0.85, 0),
        (radius, h * 0.03),
        (radius, h * 0.1),
        (waist, shoulder * 0.55),
        (radius, shoulder * 0.92),
        (radius * 0.97, shoulder),
        ((radius + neck) * r.real(0.45, 0.6), (shoulder + throat) / 2),
        (neck, throat),
        (neck * 0.95, top),
    ]
    m.add(body, vessel(spline(points, 44), radius * 0.07, 48))
    m.add(body, ring(neck, neck * 0.12, 32, 8).moved(z=top * 0.97))
    cap = m.material("plastic", "wood", "polished_metal", "painted_metal")
    high = h - top * 0.985
    m.add(cap, rounded_cylinder(neck * 1.16, high, high * 0.2).moved(z=h - high))
    if r.chance(0.85):
        low, up = h * r.real(0.1, 0.18), shoulder * r.real(0.75, 0.9)
        out = radius * 1.02
        m.add(
            m.material("paper"), lathe([(0, low), (out, low), (out, up), (0, up)], 48)
        )
    if r.chance(0.5):
        # Without this the inside of clear glass is empty.
        m.add(
            m.material("plastic", "ceramic"),
            cylinder(radius * 0.86, shoulder * 0.9, segments=32).moved(z=h * 0.03),
        )


def mug(m: Model) -> None:
    """Adds a wall with a handle at +x, often with something to drink."""
    r, h, radius = m.draw, m.h, m.d / 2
    body = m.material(
        "ceramic", "ceramic", "ceramic", "painted_metal", "plastic", "terracotta"
    )
    foot, middle, rim = (r.real(0.78, 1.0) for _ in range(3))
    if r.chance(0.4):
        foot = middle = rim = 1.0
    points = [(foot * 0.96, 0), (foot, 0.04), (middle, 0.5), (rim, 1.0)]
    wide = max(foot, middle, rim)
    curve = spline(points, 24) * (radius / wide, h)
    wall = radius * r.real(0.06, 0.11)
    x = -(m.w / 2 - radius)
    m.add(body, vessel(curve, wall, 56).moved(x=x))
    handle = body if r.chance(0.7) else m.material("ceramic", "wood", "plastic")
    reach, thick = m.w - 2 * radius, radius * r.real(0.09, 0.14)
    low, high = h * r.real(0.16, 0.3), h * r.real(0.7, 0.86)
    edge = x + radius * 0.93
    path = [(edge - wall, 0, high), (edge + reach * 0.6, 0, high + 0.02 * h)]
    if r.chance(0.5):
        path += [(edge + reach, 0, (low + high) / 2), (edge + reach * 0.55, 0, low)]
    else:
        path += [
            (edge + reach, 0, high - 0.1 * h),
            (edge + reach, 0, low + 0.12 * h),
            (edge + reach * 0.6, 0, low),
        ]
    path.append((edge - wall, 0, low))
    m.add(handle, tube(spline(path, 28), thick, 14).scaled(1, r.real(1.0, 1.6), 1))
    if r.chance(0.55):
        level = h * r.real(0.6, 0.9)
        drink = m.material("soil", "wood", "glass")
        inner = radius * 0.78 * min(foot, middle, rim) / wide
        m.add(drink, cylinder(inner, level - h * 0.1, segments=40).moved(x, 0, h * 0.1))


def vase(m: Model) -> None:
    """Adds a curved wall, fluted, with two handles, or with dry twigs."""
    r, h, radius = m.draw, m.h, m.w / 2
    body = m.material(
        "ceramic",
        "ceramic",
        "terracotta",
        "glass",
        "marble",
        "hammered_metal",
        "ceramic",
    )
    twigs = r.chance(0.3)
    high = h * (r.real(0.55, 0.7) if twigs else 1.0)
    widths = [
        r.real(0.4, 0.8),
        r.real(0.5, 1.0),
        r.real(0.45, 1.0),
        r.real(0.2, 0.5),
        r.real(0.3, 0.75),
    ]
    belly = r.whole(1, 2)
    widths[belly] = 1.0
    levels = (0, 0.25, 0.55, 0.85, 1.0)
    curve = spline(list(zip(widths, levels, strict=True)), 36)
    waves, depth = (r.whole(6, 16), r.real(0.02, 0.06)) if r.chance(0.3) else (0, 0.0)
    size = radius / (curve[:, 0].max() * (1 + depth))
    curve = curve * (size, high)
    wall = radius * 0.06
    m.add(body, vessel(curve, wall, 64 if waves else 48, waves=waves, depth=depth))
    if not waves and r.chance(0.3):
        at = curve[28]
        side = curve[18]
        path = [
            (at[0] * 0.95, 0, at[1]),
            (radius * 1.05, 0, at[1] * 1.02),
            (side[0] * 0.97, 0, side[1]),
        ]
        handle = tube(spline(path, 18), radius * 0.07, 12)
        m.add(body, handle, handle.turned("z", 180))
    if r.chance(0.5):
        z = curve[r.whole(8, 26)]
        m.add(
            m.material("ceramic", "polished_metal"),
            ring(z[0], radius * 0.03, 48, 8).moved(z=z[1]),
        )
    if twigs:
        wood, petal = m.material("bark", "leaf"), m.material("petal", "leaf")
        for i in range(r.whole(4, 8)):
            a, reach = r.real(0, 6.28) + i, radius * r.real(0.2, 0.9)
            end = np.array(
                [np.cos(a) * reach, np.sin(a) * reach, h * r.real(0.88, 1.0)]
            )
            mid = end * (0.25, 0.25, 0.75)
            start = (0, 0, high * 0.3)
            m.add(wood, tube(spline([start, mid, end], 10), 0.008 * h, 6))
            size = h * r.real(0.03, 0.06)
            m.add(petal, ellipsoid(size, size, size * r.real(0.5, 1.2), 14).moved(*end))


def bowl(m: Model) -> None:
    """Adds a wide wall on a foot, empty or with fruit."""
    r, h, radius = m.draw, m.h, m.w / 2
    body = m.material(
        "ceramic", "ceramic", "wood", "hammered_metal", "glass", "terracotta"
    )
    fruit = r.chance(0.55)
    high = h * (0.75 if fruit else 1.0)
    foot = radius * r.real(0.35, 0.55)
    belly = r.real(0.8, 1.0)
    points = [
        (foot / radius, 0.0),
        (foot / radius * 0.95, 0.06),
        (belly * 0.75, 0.3),
        (belly, 0.65),
        (1, 1),
    ]
    curve = spline(points, 28)
    curve = curve * (radius / curve[:, 0].max(), high)
    waves, depth = (r.whole(8, 20), 0.025) if r.chance(0.25) else (0, 0.0)
    m.add(body, vessel(curve, radius * 0.05, 64, waves=waves, depth=depth))
    if not fruit:
        return
    kinds = [m.material("petal", "leaf", "plastic") for _ in range(r.whole(1, 3))]
    count = r.whole(4, 8)
    size = radius * r.real(0.26, 0.36)
    stalk = m.material("bark")
    for i in range(count):
        ring_ = radius * 0.48 if i else 0.0
        a = 6.283 * i / max(1, count - 1)
        z = h * 0.55 if i else h - size
        s = size * r.real(0.85, 1.0)
        at = (np.cos(a) * ring_, np.sin(a) * ring_, z)
        m.add(r.pick(kinds), ellipsoid(s, s, s * r.real(0.85, 1.0), 24).moved(*at))
        m.add(
            stalk,
            cylinder(s * 0.06, s * 0.2, segments=6).moved(at[0], at[1], z + s * 0.82),
        )
