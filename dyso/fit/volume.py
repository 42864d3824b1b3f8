"""Volume rendering along rays, for any field.

A ray is cut into intervals of a coordinate s, which runs from 0 at `near` to 1 at `far`
and is linear in the inverse of the distance, so that distances that look alike are
cut alike. Densities are per unit of s. (NeRF's normalised device coordinates do the
same for cameras that look in one direction.)
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Bounds(NamedTuple):
    """The distances in metres between which a field is rendered."""

    near: float
    far: float

    def distance(self, s: Float[Array, "*N"]) -> Float[Array, "*N"]:
        """Returns distances in metres."""
        return 1 / ((1 - s) / self.near + s / self.far)

    def coordinate(self, distance: Float[Array, "*N"]) -> Float[Array, "*N"]:
        """Returns s, the inverse of `distance`."""
        return (1 / self.near - 1 / distance) / (1 / self.near - 1 / self.far)


def stratified(key: Array | None, rays: int, count: int) -> Float[Array, "N S+1"]:
    """Returns the edges of `count` intervals of [0, 1] of about the same length.

    Args:
      key: moves the inner edges at random by up to half an interval; None does not.
      rays: N.
      count: S, intervals.
    """
    edges = jnp.broadcast_to(jnp.linspace(0.0, 1.0, count + 1), (rays, count + 1))
    if key is None:
        return edges
    moved = jax.random.uniform(key, (rays, count - 1), minval=-0.5, maxval=0.5)
    return edges.at[:, 1:-1].add(moved / count)


def importance(
    key: Array | None,
    edges: Float[Array, "N S+1"],
    weights: Float[Array, "N S"],
    count: int,
    padding: float = 0.01,
) -> Float[Array, "N K+1"]:
    """Returns the edges of intervals that are short where the weights are large.

    They are quantiles of the distribution that is constant in each interval, of weights
    that are blurred first, since a surface may lie in the next interval (mip-NeRF,
    Barron et al., ICCV 2021, eq. 18).

    Args:
      key: moves the quantiles at random by up to half their distance; None does not.
      edges: of the intervals that `weights` belong to, in [0, 1].
      weights: not negative, of any sum.
      count: K, intervals.
      padding: the share of the quantiles that are even over all intervals.
    """
    padded = jnp.pad(weights, ((0, 0), (1, 1)), mode="edge")
    largest = jnp.maximum(padded[:, :-1], padded[:, 1:])
    blurred = (largest[:, :-1] + largest[:, 1:]) / 2
    share = blurred / jnp.maximum(blurred.sum(-1, keepdims=True), 1e-8)
    share = (1 - padding) * share + padding * jnp.diff(edges)
    ends = jnp.cumsum(share, axis=-1)
    ends = jnp.pad(ends / ends[:, -1:], ((0, 0), (1, 0)))
    quantiles = stratified(key, len(edges), count)
    return jax.vmap(jnp.interp)(quantiles, ends, edges)


def rendering_weights(optical: Float[Array, "*N S"]) -> Float[Array, "*N S"]:
    """Returns the share of each interval in the ray's colour.

    w_i = T_i (1 - exp(-sigma_i delta_i)), with the transmittance T_i of all intervals
    before it (NeRF, Mildenhall et al., ECCV 2020, eq. 3).

    Args:
      optical: sigma_i delta_i, density times length, from the nearest interval on.
    """
    before = jnp.cumsum(optical, axis=-1) - optical
    return -jnp.exp(-before) * jnp.expm1(-optical)


def normalized(weights: Float[Array, "*N S"]) -> Float[Array, "*N S"]:
    """Returns weights with the sum 1; even ones where all are 0."""
    weights = weights + 1e-8
    return weights / weights.sum(-1, keepdims=True)


def density_of(values: Float[Array, "*N"]) -> Float[Array, "*N"]:
    """Returns exp, which reaches surfaces fast, of at most e^10."""
    return jnp.exp(jnp.minimum(values, 10.0))
