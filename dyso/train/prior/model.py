"""The network: predicts the noise in videos, given captions and frame rates.

A U-Net of frames with convolutions over time, as in Make-A-Video (Singer et al., ICLR
2023), the prior of MAV3D. The coarsest level is a transformer over all places of all
frames, which reads the caption; its layers are those of the other models of
`dyso.train`.

The last layer returns the video, from which the noise follows: videos have few degrees
of freedom, and a narrow network can return them, but not noise ("Back to Basics: Let
Denoising Generative Models Denoise", Li and He, 2025).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dyso.train import config as configs
from dyso.train.model import Block, dense, exact_dense, norm
from dyso.train.operations import from_squares, in_squares
from dyso.train.prior.config import Network

RATE = 24.0
"""Frames per second that count as 1."""
_OCTAVES = 8
_GROUPS = 8
"""Of channels, whose mean and variance are normalised."""


class Low(NamedTuple):
    """Videos of lower resolution, enlarged, as super-resolution is given them.

    Attributes:
      videos: with noise, so that the errors of another model matter less (Ho et al.,
        "Cascaded Diffusion Models", JMLR 2022).
      levels: of this noise.
    """

    videos: Float[Array, "B T H W 3"]
    levels: Float[Array, " B"]


class Denoiser(nn.Module):
    """Shapes: B videos, T frames, K words of a caption, D the last level's width."""

    config: Network

    @nn.compact
    def __call__(
        self,
        videos: Float[Array, "B T H W 3"],
        levels: Float[Array, " B"],
        rates: Float[Array, " B"],
        words: Int[Array, "B K"],
        low: Low | None = None,
    ) -> Float[Array, "B T H W 3"]:
        """Returns the predicted noise.

        Args:
          videos: noisy ones, of one frame or more.
          levels: of the noise, from 0 (none) to 1 (nothing else).
          rates: frames per second; 0 for single frames.
          words: captions, see `vocabulary.encode`.
          low: the videos of lower resolution, if `upsampling` is above 1.
        """
        config, layers = self.config, layers_of(self.config)
        text = self._text(words)
        # The words' mean joins the level, for attention learns to read them only late.
        given = [
            features(levels),
            features(rates / RATE / 4),
            text.mean(1).astype(jnp.float32),
        ]
        seen = [videos]
        if low is not None:
            given, seen = [*given, features(low.levels)], [*seen, low.videos]
        given = jnp.concatenate(given, axis=-1)
        given = nn.silu(exact_dense(layers.width, name="given_hidden")(given))

        x = in_squares(jnp.concatenate(seen, axis=-1), config.patch)
        x = dense(layers, config.channels[0], name="squares")(
            x.astype(layers.compute_dtype)
        )
        kept = []
        for level, width in enumerate(config.channels):
            if level:
                x = dense(layers, width, name=f"coarser_{level}")(in_squares(x, 2))
            for number in range(config.blocks):
                x = Residual(layers, width, name=f"down_{level}_{number}")(x, given)
                kept.append(x)
        x = self._attended(x, text)
        for level, width in reversed(list(enumerate(config.channels))):
            for number in range(config.blocks):
                x = jnp.concatenate([x, kept.pop()], axis=-1)
                x = Residual(layers, width, name=f"up_{level}_{number}")(x, given)
            if level:
                finer = 4 * config.channels[level - 1]
                x = from_squares(dense(layers, finer, name=f"finer_{level}")(x), 2)
        x = nn.silu(_group_norm(layers, "last", x)).astype(jnp.float32)
        x = exact_dense(
            3 * config.patch**2, kernel_init=nn.initializers.zeros, name="video"
        )(x)
        x = from_squares(x, config.patch)
        if low is not None:
            x = x + low.videos  # The network returns what the enlarged video lacks.
        video, rest = shares(levels)
        return (videos - video * x) / jnp.maximum(rest, 1e-3)

    def _attended(
        self, x: Float[Array, "B T h w D"], text: Float[Array, "B K D"]
    ) -> Float[Array, "B T h w D"]:
        """Returns the coarsest level after attention to the caption and to itself."""
        config, layers = self.config, layers_of(self.config)
        batch, count, down, across, width = x.shape
        place = self.param(
            "places", nn.initializers.normal(0.02), (down * across, width)
        )
        time = exact_dense(width, name="times")(
            features(jnp.arange(count) / config.frames)
        )
        tokens = x.reshape(batch, count, -1, width)
        tokens = tokens + place.astype(x.dtype) + time[:, None].astype(x.dtype)
        tokens = tokens.reshape(batch, -1, width)
        for number in range(config.layers):
            tokens = Block(
                layers,
                attends_to_scene=True,
                attends_to_itself=True,
                name=f"layer_{number}",
            )(tokens, text)
        return tokens.reshape(x.shape)

    def _text(self, words: Int[Array, "B K"]) -> Float[Array, "B K D"]:
        """Returns a token for each word of the captions, in their order."""
        config, layers = self.config, layers_of(self.config)
        x = nn.Embed(len(config.words) + 1, layers.width, name="words")(words)
        order = exact_dense(layers.width, name="order")(
            features(jnp.arange(words.shape[1]) / config.tokens)
        )
        x = (x + order).astype(layers.compute_dtype)
        for number in range(config.text_layers):
            x = Block(layers, attends_to_itself=True, name=f"text_{number}")(x)
        return norm(layers)(x)


