"""The network: predicts the noise in videos, given captions and frame rates.

A transformer over the patches of all frames (as the joint attention of ViViT, Arnab et
al., ICCV 2021). It has the layers of the other models of `dyso.train`.

Its last layer returns the video, from which the noise follows: videos have few degrees
of freedom, and a narrow network can return them, but not noise ("Back to Basics: Let
Denoising Generative Models Denoise", Li and He, 2025).
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dyso.train import config as configs
from dyso.train.model import Block, dense, exact_dense, norm
from dyso.train.prior.config import Network

RATE = 24.0
"""Frames per second that count as 1."""
_OCTAVES = 8


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
    """Shapes: B videos, T frames, K words of a caption, D the width."""

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
        batch, count, height, width, _ = videos.shape
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
        given = exact_dense(config.width, name="given_hidden")(given)
        given = nn.silu(given)

        side = config.patch
        down, across = height // side, width // side
        x = jnp.concatenate(seen, axis=-1)
        x = x.reshape(batch, count, down, side, across, side, -1)
        x = x.transpose(0, 1, 2, 4, 3, 5, 6).reshape(batch, count, down * across, -1)
        x = dense(layers, config.width, name="patches")(x.astype(layers.compute_dtype))
        place = self.param(
            "positions", nn.initializers.normal(0.02), (down * across, config.width)
        )
        time = exact_dense(config.width, name="times")(
            features(jnp.arange(count) / config.frames)
        )
        x = x + place.astype(x.dtype) + time[:, None].astype(x.dtype)
        x = x.reshape(batch, -1, config.width)
        attends = {"attends_to_scene": True, "attends_to_itself": True}
        for number in range(config.layers):
            shift = exact_dense(config.width, name=f"given_{number}")(given)
            x = x + shift[:, None].astype(x.dtype)
            x = Block(layers, **attends, name=f"layer_{number}")(x, text)
        scale, shift = jnp.split(
            exact_dense(2 * config.width, name="last")(given), 2, -1
        )
        x = norm(layers)(x).astype(jnp.float32)
        x = x * (1 + scale[:, None]) + shift[:, None]
        x = exact_dense(
            side * side * 3, kernel_init=nn.initializers.zeros, name="video"
        )(x)
        x = x.reshape(batch, count, down, across, side, side, 3)
        x = x.transpose(0, 1, 2, 4, 3, 5, 6).reshape(videos.shape)
        if low is not None:
            x = x + low.videos  # The network returns what the enlarged video lacks.
        video, rest = shares(levels)
        return (videos - video * x) / jnp.maximum(rest, 1e-3)

    def _text(self, words: Int[Array, "B K"]) -> Float[Array, "B K D"]:
        """Returns a token for each word of the captions, in their order."""
        config, layers = self.config, layers_of(self.config)
        x = nn.Embed(len(config.words) + 1, config.width, name="words")(words)
        order = exact_dense(config.width, name="order")(
            features(jnp.arange(words.shape[1]) / config.tokens)
        )
        x = (x + order).astype(layers.compute_dtype)
        for number in range(config.text_layers):
            x = Block(layers, attends_to_itself=True, name=f"text_{number}")(x)
        return norm(layers)(x)


def layers_of(config: Network) -> configs.Model:
    """Returns the settings of the transformer's layers."""
    return configs.Model(
        width=config.width, heads=config.heads, mlp=config.mlp, compute=config.compute
    )


def shares(levels: Float[Array, " B"]) -> tuple[Array, Array]:
    """Returns the factors of the video and of the noise, [B, 1, 1, 1, 1] each."""
    angles = (jnp.pi / 2 * levels)[:, None, None, None, None]
    return jnp.cos(angles), jnp.sin(angles)


def features(values: Float[Array, "*N"]) -> Float[Array, "*N F"]:
    """Returns sines and cosines of values in [0, 1]."""
    angles = values[..., None] * jnp.pi * 2.0 ** jnp.arange(-1, _OCTAVES - 1)
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
