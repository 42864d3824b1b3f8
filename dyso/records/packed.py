"""Arrays of numbers as compressed integers: meshes take a third of their plain bytes.

Values are rounded to multiples of a unit. From the integers, neighbours are subtracted,
first along the axis of steps if there is one, then along that of vertices or faces. The
differences are small: n becomes 2 n, or -2 n - 1 if it is negative. Their 32 bits are
stored as four planes of bytes, lowest first, compressed by zlib.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64, Shaped

from dyso.records.errors import RecordError

MESH_STEP = 1 / 16384
"""Unit of a mesh's coordinates, in sizes of the smallest object."""
MESH_ERROR = 3.1e-5
"""Largest error of a coordinate, in sizes: half a unit, and float32's."""
_LEVEL = 9  # zlib's


def pack(values: Shaped[np.ndarray, "*N"], unit: float = 1.0) -> bytes:
    """Returns the stored form of an array of at least one axis.

    Raises:
      ValueError: a value is not finite, or its integer needs more than 28 bits.
    """
    multiples = np.rint(values / unit)
    if not (abs(multiples) < 2**28).all():
        raise ValueError("a mesh has coordinates that cannot be stored")
    differences = multiples.astype(np.int64)
    for axis in step_axes(differences.ndim):
        differences = np.diff(differences, axis=axis, prepend=0)
    signed = differences.ravel()
    codes = ((signed << 1) ^ (signed >> 63)).astype("<u4")
    planes = codes.view(np.uint8).reshape(-1, 4).T
    return zlib.compress(planes.tobytes(), _LEVEL)


def unpack(data: bytes, shape: Sequence[int]) -> Int64[np.ndarray, "*N"]:
    """Returns the integers of an array; times the unit they are its values.

    Args:
      data: the result of `pack`.
      shape: the array's, whose size the caller has checked.

    Raises:
      RecordError: the data is damaged or does not have this shape.
    """
    size = 4 * int(np.prod(shape, dtype=np.int64))
    decompressor = zlib.decompressobj()
    try:
        # One byte more than there should be, to notice it.
        planes = decompressor.decompress(data, size + 1)
    except zlib.error as error:
        raise RecordError(f"not compressed numbers: {error}") from error
    if len(planes) != size or not decompressor.eof:
        raise RecordError(f"not {size} compressed bytes")
    stacked = np.frombuffer(planes, np.uint8).reshape(4, -1).T
    codes = np.ascontiguousarray(stacked).view("<u4").astype(np.int64)
    values = ((codes >> 1) ^ -(codes & 1)).reshape(shape)
    for axis in reversed(step_axes(len(shape))):
        values = np.cumsum(values, axis=axis)
    return values


def step_axes(dimensions: int) -> tuple[int, ...]:
    """Returns the axes along which neighbours are subtracted, in order."""
    return (0, 1) if dimensions == 3 else (0,)
