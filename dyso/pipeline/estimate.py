"""What a dataset costs, reckoned from the costs of some of its scenes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.9


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one scene took.

    Attributes:
      bytes: of its record; 0 if it could not be rendered.
      core_seconds: of all processes that worked on it.
      seconds: that it keeps a worker busy which has a core to itself.
    """

    bytes: int
    core_seconds: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean, or a sum made of it, and its interval of `CONFIDENCE`.

    Attributes:
      low: the lower end; None if a single scene tells nothing of the spread.
      high: the upper end, or None.
    """

    mean: float
    low: float | None
    high: float | None

    def __mul__(self, factor: float) -> Estimate:
        """Scales by a known number."""
        return Estimate(
            mean=self.mean * factor,
            low=None if self.low is None else self.low * factor,
            high=None if self.high is None else self.high * factor,
        )


def mean_of(values: Sequence[float], population: int) -> Estimate:
    """Estimates a population's mean from some of it.

    The interval is Student's t: mean -+ t s / sqrt(n) sqrt(1 - n / N), where the last
    factor is for a population of N of which few are left unseen.

    Args:
      values: n of the population, at least one, chosen without regard to their value;
        none is negative.
      population: N, its size.
    """
    from scipy.special import stdtrit

    count = len(values)
    mean = statistics.fmean(values)
    if count == population:
        return Estimate(mean=mean, low=mean, high=mean)
    if count == 1:
        return Estimate(mean=mean, low=None, high=None)
    unseen = 1 - count / population
    error = statistics.stdev(values) * math.sqrt(unseen / count)
    half = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * error
    return Estimate(mean=mean, low=max(0.0, mean - half), high=mean + half)


def estimate(
    costs: Sequence[Cost],
    *,
    scenes: int,
    views: int,
    cores: int,
    price: float | None = None,
) -> dict[str, Estimate]:
    """Estimates a dataset from a pilot.

    Args:
      costs: of the pilot's scenes, at least one of which was rendered.
      scenes: in the dataset.
      views: in a scene.
      cores: that render it, a worker on each.
      price: of a core-hour, in any currency.

    Returns:
      Estimates by name: the bytes of a record, a view and the dataset, the core-seconds
      of a scene, and the dataset's core-hours, wall hours and price.
    """
    record = mean_of([cost.bytes for cost in costs if cost.bytes], scenes)
    core = mean_of([cost.core_seconds for cost in costs], scenes)
    busy = mean_of([cost.seconds for cost in costs], scenes)
    found = {
        "record_bytes": record,
        "view_bytes": record * (1 / views),
        "dataset_bytes": mean_of([cost.bytes for cost in costs], scenes) * scenes,
        "scene_core_seconds": core,
        "core_hours": core * (scenes / 3600),
        "wall_hours": busy * (scenes / min(cores, scenes) / 3600),
    }
    if price is not None:
        found["price"] = found["core_hours"] * price
    return found
