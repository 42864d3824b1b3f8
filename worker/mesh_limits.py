"""Limits of meshes, and of what an importer of meshes may create."""

from __future__ import annotations

from .errors import AssetError

MAX_TRIANGLES = 1 << 23
"""Maximum triangles of an object, for which Blender and the ray caster take some GB.
ShapeNet's largest meshes have fewer than half as many."""
MIN_SIDE, MAX_SIDE = 1e-9, 1e9
"""Bounds of a mesh's longest side, in the file's units, that float32 can scale."""
MAX_PARTS = {
    "nodes and instances": 1 << 14,
    "primitives": 1 << 14,
    "morph targets": 1 << 13,
    "joints": 1 << 12,
    "materials": 1 << 12,
    "textures": 1 << 11,
    "images": 1 << 11,
    "buffers": 1 << 11,
    "scenes": 1 << 8,
    "animation channels": 1 << 14,
    "animation keys": 1 << 20,
}
"""Maximum parts of a glTF, and materials of an OBJ. Blender takes seconds for this
many; its time is quadratic in the joints, materials and scenes."""


def check_count(asset_id: str, what: str, count: int, most: int) -> None:
    """Checks a number of parts.

    Raises:
      AssetError: there are more than `most`.
    """
    if count > most:
        raise AssetError(asset_id, f"has {count} {what}, at most {most}")
