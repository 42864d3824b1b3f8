"""Frames of videos for training, and training on them in turns with scenes."""

import dataclasses
import json

import numpy as np
import pytest

from dyso.reading import Dataset, loader
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, Dynamics, UserError
from dyso.train.data import Scenes
from dyso.train.presets import PRESETS
from dyso.train.run import train
from dyso.train.video_data import Clips
from helpers.dataset_writer import write_dataset
from helpers.video_files import numbers_of


def test_inputs_and_targets_are_different_frames_of_one_clip(clips, small):
    source = Clips.open(clips, small)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(40):
        batch = source.draw(5, rng)
        assert batch["inputs"].shape == (3, 16, 16, 3)
        assert batch["targets"].shape == (4, 16, 16, 3)
        inputs, targets = (numbers_of(batch[name]) for name in ("inputs", "targets"))
        assert len({*inputs, *targets}) == 7
        assert batch["cameras"].tolist() == batch["dynamics"].tolist() == targets
        seen |= {*inputs, *targets}
    assert seen == set(range(14))


def test_batches_are_like_those_of_scenes(clips, small, trained_on):
    scenes = Scenes(split=Dataset(trained_on)["train"], config=small)
    sources = (scenes, Clips.open(clips, small))
    one, other = (next(iter(loader(s, batch_size=4, seed=0))) for s in sources)
    kinds = [{k: (v.shape, v.dtype) for k, v in b.items()} for b in (one, other)]
    assert kinds[0] == kinds[1]


def test_processes_that_read_ahead_give_the_same(clips, small):
    source = Clips.open(clips, small)
    one, other = (
        next(iter(loader(source, batch_size=4, seed=3, workers=workers)))
        for workers in (0, 1)
    )
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_what_does_not_fit_the_run_is_told(clips, changed):
    with pytest.raises(UserError, match=r"model\.resolution: the videos have 16 x 16"):
        Clips.open(clips, changed(model={"resolution": (32, 32)}))
    with pytest.raises(UserError, match="10 frames, and the shortest video has 9"):
        Clips.open(clips, changed(inputs=6))
    with pytest.raises(UserError, match="cameras' poses, and videos have none"):
        Clips.open(clips, PRESETS["srt"].config)


def test_monocular_scenes_are_videos(make_resolved, small, tmp_path):
    resolved = make_resolved(
        splits={"train": 2},
        resolution=(16, 16),
        dynamics=Dynamics(steps=8),
        cameras=Cameras(count=1),
    )
    data = write_dataset(tmp_path / "data", resolved, synthetic_views)
    colors = Dataset(data)["train"].read(1, fields=["color"])["color"]
    batch = Clips.open(data, small).draw(1, np.random.default_rng(0))
    assert np.array_equal(batch["targets"], colors[batch["dynamics"]])


@pytest.mark.slow
def test_steps_on_scenes_and_on_videos_take_turns(clips, trained_on, changed, tmp_path):
    config = dataclasses.replace(changed(steps=4, decay_steps=6), log_every=1)
    scenes = Scenes(split=Dataset(trained_on)["train"], config=config)
    source = Clips.open(clips, config)
    assert train(config, tmp_path / "run", scenes, source) == 4
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    told = [
        [kind for kind in ("scenes", "videos") if f"{kind}/loss" in json.loads(line)]
        for line in lines
    ]
    assert told == [["scenes"], ["videos"]] * 2
