"""Procedural objects with joints: what is known before they are made.

What sampling needs of an object is drawn here: its bounding box, its joints and the
measures that its mesh is made to, by `dyso.assets.procedural.jointed`. An object stands
on its underside and faces x. A function that draws one has lengths in any unit, and z
is 0 at the underside.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from dyso.spec.asset import Joint, Vector

_DECIMALS = 6
_GRID = 500_000
"""Sides are even multiples of its inverse: half of each has `_DECIMALS`."""
_Y: Vector = (0.0, 1.0, 0.0)
_Z: Vector = (0.0, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Design:
    """The measures of an object.

    Attributes:
      sides: of the bounding box of the rest shape.
      joints: in the frame of the object.
      lengths: what else the mesh is made to.
      counts: numbers of things, and choices.
    """

    sides: Vector
    joints: tuple[Joint, ...]
    lengths: dict[str, float]
    counts: dict[str, int]


class Draws:
    """Numbers that follow from a text, by integers alone: the same everywhere."""

    def __init__(self, text: str):
        self._text, self._count = text, 0

    def real(self, low: float, high: float) -> float:
        """Returns a number in [low, high)."""
        self._count += 1
        digest = hashlib.sha256(f"{self._text}/{self._count}".encode()).digest()
        return low + (high - low) * int.from_bytes(digest[:6], "big") / (1 << 48)

    def whole(self, low: int, high: int) -> int:
        """Returns a whole number in [low, high]."""
        return low + int(self.real(0, high - low + 1))


def designed(category: str, key: str) -> Design:
    """Returns the measures of an object, whose longest side is 1.

    Args:
      category: one of `JOINTED`.
      key: what all its draws follow from.
    """
    return _fitted(_DESIGNS[category](Draws(key)))


def _fitted(design: Design) -> Design:
    """Returns a design whose longest side is 1, in the frame of the box's centre."""
    scale = 1 / max(design.sides)
    x, y, z = (round(_GRID * side * scale) / _GRID for side in design.sides)

    def place(point: Vector) -> Vector:
        a, b, c = (scale * value for value in point)
        return _vector((a, b, c - z / 2))

    def fitted(joint: Joint) -> Joint:
        unit = scale if joint.type == "prismatic" else 1.0
        low, high = (round(unit * value, _DECIMALS) for value in joint.limits)
        return replace(
            joint,
            axis=_vector(joint.axis),
            origin=place(joint.origin),
            limits=(low, high),
            bounds=(place(joint.bounds[0]), place(joint.bounds[1])),
        )

    return Design(
        sides=(x, y, z),
        joints=tuple(map(fitted, design.joints)),
        lengths={name: scale * length for name, length in design.lengths.items()},
        counts=design.counts,
    )


def _vector(values: Vector) -> Vector:
    x, y, z = (round(value, _DECIMALS) + 0.0 for value in values)
    return x, y, z


def _joint(
    name: str,
    type: Literal["revolute", "prismatic"],
    parent: int,
    axis: Vector,
    origin: Vector,
    limits: tuple[float, float],
    low: Vector,
    high: Vector,
) -> Joint:
    return Joint(
        name=name,
        type=type,
        parent=parent,
        axis=axis,
        origin=origin,
        limits=limits,
        bounds=(low, high),
    )


def _desk_lamp(r: Draws) -> Design:
    """Draws a foot, a post that turns, two arms and a head, all in the plane y = 0."""
    foot, thick = r.real(0.14, 0.19), r.real(0.02, 0.04)
    ball, bar = r.real(0.02, 0.028), r.real(0.008, 0.013)
    shoulder = thick + r.real(0.05, 0.09)
    lower, upper = r.real(0.45, 0.6), r.real(0.38, 0.55)
    lean, drop = math.radians(r.real(12, 35)), math.radians(r.real(4, 20))
    rim, tall = r.real(0.1, 0.14), r.real(0.14, 0.2)
    elbow_x, elbow_z = (
        -lower * math.sin(lean),
        shoulder + lower * math.cos(lean),
    )
    head_x, head_z = (
        elbow_x + upper * math.cos(drop),
        elbow_z - upper * math.sin(drop),
    )
    left, right = min(-foot, elbow_x - ball), max(foot, head_x + rim)
    middle = (left + right) / 2
    foot_x, elbow_x, head_x = -middle, elbow_x - middle, head_x - middle
    wide = max(ball, 3 * bar)
    lengths = {
        "foot": foot,
        "thick": thick,
        "ball": ball,
        "bar": bar,
        "shoulder": shoulder,
        "rim": rim,
        "tall": tall,
        "foot_x": foot_x,
        "elbow_x": elbow_x,
        "elbow_z": elbow_z,
        "head_x": head_x,
        "head_z": head_z,
    }
    joints = (
        _joint(
            "post",
            "revolute",
            0,
            _Z,
            (foot_x, 0.0, thick),
            (-1.8, 1.8),
            (foot_x - 0.4 * foot, -0.4 * foot, thick / 2),
            (foot_x + 0.4 * foot, 0.4 * foot, shoulder + ball),
        ),
        _joint(
            "arm",
            "revolute",
            1,
            _Y,
            (foot_x, 0.0, shoulder),
            (-0.35, 0.9),
            (elbow_x - ball, -wide, shoulder - ball),
            (foot_x + ball, wide, elbow_z + ball),
        ),
        _joint(
            "arm",
            "revolute",
            2,
            _Y,
            (elbow_x, 0.0, elbow_z),
            (-0.7, 0.6),
            (elbow_x - ball, -wide, head_z - ball),
            (head_x + ball, wide, elbow_z + ball),
        ),
        _joint(
            "head",
            "revolute",
            3,
            _Y,
            (head_x, 0.0, head_z),
            (-1.1, 0.7),
            (head_x - rim, -rim, head_z - tall),
            (head_x + rim, rim, head_z + ball),
        ),
    )
    return Design(
        sides=(right - left, 2 * max(foot, rim), elbow_z + ball),
        joints=joints,
        lengths=lengths,
        counts={},
    )


