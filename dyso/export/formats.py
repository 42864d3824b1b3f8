"""What a format is to `dyso export`: a module of this package with a few functions."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from dyso.reading import Split
from dyso.spec import ResolvedSpec, Spec, UserError

SHARDS = ("sunds", "multi_shapenet", "tfrecord", "webdataset", "parquet")
"""Formats of files that hold many scenes each, `ShardFormat`."""

FOLDERS = ("nerfstudio", "dnerf", "dynerf", "d3dgs", "nsff", "colmap")
"""Formats of one folder a scene, `SceneFormat`."""

FORMATS = SHARDS + FOLDERS


@runtime_checkable
class Format(Protocol):
    """What every format has.

    A format may also have `notes(spec)`, which returns lines for the users of an export
    about what its readers do with this dataset and cannot be told to do otherwise.

    Attributes:
      ABOUT: one line for people who choose.
    """

    ABOUT: str

    def check(self, spec: Spec) -> None:
        """Looks whether the format can hold a dataset.

        Raises:
          UserError: it cannot; the line says why.
        """


class SceneFormat(Format, Protocol):
    """One folder a scene."""

    def write(self, split: Split, index: int, folder: Path) -> None:
        """Writes one scene.

        Args:
          split: that it is in.
          index: its position there.
          folder: is empty.

        Raises:
          RecordError: the scene is damaged.
        """


class ShardFormat(Format, Protocol):
    """Files of many scenes each."""

    def paths(
        self, resolved: ResolvedSpec, split: str, shard: int, shards: int
    ) -> tuple[str, ...]:
        """Gives the files that make up one shard, relative to the export's folder."""

    def write(
        self,
        resolved: ResolvedSpec,
        scenes: Iterable[Mapping[str, Any]],
        files: Sequence[Path],
    ) -> None:
        """Writes one shard.

        Args:
          resolved: the dataset.
          scenes: the shard's, decoded whole, each read when it is asked for.
          files: where to, one for each of `paths`.
        """

    def finish(
        self, resolved: ResolvedSpec, shards: Mapping[str, Sequence[int]], out: Path
    ) -> None:
        """Writes what readers need beside the shards.

        Args:
          resolved: the dataset.
          shards: the number of scenes in each shard of each split.
          out: the export's folder, with all shards in it.
        """


def format_named(name: str) -> Format:
    """Gives a format's module.

    Raises:
      UserError: there is no such format.
    """
    if name not in FORMATS:
        raise UserError(f"no format {name!r}; the formats are {', '.join(FORMATS)}")
    return cast(Format, importlib.import_module(f"dyso.export.{name}"))


def formats_for(spec: Spec) -> list[str]:
    """Returns the names of the formats that can hold a dataset, of those installed."""
    names = []
    for name in FORMATS:
        with contextlib.suppress(UserError, ModuleNotFoundError):
            format_named(name).check(spec)
            names.append(name)
    return names
