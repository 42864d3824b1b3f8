"""One object or HDRI, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

Vector = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One object or HDRI of a catalog.

    Attributes:
      id: its key in the manifest.
      category: an object's category; empty for an HDRI.
      bounds: an object's axis-aligned bounding box, lower and upper corner, in the
        units of its own mesh; all zero for an HDRI.
      textured: whether it brings its own materials; otherwise one is sampled.
      checksum: sha256 of its content, where the manifest has it; else empty.
    """

    id: str
    category: str = ""
    bounds: tuple[Vector, Vector] = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    textured: bool = True
    checksum: str = ""
