"""Gaits: the pose of a creature's skeleton at any phase of its walk, swim or crawl.

A creature faces x and moves forward. One cycle of its gait takes it one `stride` ahead.

- Waves turn or move bones by sinusoids of the phase: the undulation of a fish or a
  snake, the sway of a spine, the beat of a fin.
- A leg's foot stays where it is on the floor during its stance, while the body moves
  ahead along its path, and swings forward in the rest of the cycle. Its two upper bones
  reach for it in closed form, bent to the side to which they are bent at rest.
- The body bends along its path.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from dyso.geometry.cameras import transform
from dyso.geometry.skeletons import forward_kinematics

_STRAIGHT = 0.9995
"""Share of a leg's length beyond which it is not stretched."""
_SHORTEST = 0.1
"""Least amplitude that a stride is shortened to, or it would take no distance."""
_BENT = 1.6
"""Radians by which a body bends at most, however narrow the curve of its path."""
_NODES = 9
"""Points of a step by which a path is integrated."""


@dataclass(frozen=True, kw_only=True)
class Wave:
    """A sinusoid: size * amplitude * sin(2 pi (cycles * phase + offset)).

    Attributes:
      bone: the bone that it turns, relative to its parent, or moves.
      axis: 0 for x, 1 for y, 2 for z.
      size: radians, or metres where it `moves`.
      cycles: in one cycle of the gait.
      offset: of a cycle.
      moves: it moves the bone's joint along the axis instead of turning it.
    """

    bone: int
    axis: int
    size: float
    cycles: int = 1
    offset: float = 0.0
    moves: bool = False


@dataclass(frozen=True, kw_only=True)
class Leg:
    """A leg of three bones.

    Attributes:
      bones: the upper bone, the lower bone, and the foot, whose joint stays above one
        place of the floor during the stance. Not in a line at rest.
      offset: of a cycle, by which the leg is ahead of the phase.
      stance: share of the cycle during which the foot is on the floor.
      lift: metres by which the foot is lifted in the swing.
      pitch: radians by which the foot's toes point down in the swing.
    """

    bones: tuple[int, int, int]
    offset: float
    stance: float
    lift: float
    pitch: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Path:
    """The way of a body over the floor.

    Attributes:
      start: metres along the path, of the first heading.
      spacing: metres between headings.
      headings: [P], radians from the x axis towards y. Between two, and to both sides
        of all, they change linearly.
    """

    start: float
    spacing: float
    headings: Float[np.ndarray, " P"]

    def heading(self, distances: Float[np.ndarray, "*D"]) -> Float[np.ndarray, "*D"]:
        """Returns the headings at distances along the path, radians."""
        place = (distances - self.start) / self.spacing
        first = np.clip(np.floor(place), 0, len(self.headings) - 2).astype(int)
        low, high = self.headings[first], self.headings[first + 1]
        return np.asarray(low + (high - low) * (place - first))

    def between(self, start: float, end: float) -> Float[np.ndarray, 3]:
        """Returns how a body moves from one distance to another.

        Returns:
          x and y, metres, in the axes that it has at the start; and radians.
        """
        # By Simpson's rule, as headings are nearly linear over the length of a step.
        at = np.linspace(start, end, _NODES)
        turns = self.heading(at) - self.heading(at[:1])
        weights = np.ones(_NODES)
        weights[1:-1:2], weights[2:-1:2] = 4, 2
        weights *= (end - start) / (_NODES - 1) / 3
        x, y = weights @ np.cos(turns), weights @ np.sin(turns)
        return np.array([x, y, turns[-1]])


STRAIGHT = Path(start=0.0, spacing=1.0, headings=np.zeros(2))


