"""Mesh files -> what goes into a Kubric archive, and what its manifest says of it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import trimesh

from dyso.assets.manifest import is_inside

from .archives import MAX_BYTES
from .errors import AssetError
from .mtl import Materials, read_materials
from .references import check_references
from .solid import extent, solid

AXES = {"axis_forward": "Y", "axis_up": "Z"}
PLAIN_SIDES = 1e-3, 1e3
"""Of a mesh, its own units; others are scaled to 1, which float32 is at ease with."""
PLAIN_OFFSET = 100.0
"""Sides away from its origin; meshes that are farther are moved there."""

_LINES = re.compile(rb"^[ \t]*((?:v|vt|vn|f|usemtl|s)[ \t][^\n]*)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What an archive holds, but for data.json.

    Attributes:
      files: contents by name.
      kwargs: of the manifest's entry.
      metadata: likewise.
    """

    files: dict[str, bytes]
    kwargs: dict[str, Any]
    metadata: dict[str, Any]


def convert_mesh(asset_id: str, path: Path, root: Path, up: str) -> Converted:
    """Reads an OBJ, a .glb or a .gltf file.

    Args:
      asset_id: whose it is, for errors.
      path: the file.
      root: the folder that all that it refers to must lie in.
      up: the axis of an OBJ that is up, `Y` or `Z`; the archive's has z up.

    Raises:
      AssetError: it cannot be read, or has nothing that can be shown.
    """
    if path.stat().st_size > MAX_BYTES:
        raise AssetError(asset_id, f"has more than {MAX_BYTES} bytes")
    if path.suffix.lower() == ".obj":
        return _convert_obj(asset_id, path, root, up)
    return _convert_gltf(asset_id, path, root)


def _convert_obj(asset_id: str, path: Path, root: Path, up: str) -> Converted:
    text = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\\\n", b" ")
    vertices, faces = _geometry(asset_id, io.BytesIO(text), "obj")
    low, high = extent(asset_id, vertices, faces)
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]) if up == "Y" else np.eye(3)
    side, center = float((high - low).max()), (low + high) / 2
    plain = PLAIN_SIDES[0] <= side <= PLAIN_SIDES[1]
    plain = plain and bool(np.abs(center).max() <= PLAIN_OFFSET * side)
    scale, origin = (1.0, np.zeros(3)) if plain else (1 / side, center)
    found = _found_materials(text, path, root)
    mesh = b"\n".join(_rewritten(text, scale, origin, turn, bool(found.names)))
    files = {"visual_geometry.obj": mesh + b"\n"}
    if found.names:
        files["visual_geometry.mtl"] = found.text.encode()
    body = solid(asset_id, (vertices - origin) * scale @ turn.T, faces)
    metadata = {
        "nr_faces": body.faces,
        "nr_vertices": body.vertices,
        "textured": bool(found.names),
        "volume": body.volume,
    }
    if found.missing:
        metadata["missing_textures"] = len(found.missing)
    if not plain:
        metadata |= {"scaled_by": scale, "moved_by": (-origin).tolist()}
    return Converted(
        files=files | found.textures | body.files("visual_geometry.obj"),
        kwargs={
            **body.kwargs,
            "render_filename": "{asset_dir}/visual_geometry.obj",
            "render_import_kwargs": AXES,
        },
        metadata=metadata,
    )


