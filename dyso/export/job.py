"""A resumable export: finished parts are kept when it is stopped and run again."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from dyso import records
from dyso.export.formats import (
    SHARDS,
    Format,
    SceneFormat,
    ShardFormat,
    contents,
    format_named,
    formats_for,
)
from dyso.export.processes import Tick, share_out
from dyso.export.soundness import check_record
from dyso.reading import Dataset
from dyso.records import croissant
from dyso.records.card import CARD, card
from dyso.spec import ResolvedSpec, Spec, UserError
from dyso.storage import Folder, LocalFolder
from dyso.storage.resumable import finished_units, resume

_ATTRIBUTION = "ATTRIBUTION.md"
_SHARD_BYTES = 512 << 20  # decoded; about half as large on disk, 30 s of work


@dataclass(frozen=True, kw_only=True)
class Unit:
    """The smallest part of an export; it appears as a whole or not at all.

    Attributes:
      split: the split of its scenes.
      start: the number of the first scene in the split.
      stop: the number after the last scene.
      paths: its files or its one folder, relative to the export's folder.
    """

    split: str
    start: int
    stop: int
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Export:
    """The export of a dataset, or of a part of it, to one format; can be pickled.

    Attributes:
      dataset: the dataset to export.
      format_name: one of `FORMATS`.
      out: the folder to write.
      spans: the numbers of the scenes to export, by split.
    """

    dataset: Dataset
    format_name: str
    out: Path
    spans: Mapping[str, range]

    @classmethod
    def of(
        cls,
        dataset: Path,
        *,
        format: str,
        out: Path,
        split: str | None = None,
        scenes: str = ":",
    ) -> Export:
        """Plans an export; writes nothing.

        Args:
          dataset: the folder of the dataset.
          format: one of `FORMATS`.
          out: the folder to write.
          split: the only split to export; None exports all.
          scenes: a slice `a:b` of each split, as in Python.

        Raises:
          UserError: there is no such format, split or scene, or the format cannot hold
            the dataset.
        """
        module = format_named(format)
        source = Dataset(dataset)
        try:
            module.check(source.resolved.spec)
        except UserError as error:
            names = ", ".join(formats_for(source.resolved.spec))
            raise UserError(
                f"{error}; formats that hold this dataset: {names}"
            ) from None
        if split and split not in source.splits:
            raise UserError(
                f"{dataset}: no split {split!r}; the splits are "
                f"{', '.join(source.splits)}"
            )
        chosen = {split: source[split]} if split else source.splits
        bounds = re.fullmatch(r"(-?\d*):(-?\d*)", scenes)
        if not bounds:
            raise UserError(f"scenes: must be as in 0:100, :100 or 100:, got {scenes}")
        part = slice(*(int(bound) if bound else None for bound in bounds.groups()))
        spans = {name: range(len(split))[part] for name, split in chosen.items()}
        spans = {name: span for name, span in spans.items() if span}
        if not spans:
            counts = ", ".join(f"{name} {len(s)}" for name, s in chosen.items())
            raise UserError(
                f"scenes: {scenes} contains no scene; scenes in each split: {counts}"
            )
        return cls(source, format, out, spans)

    @property
    def format(self) -> Format:
        """The format's module."""
        return format_named(self.format_name)

    @property
    def resolved(self) -> ResolvedSpec:
        """The dataset's spec, with its catalogs."""
        return self.dataset.resolved

    @cached_property
    def scenes(self) -> int:
        """The number of scenes to export."""
        return sum(map(len, self.spans.values()))

    def folder_of(self, split: str, index: int) -> str:
        """Returns a scene's folder, relative to the export's; see `SceneFormat`."""
        named = getattr(self.format, "folder_of", None)
        return named(split, index) if named else f"{split}/scene_{index}"

    def units(self) -> Iterator[Unit]:
        """Yields all units of the export, in order."""
        for split, span in self.spans.items():
            if self.format_name not in SHARDS:
                for i in span:
                    path = self.folder_of(split, i)
                    yield Unit(split=split, start=i, stop=i + 1, paths=(path,))
                continue
            paths = cast(ShardFormat, self.format).paths
            lengths = shard_lengths(self.resolved.spec, len(span))
            stops = itertools.accumulate(lengths, initial=span.start)
            for shard, (start, stop) in enumerate(itertools.pairwise(stops)):
                files = paths(self.resolved, split, shard, len(lengths))
                yield Unit(split=split, start=start, stop=stop, paths=files)

    def notes(self) -> Sequence[str]:
        """Returns the format's notes for the users of this export."""
        notes = getattr(self.format, "notes", None)
        return notes(self.resolved.spec) if notes else ()

    def done(self) -> int:
        """Returns the number of scenes that are already exported.

        Raises:
          UserError: the folder holds something else, or cannot be read.
        """
        finished = finished_units(self._folder, self._identity)
        return sum(u.stop - u.start for u in self.units() if u.paths[0] in finished)

    def run(self, workers: int, tick: Tick) -> None:
        """Exports all units that are not finished yet.

        Args:
          workers: the number of processes; 1 exports in this process.
          tick: called after each scene.

        Raises:
          UserError: a scene is damaged, the folder holds something else, another job
            writes to it, or a file cannot be written.
        """
        with resume(self._folder, self._identity) as journal:
            # Licences require that the attribution accompanies the images.
            if (attribution := self.dataset.folder / _ATTRIBUTION).exists():
                journal.folder.write(_ATTRIBUTION, attribution.read_bytes())
            finished = journal.finished
            todo = (unit for unit in self.units() if unit.paths[0] not in finished)
            if workers == 1:
                for unit in todo:
                    journal.add(*self.do(unit, tick))
            else:
                arguments = str(self.dataset.folder), self.format_name, str(self.out)
                units = map(dataclasses.asdict, todo)
                share_out(arguments, units, workers, tick, journal.add)
            lengths = {
                split: shard_lengths(self.resolved.spec, len(span))
                for split, span in self.spans.items()
            }
            if finish := getattr(self.format, "finish", None):
                finish(self.resolved, lengths, self.out)
            self._describe(journal.folder, lengths)

    def _describe(self, folder: Folder, lengths: Mapping[str, Sequence[int]]) -> None:
        """Writes croissant.json and README.md, the dataset card."""
        made = contents(self.format, self.resolved, lengths, self.out)
        licenses = croissant.licenses_in(self.dataset.folder)
        described = croissant.describe(
            self.resolved,
            distribution=made.files,
            record_sets=made.record_sets,
            licenses=licenses,
        )
        about = card(
            self.resolved,
            rows=self.scenes * made.rows,
            layout=f"The files are in DySO's `{self.format_name}` format: "
            f"{self.format.ABOUT}.",
            licenses=licenses,
            files=made.globs,
            columns=made.columns,
        )
        folder.write(croissant.CROISSANT, croissant.to_text(described).encode())
        folder.write(CARD, about.encode())

    def do(self, unit: Unit, tick: Tick) -> tuple[str, dict[str, int]]:
        """Exports one unit; returns its name and the sizes of its files in bytes.

        Raises:
          UserError: a scene is damaged; the message names it.
        """
        with self._folder.scratch() as scratch:
            made = LocalFolder(str(scratch / "unit"))
            written = [made.path / path for path in unit.paths]
            for path in written:
                path.parent.mkdir(parents=True, exist_ok=True)
            if self.format_name in SHARDS:
                scenes = self._scenes(unit, tick)
                cast(ShardFormat, self.format).write(self.resolved, scenes, written)
            else:
                written[0].mkdir()
                write: Callable[..., None] = cast(SceneFormat, self.format).write
                catalog = getattr(self.format, "CATALOG", False)
                also = (self.resolved,) if catalog else ()
                split = self.dataset.splits[unit.split]
                with _naming(unit.split, unit.start):
                    write(split, unit.start, written[0], *also)
                tick()
            sizes = made.sizes()
            for source, name in zip(written, unit.paths, strict=True):
                _move(source, self.out / name)
        return unit.paths[0], sizes

    def _scenes(self, unit: Unit, tick: Tick) -> Iterator[dict[str, Any]]:
        for index in range(unit.start, unit.stop):
            with _naming(unit.split, index):
                record = self.dataset.splits[unit.split].read(index)
                check_record(record, self.resolved.spec)
            yield record
            tick()

    @property
    def _folder(self) -> LocalFolder:
        return LocalFolder(str(self.out))

    @property
    def _identity(self) -> dict[str, Any]:
        spec = self.resolved.spec
        identity: dict[str, Any] = {
            "format": self.format_name,
            "dataset": f"{spec.name} {self.resolved.hash}",
        }
        if self.format_name in SHARDS:
            # The scenes decide the shards; exports of folders may be extended later.
            identity["scenes"] = {
                split: [span.start, span.stop] for split, span in self.spans.items()
            }
        return identity


def shard_lengths(spec: Spec, scenes: int) -> list[int]:
    """Returns the number of scenes in each shard; independent of the workers."""
    height, width = spec.resolution
    pixel = sum(
        int(field.shape[-1]) * np.dtype(field.dtype).itemsize
        for field in records.fields_of(spec)
        if field.encoding in ("image", "depth")
    )
    most = max(1, _SHARD_BYTES // (spec.views * height * width * pixel))
    count = -(-scenes // most)
    return [scenes * (i + 1) // count - scenes * i // count for i in range(count)]


@contextlib.contextmanager
def _naming(split: str, index: int) -> Iterator[None]:
    """Prefixes errors with the scene that they concern."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"scene {index} of {split}: {error}") from error


def _move(source: Path, target: Path) -> None:
    """Moves a file or a folder to its final path.

    A target folder that exists has lost some of its files: all of them are replaced,
    and files that users have added stay.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        shutil.copytree(source, target, copy_function=os.replace, dirs_exist_ok=True)
    else:
        os.replace(source, target)
