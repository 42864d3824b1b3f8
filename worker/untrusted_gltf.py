"""Checks the references, numbers of parts and coordinates of a glTF file."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from .archives import MAX_BYTES
from .errors import AssetError, describe, quote
from .mesh_limits import MAX_PARTS, MAX_TRIANGLES, check_count
from .plain_files import inside, plain_file, read_plain

MALFORMED = (
    AttributeError,
    LookupError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What reading a document of another structure raises."""


@dataclass(frozen=True, kw_only=True)
class Gltf:
    """A glTF that may be imported.

    Attributes:
      asset_id: the asset's id, for error messages.
      document: its JSON.
      chunk: the buffer in a .glb, or None.
      external: pairs of a buffer or image of the document that refers to a file, and
        the file; None for the file of a missing image.
    """

    asset_id: str
    document: dict[str, Any]
    chunk: bytes | None
    external: list[tuple[dict[str, Any], Path | None]]

    def buffer(self, number: int) -> bytes:
        """Reads a buffer.

        Raises:
          AssetError: it is too large.
          OSError: its file cannot be read.
          LookupError, ValueError: there is no such buffer, or it is not base64.
        """
        entry = self.document["buffers"][number]
        for named, file in self.external:
            if named is entry and file is not None:
                return read_plain(self.asset_id, file)
        if entry.get("uri"):
            return base64.b64decode(entry["uri"].partition(";base64,")[2])
        return self.chunk or b""


def read_gltf(asset_id: str, path: Path, root: Path, data: bytes) -> Gltf:
    """Reads a glTF and checks its references and its number of parts.

    Args:
      asset_id: the asset's id, for error messages.
      path: the file.
      root: the folder, resolved, that must contain its buffers and images.
      data: the content, from `untrusted_meshes.read_mesh`.

    Raises:
      AssetError: see `untrusted_meshes.clean_copy`; or a buffer is missing.
      OSError: a file cannot be read.
    """
    try:
        document, chunk = _document(data)
        _check_counts(asset_id, document)
        external = []
        for kind in ("buffers", "images"):
            for entry in document.get(kind, ()):
                uri = entry.get("uri") or ""
                if not uri or _is_inline(uri):
                    continue
                name = unquote(uri)
                file = plain_file(root, inside(asset_id, root, path.parent, name))
                if file is None and kind == "buffers":
                    raise AssetError(asset_id, f"has no file {quote(name)}")
                external.append((entry, file))
        files = {id(entry): file for entry, file in external if file is not None}
        listed = [files.get(id(entry)) for entry in document.get("buffers", ())]
        size = sum(file.stat().st_size for file in listed if file is not None)
        check_count(asset_id, "bytes of buffers", size, MAX_BYTES)
        gltf = Gltf(
            asset_id=asset_id, document=document, chunk=chunk, external=external
        )
        # Blender's importer silently reads values that are not finite as 0.
        if not all(np.isfinite(p).all() for p in _positions(document, gltf.buffer)):
            raise AssetError(asset_id, "the mesh has coordinates that are not finite")
    except (*MALFORMED, struct.error) as error:
        what = f"{type(error).__name__}: {describe(error)}"
        raise AssetError(asset_id, f"{path.name} is no glTF: {what}") from error
    return gltf


def _document(data: bytes) -> tuple[dict[str, Any], bytes | None]:
    """Returns the JSON of a .gltf or .glb, and the buffer in a .glb."""
    text, chunk = data, None
    if data[:4] == b"glTF":
        length, kind = struct.unpack_from("<I4s", data, 12)
        if kind != b"JSON":
            raise ValueError("its first chunk is not JSON")
        text = data[20 : 20 + length]
        if 20 + length < len(data):
            size, kind = struct.unpack_from("<I4s", data, 20 + length)
            if kind == b"BIN\0":
                chunk = data[28 + length : 28 + length + size]
    # Other encodings and NaN are refused, as in Blender.
    document = json.loads(text.decode(), parse_constant=_refuse_constant)
    if not isinstance(document, dict):
        raise ValueError("its JSON is no table")
    return document, chunk


def _refuse_constant(text: str) -> None:
    raise ValueError(f"its JSON has {text}")


def _is_inline(uri: str) -> bool:
    return uri.startswith("data:") and ";base64," in uri


def _positions(
    document: dict[str, Any], buffer: Callable[[int], bytes]
) -> Iterator[np.ndarray]:
    """Yields the vertices [n, 3] of all meshes, except compressed ones."""
    used = {
        attributes["POSITION"]
        for entry in document.get("meshes", ())
        for primitive in entry["primitives"]
        for attributes in (primitive["attributes"], *primitive.get("targets", ()))
        if "POSITION" in attributes
    }
    buffers: dict[int, bytes] = {}
    for number in sorted(used):
        accessor = document["accessors"][number]
        if accessor.get("componentType") == 5126 and "bufferView" in accessor:
            view = document["bufferViews"][accessor["bufferView"]]
            which = view["buffer"]
            if which not in buffers:
                buffers[which] = buffer(which)
            start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
            shape, strides = (accessor["count"], 3), (view.get("byteStride") or 12, 4)
            yield np.ndarray(shape, "<f4", buffers[which], start, strides)


def _check_counts(asset_id: str, document: dict[str, Any]) -> None:
    """Checks the number of parts that an importer would create.

    Raises:
      AssetError: it has too many.
    """
    counts = [int(accessor["count"]) for accessor in document.get("accessors", ())]
    if min(counts, default=0) < 0:
        raise ValueError("a negative count")
    meshes = [mesh["primitives"] for mesh in document.get("meshes", ())]
    primitives = [primitive for mesh in meshes for primitive in mesh]
    sizes = [
        sum(counts[number] for primitive in mesh for number in _accessors(primitive))
        for mesh in meshes
    ]
    nodes = document.get("nodes", ())
    placed, instances = 0, 0
    for node in nodes:
        if "mesh" in node:
            extension = node.get("extensions", {}).get("EXT_mesh_gpu_instancing", {})
            copies = [counts[i] for i in extension.get("attributes", {}).values()]
            placed += sizes[node["mesh"]] * max(copies, default=1)
            instances += max(copies, default=0)
    skins = document.get("skins", ())
    channels = [
        (animation["samplers"], channel)
        for animation in document.get("animations", ())
        for channel in animation["channels"]
    ]
    keys = [samplers[channel["sampler"]] for samplers, channel in channels]
    listed = {
        kind: len(document.get(kind, ()))
        for kind in ("materials", "textures", "images", "buffers", "scenes")
    }
    part_counts = {
        "nodes and instances": len(nodes) + instances,
        "primitives": len(primitives),
        "morph targets": sum(len(each.get("targets", ())) for each in primitives),
        "joints": sum(
            max(len(skin["joints"]), counts[skin["inverseBindMatrices"]])
            if "inverseBindMatrices" in skin
            else len(skin["joints"])
            for skin in skins
        ),
        **listed,
        "animation channels": len(channels),
        "animation keys": sum(
            max(counts[key["input"]], counts[key["output"]]) for key in keys
        ),
    }
    corners = max(placed, sum(counts))
    for what, count in part_counts.items():
        check_count(asset_id, what, count, MAX_PARTS[what])
    check_count(asset_id, "corners", corners, 3 * MAX_TRIANGLES)


def _accessors(primitive: dict[str, Any]) -> Iterator[int]:
    if "indices" in primitive:
        yield primitive["indices"]
    # All attributes are as long as the positions.
    for attributes in (primitive["attributes"], *primitive.get("targets", ())):
        if "POSITION" in attributes:
            yield attributes["POSITION"]
