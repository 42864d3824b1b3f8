"""Checks of a dataset folder: metadata, files, shards and records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dyso import records
from dyso.render import UNCERTAIN_REASONS
from dyso.spec import ResolvedSpec, UserError, load_resolved
from dyso.storage import require_folder
from dyso.validation.record import Finding, check_record

NAMED = 5  # the most scenes named in a line


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A problem of a file or of a record.

    Attributes:
      file: the file's name in the dataset's folder.
      record: the record's position in the shard; None if the whole file is concerned.
      what: a description in one line.
    """

    file: str
    record: int | None
    what: str

    def __str__(self) -> str:
        at = "" if self.record is None else f": record {self.record}"
        return f"{self.file}{at}: {self.what}"


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A shard as described by the dataset's metadata.

    Attributes:
      path: the file.
      split: the shard's split.
      count: the number of records.
      noted: the entry in metadata.json, with scenes, size and checksum; empty if there
        is none.
    """

    path: Path
    split: str
    count: int
    noted: dict[str, Any]


class Validation:
    """The checks of one dataset folder.

    Attributes:
      folder: the dataset's folder.
      resolved: the dataset's spec, with its catalogs.
      shards: the shards that the metadata list.
      noted: the number of shards whose checksum is recorded.
      least: the smallest share of visible points that agreed in any scene so far.
      steepest: the largest straight step in brightness so far, see
        `dyso.validation.edges.straight_step`, and the place of its record; None if
        none was measured.
    """

    def __init__(self, folder: Path):
        """Reads the metadata.

        Raises:
          UserError: the folder is not a dataset, or its metadata are damaged.
        """
        self.folder = folder
        require_folder(folder)
        self.resolved: ResolvedSpec = load_resolved(folder / "spec.json")
        try:
            self._metadata = dict(records.read_json(folder / "metadata.json"))
            noted = {entry["file"]: _typed(entry) for entry in self._list("shards")}
            for failure in self._list("failures"):
                str(failure["split"])
        except OSError as error:
            raise UserError(f"{folder}/metadata.json: {error.strerror}") from error
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise UserError(f"{folder}/metadata.json: is damaged") from error
        self.shards = [
            Shard(path=path, split=split, count=count, noted=noted.get(path.name, {}))
            for split, files in records.read_splits(folder).items()
            for path, count in files
        ]
        self.noted = len(noted)
        self.least = 1.0
        self.steepest: tuple[float, str] | None = None

    def _list(self, name: str) -> list[Any]:
        value = self._metadata.get(name, [])
        if not isinstance(value, list):
            raise TypeError(f"{name} is not a list")
        return value

    @property
    def scenes(self) -> int:
        """The number of records that the metadata list."""
        return sum(shard.count for shard in self.shards)

    def check_folder(self) -> Iterator[Problem]:
        """Checks the dataset as a whole: identity, files and numbers of scenes."""
        completed = self.folder / "COMPLETED"
        if completed.is_file():
            with completed.open(encoding="utf-8", errors="replace") as file:
                content = file.read(100).strip()
            if content != self.resolved.hash:
                yield _whole(
                    completed,
                    f"contains the hash {content}, but that of spec.json is "
                    f"{self.resolved.hash}",
                )
        for what in records.feature_faults(self.folder, self.resolved.spec):
            yield _whole(self.folder / "features.json", what)
        known = {shard.path.name for shard in self.shards}
        for path in sorted(self.folder.glob("*.array_record-*")):
            if path.name not in known:
                yield _whole(path, "is not a shard of this dataset")
        info = self.folder / "dataset_info.json"
        for split in sorted({shard.split for shard in self.shards}):
            if split not in self.resolved.spec.splits:
                yield _whole(info, f"split {split!r}: is not a split of the spec")
        if not self.noted:
            return
        for split, planned in self.resolved.spec.splits.items():
            scenes = sum(shard.count for shard in self.shards if shard.split == split)
            failed = sum(f["split"] == split for f in self._list("failures"))
            if scenes + failed != planned:
                yield _whole(
                    info,
                    f"split {split!r}: {scenes} scenes and {failed} failures do not "
                    f"add up to the {planned} planned scenes",
                )

    def uncertain(self) -> str:
        """Returns a line about scenes that may differ on another machine, or "".

        These scenes were sampled again or given up after a failure that the machine may
        have caused.
        """
        splits = self.resolved.spec.splits
        uncertain: dict[str, str] = {}
        for failure in (*self._list("failures"), *self._list("retries")):
            match failure:
                case {"split": str(split), "index": int(index), "reason": str(reason)}:
                    if split in splits and reason in UNCERTAIN_REASONS:
                        uncertain[f"{split} {index}"] = reason
        if not uncertain:
            return ""
        planned = sum(self.resolved.spec.splits.values())
        named = [f"{scene} ({reason})" for scene, reason in uncertain.items()]
        if len(named) > NAMED:
            named[NAMED:] = ["..."]
        return (
            f"{len(uncertain)} of {planned} scenes may differ on another machine: they "
            "were sampled again or given up after a failure that the machine may have "
            "caused: "
            f"{', '.join(named)}"
        )

    def check_shard(self, shard: Shard) -> Iterator[Problem]:
        """Checks that a shard's file exists and has its recorded size and checksum."""
        path, noted = shard.path, shard.noted
        try:
            size = path.stat().st_size
        except OSError as error:
            yield _whole(path, f"is missing: {error.strerror}")
            return
        if noted and size != noted["bytes"]:
            yield _whole(path, f"has {size} bytes, metadata.json says {noted['bytes']}")
        elif noted and records.checksum(path) != noted["sha256"]:
            yield _whole(path, "its checksum is not the one in metadata.json")
        try:
            count = len(records.ShardReader(path))
        except records.RecordError as error:
            yield _whole(path, _without(path, error))
            return
        if count != shard.count:
            yield _whole(
                path, f"holds {count} records, dataset_info.json says {shard.count}"
            )

    def check_records(
        self, shard: Shard, positions: Iterable[int], tick: Callable[[], object]
    ) -> Iterator[Problem]:
        """Checks records of a shard, and that they are in order.

        Args:
          shard: the shard.
          positions: the positions of the records to check, in order.
          tick: called after each record.
        """
        try:
            reader = records.ShardReader(shard.path)
        except records.RecordError:
            return  # `check_shard` reports this
        low = int(shard.noted.get("start", 0))
        high = int(shard.noted.get("stop", 2**62))
        for position in positions:
            if position >= len(reader):
                return  # `check_shard` reports the missing records
            finding = self._check_record(shard, reader, position)
            faults = list(finding.faults)
            if finding.index is not None:
                if not low <= finding.index < high:
                    faults.append(f"is out of order: its scene is {finding.index}")
                low = max(low, finding.index + 1)
            for what in faults:
                yield Problem(file=shard.path.name, record=position, what=what)
            tick()

    def _check_record(
        self, shard: Shard, reader: records.ShardReader, position: int
    ) -> Finding:
        try:
            data = reader[position]
        except records.RecordError as error:
            what = _without(shard.path, error).removeprefix(f"record {position} ")
            return Finding(faults=(what,), index=None)
        finding = check_record(data, self.resolved, shard.split)
        if finding.share is not None:
            self.least = min(self.least, finding.share)
        if finding.step is not None:
            measured = finding.step, f"{shard.path.name}: record {position}"
            self.steepest = max(self.steepest or measured, measured)
        return finding


