"""Cameras around the centre of a scene, which may move during a video."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dyso import geometry
from dyso.fit.distillation.config import Cameras


def around(
    azimuth: Float[Array, " T"],
    elevation: Float[Array, " T"],
    distance: Float[Array, " T"],
) -> Float[Array, "T 3 4"]:
    """Returns extrinsics of cameras that look at the origin; angles in radians."""
    flat = jnp.cos(elevation)
    directions = jnp.stack(
        [flat * jnp.cos(azimuth), flat * jnp.sin(azimuth), jnp.sin(elevation)], axis=-1
    )
    positions = distance[:, None] * directions
    turn = geometry.look_at(positions, jnp.zeros_like(positions))
    return geometry.invert(jnp.concatenate([turn, positions[..., None]], axis=-1))


def lens(settings: Cameras, size: tuple[int, int]) -> Float[np.ndarray, "3 3"]:
    """Returns the intrinsics of images of a height and a width in pixels."""
    width = 2 * math.tan(math.radians(settings.view) / 2)
    return geometry.intrinsics(np.float32(1), np.float32(width), *size)


def drawn(key: Array, settings: Cameras, frames: int) -> Float[Array, "T 3 4"]:
    """Returns the poses of a random camera for the frames of a video."""
    azimuth_key, elevation_key, distance_key, turn_key, rise_key = jax.random.split(
        key, 5
    )
    low, high = (jnp.deg2rad(each) for each in settings.elevation)
    share = jnp.linspace(-0.5, 0.5, frames) if frames > 1 else jnp.zeros(1)
    turn = jnp.deg2rad(settings.turn) * jax.random.uniform(turn_key, (), minval=-1.0)
    rise = jnp.deg2rad(settings.rise) * jax.random.uniform(rise_key, (), minval=-1.0)
    azimuth = jax.random.uniform(azimuth_key, (), maxval=2 * jnp.pi)
    elevation = jax.random.uniform(elevation_key, (), minval=low, maxval=high)
    near, far = settings.distance
    distance = jax.random.uniform(distance_key, (), minval=near, maxval=far)
    return around(
        azimuth + share * turn,
        jnp.clip(elevation + share * rise, low, high),
        jnp.full(frames, distance),
    )
