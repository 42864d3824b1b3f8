"""The interface of an export format: a module of this package with a few functions."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from dyso.reading import Split
from dyso.records import croissant
from dyso.spec import ResolvedSpec, Spec, UserError

SHARDS = (
    *("sunds", "multi_shapenet", "tfrecord", "webdataset", "parquet"),
    *("coco", "tapvid", "pixelsplat"),
)
"""Formats with many scenes per file, see `ShardFormat`."""

FOLDERS = (
    *("nerfstudio", "dnerf", "dynerf", "d3dgs", "nsff", "colmap"),
    *("bop", "flow", "tapvid3d", "mvtracker", "lvsm", "gltf"),
)
"""Formats with one folder per scene, see `SceneFormat`."""

FORMATS = SHARDS + FOLDERS


@runtime_checkable
class Format(Protocol):
    """The interface that all formats share.

    A format may also define `notes(spec)`. It returns lines for the users of an export
    about limitations of the format's readers that affect this dataset. It may define
    `contents(resolved, shards, out)`, which returns the `Contents` of its files.

    Attributes:
      ABOUT: one line that describes the format.
    """

    ABOUT: str

    def check(self, spec: Spec) -> None:
        """Checks that the format can hold a dataset.

        Raises:
          UserError: it cannot; the message gives the reason.
        """


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What croissant.json and the dataset card of an export say about its files.

    Attributes:
      files: Croissant's FileObjects and FileSets.
      record_sets: Croissant's RecordSets.
      rows: examples in a scene.
      globs: the files of each split, where the `datasets` package reads them.
      columns: the columns and their meaning; None: the fields of the records.
    """

    files: Sequence[Mapping[str, Any]]
    record_sets: Sequence[Mapping[str, Any]] = ()
    rows: int = 1
    globs: Mapping[str, str] | None = None
    columns: Mapping[str, str] | None = None


class SceneFormat(Format, Protocol):
    """A format with one folder per scene.

    It may define `folder_of(split, index)`, the folder's path relative to the export's;
    otherwise it is `<split>/scene_<index>`. With `CATALOG = True`, the resolved spec is
    the fourth argument of `write`. It may define `finish`, see `ShardFormat`.
    """

    def write(self, split: Split, index: int, folder: Path) -> None:
        """Writes one scene.

        Args:
          split: the split of the scene.
          index: the scene's position in the split.
          folder: an empty folder to write to.

        Raises:
          RecordError: the scene is damaged.
        """


class ShardFormat(Format, Protocol):
    """A format with many scenes per file."""

    def paths(
        self, resolved: ResolvedSpec, split: str, shard: int, shards: int
    ) -> tuple[str, ...]:
        """Returns the files or folders of a shard, relative to the export's folder."""

    def write(
        self,
        resolved: ResolvedSpec,
        scenes: Iterable[Mapping[str, Any]],
        files: Sequence[Path],
    ) -> None:
        """Writes one shard.

        Args:
          resolved: the dataset.
          scenes: the decoded records of the shard, read lazily.
          files: the files to write or the folders to make, one for each of `paths`.
        """

    def finish(
        self, resolved: ResolvedSpec, shards: Mapping[str, Sequence[int]], out: Path
    ) -> None:
        """Writes the files that readers need in addition to the shards.

        Args:
          resolved: the dataset.
          shards: the number of scenes in each shard of each split.
          out: the export's folder, which holds all shards.
        """


def contents(
    module: Format,
    resolved: ResolvedSpec,
    shards: Mapping[str, Sequence[int]],
    out: Path,
) -> Contents:
    """Returns a format's `contents` for an export, or a description of plain files."""
    described = getattr(module, "contents", None)
    if described is None:
        files = croissant.file_set("files", "application/octet-stream", "**/*")
        return Contents(files=[files])
    return cast(Contents, described(resolved, shards, out))


def format_named(name: str) -> Format:
    """Returns a format's module.

    Raises:
      UserError: there is no such format.
    """
    if name not in FORMATS:
        raise UserError(f"no format {name!r}; the formats are {', '.join(FORMATS)}")
    return cast(Format, importlib.import_module(f"dyso.export.{name}"))


def formats_for(spec: Spec) -> list[str]:
    """Returns the names of the installed formats that can hold a dataset."""
    names = []
    for name in FORMATS:
        with contextlib.suppress(UserError, ModuleNotFoundError):
            format_named(name).check(spec)
            names.append(name)
    return names
