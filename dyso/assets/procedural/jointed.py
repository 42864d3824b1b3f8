"""Objects with joints: cabinets, carts, chains, lamps with arms, pliers and scissors.

The measures are those of a `Design`, in whose frame an object stands on z = 0. Each
grammar fills the design's box as it is, and adds to each of the design's parts, in
order, what its joint moves. No two parts share a vertex.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from dyso.assets.procedural.model import Model
from dyso.assets.procedural.shapes import (
    Part,
    ball,
    box,
    cylinder,
    ellipsoid,
    extrude,
    hull,
    lathe,
    rod,
    rounded_cylinder,
    spline,
)
from dyso.spec.articulated import Design

Ends = tuple[np.ndarray, np.ndarray]


def _boxes(m: Model, design: Design) -> Iterator[Ends]:
    """Has `m` add to the moving parts, in order; yields the ends of their boxes."""
    up = np.array([0.0, 0.0, m.h / 2])
    for body, joint in enumerate(design.joints, start=1):
        m.body = body
        yield np.array(joint.bounds[0]) + up, np.array(joint.bounds[1]) + up


def _between(low: np.ndarray, high: np.ndarray, bevel: float = 0.0) -> Part:
    """Returns a box by two of its corners."""
    x, y, z = high - low
    middle = (low + high) / 2
    return box(x, y, z, bevel, 2 if bevel else 1).moved(middle[0], middle[1], low[2])


def cabinet(m: Model, design: Design) -> None:
    """Adds a body of panels, whose cells have drawers or doors with knobs at +x."""
    r, s = m.draw, design.lengths
    w, d, h = m.w, m.d, m.h
    panel, front, knob, foot = s["panel"], s["front"], s["knob"], s["foot"]
    body = m.material("wood", "painted_wood", "planks", "painted_metal", "plastic")
    inside = m.material("wood", "painted_wood", "plastic")
    metal = m.material("polished_metal", "brushed_metal", "wood", "ceramic")
    faces = [body, m.material("wood", "painted_wood", "painted_metal", "plastic")]
    two = r.chance(0.5)
    end = w / 2 - knob - front  # where the panels end
    low = np.array([-w / 2, -d / 2, foot])
    for side in (-1, 1):
        y = side * (d - panel) / 2
        m.add(body, box(end + w / 2, panel, h - foot).moved((end - w / 2) / 2, y, foot))
    for z in (foot, h - panel):
        m.add(
            body,
            _between(low * (1, 1, 0) + (0, 0, z), np.array([end, d / 2, z + panel])),
        )
    m.add(
        inside, box(panel / 2, d - panel, h - foot).moved(-w / 2 + panel / 4, 0, foot)
    )
    legs = m.material("wood", "brushed_metal", "rubber")
    for x in (-w / 2 + 1.5 * panel, end - 1.5 * panel):
        m.mirrored(
            legs, cylinder(panel, foot + panel / 2).moved(x, d / 2 - 1.5 * panel)
        )
    rows = design.counts["rows"]
    shelf = min(panel, 0.02)
    for number, (low, high) in enumerate(_boxes(m, design)):
        at = (low + high) / 2
        m.body = 0
        if number % rows:
            m.add(
                inside,
                _between(
                    np.array([-w / 2, low[1], low[2] - shelf / 2]),
                    np.array([end, high[1], low[2] + shelf / 4]),
                ),
            )
        if number // rows and not number % rows:
            m.add(
                body,
                box(end + w / 2, panel, h - foot).moved(
                    (end - w / 2) / 2, low[1], foot
                ),
            )
        m.body = number + 1
        joint = design.joints[number]
        face = faces[two and joint.type == "prismatic"]
        edge = np.array([w / 2 - knob, 0, 0])
        plate = _between(
            np.array([end, low[1], low[2]]),
            np.array([edge[0], high[1], high[2]]),
            front * 0.3,
        )
        m.add(face, plate)
        if joint.type == "prismatic":
            _drawer(m, inside, low, high, end, shelf)
            place = at
        else:
            # The knob is opposite of the hinge.
            side = 1 if joint.origin[1] < at[1] else -1
            place = at + np.array([0, side * 0.38 * (high[1] - low[1]), 0])
        _handle(m, metal, place, high[1] - low[1], knob, bar=joint.type == "prismatic")


def _drawer(
    m: Model, material: int, low: np.ndarray, high: np.ndarray, end: float, wall: float
) -> None:
    """Adds the open box behind a drawer's front, a little smaller than its cell."""
    gap = 0.6 * wall + 0.012
    y0, y1, z0 = low[1] + gap, high[1] - gap, low[2] + gap
    z1 = low[2] + 0.75 * (high[2] - low[2])
    thin = 0.5 * wall
    start = low[0]
    m.add(material, _between(np.array([start, y0, z0]), np.array([end, y1, z0 + thin])))
    for y in (y0, y1 - thin):
        m.add(
            material, _between(np.array([start, y, z0]), np.array([end, y + thin, z1]))
        )
    m.add(
        material, _between(np.array([start, y0, z0]), np.array([start + thin, y1, z1]))
    )


