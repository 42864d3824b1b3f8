"""Lists the files of a folder that can be converted to assets."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dyso.assets.credits import credit_of
from dyso.assets.manifest import MESH_SUFFIXES
from dyso.spec import ProceduralEnvironments, UserError

HDRI_SUFFIXES = (".exr", ".hdr")
OTHER_MESHES = (
    ".3ds",
    ".3mf",
    ".abc",
    ".blend",
    ".dae",
    ".drc",
    ".fbx",
    ".lwo",
    ".off",
    ".ply",
    ".step",
    ".stl",
    ".stp",
    ".usd",
    ".usda",
    ".usdc",
    ".usdz",
    ".wrl",
    ".x3d",
)
"""Suffixes of unsupported mesh formats, which are counted for the user."""
PLAIN = "object"
"""The category of meshes at the top level that are not in the table."""
# Generic names, which do not describe the content.
_EMPTY = {"mesh", "meshes", "model", "models", "scene", "textured", "visual_geometry"}
_LICENSES = ("license.txt", "LICENSE.txt", "LICENSE", "license.md", "LICENSE.md")
_MOST_TEXT = 1 << 20  # maximum bytes read from a sidecar or licence file


@dataclass(frozen=True, kw_only=True)
class Item:
    """A file to convert to an asset.

    Attributes:
      id: the asset's id.
      entry: the known part of its entry in the manifest.
      request: the request for the converter, see `dyso.worker.asset_tasks`.
      stamp: changes when the file does.
      fault: why it cannot be converted, if known without opening it; else empty.
    """

    id: str
    entry: dict[str, Any]
    request: dict[str, Any]
    stamp: Sequence[int] = ()
    fault: str = ""

    def at(self, paths: Mapping[str, str], stamp: Sequence[int]) -> Item:
        """Returns a copy with the file's paths and stamp."""
        return replace(self, request={**self.request, **paths}, stamp=list(stamp))


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The files of a folder.

    Attributes:
      items: in the order of their ids.
      ignored: unrelated files, counted by the reason.
      skipped: files of unsupported formats, counted by suffix.
    """

    items: Sequence[Item]
    ignored: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)


def list_meshes(
    source: Path, *, up: str, categories: Path | None, license: str, author: str
) -> Listing:
    """Finds the .glb, .gltf and .obj files below a folder.

    Args:
      source: the folder. A file's category is its topmost folder.
      up: the axis of OBJ files that is up, `Y` or `Z`; glTF has y up.
      categories: a table with precedence over the folders, see `read_categories`.
      license: the licence of files without a sidecar.
      author: the author of files without a sidecar.

    Raises:
      UserError: there are none, two have the same id, or the table cannot be read.
    """
    table = read_categories(categories) if categories else {}
    items = []
    files, skipped = _files(source, MESH_SUFFIXES)
    for path in files:
        asset_id = _id(path.relative_to(source))
        top, _, rest = asset_id.partition("/")
        name = asset_id.rpartition("/")[2]
        category = table.get(asset_id) or table.get(name) or (top if rest else PLAIN)
        # A model may refer to any file of the folder that has its id.
        model = source / asset_id
        root = model if path.is_relative_to(model) else path.parent
        item = _item(path, asset_id, source, license, author)
        item.entry["asset_type"] = "FileBasedObject"
        item.entry["metadata"]["category"] = category
        items.append(
            replace(item, request={"do": "mesh", "up": up}).at(
                {"source": str(path), "root": str(root)}, _stamp(path)
            )
        )
    return _listing(source, items, MESH_SUFFIXES, skipped)


def list_urdfs(source: Path, *, license: str, author: str) -> Listing:
    """Finds the .urdf files below a folder.

    Args:
      source: the folder, which must contain all files that they refer to. A file's
        category is its topmost folder, or its own name.
      license: the licence of files without a sidecar.
      author: the author of files without a sidecar.

    Raises:
      UserError: there are none, or two have the same id.
    """
    items = []
    for path in _files(source, (".urdf",))[0]:
        asset_id = path.relative_to(source).with_suffix("").as_posix()
        item = _item(path, asset_id, source, license, author)
        item.entry["asset_type"] = "FileBasedObject"
        item.entry["metadata"]["category"] = asset_id.partition("/")[0]
        items.append(
            replace(item, request={"do": "urdf"}).at(
                {"source": str(path), "root": str(source)}, _stamp(path)
            )
        )
    return _listing(source, items, (".urdf",))


def list_hdris(source: Path, *, width: int, license: str, author: str) -> Listing:
    """Finds the .hdr and .exr files below a folder.

    Args:
      source: the folder.
      width: pixels; wider ones are reduced to it.
      license: the licence of files without a sidecar.
      author: the author of files without a sidecar.

    Raises:
      UserError: there are none, or two have the same id.
    """
    items = []
    for path in _files(source, HDRI_SUFFIXES)[0]:
        asset_id = path.relative_to(source).with_suffix("").as_posix()
        item = _item(path, asset_id, source, license, author)
        item.entry["asset_type"] = "Texture"
        items.append(
            replace(item, request={"do": "hdri", "width": width}).at(
                {"source": str(path), "root": str(path.parent)}, _stamp(path)
            )
        )
    return _listing(source, items, HDRI_SUFFIXES)


def list_environments(catalog: ProceduralEnvironments) -> Listing:
    """Lists the environments of a procedural catalog."""
    metadata = {"author": "", "source": f"DySO, {catalog.manifest}"}
    entry = {"license": "CC0 1.0", "asset_type": "Texture", "metadata": metadata}
    items = [
        Item(
            id=asset.id,
            entry=entry,
            request={"do": "environment", "catalog": catalog.manifest},
        )
        for asset in catalog.assets
    ]
    return Listing(items=sorted(items, key=lambda item: item.id), ignored=Counter())


def read_categories(path: Path) -> dict[str, str]:
    """Reads a table of categories by id or by file name without its suffix.

    A .csv has them in its first two columns; a .json maps ids to categories, or, as
    Objaverse's LVIS annotations do, categories to lists of ids.

    Raises:
      UserError: it cannot be read, or is neither.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix.lower() != ".json":
            rows = [row for row in csv.reader(text.splitlines()) if row]
            return {row[0].strip(): row[1].strip() for row in rows}
        category_of: dict[str, str] = {}
        for key, value in json.loads(text).items():
            category_of |= (
                {key: value} if isinstance(value, str) else dict.fromkeys(value, key)
            )
        return category_of
    except (OSError, ValueError, IndexError, AttributeError, TypeError) as error:
        raise UserError(
            f"{path}: expected a .csv of id and category, or a .json of them: {error}"
        ) from error


