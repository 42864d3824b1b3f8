"""Progress, counted by what stands in the output, so it works for any engine."""

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

from dyso.pipeline.output_layout import (
    COMPLETED,
    METADATA,
    PROGRESS,
    Work,
    account_files,
)
from dyso.pipeline.pack import Failed
from dyso.pipeline.plan import Shard
from dyso.pipeline.shard_report import Account, to_json
from dyso.storage import Folder

WRITE_SECONDS = 5.0  # between states written
SHARE = 0.1  # of the time may go into counting


_NONE = Counter[str]()  # one for the many parts in which nothing failed


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What has become of scenes so far.

    Attributes:
      rendered: scenes in finished parts and shards, and in parts in the making.
      failed: scenes given up, by reason.
      making: of scenes in the making, the shares that there are, summed.
      accounted: scenes in finished parts and shards; the next two are of them alone.
      bytes: of their records.
      core_seconds: of all processes that worked on them.
    """

    rendered: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    making: float = 0.0
    accounted: int = 0
    bytes: int = 0
    core_seconds: float = 0.0

    @classmethod
    def of(cls, account: Account) -> Counts:
        """Counts a part or shard."""
        return cls(
            rendered=account.records,
            failed=account.reasons or _NONE,
            accounted=account.stop - account.start,
            bytes=account.bytes,
            core_seconds=account.core_seconds,
        )

    @property
    def done(self) -> int:
        """Scenes that need no more work."""
        return self.rendered + self.failed.total()

    @property
    def worked(self) -> float:
        """Scenes, those in the making by their shares."""
        return self.done + self.making


@dataclass(frozen=True, kw_only=True)
class Note:
    """What is there of a part in the making; in its file, as JSON."""

    rendered: int
    failed: dict[str, int]
    making: float

    def counts(self) -> Counts:
        """Counts it."""
        return Counts(
            rendered=self.rendered, failed=Counter(self.failed), making=self.making
        )


_NOTE = pydantic.TypeAdapter(Note)


def _sum(counts: Sequence[Counts]) -> Counts:
    failed = Counter[str]()
    for each in counts:
        if each.failed:
            failed += each.failed
    return Counts(
        rendered=sum(each.rendered for each in counts),
        failed=failed,
        making=sum(each.making for each in counts),
        accounted=sum(each.accounted for each in counts),
        bytes=sum(each.bytes for each in counts),
        core_seconds=sum(each.core_seconds for each in counts),
    )


class Progress:
    """Counts the scenes of a job, and keeps what `dyso status` shows.

    Attributes:
      planned: scenes in all.
    """

    def __init__(self, work: Work, shards: Sequence[Shard]):
        """Remembers where to look."""
        self._work = work
        self._shards = {work.shard_account_file(s): work.shard_file(s) for s in shards}
        self._finished: dict[str, Counts] = {}
        self._failed: dict[str, Failed] = {}
        self._counts = Counts()
        self._next_count = self._next_write = 0.0
        self.planned = sum(shard.stop - shard.start for shard in shards)
        self._start, self._at_start = time.time(), self.read().worked

    def read(self) -> Counts:
        """Counts; more often than the output can be looked through, gives the last."""
        start = time.monotonic()
        if start >= self._next_count:
            self._counts = self._count()
            end = time.monotonic()
            self._next_count = end + (end - start) / SHARE
        return self._counts

    def failed(self) -> list[Failed]:
        """Gives what failed in the parts and shards that `read` counted last."""
        return list(self._failed.values())

    def _count(self) -> Counts:
        work = self._work
        sizes = work.output.sizes()
        new = account_files(name for name in sizes if name not in self._finished)
        new |= {n: f for n, f in self._shards.items() if n not in self._finished}
        for name, account in work.accounts(new, sizes):
            self._finished[name] = Counts.of(account)
            if account.failures:
                self._failed[name] = Failed.of(name, account)
        # A shard that is there stands for its parts, which go a little later.
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
        for text in work.output.read_all(making).values():
            # Anything else there counts for nothing.
            with contextlib.suppress(ValueError, RecursionError):
                unfinished.append(_NOTE.validate_json(text).counts())
        return _sum([self._finished[name] for name in valid] + unfinished)

    def write(self, state: str, message: str = "") -> None:
        """Writes progress.json: where the job is, for people on any machine.

        Args:
          state: `running`, `stopped` or `failed`; while running it is written every
            `WRITE_SECONDS` at most.
          message: why it is not running.
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
                counts.core_seconds / max(counts.accounted, 1), 3
            ),
            "scenes_a_minute": round(60 * rate, 2),
            "seconds_left": round(left / rate) if rate else None,
            "started": self._start,
            "updated": now,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        self._work.output.write(PROGRESS, to_json(value))
        self._next_write = time.monotonic() + WRITE_SECONDS


def read_state(output: Folder) -> dict[str, Any] | None:
    """Gives where the job is that writes, or wrote, to an output.

    Returns:
      What `Progress.write` wrote last; for a complete dataset, the like from its
      metadata.json, with the state `complete`; None if there is neither.
    """
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
        output.read(COMPLETED)
        found = json.loads(output.read(METADATA))
        cost = found["core_seconds"] / max(found["rendered"], 1)
        return {**found, "state": "complete", "core_seconds_a_scene": round(cost, 3)}
    with contextlib.suppress(FileNotFoundError, ValueError):
        return dict(json.loads(output.read(PROGRESS)))
    return None
