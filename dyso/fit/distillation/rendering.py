"""Renders a scene, whose density is biased towards its centre."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dyso import geometry
from dyso.fit.distillation.cameras import around, lens
from dyso.fit.distillation.config import Config
from dyso.fit.hexplane import field as fields
from dyso.fit.hexplane import marching
from dyso.fit.hexplane.field import Field, Region
from dyso.fit.hexplane.occupancy import Densities
from dyso.fit.hexplane.optimization import State
from dyso.fit.rays import rays_of
from dyso.fit.volume import Bounds


def region_of(config: Config) -> Region:
    """Returns the space of a scene of radius 1 around the origin."""
    near, far = config.cameras.distance
    return Region(
        center=jnp.zeros(3),
        radius=jnp.ones(()),
        bounds=Bounds(near=near - 1.0, far=far + 1.5),
    )


def biased(config: Config, sigma: Float[Array, ""]) -> marching.Evaluate:
    """Returns `fields.evaluate` with more density at the centre.

    Args:
      config: the fusion of the planes, and the strength of the bias.
      sigma: the bias's size, in radii of the scene.
    """
    bias = config.bias

    def evaluate(field: Field, points: Array, times: Array) -> tuple[Array, Array]:
        density, color = fields.evaluate(field, points, times, config.fusion)
        # The inner cube is half of the planes, and a radius is half of it.
        squared = (4 * points**2).sum(-1)
        added = bias.strength * jnp.exp(-squared / (2 * sigma**2)) - bias.offset
        return density * jnp.exp(added if bias.strength else 0.0), color

    return evaluate


def sigma_at(config: Config, number: Array | int) -> Array:
    """Returns the bias's size at an iteration: it grows until the middle."""
    share = jnp.clip(2 * jnp.asarray(number) / config.iterations, 0, 1)
    return config.bias.start + share * (config.bias.end - config.bias.start)


class Rendered(NamedTuple):
    """A video.

    Attributes:
      color: in [0, 1].
      opacity: of the rays.
      distance: from the camera to what the rays meet, the mean by the rendering
        weights, in radii; 0 where they meet nothing.
    """

    color: Float[Array, "T H W 3"]
    opacity: Float[Array, "T H W"]
    distance: Float[Array, "T H W"]


def render(
    field: Field,
    densities: Densities,
    extrinsics: Float[Array, "T 3 4"],
    times: Float[Array, " T"],
    config: Config,
    size: tuple[int, int],
    evaluate: marching.Evaluate,
    key: Array | None = None,
) -> Rendered:
    """Renders the frames of a video one after another, to need less memory."""
    height, width = size
    intrinsics = jnp.asarray(lens(config.cameras, size))
    pixels = geometry.pixel_grid(height, width, jnp).reshape(-1, 2)
    region = region_of(config)

    def frame(arguments: Any) -> Rendered:
        pose, time, frame_key = arguments
        rays = rays_of(intrinsics, pose, pixels, jnp.full(len(pixels), time))
        got = marching.render(
            field,
            densities,
            rays,
            region,
            config,
            None if key is None else frame_key,
            evaluate,
        )
        opacity = got.weights.sum(-1)
        distances = (got.weights * region.bounds.distance(got.places)).sum(-1)
        return Rendered(
            got.color.reshape(height, width, 3),
            opacity.reshape(height, width),
            (distances / jnp.maximum(opacity, 1e-6)).reshape(height, width),
        )

    keys = jax.random.split(jax.random.key(0) if key is None else key, len(times))
    return jax.lax.map(jax.checkpoint(frame), (extrinsics, times, keys))


def views(
    state: State,
    config: Config,
    count: int,
    azimuth: Float[np.ndarray, " N"],
    times: Float[np.ndarray, " N"],
    size: tuple[int, int],
) -> tuple[Float[Array, "N 3 4"], Rendered]:
    """Renders frames from the middle of the cameras' elevations and distances.

    Args:
      state: the scene.
      config: of the fit.
      count: iterations that the state has gone through.
      azimuth: of the cameras, in radians.
      times: from -1 for the first to 1 for the last.
      size: height and width in pixels.

    Returns:
      The cameras' extrinsics, and the frames.
    """
    low, high = (np.deg2rad(each) for each in config.cameras.elevation)
    shape = azimuth.shape
    poses = around(
        jnp.asarray(azimuth),
        jnp.full(shape, (low + high) / 2),
        jnp.full(shape, sum(config.cameras.distance) / 2),
    )
    sigma = sigma_at(config, count)
    return poses, _draw(state, poses, jnp.asarray(times), sigma, config, size)


@functools.partial(jax.jit, static_argnames=("config", "size"))
def _draw(
    state: State,
    extrinsics: Array,
    times: Array,
    sigma: Array,
    config: Config,
    size: tuple[int, int],
) -> Rendered:
    evaluate = biased(config, sigma)
    return render(
        state.field, state.densities, extrinsics, times, config, size, evaluate
    )
