"""Which cells of space are empty at all times, so that rays skip them.

A grid has a moving average of the largest density in each cell (Instant NGP, Mueller et
al., SIGGRAPH 2022, appendix C): an update looks up a random point at a random time in
some cells, and sets each to the larger of this density and its own, decayed, value. An
object that moves is therefore in the cells of its whole path.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from dyso.fit.hexplane import field as fields
from dyso.fit.hexplane.config import Occupancy
from dyso.fit.hexplane.field import Field

Densities = Float[Array, "G G G"]
"""Of the cells of [-1, 1]^3, per unit of it."""


def initial(settings: Occupancy) -> Densities:
    """Returns the density of the fog that a field begins as, which is occupied."""
    return jnp.ones((settings.cells,) * 3)


def updated(
    densities: Densities,
    field: Field,
    key: Array,
    settings: Occupancy,
    evaluate: Callable[..., tuple[Array, Array]] | None = None,
) -> Densities:
    """Returns the grid after an update.

    Args:
      densities: the grid.
      field: what is looked up.
      key: of the cells, the points and the times.
      settings: number of cells, and decay.
      evaluate: in place of `fields.evaluate`.
    """
    cell_key, point_key, time_key = jax.random.split(key, 3)
    count = settings.samples
    flat = jax.random.randint(cell_key, (count,), 0, densities.size)
    cells = jnp.stack(jnp.unravel_index(flat, densities.shape), axis=-1)
    points = cells + jax.random.uniform(point_key, (count, 3))
    times = jax.random.uniform(time_key, (count,), minval=-1.0, maxval=1.0)
    density, _ = (evaluate or fields.evaluate)(
        field, 2 * points / settings.cells - 1, times
    )
    values = densities.ravel()
    values = values.at[flat].set(settings.decay * values[flat])
    return values.at[flat].max(density).reshape(densities.shape)


def occupied(
    densities: Densities, points: Float[Array, "*N 3"], least: float
) -> Bool[Array, "*N"]:
    """Returns whether points in [-1, 1]^3 lie in cells that are not empty.

    Args:
      densities: the grid.
      points: in [-1, 1]^3.
      least: opacity across a cell from which on it is occupied.
    """
    cells = len(densities)
    place = jnp.clip(((points + 1) / 2 * cells).astype(int), 0, cells - 1)
    density = densities[place[..., 0], place[..., 1], place[..., 2]]
    return density * (2 / cells) > -jnp.log1p(-least)
