"""One object or HDRI, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Vector = tuple[float, float, float]
Bounds = tuple[Vector, Vector]
"""The lower and the upper corner of a box."""


@dataclass(frozen=True, kw_only=True)
class Joint:
    """A joint of an object, and the part that it moves.

    Part 0 of an object is its base. Joint j, from 0, moves part j + 1, and with it the
    parts whose joints have that part as a parent. At the value 0, all parts are where
    they are in the rest shape. Axis and origin are those of the rest shape, in the
    object's frame.

    Attributes:
      name: what the part is, such as `door`; several parts may have the same name.
      type: `revolute` turns the part about the axis, `prismatic` moves it along.
      parent: the part that the joint is fixed to; an earlier one.
      axis: unit vector. Turns are counter-clockwise, seen from its tip.
      origin: a point on the axis.
      limits: the lowest and the highest value: radians if revolute, else a length.
      bounds: lower and upper corner of a box that holds the part in the rest shape.
    """

    name: str
    type: Literal["revolute", "prismatic"]
    parent: int
    axis: Vector
    origin: Vector
    limits: tuple[float, float]
    bounds: Bounds


@dataclass(frozen=True, kw_only=True)
class Clip:
    """An animation of an object.

    Attributes:
      name: its name, which no other clip of the object has.
      start: seconds, its first moment.
      end: seconds, its last.
      bounds: a box that holds the object through all of the clip.
    """

    name: str
    start: float
    end: float
    bounds: Bounds


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One object or HDRI of a catalog.

    Attributes:
      id: its key in the manifest.
      category: an object's category; empty for an HDRI.
      bounds: an object's axis-aligned bounding box, lower and upper corner, in the
        units of its own mesh; all zero for an HDRI.
      textured: whether it brings its own materials; otherwise one is sampled.
      checksum: sha256 of its content, where the manifest has it; else empty.
      joints: of an object with moving parts, in the units of its own mesh.
      clips: the animations of an object, likewise.
      rest: the bounding box of an object with clips in its rest shape, likewise. That
        of importers, `bounds`, may differ.
    """

    id: str
    category: str = ""
    bounds: Bounds = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    textured: bool = True
    checksum: str = ""
    joints: tuple[Joint, ...] = ()
    clips: tuple[Clip, ...] = ()
    rest: Bounds = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))

    def playable(self, patterns: Sequence[str]) -> tuple[Clip, ...]:
        """Returns the clips whose names match one of some patterns, such as `walk*`."""
        return tuple(
            clip
            for clip in self.clips
            if any(fnmatchcase(clip.name, pattern) for pattern in patterns)
        )