def _handle(
    m: Model, material: int, place: np.ndarray, wide: float, long: float, *, bar: bool
) -> None:
    """Adds a knob or a bar, which ends at the box's side +x."""
    _, y, z = place
    x = m.w / 2 - long
    if not bar or wide < 0.25:
        curve = [(0, 0), (0.3, 0), (0.25, 0.5), (0.6, 0.75), (0.5, 1), (0, 1)]
        part = lathe(np.array(curve) * (long, long), 20).turned("y", 90)
        m.add(material, part.moved(x, y, z))
        return
    half = 0.2 * wide
    radius = 0.22 * long
    m.add(
        material,
        _between(
            np.array([m.w / 2 - 2 * radius, y - half, z - radius]),
            np.array([m.w / 2, y + half, z + radius]),
            radius * 0.5,
        ),
    )
    for end in (y - 0.8 * half, y + 0.8 * half):
        m.add(material, rod((x, end, z), (m.w / 2 - radius, end, z), radius))


def _wheels(m: Model, s: dict[str, float], x: float, spokes: int) -> None:
    """Adds an axle with two wheels, which reach from side to side of the box."""
    radius, broad, half = s["wheel"], s["broad"], m.d / 2
    tyre, hub = m.material("rubber"), m.material("painted_metal", "plastic", "wood")
    metal = m.material("polished_metal", "brushed_metal")
    rim = 0.72 * radius
    profile = [
        (rim, 0),
        (radius * 0.96, 0),
        (radius, 0.2 * broad),
        (radius, 0.8 * broad),
        (radius * 0.96, broad),
        (rim, broad),
    ]
    outline = np.array([*profile, profile[0]])
    ring = _revolved(outline, 40)
    for side in (-1, 1):
        y = half - broad if side > 0 else -half
        m.add(tyre, ring.turned("x", 90).moved(x, y + broad, radius))
        middle = y + broad / 2
        wide = 0.7 * broad
        m.add(
            hub,
            cylinder(0.24 * radius, wide, segments=20)
            .turned("x", -90)
            .moved(x, middle - wide / 2, radius),
        )
        for k in range(spokes):
            a = 2 * np.pi * k / spokes
            way = np.array([np.cos(a), 0, np.sin(a)])
            # One spoke is of another material, so that turns show.
            m.add(
                metal if k == 0 else hub,
                rod(
                    np.array([x, middle, radius]),
                    np.array([x, middle, radius]) + way * rim * 1.04,
                    0.1 * radius,
                    n=8,
                ),
            )
    end = half - 0.4 * broad
    m.add(metal, rod((x, -end, radius), (x, end, radius), 0.09 * radius))


def _revolved(loop: np.ndarray, segments: int) -> Part:
    """Returns the solid of revolution about z of a closed outline beside the axis.

    Args:
      loop: [n, 2], (radius, z), counter-clockwise; the last point is the first.
      segments: on the way around.
    """
    n = len(loop) - 1
    angles = 2 * np.pi * np.arange(segments) / segments
    points = np.empty((segments, n, 3))
    points[..., 0] = np.cos(angles)[:, None] * loop[:-1, 0]
    points[..., 1] = np.sin(angles)[:, None] * loop[:-1, 0]
    points[..., 2] = loop[:-1, 1]
    return Part(vertices=points.reshape(-1, 3), faces=_grid_faces(segments, n))


