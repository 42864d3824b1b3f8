"""Cars, airplanes and boats; they go towards +x."""

from __future__ import annotations

import numpy as np

from dyso.assets.procedural.model import Model
from dyso.assets.procedural.shapes import (
    Part,
    box,
    cylinder,
    ellipsoid,
    extrude,
    lathe,
    loft,
    ring,
    rod,
    rounded_cylinder,
    sheet,
    spline,
    subtract,
    tube,
    upright,
)


def _section(
    x: float, wide: float, low: float, high: float, round_: float = 0.35
) -> np.ndarray:
    """Returns a rounded rectangle [24, 3] at x, counter-clockwise seen from +x."""
    t = 2 * np.pi * (np.arange(24) + 0.5) / 24
    c, s = np.cos(t), np.sin(t)
    y = np.sign(c) * np.abs(c) ** round_ * wide / 2
    z = np.sign(s) * np.abs(s) ** round_ * (high - low) / 2 + (low + high) / 2
    return np.stack([np.full(24, x), y, z], 1)


def _wheel(
    m: Model, tire: int, rim: int, x: float, y: float, radius: float, wide: float
) -> None:
    bar = (
        rounded_cylinder(radius, wide, wide * 0.25, 28)
        .moved(z=-wide / 2)
        .turned("x", 90)
    )
    hub = rounded_cylinder(radius * 0.62, wide * 1.08, wide * 0.05, 20)
    hub = hub.moved(z=-wide * 0.54).turned("x", 90)
    spokes = m.draw.named("rim").whole(4, 7)
    m.mirrored(tire, bar.moved(x, y, radius))
    m.mirrored(rim, hub.moved(x, y, radius))
    for i in range(spokes):
        spoke = box(radius * 0.1, wide * 1.2, radius * 0.55).moved(z=0.02)
        spoke = spoke.moved(z=-0.02).turned("y", 360 * i / spokes)
        m.mirrored(tire, spoke.moved(x, y, radius))


