"""Checks the files and parts that a mesh file makes its importer open and create.

Blender's importers open any file that a mesh names, and create as many vertices as it
requests. Therefore they only open a copy, which is parsed and written by this module.
In the copy, every name is replaced by a link to a regular file of the asset's folder.
The importers open images but do not decode them; `pictures` checks these afterwards.
"""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from dyso.assets.manifest import MESH_SUFFIXES, mesh_kind

from .archives import MAX_BYTES
from .errors import AssetError, describe, is_machine_fault, quote

MAX_TRIANGLES = 1 << 23
"""Maximum triangles of an object, for which Blender and the ray caster take some GB.
ShapeNet's largest meshes have fewer than half as many."""
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
MAX_LIBRARIES = 256
"""Maximum material libraries that an OBJ names."""
MAX_MATERIALS_BYTES = 16 << 20
"""Maximum total size of these libraries."""

_SPACES = bytes(32 if code < 32 and code != 10 else code for code in range(256))
"""Translates the characters that Blender treats as blanks, except line ends."""
# Blender allows blanks between the backslash and the end of the line.
_CONTINUED = re.compile(rb"\\ *\n")
_NO_GEOMETRY = re.compile(rb"(?m)^(?! *(?:v|vn|vt|f|l|p|s|o|g|usemtl) )[^\n]*(?:\n|\Z)")
_LIBRARY = re.compile(rb"(?m)^ *mtllib ([^\n]*)")
_USED = re.compile(rb"(?m)^ *usemtl ([^\n]*)")
_NOT_FINITE = re.compile(rb"(?im)^ *v [^\n]*(?:nan|inf)")
_MATERIAL = re.compile(
    rb" *(?:newmtl|K[adest]|Tf|N[is]|d|illum|P[rmsc]|Pcr|aniso|anisor) "
)
_MAP = re.compile(rb" *((?:map_\w+|refl|bump) )(.*)")
_ARGUMENT = rb" +[^ ]+"
_NUMBER = rb"(?: +[-+]?[.\d][-+.\deE]*(?= ))"
# The options of a map that Blender recognises, with their arguments.
_OPTIONS = re.compile(
    rb"(?: *(?:-[os]%(n)s{0,3}|-bm%(n)s?|-mm%(a)s%(a)s|-t%(a)s%(a)s%(a)s"
    rb"|-(?:type|blendu|blendv|boost|cc|clamp|imfchan|texres)%(a)s)(?= ))*"
    % {b"n": _NUMBER, b"a": _ARGUMENT}
)


def plain_file(root: Path, path: Path) -> Path | None:
    """Returns a file's real path if it is a regular file inside of `root`, else None.

    Nothing is opened. `root` must be resolved.

    Raises:
      OSError: the machine failed, not the file.
    """
    try:
        real = path.resolve(strict=True)
        regular = stat.S_ISREG(real.lstat().st_mode)
    except (ValueError, RuntimeError):  # null characters, circular links
        return None
    except OSError as error:
        if is_machine_fault(error):
            raise
        return None
    return real if regular and real.is_relative_to(root) else None


