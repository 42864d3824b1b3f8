"""Rendering rays at a fixed number of points, which lie where space is occupied."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dyso.fit import volume
from dyso.fit.hexplane import field as fields
from dyso.fit.hexplane.config import Marching, Occupancy
from dyso.fit.hexplane.field import Field, Region
from dyso.fit.hexplane.occupancy import Densities, occupied
from dyso.fit.rays import Rays

Evaluate = Callable[[Field, Array, Array], tuple[Array, Array]]
"""Takes what `fields.evaluate` does, and returns the same."""


class Settings(Protocol):
    """What rendering needs of a fit's settings."""

    @property
    def marching(self) -> Marching:
        """Numbers of points."""

    @property
    def occupancy(self) -> Occupancy:
        """When a cell is occupied."""


class Rendering(NamedTuple):
    """Rays at their points, from near to far.

    Attributes:
      color: in [0, 1], with the background.
      weights: see `volume.rendering_weights`; 0 at points that a ray does not need.
      places: the points, in s from 0 (near) to 1 (far).
    """

    color: Float[Array, "N 3"]
    weights: Float[Array, "N K"]
    places: Float[Array, "N K"]


def render(
    field: Field,
    densities: Densities,
    rays: Rays,
    region: Region,
    config: Settings,
    key: Array | None = None,
    evaluate: Evaluate | None = None,
) -> Rendering:
    """Renders rays.

    Args:
      field: the parameters.
      densities: the occupancy grid.
      rays: N rays.
      region: of the field.
      config: numbers of points, and when a cell is occupied.
      key: moves the points at random; None does not.
      evaluate: in place of `fields.evaluate`.
    """
    keys = (None, None) if key is None else jax.random.split(key)
    count = len(rays.origins)
    edges = volume.stratified(keys[0], count, config.marching.candidates)
    distances = region.bounds.distance(edges)[..., None]
    at_edges = region.cube(rays.origins[:, None] + distances * rays.directions[:, None])
    middles = (at_edges[:, 1:] + at_edges[:, :-1]) / 2
    lengths = jnp.linalg.norm(jnp.diff(at_edges, axis=1), axis=-1)
    needed = occupied(densities, middles, config.occupancy.least)
    shift = 0.5 if keys[1] is None else jax.random.uniform(keys[1], (count, 1))
    chosen, used, stride = choose(needed, config.marching.points, shift)

    points = jnp.take_along_axis(middles, chosen[..., None], axis=1)
    lengths = jnp.take_along_axis(lengths, chosen, axis=1) * stride
    places = jnp.take_along_axis((edges[:, 1:] + edges[:, :-1]) / 2, chosen, axis=1)
    times = jnp.broadcast_to(rays.times[:, None], chosen.shape)
    look_up = evaluate or fields.evaluate
    density, color = look_up(field, points.reshape(-1, 3), times.ravel())
    optical = jnp.where(used, density.reshape(chosen.shape) * lengths, 0.0)
    weights = volume.rendering_weights(optical)
    through = 1 - weights.sum(-1, keepdims=True)
    seen = (weights[..., None] * color.reshape(*chosen.shape, 3)).sum(-2)
    return Rendering(
        color=seen + through * fields.behind(field, rays.directions),
        weights=weights,
        places=places,
    )


def choose(
    needed: Bool[Array, "N M"], count: int, shift: Float[Array, "N 1"] | float
) -> tuple[Int[Array, "N K"], Bool[Array, "N K"], Float[Array, "N 1"]]:
    """Returns K of the candidates of each ray that are needed, in their order.

    All of them if they are at most K, else every n-th of them, where n need not be a
    whole number.

    Args:
      needed: whether a candidate is.
      count: K.
      shift: from 0 to 1, of the first one that is chosen.

    Returns:
      The candidates' numbers; whether each is used, since a ray may need fewer; and n,
      at least 1, the number of candidates that each stands for.
    """
    ranks = jnp.cumsum(needed, axis=-1)
    found = ranks[:, -1:]
    stride = jnp.maximum(found / count, 1.0)
    wanted = jnp.floor((jnp.arange(count) + shift) * stride).astype(int) + 1
    # Every rank is wanted once where n is 1, whatever the shift.
    wanted = jnp.where(stride == 1, jnp.arange(count) + 1, wanted)
    chosen = jax.vmap(jnp.searchsorted)(ranks, wanted)
    used = wanted <= found
    return jnp.minimum(chosen, needed.shape[1] - 1), used, stride