def _grid_faces(rows: int, columns: int) -> np.ndarray:
    """Returns the faces of a torus of points [rows, columns]."""
    i, j = np.arange(rows)[:, None], np.arange(columns)[None]
    a, b = i * columns + j, (i + 1) % rows * columns + j
    c, e = (i + 1) % rows * columns + (j + 1) % columns, i * columns + (j + 1) % columns
    return np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, e], -1).reshape(-1, 3)]
    )


def cart(m: Model, design: Design) -> None:
    """Adds a wagon with a steered axle and a handle, or a tipper with a bed."""
    (_wagon if design.counts["wagon"] else _tipper)(m, design)


def _wagon(m: Model, design: Design) -> None:
    r, s = m.draw, design.lengths
    w, d, h = m.w, m.d, m.h
    spokes, deck, thin = design.counts["spokes"], s["deck"], s["thin"]
    paint = m.material("painted_metal", "painted_wood", "plastic", "wood", "planks")
    steel = m.material("brushed_metal", "painted_metal", "rust")
    end = w / 2 - 3 * thin - 0.01
    wall, top = 0.02, deck + (h - deck) * r.real(0.4, 0.7)
    m.add(
        paint,
        _between(np.array([-w / 2, -d / 2, deck]), np.array([end, d / 2, deck + wall])),
    )
    for x in (-w / 2, end - wall):
        m.add(
            paint,
            _between(np.array([x, -d / 2, deck]), np.array([x + wall, d / 2, top])),
        )
    for y in (-d / 2, d / 2 - wall):
        m.add(
            paint, _between(np.array([-w / 2, y, deck]), np.array([end, y + wall, top]))
        )
    rear = s["rear"]
    m.add(
        steel,
        _between(
            np.array([rear - 0.04, -0.2 * d, s["wheel"]]),
            np.array([rear + 0.04, 0.2 * d, deck]),
        ),
    )
    m.body = 1
    _wheels(m, s, rear, spokes)
    m.body = 2
    front, height, bar = s["front"], s["wheel"], w / 2 - thin
    m.add(
        steel,
        _between(
            np.array([front - 0.05, -0.2 * d, height]),
            np.array([front + 0.05, 0.2 * d, deck - 0.005]),
        ),
    )
    m.add(steel, rod((front, 0, height), (bar, 0, height), thin * 0.8))
    m.body = 3
    _wheels(m, s, front, spokes)
    m.body = 4
    grip = m.material("rubber", "wood", "plastic")
    m.add(steel, rod((bar, 0, height), (bar, 0, h - thin), thin * 0.75))
    m.add(
        steel,
        cylinder(thin, 2 * thin, segments=16).turned("x", 90).moved(bar, thin, height),
    )
    m.add(
        grip,
        cylinder(thin, 0.4 * d, segments=20)
        .turned("x", 90)
        .moved(bar, 0.2 * d, h - thin),
    )


