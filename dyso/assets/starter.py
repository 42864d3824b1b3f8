"""Starter assets: objects and HDRIs from the worker's dependencies.

Meshes and textures from `pybullet_data`, photographic HDRIs from Blender's studio
lights, laid out once in the cache folder as Kubric archives with two manifests. So a
first dataset needs no account and no download, and goes the way every other goes.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dyso.assets.cache import cache_folder
from dyso.spec import UserError

VERSION = 2
SHAPES = 100
AXES = {"axis_forward": "Y", "axis_up": "Z"}


@dataclass(frozen=True, kw_only=True)
class _Source:
    """The source of an object, relative to pybullet_data."""

    mesh: str
    category: str
    texture: str = ""


_PYBULLET = {
    "license": "zlib, as Bullet: https://github.com/bulletphysics/bullet3",
    "author": "Erwin Coumans and the Bullet contributors",
}
# What the license.txt beside Blender's files says of each.
_HDRIS = {
    "city": "portland_landing_pad",
    "courtyard": "courtyard",
    "forest": "ninomaru_teien",
    "interior": "hotel_room",
    "night": "moonless_golf (probably)",
    "studio": "studio_small_01 (probably)",
    "sunrise": "spruit_sunrise",
    "sunset": "venice_sunset",
}

_OBJECTS = {
    "ball": _Source(mesh="soccerball.obj", category="toy", texture="colors16.png"),
    "bunny": _Source(mesh="bunny.obj", category="animal"),
    "block": _Source(mesh="jenga/jenga.obj", category="toy", texture="jenga/jenga.png"),
    "box": _Source(mesh="toys/concave_box.obj", category="toy"),
    "cone": _Source(mesh="racecar/meshes/cone.obj", category="shape"),
    "cube": _Source(mesh="cube.obj", category="toy", texture="cube.png"),
    "cylinder": _Source(mesh="toys/cylinder.obj", category="toy"),
    "domino": _Source(
        mesh="domino/domino.obj", category="toy", texture="domino/domino.jpg"
    ),
    "duck": _Source(mesh="duck.obj", category="animal", texture="duckCM.png"),
    "lego": _Source(mesh="lego/lego.obj", category="toy"),
    "mug": _Source(mesh="objects/mug.obj", category="tableware"),
    "prism": _Source(mesh="toys/prism.obj", category="toy"),
    "shape_sorter": _Source(mesh="toys/shape_sorter.obj", category="toy"),
    "table": _Source(
        mesh="table/table.obj", category="furniture", texture="table/table.png"
    ),
    "teddy": _Source(mesh="teddy2_VHACD_CHs.obj", category="animal"),
    "torus": _Source(mesh="torus/torus_textured.obj", category="shape"),
    "tray": _Source(
        mesh="tray/tray_textured.obj", category="tableware", texture="tray/tray.jpg"
    ),
    "wheel": _Source(
        mesh="racecar/meshes/left_front_wheel.obj",
        category="vehicle",
        texture="racecar/meshes/wheel.jpg",
    ),
}


def _objects() -> dict[str, _Source]:
    shapes = {
        f"shape_{i:03d}": _Source(
            mesh=f"random_urdfs/{i:03d}/{i:03d}.obj", category="shape"
        )
        for i in range(SHAPES)
    }
    return _OBJECTS | shapes


def build(cache: Path | None = None) -> dict[str, Path]:
    """Writes the starter assets to the cache, unless they exist.

    Args:
      cache: the cache folder; default `cache_folder()`.

    Returns:
      The manifests' paths by asset type, `FileBasedObject` and `Texture`.

    Raises:
      UserError: bpy or pybullet is not installed, or the cache cannot be written.
    """
    folder = (cache or cache_folder()) / f"starter-{VERSION}"
    if not folder.is_dir():
        meshes = _package("pybullet_data")
        hdris = next(_package("bpy").glob("*/datafiles/studiolights/world"))
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix="starter-", dir=folder.parent))
        except OSError as error:
            raise UserError(
                f"{folder.parent}: cannot write the cache: {error.strerror}; "
                "set XDG_CACHE_HOME to a folder that can be written"
            ) from error
        try:
            _write_objects(temporary / "objects", meshes)
            _write_hdris(temporary / "hdris", hdris)
            temporary.chmod(0o755)
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():  # Else another process was first: the same files.
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return {
        "FileBasedObject": folder / "objects" / "manifest.json",
        "Texture": folder / "hdris" / "manifest.json",
    }


def _package(name: str) -> Path:
    """Finds an installed package without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"the starter assets come with {name}, which is not installed: "
            "pip install 'dyso[generate]'"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _write_objects(folder: Path, source: Path) -> None:
    folder.mkdir()
    assets: dict[str, Any] = {}
    for asset_id, item in _objects().items():
        mesh = (source / item.mesh).read_bytes()
        vertices = np.array(
            [line.split()[1:4] for line in re.findall(rb"^v\s.*$", mesh, re.MULTILINE)],
            dtype=np.float64,
        )
        files = {"visual_geometry.obj": _with_material(mesh, bool(item.texture))}
        if item.texture:
            texture = "texture" + Path(item.texture).suffix
            files[texture] = (source / item.texture).read_bytes()
            files["visual_geometry.mtl"] = (
                f"newmtl textured\nKd 1 1 1\nKs 0.2 0.2 0.2\nNs 60\nmap_Kd {texture}\n"
            ).encode()
        assets[asset_id] = {
            "asset_type": "FileBasedObject",
            "license": _PYBULLET["license"],
            "kwargs": {
                "bounds": [vertices.min(0).tolist(), vertices.max(0).tolist()],
                "mass": 1.0,
                "render_filename": "{asset_dir}/visual_geometry.obj",
                "render_import_kwargs": AXES,
                "simulation_filename": None,
            },
            "metadata": {
                "category": item.category,
                "author": _PYBULLET["author"],
                "source": f"pybullet_data/{item.mesh}",
                "textured": bool(item.texture),
                "sha256": write_archive(folder / f"{asset_id}.tar.gz", files),
            },
        }
    _write_manifest(folder, "starter_objects", assets)


