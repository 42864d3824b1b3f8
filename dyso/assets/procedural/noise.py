"""Pictures of noise that repeat without a seam.

By sums, products and roots alone, which every machine rounds the same way.
"""

from __future__ import annotations

import numpy as np


def smooth(rng: np.random.Generator, side: int, rows: int, columns: int) -> np.ndarray:
    """Returns value noise [side, side] in [0, 1] with this number of cells."""
    lattice = rng.random((rows, columns)).astype(np.float32)
    for axis, cells in ((0, rows), (1, columns)):
        t = np.arange(side, dtype=np.float32) * np.float32(cells / side)
        i = t.astype(int)
        f = t - i
        f = f * f * (3 - 2 * f)
        f = f[:, None] if axis == 0 else f[None]
        a = np.take(lattice, i % cells, axis)
        lattice = a + (np.take(lattice, (i + 1) % cells, axis) - a) * f
    return lattice


def layered(
    rng: np.random.Generator,
    side: int,
    rows: int,
    columns: int | None = None,
    octaves: int = 5,
    gain: float = 0.5,
) -> np.ndarray:
    """Returns noise [side, side] about 0.5 with detail at several scales."""
    columns = rows if columns is None else columns
    total, weight, sums = np.zeros((side, side), np.float32), 1.0, 0.0
    for _ in range(octaves):
        total += np.float32(weight) * smooth(rng, side, rows, columns)
        sums += weight
        weight *= gain
        rows, columns = min(2 * rows, side), min(2 * columns, side)
    total /= np.float32(sums)
    return np.clip((total - 0.5) * np.float32(1.7) + 0.5, 0, 1)


def cells(
    rng: np.random.Generator, side: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a pattern of cells: nearest distance, the gap to the next, a number.

    Args:
      rng: draws.
      side: pixels.
      count: cells a side.
    """
    where = rng.random((count, count, 2)).astype(np.float32)
    number = rng.random((count, count)).astype(np.float32)
    t = np.arange(side, dtype=np.float32) * np.float32(count / side)
    i = t.astype(int)
    f = t - i
    near = np.full((side, side), 9, np.float32)
    second, which = near.copy(), np.zeros_like(near)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            a, b = (i + dy) % count, (i + dx) % count
            point = where[a[:, None], b[None]]
            y = point[..., 0] + dy - f[:, None]
            x = point[..., 1] + dx - f[None]
            gap = y * y + x * x
            closer = gap < near
            second = np.where(closer, near, np.minimum(second, gap))
            which = np.where(closer, number[a[:, None], b[None]], which)
            near = np.where(closer, gap, near)
    near, second = np.sqrt(near), np.sqrt(second)
    return near, second - near, which


def step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Returns 0 below `low`, 1 above `high`, and a smooth step between."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)
