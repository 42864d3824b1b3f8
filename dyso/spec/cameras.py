"""The section `cameras` of a spec: number, lens and placement."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import pydantic
from annotated_types import Ge, Le, Predicate
from pydantic_core import PydanticCustomError, core_schema

from dyso.spec.values import (
    STRICT,
    Degrees,
    DegreesRange,
    ElevationRange,
    FactorRange,
    Metres,
    MetresRange,
    Millimetres,
    PercentRange,
    PositiveDegreesRange,
    PositiveMetres,
    PositiveMetresRange,
    Shorthand,
    Weight,
)


@dataclass(frozen=True, kw_only=True)
class Shift:
    """Even positions along the camera's horizontal axis, with one orientation.

    Attributes:
      weight: relative frequency of this pattern among all patterns.
      extent: metres from the first position to the last.
    """

    weight: Weight = 1.0
    extent: PositiveMetresRange = (1.0, 3.0)
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Pan:
    """One position, with even yaw angles over an arc about the vertical.

    Attributes:
      weight: relative frequency of this pattern among all patterns.
      arc: degrees from the first yaw to the last.
    """

    weight: Weight = 1.0
    arc: PositiveDegreesRange = (8.0, 30.0)
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Zoom:
    """Cameras of one orientation, along the optical axis or with other focal lengths.

    Attributes:
      weight: relative frequency of this pattern among all patterns.
      extent: metres from the first position to the last, for `by: position`.
      by: `position`, or `focal_length` from one position.
      factor: largest over smallest focal length, for `by: focal_length`.
    """

    weight: Weight = 1.0
    extent: PositiveMetresRange = (1.0, 3.0)
    by: Literal["position", "focal_length"] = "position"
    factor: FactorRange = (1.3, 2.0)
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Random:
    """Points uniform in a ball around a fixed point, all looking at one target.

    Attributes:
      weight: relative frequency of this pattern among all patterns.
      radius: metres, the ball's radius.
    """

    weight: Weight = 1.0
    radius: PositiveMetresRange = (0.5, 2.0)
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Shell:
    """Independent points on the half-sphere shell, all looking at one target.

    Their distances and elevations are drawn from those of `cameras`.

    Attributes:
      weight: relative frequency of this pattern among all patterns.
    """

    weight: Weight = 0.0
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Rig:
    """Cameras all around the target, on one sphere, all looking at the target.

    The cameras are spread evenly over the band of `elevation`. Each scene draws the
    rig's radius from `distance`, and a random turn about the vertical. With a single
    `distance` and no noise, the rigs of all scenes differ only in this turn.

    Attributes:
      weight: relative frequency of this pattern among all patterns.
    """

    weight: Weight = 0.0
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Handheld:
    """A hand-held camera: a slow, smooth, shaky path, loosely aimed at the target.

    Attributes:
      weight: relative frequency of this pattern among all patterns.
      drift: metres, the largest distance between two positions of the slow path.
      baseline: largest distance between two cameras, shake included, in percent of the
        distance to the target; replaces `drift`.
      wander: degrees, standard deviation of the slow turns away from the target.
      shake: metres, standard deviation of the quick moves along each axis; replaces
        `position_noise`.
      tremble: degrees, standard deviation of the quick turns about each axis.
      beside: how far the held-out cameras of a video are from the middle of its path,
        in percent of the distance to the target. They form a circle across the line of
        sight, and look at the target.
    """

    weight: Weight = 0.0
    drift: MetresRange = (0.3, 1.5)
    baseline: PercentRange | None = None
    wander: Degrees = 2.0
    shake: Metres = 0.005
    tremble: Degrees = 0.3
    beside: PercentRange = (5.0, 10.0)
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Patterns:
    """The camera patterns, drawn by weight (the official release has the first four).

    A list of names in place of the mapping selects patterns: `[zoom, pan]` draws these
    two equally often and no other, each with its default settings.
    """

    shift: Shift = Shift()
    pan: Pan = Pan()
    zoom: Zoom = Zoom()
    random: Random = Random()
    shell: Shell = Shell()
    handheld: Handheld = Handheld()
    rig: Rig = Rig()
    __pydantic_config__ = STRICT

    def weights(self) -> dict[str, float]:
        """Returns each pattern's weight by its name, in the order of the fields."""
        return {each.name: getattr(self, each.name).weight for each in fields(self)}


@dataclass(frozen=True)
class PatternNames(Shorthand):
    """Has pydantic read a list of names as the patterns with weight 1."""

    def _read(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        names = list(Patterns().weights())
        if not all(name in names and value.count(name) == 1 for name in value):
            raise PydanticCustomError(
                "patterns",
                "a mapping, or a list of distinct names among {names}",
                {"names": ", ".join(names)},
            )
        return {name: {"weight": float(name in value)} for name in names}

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Returns a schema that accepts both forms; their keywords do not overlap."""
        reference = handler(schema)
        handler.resolve_ref_schema(reference).update(
            type=["object", "array"],
            items={"type": "string", "enum": [*Patterns().weights()]},
            minItems=1,
            uniqueItems=True,
        )
        return reference


def _has_weight(value: Patterns) -> bool:
    """At least one pattern with a weight above 0."""
    return sum(value.weights().values()) > 0


@dataclass(frozen=True, kw_only=True)
class Cameras:
    """The cameras, and which dynamics steps they see.

    The middle of a trajectory is at a random azimuth, `distance` and `elevation` from
    the target, and looks at the target.

    Attributes:
      count: number of cameras in a scene (official release: 5).
      paired: camera i sees only dynamics step i, like one moving camera, so `count`
        must equal `dynamics.steps`, plus `held_out`; otherwise every camera sees every
        step.
      held_out: number of cameras reserved for testing: the last ones of every scene by
        number. Their positions are mixed with those of the training cameras. Beside
        the moving camera of paired ones, they are still, and see every step.
      focal_length: millimetres (MultiShapeNet: 35).
      sensor_width: millimetres (MultiShapeNet: 32).
      distance: metres from the target (MultiShapeNet: 8 to 12).
      elevation: degrees above the target.
      azimuth: degrees about the vertical, from x towards y, in which a trajectory's
        middle lies from the target; `[0, 60]` keeps the cameras on one side.
      target_height: metres, the height of the target above the floor.
      target_noise: metres, standard deviation of the target along x and y.
      position_noise: metres, standard deviation added to every position.
      min_height: metres, the least height of a camera above the floor.
      patterns: settings of each pattern by its name, or a list of the names to draw.
    """

    count: Annotated[int, Ge(1), Le(1000)] = 5
    paired: bool = False
    held_out: Annotated[int, Ge(0), Le(999)] = 0
    focal_length: Millimetres = 35.0
    sensor_width: Millimetres = 32.0
    distance: PositiveMetresRange = (4.5, 7.0)
    elevation: ElevationRange = (12.0, 45.0)
    azimuth: DegreesRange = (0.0, 360.0)
    target_height: Metres = 0.7
    target_noise: Metres = 0.3
    position_noise: Metres = 0.05
    min_height: PositiveMetres = 0.3
    patterns: Annotated[Patterns, Predicate(_has_weight), PatternNames()] = Patterns()
    __pydantic_config__ = STRICT

    @property
    def testing(self) -> range:
        """The test cameras: those held out, or the last one if none is."""
        return range(self.count - (self.held_out or 1), self.count)
