"""The Dynamic Scene Transformer (DyST), and RUST and SRT as settings of it.

Seitzer et al., "DyST: Towards Dynamic Neural Scene Representations on Real-World
Videos", ICLR 2024, section 3 and appendix A.1; Sajjadi et al., "RUST: Latent Neural
Scene Representations from Unposed Imagery", CVPR 2023, section 2; Sajjadi et al.,
"Scene Representation Transformer", CVPR 2022, whose CNN is the one of all three.

Shapes: B scenes, V input views, T target views, P pixels of all targets of a scene, N
tokens of an input view, D the width.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dyso.train.operations import attend, contract, convolve
from dyso.train.presets import Model

Latents = dict[str, Float[Array, "B T L"]]
"""`camera` and `dynamics`, each where the model has it."""


class Dyst(nn.Module):
    """Encoder, camera and dynamics estimator, and decoder.

    Each is called by itself, since latents are swapped between the last two:

        scene = model.encode(inputs)
        latents = model.estimate(targets, scene)
        colors = model.decode(latents, owners, positions, scene)
    """

    config: Model

    def setup(self) -> None:
        """Makes the three parts."""
        self.encoder = Encoder(self.config)
        if self.config.latents:
            self.estimator = Estimator(self.config)
        self.decoder = Decoder(self.config)

    def encode(
        self,
        views: Float[Array, "B V H W 3"],
        rays: Float[Array, "B V H W 6"] | None = None,
    ) -> Float[Array, "B V*N D"]:
        """Gives the scene representation Z; the first view's tokens come first.

        Args:
          views: in [0, 1].
          rays: origins and directions, where the model is told input poses.
        """
        return self.encoder(views, rays)

    def estimate(
        self,
        targets: Float[Array, "B T H W 3"],
        scene: Float[Array, "B VN D"],
        right: Bool[Array, "B T"] | None = None,
    ) -> Latents:
        """Gives each target's latents, relative to the first input view (eqs. 3, 4).

        Args:
          targets: in [0, 1].
          scene: what `encode` gave.
          right: sees the right halves alone of these targets, and the left of others;
            None sees whole targets.
        """
        return self.estimator(targets, scene, right)

    def decode(
        self,
        latents: Latents,
        owners: Int[Array, "B P"],
        positions: Float[Array, "B P 2"],
        scene: Float[Array, "B VN D"],
        rays: Float[Array, "B P 6"] | None = None,
    ) -> Float[Array, "B P 3"]:
        """Returns the colours of pixels of any targets, each decoded by itself.

        Args:
          latents: of each target.
          owners: the index of the target that each pixel belongs to.
          positions: x and y of the pixels' centres, in [0, 1].
          scene: the scene representation.
          rays: origins and directions, where the model is given target poses.
        """
        return self.decoder(latents, owners, positions, scene, rays)

    def __call__(
        self,
        inputs: Float[Array, "B V H W 3"],
        targets: Float[Array, "B T H W 3"],
        owners: Int[Array, "B P"],
        positions: Float[Array, "B P 2"],
        input_rays: Float[Array, "B V H W 6"] | None = None,
        target_rays: Float[Array, "B P 6"] | None = None,
    ) -> Float[Array, "B P 3"]:
        """Returns the colours of target pixels, decoded with the targets' latents."""
        scene = self.encode(inputs, input_rays)
        latents = self.estimate(targets, scene) if self.config.latents else {}
        return self.decode(latents, owners, positions, scene, target_rays)


class Encoder(nn.Module):
    """CNN, then a transformer over the tokens of all input views."""

    config: Model

    @nn.compact
    def __call__(
        self,
        views: Float[Array, "B V H W 3"],
        rays: Float[Array, "B V H W 6"] | None,
    ) -> Float[Array, "B V*N D"]:
        """See `Dyst.encode`."""
        config = self.config
        batch, count = views.shape[:2]
        if rays is not None:
            views = jnp.concatenate([views, ray_features(rays)], axis=-1)
        patches = Patches(config, config.encoder_blocks, name="patches")
        tokens = patches(views, jnp.zeros((batch, count)), 1.0)
        first = self.param("first_view", nn.initializers.normal(0.02), (config.width,))
        is_first = (jnp.arange(count) == 0)[:, None, None]
        tokens = tokens + (is_first * first).astype(tokens.dtype)
        tokens = tokens.reshape(batch, -1, config.width)
        for number in range(config.encoder_layers):
            block = layer(config)(
                config, attends_to_itself=True, name=f"layer_{number}"
            )
            tokens = block(tokens)
        return norm(config)(tokens)