def car(m: Model) -> None:
    """Adds a body on four wheels, and a cabin of dark glass under a roof."""
    r, w, d, h = m.draw, m.w, m.d, m.h
    paint = m.material("car_paint")
    trim = m.material("rubber")
    kind = r.pick(("sedan", "hatch", "van", "pickup", "coupe", "truck"))
    wheel = h * r.real(0.19, 0.24)
    floor, belt = wheel * 0.75, h * r.real(0.54, 0.62)
    hood, trunk = belt * r.real(0.88, 0.98), belt * r.real(0.93, 1.02)
    # Cabin: where the windscreen starts and the roof begins, where it ends, and so on.
    front, roof_front, roof_back, back = {
        "sedan": (0.2, 0.05, -0.22, -0.36),
        "hatch": (0.22, 0.06, -0.36, -0.45),
        "van": (0.42, 0.3, -0.47, -0.485),
        "pickup": (0.22, 0.1, -0.06, -0.1),
        "coupe": (0.12, -0.06, -0.22, -0.42),
        "truck": (0.46, 0.4, 0.14, 0.12),
    }[kind]
    if kind in ("van", "truck"):
        hood = belt * 0.97
    slim = d * 0.9
    nose = r.real(0.86, 0.96)
    stations = [
        (-0.5, 0.88, floor * 1.25, trunk * 0.9),
        (-0.48, 0.96, floor, trunk * 0.98),
        (-0.3, 1.0, floor, belt),
        (0.0, 1.0, floor, belt),
        (0.25, 1.0, floor, max(hood, belt * 0.95)),
        (0.44, 0.97, floor, hood * nose),
        (0.49, 0.9, floor * 1.1, hood * nose * 0.95),
        (0.5, 0.84, floor * 1.3, hood * nose * 0.88),
    ]
    body = loft(
        np.array([_section(x * w, s * slim, a, b, 0.3) for x, s, a, b in stations])
    )
    axle = w * r.real(0.29, 0.33)
    arches = [
        cylinder(wheel * 1.22, d * 1.2, segments=28)
        .moved(z=-d * 0.6)
        .turned("x", 90)
        .moved(x, 0, wheel)
        for x in (-axle, axle)
    ]
    m.add(paint, subtract(body, *arches))
    m.add(trim, box(2 * axle * 1.25, slim * 0.8, (belt - floor) * 0.5).moved(z=floor))
    rim = m.material("polished_metal", "brushed_metal", "painted_metal")
    wide = d * r.real(0.13, 0.18)
    for x in (-axle, axle):
        _wheel(m, trim, rim, x, d / 2 - wide * 0.56, wheel, wide)
    _cabin(m, paint, (front, roof_front, roof_back, back), belt, slim)
    if kind == "truck":
        load = m.material("painted_metal", "planks", "fabric")
        m.add(
            load,
            box(w * 0.57, slim, h - belt * 0.85, 0.01 * w).moved(
                -w * 0.2, 0, belt * 0.85
            ),
        )
    if kind == "pickup":
        m.add(trim, box(w * 0.36, slim * 0.84, h * 0.02).moved(-w * 0.3, 0, belt * 1.0))
        side = box(w * 0.38, slim * 0.06, h * 0.12, 0.004 * w)
        m.mirrored(paint, side.moved(-w * 0.3, slim * 0.46, belt * 0.96))
        m.add(
            paint,
            box(slim * 0.06, slim * 0.9, h * 0.12).moved(-w * 0.47, 0, belt * 0.96),
        )
    light, tail = m.material("lamp"), m.material("petal")
    lamp_, z = ellipsoid(0.012 * w, d * 0.09, h * 0.055, 14), (floor + hood) * 0.53
    m.mirrored(light, lamp_.moved(0.495 * w, slim * 0.31, z))
    m.mirrored(
        tail, box(0.015 * w, d * 0.14, h * 0.07).moved(-0.497 * w, slim * 0.31, z)
    )
    m.add(
        trim,
        box(0.02 * w, d * 0.4, h * 0.07, 0.004 * w).moved(0.494 * w, 0, floor * 1.5),
    )
    plate = box(0.01 * w, d * 0.26, h * 0.07)
    m.add(
        m.material("paper"),
        plate.moved(-0.502 * w, 0, z),
        plate.moved(0.505 * w, 0, floor * 1.2),
    )
    m.add(
        trim,
        *(
            box(0.03 * w, slim * 0.98, h * 0.07, 0.008 * w).moved(
                s * 0.492 * w, 0, floor
            )
            for s in (-1, 1)
        ),
    )
    mirror = ellipsoid(0.018 * w, 0.03 * w, 0.018 * w, 10)
    m.mirrored(paint, mirror.moved(front * w * 0.85, slim * 0.5, belt * 1.05))
    m.mirrored(
        rim,
        box(0.05 * w, 0.012 * w, 0.01 * w).moved(-0.03 * w, slim * 0.5, belt * 0.85),
    )


def _cabin(
    m: Model, paint: int, along: tuple[float, ...], belt: float, slim: float
) -> None:
    w, h = m.w, m.h
    glass = m.material("window")
    front, roof_front, roof_back, back = (x * w for x in along)
    low, top = slim * 0.92, slim * 0.74
    high = h - 0.018 * h

    def frame(inset: float, z0: float, z1: float) -> Part:
        def at(z: float) -> np.ndarray:
            t = (z - belt) / (high - belt)
            a, b = front + (roof_front - front) * t, back + (roof_back - back) * t
            y = (low + (top - low) * t) / 2 - inset
            return np.array(
                [
                    (a - inset, y, z),
                    (b + inset, y, z),
                    (b + inset, -y, z),
                    (a - inset, -y, z),
                ]
            )

        return loft(np.array([at(z0), at(z1)]))

    m.add(glass, frame(0.0, belt * 0.93, high))
    roof = frame(-0.003 * w, high - 0.03 * h, high + 0.018 * h)
    m.add(paint, roof)
    # Pillars, at the corners and in the middle.
    for x0, x1 in ((front, roof_front), (back, roof_back), ((front + back) / 2,) * 2):
        bar = rod((x0, low / 2, belt * 0.95), (x1, top / 2, high), 0.012 * w, n=8)
        m.mirrored(paint, bar)


