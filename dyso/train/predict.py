"""Predicts whole images with a trained model, some of the pixels at a time."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8

from dyso import geometry
from dyso.train.config import Config
from dyso.train.model import Dyst, Latents
from dyso.train.objective import positions_of, rays_of

PIXELS_AT_ONCE = 4096  # of each target


@dataclass(frozen=True, eq=False)
class Predictor:
    """A model with its parameters.

    Attributes:
      config: the run's configuration.
      params: the model's parameters.
    """

    config: Config
    params: Any

    def encode(
        self,
        inputs: UInt8[np.ndarray, "B V H W 3"],
        batch: dict[str, np.ndarray] | None = None,
    ) -> Float[Array, "B VN D"]:
        """Returns the scene representation of input views.

        Args:
          inputs: the views.
          batch: has `intrinsics` and `extrinsics`, for models that take poses.
        """
        cameras = {k: v for k, v in (batch or {}).items() if k.endswith("trinsics")}
        return _encode(self.params, {"inputs": inputs, **cameras}, self.config)

    def estimate(
        self,
        views: UInt8[np.ndarray, "B T H W 3"],
        scene: Float[Array, "B VN D"],
        right: Bool[np.ndarray, "B T"] | None = None,
    ) -> Latents:
        """Returns the views' latents; see `Dyst.estimate`."""
        if not self.config.model.latents:
            return {}
        return _estimate(self.params, views, scene, right, self.config)

    def decode(
        self,
        latents: dict[str, Float[Array | np.ndarray, "B T _"]],
        scene: Float[Array, "B VN D"],
        batch: dict[str, np.ndarray] | None = None,
    ) -> Float[np.ndarray, "B T H W 3"]:
        """Returns the targets' images in [0, 1].

        Args:
          latents: each target's.
          scene: what `encode` returned.
          batch: see `dyso.train.data`; for models that take poses.
        """
        height, width = self.config.model.resolution
        grid = np.asarray(geometry.pixel_grid(height, width, np) - 0.5, np.int32)
        parts = [
            _decode(self.params, latents, scene, places, batch, self.config)
            for places in np.array_split(
                grid.reshape(-1, 2), -(-height * width // PIXELS_AT_ONCE)
            )
        ]
        image = np.concatenate([np.asarray(part) for part in parts], axis=2)
        return image.reshape(*image.shape[:2], height, width, 3)


@functools.partial(jax.jit, static_argnames="config")
def _encode(params: Any, batch: dict[str, Array], config: Config) -> Array:
    rays = None
    if config.model.input_poses:
        rays, _ = rays_of(batch, config, None, None)
    views = batch["inputs"] / jnp.float32(255)
    scene: Array = Dyst(config.model).apply(
        {"params": params}, views, rays, method="encode"
    )
    return scene


@functools.partial(jax.jit, static_argnames="config")
def _estimate(
    params: Any, views: Array, scene: Array, right: Array | None, config: Config
) -> Latents:
    latents: Latents = Dyst(config.model).apply(
        {"params": params}, views / jnp.float32(255), scene, right, method="estimate"
    )
    return latents


@functools.partial(jax.jit, static_argnames="config")
def _decode(
    params: Any,
    latents: Latents,
    scene: Array,
    places: Array,
    batch: dict[str, Array] | None,
    config: Config,
) -> Array:
    if config.model.target_poses == "given":
        assert batch is not None
        targets = batch["intrinsics"].shape[1] - batch["inputs"].shape[1]
    else:
        targets = next(iter(latents.values())).shape[1]
    shape = (len(scene), targets, len(places))
    owners = jnp.broadcast_to(jnp.arange(targets)[:, None], shape)
    pixels = jnp.broadcast_to(places, (*shape, 2))
    owners, pixels = owners.reshape(shape[0], -1), pixels.reshape(shape[0], -1, 2)
    rays = None
    if batch is not None:
        _, rays = rays_of(batch, config, owners, pixels)
    colors: Array = Dyst(config.model).apply(
        {"params": params},
        latents,
        owners,
        positions_of(pixels, config),
        scene,
        rays,
        method="decode",
    )
    return colors.reshape(*shape, 3)
