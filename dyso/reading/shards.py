"""Shard files, opened on first use; the least recently used are closed."""

from __future__ import annotations

import functools
from pathlib import Path

from dyso.records import RecordError, ShardReader

# Well below the usual limit of 1024 open files per process.
MAX_OPEN = 128


class Shards:
    """Records by shard and position. Pickles only the paths."""

    def __init__(self, shards: tuple[tuple[Path, int], ...]):
        """Opens no file yet.

        Args:
          shards: each file's path and the number of records it must hold.
        """
        self.shards = shards
        # An evicted reader closes when the last thread that uses it drops it.
        self._open = functools.lru_cache(MAX_OPEN)(self._check_and_open)

    def _check_and_open(self, shard: int) -> ShardReader:
        path, expected = self.shards[shard]
        reader = ShardReader(path)
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

    def where(self, shard: int, position: int) -> str:
        """Returns a record's name for error messages."""
        return f"{self.shards[shard][0]}: record {position}"

    def __reduce__(self) -> tuple[type[Shards], tuple[tuple[tuple[Path, int], ...]]]:
        return Shards, (self.shards,)
