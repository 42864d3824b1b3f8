"""Plants in pots, trees, and creatures on four legs."""

from __future__ import annotations

import numpy as np

from dyso.assets.procedural.model import Model
from dyso.assets.procedural.shapes import (
    Part,
    ball,
    cylinder,
    ellipsoid,
    lathe,
    rod,
    sheet,
    spline,
    tube,
    vessel,
)


def plant(m: Model) -> None:
    """Adds a pot with leaves, a cactus, flowers or a small tree."""
    r, w, h = m.draw, m.w, m.h
    pot = m.material(
        "terracotta", "terracotta", "ceramic", "wicker", "concrete", "painted_metal"
    )
    high, wide = h * r.real(0.24, 0.34), w * r.real(0.24, 0.32)
    foot = wide * r.real(0.65, 0.95)
    curve = np.array(
        [
            (foot, 0),
            (foot * 1.02, high * 0.05),
            (wide * 0.93, high * 0.8),
            (wide, high * 0.82),
            (wide * 1.04, high),
        ]
    )
    m.add(pot, vessel(curve, wide * 0.1, 40))
    m.add(
        m.material("soil"),
        lathe(
            [
                (0, high * 0.5),
                (wide * 0.84, high * 0.5),
                (wide * 0.84, high * 0.86),
                (0, high * 0.94),
            ],
            32,
        ),
    )
    r.pick((_leaves, _leaves, _cactus, _flowers, _tree))(m, high * 0.88, wide)


def _blade(
    start: np.ndarray,
    angle: float,
    reach: float,
    rise: float,
    wide: float,
    droop: float,
) -> Part:
    s = np.linspace(0, 1, 9)[:, None]
    t = np.linspace(-1, 1, 5)[None]
    out = np.array([np.cos(angle), np.sin(angle)])
    side = np.array([-out[1], out[0]])
    along = reach * (s**1.2)
    width = wide * np.sin(np.pi * np.clip(0.06 + 0.9 * s, 0, 1)) ** 0.8 * t
    x = start[0] + out[0] * along + side[0] * width
    y = start[1] + out[1] * along + side[1] * width
    z = start[2] + rise * s - droop * s**3 + np.abs(t) * wide * 0.3 + 0 * width
    return sheet(np.stack([x, y, z], -1), wide * 0.03)


def _leaves(m: Model, z: float, pot: float) -> None:
    r, w, h = m.draw, m.w, m.h
    green, stem = m.material("leaf"), m.material("leaf", "bark")
    count, wide = r.whole(9, 18), w * r.real(0.05, 0.11)
    upright = r.chance(0.35)
    for i in range(count):
        a = 2.4 * i + r.real(-0.3, 0.3)
        share = (i + 0.5) / count
        rise = (h - z) * (
            r.real(0.7, 1.05) if upright else (1 - 0.75 * share) * r.real(0.85, 1.1)
        )
        reach = w * (r.real(0.1, 0.25) if upright else 0.2 + 0.32 * share)
        start = np.array([np.cos(a) * pot * 0.15, np.sin(a) * pot * 0.15, z])
        if not upright and r.chance(0.6):
            up = start + np.array([np.cos(a), np.sin(a), 0]) * reach * 0.3
            up[2] += rise * 0.5
            m.add(stem, rod(start, up, 0.01 * w, 0.007 * w, 6))
            start, rise, reach = up, rise * 0.5, reach * 0.7
        m.add(
            green,
            _blade(
                start,
                a,
                reach,
                rise,
                wide,
                rise * (0.1 if upright else r.real(0.3, 0.8)),
            ),
        )


def _cactus(m: Model, z: float, pot: float) -> None:
    r, w, h = m.draw, m.w, m.h
    green, spine = m.material("leaf"), m.material("paper")
    ribs, radius, tall = r.whole(7, 12), min(pot * 0.75, w * 0.2), h - z

    def column(radius: float, tall: float) -> Part:
        arc = np.radians(np.linspace(0, 90, 8))
        dome = [
            (radius * np.cos(a), tall - radius + radius * np.sin(a)) for a in arc[:-1]
        ]
        return lathe(
            [(0, 0), (radius * 0.8, 0), (radius, tall * 0.3), *dome, (0, tall)],
            6 * ribs,
            ribs,
            0.1,
        )

    m.add(green, column(radius, tall).moved(z=z))
    for _ in range(r.whole(0, 3)):
        a, at = r.real(0, 6.28), z + tall * r.real(0.25, 0.55)
        out = np.array([np.cos(a), np.sin(a)]) * (w * 0.4)
        path = [
            (0, 0, at),
            (*(out * 0.8), at),
            (*out, at + 0.08 * h),
            (*out, at + tall * r.real(0.25, 0.4)),
        ]
        m.add(
            green, tube(spline(path, 16), [radius * 0.45] * 14 + [radius * 0.35, 0], 14)
        )
    for i in range(70):
        a, up = 2.39996 * i, z + tall * (0.1 + 0.8 * i / 70)
        p = np.array([np.cos(a) * radius, np.sin(a) * radius, up])
        m.add(
            spine,
            rod(
                p * (0.95, 0.95, 1),
                p * (1.25, 1.25, 1) + (0, 0, 0.01),
                0.004 * w,
                0.0,
                4,
            ),
        )
    if r.chance(0.4):
        m.add(
            m.material("petal"),
            ellipsoid(radius * 0.4, radius * 0.4, radius * 0.25, 14).moved(
                z=h - radius * 0.1
            ),
        )


