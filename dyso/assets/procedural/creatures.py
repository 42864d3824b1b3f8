"""Creatures with skeletons: quadrupeds, fish, snakes, insects and centipedes.

Each faces x and has a rig, by which it walks, swims or crawls.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dyso.assets.procedural.model import Model
from dyso.assets.procedural.rigging import Chain
from dyso.assets.procedural.shapes import (
    Part,
    ball,
    cylinder,
    ellipsoid,
    lathe,
    loft,
    rod,
    sheet,
    spline,
    tube,
)
from dyso.geometry import Leg, Wave

_Point = Sequence[float] | np.ndarray


def _oval(path: np.ndarray, wide: np.ndarray, high: np.ndarray, n: int = 20) -> Part:
    """Returns a body along a path [k, 3] in x, of these half widths and heights [k]."""
    angles = 2 * np.pi * np.arange(n) / n
    y, z = np.cos(angles), np.sin(angles)
    rings = np.stack(
        [
            np.broadcast_to(path[:, :1], (len(path), n)),
            path[:, 1:2] + wide[:, None] * y,
            path[:, 2:] + high[:, None] * z,
        ],
        axis=-1,
    )
    return loft(rings)


def _waves(m: Model, bone: int, *waves: tuple[int, float, int, float]) -> None:
    """Adds waves of a bone: axis, degrees, cycles and offset of each."""
    m.bones.waves += [
        Wave(bone=bone, axis=axis, size=np.radians(size), cycles=cycles, offset=offset)
        for axis, size, cycles, offset in waves
    ]


def _leg(
    m: Model,
    material: int,
    trunk: int,
    name: str,
    joints: Sequence[_Point],
    thick: Sequence[float],
    leg: tuple[float, float, float, float],
    fine: tuple[int, int] = (22, 12),
) -> int:
    """Adds a leg from the hip to the floor, and returns its foot's bone.

    Args:
      m: the model.
      material: of the skin.
      trunk: the bone that it hangs on.
      name: its name.
      joints: the hip, the knee, the foot's joint, and the end of the leg.
      thick: the radius at each.
      leg: see `Leg`: the offset, the stance, the lift and the pitch.
      fine: rings of its skin, and vertices of each.
    """
    points = np.array([np.asarray(joint, float) for joint in joints])
    bones = m.bones.line(name, trunk, points)
    offset, stance, lift, pitch = leg
    m.bones.legs.append(
        Leg(
            bones=(bones[0], bones[1], bones[2]),
            offset=offset,
            stance=stance,
            lift=lift,
            pitch=pitch,
        )
    )
    path = spline(points, fine[0])
    radii = spline(np.array(thick)[:, None], fine[0])[:, 0]
    way = points[1] - points[0]
    up = points[0] - way / np.sqrt(way @ way) * thick[0]
    chain = Chain(
        bones=(trunk, *bones), points=np.stack([up, *points]), blend=thick[1] * 0.9
    )
    m.skin(material, chain, tube(path, radii, fine[1]))
    return bones[2]


def quadruped(m: Model) -> None:
    """Adds a trunk on four legs with paws or hooves, a neck, a head and a tail."""
    r, w, d, h = m.draw, m.w, m.d, m.h
    hide = m.material("fur", "fur", "skin")
    dark = m.material("rubber")
    pale = hide if r.chance(0.5) else m.material("fur", "skin")
    hip = h * r.real(0.5, 0.58)
    girth = min(d * r.real(0.4, 0.47), 0.3 * hip)
    back = hip + girth * r.real(0.35, 0.5)
    rump, chest = -w * 0.26, w * 0.17
    middle = (rump + chest) / 2
    hips = m.bones.add("hips", -1, (rump, 0, back))
    ribs = m.bones.add("ribs", hips, (middle, 0, back), bends=0.3 * w)
    trunk = Chain(
        bones=(hips, ribs),
        points=np.array([(-w / 2, 0, back), (middle, 0, back), (w / 2, 0, back)]),
        blend=0.16 * w,
    )
    keys = np.array(
        [
            (rump - girth * 1.1, 0.1, 0.1, 0.1),
            (rump - girth * 0.8, 0.5, 0.55, 0.1),
            (rump, 0.86, 0.95, 0.05),
            (middle, 0.9, r.real(0.8, 1.05), -0.05),
            (chest, 0.95, 1.15, -0.08),
            (chest + girth * 0.8, 0.6, 0.75, 0.12),
            (chest + girth * 1.15, 0.12, 0.15, 0.2),
        ]
    )
    x, wide, high, rise = spline(keys, 26).T
    path = np.stack([x, 0 * x, back + girth * rise], axis=1)
    m.skin(hide, trunk, _oval(path, girth * wide, girth * high))
    _head(m, hide, pale, dark, ribs, np.array([chest, 0, back]), girth)
    # The order of the footfalls: left hind, left fore, right hind, right fore.
    trot = r.chance(0.25)
    stance, fore = (0.52, 0.5) if trot else (0.66, 0.75)
    hoofed = r.chance(0.5)
    claw = m.material("rubber", "wood", "leather") if hoofed else pale
    thick, lift = girth * r.real(0.26, 0.34), hip * r.real(0.1, 0.15)
    fold = r.real(0.4, 0.7)
    for side, half, y in (("left", 0.0, 0.6), ("right", 0.5, -0.6)):
        y *= girth
        joints: list[_Point] = [
            (rump, y * 0.85, hip),
            (rump + 0.15 * hip, y, 0.56 * hip),
            (rump - 0.11 * hip, y, 0.26 * hip),
            (rump - 0.09 * hip, y, 0.04 * hip),
        ]
        sizes = [girth * 0.5, thick, thick * 0.7, thick * 0.62]
        moves = (-half, stance, lift, fold)
        foot = _leg(m, hide, hips, f"{side}_hind", joints, sizes, moves)
        _paw(m, claw, foot, joints[3], thick, hoofed)
        ahead = chest + 0.03 * hip
        joints = [
            (ahead, y * 0.85, 1.03 * hip),
            (ahead - 0.14 * hip, y, 0.6 * hip),
            (ahead + 0.02 * hip, y, 0.25 * hip),
            (ahead + 0.02 * hip, y, 0.04 * hip),
        ]
        sizes = [girth * 0.45, thick, thick * 0.7, thick * 0.62]
        moves = (fore - half, stance, lift, fold)
        foot = _leg(m, hide, ribs, f"{side}_fore", joints, sizes, moves)
        _paw(m, claw, foot, joints[3], thick, hoofed)
    end = np.array([-w / 2, 0, back - r.real(0.1, 1.6) * girth])
    root = np.array([rump - girth * 0.6, 0, back + girth * 0.3])
    line = spline([root, (root + end) / 2 + (0, 0, r.real(0, 0.5) * girth), end], 4)
    tail = m.bones.line("tail", hips, line, bend=-1)
    fat = girth * r.real(0.12, 0.3)
    m.skin(
        hide,
        Chain(bones=tail, points=line, blend=0.04 * w),
        tube(spline(line, 16), np.append(np.linspace(fat, fat * 0.6, 15), 0), 12),
    )
    for number, bone in enumerate(tail):
        _waves(m, bone, (2, r.real(5, 14), 1, -0.12 * number))
    m.bones.waves.append(
        Wave(bone=hips, axis=2, size=0.012 * hip, cycles=2, offset=0.1, moves=True)
    )
    sway = r.real(2, 5)
    _waves(m, hips, (2, sway, 1, 0.3), (0, sway * 0.6, 1, 0.05))
    _waves(m, ribs, (2, -2 * sway, 1, 0.3), (0, -sway, 1, 0.05))


def _paw(
    m: Model, material: int, foot: int, end: _Point, thick: float, hoofed: bool
) -> None:
    x, y, z = np.asarray(end, float)
    if hoofed:
        shape = lathe(
            [(0, 0), (thick * 0.95, 0), (thick * 0.72, z * 1.6), (0, z * 1.9)], 16
        ).moved(thick * 0.15)
    else:
        low = np.sin(np.radians(np.linspace(-90, 90, 9)))
        rim = np.sqrt(np.maximum(1 - low**2, 0))
        shape = lathe(np.stack([rim, low], 1), 16).scaled(thick * 1.5, thick * 1.05, z)
        shape = shape.moved(thick * 0.5, 0, z)
    m.skin(material, foot, shape.moved(x, y))


def _head(
    m: Model,
    hide: int,
    pale: int,
    dark: int,
    ribs: int,
    chest: np.ndarray,
    girth: float,
) -> None:
    """Adds a neck and a head with a muzzle, eyes, ears and, at times, horns."""
    r, w, h = m.draw, m.w, m.h
    size = w * r.real(0.085, 0.115)
    face = np.array([w / 2 - size * 1.9, 0, h - size * r.real(1.3, 1.7)])
    root = chest + np.array([girth * 0.35, 0, girth * 0.35])
    bone = m.bones.add("neck", ribs, root, bends=0.1 * w)
    head = m.bones.add("head", bone, face - (0.4 * size, 0, 0), bends=0.05 * w)
    line = np.stack([root - (girth, 0, girth * 0.6), root, face])
    path = spline([root, (root + face) / 2 + (0.02 * w, 0, -0.01 * h), face], 14)
    thin = min(girth * r.real(0.4, 0.55), size * 0.9)
    m.skin(
        hide,
        Chain(bones=(ribs, bone), points=line, blend=girth * 0.5),
        tube(path, np.linspace(girth * 0.75, thin, 14), 18),
    )
    m.skin(hide, head, ellipsoid(size * 1.1, size * 0.85, size, 24).moved(*face))
    long = r.real(0.8, 1.5)
    m.skin(
        pale,
        head,
        ellipsoid(size * 0.75 * long, size * 0.5, size * 0.46, 20).moved(
            face[0] + size * 0.95, 0, face[2] - size * 0.28
        ),
    )
    nose = face + np.array([size * (0.9 + 0.72 * long), 0, -size * 0.18])
    m.skin(
        dark, head, ellipsoid(size * 0.16, size * 0.22, size * 0.16, 12).moved(*nose)
    )
    eye = ball(size * 0.19, 12)
    horn = m.material("paper", "wood", "ceramic") if r.chance(0.3) else None
    kind = r.pick(("round", "pointed", "long", "floppy"))
    if kind == "round":
        ear = ellipsoid(size * 0.16, size * 0.36, size * 0.36, 14)
    elif kind == "pointed":
        ear = cylinder(size * 0.34, size * 0.9, 0.0, 12).scaled(0.5, 1, 1)
    elif kind == "long":
        ear = ellipsoid(size * 0.15, size * 0.25, size * 0.8, 14).moved(z=size * 0.4)
    else:
        ear = ellipsoid(size * 0.3, size * 0.13, size * 0.6, 14).moved(
            0, size * 0.25, -size * 0.5
        )
    ear = ear.turned("x", -12).moved(
        face[0] - size * 0.2, size * 0.58, face[2] + size * 0.7
    )
    for y in (1, -1):
        m.skin(hide, head, ear.scaled(1, y, 1))
        m.skin(
            dark,
            head,
            eye.moved(face[0] + size * 0.6, y * size * 0.6, face[2] + 0.35 * size),
        )
        if horn is not None:
            at = face + np.array([-size * 0.1, y * size * 0.3, size * 0.75])
            tip = at + np.array([-size * 0.2, y * size * 0.5, size * 1.1])
            bent = at + np.array([-size * 0.3, y * size * 0.5, size * 0.6])
            horned = tube(spline([at, bent, tip], 9), np.linspace(0.15, 0, 9) * size, 8)
            m.skin(horn, head, horned)
    nod = r.real(2, 5)
    _waves(m, bone, (1, nod, 2, 0.2))
    _waves(m, head, (1, -nod * 0.6, 2, 0.15))


def fish(m: Model) -> None:
    """Adds a body with a tail fin, a dorsal fin, belly fins and pectoral fins."""
    r, w, d, h = m.draw, m.w, m.d, m.h
    scales = m.material("skin", "polished_metal", "ceramic", "leather", "car_paint")
    fins = scales if r.chance(0.3) else m.material("petal", "fabric", "skin", "leaf")
    nose, peduncle, end = w * 0.5, -w * r.real(0.27, 0.33), -w * 0.5
    deep = h * r.real(0.3, 0.38)
    front = np.array([0.14, 0.5]) * w
    points = np.linspace(front[0], end, 8)
    trunk = m.bones.add("trunk", -1, (front[0], 0, h / 2))
    head = m.bones.add("head", trunk, (front[0], 0, h / 2), bends=0.1 * w)
    tail = m.bones.line(
        "tail", trunk, np.stack([points, 0 * points, 0 * points + h / 2], 1), bend=-1
    )
    bones = [*tail[::-1], trunk, head]
    ends = np.concatenate([points[::-1], [front[0] + 0.04 * w, nose]])
    line = np.stack([ends, 0 * ends, 0 * ends + h / 2], axis=1)
    body = Chain(bones=bones, points=line, blend=0.035 * w)
    keys = np.array(
        [
            (peduncle - 0.03 * w, 0.1, 0.16),
            (peduncle, 0.16, 0.2),
            (-0.1 * w, 0.62, 0.72),
            (0.1 * w, 0.95, 1.0),
            (0.3 * w, 0.85, 0.82),
            (0.43 * w, 0.5, 0.5),
            (nose, 0.1, 0.08),
        ]
    )
    x, wide, high = spline(keys, 40).T
    path = np.stack([x, 0 * x, 0 * x + h / 2], 1)
    m.skin(scales, body, _oval(path, d * 0.5 * wide, deep * high, 24))
    sweep, lobe = r.real(0.02, 0.1) * w, h * r.real(0.38, 0.5)
    thin = 0.008 * w

    def fin(root: np.ndarray, tip: np.ndarray, back: float = 0.0) -> Part:
        """Returns a membrane between two lines [k, 3], its edge scalloped."""
        s = np.linspace(0, 1, 9)[:, None, None]
        grid = root + (tip - root) * s
        t = np.linspace(-1, 1, root.shape[0])[:, None]
        grid[..., 0] += back * s[..., 0] * (1 - np.abs(t[:, 0])) ** 1.2
        return sheet(grid, thin)

    t = np.linspace(-1, 1, 13)
    root = np.stack([peduncle + 0 * t, -thin / 2 + 0 * t, h / 2 + t * deep * 0.2], 1)
    tip = np.stack([end + 0 * t, -thin / 2 + 0 * t, h / 2 + t * lobe], 1)
    m.skin(fins, body, fin(root, tip, sweep))
    along = np.linspace(r.real(0.12, 0.2), r.real(-0.2, -0.1), 12) * w
    top = np.interp(along, x, deep * high)
    rise = (h / 2 - top) * np.sin(np.linspace(0.5, 3.0, 12)) ** 0.7
    for up in (1, -1):
        part = slice(None) if up > 0 else slice(6, None)
        at, low = along[part], top[part]
        edge = np.minimum(low + rise[part] * (1 if up > 0 else 0.7), h / 2)
        root = np.stack([at, 0 * at - thin / 2, h / 2 + up * low * 0.85], 1)
        tip = np.stack([at - 0.05 * w, 0 * at - thin / 2, h / 2 + up * edge], 1)
        m.skin(fins, body, fin(root, tip))
    pupil, white = m.material("rubber"), m.material("paper")
    where = 0.37 * w
    aside = float(np.interp(where, x, d * 0.43 * wide))
    for side, name in ((1, "left"), (-1, "right")):
        for material, size, far in ((white, 0.024, 0.92), (pupil, 0.016, 1.08)):
            eye = ellipsoid(size * w, size * w * 0.6, size * w, 14)
            m.skin(
                material,
                head,
                eye.moved(where, side * aside * far, h / 2 + 0.18 * deep),
            )
        # A flat fin that beats about its root behind the head.
        hinge = np.array(
            [0.22 * w, side * np.interp(0.22 * w, x, d * 0.5 * wide) * 0.9]
        )
        bone = m.bones.add(f"{name}_fin", trunk, (*hinge, h / 2 - 0.3 * deep))
        s, u = np.linspace(0, 1, 7)[:, None], np.linspace(-1, 1, 7)[None]
        span = 0.13 * w * s
        grid = np.stack(
            [
                hinge[0] - 0.1 * w * s + 0.035 * w * u * (0.4 + s),
                hinge[1] + side * span * 0.5 + 0 * u,
                h / 2 - 0.3 * deep - span * 0.35 + 0 * u,
            ],
            axis=-1,
        )
        m.skin(fins, bone, sheet(grid[:, ::-side], thin))
        _waves(m, bone, (0, 22 * side, 1, 0.0), (2, 12 * side, 1, 0.25))
    strong, wave = r.real(0.45, 0.65), w * r.real(0.9, 1.2)
    middles = (ends[:-1] + ends[1:]) / 2

    def heading(x: float) -> float:
        """Returns how far the body turns at x: most at the tail."""
        back = float(np.clip((0.3 * w - x) / (0.8 * w), 0, 1))
        return strong * (0.06 + back**1.5)

    order = [trunk, head, *tail]
    by_bone = dict(zip(bones, middles, strict=True))
    m.bones.undulate(order, [by_bone[bone] for bone in order], heading, wave)
    m.bones.stride = w * r.real(0.5, 0.7)


def _spine(
    m: Model, ends: np.ndarray, z: float
) -> tuple[Chain, list[int], list[float]]:
    """Adds bones between ends [k + 1], from the tail to the head, the middle one first.

    Returns:
      The chain from tail to head; the bones, each after its parent; and their middles.
    """
    k = len(ends) - 1
    middle = k // 2
    line = np.stack([ends, 0 * ends, 0 * ends + z], axis=1)
    root = m.bones.add("middle", -1, ((ends[middle] + ends[middle + 1]) / 2, 0, z))
    front = m.bones.line("front", root, line[middle + 1 :], bend=1)
    back = m.bones.line("back", root, line[middle::-1], bend=-1)
    bones = [*back[::-1], root, *front]
    middles = ((ends[:-1] + ends[1:]) / 2).tolist()
    chain = Chain(bones=bones, points=line, blend=float(np.diff(ends).min()) * 0.5)
    order = [root, *front, *back]
    return chain, order, [middles[bones.index(bone)] for bone in order]


def snake(m: Model) -> None:
    """Adds a long round body with a flat head, eyes and a tongue."""
    r, w, d, h = m.draw, m.w, m.d, m.h
    hide = m.material("skin", "leather", "ceramic", "marble", "skin")
    dark, red = m.material("rubber"), m.material("petal")
    chain, order, middles = _spine(m, np.linspace(-w / 2, w / 2, 25), h / 2)
    keys = np.array(
        [
            (-0.5, 0.03),
            (-0.42, 0.3),
            (-0.25, 0.72),
            (0.0, r.real(0.85, 1.0)),
            (0.25, 0.8),
            (0.38, 0.5),
            (0.42, 0.62),
            (0.455, 0.8),
            (0.48, 0.55),
            (0.49, 0.15),
        ]
    )
    x, wide = spline(keys, 110).T
    flat = 1 - 0.25 * np.clip((x - 0.38) / 0.04, 0, 1)
    path = np.stack([x * w, 0 * x, h / 2 * wide * flat], axis=1)
    m.skin(hide, chain, _oval(path, d * 0.5 * wide, h * 0.5 * wide * flat, 16))
    head = chain.bones[-1]
    for side in (1, -1):
        eye = ball(0.075 * d, 10).moved(0.463 * w, side * 0.27 * d, 0.42 * h)
        m.skin(dark, head, eye)
        fork = [(0.485, 0, 0.2), (0.493, 0, 0.2), (0.5, side * 0.08, 0.2)]
        tongue = tube(np.array(fork) * (w, d, h), [0.02 * d, 0.018 * d, 0.008 * d], 6)
        m.skin(red, head, tongue)
    size, length = r.real(0.6, 0.85), w * r.real(0.42, 0.55)
    m.bones.undulate(order, middles, lambda x: size, length)
    # The middle keeps to the curve that the body glides along: the integral of
    # (cos, sin)(size sin(2 pi u)) by Bessel functions, of which J0 is the advance.
    root = order[0]
    one, two = size / 2 - size**3 / 16 + size**5 / 384, size**2 / 8 - size**4 / 96
    start = middles[0] / length
    for axis, share, cycles, offset in (
        (1, 2 * one, 1, start - 0.25),
        (0, two, 2, 2 * start),
    ):
        m.bones.waves.append(
            Wave(
                bone=root,
                axis=axis,
                size=share * length / (2 * np.pi),
                cycles=cycles,
                offset=offset,
                moves=True,
            )
        )
    m.bones.stride = length * (1 - size**2 / 4 + size**4 / 64)


def insect(m: Model) -> None:
    """Adds a thorax, an abdomen, a head with feelers, and six or eight legs."""
    r, w, d, h = m.draw, m.w, m.d, m.h
    shell = m.material("car_paint", "ceramic", "plastic", "polished_metal", "leather")
    limb = m.material("rubber", "plastic", "leather")
    other = shell if r.chance(0.5) else m.material("skin", "fur", "plastic")
    pairs = r.pick((3, 3, 4))
    z, fat = h * r.real(0.42, 0.52), d * r.real(0.11, 0.15)
    root = m.bones.add("thorax", -1, (0.06 * w, 0, z))
    rear = m.bones.add("abdomen", root, (-0.06 * w, 0, z))
    head = m.bones.add("head", root, (0.2 * w, 0, z), bends=0.1 * w)
    thorax = ellipsoid(0.17 * w, fat, fat * 0.85, 24).moved(0.06 * w, 0, z)
    m.skin(shell, root, thorax)
    long = r.real(0.19, 0.24) * w
    belly = ellipsoid(long, fat * r.real(1.1, 1.7), fat * r.real(0.9, 1.2), 28)
    m.skin(shell, rear, belly.turned("y", -6).moved(-0.08 * w - long * 0.75, 0, z))
    size = fat * r.real(0.65, 0.9)
    x = 0.21 * w + size * 0.7
    m.skin(other, head, ellipsoid(size, size * 0.95, size * 0.85, 24).moved(x, 0, z))
    eye = m.material("window", "rubber")
    for side, name in ((1, "left"), (-1, "right")):
        y = side * size * 0.62
        m.skin(
            eye, head, ball(size * 0.34, 12).moved(x + size * 0.55, y, z + 0.3 * size)
        )
        line = np.array(
            [
                (x + size * 0.6, y * 0.6, z + size * 0.6),
                (x + size * 1.4, y * 1.6, z + size * 1.7),
                (w / 2, y * 2.6, z + size * r.real(0.6, 1.8)),
            ]
        )
        bones = m.bones.line(f"{name}_feeler", head, line)
        m.skin(
            limb,
            Chain(bones=bones, points=line, blend=size * 0.4),
            tube(spline(line, 12), np.linspace(0.009, 0.005, 12) * w, 6),
        )
        for bone in bones:
            _waves(m, bone, (2, 9 * side, 1, r.real(0, 1)), (1, 7, 2, r.real(0, 1)))
    thick = w * r.real(0.011, 0.017)
    spread = np.linspace(0.75, -0.75, pairs)
    high, bow = r.real(0.78, 1.0), r.real(0.45, 0.6)
    for pair, fan in enumerate(spread):
        for side, name in ((1, "left"), (-1, "right")):
            start = np.array([0.06 * w + fan * 0.13 * w, side * fat * 0.75, z])
            reach = side * (d / 2 - thick) * (1 - 0.12 * abs(fan))
            end = np.array([0.06 * w + fan * 0.38 * w, reach, 0])
            knee = start + (end - start) * bow
            knee[2] = h * high - thick
            ankle = start + (end - start) * 0.93
            ankle[2] = 0.1 * h
            # Three legs are on the floor at a time: every other on each side.
            offset = 0.5 * ((pair + (side > 0)) % 2)
            tips = [thick * 1.3, thick * 1.2, thick * 0.8, thick * 0.5]
            moves = (offset, 0.56, 0.12 * h, 0.0)
            joints = [start, knee, ankle, end]
            _leg(m, limb, root, f"{name}_{pair + 1}", joints, tips, moves, (18, 8))
    m.bones.stride = 0.42 * w
    _waves(m, root, (2, 2.0, 1, 0.1), (0, 1.5, 1, 0.3))
    _waves(m, rear, (1, 2.5, 2, 0.0), (2, -3.0, 1, 0.1))


def centipede(m: Model) -> None:
    """Adds a long body of segments, a pair of legs on each, and feelers."""
    r, w, d, h = m.draw, m.w, m.d, m.h
    shell = m.material("car_paint", "leather", "ceramic", "plastic", "skin")
    band = m.material("plastic", "leather", "ceramic")
    limb = m.material("rubber", "plastic", "leather", "skin")
    pairs = r.whole(9, 14)
    ends = np.linspace(-0.46 * w, 0.4 * w, pairs + 2)
    z, fat = h * 0.55, d * r.real(0.15, 0.2)
    chain, order, middles = _spine(m, ends, z)
    step = ends[1] - ends[0]
    t = np.linspace(0, 1, 60)
    path = np.stack([ends[0] + (ends[-1] - ends[0]) * t, 0 * t, 0 * t + z], 1)
    wide = fat * np.sin(np.pi * np.clip(0.08 + 0.87 * t, 0, 1)) ** 0.35
    m.skin(shell, chain, _oval(path, wide * 0.9, np.minimum(wide * 0.75, h * 0.4), 16))
    thick, waves = w * r.real(0.006, 0.009), r.pick((2, 3))
    for number, bone in enumerate(chain.bones):
        x = (ends[number] + ends[number + 1]) / 2
        half = float(np.interp(x, path[:, 0], wide))
        plate = ellipsoid(step * 0.58, half, min(half * 0.9, h * 0.42), 14)
        m.skin(shell if number % 2 else band, bone, plate.moved(x, 0, z))
        if number in (0, pairs):
            continue
        for side, name in ((1, "left"), (-1, "right")):
            start = np.array([x, side * half * 0.7, z - half * 0.2])
            end = np.array([x - step * 0.25, side * (d / 2 - thick), 0])
            knee = start + (end - start) * 0.55
            knee[2] = h * 0.72
            ankle = start + (end - start) * 0.92
            ankle[2] = 0.14 * h
            # A wave of steps runs along each side, and the sides alternate.
            offset = waves * number / pairs + 0.5 * (side > 0)
            tips = [thick * 1.3, thick * 1.2, thick * 0.8, thick * 0.4]
            moves = (offset, 0.6, 0.16 * h, 0.0)
            joints = [start, knee, ankle, end]
            _leg(m, limb, bone, f"{name}_{number}", joints, tips, moves, (14, 6))
    m.bones.stride = 2.5 * step
    head = chain.bones[-1]
    for side in (1, -1):
        line = np.array(
            [
                (ends[-1] - 0.02 * w, side * fat * 0.3, z),
                (ends[-1] + 0.05 * w, side * fat * 0.8, z + 0.25 * h),
                (w / 2, side * d * 0.3, z + 0.1 * h),
            ]
        )
        bones = m.bones.line(f"feeler_{side}", head, line)
        feeler = tube(spline(line, 12), np.linspace(0.007, 0.004, 12) * w, 6)
        m.skin(limb, Chain(bones=bones, points=line, blend=0.02 * w), feeler)
        _waves(m, bones[0], (2, 8 * side, 1, 0.2), (1, 6, 2, 0.0))
        pincer = [(0.39, 0.5, 0.4), (0.43, 0.6, 0.35), (0.45, 0.15, 0.3)]
        hook = np.array(pincer) * (w, side * fat, h)
        m.skin(limb, head, rod(hook[0], hook[1], thick * 1.5, thick, 8))
        m.skin(limb, head, rod(hook[1], hook[2], thick, thick * 0.3, 8))
    m.bones.undulate(order, middles, lambda x: 0.12, w * r.real(0.6, 0.9))
