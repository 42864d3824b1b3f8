"""How well a prior denoises videos it was not trained on, and the floors.

All figures are mean squared errors of the predicted videos, in [-1, 1], over fixed
levels and draws of noise. Lower is better.

- `loss`: with the video's own caption;
- `loss_no_caption`, `loss_other_caption`: without a caption, and with those of other
  videos. The text is used as far as these are larger than `loss`;
- `loss_mean_frame`: a floor, of a denoiser that takes every frame for the mean of those
  that are trained on;
- `loss_enlarged`: of super-resolution, the floor of the enlarged video itself;
- `loss_untrained`: a floor, of the network before training;
- `retrieval`: share of videos whose own caption has the least error among `CHOICES`
  different captions (as a diffusion classifier, Li et al., ICCV 2023), and
  `retrieval_chance`.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dyso.train.prior.config import Config, Network
from dyso.train.prior.data import Videos
from dyso.train.prior.diffusion import LOW_LEVEL, lowered, noised, video_errors
from dyso.train.prior.model import Denoiser, shares
from dyso.train.prior.vocabulary import NOTHING, encode

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
CHOICES = 4
_BATCH = 8


class Evaluation:
    """Videos to measure on, the same at every measurement of a run.

    Attributes:
      captions: of the videos.
      frames: [N, T, H, W, 3], sRGB.
      rates: [N], frames per second.
    """

    def __init__(self, videos: Videos, config: Config):
        """See the class.

        Args:
          videos: that are not trained on. Of each, the first frames are seen.
          config: the run.
        """
        model, count = config.model, min(len(videos), config.evaluate_videos)
        # Spread, so that they are of as many scenes as possible.
        chosen = np.linspace(0, len(videos) - 1, count).round().astype(int)
        self.frames = videos.frames[chosen][:, : model.frames]
        self.captions = [videos.captions[i][0] for i in chosen]
        self.rates = np.full(count, videos.rate, np.float32)
        self._model, self._seed = model, config.training.seed
        self._words = encode(self.captions, model.words, model.tokens)
        self._others = [self._different(index) for index in range(count)]
        self._floors: dict[str, float] = {}

    def measure_floors(self, untrained: Any, mean: Float[np.ndarray, "H W 3"]) -> None:
        """Measures the floors, which `measure` returns from then on.

        Args:
          untrained: the parameters before training.
          mean: the mean frame of the videos that are trained on, in [-1, 1].
        """
        self._floors = {
            "loss_mean_frame": float(self._errors(None, self._words, mean).mean()),
            "loss_untrained": float(self._errors(untrained, self._words).mean()),
        }
        if self._model.upsampling > 1:
            enlarged = float(self._errors(None, self._words).mean())
            self._floors["loss_enlarged"] = enlarged

    def measure(self, params: Any) -> dict[str, float]:
        """Returns all figures."""
        own = self._errors(params, self._words)
        nothing = self._errors(params, np.full_like(self._words, NOTHING))
        scores = {"loss": own.mean(), "loss_no_caption": nothing.mean()}
        tries = min(map(len, self._others))
        if tries:
            wrong = [[each[number] for each in self._others] for number in range(tries)]
            others = np.stack([self._errors(params, self._words[i]) for i in wrong])
            scores["loss_other_caption"] = others.mean()
            scores["retrieval"] = (own < others.min(0)).mean()
            scores["retrieval_chance"] = 1 / (tries + 1)
        return {name: float(value) for name, value in scores.items()} | self._floors

    def _different(self, index: int) -> list[int]:
        """Returns videos of different captions, none of which is that of `index`."""
        found: dict[str, int] = {}
        count = len(self.captions)
        for step in range(1, count):
            other = (index + step) % count
            found.setdefault(self.captions[other], other)
        found.pop(self.captions[index], None)
        return list(found.values())[: CHOICES - 1]

    def _errors(
        self,
        params: Any,
        words: Int[np.ndarray, "N K"],
        mean: Float[np.ndarray, "H W 3"] | None = None,
    ) -> Float[np.ndarray, " N"]:
        """Returns each video's error, mean over levels.

        Without parameters, it is that of `mean`, or else of the enlarged video.
        """
        errors = []
        count = len(self.frames)
        for first in range(0, count, _BATCH):
            # The last are repeated, so that one program serves all.
            chosen = np.minimum(np.arange(first, first + _BATCH), count - 1)
            for number, level in enumerate(LEVELS):
                key = jax.random.fold_in(jax.random.key(self._seed), number * count)
                errors.append(
                    _error(
                        params,
                        self._model,
                        jax.random.fold_in(key, first),
                        self.frames[chosen],
                        level,
                        self.rates[chosen],
                        words[chosen],
                        mean,
                    )
                )
        whole = np.concatenate(
            [
                np.mean(errors[i : i + len(LEVELS)], axis=0)
                for i in range(0, len(errors), len(LEVELS))
            ]
        )
        return whole[:count]


@functools.partial(jax.jit, static_argnames="model")
def _error(
    params: Any,
    model: Network,
    key: Array,
    frames: Array,
    level: Array,
    rates: Array,
    words: Array,
    mean: Array | None,
) -> Float[Array, " B"]:
    videos = frames / 127.5 - 1
    noise = jax.random.normal(key, videos.shape)
    levels = jnp.full(len(videos), level)
    seen = noised(videos, noise, levels)
    low = None
    if model.upsampling > 1:
        low_key = jax.random.fold_in(key, 1)
        # The floor is an enlarged video without noise.
        low_levels = jnp.full(len(videos), 0.0 if params is None else LOW_LEVEL)
        low = lowered(videos, model.upsampling, low_key, low_levels)
    if params is not None:
        arguments = seen, levels, rates, words, low
        found = Denoiser(model).apply({"params": params}, *arguments)
    else:
        video, rest = shares(levels)
        guess = low.videos if low and mean is None else mean
        found = (seen - video * guess) / rest
    return video_errors(found, noise, levels)
