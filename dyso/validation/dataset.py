"""Whether a dataset folder is whole, and holds what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dyso import records
from dyso.render import UNCERTAIN_REASONS
from dyso.spec import ResolvedSpec, UserError, load_resolved
from dyso.validation.record import Finding, check_record

NAMED = 5  # scenes in a line


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is wrong.

    Attributes:
      file: its name in the dataset's folder.
      record: its position in the shard; None where the whole file is meant.
      what: one line.
    """

    file: str
    record: int | None
    what: str

    def __str__(self) -> str:
        at = "" if self.record is None else f": record {self.record}"
        return f"{self.file}{at}: {self.what}"


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A shard as the dataset's metadata has it.

    Attributes:
      path: the file.
      split: its split.
      count: records in it.
      noted: the job's own entry, with its scenes, size and checksum; empty where the
        dataset's maker kept none.
    """

    path: Path
    split: str
    count: int
    noted: dict[str, Any]


class Validation:
    """The checks of one dataset folder.

    Attributes:
      folder: where it is.
      resolved: its spec with the catalogs.
      shards: that there should be.
      noted: how many shards have a noted checksum.
      least: the least share of visible points that agreed in any scene so far.
    """

    def __init__(self, folder: Path):
        """Reads the metadata.

        Raises:
          UserError: it is not a dataset folder, or its metadata are damaged.
        """
        self.folder = folder
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
            for split, own in records.read_splits(folder).items()
            for path, count in own
        ]
        self.noted = len(noted)
        self.least = 1.0

    def _list(self, name: str) -> list[Any]:
        value = self._metadata.get(name, [])
        if not isinstance(value, list):
            raise TypeError(f"{name} is not a list")
        return value

    @property
    def scenes(self) -> int:
        """Records that there should be."""
        return sum(shard.count for shard in self.shards)

    def check_folder(self) -> Iterator[Problem]:
        """Checks what is said of the whole dataset: identity, files, scenes."""
        completed = self.folder / "COMPLETED"
        if completed.is_file():
            with completed.open(encoding="utf-8", errors="replace") as file:
                found = file.read(100).strip()
            if found != self.resolved.hash:
                yield _whole(completed, f"says {found}, spec.json {self.resolved.hash}")
        for what in records.feature_faults(self.folder, self.resolved.spec):
            yield _whole(self.folder / "features.json", what)
        known = {shard.path.name for shard in self.shards}
        for path in sorted(self.folder.glob("*.array_record-*")):
            if path.name not in known:
                yield _whole(path, "is no shard of this dataset")
        info = self.folder / "dataset_info.json"
        for split in sorted({shard.split for shard in self.shards}):
            if split not in self.resolved.spec.splits:
                yield _whole(info, f"split {split!r}: is none of the spec's")
        if not self.noted:
            return
        for split, planned in self.resolved.spec.splits.items():
            there = sum(shard.count for shard in self.shards if shard.split == split)
            failed = sum(f["split"] == split for f in self._list("failures"))
            if there + failed != planned:
                yield _whole(
                    info,
                    f"split {split!r}: {there} scenes and {failed} failures are not "
                    f"the {planned} planned",
                )

    def uncertain(self) -> str:
        """Returns a line on scenes that may be others elsewhere, or nothing.

        They were sampled again, or given up, after what may be the machine's doing.
        """
        splits, found = self.resolved.spec.splits, {}
        for failure in (*self._list("failures"), *self._list("retries")):
            match failure:
                case {"split": str(split), "index": int(index), "reason": str(reason)}:
                    if split in splits and reason in UNCERTAIN_REASONS:
                        found[f"{split} {index}"] = reason
        if not found:
            return ""
        planned = sum(self.resolved.spec.splits.values())
        named = [f"{scene} ({reason})" for scene, reason in found.items()]
        if len(named) > NAMED:
            named[NAMED:] = ["..."]
        return (
            f"failures that another machine may not have decided {len(found)} of "
            f"{planned} scenes: {', '.join(named)}"
        )

    def check_shard(self, shard: Shard) -> Iterator[Problem]:
        """Checks a shard's file: there, whole, of the noted size and checksum."""
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
            found = len(records.ShardReader(path))
        except records.RecordError as error:
            yield _whole(path, _without(path, error))
            return
        if found != shard.count:
            yield _whole(
                path, f"holds {found} records, dataset_info.json says {shard.count}"
            )

    def check_records(
        self, shard: Shard, positions: Iterable[int], tick: Callable[[], object]
    ) -> Iterator[Problem]:
        """Checks records of a shard, each by itself and their order.

        Args:
          shard: the shard.
          positions: which of its records, in order.
          tick: called after each.
        """
        try:
            reader = records.ShardReader(shard.path)
        except records.RecordError:
            return  # `check_shard` has said so
        low = int(shard.noted.get("start", 0))
        high = int(shard.noted.get("stop", 2**62))
        for position in positions:
            if position >= len(reader):
                return  # `check_shard` has said that they are fewer
            finding = self._check_record(shard, reader, position)
            faults = list(finding.faults)
            if finding.index is not None:
                if not low <= finding.index < high:
                    faults.append(f"out of order: it is scene {finding.index}")
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
            return Finding(faults=(what,), index=None, share=None)
        finding = check_record(data, self.resolved, shard.split)
        if finding.share is not None:
            self.least = min(self.least, finding.share)
        return finding


@dataclass(frozen=True, kw_only=True)
class Positions:
    """Positions in a shard, in order; as many as they may be, they take no memory.

    Attributes:
      start: of the shard, counted over all shards.
      total: records in all shards.
      count: how many of those are chosen.
      numbers: which of the chosen ones lie in the shard.
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
    """Gives the positions to check in each shard.

    Args:
      validation: the dataset.
      scenes: how many in all, evenly over the dataset; None is all.
    """
    total = validation.scenes
    count = total if scenes is None else min(scenes, total)
    found, start = [], 0
    for shard in validation.shards:
        # Of the n * total // count, the first that is no less than each end.
        first, last = (
            -(-end * count // max(total, 1)) for end in (start, start + shard.count)
        )
        numbers = range(first, last)
        found.append(Positions(start=start, total=total, count=count, numbers=numbers))
        start += shard.count
    return found


def _typed(entry: dict[str, Any]) -> dict[str, Any]:
    """Gives a shard's entry, whose values are of their types."""
    for name, kind in (("bytes", int), ("sha256", str), ("start", int), ("stop", int)):
        if not isinstance(entry[name], kind):
            raise TypeError(f"{name} is {entry[name]!r}")
    return entry


def _whole(path: Path, what: str) -> Problem:
    return Problem(file=path.name, record=None, what=what)


def _without(path: Path, error: Exception) -> str:
    return str(error).removeprefix(f"{path}: ")
