import hypothesis.strategies as st
import pytest
from hypothesis import given

from dyso.pipeline.plan import Shard, part_size, plan_parts, plan_shards

SPLITS = st.dictionaries(
    st.sampled_from(["train", "validation", "test"]), st.integers(1, 5000), min_size=1
)


def indices(shards):
    return [(s.split, i) for s in shards for i in range(s.start, s.stop)]


@given(SPLITS, st.integers(1, 6000))
def test_shards_hold_every_scene_once_and_are_even(splits, per_shard):
    shards = list(plan_shards(splits, per_shard))
    assert indices(shards) == [(k, i) for k, n in splits.items() for i in range(n)]
    for split in splits:
        sizes = [s.stop - s.start for s in shards if s.split == split]
        assert max(sizes) <= per_shard and max(sizes) - min(sizes) <= 1
    names = [shard.filename("data") for shard in shards]
    assert len(set(names)) == len(names)


@st.composite
def begun_shards(draw):
    start = draw(st.integers(0, 50))
    stop = start + draw(st.integers(1, 200))
    spans = st.tuples(st.integers(start, stop), st.integers(start, stop))
    done = draw(st.lists(spans.filter(lambda span: span[0] < span[1]), max_size=8))
    shard = Shard(split="train", number=0, of=1, start=start, stop=stop)
    return shard, done


@given(begun_shards(), st.integers(1, 64))
def test_parts_cover_a_shard_exactly_whatever_is_there_already(begun, size):
    shard, done = begun
    parts = list(plan_parts(shard, size, done))
    assert [(shard.split, i) for p in parts for i in range(p.start, p.stop)] == (
        indices([shard])
    )
    new = [p for p in parts if (p.start, p.stop) not in done]
    assert all(p.stop - p.start <= size for p in new)


@given(begun_shards(), st.integers(1, 64), st.integers(1, 64))
def test_parts_that_are_there_are_kept_under_another_size(begun, size, other):
    shard, _ = begun
    there = [(p.start, p.stop) for p in plan_parts(shard, size)]
    kept = there[::2]
    parts = {(p.start, p.stop) for p in plan_parts(shard, other, kept)}
    assert parts.issuperset(kept)


@pytest.mark.parametrize(
    ("scenes", "workers"), [(1, 1), (12, 2), (1000, 2), (1_110_000, 96)]
)
def test_small_datasets_give_every_worker_parts(scenes, workers):
    parts = -(-scenes // part_size(scenes, workers))
    assert parts >= min(scenes, 8 * workers)


def test_a_million_scenes_are_planned_in_files_that_can_all_be_open():
    splits = {"train": 1_000_000, "validation": 100_000, "test": 10_000}
    shards = list(plan_shards(splits, 1024))
    assert max(s.of for s in shards) <= 1000
