"""Shard files, opened on first use; the least recently used are closed."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dyso.reading.remote import Cache
from dyso.records import RecordError, ShardReader

# Well below the usual limit of 1024 open files per process.
MAX_OPEN = 128

# An open shard stays on the disk after the cache has removed it.
MAX_OPEN_REMOTE = 16


class Shards:
    """Records by shard and position. Pickles no open files."""

    def __init__(
        self, shards: tuple[tuple[Path, int], ...], cache: Cache | None = None
    ):
        """Opens no file yet.

        Args:
          shards: each file's path and the number of records it must hold.
          cache: the files of a remote dataset; None reads the paths.
        """
        self.shards, self._cache = shards, cache
        # An evicted reader closes when the last thread that uses it drops it.
        most = MAX_OPEN if cache is None else MAX_OPEN_REMOTE
        self._open = functools.lru_cache(most)(self._check_and_open)

    def _check_and_open(self, shard: int) -> ShardReader:
        path, expected = self.shards[shard]
        if self._cache is None:
            reader = ShardReader(path)
        else:
            with self._cache.use(path.name) as copy:
                reader = ShardReader(copy)
        if len(reader) != expected:
            raise RecordError(
                f"{path}: holds {len(reader)} records, dataset_info.json says "
                f"{expected}; fetch or make it again"
            )
        return reader

    def read(self, shard: int, position: int) -> bytes:
        """Returns one record.

        Raises:
          RecordError: the shard or the record is damaged.
        """
        return self._open(shard)[position]

    def prefetch(self, shards: Iterable[int]) -> None:
        """Starts to download shards of a remote dataset, in this order."""
        if self._cache is not None:
            self._cache.prefetch([self.shards[shard][0].name for shard in shards])

    def where(self, shard: int, position: int) -> str:
        """Returns a record's name for error messages."""
        path = self.shards[shard][0]
        name = f"{self._cache.source}/{path.name}" if self._cache else str(path)
        return f"{name}: record {position}"

    def __reduce__(self) -> tuple[type[Shards], tuple[Any, ...]]:
        return Shards, (self.shards, self._cache)