@dataclass(frozen=True, kw_only=True, eq=False)
class Rig:
    """A skeleton and how it moves.

    Attributes:
      names: of the bones.
      parents: see `forward_kinematics`.
      joints: [B, 3], metres in the object's frame, at rest.
      waves: those of the gait.
      legs: those of the gait.
      bends: [B], metres of the body's length with which each bone bends in a curve.
      stride: metres that one cycle takes, at an amplitude of 1.
      shortens: a smaller amplitude takes shorter strides, as it does on legs.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    joints: Float[np.ndarray, "B 3"]
    waves: tuple[Wave, ...]
    legs: tuple[Leg, ...]
    bends: Float[np.ndarray, " B"]
    stride: float
    shortens: bool

    def scaled(self, factor: float) -> Rig:
        """Returns the rig in another size."""
        return replace(
            self,
            joints=self.joints * factor,
            waves=tuple(
                replace(wave, size=wave.size * factor) if wave.moves else wave
                for wave in self.waves
            ),
            legs=tuple(replace(leg, lift=leg.lift * factor) for leg in self.legs),
            bends=self.bends * factor,
            stride=self.stride * factor,
        )

    def along(self) -> Float[np.ndarray, " C"]:
        """Returns how far ahead of the root's joint bones bend with the path, metres.

        The last of the B + 1 numbers, 0, is that of the root's parent.
        """
        result = np.zeros(len(self.parents) + 1)
        for bone, parent in enumerate(self.parents):
            result[bone] = result[parent] + self.bends[bone]
        return result

    def stride_at(self, amplitude: float) -> float:
        """Returns the metres that one cycle takes."""
        share = max(amplitude, _SHORTEST) if self.shortens else 1.0
        return self.stride * share


def posed(
    rig: Rig,
    phase: float,
    amplitude: float = 1.0,
    path: Path = STRAIGHT,
    distance: float = 0.0,
) -> Float[np.ndarray, "B 3 4"]:
    """Returns the transforms of the bones from the rest shape to a pose.

    Args:
      rig: the skeleton.
      phase: cycles of the gait; any number.
      amplitude: of waves and steps; at 0 the creature is at rest.
      path: the way that the body takes.
      distance: metres along it, where the body is.
    """
    turns, moves = np.zeros((2, len(rig.parents), 3))
    for wave in rig.waves:
        angle = 2 * np.pi * (wave.cycles * phase + wave.offset)
        values = moves if wave.moves else turns
        values[wave.bone, wave.axis] += wave.size * amplitude * np.sin(angle)
    along = rig.along()
    headings = path.heading(distance + along)
    headings = np.clip(headings - headings[-1], -_BENT / 2, _BENT / 2)
    turns[:, 2] += headings[:-1] - headings[list(rig.parents)]
    rotations = _about(2, turns[:, 2]) @ _about(1, turns[:, 1]) @ _about(0, turns[:, 0])
    bones = forward_kinematics(rig.parents, rig.joints, rotations, moves)
    for leg in rig.legs:
        upper, lower, foot = leg.bones
        above = bones[rig.parents[upper]]
        x = along[rig.parents[upper]]
        target, turned = _step(rig, leg, phase, amplitude, path, distance, x)
        first, second = _reached(rig.joints[list(leg.bones)], above, target)
        rotations[upper] = above[:, :3].T @ first
        rotations[lower] = first.T @ second
        rotations[foot] = second.T @ turned
    return forward_kinematics(rig.parents, rig.joints, rotations, moves)


def _step(
    rig: Rig,
    leg: Leg,
    phase: float,
    amplitude: float,
    path: Path,
    distance: float,
    along: float,
) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, "3 3"]]:
    """Returns where a foot's joint is, and how the foot is turned.

    Args:
      rig: see `posed`.
      leg: the leg.
      phase: see `posed`.
      amplitude: see `posed`.
      path: see `posed`.
      distance: see `posed`.
      along: metres ahead of the body's middle where the leg hangs on it.
    """
    cycle = (phase + leg.offset) % 1
    rise = 0.0
    if cycle < leg.stance:
        share = cycle / leg.stance
    else:
        swing = (cycle - leg.stance) / (1 - leg.stance)
        share = 1 - swing * swing * (3 - 2 * swing)
        rise = amplitude * np.sin(np.pi * swing)
    # How far the body is past the middle of the stance, where the foot is as at rest.
    ahead = (share - 0.5) * leg.stance * rig.stride * amplitude
    x, y, turn = path.between(distance, distance + along - ahead)
    turned = _about(2, np.array(turn))
    place = turned @ (rig.joints[leg.bones[2]] - np.array([along, 0, 0]))
    place += np.array([x, y, leg.lift * rise])
    return place, turned @ _about(1, np.array(leg.pitch * rise))


def _reached(
    joints: Float[np.ndarray, "3 3"],
    above: Float[np.ndarray, "3 4"],
    target: Float[np.ndarray, " 3"],
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3 3"]]:
    """Returns the rotations of two bones with which a third joint is at its target.

    Args:
      joints: of the two bones and of the foot, at rest.
      above: the transform of the upper bone's parent.
      target: where the foot's joint goes; beyond reach, the leg points at it.
    """
    rest, side = joints[2] - joints[0], joints[1] - joints[0]
    start = transform(above, joints[0])
    one, two = np.linalg.norm(np.diff(joints, axis=0), axis=-1)
    way = target - start
    distance = np.linalg.norm(way)
    way = way / distance
    low, high = abs(one - two) / _STRAIGHT, (one + two) * _STRAIGHT
    distance = np.clip(distance, low, high)
    # The knee is in the plane of the way and of its side at rest.
    side = side - rest * (rest @ side) / (rest @ rest)
    turned = above[:, :3] @ side
    turned = turned - way * (way @ turned)
    turned /= np.linalg.norm(turned)
    along = (one**2 - two**2 + distance**2) / (2 * distance)
    knee = along * way + np.sqrt(max(one**2 - along**2, 0.0)) * turned
    bones = joints[1] - joints[0], joints[2] - joints[1]
    ways = knee, distance * way - knee
    normal, other = np.cross(rest, side), np.cross(way, turned)
    first, second = (
        _frame(new, other) @ _frame(old, normal).T
        for old, new in zip(bones, ways, strict=True)
    )
    return first, second


def _frame(
    way: Float[np.ndarray, " 3"], normal: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "3 3"]:
    """Returns the axes of a bone in the plane of its leg, as columns."""
    way = way / np.linalg.norm(way)
    normal = normal / np.linalg.norm(normal)
    return np.stack([way, normal, np.cross(way, normal)], axis=-1)


def _about(axis: int, angles: Float[np.ndarray, "*B"]) -> Float[np.ndarray, "*B 3 3"]:
    """Returns the rotations by angles about an axis of coordinates."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    matrices = np.zeros((*np.shape(angles), 3, 3))
    matrices[..., axis, axis] = 1
    matrices[..., a, a] = matrices[..., b, b] = np.cos(angles)
    matrices[..., b, a] = np.sin(angles)
    matrices[..., a, b] = -np.sin(angles)
    return matrices