def _files(source: Path, suffixes: Sequence[str]) -> tuple[list[Path], Counter[str]]:
    """Returns the files of a format below a folder, and counts those of others."""
    if not source.is_dir():
        raise UserError(f"{source}: no such folder")
    files, skipped = [], Counter[str]()
    for path in source.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
        suffix = path.suffix.lower()
        if not hidden and suffix in suffixes and path.is_file():
            files.append(path)
        elif not hidden and suffix in OTHER_MESHES and path.is_file():
            skipped[suffix] += 1
    return sorted(files), skipped


def _id(path: Path) -> str:
    """Returns a model's id from its path: shoes/left/meshes/model.obj is shoes/left."""
    parts = list(path.with_suffix("").parts)
    while len(parts) > 1 and parts[-1].lower() in _EMPTY:
        parts.pop()
    return "/".join(parts)


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _item(path: Path, asset_id: str, source: Path, license: str, author: str) -> Item:
    sidecar = _sidecar(path)
    credit = credit_of({"metadata": sidecar, **sidecar})
    beside = _license_beside(path, source)
    metadata = {
        "author": credit.author or author,
        "source": credit.source or path.relative_to(source).as_posix(),
    }
    entry = {"license": credit.license or license or beside, "metadata": metadata}
    return Item(id=asset_id, entry=entry, request={})


def _sidecar(path: Path) -> dict[str, Any]:
    """Reads the .json beside a file; empty if it is missing or not an object."""
    for name in (path.with_suffix(".json"), path.with_name(f"{path.name}.json")):
        try:
            with name.open("rb") as file:
                content = json.loads(file.read(_MOST_TEXT))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            return content
    return {}


def _license_beside(path: Path, source: Path) -> str:
    """Returns the first line of the nearest licence file, up to the source folder."""
    for folder in path.parents:
        for name in _LICENSES:
            try:
                with (folder / name).open("rb") as file:
                    lines = file.read(_MOST_TEXT).decode(errors="replace").splitlines()
            except OSError:
                continue
            for line in lines:
                if line.strip():
                    return line.strip()[:200]
        if folder == source:
            break
    return ""


def _listing(
    source: Path,
    items: list[Item],
    suffixes: Sequence[str],
    skipped: Counter[str] | None = None,
) -> Listing:
    skipped = skipped or Counter()
    if not items:
        others = f"; {tell_skipped(skipped)}" if skipped else ""
        raise UserError(f"{source}: no {', '.join(suffixes)} files in it{others}")
    counts = Counter(item.id for item in items)
    twice = [asset_id for asset_id, count in counts.items() if count > 1]
    if twice:
        raise UserError(
            f"{source}: several files would become {twice[0]!r}; rename all but one"
        )
    return Listing(items=sorted(items, key=lambda item: item.id), skipped=skipped)


def tell_skipped(skipped: Counter[str]) -> str:
    """Returns what was skipped, in words: `skipped 12 files: .stl (10), .ply (2)`."""
    kinds = ", ".join(f"{suffix} ({count})" for suffix, count in skipped.most_common())
    plural = "s" if skipped.total() > 1 else ""
    return f"skipped {skipped.total()} file{plural}: {kinds}"
