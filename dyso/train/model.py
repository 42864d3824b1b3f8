"""The Dynamic Scene Transformer (DyST); RUST and SRT are settings of it.

Seitzer et al., "DyST: Towards Dynamic Neural Scene Representations on Real-World
Videos", ICLR 2024, section 3 and appendix A.1; Sajjadi et al., "RUST: Latent Neural
Scene Representations from Unposed Imagery", CVPR 2023, section 2; Sajjadi et al.,
"Scene Representation Transformer", CVPR 2022. All three use SRT's CNN.

Shapes: B scenes, V input views, T target views, P pixels of all targets of a scene, N
tokens of an input view, D the width.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dyso.train.config import Model
from dyso.train.operations import attend, contract, contract_to_float32, convolve

Latents = dict[str, Float[Array, "B T _"]]
"""Latents of each target, `camera` and `dynamics`: those that the model has."""


class Dyst(nn.Module):
    """Encoder, camera and dynamics estimator, and decoder.

    The parts are called separately, since training swaps latents before decoding:

        scene = model.encode(inputs)
        latents = model.estimate(targets, scene)
        colors = model.decode(latents, owners, positions, scene)
    """

    config: Model

    def setup(self) -> None:
        """Builds the three parts."""
        self.encoder = Encoder(self.config)
        if self.config.latents:
            self.estimator = Estimator(self.config)
        self.decoder = Decoder(self.config)

    def encode(
        self,
        views: Float[Array, "B V H W 3"],
        rays: Float[Array, "B V H W 6"] | None = None,
    ) -> Float[Array, "B VN D"]:
        """Returns the scene representation Z; the first view's tokens come first.

        Args:
          views: in [0, 1].
          rays: origins and directions, where the model is given input poses.
        """
        return self.encoder(views, rays)

    def estimate(
        self,
        targets: Float[Array, "B T H W 3"],
        scene: Float[Array, "B VN D"],
        right: Bool[Array, "B T"] | None = None,
    ) -> Latents:
        """Returns each target's latents, relative to the first input view (eqs. 3, 4).

        Args:
          targets: in [0, 1].
          scene: the scene representation.
          right: whether the estimator sees a target's right half or its left half; None
            shows it whole targets.
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
    ) -> Float[Array, "B VN D"]:
        """See `Dyst.encode`."""
        config = self.config
        batch, count = views.shape[:2]
        if rays is not None:
            views = jnp.concatenate([views, ray_features(rays)], axis=-1)
        tokens = Patches(config, config.encoder_blocks, name="patches")(views)
        first = self.param("first_view", nn.initializers.normal(0.02), (config.width,))
        is_first = (jnp.arange(count) == 0)[:, None, None]
        tokens = tokens + (is_first * first).astype(tokens.dtype)
        tokens = tokens.reshape(batch, -1, config.width)
        patches = tokens
        for number in range(config.encoder_layers):
            tokens = layer(config)(
                config,
                attends_to_scene=config.encoder_attends_to_patches,
                attends_to_itself=not config.encoder_attends_to_patches,
                name=f"layer_{number}",
            )(tokens, patches)
        return tokens if config.post_norm else norm(config)(tokens)


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
        batch, count = targets.shape[:2]
        patches = Patches(config, config.estimator_blocks, name="patches")
        tokens = patches(targets, right)
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
        if not config.post_norm:
            tokens = norm(config)(tokens)
        tokens = tokens.astype(jnp.float32)
        of_patches = tokens[:, :-1] if config.dynamics_latent else tokens
        pooled = {"camera": of_patches.mean(axis=1), "dynamics": tokens[:, -1]}
        latents = {
            name: exact_dense(size, name=name)(pooled[name])
            for name, size in config.latents.items()
        }
        return {
            name: value.reshape(batch, count, -1) for name, value in latents.items()
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
        query = position_features(positions) if rays is None else ray_features(rays)
        query = query.astype(config.compute_dtype)
        if config.query != "features":
            query = dense(config, config.query_size, name="query_position")(query)
            if latents:
                query = query + self._of_latents(latents, owners)
        if config.query == "mlp":
            query = dense(config, config.query_size, name="query")(nn.relu(query))
        return nn.sigmoid(decode_queries(config, query, scene, "color"))

    def _of_latents(
        self, latents: Latents, owners: Int[Array, "B P"]
    ) -> Float[Array, "B P Q"]:
        """Returns the latents' part of the linear map of [latents, position].

        Latents are mapped once for each target. A product with a one-hot matrix takes
        the result to the pixels: the gradient of indexing would be a scatter, which is
        slow on a CPU and adds up in no fixed order on a GPU.
        """
        config = self.config
        together = jnp.concatenate([latents[name] for name in config.latents], axis=-1)
        mapped = exact_dense(config.query_size, use_bias=False, name="query_latents")(
            together
        ).astype(config.compute_dtype)
        return jax.nn.one_hot(owners, mapped.shape[1], dtype=mapped.dtype) @ mapped


def decode_queries(
    config: Model,
    query: Float[Array, "B P Q"],
    scene: Float[Array, "B K D"],
    name: str,
) -> Float[Array, "B P 3"]:
    """Returns three numbers for each query, which attends to the scene, in float32.

    Called within a compact method of a Flax module, to which the parameters belong.

    Args:
      config: of the decoder's layers.
      query: in the model's type.
      scene: the scene representation.
      name: of the MLP's last layer; its first has `_hidden` behind it.
    """
    for number in range(config.decoder_layers):
        block = layer(config)(config, attends_to_scene=True, name=f"layer_{number}")
        query = block(query, scene)
    if not config.post_norm:
        query = norm(config)(query)
    hidden = dense(config, config.color_hidden, name=f"{name}_hidden")(query)
    # Only the result is in float32: the hidden activations in float32 would take twice
    # the memory of any other array of the decoder.
    product = functools.partial(contract_to_float32, config.compute_dtype)
    last = nn.Dense(3, dot_general_cls=lambda: product, name=name)
    return last(nn.relu(hidden).astype(jnp.float32))


class Patches(nn.Module):
    """SRT's CNN: each block halves height and width; then a token for each place."""

    config: Model
    blocks: int

    @nn.compact
    def __call__(
        self,
        views: Float[Array, "B V H W C"],
        right: Bool[Array, "B V"] | None = None,
    ) -> Float[Array, "B V N D"]:
        """Returns the tokens of each view by itself, row by row.

        Args:
          views: whole views.
          right: whether a view's right half is seen, or its left half; None sees all.
        """
        config = self.config
        if right is not None:
            views = _halves(views, right)
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
                    # The papers do not say. This one keeps the contrast of pictures.
                    kernel_init=nn.initializers.he_normal(),
                    dtype=config.compute_dtype,
                    conv_general_dilated_cls=lambda: convolve,
                )(x)
                x = nn.relu(x)
        height, width = x.shape[1:3]
        x = x.reshape(batch, count, *x.shape[1:])
        positions = self._positions(height, width * (1 if right is None else 2))
        if right is not None:
            shape = (batch, count, *positions.shape)
            positions = _halves(jnp.broadcast_to(positions, shape), right)
        positions = positions.astype(x.dtype)
        tokens = dense(config, config.width, name="tokens")
        if config.positions == "learned":
            x = tokens(x) + positions
        else:
            positions = jnp.broadcast_to(positions, (*x.shape[:4], positions.shape[-1]))
            x = tokens(jnp.concatenate([x, positions], axis=-1))
        return x.reshape(batch, count, height * width, config.width)

    def _positions(self, height: int, width: int) -> Float[Array, "h w F"]:
        """Returns the encoding of each patch's position in its view."""
        if self.config.positions == "learned":
            shape = (height, width, self.config.width)
            return self.param("positions", nn.initializers.normal(0.02), shape)
        across = (jnp.arange(width) + 0.5) / width
        down = (jnp.arange(height) + 0.5) / height
        return position_features(jnp.stack(jnp.meshgrid(across, down), axis=-1))


