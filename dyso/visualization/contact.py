"""Tells whether an object's shadow on the floor is visible where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dyso import geometry

FIELDS = (
    "color",
    "depth",
    "instance",
    "intrinsics",
    "extrinsics",
    "objects/positions",
    "objects/sizes",
)
DARKER = 0.8
"""Luminance, relative to the floor farther away, below which a shadow is visible."""
SECTORS = 12
"""Directions around an object, in one of which the shadow falls."""
LEAST = 8
"""Pixels of the floor that a sector needs."""
VIEWS = 5
"""Views of a scene that are examined, evenly chosen; they show one light."""
_FLOOR = 0.02  # metres
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def has_contact_shadow(record: Mapping[str, Any], steps: Sequence[int]) -> bool | None:
    """Returns whether the floor beside an object is darker in one direction.

    Compares the median luminance of the floor beside the object, in each of SECTORS
    directions, with the floor farther away in the same direction and with the brightest
    of the other directions. A shadow is darker than both; a pattern of the floor, or a
    floor that is darker on one side, seldom is.

    Args:
      record: FIELDS of a record.
      steps: the dynamics step of each view.

    Returns:
      Whether it holds for an object in any of the VIEWS; None if none shows enough
      floor beside an object.
    """
    answers = []
    for view in range(0, len(steps), -(-len(steps) // VIEWS)):
        points = geometry.unproject(
            record["depth"][view, ..., 0],
            record["intrinsics"][view],
            record["extrinsics"][view],
        )
        floor = (record["instance"][view, ..., 0] == 0) & (
            np.abs(points[..., 2]) < _FLOOR
        )
        light = (record["color"][view] / 255.0) ** 2.2 @ _LUMINANCE
        at, shown = points[floor][:, :2], light[floor]
        positions = record["objects/positions"]
        for position, sizes in zip(
            positions[:, steps[view]], record["objects/sizes"], strict=True
        ):
            answers.append(_shadow(at - position[:2], shown, float(np.max(sizes)) / 2))
    known = [answer for answer in answers if answer is not None]
    return any(known) if known else None


def _shadow(away: np.ndarray, light: np.ndarray, radius: float) -> bool | None:
    """Returns whether the floor at offsets [n, 2] from an object is darker there."""
    distance = np.hypot(away[:, 0], away[:, 1])
    turn = np.arctan2(away[:, 1], away[:, 0]) / (2 * np.pi) % 1
    sector = (turn * SECTORS).astype(int) % SECTORS
    beside = distance < 1.5 * radius
    beyond = (distance > 1.8 * radius) & (distance < 3.5 * radius)
    near, far = (
        np.array([_median(light[zone & (sector == i)]) for i in range(SECTORS)])
        for zone in (beside, beyond)
    )
    if np.isnan(near).sum() > SECTORS - 3 or np.isnan(far).all():
        return None
    reference = np.where(np.isnan(far), np.nanmedian(far), far)
    dark = (near < DARKER * reference) & (near < DARKER * np.nanmax(near))
    return bool(dark.any())


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) >= LEAST else np.nan
