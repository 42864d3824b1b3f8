"""Noise and its removal: schedule, loss, classifier-free guidance and sampling.

A video x in [-1, 1] at the noise level t in [0, 1] is cos(pi t / 2) x +
sin(pi t / 2) e, with normal noise e, which the network predicts (Ho et al., NeurIPS
2020; the cosine schedule is that of Nichol and Dhariwal, ICML 2021, without offset).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from dyso.train.prior.config import Network
from dyso.train.prior.model import Denoiser, Low, shares
from dyso.train.prior.vocabulary import NOTHING

_LAST = 0.98
"""The level that sampling begins at; at 1, nothing of the video is left."""

LOW_LEVEL, MOST_LOW_LEVEL = 0.02, 0.1
"""The noise in videos that super-resolution is given, and the most of it in training.

At 0.1, its variance is about that of the videos of specs/captioned_videos.yaml.
"""


def noised(
    videos: Float[Array, "B T H W 3"],
    noise: Float[Array, "B T H W 3"],
    levels: Float[Array, " B"],
) -> Float[Array, "B T H W 3"]:
    """Returns videos with noise."""
    video, rest = shares(levels)
    return video * videos + rest * noise


def video_errors(
    found: Float[Array, "B T H W 3"],
    noise: Float[Array, "B T H W 3"],
    levels: Float[Array, " B"],
) -> Float[Array, " B"]:
    """Returns mean squared errors of the videos that a predicted noise stands for."""
    video, rest = shares(levels)
    scale = rest / jnp.maximum(video, 1e-3)
    return ((scale * (found - noise)) ** 2).mean((1, 2, 3, 4))


def averaged(
    videos: Num[Array | np.ndarray, "*B H W 3"], factor: int
) -> Float[Array | np.ndarray, "*B h w 3"]:
    """Returns videos of lower resolution: means of squares of pixels."""
    *batch, height, width, _ = videos.shape
    parts = (*batch, height // factor, factor, width // factor, factor, 3)
    return videos.reshape(parts).mean((-4, -2))


def enlarged(
    videos: Float[Array | np.ndarray, "*B H W 3"], factor: int
) -> Float[Array, "*B H W 3"]:
    """Returns videos as their averages show them: enlarged again, by interpolation."""
    return jax.image.resize(averaged(videos, factor), videos.shape, "linear")


def lowered(
    videos: Float[Array, "B T H W 3"],
    factor: int,
    key: Array,
    levels: Float[Array, " B"],
) -> Low:
    """Returns what super-resolution is given in place of videos.

    Args:
      videos: of high resolution.
      factor: of the resolutions.
      key: of the noise.
      levels: of the noise.
    """
    noise = jax.random.normal(key, videos.shape)
    return Low(noised(enlarged(videos, factor), noise, levels), levels)


def guided(
    params: Any,
    config: Network,
    videos: Float[Array, "B T H W 3"],
    levels: Float[Array, " B"],
    rates: Float[Array, " B"],
    words: Int[Array, "B K"],
    guidance: float,
    low: Low | None = None,
) -> Float[Array, "B T H W 3"]:
    """Returns the noise that is predicted with classifier-free guidance.

    e(nothing) + guidance (e(caption) - e(nothing)) (Ho and Salimans, 2022, with
    `guidance` for 1 + w).
    """
    twice, low = jax.tree.map(
        lambda x: jnp.concatenate([x, x]), ((videos, levels, rates), low)
    )
    both = jnp.concatenate([words, jnp.full_like(words, NOTHING)])
    found = Denoiser(config).apply({"params": params}, *twice, both, low)
    with_caption, without = jnp.split(found, 2)
    return without + guidance * (with_caption - without)


def sample(
    params: Any,
    config: Network,
    key: Array,
    rates: Float[Array, " B"],
    words: Int[Array, "B K"],
    *,
    steps: int,
    guidance: float,
    frames: int | None = None,
    low: Low | None = None,
) -> Float[Array, "B T H W 3"]:
    """Returns videos in [-1, 1], by deterministic steps (DDIM, Song et al., ICLR 2021).

    Args:
      params: of the denoiser.
      config: its settings.
      key: of the noise.
      rates: frames per second.
      words: captions.
      steps: levels of noise.
      guidance: see `guided`.
      frames: T; None for the model's.
      low: for super-resolution.
    """
    batch, count = len(words), config.frames if frames is None else frames
    levels = jnp.linspace(_LAST, 0, steps + 1)

    def step(videos: Array, ends: Array) -> tuple[Array, None]:
        now, after = (jnp.full(batch, end) for end in ends)
        noise = guided(params, config, videos, now, rates, words, guidance, low)
        video, rest = shares(now)
        clean = jnp.clip((videos - rest * noise) / video, -1, 1)
        # The noise that is left of what was clipped.
        noise = (videos - video * clean) / rest
        return noised(clean, noise, after), None

    start = jax.random.normal(key, (batch, count, *config.resolution, 3))
    ends = jnp.stack([levels[:-1], levels[1:]], axis=-1)
    return jnp.clip(jax.lax.scan(step, start, ends)[0], -1, 1)
