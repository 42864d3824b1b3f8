"""Progress, counted by what stands on disk, so it works for jobs on any engine."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from dyso.pipeline.plan import Shard
from dyso.pipeline.work import Work

_Counts = tuple[int, Counter[str]]


class Progress:
    """Counts the scenes of a running job; cheap enough for every second."""

    def __init__(self, work: Work, shards: Sequence[Shard]):
        """Remembers where to look."""
        self._work, self._shards = work, shards
        self._finished: dict[Path, _Counts] = {}

    def read(self) -> _Counts:
        """Gives the scenes rendered so far, and the failed ones by reason."""
        rendered, failed = 0, Counter[str]()
        for shard in self._shards:
            for count, reasons in self._shard(shard):
                rendered += count
                failed += reasons
        return rendered, failed

    def _shard(self, shard: Shard) -> Iterator[_Counts]:
        whole = self._work.shard_account_file(shard)
        if counts := self._read(whole, self._work.shard_file(shard)):
            yield counts
            return
        folder = self._work.parts_folder(shard)
        # A shard's parts go when the shard is there.
        with contextlib.suppress(FileNotFoundError):
            names = set(os.listdir(folder))
            for name in names:
                path = folder / name
                if name.endswith(".json"):
                    if counts := self._read(path, path.with_suffix(".array_record")):
                        yield counts
                elif name.endswith(".progress") and f"{path.stem}.json" not in names:
                    state = json.loads(path.read_bytes())
                    yield state["rendered"], Counter(state["failed"])

    def _read(self, path: Path, file: Path) -> _Counts | None:
        if path not in self._finished:
            account = self._work.account(path, file)
            if account is None:
                return None
            self._finished[path] = account.records, account.reasons
        return self._finished[path]