def _geometry(
    asset_id: str, file: Any, kind: str, **more: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Gives vertices [n, 3] and triangles [m, 3]."""
    try:
        loaded = trimesh.load_scene(file, file_type=kind, process=False, **more)
        mesh = loaded.to_geometry()
    except MemoryError:
        raise
    except Exception as error:  # Of a damaged file, trimesh raises whatever comes.
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise AssetError(asset_id, f"cannot be read: {what}") from error
    if not isinstance(mesh, trimesh.Trimesh):
        raise AssetError(asset_id, "has no faces")
    return np.asarray(mesh.vertices, float), np.asarray(mesh.faces)


def _rewritten(
    text: bytes, scale: float, origin: np.ndarray, turn: np.ndarray, shown: bool
) -> list[bytes]:
    """Gives the lines of an OBJ that count, in other axes and units.

    Args:
      text: the OBJ.
      scale: of its coordinates.
      origin: [3], what becomes zero.
      turn: [3, 3], what turns its axes.
      shown: whether it has materials.
    """
    lines = [line.rstrip() for line in _LINES.findall(text)]
    if not shown:
        lines = [line for line in lines if not line.startswith(b"usemtl")]
    for key, matrix, zero in ((b"v", turn * scale, origin), (b"vn", turn, np.zeros(3))):
        own = [i for i, line in enumerate(lines) if line.split(None, 1)[0] == key]
        tokens = [lines[i].split(None, 4) for i in own]
        values = np.array([each[1:4] for each in tokens], "S").astype(float)
        moved = (values.reshape(-1, 3) - zero) @ matrix.T
        # No face has what is not finite, and Blender reads nonsense there.
        moved[~np.isfinite(moved).all(1)] = 0
        for i, each, point in zip(own, tokens, moved.tolist(), strict=True):
            lines[i] = b" ".join((key, b"%.9g %.9g %.9g" % tuple(point), *each[4:]))
    return [b"mtllib visual_geometry.mtl"] * shown + lines


def _found_materials(text: bytes, path: Path, root: Path) -> Materials:
    used = {
        name.strip().decode(errors="replace")
        for name in re.findall(rb"(?m)^[ \t]*usemtl[ \t]+(.*)$", text)
    }
    libraries: list[Path] = []
    for line in re.findall(rb"(?m)^[ \t]*mtllib[ \t]+(.*)$", text):
        said = line.strip().decode(errors="replace").replace("\\", "/")
        for name in (said, *said.split()):
            library = (path.parent / name).resolve()
            if library.is_relative_to(root.resolve()) and library.is_file():
                libraries.append(library)
    if not libraries and path.with_suffix(".mtl").is_file():
        libraries.append(path.with_suffix(".mtl"))
    return read_materials(dict.fromkeys(libraries), root, used)


def _convert_gltf(asset_id: str, path: Path, root: Path) -> Converted:
    check_references(asset_id, path, root.resolve())
    name = f"visual_geometry{path.suffix.lower()}"
    files = {name: path.read_bytes()}
    document = _document(files[name])
    for uri in _uris(document):
        other = path.parent / uri
        if not is_inside(uri) or uri in files or not other.is_file():
            raise AssetError(asset_id, f"refers to {uri[:80]!r}, which is not there")
        if other.stat().st_size > MAX_BYTES:
            raise AssetError(asset_id, f"{uri[:80]!r} has more than {MAX_BYTES} bytes")
        files[uri] = other.read_bytes()
    with path.open("rb") as file:
        resolver = trimesh.resolvers.FilePathResolver(str(path))
        vertices, faces = _geometry(
            asset_id, file, path.suffix.lower()[1:], resolver=resolver
        )
    body = solid(asset_id, vertices, faces)
    return Converted(
        files=body.files(name) | files,
        kwargs={**body.kwargs, "render_filename": f"{{asset_dir}}/{name}"},
        metadata={
            "nr_faces": body.faces,
            "nr_vertices": body.vertices,
            "textured": bool(document.get("materials")),
            "volume": body.volume,
        },
    )


def _document(data: bytes) -> dict[str, Any]:
    if data[:4] == b"glTF":
        length = int.from_bytes(data[12:16], "little")
        data = data[20 : 20 + length]
    found: dict[str, Any] = json.loads(data)
    return found


def _uris(document: dict[str, Any]) -> Iterator[str]:
    for kind in ("buffers", "images"):
        for entry in document.get(kind, ()):
            uri = entry.get("uri") or ""
            if uri and not uri.startswith("data:"):
                yield unquote(uri)