def _halves(
    values: Float[Array, "B V h w C"], right: Bool[Array, "B V"]
) -> Float[Array, "B V h w/2 C"]:
    """Returns each view's right or left half."""
    middle = values.shape[3] // 2
    left, other = values[..., :middle, :], values[..., middle:, :]
    return jnp.where(right[..., None, None, None], other, left)


class Block(nn.Module):
    """A transformer layer: cross-attention, self-attention, MLP."""

    config: Model
    attends_to_scene: bool = False
    attends_to_itself: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "B Q W"], scene: Float[Array, "S K D"] | None = None
    ) -> Float[Array, "B Q W"]:
        """Transforms tokens or queries x; B is a multiple of the number of scenes S."""
        config = self.config

        def add(x: Array, change: Callable[[Array], Array]) -> Array:
            if config.post_norm:
                return norm(config)(x + change(x))
            return x + change(norm(config)(x))

        def mlp(x: Array) -> Array:
            hidden = nn.gelu(dense(config, config.mlp)(x))
            return dense(config, x.shape[-1])(hidden)

        if self.attends_to_scene:
            assert scene is not None
            x = add(x, lambda x: Attention(config, name="cross")(x, scene))
        if self.attends_to_itself:
            x = add(x, lambda x: Attention(config, name="self")(x, x))
        return add(x, mlp)