def _tipper(m: Model, design: Design) -> None:
    r, s = m.draw, design.lengths
    w, d, h = m.w, m.d, m.h
    spokes, bed, cabin, wheel = (
        design.counts["spokes"],
        s["bed"],
        s["cabin"],
        s["wheel"],
    )
    paint = m.material("car_paint", "plastic", "painted_metal")
    steel = m.material("brushed_metal", "painted_metal", "rubber")
    glass, light = m.material("window"), m.material("paper", "glass")
    inner = d / 2 - s["broad"] - 0.01
    # The frame is between the wheels; the cabin is in front, above them.
    m.add(
        steel,
        _between(
            np.array([-w / 2 + 0.02, -inner * 0.6, wheel * 0.8]),
            np.array([w / 2 - 0.01, inner * 0.6, bed - 0.01]),
        ),
    )
    low = np.array([w / 2 - cabin, -d / 2, 2 * wheel + 0.01])
    block = _between(low, np.array([w / 2, d / 2, h]), 0.03)
    m.add(paint, block)
    m.add(
        paint,
        _between(
            np.array([w / 2 - cabin, -inner, wheel]),
            np.array([w / 2, inner, low[2] + 0.02]),
        ),
    )
    tall = h - low[2]
    pane = np.array([w / 2 - 0.01, -0.42 * d, low[2] + 0.42 * tall])
    m.add(
        glass,
        _between(pane, np.array([w / 2 - 1e-3, 0.42 * d, h - 0.1 * tall])).moved(1e-3),
    )
    m.mirrored(
        glass,
        box(cabin * 0.5, 0.01, tall * 0.42).moved(
            w / 2 - cabin / 2, d / 2 - 0.005, low[2] + 0.46 * tall
        ),
    )
    m.mirrored(
        light,
        ball(0.03, 14)
        .scaled(0.4, 1, 1)
        .moved(w / 2 - 0.012, 0.34 * d, low[2] + 0.16 * tall),
    )
    m.body = 1
    _wheels(m, s, s["rear"], spokes)
    m.body = 2
    _wheels(m, s, s["front"], spokes)
    m.body = 3
    load = m.material("painted_metal", "plastic", "rust", "wood")
    wall, top = 0.02, bed + (0.92 * h - bed) * r.real(0.7, 1.0)
    end = w / 2 - cabin - 0.02
    m.add(
        load,
        _between(np.array([-w / 2, -d / 2, bed]), np.array([end, d / 2, bed + wall])),
    )
    for x in (-w / 2, end - wall):
        m.add(
            load, _between(np.array([x, -d / 2, bed]), np.array([x + wall, d / 2, top]))
        )
    for y in (-d / 2, d / 2 - wall):
        m.add(
            load, _between(np.array([-w / 2, y, bed]), np.array([end, y + wall, top]))
        )
    if r.chance(0.6):
        cargo = m.material("soil", "wood", "granite", "plastic")
        heap = ellipsoid(0.42 * (end + w / 2), 0.4 * d, (top - bed) * 0.8, 20)
        points = heap.vertices
        heap = hull(np.maximum(points, (-9, -9, 0)))
        m.add(cargo, heap.moved((end - w / 2) / 2, 0, bed + wall / 2))


def chain(m: Model, design: Design) -> None:
    """Adds links along x, of one or two materials; odd ones are upright."""
    s = design.lengths
    families = ("polished_metal", "brushed_metal", "painted_metal", "rust", "plastic")
    materials = [m.material(*families) for _ in range(m.draw.whole(1, 3))]
    link = _link(s["link"], s["wide"], s["wire"])
    for number in range(design.counts["links"]):
        place = (number + 1) // 2 * (1 if number % 2 else -1)
        m.body = number
        turned = link.turned("x", 90) if place % 2 else link
        m.add(
            materials[number % len(materials)],
            turned.moved(place * s["pitch"], 0, m.h / 2),
        )


def _link(long: float, wide: float, wire: float) -> Part:
    """Returns a chain link about the origin, long in x and flat in z."""
    radius, shift = wide / 2 - wire, (long - wide) / 2
    arc = np.linspace(-np.pi / 2, np.pi / 2, 17)
    angles = np.concatenate([arc, arc + np.pi])
    middle = np.repeat([shift, -shift], len(arc))
    out = np.stack([np.cos(angles), np.sin(angles)], 1)
    around = 2 * np.pi * np.arange(12) / 12
    points = np.empty((len(angles), len(around), 3))
    reach = radius + wire * np.cos(around)
    points[..., :2] = out[:, None] * reach[:, None]
    points[..., 0] += middle[:, None]
    points[..., 2] = wire * np.sin(around)
    return Part(
        vertices=points.reshape(-1, 3), faces=_grid_faces(len(angles), len(around))
    )