def _cabinet(r: Draws) -> Design:
    """Draws a body whose cells have doors or drawers at +x."""
    deep, wide, high = r.real(0.4, 0.55), r.real(0.6, 1.0), r.real(0.6, 1.2)
    panel, front, knob = r.real(0.02, 0.03), r.real(0.018, 0.028), r.real(0.02, 0.03)
    foot = r.real(0.02, 0.07)
    columns = r.whole(1, 2) if wide > 0.75 else 1
    rows = r.whole(2, 4) if columns == 1 else r.whole(1, 3)
    gap = 0.003
    face = deep / 2 - knob  # where the fronts end
    shares = [r.real(0.7, 1.3) for _ in range(rows)]
    joints = []
    lengths = {"panel": panel, "front": front, "knob": knob, "foot": foot, "gap": gap}
    counts = {"columns": columns, "rows": rows}
    for column in range(columns):
        left = -wide / 2 + panel / 2 + (wide - panel) * column / columns
        right = left + (wide - panel) / columns
        bottom = foot + panel / 2
        for row in range(rows):
            top = bottom + (high - foot - panel) * shares[row] / sum(shares)
            low = (face - front, left + gap, bottom + gap)
            end = (deep / 2, right - gap, top - gap)
            drawer = r.real(0, 1) < (0.65 if top - bottom < 0.45 * high else 0.25)
            if drawer:
                inner = deep - knob - front - panel
                joints.append(
                    _joint(
                        "drawer",
                        "prismatic",
                        0,
                        (1.0, 0.0, 0.0),
                        (face, (left + right) / 2, (bottom + top) / 2),
                        (0.0, 0.75 * inner),
                        (face - front - 0.9 * inner, low[1], low[2]),
                        end,
                    )
                )
            else:
                # Opens to +x about the hinge at either side.
                at_left = r.real(0, 1) < 0.5
                hinge = left + gap if at_left else right - gap
                joints.append(
                    _joint(
                        "door",
                        "revolute",
                        0,
                        (0.0, 0.0, -1.0 if at_left else 1.0),
                        (face, hinge, (bottom + top) / 2),
                        (0.0, 1.9),
                        low,
                        end,
                    )
                )
            bottom = top
    return Design(
        sides=(deep, wide, high), joints=tuple(joints), lengths=lengths, counts=counts
    )


