"""Checks the files and parts that a mesh file makes its importer open and create.

Blender's importers open any file that a mesh names, and create as many vertices as it
requests. Therefore they only open a copy, which is parsed and written by this module.
In the copy, every name is replaced by a link to a regular file of the asset's folder.
The importers open images but do not decode them; `pictures` checks these afterwards.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

from dyso.assets.manifest import MESH_SUFFIXES, mesh_kind

from .errors import AssetError, quote
from .gltf_animation import NUMBERS, AnimatedMesh, flattened
from .mesh_limits import MAX_PARTS, check_count
from .plain_files import inside, plain_file, read_plain
from .untrusted_gltf import read_gltf

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


def clean_copy(
    asset_id: str, mesh: Path, root: Path, target: Path, *, animated: bool = False
) -> Path:
    """Writes the copy of a mesh that an importer opens instead of it.

    Args:
      asset_id: the asset's id, for error messages.
      mesh: an OBJ or glTF file.
      root: the asset's folder, resolved.
      target: a new folder.
      animated: write the copy of an animated glTF as `gltf_animation.flattened` has it.

    Returns:
      The copy: `mesh.obj` with `mesh.mtl`, `mesh.glb` or `mesh.gltf`, in `target`. The
      files that it names lie beside it, as links into the asset's folder.

    Raises:
      AssetError: it refers to a file outside of the folder, asks for too many parts,
        has coordinates that are not finite, or is not what its name says; or it cannot
        be animated.
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
    document = gltf.document
    if animated:
        document, numbers = flattened(gltf, AnimatedMesh(gltf))
        (target / NUMBERS).write_bytes(numbers)
    for entry, file in gltf.external:
        entry["uri"] = links.to(file)
    text = json.dumps(document).encode()
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
        """Returns the file of that name, None if there is none; see `inside`."""
        return plain_file(self._root, inside(self._asset_id, self._root, folder, name))

    def to(self, path: Path | None) -> str:
        """Returns the name of a link to a file; for None, a name without a file."""
        if path not in self._names:
            self._names[path] = f"file_{len(self._names)}"
            if path is not None:
                (self._target / self._names[path]).symlink_to(path)
        return self._names[path]


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
    check_count(asset_id, "libraries", len(names), MAX_LIBRARIES)
    libraries = [links.find(mesh.parent, os.fsdecode(name)) for name in names]
    materials: list[bytes] = []
    size = 0
    for library in dict.fromkeys(file for file in libraries if file is not None):
        described = read_plain(asset_id, library).translate(_SPACES)
        size += len(described)
        check_count(asset_id, "bytes of materials", size, MAX_MATERIALS_BYTES)
        materials += _clean_materials(described, library.parent, links)
    used = len(set(_USED.findall(text)))
    check_count(asset_id, "materials", used, MAX_PARTS["materials"])
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
