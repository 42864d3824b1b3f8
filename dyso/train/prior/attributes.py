"""A classifier of what captions say of a frame: the object's category and main colour.

It says which of some texts a video shows, as CLIP does for the R-precision of text to
3D (Park et al., NeurIPS 2021). The captions are exact and name one object, so that two
classifiers of single frames can be trained on some hundred scenes, which are too few
for a matcher of whole sentences. It does not see motion, materials and places.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, UInt8

from dyso.errors import UserError
from dyso.reading import COLORS
from dyso.train.prior.data import Videos

STEPS, BATCH = 800, 64
_RATE = 2e-3
_SHIFT = 4
"""Pixels by which frames are moved at most while training."""
_LIGHT = 0.15
"""The share by which they become darker or brighter at most."""
_CHUNK = 256


def attributes_of(text: str, categories: Sequence[str]) -> tuple[int, int]:
    """Returns the category and the main colour that a text names first.

    Args:
      text: a caption, such as `a red and white plastic chair turning`.
      categories: the dataset's.

    Returns:
      Their numbers in `categories` and in `COLORS`.

    Raises:
      UserError: it names none.
    """
    found = []
    for about, names in (("category", categories), ("colour", COLORS)):
        places = [
            (match.start(), number)
            for number, name in enumerate(names)
            if (match := re.search(rf"\b{name.replace('_', ' ')}\b", text))
        ]
        if not places:
            raise UserError(f"{text!r}: names no {about} among {', '.join(names)}")
        found.append(min(places)[1])
    return found[0], found[1]


class Network(nn.Module):
    """Convolutions, of which each halves the frame, and two linear classifiers."""

    categories: int

    @nn.compact
    def __call__(self, frames: Float[Array, "B H W 3"]) -> tuple[Array, Array]:
        """Returns logits of the categories and of the colours."""
        x = frames - 0.5
        for width in (32, 64, 128):
            x = nn.gelu(nn.LayerNorm()(nn.Conv(width, (3, 3), strides=2)(x)))
        x = jnp.concatenate([x.mean((1, 2)), x.max((1, 2))], axis=-1)
        return nn.Dense(self.categories)(x), nn.Dense(len(COLORS))(x)


@dataclass(frozen=True, kw_only=True, eq=False)
class Classifier:
    """A trained one.

    Attributes:
      categories: that it tells apart.
      params: of `Network`.
    """

    categories: tuple[str, ...]
    params: Any

    def scores(
        self, frames: Float[np.ndarray, "N H W 3"]
    ) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " K"]]:
        """Returns log probabilities of categories and colours, means over frames.

        Args:
          frames: of one scene, in [0, 1], from any cameras and times.
        """
        # Frames are repeated, so that few programs serve all.
        count = -(-len(frames) // _CHUNK) * _CHUNK
        padded = np.resize(frames, (count, *frames.shape[1:])).astype(np.float32)
        parts = [
            _predict(self.params, part, len(self.categories))
            for part in np.split(padded, count // _CHUNK)
        ]
        category, color = (
            np.concatenate([np.asarray(part[number]) for part in parts])[: len(frames)]
            for number in (0, 1)
        )
        return category.mean(0), color.mean(0)

    def retrieved(
        self, frames: Float[np.ndarray, "N H W 3"], texts: Sequence[str]
    ) -> dict[str, float]:
        """Returns whether the first of some texts is the one that frames show.

        Args:
          frames: see `scores`.
          texts: of which each names a category and a colour.

        Returns:
          1 or 0 for `retrieval` among the texts, which all must be different in one of
          the two; and for `category` and `color`, each alone among all that there are.
        """
        category, color = self.scores(frames)
        named = [attributes_of(text, self.categories) for text in texts]
        own = named[0]
        others = [category[c] + color[k] for c, k in named[1:] if (c, k) != own]
        first = category[own[0]] + color[own[1]]
        return {
            "retrieval": float(all(first > other for other in others)),
            "category": float(category.argmax() == own[0]),
            "color": float(color.argmax() == own[1]),
        }


def train_classifier(
    videos: Videos,
    categories: Sequence[str],
    *,
    steps: int = STEPS,
    batch: int = BATCH,
    seed: int = 0,
    show: Callable[[int, float], None] = lambda step, loss: None,
) -> Classifier:
    """Trains on all frames of videos.

    Args:
      videos: whose first captions are the truth.
      categories: the dataset's.
      steps: gradient steps.
      batch: frames in a step.
      seed: of the parameters, and of the order of frames.
      show: is given each step's number, from 1 on, and the loss.

    Raises:
      UserError: a caption names no category or colour.
    """
    network = Network(len(categories))
    labels = np.array(
        [attributes_of(texts[0], categories) for texts in videos.captions]
    )
    size = videos.frames.shape[2:]
    params = network.init(jax.random.key(seed), jnp.zeros((1, *size)))["params"]
    adam = optax.adamw(optax.cosine_decay_schedule(_RATE, steps), weight_decay=0.01)

    def loss(params: Any, frames: Array, truth: Int[Array, "B 2"]) -> Array:
        logits = network.apply({"params": params}, frames)
        return sum(
            optax.softmax_cross_entropy_with_integer_labels(each, truth[:, i]).mean()
            for i, each in enumerate(logits)
        )

    @jax.jit
    def step(params: Any, moments: Any, frames: Array, truth: Array) -> Any:
        value, gradient = jax.value_and_grad(loss)(params, frames, truth)
        updates, moments = adam.update(gradient, moments, params)
        return optax.apply_updates(params, updates), moments, value

    moments = adam.init(params)
    rng = np.random.default_rng([seed, 0])
    for number in range(1, steps + 1):
        chosen = rng.integers(len(labels), size=batch)
        frames = _moved(videos.frames, chosen, rng)
        params, moments, value = step(params, moments, frames, labels[chosen])
        show(number, float(value))
    return Classifier(categories=tuple(categories), params=params)


def _moved(
    videos: UInt8[np.ndarray, "N F H W 3"],
    chosen: Int[np.ndarray, " B"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "B H W 3"]:
    """Returns a random frame of each video: moved, mirrored, brighter or darker."""
    _, steps, height, width, _ = videos.shape
    count = len(chosen)
    down, right = rng.integers(-_SHIFT, _SHIFT + 1, size=(2, count, 1))
    rows = np.clip(np.arange(height) + down, 0, height - 1)
    columns = np.clip(np.arange(width) + right, 0, width - 1)
    mirrored = rng.random((count, 1)) < 0.5
    columns = np.where(mirrored, columns[:, ::-1], columns)
    light = rng.uniform(1 - _LIGHT, 1 + _LIGHT, size=(count, 1, 1, 1))
    frames = videos[
        chosen[:, None, None],
        rng.integers(steps, size=count)[:, None, None],
        rows[:, :, None],
        columns[:, None, :],
    ]
    return np.clip(frames / 255 * light, 0, 1).astype(np.float32)


@functools.partial(jax.jit, static_argnames="categories")
def _predict(params: Any, frames: Array, categories: int) -> list[Array]:
    logits = Network(categories).apply({"params": params}, frames)
    return [jax.nn.log_softmax(each) for each in logits]
