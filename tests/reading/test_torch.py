"""The PyTorch dataset. PyTorch is no dependency: `pip install torch` runs these."""

import numpy as np
import pytest

from dyso.reading import Source
from dyso.reading.order import WindowedOrder

torch = pytest.importorskip("torch")

from dyso.reading.torch import EpochSampler, Scenes  # noqa: E402

FIELDS = ("color", "index")


@pytest.fixture
def scenes(dataset):
    return Scenes(Source(split=dataset["train"], fields=FIELDS, views=2))


def load(scenes, **options):
    return torch.utils.data.DataLoader(scenes, collate_fn=scenes.collate, **options)


def views(batches):
    """Returns the drawn views by scene."""
    return {
        int(index): tuple(views.tolist())
        for batch in batches
        for index, views in zip(batch["index"], batch["views"], strict=True)
    }


def test_batches_are_tensors_with_the_scenes_values(dataset, scenes):
    batch = next(iter(load(scenes, batch_size=4)))
    assert batch["color"].shape == (4, 2, 24, 32, 3)
    assert batch["color"].dtype == torch.uint8
    truth = dataset["train"].read(3, fields=["color"])["color"]
    assert np.array_equal(batch["color"][3], truth[batch["views"][3]])


def test_text_and_fields_of_various_lengths_are_lists(dataset):
    split = dataset["train"]
    batch = next(iter(load(Scenes(Source(split=split)), batch_size=10)))
    assert set(batch) == set(split[0])
    assert batch["camera_pattern"] == [str(s["camera_pattern"]) for s in split]
    assert batch["objects/category"] == [s["objects/category"].tolist() for s in split]
    positions = [s["objects/positions"] for s in split]
    assert all(map(np.array_equal, batch["objects/positions"], positions))
    assert batch["depth"].shape == (10, 6, 24, 32, 1)


@pytest.mark.parametrize(
    "method", [None, "fork", pytest.param("spawn", marks=pytest.mark.slow)]
)
def test_every_epoch_draws_other_views(scenes, method):
    workers = {} if method is None else {"num_workers": 2, "persistent_workers": True}
    batches = load(scenes, batch_size=3, multiprocessing_context=method, **workers)
    first = views(batches)
    assert sorted(first) == list(range(10))
    scenes.set_epoch(1)
    second = views(batches)
    assert first != second
    scenes.set_epoch(0)
    assert views(batches) == first
    assert first == {i: tuple(scenes[i]["views"]) for i in range(10)}


def test_an_index_past_the_end_is_an_error(scenes):
    assert np.array_equal(scenes[-1]["views"], scenes[9]["views"])
    with pytest.raises(IndexError):
        scenes[10]


def test_processes_share_an_order_that_is_new_in_each_epoch(scenes):
    def orders(processes, epoch, seen=0):
        samplers = [
            EpochSampler(scenes, seed=3, process=p, processes=processes)
            for p in range(processes)
        ]
        for sampler in samplers:
            sampler.set_epoch(epoch, seen)
        assert all(len(list(sampler)) == len(sampler) for sampler in samplers)
        return [list(sampler) for sampler in samplers]

    [whole] = orders(1, epoch=0)
    assert sorted(whole) == list(range(10)) and whole != sorted(whole)
    assert orders(1, epoch=1) != [whole] == orders(1, epoch=0)
    assert orders(3, epoch=0) == [whole[p:9:3] for p in range(3)]
    # Two processes made two steps of one scene; then three processes go on.
    used = [own[:2] for own in orders(2, epoch=0)]
    rest = orders(3, epoch=0, seen=4)
    assert sorted(i for own in used + rest for i in own) == list(range(10))
    sampler = EpochSampler(scenes, seed=3, shuffle=False)
    assert list(sampler) == list(range(10))
    with pytest.raises(ValueError, match="process must be 0 to 1, got 2"):
        EpochSampler(scenes, seed=0, process=2, processes=2)


def test_the_sampler_sets_the_epoch_of_the_views(scenes):
    sampler = EpochSampler(scenes, seed=0)
    batches = load(scenes, batch_size=5, sampler=sampler)
    first = views(batches)
    sampler.set_epoch(1)
    assert views(batches) != first
    sampler.set_epoch(0, seen=5)
    assert views(batches) == dict(list(first.items())[5:])


def test_windows_of_shards_are_shared_by_processes(scenes):
    samplers = [
        EpochSampler(scenes, seed=3, process=p, processes=2, window=1) for p in range(2)
    ]
    for sampler in samplers:
        sampler.set_epoch(1, seen=2)
    own = [list(sampler) for sampler in samplers]
    whole = [WindowedOrder(scenes.source.split, 3, 1)(10 + i) for i in range(10)]
    assert own == [whole[2::2], whole[3::2]] and sorted(whole) == list(range(10))