def _wing(
    root: float, tip: float, sweep: float, span: float, rise: float, thick: float
) -> Part:
    """Returns a wing from y = 0 to `span`, its leading edge at x = 0."""
    t = 2 * np.pi * np.arange(20) / 20
    rings = []
    for share in (0.0, 0.55, 0.95, 1.0):
        chord = root + (tip - root) * share
        depth = chord * thick * (0.4 if share == 1 else 1)
        x = -sweep * share - chord * (1 - np.cos(t)) / 2
        z = np.sin(t) * depth / 2 * (0.35 + 0.65 * (1 + np.cos(t)) / 2) + rise * share
        rings.append(np.stack([x, np.full(20, span * share), z], 1))
    return loft(np.array(rings)[:, ::-1])


def airplane(m: Model) -> None:
    """Adds a fuselage with wings, a tail, windows and engines or a propeller."""
    r, w, d, h = m.draw, m.w, m.d, m.h
    skin = m.material("painted_metal", "car_paint", "brushed_metal", "plastic")
    other = m.material("painted_metal", "plastic", "car_paint")
    glass, metal = m.material("window"), m.material("polished_metal", "brushed_metal")
    jet = r.chance(0.6)
    radius = h * (0.2 if jet else 0.24)
    z = h * (0.38 if jet else 0.4)
    nose, tail = w / 2, -w / 2
    shape = spline(
        [
            (tail, 0.06),
            (tail * 0.6, 0.6),
            (tail * 0.2, 1),
            (nose * 0.5, 1),
            (nose * 0.85, 0.72),
            (nose * 0.97, 0.3),
        ],
        26,
    )
    rings = []
    for x, s in shape:
        lift = radius * (1 - s) * (0.8 if x < 0 else -0.1)
        rings.append(
            _section(
                x, 2 * radius * s, z - radius * s + lift, z + radius * s + lift, 0.9
            )
        )
    rings.append(np.broadcast_to(np.array([nose, 0, z - radius * 0.1]), (24, 3)))
    m.add(skin, loft(np.array(rings)))
    root, sweep = w * r.real(0.2, 0.28), w * (r.real(0.12, 0.24) if jet else 0.02)
    high = not jet and r.chance(0.5)
    level = z + radius * 0.85 if high else z - radius * 0.5
    wing = _wing(
        root, root * r.real(0.35, 0.6), sweep, d / 2, h * 0.08 * (not high), 0.14
    )
    at = root * 0.5 + w * 0.08
    m.mirrored(other, wing.moved(at, 0, level))
    flat = _wing(root * 0.5, root * 0.3, w * 0.06, d * 0.19, 0, 0.14)
    fin = _wing(
        root * 0.65, root * 0.35, w * 0.1, h - z - radius * 0.3, 0, 0.12
    ).turned("x", 90)
    tee = r.chance(0.25)
    m.mirrored(
        other,
        flat.moved(tail + root * 0.55, 0, h - 0.03 * h if tee else z + radius * 0.45),
    )
    m.add(
        other, fin.moved(tail + root * (0.95 if not tee else 0.9), 0, z + radius * 0.3)
    )
    for i in range(n := r.whole(6, 10) if jet else 3):
        x = nose * 0.55 - (nose * 0.55 - tail * 0.35) * i / n
        m.mirrored(
            glass,
            ellipsoid(w * 0.011, radius * 0.14, radius * 0.16, 10).moved(
                x, radius * 0.93, z + radius * 0.3
            ),
        )
    m.add(
        glass,
        ellipsoid(w * 0.05, radius * 0.62, radius * 0.42, 20).moved(
            nose * 0.74, 0, z + radius * 0.5
        ),
    )
    if jet:
        under = r.chance(0.7)
        size = radius * r.real(0.42, 0.55)
        long = w * r.real(0.11, 0.15)
        profile = [
            (0, 0),
            (size * 0.7, 0),
            (size, long * 0.5),
            (size * 0.95, long),
            (size * 0.75, long),
            (size * 0.7, long * 0.8),
            (0, long * 0.75),
        ]
        engine = lathe(profile, 24).turned("y", 90)
        x, y = (
            (at - sweep * 0.35 - root * 0.25, d * 0.17)
            if under
            else (tail * 0.55, radius * 1.25)
        )
        m.mirrored(
            metal, engine.moved(x, y, level - size * 0.7 if under else z + radius * 0.5)
        )
    else:
        m.add(
            metal,
            ellipsoid(w * 0.03, radius * 0.25, radius * 0.25, 16).moved(nose, 0, z),
        )
        for i in range(blades := r.whole(2, 4)):
            blade = box(w * 0.008, w * 0.022, radius * 1.45, w * 0.003).turned(
                "x", 360 * i / blades + 20
            )
            m.add(metal, blade.moved(nose, 0, z))
    tire = m.material("rubber")
    for x, y in ((nose * 0.6, 0.0), (0.02 * w, radius * 0.8)):
        m.add(
            metal,
            *(
                rod(
                    (x, s * y, z - radius * 0.5),
                    (x, s * y * 1.3, h * 0.06),
                    0.008 * w,
                    n=8,
                )
                for s in ({-1, 1} if y else {1})
            ),
        )
        for s in (-1, 1) if y else (1,):
            wheel = (
                ring(h * 0.045, h * 0.02, 20, 8)
                .turned("x", 90)
                .moved(x, s * y * 1.3, h * 0.065)
            )
            m.add(tire, wheel)


