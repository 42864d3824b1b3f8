"""Estimates the cost of a dataset from the costs of some of its scenes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.9


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one scene.

    Attributes:
      bytes: size of the record; 0 if the scene could not be rendered.
      core_seconds: CPU time of all processes that worked on the scene.
      seconds: wall time for a worker that has a core to itself.
    """

    bytes: int
    core_seconds: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An estimated mean or sum with its interval at the level `CONFIDENCE`.

    Attributes:
      mean: the estimate.
      low: lower end of the interval; None if the sample is a single scene.
      high: upper end of the interval, or None.
    """

    mean: float
    low: float | None
    high: float | None

    def __mul__(self, factor: float) -> Estimate:
        """Returns the estimate scaled by a known number."""
        return Estimate(
            mean=self.mean * factor,
            low=None if self.low is None else self.low * factor,
            high=None if self.high is None else self.high * factor,
        )


def mean_of(values: Sequence[float], population: int) -> Estimate:
    """Estimates the mean of a population from a sample.

    The interval is Student's t: mean -+ t s / sqrt(n) sqrt(1 - n / N). The last factor
    is the finite population correction.

    Args:
      values: the n sampled values, at least one, chosen independently of their value;
        none is negative.
      population: N, the size of the population.
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
      costs: the costs of the pilot's scenes, at least one of which was rendered.
      scenes: number of scenes in the dataset.
      views: number of views in a scene.
      cores: number of cores that render it, with a worker on each.
      price: price of a core-hour, in any currency.

    Returns:
      Estimates by name: the bytes of a record, a view and the dataset, the core-seconds
      of a scene, and the core-hours, wall hours and price of the dataset.
    """
    record = mean_of([cost.bytes for cost in costs if cost.bytes], scenes)
    core = mean_of([cost.core_seconds for cost in costs], scenes)
    busy = mean_of([cost.seconds for cost in costs], scenes)
    estimates = {
        "record_bytes": record,
        "view_bytes": record * (1 / views),
        "dataset_bytes": mean_of([cost.bytes for cost in costs], scenes) * scenes,
        "scene_core_seconds": core,
        "core_hours": core * (scenes / 3600),
        "wall_hours": busy * (scenes / min(cores, scenes) / 3600),
    }
    if price is not None:
        estimates["price"] = estimates["core_hours"] * price
    return estimates