class Estimator(nn.Module):
    """Camera and dynamics estimator in one (fig. 8): targets query the first view."""

    config: Model

    @nn.compact
    def __call__(
        self,
        targets: Float[Array, "B T H W 3"],
        scene: Float[Array, "B VN D"],
        right: Bool[Array, "B T"] | None,
    ) -> Latents:
        """See `Dyst.estimate`."""
        config = self.config
        batch, count, _, width = targets.shape[:4]
        begin, extent = jnp.zeros((batch, count)), 1.0
        if right is not None:
            halves = targets[..., : width // 2, :], targets[..., width // 2 :, :]
            targets = jnp.where(right[..., None, None, None], halves[1], halves[0])
            begin, extent = right / 2, 0.5
        patches = Patches(config, config.estimator_blocks, name="patches")
        tokens = patches(targets, begin, extent)
        tokens = tokens.reshape(batch * count, -1, config.width)
        if config.dynamics_latent:
            token = self.param(
                "dynamics_token", nn.initializers.normal(0.02), (config.width,)
            )
            token = jnp.broadcast_to(token, (batch * count, 1, config.width))
            tokens = jnp.concatenate([tokens, token.astype(tokens.dtype)], axis=1)
        # Z': the tokens of the first input view, so that latents are relative to it.
        first = scene[:, : config.tokens_a_view]
        if not config.estimator_gradient:
            first = jax.lax.stop_gradient(first)
        for number in range(config.estimator_layers):
            tokens = layer(config)(
                config,
                attends_to_scene=config.estimator_sees_scene,
                attends_to_itself=config.estimator_attends_to_itself,
                name=f"layer_{number}",
            )(tokens, first)
        tokens = norm(config)(tokens).astype(jnp.float32)
        patches = tokens[:, :-1] if config.dynamics_latent else tokens
        pooled = {"camera": patches.mean(axis=1), "dynamics": tokens[:, -1]}
        return {
            name: nn.Dense(size, name=name)(pooled[name]).reshape(batch, count, size)
            for name, size in config.latents.items()
        }


class Decoder(nn.Module):
    """Cross-attends from a query for each pixel into the scene; no self-attention."""

    config: Model

    @nn.compact
    def __call__(
        self,
        latents: Latents,
        owners: Int[Array, "B P"],
        positions: Float[Array, "B P 2"],
        scene: Float[Array, "B VN D"],
        rays: Float[Array, "B P 6"] | None,
    ) -> Float[Array, "B P 3"]:
        """See `Dyst.decode`."""
        config = self.config
        dtype = config.compute_dtype
        features = position_features(positions) if rays is None else ray_features(rays)
        query = dense(config, config.width, name="query_position")(
            features.astype(dtype)
        )
        if latents:
            # The linear map of [latents, position]: latents are mapped once for each
            # target. A product with a one-hot matrix takes them to the pixels, since
            # the gradient of indexing is a scatter, which is slow on a CPU.
            together = jnp.concatenate([latents[name] for name in config.latents], -1)
            mapped = dense(config, config.width, use_bias=False, name="query_latents")(
                together.astype(dtype)
            )
            query = (
                query + jax.nn.one_hot(owners, mapped.shape[1], dtype=dtype) @ mapped
            )
        for number in range(config.decoder_layers):
            block = layer(config)(config, attends_to_scene=True, name=f"layer_{number}")
            query = block(query, scene)
        hidden = dense(config, config.color_hidden, name="color_hidden")(
            norm(config)(query)
        )
        colors = nn.Dense(3, name="color")(nn.relu(hidden).astype(jnp.float32))
        return nn.sigmoid(colors)


class Patches(nn.Module):
    """SRT's CNN: each block halves height and width; then a token for each place."""

    config: Model
    blocks: int

    @nn.compact
    def __call__(
        self,
        views: Float[Array, "B V H W C"],
        begin: Float[Array, "B V"],
        extent: float,
    ) -> Float[Array, "B V N D"]:
        """Gives the tokens of each view by itself, row by row.

        Args:
          views: or parts of them, in the same height.
          begin: x, in [0, 1], where each part begins in its view.
          extent: of the parts.
        """
        config = self.config
        batch, count = views.shape[:2]
        x = views.reshape(-1, *views.shape[2:]).astype(config.compute_dtype)
        channels = config.cnn_width
        for _ in range(self.blocks):
            for strides in (1, 2):
                channels = min(channels * strides, config.width)
                x = nn.Conv(
                    channels,
                    (3, 3),
                    strides,
                    use_bias=False,
                    # The papers leave it open; by it pictures keep their contrast.
                    kernel_init=nn.initializers.he_normal(),
                    dtype=config.compute_dtype,
                    conv_general_dilated_cls=lambda: convolve,
                )(x)
                x = nn.relu(x)
        height, width = x.shape[1:3]
        across = begin.reshape(-1, 1) + extent * (jnp.arange(width) + 0.5) / width
        down = (jnp.arange(height) + 0.5) / height
        centers = jnp.stack(
            [
                jnp.broadcast_to(across[:, None, :], x.shape[:3]),
                jnp.broadcast_to(down[:, None], x.shape[:3]),
            ],
            axis=-1,
        )
        features = position_features(centers).astype(x.dtype)
        x = dense(config, config.width, name="tokens")(
            jnp.concatenate([x, features], axis=-1)
        )
        return x.reshape(batch, count, height * width, config.width)


class Block(nn.Module):
    """A pre-norm transformer layer: cross-attention, self-attention, MLP."""

    config: Model
    attends_to_scene: bool = False
    attends_to_itself: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "B Q D"], scene: Float[Array, "B K D"] | None = None
    ) -> Float[Array, "B Q D"]:
        """Transforms tokens or queries x; several targets' may share a scene."""
        config = self.config
        if self.attends_to_scene:
            assert scene is not None
            x = x + Attention(config, name="cross")(norm(config)(x), scene)
        if self.attends_to_itself:
            own = norm(config)(x)
            x = x + Attention(config, name="self")(own, own)
        hidden = dense(config, config.mlp)(norm(config)(x))
        return x + dense(config, config.width)(nn.gelu(hidden))