def _with_material(mesh: bytes, textured: bool) -> bytes:
    """Drops the mesh's own material lines; names ours where there is a texture."""
    lines = [
        line
        for line in mesh.splitlines()
        if not line.startswith((b"mtllib", b"usemtl", b"g ", b"o "))
    ]
    head = [b"mtllib visual_geometry.mtl", b"usemtl textured"] if textured else []
    return b"\n".join(head + lines) + b"\n"


def _write_hdris(folder: Path, source: Path) -> None:
    folder.mkdir()
    assets: dict[str, Any] = {}
    for path in sorted(source.glob("*.exr")):
        name = path.name
        assets[path.stem] = {
            "asset_type": "Texture",
            "license": "CC0 1.0",
            "kwargs": {"filename": "{asset_dir}/" + name},
            "metadata": {
                "author": "Greg Zaal, Poly Haven",
                "source": f"https://polyhaven.com/a/{_HDRIS[path.stem]}, by way of "
                f"Blender's studiolights/world/{name}",
                "sha256": write_archive(
                    folder / f"{path.stem}.tar.gz", {name: path.read_bytes()}
                ),
            },
        }
    _write_manifest(folder, "starter_hdris", assets)


def _write_manifest(folder: Path, name: str, assets: dict[str, Any]) -> None:
    text = json.dumps({"name": name, "assets": assets}, indent=1)
    (folder / "manifest.json").write_text(text)


def write_archive(path: Path, files: Mapping[str, bytes]) -> str:
    """Writes a Kubric archive; gives the sha256 of the files' names and bytes.

    The checksum is not the archive's, whose bytes depend on the zlib that made it.

    Args:
      path: the .tar.gz.
      files: contents by name; without a data.json, which Kubric wants, it is empty.
    """
    digest, described = hashlib.sha256(), files.get("data.json", b"{}")
    # Level 1: these are read more often than they are moved.
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", 1, file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as t,
    ):
        for name, data in (dict(files) | {"data.json": described}).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()