def _cart(r: Draws) -> Design:
    """Draws a wagon with a steered axle and a handle, or a tipper with a bed."""
    long, track = 1.0, r.real(0.46, 0.6)
    wheel, broad = r.real(0.12, 0.17), r.real(0.06, 0.09)
    thin = r.real(0.012, 0.018)
    wagon = r.real(0, 1) < 0.5
    height = r.real(0.5, 0.68)
    # The axles turn about y; the wheels of each are one part with it.
    front = long / 2 - wheel - r.real(0.05, 0.12)
    rear = -long / 2 + wheel + r.real(0.02, 0.08)
    low_y, high_y = -track / 2, track / 2
    deck = 2 * wheel + 0.02
    lengths = {
        "wheel": wheel,
        "broad": broad,
        "thin": thin,
        "front": front,
        "rear": rear,
        "deck": deck,
        "track": track,
    }

    def axle(parent: int, x: float) -> Joint:
        return _joint(
            "wheels",
            "revolute",
            parent,
            _Y,
            (x, 0.0, wheel),
            (-math.pi, math.pi),
            (x - wheel, low_y, 0.0),
            (x + wheel, high_y, 2 * wheel),
        )

    counts = {"wagon": int(wagon), "spokes": r.whole(4, 7)}
    joints: tuple[Joint, ...]
    if wagon:
        bar = long / 2 - thin
        joints = (
            axle(0, rear),
            _joint(
                "steering",
                "revolute",
                0,
                _Z,
                (front, 0.0, deck),
                (-0.6, 0.6),
                (front - 0.06, low_y + broad, wheel - 0.03),
                (bar + thin, high_y - broad, deck),
            ),
            axle(2, front),
            _joint(
                "handle",
                "revolute",
                2,
                _Y,
                (bar, 0.0, wheel),
                (0.0, 1.3),
                (bar - thin, -0.25 * track, wheel - thin),
                (bar + thin, 0.25 * track, height),
            ),
        )
    else:
        cabin = r.real(0.24, 0.32)
        bed = deck + r.real(0.02, 0.04)
        lengths |= {"cabin": cabin, "bed": bed}
        joints = (
            axle(0, rear),
            axle(0, front),
            _joint(
                "bed",
                "revolute",
                0,
                _Y,
                (-long / 2 + 0.06, 0.0, bed),
                (-0.9, 0.0),
                (-long / 2, low_y, bed),
                (long / 2 - cabin - 0.02, high_y, 0.92 * height),
            ),
        )
    return Design(
        sides=(long, track, height), joints=joints, lengths=lengths, counts=counts
    )


def _chain(r: Draws) -> Design:
    """Draws links along x, turned by a quarter against their neighbours.

    All bend sidewards, so that a chain lies on the floor.
    """
    links = r.whole(2, 4) * 2 + 1
    long = 1.0
    wire = long * r.real(0.06, 0.085)
    wide = wire * r.real(7.4, 9.0)
    pitch = long - 4 * wire  # each link's end touches the next one's from inside
    height = wide
    joints = []
    limit = r.real(0.5, 0.8)
    for number in range(1, links):
        # Outwards from the middle link, to the right and to the left by turns.
        place = (number + 1) // 2 * (1 if number % 2 else -1)
        inner = place - math.copysign(1, place)
        joints.append(
            _joint(
                "link",
                "revolute",
                max(number - 2, 0),
                _Z,
                (pitch * (place + inner) / 2, 0.0, height / 2),
                (-limit, limit),
                (pitch * place - long / 2, *_across(wide, wire, place, -1)),
                (pitch * place + long / 2, *_across(wide, wire, place, 1)),
            )
        )
    return Design(
        sides=(pitch * (links - 1) + long, wide, height),
        joints=tuple(joints),
        lengths={"link": long, "wire": wire, "wide": wide, "pitch": pitch},
        counts={"links": links},
    )


def _across(wide: float, wire: float, place: int, end: int) -> tuple[float, float]:
    """Returns y and z of the ends of a link: the even ones lie flat."""
    y, z = (wide / 2, wire) if place % 2 == 0 else (wire, wide / 2)
    return end * y, wide / 2 + end * z


def _scissors(r: Draws) -> Design:
    """Draws two blades that cross at a screw, closed, lying flat."""
    return _crossing(
        r, "blade", pivot=(-0.08, 0.04), wide=(0.34, 0.44), limit=(0.8, 1.3)
    )


def _pliers(r: Draws) -> Design:
    """Draws two jaws with long handles, likewise."""
    return _crossing(r, "jaw", pivot=(0.2, 0.28), wide=(0.26, 0.34), limit=(0.45, 0.7))


def _crossing(
    r: Draws,
    name: str,
    pivot: tuple[float, float],
    wide: tuple[float, float],
    limit: tuple[float, float],
) -> Design:
    high, span, at = r.real(0.045, 0.07), r.real(*wide), r.real(*pivot)
    joint = _joint(
        name,
        "revolute",
        0,
        _Z,
        (at, 0.0, high / 2),
        (0.0, r.real(*limit)),
        (-0.5, -span / 2, 0.0),
        (0.5, span / 2, high),
    )
    return Design(
        sides=(1.0, span, high),
        joints=(joint,),
        lengths={"pivot": at},
        counts={"kind": r.whole(0, 1)},
    )


_DESIGNS: dict[str, Callable[[Draws], Design]] = {
    "cabinet": _cabinet,
    "cart": _cart,
    "chain": _chain,
    "desk_lamp": _desk_lamp,
    "pliers": _pliers,
    "scissors": _scissors,
}
JOINTED = tuple(_DESIGNS)
"""The categories of objects with joints, sorted."""