class Attention(nn.Module):
    """Multi-head attention, fused where the platform has it."""

    config: Model

    @nn.compact
    def __call__(
        self, x: Float[Array, "B Q D"], to: Float[Array, "C K D"]
    ) -> Float[Array, "B Q D"]:
        """Attends from x to `to`, whose batch C divides B: targets share a scene."""
        config = self.config
        shared = x.shape[0] // to.shape[0]
        size = config.width // config.heads

        def heads(name: str, value: Array) -> Array:
            split = (config.heads, size)
            return nn.DenseGeneral(
                split,
                use_bias=False,
                dtype=config.compute_dtype,
                dot_general_cls=lambda: contract,
                name=name,
            )(value)

        query, key, value = heads("query", x), heads("key", to), heads("value", to)
        # Targets of a scene follow one another: their queries go together.
        query = query.reshape(to.shape[0], shared * x.shape[1], config.heads, size)
        out = attend(query, key, value)
        out = out.reshape(*x.shape[:2], config.width)
        return dense(config, config.width, name="out")(out)


def layer(config: Model) -> type[Block]:
    """Gives the transformer layer, which may be computed again for its gradient."""
    return nn.remat(Block) if config.remat else Block


def dense(config: Model, size: int, **options: Any) -> nn.Dense:
    """Gives a linear layer that computes in the model's type."""
    return nn.Dense(
        size,
        dtype=config.compute_dtype,
        dot_general_cls=lambda: contract,
        **options,
    )


def norm(config: Model) -> nn.LayerNorm:
    """Gives a layer norm, whose sums Flax makes in float32."""
    return nn.LayerNorm(dtype=config.compute_dtype)


def position_features(
    positions: Float[Array, "... 2"], octaves: int = 8
) -> Float[Array, "... F"]:
    """Gives sines and cosines of x and y in [0, 1] (SRT, appendix A.1)."""
    return _fourier(positions, octaves, 0)


def ray_features(rays: Float[Array, "... 6"]) -> Float[Array, "... F"]:
    """Gives sines and cosines of ray origins and directions (SRT, appendix A.1)."""
    origins = _fourier(rays[..., :3], 15, -5)
    directions = _fourier(rays[..., 3:], 15, 0)
    return jnp.concatenate([origins, directions], axis=-1)


def _fourier(
    x: Float[Array, "... n"], octaves: int, first: int
) -> Float[Array, "... F"]:
    """Gives sin and cos of pi 2^k x for k from `first`."""
    scales = 2.0 ** jnp.arange(first, first + octaves) * math.pi
    angles = (x[..., None] * scales).reshape(*x.shape[:-1], -1)
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
