"""`python -m dyso.worker.asset_tasks`: converts, fetches and checks untrusted assets.

A request is a line of JSON on standard input, `{"do": "mesh", ...}`, see `_TASKS`. The
answer is a line on standard output, `{"ok": true, "value": ...}`, or `{"ok": false,
"reason": ..., "message": ...}`. The process ends at the end of its input. It needs
neither Blender nor Kubric.
"""

from __future__ import annotations

import functools
import json
import logging
import re
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dyso.assets.manifest import is_inside
from dyso.assets.starter import write_archive
from dyso.child_process import open_answers, write_line
from dyso.spec import ProceduralEnvironments, UserError

from .archives import MAX_BYTES, MAX_FILES, copy
from .assets import Assets
from .errors import AssetError, StorageError, blamed

if TYPE_CHECKING:
    from .convert import Converted

Request = dict[str, Any]

# Errors that the decoders raise for a damaged entry of a zip.
_DAMAGED = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    zlib.error,
)


def main() -> None:
    """Serves requests until the end of the input."""
    answers = open_answers()
    # trimesh warns about every missing face.
    logging.getLogger("trimesh").setLevel(logging.CRITICAL)
    write_line(answers, {})
    for line in sys.stdin:
        write_line(answers, _answer(json.loads(line)))


def _answer(request: Request) -> dict[str, Any]:
    try:
        return {"ok": True, "value": _TASKS[request["do"]](request)}
    except AssetError as error:
        message = str(error).removeprefix(f"{error.asset}: ")
        return {"ok": False, "reason": "broken", "message": message}
    except (StorageError, UserError, OSError) as error:
        return {"ok": False, "reason": "storage", "message": str(error)}
    except MemoryError:
        return {"ok": False, "reason": "memory", "message": "needs too much memory"}


def _convert(request: Request) -> dict[str, Any]:
    """Converts `source` to an archive and returns its entry for the manifest.

    The request has `id`, `source`, `root`, optionally `zip`, `out`, `entry` with the
    known part of the entry, and `up` for a mesh, `width` for an HDRI or `catalog` for a
    procedural environment, which has no source.
    """
    asset_id = request["id"]
    with tempfile.TemporaryDirectory() as temporary:
        try:
            converted = _converted(request, Path(temporary).resolve())
        except OSError as error:
            raise blamed(asset_id, "cannot be read", error) from error
    entry = request["entry"]
    entry |= {
        "kwargs": converted.kwargs,
        "metadata": entry["metadata"] | converted.metadata,
    }
    described = json.dumps(entry, indent=1, sort_keys=True).encode()
    files = {"data.json": described, **converted.files}
    if sum(map(len, files.values())) > MAX_BYTES or len(files) > MAX_FILES:
        raise AssetError(asset_id, f"is more than {MAX_BYTES} bytes or too many files")
    sha256 = write_archive(Path(request["out"]), files)
    entry["metadata"] |= {"sha256": sha256, **converted.beside}
    return dict(entry)


def _converted(request: Request, folder: Path) -> Converted:
    """Returns what becomes of a request's file; see `_convert` and `_source`."""
    asset_id = request["id"]
    if request["do"] == "environment":
        from .procedural import make_environment

        catalog = ProceduralEnvironments.parse(request["catalog"])
        return make_environment(catalog, catalog.index(asset_id))
    path, root = _source(request, folder)
    if request["do"] == "hdri":
        from .hdri import convert_hdri

        return convert_hdri(asset_id, path, request["width"])
    if request["do"] == "urdf":
        from .convert_urdf import convert_urdf

        return convert_urdf(asset_id, path, root)
    from .convert import convert_mesh

    return convert_mesh(asset_id, path, root, request["up"])


def _source(request: Request, folder: Path) -> tuple[Path, Path]:
    """Returns the file, and the folder that must contain every file it refers to.

    Args:
      request: see `_convert`.
      folder: an empty folder, into which files of a zip are unpacked.
    """
    if not request.get("zip"):
        return Path(request["source"]), Path(request["root"])
    left = MAX_BYTES
    zipped, root = _open_zip(request["zip"]), request["root"]
    for name in _members(request["zip"]).get(root, ()):
        info = zipped.getinfo(name)
        left -= info.file_size
        if left < 0 or not is_inside(name):
            raise AssetError(
                request["id"], "is too large, or has a file outside its folder"
            )
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with zipped.open(info) as source, target.open("wb") as file:
                copy(request["id"], source, file)  # type: ignore[arg-type]
        except _DAMAGED as error:
            raise blamed(request["id"], "cannot be read", error) from error
    return folder / request["source"], folder / root


@functools.lru_cache(maxsize=2)
def _open_zip(path: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise UserError(f"{path}: cannot be read: {error}") from error


_MODEL = re.compile(r"((?:.*?/)?\d{8}/[^/]+)/(?!$)")


@functools.lru_cache(maxsize=2)
def _members(path: str) -> dict[str, list[str]]:
    """Returns the files of a ShapeNet zip, grouped by the folder of their model."""
    members: dict[str, list[str]] = {}
    for name in _open_zip(path).namelist():
        match = _MODEL.match(name)
        # Voxel files are large and not needed.
        if match and not name.endswith(("/", ".binvox")):
            members.setdefault(match[1], []).append(name)
    return members


def _list_zip(request: Request) -> list[dict[str, Any]]:
    """Returns the models of a ShapeNet zip: root, files and checksums."""
    zipped = _open_zip(request["zip"])
    return [
        {
            "root": root,
            "files": [name.removeprefix(f"{root}/") for name in names],
            "stamp": [zipped.getinfo(name).CRC for name in names],
        }
        for root, names in sorted(_members(request["zip"]).items())
    ]


@functools.lru_cache(maxsize=2)
def _assets(manifest: str) -> Assets:
    return Assets.open(manifest)


def _prefetch(request: Request) -> None:
    """Fetches the asset `id` of `manifest` into the cache."""
    _assets(request["manifest"]).prefetch(request["id"])


def _verify(request: Request) -> None:
    """Fetches the asset `id` of `manifest` again and checks it."""
    _assets(request["manifest"]).verify(request["id"])


_TASKS: dict[str, Callable[[Request], Any]] = {
    "mesh": _convert,
    "urdf": _convert,
    "hdri": _convert,
    "environment": _convert,
    "zip": _list_zip,
    "prefetch": _prefetch,
    "verify": _verify,
}

if __name__ == "__main__":
    main()
