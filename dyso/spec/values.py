"""What values of a spec may be: ranges, shares, names.

The docstring of a check is what an error says that the value must be.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from annotated_types import Ge, Gt, Le, Predicate

PHYSICS_RATE = 240
"""Steps a second of the physics, of which dynamics steps are some."""

# pydantic reads this on stdlib dataclasses: unknown keys and NaN are errors.
STRICT = {"extra": "forbid", "allow_inf_nan": False, "strict": True}


def asked(check: Callable[..., bool]) -> str:
    """Gives what a check asks for, to follow "must be": its docstring."""
    text = (check.__doc__ or "").strip().rstrip(".")
    return text[:1].lower() + text[1:]


def _ordered(value: tuple[float, float]) -> bool:
    """[low, high] with low <= high."""
    return value[0] <= value[1]


def _positive(value: tuple[float, float]) -> bool:
    """[low, high] with both above 0."""
    return min(value) > 0


def _whole_steps(value: int) -> bool:
    """A divisor of 240, the physics' steps a second."""
    return PHYSICS_RATE % value == 0


def _safe_name(value: str) -> bool:
    """A lower-case name of letters, digits and underscores."""
    return value.isidentifier() and value == value.lower()


def _semantic(value: str) -> bool:
    """A version such as 1.0.0."""
    return re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9}){2}", value) is not None


NonNegative = Annotated[float, Ge(0)]
Positive = Annotated[float, Gt(0)]
Share = Annotated[float, Ge(0), Le(1)]
FrameRate = Annotated[int, Ge(1), Predicate(_whole_steps)]
CountRange = Annotated[
    tuple[Annotated[int, Ge(1)], Annotated[int, Le(254)]], Predicate(_ordered)
]
PositiveRange = Annotated[
    tuple[float, float], Predicate(_ordered), Predicate(_positive)
]
NonNegativeRange = Annotated[tuple[NonNegative, NonNegative], Predicate(_ordered)]
ElevationRange = Annotated[
    tuple[Annotated[float, Ge(-90), Le(90)], Annotated[float, Ge(-90), Le(90)]],
    Predicate(_ordered),
]
Name = Annotated[str, Predicate(_safe_name)]
Version = Annotated[str, Predicate(_semantic)]
