"""Videos of a dataset, and batches of their frames."""

import dataclasses

import numpy as np
import pytest

from dyso.errors import UserError
from dyso.reading import CAPTION_FIELDS, Dataset, captions
from dyso.train.prior.data import Batches, Videos
from dyso.train.prior.vocabulary import NOTHING, encode, vocabulary


@pytest.fixture(scope="module")
def videos(films, small_prior):
    data = Dataset(films)
    return Videos.read(data["train"], data.resolved.objects, small_prior.model)


@pytest.fixture(scope="module")
def config(videos, small_prior):
    texts = [text for texts in videos.captions for text in texts]
    model = dataclasses.replace(small_prior.model, words=vocabulary(texts))
    return dataclasses.replace(small_prior, model=model)


def test_a_video_is_what_a_camera_sees(videos, films):
    data = Dataset(films)
    assert videos.frames.shape == (6, 6, 8, 8, 3) and videos.rate == 12
    views = [1, 3, 5, 7, 9, 11]
    record = data["train"].read(2, fields=CAPTION_FIELDS, views=views)
    mean = record["color"].reshape(6, 8, 2, 8, 2, 3).mean((2, 4))
    assert np.abs(videos.frames[5] - mean).max() <= 0.5
    assert videos.captions[5] == captions(record, data.resolved.objects)[:2]


def test_batches_have_frames_at_the_rate_that_they_state(videos, config):
    batches = Batches(videos, config, single=False)
    strides = set()
    for batch in (next(batches) for _ in range(20)):
        steps = np.diff(batch["frames"], axis=1)
        assert (steps == steps[:, :1]).all()
        assert np.allclose(batch["rates"], 12 / steps[:, 0])
        assert batch["frames"].min() >= 0 and batch["frames"].max() < 6
        strides |= set(steps[:, 0].tolist())
        for number, words in zip(batch["video"], batch["words"], strict=True):
            known = encode(videos.captions[number], config.model.words, 6).tolist()
            assert words.tolist() in [*known, [NOTHING] * 6]
    assert strides == {1, 2}


def test_single_frames_have_no_rate(videos, config):
    batch = next(Batches(videos, config, single=True))
    # As many frames as in two videos of three.
    assert batch["frames"].shape == (6, 1) and (batch["rates"] == 0).all()


def test_captions_are_left_out_as_often_as_asked(videos, config):
    training = dataclasses.replace(config.training, no_caption=1.0)
    batches = Batches(
        videos, dataclasses.replace(config, training=training), single=False
    )
    assert not next(batches)["words"].any()


def test_batches_continue_where_they_were(videos, config):
    batches = Batches(videos, config, single=False)
    next(batches)
    state, expected = batches.get_state(), next(batches)
    again = Batches(videos, config, single=False)
    again.set_state(state)
    found = next(again)
    assert all(np.array_equal(found[name], each) for name, each in expected.items())


@pytest.mark.parametrize(
    "change, message",
    [
        ({"frames": 7}, "model.frames: 7, but test has dynamics.steps 6"),
        ({"resolution": (12, 12)}, "model.resolution: test has 16 16"),
        ({"resolution": (8, 16)}, "model.resolution: test has 16 16"),
    ],
)
def test_videos_that_do_not_fit_are_refused(films, small_prior, change, message):
    data, model = Dataset(films), dataclasses.replace(small_prior.model, **change)
    with pytest.raises(UserError, match=message):
        Videos.read(data["train"], data.resolved.objects, model)