def boat(m: Model) -> None:
    """Adds a hull with a sail, a cabin, funnels or benches."""
    r, w, d, h = m.draw, m.w, m.d, m.h
    hull = m.material("painted_wood", "painted_metal", "plastic", "planks", "car_paint")
    deck = m.material("planks", "wood")
    kind = r.pick(("sail", "sail", "ship", "fishing"))
    deep = h * {"sail": 0.24, "ship": 0.38, "fishing": 0.4}[kind]
    rings = []
    t = np.linspace(0, np.pi, 13)
    # Along the hull from stern to bow: half width and keel height.
    for x, wide, keel, rise in (
        (-0.5, 0.62, 0.25, 1.05),
        (-0.42, 0.8, 0.06, 1.0),
        (-0.2, 0.97, 0, 0.96),
        (0.1, 1, 0, 0.96),
        (0.3, 0.78, 0.03, 1.03),
        (0.43, 0.4, 0.15, 1.16),
        (0.5, 0.04, 0.5, 1.3),
    ):
        y = np.cos(t) * wide * d / 2
        s = np.sin(t) ** 0.8
        z = deep * (rise - (rise - keel) * s)
        rings.append(np.stack([np.full(13, x * w) - 0 * z, y, z], 1))
    shell = loft(np.array(rings)[:, ::-1])
    m.add(hull, shell)
    line = [
        (x * 1.0, y)
        for x, y in (
            (-0.48, -0.27),
            (-0.2, -0.45),
            (0.1, -0.46),
            (0.3, -0.36),
            (0.42, -0.19),
        )
    ]
    outline = np.array([*line, *((x, -y) for x, y in line[::-1])]) * (w, d)
    m.add(deck, extrude(outline, deep * 0.05).moved(z=deep * 0.96))
    rail = np.array([(r_[0, 0], r_[0, 1], r_[0, 2]) for r_ in rings])
    m.mirrored(m.material("wood", "rubber", "plastic"), tube(rail, 0.012 * w, 8))
    if kind == "sail":
        _sails(m, deep)
        return
    house = m.material("painted_metal", "plastic", "painted_wood")
    glass = m.material("window")
    floors = r.whole(1, 2) if kind == "fishing" else r.whole(2, 3)
    long, wide = w * (0.24 if kind == "fishing" else 0.5), d * 0.62
    x, each = w * r.real(-0.18, 0.0), (h - deep) * 0.62 / floors
    for i in range(floors):
        size = (long * (1 - 0.2 * i), wide * (1 - 0.15 * i), each)
        z = deep + each * i
        m.add(house, box(*size, each * 0.12).moved(x, 0, z))
        m.add(
            house,
            box(size[0] * 1.06, size[1] * 1.08, each * 0.1).moved(
                x, 0, z + each * 0.94
            ),
        )
        count = max(2, round(size[0] / (0.09 * w)))
        for k in range(count):
            a = x + size[0] * ((k + 0.5) / count - 0.5)
            pane = box(size[0] * 0.55 / count, size[1] * 1.02, each * 0.36)
            m.add(glass, pane.moved(a, 0, z + each * 0.42))
        m.add(
            glass,
            box(size[0] * 1.01, size[1] * 0.7, each * 0.36).moved(
                x, 0, z + each * 0.42
            ),
        )
    top = deep + each * floors
    if kind == "ship":
        stack = m.material("painted_metal")
        for i in range(n := r.whole(1, 3)):
            radius = w * 0.035
            funnel = cylinder(radius, h - top, radius * 0.9)
            m.add(stack, funnel.moved(x + (i - (n - 1) / 2) * w * 0.12, 0, top))
    else:
        m.add(deck, rod((x - long * 0.7, 0, deep), (x - long * 0.7, 0, h), 0.012 * w))
        m.add(
            deck,
            rod((x - long * 0.7, 0, h * 0.93), (-0.42 * w, 0, deep * 1.5), 0.008 * w),
        )
        m.add(
            m.material("rubber"),
            ring(0.04 * w, 0.016 * w)
            .turned("x", 90)
            .moved(x, -wide * 0.52, deep + each * 0.5),
        )