def desk_lamp(m: Model, design: Design) -> None:
    """Adds a foot, a post, two arms of double bars, and a shade with a bulb."""
    r, s = m.draw, design.lengths
    paint = m.material("painted_metal", "brushed_metal", "plastic", "car_paint")
    metal = m.material("polished_metal", "brushed_metal", "painted_metal")
    shade = m.material("painted_metal", "plastic", "brushed_metal", "paper")
    thick, knob, bar = s["thick"], s["ball"], s["bar"]
    foot = (s["foot_x"], 0.0)
    radius = max(s["foot"], m.d / 2)
    m.add(
        paint,
        rounded_cylinder(radius, thick, thick * 0.4, 48)
        .scaled(s["foot"] / radius, 1, 1)
        .moved(*foot),
    )
    m.body = 1
    shoulder = np.array([*foot, s["shoulder"]])
    elbow = np.array([s["elbow_x"], 0, s["elbow_z"]])
    head = np.array([s["head_x"], 0, s["head_z"]])
    m.add(
        metal,
        cylinder(0.35 * s["foot"], 0.4 * thick, 0.3 * s["foot"], 32).moved(
            *foot, thick
        ),
    )
    m.add(metal, cylinder(1.2 * bar, s["shoulder"] - thick).moved(*foot, thick))
    m.add(metal, box(2.4 * bar, 2.4 * bar, knob).moved(*foot, s["shoulder"] - knob / 2))
    double = r.chance(0.6)
    for body, start, end in ((2, shoulder, elbow), (3, elbow, head)):
        m.body = body
        for side in (-1, 1) if double else (0,):
            aside = np.array([0, side * 1.8 * bar, 0])
            m.add(paint, rod(start + aside, end + aside, bar))
        # A hinge: a disc about y, which the next part turns about.
        wide = 3 * bar * (1.0 if body == 2 else 0.8)
        disc = cylinder(knob * 0.8, 2 * wide, segments=24).turned("x", 90)
        m.add(metal, disc.moved(*start).moved(y=wide))
        m.add(
            metal, ball(knob, 20).scaled(1, min(1.0, 2.4 * bar / knob), 1).moved(*end)
        )
    m.body = 4
    rim, tall = s["rim"], s["tall"]
    throat = rim * r.real(0.25, 0.45)
    wall = 0.04 * rim
    curve = spline([(throat * 0.9, 0), (throat, -0.2 * tall), (rim, -tall)], 14)
    if r.chance(0.5):
        curve = np.array([(throat, 0), (throat, -0.3 * tall), (rim, -tall)])
    curve[:, 0] = np.minimum(curve[:, 0], rim)
    loop = np.concatenate([curve[::-1], curve - (wall, 0), curve[-1:]])
    m.add(shade, _revolved(loop, 48).moved(*head))
    m.add(shade, cylinder(throat, 0.2 * knob, segments=32).moved(*head))
    m.add(metal, cylinder(0.5 * throat, 0.8 * knob, segments=20).moved(*head))
    m.add(
        m.material("lamp"),
        ball(min(0.42 * rim, 0.35 * tall), 20).moved(*(head - (0, 0, 0.62 * tall))),
    )
    m.add(
        metal,
        cylinder(0.2 * rim, 0.4 * tall, segments=16).moved(
            *(head - (0, 0, 0.45 * tall))
        ),
    )


def scissors(m: Model, design: Design) -> None:
    """Adds two blades with ring handles, of which the second turns about a screw."""
    r, at = m.draw, design.lengths["pivot"]
    w, d, h = m.w, m.d, m.h
    steel = m.material("polished_metal", "brushed_metal")
    grip = m.material("plastic", "rubber", "painted_metal")
    screw = m.material("brushed_metal", "polished_metal", "rust")
    wide, tip = d * r.real(0.16, 0.22), d * r.real(0.01, 0.04)
    long = r.real(0.5, 0.62)  # of a ring, as a share of what is behind the pivot
    back = at + w / 2
    rx, ry = back * long / 2, d * r.real(0.2, 0.235)
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    circle = np.stack([np.cos(t), np.sin(t)], 1)
    ring = extrude(circle * (rx, ry), h, circle * (rx - 0.16 * ry, ry * 0.72))
    center = np.array([-w / 2 + rx, d / 2 - ry])
    # In the half of the thickness below, crossing from y > 0 to y < 0 at the pivot.
    blade = [
        (at - 0.6 * wide, -wide / 2),
        (at + 0.3 * wide, -wide / 2),
        (w / 2, -tip),
        (w / 2, tip),
        (at + 0.4 * wide, wide * 0.4),
        (at - 0.6 * wide, wide / 2),
    ]
    neck = center[0] + 0.8 * rx
    shank = [
        (neck, center[1] - 0.35 * ry),
        (at + 0.2 * wide, -wide * 0.45),
        (at + 0.3 * wide, wide * 0.4),
        (neck, center[1] + 0.2 * ry),
    ]
    _pair(m, steel, grip, screw, at, wide * 0.3, [blade, shank], [ring.moved(*center)])


