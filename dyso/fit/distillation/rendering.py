"""Renders a scene from cameras at given sides and times."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dyso.fit.distillation import optimization
from dyso.fit.distillation.cameras import around
from dyso.fit.distillation.config import Config
from dyso.fit.hexplane.optimization import State


def views(
    state: State,
    config: Config,
    count: int,
    azimuth: Float[np.ndarray, " N"],
    times: Float[np.ndarray, " N"],
    size: tuple[int, int],
) -> tuple[Float[Array, "N 3 4"], optimization.Rendered]:
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
    sigma = optimization.sigma_at(config, count)
    return poses, _draw(state, poses, jnp.asarray(times), sigma, config, size)


@functools.partial(jax.jit, static_argnames=("config", "size"))
def _draw(
    state: State,
    extrinsics: Array,
    times: Array,
    sigma: Array,
    config: Config,
    size: tuple[int, int],
) -> optimization.Rendered:
    evaluate = optimization.biased(config, sigma)
    return optimization.render(
        state.field, state.densities, extrinsics, times, config, size, evaluate
    )
