"""Types of the values in a spec: ranges, shares and names, with bounds on every number.

The docstring of a check completes the error message "must be ...".

The bounds are far beyond any use. Within them, all numbers of a scene are finite, and
sampling a scene takes minutes at most.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pydantic
from annotated_types import Ge, Le, Predicate
from pydantic_core import PydanticCustomError, core_schema

PHYSICS_RATE = 240
"""Physics steps per second; dynamics steps are a subset."""

LEAST = 1e-6
"""Least value of a positive number; scenes are rounded to 1e-9."""
MOST_METRES = 100_000.0
MOST_DEGREES = 36_000.0
MOST_PERCENT = 10_000.0
MOST_SPEED = 10_000.0  # metres per second
MOST_WEIGHT = 1e6
MOST_FACTOR = 1000.0
LENS = 1e-3, 10_000.0  # millimetres
MOST_OBJECTS = 254
"""Instance ids are bytes, and 0 is the background."""
MOST_SCENES = 1_000_000_000
"""Per dataset; as many need a million shards."""
MOST_PIXELS = 2**30
"""Per scene, in all views: a record must be smaller than 2 GiB."""
MOST_BOXES = 1_000_000
"""Objects times views of a scene; 27 points of each are projected at once."""
MOST_SAMPLED = 20_000_000
"""Objects times views times attempts; takes minutes if every attempt fails."""
MOST_NAME = 80
"""Characters in the name of a dataset or split. File names hold both, and file systems
allow 255 bytes."""

# pydantic reads this on stdlib dataclasses: unknown keys and NaN are errors.
STRICT = {"extra": "forbid", "allow_inf_nan": False, "strict": True}


def asked(check: Callable[..., bool]) -> str:
    """Returns a check's docstring, to follow "must be" in an error."""
    text = " ".join((check.__doc__ or "").split()).rstrip(".")
    return text[:1].lower() + text[1:]


class Shorthand:
    """Marks a type that a spec may also write in a shorter form; see `_read`."""

    def _read(self, value: Any) -> Any:
        """Returns the long form of a value."""
        raise NotImplementedError

    def __get_pydantic_core_schema__(
        self, source: Any, handler: pydantic.GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Reads a value before it is checked by its type."""
        return core_schema.no_info_before_validator_function(
            self._read, handler(source)
        )


@dataclass(frozen=True)
class Pair(Shorthand):
    """Two numbers; a single number stands for both.

    Attributes:
      names: the names of the two, for errors.
    """

    names: str = "low, high"

    def _read(self, value: Any) -> Any:
        if _is_number(value):
            return value, value
        if isinstance(value, list | tuple) and len(value) == 2:
            return tuple(value)
        raise PydanticCustomError(
            "pair", "two numbers [{names}], or one for both", {"names": self.names}
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Returns a schema that accepts both forms; their keywords do not overlap."""
        pair = handler(schema)
        one = pair["prefixItems"][0]
        return one | pair | {"type": [one["type"], "array"]}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ordered(value: tuple[float, float]) -> bool:
    """[low, high] with low <= high."""
    return value[0] <= value[1]


def _whole_steps(value: int) -> bool:
    """A divisor of 240, the physics' steps a second."""
    return PHYSICS_RATE % value == 0


def _safe_name(value: str) -> bool:
    """A letter from a to z, then at most 79 such letters, digits and underscores."""
    return re.fullmatch(_NAME, value) is not None


def _not_all(value: str) -> bool:
    """Another name than `all`, which readers take for all splits together."""
    return value != "all"


def _semantic(value: str) -> bool:
    """A version such as 1.0.0, without leading zeros."""
    return re.fullmatch(_VERSION, value) is not None


_NAME = f"[a-z][a-z0-9_]{{0,{MOST_NAME - 1}}}"
_NUMBER = "(0|[1-9][0-9]{0,8})"
_VERSION = rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"


def _pattern(text: str) -> Any:
    """Adds a pattern to the JSON Schema; a check enforces it in Python."""
    return pydantic.Field(json_schema_extra={"pattern": f"^{text}$"})


Share = Annotated[float, Ge(0), Le(1)]
Weight = Annotated[float, Ge(0), Le(MOST_WEIGHT)]
Metres = Annotated[float, Ge(0), Le(MOST_METRES)]
PositiveMetres = Annotated[float, Ge(LEAST), Le(MOST_METRES)]
Millimetres = Annotated[float, Ge(LENS[0]), Le(LENS[1])]
Degrees = Annotated[float, Ge(0), Le(MOST_DEGREES)]
FrameRate = Annotated[int, Ge(1), Le(PHYSICS_RATE), Predicate(_whole_steps)]
_PositiveDegrees = Annotated[float, Ge(LEAST), Le(MOST_DEGREES)]
_Count = Annotated[int, Ge(1), Le(MOST_OBJECTS)]
_Factor = Annotated[float, Ge(LEAST), Le(MOST_FACTOR)]
_Percent = Annotated[float, Ge(0), Le(MOST_PERCENT)]
_Speed = Annotated[float, Ge(0), Le(MOST_SPEED)]
_Elevation = Annotated[float, Ge(-90), Le(90)]
_Pixels = Annotated[int, Ge(8), Le(8192)]
CountRange = Annotated[tuple[_Count, _Count], Predicate(_ordered), Pair()]
MetresRange = Annotated[tuple[Metres, Metres], Predicate(_ordered), Pair()]
ShareRange = Annotated[tuple[Share, Share], Predicate(_ordered), Pair()]
PositiveMetresRange = Annotated[
    tuple[PositiveMetres, PositiveMetres], Predicate(_ordered), Pair()
]
DegreesRange = Annotated[tuple[Degrees, Degrees], Predicate(_ordered), Pair()]
PositiveDegreesRange = Annotated[
    tuple[_PositiveDegrees, _PositiveDegrees], Predicate(_ordered), Pair()
]
FactorRange = Annotated[tuple[_Factor, _Factor], Predicate(_ordered), Pair()]
PercentRange = Annotated[tuple[_Percent, _Percent], Predicate(_ordered), Pair()]
SpeedRange = Annotated[tuple[_Speed, _Speed], Predicate(_ordered), Pair()]
ElevationRange = Annotated[tuple[_Elevation, _Elevation], Predicate(_ordered), Pair()]
Size = Annotated[tuple[_Pixels, _Pixels], Pair("height, width")]
Name = Annotated[str, Predicate(_safe_name), _pattern(_NAME)]
Split = Annotated[
    str, Predicate(_safe_name), Predicate(_not_all), _pattern(f"(?!all$){_NAME}")
]
Version = Annotated[str, Predicate(_semantic), _pattern(_VERSION)]
