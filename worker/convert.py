"""Converts mesh files to the files and manifest entries of Kubric archives."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote

import numpy as np
import trimesh

from dyso.assets.manifest import is_inside, mesh_kind

from .errors import AssetError, describe, quote
from .gltf_animation import AnimatedMesh
from .mtl import Materials, read_materials
from .plain_files import plain_file, read_plain
from .rigid_body import extent, solid
from .untrusted_gltf import Gltf, read_gltf
from .untrusted_meshes import read_mesh

AXES = {"axis_forward": "Y", "axis_up": "Z"}
PLAIN_SIDES = 1e-3, 1e3
"""Range of the longest side, in the file's units; other meshes are scaled to 1."""
PLAIN_OFFSET = 100.0
"""Maximum distance from the origin, in longest sides; farther meshes are centred."""

_LINES = re.compile(rb"^[ \t]*((?:v|vt|vn|f|usemtl|s)[ \t][^\n]*)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Converted:
    """The content of an archive, except data.json.

    Attributes:
      files: contents by name.
      kwargs: the keyword arguments in the manifest's entry.
      metadata: the metadata in the manifest's entry.
      beside: more of it that is not in the archive, whose checksum does not change.
    """

    files: dict[str, bytes]
    kwargs: dict[str, Any]
    metadata: dict[str, Any]
    beside: dict[str, Any] = field(default_factory=dict)


def convert_mesh(asset_id: str, path: Path, root: Path, up: str) -> Converted:
    """Reads an OBJ, a .glb or a .gltf file.

    Args:
      asset_id: the asset's id, for error messages.
      path: the file.
      root: the folder that must contain every file it refers to.
      up: the axis of an OBJ that is up, `Y` or `Z`; the archive's has z up.

    Raises:
      AssetError: the file cannot be read, or has nothing to show.
    """
    # Resolves the folder only: the mesh itself may be a link to another folder.
    path, root = path.parent.resolve() / path.name, root.resolve()
    data = read_mesh(asset_id, path)
    if mesh_kind(path.name) == ".obj":
        return _convert_obj(asset_id, data, path, root, up)
    return _convert_gltf(asset_id, data, path, root)


def _convert_obj(
    asset_id: str, data: bytes, path: Path, root: Path, up: str
) -> Converted:
    text = data.replace(b"\r\n", b"\n").replace(b"\\\n", b" ")
    vertices, faces = _geometry(asset_id, io.BytesIO(text), "obj")
    low, high = extent(asset_id, vertices, faces)
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]) if up == "Y" else np.eye(3)
    side, center = float((high - low).max()), (low + high) / 2
    plain = PLAIN_SIDES[0] <= side <= PLAIN_SIDES[1]
    plain = plain and bool(np.abs(center).max() <= PLAIN_OFFSET * side)
    scale, origin = (1.0, np.zeros(3)) if plain else (1 / side, center)
    materials = _find_materials(asset_id, text, path, root)
    mesh = b"\n".join(_rewrite(text, scale, origin, turn, bool(materials.names)))
    files = {"visual_geometry.obj": mesh + b"\n"}
    if materials.names:
        files["visual_geometry.mtl"] = materials.text.encode()
    body = solid(asset_id, (vertices - origin) * scale @ turn.T, faces)
    metadata = {
        "nr_faces": body.faces,
        "nr_vertices": body.vertices,
        "textured": bool(materials.names),
        "volume": body.volume,
    }
    if materials.missing:
        metadata["missing_textures"] = len(materials.missing)
    if not plain:
        metadata |= {"scaled_by": scale, "moved_by": (-origin).tolist()}
    return Converted(
        files=files | materials.textures | body.files("visual_geometry.obj"),
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
    """Returns vertices [n, 3] and triangles [m, 3]."""
    try:
        loaded = trimesh.load_scene(file, file_type=kind, process=False, **more)
        mesh = loaded.to_geometry()
    except MemoryError:
        raise
    except Exception as error:  # trimesh raises any exception for damaged files.
        what = f"{type(error).__name__}: {describe(error)}"
        raise AssetError(asset_id, f"cannot be read: {what}") from error
    if not isinstance(mesh, trimesh.Trimesh):
        raise AssetError(asset_id, "has no faces")
    return np.asarray(mesh.vertices, float), np.asarray(mesh.faces)


def _rewrite(
    text: bytes, scale: float, origin: np.ndarray, turn: np.ndarray, shown: bool
) -> list[bytes]:
    """Returns the relevant lines of an OBJ, in other axes and units.

    Args:
      text: the OBJ.
      scale: the factor for its coordinates.
      origin: [3], the point that becomes zero.
      turn: [3, 3], the rotation of its axes.
      shown: whether it has materials.
    """
    lines = [line.rstrip() for line in _LINES.findall(text)]
    if not shown:
        lines = [line for line in lines if not line.startswith(b"usemtl")]
    for key, matrix, zero in ((b"v", turn * scale, origin), (b"vn", turn, np.zeros(3))):
        numbers = [i for i, line in enumerate(lines) if line.split(None, 1)[0] == key]
        tokens = [lines[i].split(None, 4) for i in numbers]
        values = np.array([each[1:4] for each in tokens], "S").astype(float)
        moved = (values.reshape(-1, 3) - zero) @ matrix.T
        # No face uses values that are not finite, which Blender would misread.
        moved[~np.isfinite(moved).all(1)] = 0
        for i, each, point in zip(numbers, tokens, moved.tolist(), strict=True):
            lines[i] = b" ".join((key, b"%.9g %.9g %.9g" % tuple(point), *each[4:]))
    return [b"mtllib visual_geometry.mtl"] * shown + lines


def _find_materials(asset_id: str, text: bytes, path: Path, root: Path) -> Materials:
    used = {
        name.strip().decode(errors="replace")
        for name in re.findall(rb"(?m)^[ \t]*usemtl[ \t]+(.*)$", text)
    }
    libraries: list[Path] = []
    for line in re.findall(rb"(?m)^[ \t]*mtllib[ \t]+(.*)$", text):
        value = line.strip().decode(errors="replace").replace("\\", "/")
        for name in (value, *value.split()):
            library = plain_file(root, path.parent / name)
            if library is not None:
                libraries.append(library)
    beside = plain_file(root, path.with_suffix(".mtl"))
    if not libraries and beside is not None:
        libraries.append(beside)
    return read_materials(asset_id, dict.fromkeys(libraries), root, used)


class _Files(trimesh.resolvers.Resolver):
    """Resolves the names in a mesh to files that have been read."""

    def __init__(self, files: dict[str, bytes]):
        self._files = files

    def get(self, name: str) -> bytes:
        return self._files[unquote(name)]

    def keys(self) -> Iterable[str]:
        return self._files.keys()

    def write(self, name: str, data: bytes) -> NoReturn:
        raise NotImplementedError

    def namespaced(self, namespace: str) -> NoReturn:
        raise NotImplementedError


def _convert_gltf(asset_id: str, data: bytes, path: Path, root: Path) -> Converted:
    gltf = read_gltf(asset_id, path, root, data)
    kind = mesh_kind(path.name)
    name = f"visual_geometry{kind}"
    files = {name: data}
    for entry, file in gltf.external:
        uri = unquote(entry["uri"])
        if not is_inside(uri) or uri in files or file is None:
            raise AssetError(asset_id, f"refers to {quote(uri)}, which does not exist")
        files[uri] = read_plain(asset_id, file)
    vertices, faces = _geometry(
        asset_id, io.BytesIO(data), kind[1:], resolver=_Files(files)
    )
    body = solid(asset_id, vertices, faces)
    return Converted(
        files=body.files(name) | files,
        kwargs={**body.kwargs, "render_filename": f"{{asset_dir}}/{name}"},
        metadata={
            "nr_faces": body.faces,
            "nr_vertices": body.vertices,
            "textured": bool(gltf.document.get("materials")),
            "volume": body.volume,
        },
        beside=_animation(gltf),
    )


def _animation(gltf: Gltf) -> dict[str, Any]:
    """Returns what the manifest says of a glTF's animations.

    An object whose animations cannot be played is kept as a rigid one.
    """
    if not gltf.document.get("animations"):
        return {}
    try:
        rest, clips = AnimatedMesh(gltf).boxes()
    except AssetError as error:
        return {"animation_fault": str(error).removeprefix(f"{error.asset}: ")}
    return {"animation": {"rest": rest, "clips": clips}} if clips else {}
