"""Measures progress from the files in the output, which works for any runner."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pydantic

from dyso.pipeline.failures import FailedScenes
from dyso.pipeline.output_layout import (
    COMPLETED,
    METADATA,
    PROGRESS,
    OutputLayout,
    report_files,
)
from dyso.pipeline.plan import Shard
from dyso.pipeline.shard_report import ShardReport, to_json
from dyso.storage import Folder

WRITE_SECONDS = 5.0  # minimum time between two writes of progress.json
SHARE = 0.1  # maximum share of the time that is spent on counting


_NONE = Counter[str]()  # shared by the many parts without failures


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """The numbers of scenes by their state.

    Attributes:
      rendered: scenes rendered in finished and unfinished parts and shards.
      failed: scenes given up, by reason.
      making: the sum of the completed fractions of the scenes being rendered.
      finished: scenes, rendered or failed, in finished parts and shards.
      bytes: size of the records in finished parts and shards.
      core_seconds: CPU time of all processes that worked on the `finished` scenes.
    """

    rendered: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    making: float = 0.0
    finished: int = 0
    bytes: int = 0
    core_seconds: float = 0.0

    @classmethod
    def of(cls, report: ShardReport) -> Counts:
        """Returns the counts of a finished part or shard."""
        return cls(
            rendered=report.records,
            failed=report.reasons or _NONE,
            finished=report.stop - report.start,
            bytes=report.bytes,
            core_seconds=report.core_seconds,
        )

    @property
    def done(self) -> int:
        """The number of scenes that need no more work."""
        return self.rendered + self.failed.total()

    @property
    def worked(self) -> float:
        """The number of scenes done, plus the fractions of those being rendered."""
        return self.done + self.making


@dataclass(frozen=True, kw_only=True)
class PartProgress:
    """The state of an unfinished part, stored as JSON in its `.progress` file."""

    rendered: int
    failed: dict[str, int]
    making: float

    def counts(self) -> Counts:
        """Returns the state as counts."""
        return Counts(
            rendered=self.rendered, failed=Counter(self.failed), making=self.making
        )


_PART_PROGRESS = pydantic.TypeAdapter(PartProgress)


def _sum(counts: Sequence[Counts]) -> Counts:
    failed = Counter[str]()
    for each in counts:
        if each.failed:
            failed += each.failed
    return Counts(
        rendered=sum(each.rendered for each in counts),
        failed=failed,
        making=sum(each.making for each in counts),
        finished=sum(each.finished for each in counts),
        bytes=sum(each.bytes for each in counts),
        core_seconds=sum(each.core_seconds for each in counts),
    )


class Progress:
    """Counts the scenes of a job and writes the file that `dyso status` reads.

    Attributes:
      planned: total number of scenes.
    """

    def __init__(self, layout: OutputLayout, shards: Sequence[Shard]):
        """Counts the scenes that are done at the start.

        Args:
          layout: the output folder.
          shards: all shards of the dataset.
        """
        self._layout = layout
        self._shards = {
            layout.shard_report_file(s): layout.shard_file(s) for s in shards
        }
        self._finished: dict[str, Counts] = {}
        self._failed: dict[str, FailedScenes] = {}
        self._counts = Counts()
        self._next_count = self._next_write = 0.0
        self.planned = sum(shard.stop - shard.start for shard in shards)
        self._start, self._at_start = time.time(), self.read().worked

    def read(self, *, now: bool = False) -> Counts:
        """Returns the counts; between two counts, the last result.

        A new count waits until counting has taken at most `SHARE` of the time.

        Args:
          now: counts in any case.
        """
        start = time.monotonic()
        if now or start >= self._next_count:
            self._counts = self._count()
            end = time.monotonic()
            self._next_count = end + (end - start) / SHARE
        return self._counts

    def failed(self) -> list[FailedScenes]:
        """Returns the failed scenes of the parts and shards at the last count."""
        return list(self._failed.values())

    def _count(self) -> Counts:
        layout = self._layout
        sizes = layout.output.sizes()
        new = report_files(name for name in sizes if name not in self._finished)
        new |= {n: f for n, f in self._shards.items() if n not in self._finished}
        for name, report in layout.reports(new, sizes):
            self._finished[name] = Counts.of(report)
            if report.failures:
                self._failed[name] = FailedScenes.of(name, report)
        # Parts of finished shards are not counted; they are removed a little later.
        packed = {
            name.removesuffix(".json")
            for name in self._shards.keys() & self._finished.keys()
        }
        valid = [
            name
            for name in self._finished
            if name in sizes and name.rpartition("/")[0] not in packed
        ]
        self._failed = {n: self._failed[n] for n in valid if n in self._failed}
        making = [
            name
            for name in sizes
            if name.endswith(".progress")
            and name.removesuffix("progress") + "json" not in sizes
        ]
        unfinished = []
        for text in layout.output.read_all(making).values():
            with contextlib.suppress(ValueError, RecursionError):  # not ours; ignored
                unfinished.append(_PART_PROGRESS.validate_json(text).counts())
        return _sum([self._finished[name] for name in valid] + unfinished)

    def write(self, state: str, message: str = "") -> None:
        """Writes the state of the job to progress.json, for readers on any machine.

        Args:
          state: `running`, `stopped` or `failed`. The state `running` is written at
            most once in `WRITE_SECONDS`.
          message: why the job is not running.
        """
        if state == "running" and time.monotonic() < self._next_write:
            return
        counts, now = self._counts, time.time()
        made, seconds = counts.worked - self._at_start, now - self._start
        rate = made / seconds if seconds > 0 else 0.0
        left = self.planned - counts.worked
        value = {
            "state": state,
            "message": message,
            "planned": self.planned,
            "rendered": counts.rendered,
            "failed": dict(counts.failed),
            "making": round(counts.making, 3),
            "bytes": counts.bytes,
            "core_seconds_a_scene": round(
                counts.core_seconds / max(counts.finished, 1), 3
            ),
            "scenes_a_minute": round(60 * rate, 2),
            "seconds_left": round(left / rate) if rate else None,
            "started": self._start,
            "updated": now,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        self._layout.output.write(PROGRESS, to_json(value))
        self._next_write = time.monotonic() + WRITE_SECONDS


def read_state(output: Folder) -> dict[str, Any] | None:
    """Reads the state of the job that writes, or wrote, to an output.

    Returns:
      The state that `Progress.write` wrote last. For a complete dataset, its
      metadata.json with `core_seconds_a_scene` and the state `complete`. None if
      neither file exists.
    """
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
        output.read(COMPLETED)
        metadata = json.loads(output.read(METADATA))
        cost = metadata["core_seconds"] / max(metadata["rendered"], 1)
        return {**metadata, "state": "complete", "core_seconds_a_scene": round(cost, 3)}
    with contextlib.suppress(FileNotFoundError, ValueError):
        return dict(json.loads(output.read(PROGRESS)))
    return None
