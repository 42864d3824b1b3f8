"""Rays through pixels, random pixels to train on, and rendering images in pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, UInt8

from dyso import geometry

CHUNK = 2048
"""Rays rendered at once."""


class Rays(NamedTuple):
    """Rays in the world, of times from -1 to 1."""

    origins: Float[Array, "N 3"]
    directions: Float[Array, "N 3"]
    times: Float[Array, " N"]


def rays_of(
    intrinsics: Float[Array, "*N 3 3"],
    extrinsics: Float[Array, "*N 3 4"],
    pixels: Float[Array, "N 2"],
    times: Float[Array, " N"],
) -> Rays:
    """Returns the rays through pixels (x, y)."""
    origins, directions = geometry.rays(intrinsics, extrinsics, pixels)
    return Rays(origins=origins, directions=directions, times=times)


def image_rays(
    intrinsics: Float[np.ndarray, "3 3"],
    extrinsics: Float[np.ndarray, "3 4"],
    size: tuple[int, int],
    time: float,
) -> Rays:
    """Returns the rays through all pixels of an image, by rows, in single precision."""
    pixels = geometry.pixel_grid(*size, np).reshape(-1, 2)
    origins, directions = geometry.rays(intrinsics, extrinsics, pixels)
    return Rays(
        origins.astype(np.float32),
        directions.astype(np.float32),
        np.full(len(pixels), time, np.float32),
    )


def time_of(step: Any, steps: int) -> Any:
    """Returns the time from -1 for the first step to 1 for the last; 0 if it is one."""
    return 2 * step / (steps - 1) - 1 if steps > 1 else 0.0 * step


def chances(color: UInt8[np.ndarray, "T *C H W 3"]) -> Float32[np.ndarray, " P"]:
    """Returns the chances of the pixels of all views to be drawn, summed up.

    They are in proportion to the difference from the pixel's median over time (DyNeRF,
    Li et al., CVPR 2022); small moving objects have few pixels otherwise.
    """
    values = color.astype(np.float64)
    moving = np.abs(values - np.median(values, axis=0)).sum(-1).ravel()
    sums = np.cumsum(moving if moving.any() else np.ones(moving.shape))
    return (sums / sums[-1]).astype(np.float32)


def random_pixels(
    key: Array, chances: Float[Array, " P"], count: int
) -> Int[Array, " N"]:
    """Returns numbers of pixels: half of them are drawn by `chances`, half evenly."""
    even_key, moving_key = jax.random.split(key)
    moving = jax.random.uniform(moving_key, (count // 2,))
    even = jax.random.randint(even_key, (count - len(moving),), 0, len(chances))
    return jnp.concatenate([jnp.searchsorted(chances, moving), even])


def part_of(rays: Rays, chosen: Any) -> Rays:
    """Returns some of the rays."""
    return Rays(*(each[chosen] for each in rays))


def in_chunks(render: Callable[[Rays], Any], rays: Rays) -> Any:
    """Returns what `render` returns for all rays, as numpy arrays.

    It is called for at most `CHUNK` rays at a time, of which the last are repeated so
    that one program serves all.
    """
    count = len(rays.origins)
    size = min(CHUNK, count)
    parts = []
    for first in range(0, count, size):
        chosen = np.minimum(np.arange(first, first + size), count - 1)
        parts.append(jax.device_get(render(part_of(rays, chosen))))
    return jax.tree.map(lambda *each: np.concatenate(each)[:count], *parts)
