"""One object or HDRI, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Vector = tuple[float, float, float]


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
    bounds: tuple[Vector, Vector]


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
    """

    id: str
    category: str = ""
    bounds: tuple[Vector, Vector] = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    textured: bool = True
    checksum: str = ""
    joints: tuple[Joint, ...] = ()