def _sails(m: Model, deep: float) -> None:
    r, w, h = m.draw, m.w, m.h
    pole, cloth = (
        m.material("wood", "brushed_metal"),
        m.material("fabric", "paper", "felt"),
    )
    m.add(pole, rod((0.04 * w, 0, deep * 0.9), (0.04 * w, 0, h), 0.012 * w, 0.007 * w))
    m.add(pole, rod((0.04 * w, 0, deep * 1.35), (-0.42 * w, 0, deep * 1.35), 0.009 * w))
    belly, lean = r.real(0.03, 0.1) * w, r.pick((-1, 1))
    for cloth_, low, tack, clew in (
        (cloth, deep * 1.42, 0.02 * w, -0.4 * w),
        (
            m.material("fabric", "paper") if r.chance(0.4) else cloth,
            deep * 1.25,
            0.46 * w,
            0.08 * w,
        ),
    ):
        s, t = np.linspace(0, 1, 10)[:, None], np.linspace(0, 1, 8)[None]
        peak = 0.02 * w if clew < 0 else 0.06 * w
        head = h * (0.96 if clew < 0 else 0.85)
        a, b = tack + (peak - tack) * s, clew + (peak - 0.03 * w - clew) * s
        x = a + (b - a) * t
        z = low + (head - low) * s + 0 * t
        y = lean * belly * np.sin(np.pi * t) * np.sin(np.pi * (0.15 + 0.8 * s))
        m.add(cloth_, sheet(np.stack([x, y, z], -1), 0.006 * w))
    if r.chance(0.5):
        cabin = box(0.22 * w, m.d * 0.42, deep * 0.45, 0.02 * w, 2)
        m.add(
            m.material("plastic", "painted_wood"),
            cabin.moved(-0.08 * w, 0, deep * 0.95),
        )
    flag = upright(extrude([(0, 0), (0.1 * w, 0.02 * w), (0, 0.045 * w)], 0.004 * w))
    m.add(m.material("fabric"), flag.scaled(-1, 1, 1).moved(0.03 * w, 0, h * 0.95))