def read_plain(asset_id: str, path: Path) -> bytes:
    """Reads a regular file and refuses others: reading a pipe may never end.

    Raises:
      AssetError: it is not a regular file, or has more than `MAX_BYTES`.
      OSError: it cannot be read.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
    with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise AssetError(asset_id, f"{quote(path.name)} is not a plain file")
        if status.st_size > MAX_BYTES:
            raise AssetError(
                asset_id, f"{quote(path.name)} has more than {MAX_BYTES} bytes"
            )
        return file.read(MAX_BYTES)


def read_mesh(asset_id: str, path: Path) -> bytes:
    """Reads a mesh file and checks that its content matches its suffix.

    Raises:
      AssetError: the suffix is unknown, or the content does not match it.
      OSError: it cannot be read.
    """
    kind = mesh_kind(path.name)
    if not kind:
        expected = ", ".join(MESH_SUFFIXES)
        raise AssetError(
            asset_id, f"{quote(path.name)} is not OBJ or glTF; expected {expected}"
        )
    data = read_plain(asset_id, path.resolve(strict=True))
    # Blender's glTF importer also decides by the first bytes.
    if (data[:4] == b"glTF") != (kind == ".glb"):
        what = "is not a binary glTF" if kind == ".glb" else "is a .glb by content"
        raise AssetError(asset_id, f"{quote(path.name)} {what}")
    return data


def clean_copy(asset_id: str, mesh: Path, root: Path, target: Path) -> Path:
    """Writes the copy of a mesh that an importer opens instead of it.

    Args:
      asset_id: the asset's id, for error messages.
      mesh: an OBJ or glTF file.
      root: the asset's folder, resolved.
      target: a new folder.

    Returns:
      The copy: `mesh.obj` with `mesh.mtl`, `mesh.glb` or `mesh.gltf`, in `target`. The
      files that it names lie beside it, as links into the asset's folder.

    Raises:
      AssetError: it refers to a file outside of the folder, asks for too many parts,
        has coordinates that are not finite, or is not what its name says.
      OSError: a file cannot be read, or the copy not be written.
    """
    kind = mesh_kind(mesh.name)
    data = read_mesh(asset_id, mesh)
    target.mkdir()
    links = _Links(asset_id, root, target)
    copy = target / f"mesh{kind}"
    if kind == ".obj":
        text, materials = _clean_obj(asset_id, data, mesh, links)
        (target / "mesh.mtl").write_bytes(materials)
        copy.write_bytes(text)
        return copy
    gltf = read_gltf(asset_id, mesh, root, data)
    for entry, file in gltf.external:
        entry["uri"] = links.to(file)
    text = json.dumps(gltf.document).encode()
    with copy.open("wb") as written:
        if kind == ".gltf":
            written.write(text)
            return copy
        chunks = [(b"JSON", text, b" ")]
        if gltf.chunk is not None:
            chunks.append((b"BIN\0", gltf.chunk, b"\0"))
        padded = [(name, part + fill * (-len(part) % 4)) for name, part, fill in chunks]
        length = 12 + sum(8 + len(part) for _, part in padded)
        written.write(struct.pack("<4sII", b"glTF", 2, length))
        for name, part in padded:
            written.write(struct.pack("<I4s", len(part), name))
            written.write(part)
    return copy


class _Links:
    """Links beside the copy, under generated names, to files of an asset."""

    def __init__(self, asset_id: str, root: Path, target: Path):
        self._asset_id, self._root, self._target = asset_id, root, target
        self._names: dict[Path | None, str] = {}

    def find(self, folder: Path, name: str) -> Path | None:
        """Returns the file of that name, None if there is none; see `_inside`."""
        return plain_file(self._root, _inside(self._asset_id, self._root, folder, name))

    def to(self, path: Path | None) -> str:
        """Returns the name of a link to a file; for None, a name without a file."""
        if path not in self._names:
            self._names[path] = f"file_{len(self._names)}"
            if path is not None:
                (self._target / self._names[path]).symlink_to(path)
        return self._names[path]


def _inside(asset_id: str, root: Path, folder: Path, name: str) -> Path:
    """Resolves a name in a mesh to a path.

    Raises:
      AssetError: it leads out of the asset's folder.
    """
    # Blender accepts both kinds of slash.
    path = Path(os.path.normpath(folder / name.replace("\\", "/")))
    if not path.is_relative_to(root):
        raise AssetError(asset_id, f"refers to {quote(name)}, outside its folder")
    return path


def _clean_obj(
    asset_id: str, data: bytes, mesh: Path, links: _Links
) -> tuple[bytes, bytes]:
    """Returns the geometry lines of an OBJ, and the lines of its materials."""
    text = data.removeprefix(b"\xef\xbb\xbf").translate(_SPACES)
    if b"\\" in text:
        text = _CONTINUED.sub(b"  ", text)
    values = [line.strip() for line in _LIBRARY.findall(text)]
    names = [
        name[1:-1] if len(name) > 2 and name[:1] == name[-1:] == b'"' else name
        for name in values
    ]
    # Blender always reads the library with the mesh's name, and reads it last.
    names.append(os.fsencode(mesh.with_suffix(".mtl").name))
    names = list(dict.fromkeys(names))
    _check_count(asset_id, "libraries", len(names), MAX_LIBRARIES)
    libraries = [links.find(mesh.parent, os.fsdecode(name)) for name in names]
    materials: list[bytes] = []
    size = 0
    for library in dict.fromkeys(file for file in libraries if file is not None):
        described = read_plain(asset_id, library).translate(_SPACES)
        size += len(described)
        _check_count(asset_id, "bytes of materials", size, MAX_MATERIALS_BYTES)
        materials += _clean_materials(described, library.parent, links)
    used = len(set(_USED.findall(text)))
    _check_count(asset_id, "materials", used, MAX_PARTS["materials"])
    text = _NO_GEOMETRY.sub(b"", text)
    # Blender's importer reads such a vertex as 0, without a word.
    if _NOT_FINITE.search(text):
        raise AssetError(asset_id, "the mesh has coordinates that are not finite")
    return text, b"".join(line + b"\n" for line in materials)


def _clean_materials(text: bytes, folder: Path, links: _Links) -> Iterator[bytes]:
    """Yields the lines of a library that Blender reads, under generated names."""
    begun = False
    for line in text.split(b"\n"):
        line = line.rstrip(b" ")
        begun = begun or line.lstrip(b" ").startswith(b"newmtl ")
        if not begun:
            continue
        if _MATERIAL.match(line):
            yield line
        elif match := _MAP.match(line):
            options = _OPTIONS.match(match[2])
            assert options is not None
            name = os.fsdecode(match[2][options.end() :].strip(b" "))
            if name:
                file = _texture(name, folder, links)
                yield match[1] + options[0] + b" " + links.to(file).encode()


def _texture(name: str, folder: Path, links: _Links) -> Path | None:
    """Returns the picture that Blender would find by a name, None if there is none."""
    bare = name.replace('"', "")
    names = name, bare, Path(bare.replace("\\", "/")).name
    libraries = (links.find(folder, each) for each in dict.fromkeys(names))
    return next((file for file in libraries if file is not None), None)


@dataclass(frozen=True, kw_only=True)
class Gltf:
    """A glTF that may be imported.

    Attributes:
      document: its JSON.
      chunk: the buffer in a .glb, or None.
      external: each buffer and image of the document that refers to a file, with the
        file; None for the file of a missing image.
    """

    document: dict[str, Any]
    chunk: bytes | None
    external: list[tuple[dict[str, Any], Path | None]]


def read_gltf(asset_id: str, path: Path, root: Path, data: bytes) -> Gltf:
    """Reads a glTF and checks its references and its number of parts.

    Args:
      asset_id: the asset's id, for error messages.
      path: the file.
      root: the folder, resolved, that must contain its buffers and images.
      data: the content, from `read_mesh`.

    Raises:
      AssetError: see `clean_copy`; or a buffer is missing.
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
                file = plain_file(root, _inside(asset_id, root, path.parent, name))
                if file is None and kind == "buffers":
                    raise AssetError(asset_id, f"has no file {quote(name)}")
                external.append((entry, file))
        files = {id(entry): file for entry, file in external if file is not None}
        listed = [files.get(id(entry)) for entry in document.get("buffers", ())]
        size = sum(file.stat().st_size for file in listed if file is not None)
        _check_count(asset_id, "bytes of buffers", size, MAX_BYTES)

        def buffer(number: int) -> bytes:
            entry = document["buffers"][number]
            if id(entry) in files:
                return read_plain(asset_id, files[id(entry)])
            if entry.get("uri"):
                return base64.b64decode(entry["uri"].partition(";base64,")[2])
            return chunk or b""

        # Blender's importer silently reads values that are not finite as 0.
        if not all(np.isfinite(p).all() for p in _positions(document, buffer)):
            raise AssetError(asset_id, "the mesh has coordinates that are not finite")
    except (
        AttributeError,
        LookupError,
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
        struct.error,
    ) as error:
        what = f"{type(error).__name__}: {describe(error)}"
        raise AssetError(asset_id, f"{path.name} is no glTF: {what}") from error
    return Gltf(document=document, chunk=chunk, external=external)


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
        _check_count(asset_id, what, count, MAX_PARTS[what])
    _check_count(asset_id, "corners", corners, 3 * MAX_TRIANGLES)


def _check_count(asset_id: str, what: str, count: int, most: int) -> None:
    if count > most:
        raise AssetError(asset_id, f"has {count} {what}, at most {most}")


def _accessors(primitive: dict[str, Any]) -> Iterator[int]:
    if "indices" in primitive:
        yield primitive["indices"]
    # All attributes are as long as the positions.
    for attributes in (primitive["attributes"], *primitive.get("targets", ())):
        if "POSITION" in attributes:
            yield attributes["POSITION"]
