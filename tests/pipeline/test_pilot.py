"""The pilot's own work, with a renderer that returns at once."""

import dataclasses
import functools
import itertools

import hypothesis.strategies as st
import pytest
from hypothesis import given

from dyso import records
from dyso.pipeline.pilot import choose, run_pilot
from dyso.records.synthetic import synthetic_views
from dyso.render import RenderError
from dyso.render.client import RECYCLE
from dyso.sampling import sample_scene
from dyso.spec import UserError
from helpers.instant_renderer import InstantRenderer

START, CPU = 600.0, 30.0


class Timed(InstantRenderer):
    """A renderer that reports core-seconds, like a worker."""

    def render(self, scene, watch=None):
        timings = {"start": START, "cpu": CPU}
        return dataclasses.replace(super().render(scene), timings=timings)


SPLITS = st.dictionaries(
    st.sampled_from(["train", "validation", "test"]), st.integers(1, 500), min_size=1
)


@given(SPLITS, st.integers(1, 40))
def test_the_pilot_is_spread_evenly_over_all_scenes(splits, count):
    every = [(split, i) for split, n in splits.items() for i in range(n)]
    count = min(count, len(every))
    places = [every.index(chosen) for chosen in choose(splits, count)]
    assert len(set(places)) == count
    ends = [-1 - places[0], *places, 2 * len(every) - 1 - places[-1]]
    gaps = [b - a for a, b in itertools.pairwise(ends)]
    assert max(gaps) - min(gaps) <= 2


def test_costs_are_the_workers_a_share_of_its_start_and_our_own(tiny):
    seen = []
    costs, failures = run_pilot(
        tiny, 10, workers=2, renderer=Timed, watch=lambda done: seen.append(done)
    )
    assert failures == [] and len(costs) == 10 and seen[-1] == 10
    for cost in costs:
        ours = cost.core_seconds - CPU - START / RECYCLE
        assert 0 < ours < 1
        assert cost.seconds == cost.core_seconds
    sizes = []
    for split, scenes in tiny.spec.splits.items():
        for index in range(scenes):
            scene = sample_scene(tiny, split, index)
            sizes.append(len(records.encode(scene, synthetic_views(scene))))
    assert sorted(cost.bytes for cost in costs) == sorted(sizes)


def test_on_a_gpu_seconds_are_wall_time(tiny):
    renderer = functools.partial(Timed, seconds=0.05)
    costs, _ = run_pilot(tiny, 2, workers=1, device="cuda", renderer=renderer)
    for cost in costs:
        assert 0.05 < cost.seconds - START / RECYCLE < 5 < cost.core_seconds


def test_failed_scenes_are_reported_but_not_resampled_ones(tiny):
    failing = {("train", 2): range(100), ("test", 1): range(1)}
    renderer = functools.partial(Timed, failing=failing)
    costs, failures = run_pilot(tiny, 10, workers=1, renderer=renderer)
    assert sorted(cost.bytes == 0 for cost in costs) == [False] * 9 + [True]
    [failure] = failures
    assert (failure.index, failure.reason) == (2, "asset")


def test_a_pilot_of_failures_is_a_one_line_error(tiny):
    failing = {
        (split, index): range(100)
        for split, scenes in tiny.spec.splits.items()
        for index in range(scenes)
    }
    renderer = functools.partial(Timed, failing=failing)
    with pytest.raises(UserError, match=r"none of 4 scenes .* the first: it broke"):
        run_pilot(tiny, 4, workers=2, renderer=renderer)


class NoDevice(InstantRenderer):
    def render(self, scene, watch=None):
        raise RenderError("device", "device hip: Blender finds none here")


def test_a_missing_device_ends_the_pilot(tiny):
    with pytest.raises(UserError, match=r"^device hip: Blender finds none here$"):
        run_pilot(tiny, 4, workers=2, device="hip", renderer=NoDevice)
