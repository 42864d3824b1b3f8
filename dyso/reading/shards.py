"""Shard files, opened when asked for and closed when too many are open."""

from __future__ import annotations

import functools
from pathlib import Path

from dyso.records import RecordError, ShardReader

# Well below the usual limit of 1024 files a process.
MAX_OPEN = 128


class Shards:
    """Records by shard and position; pickles to the paths alone."""

    def __init__(self, shards: tuple[tuple[Path, int], ...]):
        """Opens nothing yet.

        Args:
          shards: each file's path and the number of records it must hold.
        """
        self.shards = shards
        # What is evicted closes when the last thread that reads from it lets go.
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
        """Gives one record.

        Raises:
          RecordError: the shard or the record is damaged.
        """
        return self._open(shard)[position]

    def where(self, shard: int, position: int) -> str:
        """Names a record in an error."""
        return f"{self.shards[shard][0]}: record {position}"

    def __reduce__(self) -> tuple[type[Shards], tuple[tuple[tuple[Path, int], ...]]]:
        return Shards, (self.shards,)