class Attention(nn.Module):
    """Multi-head attention, in a fused kernel where the platform has one.

    Its heads are those of the model's width, whatever the width of x.
    """

    config: Model

    @nn.compact
    def __call__(
        self, x: Float[Array, "B Q W"], to: Float[Array, "S K D"]
    ) -> Float[Array, "B Q W"]:
        """Attends from x to `to`; B is a multiple of S, since targets share a scene."""
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
        return dense(config, x.shape[-1], name="out")(out)


def layer(config: Model) -> type[Block]:
    """Returns the transformer layer, rematerialised as the model says."""
    if config.remat == "none":
        return Block
    if config.remat == "full":
        return nn.remat(Block)
    return nn.remat(
        Block, policy=jax.checkpoint_policies.dots_with_no_batch_dims_saveable
    )


def dense(config: Model, size: int, **options: Any) -> nn.Dense:
    """Returns a linear layer that computes in the model's type."""
    return nn.Dense(
        size,
        dtype=config.compute_dtype,
        dot_general_cls=lambda: contract,
        **options,
    )


def exact_dense(size: int, **options: Any) -> nn.Dense:
    """Returns a linear layer in full float32, for the few numbers of the latents."""
    return nn.Dense(size, precision=jax.lax.Precision.HIGHEST, **options)


def norm(config: Model) -> nn.LayerNorm:
    """Returns a layer norm; Flax computes its mean and variance in float32."""
    return nn.LayerNorm(dtype=config.compute_dtype)


def position_features(
    positions: Float[Array, "... 2"], octaves: int = 8
) -> Float[Array, "... F"]:
    """Returns sines and cosines of x and y in [0, 1] (SRT, appendix A.1)."""
    return _fourier(positions, octaves, 0)


def ray_features(rays: Float[Array, "... 6"]) -> Float[Array, "... F"]:
    """Returns sines and cosines of ray origins and directions (SRT, appendix A.1)."""
    origins = _fourier(rays[..., :3], 15, -5)
    directions = _fourier(rays[..., 3:], 15, 0)
    return jnp.concatenate([origins, directions], axis=-1)


def _fourier(
    x: Float[Array, "... n"], octaves: int, first: int
) -> Float[Array, "... F"]:
    """Returns sin and cos of pi 2^k x for `octaves` values of k from `first` on."""
    scales = 2.0 ** jnp.arange(first, first + octaves) * math.pi
    angles = (x[..., None] * scales).reshape(*x.shape[:-1], -1)
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
