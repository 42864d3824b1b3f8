"""A training run of a video prior, by the machinery of the other models."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from dyso.train import checkpoints, labels
from dyso.train.log import Say
from dyso.train.prior.config import Config, Network
from dyso.train.prior.data import Batches, Videos
from dyso.train.prior.diffusion import (
    LOW_LEVEL,
    MOST_LOW_LEVEL,
    lowered,
    noised,
    sample,
    video_errors,
)
from dyso.train.prior.evaluation import Evaluation
from dyso.train.prior.model import Denoiser, Low
from dyso.train.prior.vocabulary import encode
from dyso.train.run import Feed, is_video, run_task
from dyso.train.step import (
    State,
    compiled,
    devices_mesh,
    optimizer,
    repeat,
    updated,
)

_PARAMETERS, _DRAWS, _SAMPLES = 0, 1, 2  # what the seed is used for
_sample = jax.jit(sample, static_argnames=("config", "steps", "guidance"))
SHOWN = 4
"""Sample videos in a picture."""
_COLUMNS = 8


def train(
    config: Config,
    workdir: Path,
    videos: Videos,
    *,
    measured_on: Videos | None = None,
    data: dict[str, dict[str, Any]] | None = None,
    say: Say = lambda metrics: None,
    tell: checkpoints.Tell = lambda line: None,
) -> int:
    """Trains until the last step, or resumes a run that was stopped.

    Args:
      config: the run.
      workdir: its folder; see `dyso.train.checkpoints`.
      videos: to train on.
      measured_on: videos that are not trained on; None measures nothing.
      data: identifies the videos, see `dyso.train.checkpoints.begin`.
      say: called with the metrics of each line of the log.
      tell: prints a line about what the run does.

    Returns:
      The number of steps that the run has made.

    Raises:
      UserError: the folder has another run; or a gradient was not finite or too large.
    """
    config = checkpoints.begin(workdir, config, data)
    mesh = devices_mesh()
    task = Task(config, videos, measured_on, mesh)
    return run_task(task, workdir, mesh, say=say, tell=tell)


def init_state(config: Config) -> State:
    """Returns the state before the first step."""
    key = jax.random.fold_in(jax.random.key(config.training.seed), _PARAMETERS)
    params = _init(key, config.model)
    return State(
        step=jnp.zeros((), jnp.int32),
        params=params,
        moments=optimizer(config.training).init(params),
        failed=jnp.full((), -1, jnp.int32),
    )


@functools.partial(jax.jit, static_argnums=1)
def _init(key: Array, model: Network) -> Any:
    one = jnp.zeros(1)
    videos = jnp.zeros((1, model.frames, *model.resolution, 3))
    words = jnp.zeros((1, model.tokens), jnp.int32)
    low = Low(videos, one) if model.upsampling > 1 else None
    return Denoiser(model).init(key, videos, one, one, words, low)["params"]


def loss(
    params: Any, batch: dict[str, Array], pictures: Array, key: Array, config: Config
) -> Float[Array, ""]:
    """Returns the mean squared error of the predicted videos.

    In the error of the noise, and still in that of the velocity, levels would weigh
    next to nothing at which a video is almost all noise. Coarse shapes and colours are
    decided there, so that is where captions matter.

    Args:
      params: of the denoiser.
      batch: see `data.Batches`.
      pictures: the frames of all videos.
      key: of the levels and the noise.
      config: the run.
    """
    videos = pictures[batch["video"][:, None], batch["frames"]] / 127.5 - 1
    level_key, noise_key = jax.random.split(key)
    # One level in each part of [0, 1], so that all are seen in a step.
    count = len(videos)
    levels = (jnp.arange(count) + jax.random.uniform(level_key, (count,))) / count
    noise = jax.random.normal(noise_key, videos.shape)
    low = None
    if config.model.upsampling > 1:
        low_key, low_level_key = jax.random.split(jax.random.fold_in(key, 1))
        low_levels = jax.random.uniform(low_level_key, (count,), maxval=MOST_LOW_LEVEL)
        low = lowered(videos, config.model.upsampling, low_key, low_levels)
    found = Denoiser(config.model).apply(
        {"params": params},
        noised(videos, noise, levels),
        levels,
        batch["rates"],
        batch["words"],
        low,
    )
    return video_errors(found, noise, levels).mean()


class Task:
    """See `dyso.train.run.Task`."""

    def __init__(
        self, config: Config, videos: Videos, measured_on: Videos | None, mesh: Mesh
    ):
        self.config = config
        self._videos, self._measured_on = videos, measured_on
        self._evaluation: Evaluation | None = None
        pictures = repeat(videos.frames, mesh)
        step = _make_step(config, mesh)
        self.feeds: Mapping[str, Any] = {
            name: Feed(step, Batches(videos, config, single=single), pictures)
            for name, single in (("videos", False), ("images", True))
        }

    def init(self) -> State:
        """Returns the state before the first step."""
        return init_state(self.config)

    def feed_at(self, step: int) -> str:
        """Returns whether a step is on `videos` or on `images`."""
        share = self.config.training.image_share
        return "images" if is_video(step, share) else "videos"

    def load(self) -> None:
        """Measures the floors."""
        if self._measured_on is not None and self.config.evaluate_every:
            self._evaluation = Evaluation(self._measured_on, self.config)
            mean = self._videos.frames.mean((0, 1)) / 127.5 - 1
            self._evaluation.measure_floors(self.init().params, mean)

    def measure(self, params: Any) -> dict[str, float] | None:
        """Returns the figures of `Evaluation`."""
        return self._evaluation.measure(params) if self._evaluation else None

    def sample(self, path: Path, params: Any, feed: str, batch: Any) -> None:
        """Writes videos of captions: every second frame."""
        if self._evaluation:
            captions, rates = self._evaluation.captions, self._evaluation.rates
            frames = self._evaluation.frames
        else:
            captions = [texts[0] for texts in self._videos.captions]
            rates = np.full(len(captions), self._videos.rate, np.float32)
            frames = self._videos.frames[:, : self.config.model.frames]
        texts = list(dict.fromkeys(captions))[:SHOWN]
        shown = frames[[captions.index(text) for text in texts]] / 255
        films = sampled(
            params, self.config, texts, rates[: len(texts)], high=shown.astype("f4")
        )
        write_picture(path, films, texts)


def sampled(
    params: Any,
    config: Config,
    texts: list[str],
    rates: Float[np.ndarray, " N"],
    seed: int = 0,
    high: Float[np.ndarray, "N T H W 3"] | None = None,
) -> Float[np.ndarray, "N T H W 3"]:
    """Returns a video in [0, 1] for each text.

    Args:
      params: of the denoiser.
      config: the run.
      texts: captions.
      rates: frames per second.
      seed: of the noise.
      high: in [0, 1], for super-resolution: it is given these in lower resolution.

    Raises:
      UserError: the model does not know a word.
    """
    model = config.model
    words = encode(texts, model.words, model.tokens)
    key = jax.random.fold_in(jax.random.key(config.training.seed), _SAMPLES)
    low = None
    if model.upsampling > 1 and high is not None:
        levels = jnp.full(len(high), LOW_LEVEL)
        low_key = jax.random.fold_in(key, seed + 1)
        low = lowered(2 * jnp.asarray(high) - 1, model.upsampling, low_key, levels)
    films = _sample(
        params,
        model,
        jax.random.fold_in(key, seed),
        rates,
        words,
        steps=config.sample_steps,
        guidance=config.guidance,
        low=low,
    )
    return (np.asarray(films) + 1) / 2


def write_picture(
    path: Path, films: Float[np.ndarray, "N T H W 3"], texts: list[str]
) -> None:
    """Writes a picture of some frames of each video, with its caption."""
    count = films.shape[1]
    chosen = np.unique(np.linspace(0, count - 1, min(count, _COLUMNS)).astype(int))
    rows = np.rint(255 * films[:, chosen]).astype(np.uint8)
    labels.table(rows, [f"frame {i}" for i in chosen], texts).save(path)


def _make_step(config: Config, mesh: Mesh) -> Any:
    training = config.training

    def step(
        state: State, batch: dict[str, Array], pictures: Array
    ) -> tuple[State, dict[str, Array]]:
        seed = jax.random.fold_in(jax.random.key(training.seed), _DRAWS)
        key = jax.random.fold_in(seed, state.step)
        value, gradient = jax.value_and_grad(loss)(
            state.params, batch, pictures, key, config
        )
        return updated(state, value, gradient, training)

    return compiled(step, mesh)