class Residual(nn.Module):
    """Two convolutions of each frame, and one over a frame and its neighbours."""

    layers: configs.Model
    width: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "B T h w C"], given: Float[Array, "B D"]
    ) -> Float[Array, "B T h w width"]:
        """Transforms a level; `given` scales and shifts its channels."""
        layers, width = self.layers, self.width
        scale, shift = jnp.split(
            exact_dense(2 * width, name="given")(given)[:, None, None, None], 2, -1
        )
        y = self._convolved(nn.silu(_group_norm(layers, "norm_0", x)), "frame_0")
        y = _group_norm(layers, "norm_1", y)
        y = y * (1 + scale.astype(y.dtype)) + shift.astype(y.dtype)
        y = self._convolved(nn.silu(y), "frame_1")
        if x.shape[-1] != width:
            x = dense(layers, width, use_bias=False, name="same")(x)
        x = x + y
        y = nn.silu(_group_norm(layers, "norm_2", x))
        y = jnp.pad(y, [(0, 0), (1, 1), *[(0, 0)] * 3])
        y = jnp.concatenate([y[:, :-2], y[:, 1:-1], y[:, 2:]], axis=-1)
        # At first, frames do not see each other.
        start = nn.initializers.zeros
        return x + dense(layers, width, kernel_init=start, name="frames")(y)

    def _convolved(
        self, x: Float[Array, "B T h w C"], name: str
    ) -> Float[Array, "B T h w width"]:
        batch, count, *shape = x.shape
        conv = nn.Conv(self.width, (3, 3), dtype=self.layers.compute_dtype, name=name)
        x = conv(x.reshape(-1, *shape))
        return x.reshape(batch, count, *x.shape[1:])


def _group_norm(
    layers: configs.Model, name: str, x: Float[Array, "B T h w C"]
) -> Float[Array, "B T h w C"]:
    """Returns x with groups of channels of each frame normalised."""
    groups = math.gcd(_GROUPS, x.shape[-1])
    norm = nn.GroupNorm(groups, dtype=layers.compute_dtype, name=name)
    return norm(x.reshape(-1, *x.shape[2:])).reshape(x.shape)


def layers_of(config: Network) -> configs.Model:
    """Returns the settings of the transformer's layers."""
    width = config.channels[-1]
    return configs.Model(
        width=width, heads=config.heads, mlp=4 * width, compute=config.compute
    )


def shares(levels: Float[Array, " B"]) -> tuple[Array, Array]:
    """Returns the factors of the video and of the noise, [B, 1, 1, 1, 1] each."""
    angles = (jnp.pi / 2 * levels)[:, None, None, None, None]
    return jnp.cos(angles), jnp.sin(angles)


def features(values: Float[Array, "*N"]) -> Float[Array, "*N F"]:
    """Returns sines and cosines of values in [0, 1]."""
    angles = values[..., None] * jnp.pi * 2.0 ** jnp.arange(-1, _OCTAVES - 1)
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
