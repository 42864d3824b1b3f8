"""Point clouds from depth, which some methods use as their initial points."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from dyso import geometry

_VERTEX = np.dtype(
    [(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")]
    + [(name, "u1") for name in ("red", "green", "blue")]
)

Cloud = tuple[Float32[np.ndarray, "_ 3"], UInt8[np.ndarray, "_ 3"]]
"""Points [P, 3] in the world, in metres, and their colours; P varies by cloud."""


def view_cloud(
    record: dict[str, Any], view: int, mask: Bool[np.ndarray, "H W"], most: int
) -> Cloud:
    """Returns the points that pixels of one view show, where depth is finite.

    Args:
      record: a record with `cameras.FIELDS`.
      view: the view's index in the record.
      mask: the pixels to choose from.
      most: the most points; more are reduced at random, with a fixed seed.
    """
    depth = record["depth"][view, ..., 0].astype(np.float64)
    chosen = np.flatnonzero(mask & np.isfinite(depth))
    if len(chosen) > most:
        # At random: every n-th pixel would form columns.
        chosen = np.random.default_rng(0).choice(chosen, most, replace=False)
        chosen.sort()
    points = geometry.unproject(
        np.where(np.isfinite(depth), depth, 0),
        record["intrinsics"][view].astype(np.float64),
        record["extrinsics"][view].astype(np.float64),
    )
    colors = record["color"][view].reshape(-1, 3)
    return points.reshape(-1, 3)[chosen].astype(np.float32), colors[chosen]


def write_ply(path: Path, clouds: Iterable[Cloud]) -> None:
    """Writes clouds as one binary PLY file.

    The normals are 0: readers derived from 3D Gaussian Splatting require them but do
    not use them.
    """
    points, colors = (np.concatenate(part) for part in zip(*clouds, strict=True))
    table = np.zeros(len(points), _VERTEX)
    for axis, name in enumerate("xyz"):
        table[name] = points[:, axis]
    for channel, name in enumerate(("red", "green", "blue")):
        table[name] = colors[:, channel]
    kinds = {"f": "float", "u": "uchar"}
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(table)}",
        *(f"property {kinds[_VERTEX[n].kind]} {n}" for n in _VERTEX.names or ()),
        "end_header\n",
    ]
    path.write_bytes("\n".join(header).encode() + table.tobytes())
