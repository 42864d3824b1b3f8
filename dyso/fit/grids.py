"""Features of points in space and time, from planes of a factorised 4D grid.

HexPlane (Cao and Johnson, CVPR 2023): six planes, one for each pair of the axes x, y,
z and t. A point's features are the products of three pairs of complementary planes,
xy * zt, xz * yt and yz * xt, each looked up with bilinear interpolation. With one cell
of time, the planes of t are lines, and the grid is the static one of TensoRF (vectors
times matrices; Chen et al., ECCV 2022). MAV3D (Singer et al., ICML 2023) has sums in
place of the products.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

PAIRS = (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((1, 2), (0, 3)))
"""Axes of complementary planes; 3 is time."""

Fusion = Literal["product", "sum"]
"""What becomes of the features of complementary planes."""

HexPlane = tuple[Float[Array, "A B C"], ...]
"""Six planes in the order of `PAIRS`."""


def initial(
    key: Array,
    resolution: tuple[int, int, int, int],
    channels: int,
    fusion: Fusion = "product",
) -> HexPlane:
    """Returns planes of space with small random features, and planes of time without.

    Planes of time are ones, or zeros for sums, so that nothing varies over time.

    Args:
      key: of the features.
      resolution: cells along x, y, z and t.
      channels: C, features of each plane.
      fusion: of complementary planes.
    """
    # Of a type that is not weak, as after a step, which would be compiled again.
    neutral = jnp.float32({"product": 1.0, "sum": 0.0}[fusion])
    planes = []
    for axes, part in zip(
        itertools.chain(*PAIRS), jax.random.split(key, 6), strict=True
    ):
        size = (*(resolution[axis] for axis in axes), channels)
        in_space = 0.1 * jax.random.normal(part, size)
        planes.append(jnp.full(size, neutral) if 3 in axes else in_space)
    return tuple(planes)


def features(
    levels: Sequence[HexPlane],
    points: Float[Array, "N 4"],
    fusion: Fusion = "product",
) -> Float[Array, "N F"]:
    """Returns the features of points (x, y, z, t) in [-1, 1]; others are clipped.

    All planes are looked up at once, in one table of cells, which compiles and runs
    faster than one after another.

    Args:
      levels: grids of the same number C of channels, such as of several resolutions.
      points: N points; the first and last cells of each axis lie at -1 and 1.
      fusion: of complementary planes.

    Returns:
      3 C features of each level, after another.
    """
    planes = list(itertools.chain(*levels))
    table = jnp.concatenate([each.reshape(-1, each.shape[-1]) for each in planes])
    axes = np.array([*itertools.chain(*PAIRS)] * len(levels))
    sizes = np.array([plane.shape[:2] for plane in planes])
    starts = np.cumsum(sizes.prod(-1)) - sizes.prod(-1)

    place = (jnp.clip(points[:, axes], -1, 1) + 1) / 2 * (sizes - 1)
    low = jnp.clip(place.astype(int), 0, np.maximum(sizes - 2, 0))
    high = jnp.minimum(low + 1, sizes - 1)
    cells, shares = [], []
    for row, column in itertools.product((0, 1), repeat=2):
        a, b = (low, high)[row][..., 0], (low, high)[column][..., 1]
        cells.append(starts + a * sizes[:, 1] + b)
        share = jnp.stack([1 - (place - low), place - low])
        shares.append(share[row, ..., 0] * share[column, ..., 1])
    corners = table[jnp.stack(cells)] * jnp.stack(shares)[..., None]
    pairs = corners.sum(0).reshape(len(points), -1, 2, table.shape[-1])
    one, other = pairs[:, :, 0], pairs[:, :, 1]
    fused = one * other if fusion == "product" else one + other
    return fused.reshape(len(points), -1)


def total_variation(planes: HexPlane) -> Float[Array, ""]:
    """Returns the mean squared difference of neighbouring cells, summed over planes."""
    total = jnp.zeros(())
    for plane in planes:
        for axis in (0, 1):
            if plane.shape[axis] > 1:
                total += (jnp.diff(plane, axis=axis) ** 2).mean()
    return total
