"""Point clouds from depth, for the methods that start from one."""

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

Cloud = tuple[Float32[np.ndarray, "P 3"], UInt8[np.ndarray, "P 3"]]
"""Points in the world, and their colours."""


def view_cloud(
    record: dict[str, Any], view: int, shown: Bool[np.ndarray, "H W"], most: int
) -> Cloud:
    """Returns what pixels of one view show, where that is within reach.

    Args:
      record: with `cameras.FIELDS`.
      view: its place in the record.
      shown: the pixels to choose from.
      most: pixels, at random if there are more; the same ones every time.
    """
    depth = record["depth"][view, ..., 0].astype(np.float64)
    places = np.flatnonzero(shown & np.isfinite(depth))
    if len(places) > most:
        # Random, since every n-th pixel would stand in columns.
        places = np.random.default_rng(0).choice(places, most, replace=False)
        places.sort()
    points = geometry.unproject(
        np.where(np.isfinite(depth), depth, 0),
        record["intrinsics"][view].astype(np.float64),
        record["extrinsics"][view].astype(np.float64),
    )
    colors = record["color"][view].reshape(-1, 3)
    return points.reshape(-1, 3)[places].astype(np.float32), colors[places]


def write_ply(path: Path, clouds: Iterable[Cloud]) -> None:
    """Writes clouds as one binary PLY file.

    Its normals are 0: readers of 3D Gaussian Splatting's kind ask for them, and do not
    use them.
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
