"""The loss: squared error of drawn pixels of the targets (DyST, eq. 8)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from dyso import geometry
from dyso.train.latent_swap import recombine, scale_gradient
from dyso.train.model import Dyst, Latents
from dyso.train.presets import Config

Batch = dict[str, Array]


def losses(
    params: dict[str, Array],
    batch: Batch,
    keys: PRNGKeyArray,
    config: Config,
    *,
    video: bool,
) -> Float[Array, " B"]:
    """Gives each scene's mean squared error.

    Args:
      params: of the model.
      batch: see `dyso.train.data`.
      keys: [B], one for each scene, so that what is drawn does not depend on how
        scenes are spread over devices and micro-batches.
      config: the run.
      video: the batch is of monocular videos: each target is decoded with its own
        latents (eq. 7).
    """
    model, training = Dyst(config.model), config.training
    variables = {"params": params}
    inputs, targets = (batch[name] / jnp.float32(255) for name in ("inputs", "targets"))
    places, coin, right = jax.vmap(_draw, in_axes=(0, None, None))(
        keys, config, targets.shape[1]
    )
    input_rays, target_rays = rays_of(batch, config, places)
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
            name: scale_gradient(own, training.estimator_scale)
            for name, own in latents.items()
        }
        control = "none" if video else training.control
        if control != "none":
            latents = recombine(
                latents, batch["cameras"], batch["dynamics"], control, coin
            )
    colors = model.apply(
        variables,
        latents,
        positions_of(places, config),
        scene,
        target_rays,
        method="decode",
    )
    true = jax.vmap(jax.vmap(lambda image, at: image[at[:, 1], at[:, 0]]))(
        targets, places
    )
    return ((colors - true) ** 2).mean(axis=(1, 2, 3))


def _draw(
    key: PRNGKeyArray, config: Config, targets: int
) -> tuple[Array, Array, Array]:
    """Draws, for a scene, pixels [T, P, 2] as (x, y), a coin, and halves [T]."""
    pixels, coin, half = jax.random.split(key, 3)
    height, width = config.model.resolution
    count = config.training.pixels // targets
    flat = jax.random.randint(pixels, (targets, count), 0, height * width)
    places = jnp.stack([flat % width, flat // width], axis=-1)
    return (
        places,
        jax.random.bernoulli(coin),
        jax.random.bernoulli(half, 0.5, (targets,)),
    )


def positions_of(places: Array, config: Config) -> Float[Array, "... 2"]:
    """Gives the centres of pixels (x, y) as shares of the view's sides."""
    height, width = config.model.resolution
    return (places + 0.5) / jnp.array([width, height], jnp.float32)


def rays_of(
    batch: Batch, config: Config, places: Array | None
) -> tuple[Array | None, Array | None]:
    """Gives the rays of the inputs [B, V, H, W, 6] and of target pixels [B, T, P, 6].

    Each is None where the model is not told them, or no pixels are asked for.
    """
    if config.model.target_poses != "given":
        return None, None
    count = batch["inputs"].shape[1]
    height, width = config.model.resolution

    def cast(views: slice, pixels: Array) -> Array:
        between = (1,) * (pixels.ndim - 3)  # a camera for many pixels
        intrinsics, extrinsics = (
            batch[name][:, views].reshape(*pixels.shape[:2], *between, 3, columns)
            for name, columns in (("intrinsics", 3), ("extrinsics", 4))
        )
        rays = geometry.rays(intrinsics, extrinsics, pixels)
        return jnp.concatenate(rays, axis=-1)

    targets = None if places is None else cast(slice(count, None), places + 0.5)
    if not config.model.input_poses:
        return None, targets
    grid = geometry.pixel_grid(height, width, jnp)
    shape = (*batch["inputs"].shape[:2], *grid.shape)
    return cast(slice(0, count), jnp.broadcast_to(grid, shape)), targets