def _flowers(m: Model, z: float, pot: float) -> None:
    r, w, h = m.draw, m.w, m.h
    stem, petal, heart = (
        m.material("leaf"),
        m.material("petal"),
        m.material("petal", "soil"),
    )
    petals = r.whole(5, 9)
    for i in range(r.whole(3, 7)):
        a = 2.4 * i + r.real(0, 0.5)
        reach = w * r.real(0.05, 0.36) * (i > 0)
        end = np.array(
            [
                np.cos(a) * reach,
                np.sin(a) * reach,
                h * (0.95 - 0.3 * r.real(0, 1) * (i > 0)),
            ]
        )
        m.add(
            stem,
            tube(
                spline([(0, 0, z), (*(end[:2] * 0.3), (z + end[2]) / 2), end], 9),
                0.012 * w,
                6,
            ),
        )
        size = w * r.real(0.09, 0.13)
        for k in range(petals):
            leaf = ellipsoid(size * 0.6, size * 0.3, size * 0.08, 10).moved(
                size * 0.75, 0, size * 0.1
            )
            m.add(
                petal, leaf.turned("y", -15).turned("z", 360 * k / petals).moved(*end)
            )
        m.add(heart, ellipsoid(size * 0.4, size * 0.4, size * 0.28, 12).moved(*end))
        m.add(
            stem,
            _blade(
                np.array([0, 0, z]), a + 1, w * 0.3, (h - z) * 0.4, w * 0.05, 0.1 * h
            ),
        )


def _tree(m: Model, z: float, pot: float) -> None:
    r, w, h = m.draw, m.w, m.h
    bark, green = m.material("bark"), m.material("leaf")
    bend = r.real(-0.1, 0.1) * w
    top = np.array([bend, 0, h * 0.72])
    m.add(
        bark,
        tube(
            spline([(0, 0, z * 0.8), (-bend, 0, (z + h * 0.7) / 2), top], 12),
            np.linspace(0.05, 0.03, 12) * w,
            10,
        ),
    )
    if r.chance(0.3):
        n = r.whole(3, 4)
        for i in range(n):
            low = z + (h - z) * (0.2 + 0.62 * i / n)
            radius = w * 0.48 * (1 - 0.75 * i / n)
            m.add(
                green,
                lathe(
                    [
                        (0, low),
                        (radius, low - 0.02 * h),
                        (radius * 0.5, low + 0.12 * h),
                        (0, min(h, low + 0.32 * h)),
                    ],
                    24,
                    8,
                    0.06,
                ),
            )
        return
    fruit = m.material("petal") if r.chance(0.4) else None
    for i in range(count := r.whole(5, 9)):
        a, reach = 2.4 * i, w * 0.24 * (i > 0)
        size = w * r.real(0.17, 0.24)
        at = np.array(
            [
                bend + np.cos(a) * reach,
                np.sin(a) * reach,
                h - size - (h * 0.25) * (i / count),
            ]
        )
        m.add(bark, rod(top * (0.9, 0.9, 0.85), at, 0.02 * w, 0.01 * w, 6))
        blob = lathe(
            [
                (0, -1),
                *(
                    (np.cos(b) * (1 + 0.12 * np.sin(7 * b)), np.sin(b))
                    for b in np.radians(np.linspace(-80, 80, 12))
                ),
                (0, 1),
            ],
            24,
            6,
            0.12,
        )
        m.add(
            green, blob.scaled(size, size, size * 0.85).turned("z", 50 * i).moved(*at)
        )
        if fruit is not None:
            m.add(
                fruit,
                *(
                    ball(0.035 * w, 10).moved(
                        *(at + size * 0.93 * np.array([np.cos(c), np.sin(c), -0.25]))
                    )
                    for c in (a, a + 1.5)
                ),
            )


