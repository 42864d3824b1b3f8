"""The loss: squared error of drawn pixels of the targets (DyST, eq. 8)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from dyso import geometry
from dyso.train.config import Config
from dyso.train.latent_swap import recombine, scale_gradient
from dyso.train.model import Dyst, Latents

Batch = dict[str, Array]


def losses(
    params: Any,
    batch: Batch,
    keys: Key[Array, " B"],
    config: Config,
    *,
    video: bool,
) -> Float[Array, " B"]:
    """Returns each scene's mean squared error.

    Args:
      params: of the model.
      batch: see `dyso.train.data`.
      keys: one for each scene. So the draws do not depend on how scenes are
        spread over devices and micro-batches.
      config: the run.
      video: the batch is of monocular videos: each target is decoded with its own
        latents (eq. 7).
    """
    model, training = Dyst(config.model), config.training
    variables = {"params": params}
    inputs, targets = (batch[name] / jnp.float32(255) for name in ("inputs", "targets"))
    count, (height, width) = targets.shape[1], config.model.resolution
    flat, coin, right = jax.vmap(_draw, in_axes=(0, None, None))(keys, config, count)
    owners, pixel = jnp.divmod(flat, height * width)
    pixels = jnp.stack([pixel % width, pixel // width], axis=-1)
    input_rays, target_rays = rays_of(batch, config, owners, pixels)
    scene = model.apply(variables, inputs, input_rays, method="encode")
    latents: Latents = {}
    if config.model.latents:
        latents = model.apply(
            variables,
            targets,
            scene,
            right if config.model.estimator_half else None,
            method="estimate",
        )
        latents = {
            name: scale_gradient(value, training.estimator_scale)
            for name, value in latents.items()
        }
        control = "none" if video else training.control
        if control != "none":
            latents = recombine(
                latents, batch["cameras"], batch["dynamics"], control, coin
            )
    predicted = model.apply(
        variables,
        latents,
        owners,
        positions_of(pixels, config),
        scene,
        target_rays,
        method="decode",
    )
    colors = targets.reshape(len(targets), -1, 3)
    true = jnp.take_along_axis(colors, flat[..., None], axis=1)
    return ((predicted - true) ** 2).mean(axis=(1, 2))


def _draw(
    key: PRNGKeyArray, config: Config, targets: int
) -> tuple[Int[Array, " P"], Array, Array]:
    """Draws a scene's pixels, coin and halves.

    Returns:
      Pixels as indices into all pixels of all targets, in order of target, row and
      column (DyST, appendix A.1: "uniformly across the target views"); a coin for
      `control="half"`; and for each target, whether its right half is estimated from.
    """
    pixels, coin, half = jax.random.split(key, 3)
    height, width = config.model.resolution
    return (
        jax.random.randint(
            pixels, (config.training.pixels,), 0, targets * height * width
        ),
        jax.random.bernoulli(coin),
        jax.random.bernoulli(half, 0.5, (targets,)),
    )


def positions_of(pixels: Int[Array, "... 2"], config: Config) -> Float[Array, "... 2"]:
    """Returns the centres of pixels (x, y) as shares of the view's width and height."""
    height, width = config.model.resolution
    return (pixels + 0.5) / jnp.array([width, height], jnp.float32)


def rays_of(
    batch: Batch,
    config: Config,
    owners: Int[Array, "B P"] | None,
    pixels: Int[Array, "B P 2"] | None,
) -> tuple[Float[Array, "B V H W 6"] | None, Float[Array, "B P 6"] | None]:
    """Returns the rays of the input views and of pixels of the targets.

    Either is None where the model is not given it. Rays of the targets are also None
    where no pixels are asked for.

    Args:
      batch: with `intrinsics` and `extrinsics`.
      config: the run.
      owners: the index of the target that each pixel belongs to.
      pixels: columns and rows.
    """
    if config.model.target_poses != "given":
        return None, None
    count = batch["inputs"].shape[1]
    intrinsics, extrinsics = batch["intrinsics"], batch["extrinsics"]
    inputs = targets = None
    if owners is not None and pixels is not None:
        each = jnp.arange(len(owners))[:, None]
        camera = each, count + owners
        rays = geometry.rays(intrinsics[camera], extrinsics[camera], pixels + 0.5)
        targets = jnp.concatenate(rays, axis=-1)
    if config.model.input_poses:
        view = slice(None), slice(count), None, None
        grid = geometry.pixel_grid(*config.model.resolution, jnp)
        rays = geometry.rays(intrinsics[view], extrinsics[view], grid)
        inputs = jnp.concatenate(rays, axis=-1)
    return inputs, targets
