"""Which Gaussians each tile of an image shows, from front to back, in fixed shapes.

A tile lists the Gaussians whose bounding box touches it. The lists have different
lengths, so they are cut into chunks of `CHUNK` entries, and all chunks of all tiles are
numbered in one sequence. Work is in proportion to the entries that exist, up to the
last chunk of each tile, and not to the longest list.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from dyso.fit.gaussians.projection import Splats

TILE = 8
"""Pixels, side of a tile."""
CHUNK = 16
"""Entries of a chunk."""
LEAST_ALPHA = 1 / 255
"""A Gaussian is not drawn where it covers less than this."""


class Tiles(NamedTuple):
    """The Gaussians of each tile of an image of R x S tiles, numbered by rows.

    Attributes:
      gaussians: [Q, C], the entries of each chunk, the nearest first; the number of
        Gaussians where there is none.
      tiles: [Q], each chunk's tile; R * S for chunks that are not used.
      first: [R * S + 1], each tile's first chunk; the last is the number of chunks.
      dropped: [], entries beyond the capacity, those of the farthest Gaussians.
    """

    gaussians: Int[Array, "Q C"]
    tiles: Int[Array, " Q"]
    first: Int[Array, " T"]
    dropped: Int[Array, ""]


def grid(size: tuple[int, int]) -> tuple[int, int]:
    """Returns the rows and columns of tiles that cover an image."""
    height, width = size
    return -(-height // TILE), -(-width // TILE)


def chunks_of(capacity: int, size: tuple[int, int]) -> int:
    """Returns the number of chunks that any `capacity` entries fit into."""
    rows, columns = grid(size)
    return capacity // CHUNK + rows * columns


def boxes(splats: Splats, size: tuple[int, int]) -> Int[Array, "N 4"]:
    """Returns the tiles that each Gaussian touches: left, top, right and bottom.

    Right and bottom are exclusive. The box bounds the ellipse in which the Gaussian
    covers at least `LEAST_ALPHA`.
    """
    rows, columns = grid(size)
    ratio = jnp.maximum(splats.opacities / LEAST_ALPHA, 1.0)
    reach = jnp.sqrt(2 * jnp.log(ratio)[:, None] * splats.covariances[:, ::2])
    # Pixel centres from `low` to `high` are inside; the first has its centre at 0.5.
    most = jnp.array([columns * TILE, rows * TILE])
    low = jnp.clip(jnp.ceil(splats.centers - reach - 0.5), 0, most).astype(int)
    high = jnp.clip(jnp.floor(splats.centers + reach - 0.5) + 1, 0, most).astype(int)
    empty = (ratio <= 1) | (high <= low).any(-1)
    start, stop = low // TILE, -(-high // TILE)
    stop = jnp.where(empty[:, None], start, stop)
    return jnp.concatenate([start, stop], axis=-1)


def count_entries(splats: Splats, size: tuple[int, int]) -> Int[Array, ""]:
    """Returns the number of pairs of a Gaussian and a tile that it touches."""
    left, top, right, bottom = boxes(splats, size).T
    return ((right - left) * (bottom - top)).sum()


def assign(splats: Splats, size: tuple[int, int], capacity: int) -> Tiles:
    """Sorts the Gaussians into tiles.

    Args:
      splats: N Gaussians.
      size: height and width of the image.
      capacity: the most entries of all tiles together.
    """
    rows, columns = grid(size)
    tiles, count = rows * columns, len(splats.opacities)
    order = jnp.argsort(jax.lax.stop_gradient(splats.distances))
    left, top, right, bottom = boxes(splats, size)[order].T
    touched = (right - left) * (bottom - top)
    ends = jnp.cumsum(touched)

    # Entry e belongs to the first Gaussian whose entries end after e.
    entry = jnp.arange(capacity)
    marks = jnp.zeros(capacity, int).at[ends].add(1, mode="drop")
    rank = jnp.minimum(jnp.cumsum(marks), count - 1)
    nth = entry - (ends - touched)[rank]
    across = jnp.maximum((right - left)[rank], 1)
    tile = (top[rank] + nth // across) * columns + left[rank] + nth % across
    tile = jnp.where(entry < ends[-1], tile, tiles)

    # A stable sort by tile keeps the order by distance.
    tile, rank = jax.lax.sort((tile, rank), num_keys=1, is_stable=True)
    starts = jnp.searchsorted(tile, jnp.arange(tiles + 1))
    lengths = jnp.diff(starts)
    first = jnp.concatenate([jnp.zeros(1, int), jnp.cumsum(-(-lengths // CHUNK))])
    chunk = jnp.arange(chunks_of(capacity, size))
    owner = jnp.searchsorted(first, chunk, side="right") - 1
    owner = jnp.minimum(owner, tiles)
    lane = (chunk - first[owner])[:, None] * CHUNK + jnp.arange(CHUNK)
    used = (owner < tiles)[:, None] & (lane < jnp.append(lengths, 0)[owner][:, None])
    place = jnp.where(used, starts[owner][:, None] + lane, 0)
    return Tiles(
        gaussians=jnp.where(used, order[rank[place]], count),
        tiles=owner,
        first=first,
        dropped=jnp.maximum(ends[-1] - capacity, 0),
    )
