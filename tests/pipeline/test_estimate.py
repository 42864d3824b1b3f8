"""The arithmetic of `dyso plan`."""

import math
import statistics

import numpy as np
import pytest

from dyso.pipeline.estimate import Cost, estimate, mean_of


def test_the_interval_is_students_t():
    # The textbook's quantile of t with 7 degrees of freedom is 1.895.
    values = [3.0, 5.0, 4.0, 6.0, 5.0, 4.0, 7.0, 6.0]
    found = mean_of(values, population=10**9)
    half = 1.895 * statistics.stdev(values) / math.sqrt(8)
    assert found.mean == 5.0
    assert found.high - found.mean == pytest.approx(half, rel=1e-3)
    assert found.mean - found.low == pytest.approx(half, rel=1e-3)


def test_nine_of_ten_intervals_hold_the_truth():
    rng = np.random.default_rng(0)
    population = rng.gamma(20.0, size=40)
    hits = 0
    for _ in range(1000):
        found = mean_of(rng.choice(population, 8, replace=False), population=40)
        hits += found.low <= population.mean() <= found.high
    assert 870 <= hits <= 930


def test_a_pilot_of_all_scenes_has_no_interval_and_of_one_an_unknown_interval():
    assert (mean_of([1.0, 5.0], 2).low, mean_of([1.0, 5.0], 2).high) == (3.0, 3.0)
    assert (mean_of([5.0], 2).low, mean_of([5.0], 2).high) == (None, None)
    assert (mean_of([5.0], 1).low, mean_of([5.0], 1).high) == (5.0, 5.0)
    assert (mean_of([5.0], 2) * 2).low is None


def test_costs_are_never_negative():
    assert mean_of([0.0, 0.0, 9.0], 100).low == 0.0


def test_totals_are_multiples_of_the_scene():
    costs = [
        Cost(bytes=1000, core_seconds=36.0, seconds=40.0),
        Cost(bytes=3000, core_seconds=36.0, seconds=50.0),
    ]
    found = estimate(costs, scenes=1000, views=25, cores=10, price=0.5)
    assert {name: value.mean for name, value in found.items()} == pytest.approx(
        {
            "record_bytes": 2000,
            "view_bytes": 80,
            "dataset_bytes": 2_000_000,
            "scene_core_seconds": 36,
            "core_hours": 10,
            "wall_hours": 1.25,
            "price": 5,
        }
    )
    core_hours, price = found["core_hours"], found["price"]
    assert core_hours.low == core_hours.high == pytest.approx(10)
    assert price.low == price.high == pytest.approx(5)
    for value in found.values():
        assert value.low <= value.mean <= value.high
    assert "price" not in estimate(costs, scenes=1000, views=25, cores=10)


def test_more_cores_than_scenes_do_not_help():
    costs = [Cost(bytes=1, core_seconds=3600.0, seconds=3600.0)] * 2
    assert estimate(costs, scenes=4, views=1, cores=99)["wall_hours"].mean == 1.0


def test_a_failed_scene_adds_time_and_no_bytes():
    costs = [
        Cost(bytes=1000, core_seconds=10.0, seconds=10.0),
        Cost(bytes=0, core_seconds=30.0, seconds=30.0),
    ]
    found = estimate(costs, scenes=100, views=10, cores=1)
    assert found["record_bytes"].mean == 1000
    assert found["dataset_bytes"].mean == 50_000
    assert found["scene_core_seconds"].mean == 20