def creature(m: Model) -> None:
    """Adds a body on four legs, with neck, head, ears and tail, facing +x."""
    r, w, d, h = m.draw, m.w, m.d, m.h
    hide = m.material("fur", "fur", "skin")
    dark = m.material("rubber")
    pale = hide if r.chance(0.5) else m.material("fur", "skin")
    long_neck = h > 0.75 * w and r.chance(0.7)
    legs = h * (r.real(0.34, 0.46) if not long_neck else r.real(0.34, 0.42))
    girth = min(d * 0.46, (h - legs) * 0.36) * r.real(0.85, 1.0)
    back = legs + girth * 0.75
    rump, chest = -w * 0.3, w * 0.18
    belly = r.real(0.9, 1.1)
    spine = spline(
        [
            (rump - girth * 0.6, 0, back),
            (rump, 0, back + girth * 0.12),
            (0, 0, back - girth * 0.05),
            (chest, 0, back + girth * 0.1),
            (chest + girth * 0.7, 0, back + girth * 0.2),
        ],
        18,
    )
    radii = spline(
        [(girth * 0.25,), (girth * 0.95,), (girth * belly,), (girth,), (girth * 0.35,)],
        18,
    )[:, 0]
    m.add(hide, tube(spine, radii, 24))
    m.add(
        hide,
        ellipsoid(girth * 0.5, girth * 0.6, girth * 0.6).moved(
            rump - girth * 0.45, 0, back
        ),
    )
    head = w * r.real(0.1, 0.13)
    top = h - head * r.real(1.0, 1.5)
    face = np.array([w / 2 - head * 1.7, 0, top])
    root = np.array([chest + girth * 0.25, 0, back + girth * 0.35])
    thin = girth * r.real(0.4, 0.55)
    mid = (root + face) / 2 + (w * 0.02, 0, -0.01 * h)
    m.add(
        hide,
        tube(
            spline([root, mid, face], 12),
            np.linspace(girth * 0.7, min(thin, head), 12),
            20,
        ),
    )
    m.add(hide, ellipsoid(head * 1.1, head * 0.9, head, 28).moved(*face))
    long = r.real(0.7, 1.4)
    m.add(
        pale,
        ellipsoid(head * 0.75 * long, head * 0.55, head * 0.5, 24).moved(
            face[0] + head * 0.95, 0, top - head * 0.28
        ),
    )
    nose = face + np.array([head * (0.9 + 0.72 * long), 0, -head * 0.18])
    m.add(dark, ellipsoid(head * 0.16, head * 0.24, head * 0.16, 14).moved(*nose))
    eye = m.material("window", "rubber")
    m.mirrored(
        m.material("paper"),
        ball(head * 0.24, 14).moved(
            face[0] + head * 0.62, head * 0.56, top + head * 0.35
        ),
    )
    m.mirrored(
        eye,
        ball(head * 0.17, 14).moved(
            face[0] + head * 0.74, head * 0.62, top + head * 0.37
        ),
    )
    _ears(m, hide, pale, face, head)
    hoof = m.material("rubber", "wood", "leather")
    thick = girth * r.real(0.24, 0.36)
    for x in (rump, chest):
        y = girth * 0.55
        knee = (x + r.real(-0.02, 0.02) * w, y * 1.02, legs * 0.5)
        path = spline([(x, y, back), knee, (x + 0.01 * w, y, legs * 0.06)], 10)
        m.mirrored(hide, tube(path, np.linspace(thick * 1.5, thick * 0.8, 10), 14))
        m.mirrored(
            hoof,
            lathe(
                [
                    (0, 0),
                    (thick * 1.1, 0),
                    (thick * 0.9, legs * 0.12),
                    (0, legs * 0.14),
                ],
                16,
            ).moved(x + 0.015 * w, y),
        )
    end = np.array([-w / 2, 0, back + r.real(-0.4, 0.5) * girth])
    path = spline(
        [
            (rump - girth * 0.5, 0, back + girth * 0.3),
            end + np.array([0.06 * w, 0, girth * 0.4]),
            end,
        ],
        12,
    )
    fat = girth * r.real(0.1, 0.28)
    m.add(hide, tube(path, np.linspace(fat, fat * 0.5, 12), 12))
    m.add(pale, ellipsoid(fat, fat * 0.9, fat, 14).moved(end[0] + fat, 0, end[2]))


def _ears(m: Model, hide: int, pale: int, face: np.ndarray, head: float) -> None:
    r = m.draw
    kind = r.pick(("round", "pointed", "long", "floppy"))
    x, y, z = face[0] - head * 0.15, head * 0.6, face[2] + head * 0.75
    if kind == "round":
        ear = ellipsoid(head * 0.16, head * 0.4, head * 0.4, 16)
    elif kind == "pointed":
        ear = cylinder(head * 0.34, head * 0.8, 0.0, 12).scaled(0.5, 1, 1)
    elif kind == "long":
        ear = ellipsoid(head * 0.15, head * 0.25, head * 0.85, 16).moved(z=head * 0.4)
    else:
        ear = ellipsoid(head * 0.3, head * 0.13, head * 0.6, 16).moved(
            0, head * 0.25, -head * 0.6
        )
    m.mirrored(hide, ear.turned("x", -12).moved(x, y, z))
    if kind in ("round", "long"):
        inner = ear.scaled(0.7).moved(head * 0.08)
        m.mirrored(pale, inner.turned("x", -12).moved(x, y, z))
    if r.chance(0.35):
        horn = m.material("paper", "wood", "ceramic")
        path = [
            (x, y * 0.5, z),
            (x - head * 0.3, y * 0.9, z + head * 0.7),
            (x, y * 1.1, z + head * 1.1),
        ]
        m.mirrored(horn, tube(spline(path, 10), np.linspace(head * 0.16, 0.0, 10), 10))