def pliers(m: Model, design: Design) -> None:
    """Adds two jaws with long grips, of which the second turns about a rivet."""
    r, at = m.draw, design.lengths["pivot"]
    w, d, h = m.w, m.d, m.h
    steel = m.material("brushed_metal", "polished_metal", "rust", "painted_metal")
    grip = m.material("rubber", "plastic", "speckled_plastic")
    rivet = m.material("polished_metal", "brushed_metal")
    pointed = design.counts["kind"]
    wide = d * r.real(0.3, 0.38)
    end = wide * (0.12 if pointed else 0.35)
    # A jaw is on the side of y > 0 in front of the rivet, its handle behind on y < 0.
    jaw = [
        (at - 0.4 * wide, -0.45 * wide),
        (at + 0.35 * wide, -0.3 * wide),
        (at + 0.45 * wide, 0.004),
        (w / 2, 0.004),
        (w / 2, end),
        (at + 0.8 * wide, 0.5 * wide),
        (at - 0.2 * wide, 0.5 * wide),
    ]
    x = np.linspace(-w / 2, at, 18)
    share = (x + w / 2) / (at + w / 2)
    # Along the handle, from its end to the rivet; on y > 0, mirrored below.
    middle = np.interp(share, [0, 0.5, 0.85, 1], [0.36, 0.38, 0.2, 0.02]) * d
    half = np.interp(share, [0, 0.1, 0.7, 1], [0.07, 0.085, 0.08, 0.14]) * d
    band = np.concatenate(
        [np.stack([x, middle - half], 1), np.stack([x, middle + half], 1)[::-1]]
    )
    sleeve = share < 0.72
    grown = np.concatenate(
        [
            np.stack([x, middle - 1.25 * half], 1)[sleeve],
            np.stack([x, middle + 1.25 * half], 1)[sleeve][::-1],
        ]
    )
    handle = extrude(grown, h)
    low, high = handle.vertices.min(0), handle.vertices.max(0)
    handle = handle.fitted((low[0], low[1], 0), (high[0], d / 2, h))
    mirrored = np.array(jaw) * (1, -1)
    _pair(m, steel, grip, rivet, at, wide * 0.3, [mirrored[::-1], band], [handle])


def _pair(
    m: Model,
    steel: int,
    grip: int,
    screw: int,
    at: float,
    radius: float,
    outlines: list[list[tuple[float, float]] | np.ndarray],
    handles: list[Part],
) -> None:
    """Adds two mirrored halves, the first in the lower half of the thickness.

    Args:
      m: the model.
      steel: material of the outlines.
      grip: of the handles.
      screw: of what holds both.
      at: x of the screw.
      radius: of its head.
      outlines: of the first half, in x and y.
      handles: of the first half, on y > 0.
    """
    h = m.h
    flat = [extrude(outline, h / 2 - 1e-3) for outline in outlines]
    m.add(steel, *flat)
    m.add(grip, *handles)
    m.add(screw, cylinder(radius, h, segments=24).moved(at))
    m.body = 1
    m.add(steel, *(part.scaled(1, -1, 1).moved(z=h / 2 + 1e-3) for part in flat))
    m.add(grip, *(part.scaled(1, -1, 1) for part in handles))


JOINTED: dict[str, Callable[[Model, Design], None]] = {
    "cabinet": cabinet,
    "cart": cart,
    "chain": chain,
    "desk_lamp": desk_lamp,
    "pliers": pliers,
    "scissors": scissors,
}
