"""Shards: ArrayRecord files of records, written atomically."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from array_record.python import array_record_module

from dyso.files import replacing
from dyso.records.errors import RecordError


@dataclass(frozen=True, kw_only=True)
class ShardInfo:
    """A shard that was written.

    Attributes:
      count: number of records.
      bytes: size of the file.
      sha256: checksum of the file, in hexadecimal.
    """

    count: int
    bytes: int
    sha256: str


def shard_name(dataset: str, split: str, index: int, shards: int) -> str:
    """Returns the tfds name of shard `index` of `shards`."""
    return f"{dataset}-{split}.array_record-{index:05d}-of-{shards:05d}"


def write_shard(path: str | Path, records: Iterable[bytes]) -> ShardInfo:
    """Writes a shard; on an error `path` stays as it was.

    Raises:
      OSError: the file cannot be written.
    """
    path, count = Path(path), 0
    with replacing(path) as temporary:
        # One record per group, so that each can be read alone. PNGs do not compress.
        writer = array_record_module.ArrayRecordWriter(
            str(temporary), "group_size:1,uncompressed"
        )
        try:
            for record in records:
                writer.write(record)
                count += 1
            writer.close()
        except RuntimeError as error:
            raise OSError(f"{path}: cannot be written: {error}") from error
        sha256 = checksum(temporary)
        size = temporary.stat().st_size
    return ShardInfo(count=count, bytes=size, sha256=sha256)


def checksum(path: str | Path) -> str:
    """Returns a file's sha256 in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ShardReader:
    """Random access to the records of one shard file, which stays open.

    Threads may share a reader; it cannot be pickled.
    """

    def __init__(self, path: str | Path):
        """Opens the file.

        Raises:
          RecordError: the file is missing, truncated or not a shard.
        """
        self._path, self._lock = Path(path), threading.Lock()
        self._reader = self._open()
        self._count = self._reader.num_records()
        if not self._reader.ok():
            try:
                self._reader.read()
            except RuntimeError as error:
                reason = str(error).partition(";")[0]
                raise RecordError(
                    f"{path}: not a whole shard: {reason}; fetch or make it again"
                ) from error
        size = self._path.stat().st_size
        if self._count > size:
            raise RecordError(
                f"{path}: not a whole shard: {self._count} records in {size} bytes"
            )

    def _open(self) -> array_record_module.ArrayRecordReader:
        return array_record_module.ArrayRecordReader(
            str(self._path),
            # No read-ahead and no threads suit random access.
            options="readahead_buffer_size:0,max_parallelism:0",
            file_reader_buffer_size=32768,
        )

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, position: int) -> bytes:
        """Returns one record.

        Raises:
          IndexError: there is no such record.
          RecordError: the record is damaged.
        """
        if not 0 <= position < len(self):
            raise IndexError(f"{self._path}: no record {position} of {len(self)}")
        with self._lock:
            try:
                # `read([position])` takes five times as long, due to page faults.
                self._reader.seek(position)
                return self._reader.read()
            except RuntimeError as error:
                # After an error, the old reader fails on every record.
                self._reader = self._open()
                reason = str(error).partition(" (")[0]
                raise RecordError(
                    f"{self._path}: record {position} is damaged: {reason}"
                ) from error


def read_shard(path: str | Path) -> Iterator[bytes]:
    """Yields the records of a shard in order.

    Raises:
      RecordError: the shard, or a record in it, is damaged.
    """
    reader = ShardReader(path)
    return (reader[position] for position in range(len(reader)))
