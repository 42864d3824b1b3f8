"""A classifier of captions, on videos whose shapes and colours are known."""

import dataclasses

import numpy as np
import pytest

from dyso.errors import UserError
from dyso.reading import COLORS
from dyso.train.prior.attributes import attributes_of, train_classifier
from dyso.train.prior.data import Videos

CATEGORIES = ("bar", "box", "toy_blocks")
PAINTS = {"red": (200, 40, 40), "blue": (40, 60, 200)}
TEXTS = [f"a {color} {name}" for color in PAINTS for name in CATEGORIES[:2]]


def films(seed, count):
    """Videos of an upright bar or a square, red or blue, at random places."""
    rng = np.random.default_rng(seed)
    texts = [TEXTS[i % len(TEXTS)] for i in range(count)]
    frames = rng.integers(90, 130, (count, 3, 16, 16, 3), dtype=np.uint8)
    for text, film in zip(texts, frames, strict=True):
        _, color, name = text.split()
        height, width = (12, 2) if name == "bar" else (6, 6)
        for frame in film:
            row, column = rng.integers(0, (16 - height, 16 - width))
            frame[row : row + height, column : column + width] = PAINTS[color]
    return Videos(frames=frames, captions=tuple((each,) for each in texts), rate=12.0)


def precision(classifier, videos):
    found = [
        classifier.retrieved(film / 255, [own, *[t for t in TEXTS if t != own]])
        for film, (own,) in zip(videos.frames, videos.captions, strict=True)
    ]
    return {key: np.mean([each[key] for each in found]) for key in found[0]}


@pytest.mark.slow
def test_it_retrieves_captions_of_videos_that_it_has_not_seen_and_only_true_ones():
    videos, others = films(0, 48), films(1, 16)
    known = train_classifier(videos, CATEGORIES, steps=90, batch=16)
    assert min(precision(known, others).values()) > 0.85
    rng = np.random.default_rng(2)
    shuffled = [videos.captions[i] for i in rng.permutation(len(videos))]
    wrong = dataclasses.replace(videos, captions=tuple(shuffled))
    confused = train_classifier(wrong, CATEGORIES, steps=90, batch=16)
    assert precision(confused, others)["retrieval"] < 0.6  # Chance is 0.25.


def test_what_texts_name():
    assert attributes_of("a red box", CATEGORIES) == (1, COLORS.index("red"))
    two = "a glossy white and red pile of toy blocks turning beside a box"
    assert attributes_of(two, CATEGORIES) == (2, COLORS.index("white"))
    # Not the bar in barred, nor the red in it.
    with pytest.raises(UserError, match="names no category among bar, box"):
        attributes_of("a barred red thing", CATEGORIES)
    with pytest.raises(UserError, match="'a barred box': names no colour among beige"):
        attributes_of("a barred box", CATEGORIES)
