"""What is to become assets, as it lies in people's folders."""

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
from dyso.spec import UserError

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
"""Of formats of meshes that are not read, of which the user is told."""
PLAIN = "object"
"""The category of meshes that lie in no folder and are not in the table."""
# Names that say nothing of what a file shows.
_EMPTY = {"mesh", "meshes", "model", "models", "scene", "textured", "visual_geometry"}
_LICENSES = ("license.txt", "LICENSE.txt", "LICENSE", "license.md", "LICENSE.md")
_MOST_TEXT = 1 << 20  # bytes of a sidecar or licence file that are read


@dataclass(frozen=True, kw_only=True)
class Item:
    """A file that is to become an asset.

    Attributes:
      id: the asset's.
      entry: what is known of its entry in the manifest.
      request: what the converter needs, see `dyso.worker.asset_tasks`.
      stamp: changes when the file does.
      fault: why it cannot become one, if that is known without opening it.
    """

    id: str
    entry: dict[str, Any]
    request: dict[str, Any]
    stamp: Sequence[int] = ()
    fault: str = ""

    def at(self, paths: Mapping[str, str], stamp: Sequence[int]) -> Item:
        """Says where the file lies."""
        return replace(self, request={**self.request, **paths}, stamp=list(stamp))


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a folder holds.

    Attributes:
      items: in the order of their ids.
      ignored: files that are nothing of the kind, counted by the reason.
      skipped: files of formats that are not read, counted by the suffix.
    """

    items: Sequence[Item]
    ignored: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)


def list_meshes(
    source: Path, *, up: str, categories: Path | None, license: str, author: str
) -> Listing:
    """Finds the .glb, .gltf and .obj files below a folder.

    Args:
      source: the folder. A file's category is the topmost folder that it lies in.
      up: the axis of OBJ files that is up, `Y` or `Z`; glTF has y up.
      categories: a table that goes before that, see `read_categories`.
      license: of those files that have none beside them.
      author: likewise.

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
        found = table.get(asset_id) or table.get(name) or (top if rest else PLAIN)
        # A model's folder is its own: what it refers to may lie anywhere in it.
        own = source / asset_id
        root = own if path.is_relative_to(own) else path.parent
        item = _item(path, asset_id, source, license, author)
        item.entry["asset_type"] = "FileBasedObject"
        item.entry["metadata"]["category"] = found
        items.append(
            replace(item, request={"do": "mesh", "up": up}).at(
                {"source": str(path), "root": str(root)}, _stamp(path)
            )
        )
    return _listing(source, items, MESH_SUFFIXES, skipped)


def list_hdris(source: Path, *, width: int, license: str, author: str) -> Listing:
    """Finds the .hdr and .exr files below a folder.

    Args:
      source: the folder.
      width: pixels; wider ones are reduced to it.
      license: of those files that have none beside them.
      author: likewise.

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
        found: dict[str, str] = {}
        for key, value in json.loads(text).items():
            found |= (
                {key: value} if isinstance(value, str) else dict.fromkeys(value, key)
            )
        return found
    except (OSError, ValueError, IndexError, AttributeError, TypeError) as error:
        raise UserError(
            f"{path}: expected a .csv of id and category, or a .json of them: {error}"
        ) from error


def _files(source: Path, suffixes: Sequence[str]) -> tuple[list[Path], Counter[str]]:
    """Returns the files of a format below a folder, and counts those of others."""
    if not source.is_dir():
        raise UserError(f"{source}: no such folder")
    found, skipped = [], Counter[str]()
    for path in source.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
        suffix = path.suffix.lower()
        if not hidden and suffix in suffixes and path.is_file():
            found.append(path)
        elif not hidden and suffix in OTHER_MESHES and path.is_file():
            skipped[suffix] += 1
    return sorted(found), skipped


def _id(path: Path) -> str:
    """Gives what a path says of a model: shoes/left/meshes/model.obj is shoes/left."""
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
    """Reads the .json beside a file; one that is of something else says nothing."""
    for name in (path.with_suffix(".json"), path.with_name(f"{path.name}.json")):
        try:
            with name.open("rb") as file:
                found = json.loads(file.read(_MOST_TEXT))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
    return {}


def _license_beside(path: Path, source: Path) -> str:
    """Gives the first line of the nearest licence file, up to the source folder."""
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