@dataclass(frozen=True, kw_only=True)
class Positions:
    """The chosen positions in a shard, in order, in constant memory.

    Attributes:
      start: the shard's first position, counted over all shards.
      total: the number of records in all shards.
      count: the number of chosen records in all shards.
      numbers: the numbers of the chosen records that lie in the shard.
    """

    start: int
    total: int
    count: int
    numbers: range

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[int]:
        return (n * self.total // self.count - self.start for n in self.numbers)


def chosen(validation: Validation, scenes: int | None) -> list[Positions]:
    """Returns the positions to check in each shard.

    Args:
      validation: the dataset.
      scenes: the total number, evenly spaced over the dataset; None checks all.
    """
    total = validation.scenes
    count = total if scenes is None else min(scenes, total)
    positions, start = [], 0
    for shard in validation.shards:
        # For each end of the shard, the first n with n * total // count >= end.
        first, last = (
            -(-end * count // max(total, 1)) for end in (start, start + shard.count)
        )
        numbers = range(first, last)
        positions.append(
            Positions(start=start, total=total, count=count, numbers=numbers)
        )
        start += shard.count
    return positions


def _typed(entry: dict[str, Any]) -> dict[str, Any]:
    """Returns a shard's entry after checking the types of its values."""
    for name, kind in (("bytes", int), ("sha256", str), ("start", int), ("stop", int)):
        if not isinstance(entry[name], kind):
            raise TypeError(f"{name} is {entry[name]!r}")
    return entry


def _whole(path: Path, what: str) -> Problem:
    return Problem(file=path.name, record=None, what=what)


def _without(path: Path, error: Exception) -> str:
    return str(error).removeprefix(f"{path}: ")
