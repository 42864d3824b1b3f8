"""What a mesh file asks its importer to open and to make, looked at beforehand.

Blender's importers read whatever text or buffer a file names, and make as many
vertices as it says. Pictures they only open; those are looked at afterwards, before
they are decoded (see `pictures`).
"""

from __future__ import annotations

import base64
import json
import mmap
import os
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from .errors import AssetError

MAX_TRIANGLES = 1 << 23
"""Of an object. ShapeNet's largest meshes have fewer than half as many; Blender and the
ray caster take some GB for these."""

# What follows the word, with lines joined as Blender joins them.
_LIBRARY = re.compile(rb"mtllib[\x00-\x20]((?:\\\r?\n|[^\n])*)")
_SPACE = re.compile(rb"[\x00-\x20\"']+")


def check_references(asset_id: str, mesh: Path, root: Path) -> None:
    """Looks at an OBJ or glTF file before an importer does.

    Args:
      asset_id: whose it is, for errors.
      mesh: the file.
      root: the asset's folder.

    Raises:
      AssetError: it refers to a file outside of the folder, asks for too many
        vertices, or is no glTF.
    """
    if mesh.suffix not in (".glb", ".gltf"):
        _check_names(asset_id, mesh, root, _libraries(mesh))
        return
    try:
        document, rest = _document(mesh)
        _check_names(asset_id, mesh, root, _uris(document))
        corners = _corners(document)
        if corners > 3 * MAX_TRIANGLES:
            raise AssetError(
                asset_id, f"has {corners} corners, at most {3 * MAX_TRIANGLES}"
            )
        # Blender's importer reads what is not finite as 0, without a word.
        if not all(np.isfinite(p).all() for p in _positions(document, rest, mesh)):
            raise AssetError(asset_id, "the mesh has coordinates that are not finite")
    except (
        AttributeError,
        LookupError,
        OSError,
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
        struct.error,
    ) as error:
        what = f"{type(error).__name__}: {error}"
        raise AssetError(asset_id, f"{mesh.name} is no glTF: {what}") from error


def _check_names(asset_id: str, mesh: Path, root: Path, names: Iterable[str]) -> None:
    for name in names:
        # Blender takes both kinds of slash. No archive brings a link, so that what
        # stays inside by its name does so on the disk.
        path = os.path.normpath(mesh.parent / name.replace("\\", "/"))
        if not Path(path).is_relative_to(root):
            raise AssetError(asset_id, f"refers to {name[:80]!r}, outside its folder")


def _libraries(mesh: Path) -> Iterator[str]:
    """Gives what an OBJ's `mtllib` lines may mean: all of the line, or a word."""
    if not mesh.stat().st_size:
        return
    with (
        mesh.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
    ):
        for match in _LIBRARY.finditer(text):
            for name in (match[1].strip(), *_SPACE.split(match[1])):
                yield name.decode(errors="replace")


def _document(path: Path) -> tuple[dict[str, Any], bytes]:
    """Gives the JSON of a .gltf or .glb, and the buffer that a .glb brings."""
    data = path.read_bytes()
    # By the first bytes, as the importer does.
    if data[:4] != b"glTF":
        return json.loads(data), b""
    (length,) = struct.unpack_from("<I", data, 12)
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def _uris(document: dict[str, Any]) -> Iterator[str]:
    for kind in ("buffers", "images"):
        for entry in document.get(kind, ()):
            uri = entry.get("uri") or ""
            if not _is_inline(uri):
                yield unquote(uri)


def _is_inline(uri: str) -> bool:
    return uri.startswith("data:") and ";base64," in uri


def _positions(
    document: dict[str, Any], rest: bytes, mesh: Path
) -> Iterator[np.ndarray]:
    """Gives the vertices [n, 3] of all meshes, but for what is compressed."""
    buffers: dict[int, bytes] = {}

    def buffer(number: int) -> bytes:
        if number not in buffers:
            uri = document["buffers"][number].get("uri")
            if not uri:
                buffers[number] = rest
            elif _is_inline(uri):
                buffers[number] = base64.b64decode(uri.partition(";base64,")[2])
            else:
                name = unquote(uri.replace("\\", "/"))
                buffers[number] = (mesh.parent / name).read_bytes()
        return buffers[number]

    used = {
        attributes["POSITION"]
        for entry in document.get("meshes", ())
        for primitive in entry["primitives"]
        for attributes in (primitive["attributes"], *primitive.get("targets", ()))
        if "POSITION" in attributes
    }
    for number in sorted(used):
        accessor = document["accessors"][number]
        if accessor.get("componentType") == 5126 and "bufferView" in accessor:
            view = document["bufferViews"][accessor["bufferView"]]
            start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
            shape, strides = (accessor["count"], 3), (view.get("byteStride") or 12, 4)
            yield np.ndarray(shape, "<f4", buffer(view["buffer"]), start, strides)


def _corners(document: dict[str, Any]) -> int:
    """Gives how much there is to make: of each mesh, as often as it is placed."""
    counts = [int(accessor["count"]) for accessor in document.get("accessors", ())]
    if min(counts, default=0) < 0:
        raise ValueError("a negative count")
    sizes = [
        sum(
            counts[accessor]
            for primitive in mesh["primitives"]
            for accessor in _accessors(primitive)
        )
        for mesh in document.get("meshes", ())
    ]
    placed = 0
    for node in document.get("nodes", ()):
        if "mesh" in node:
            extension = node.get("extensions", {}).get("EXT_mesh_gpu_instancing", {})
            copies = [counts[i] for i in extension.get("attributes", {}).values()]
            placed += sizes[node["mesh"]] * max(copies, default=1)
    return max(placed, sum(counts))


def _accessors(primitive: dict[str, Any]) -> Iterator[int]:
    if "indices" in primitive:
        yield primitive["indices"]
    # Each attribute is as long as the positions, which are what takes the room.
    for attributes in (primitive["attributes"], *primitive.get("targets", ())):
        if "POSITION" in attributes:
            yield attributes["POSITION"]
