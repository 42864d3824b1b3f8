"""Remote datasets: their shards in a local cache of bounded size."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dyso import records
from dyso.assets.cache import cache_folder
from dyso.errors import one_line
from dyso.spec import UserError
from dyso.storage import ReadOnlyFolder, open_readonly, tempdirs

METADATA = ("dataset_info.json", "spec.json", "metadata.json")
"""The files of a dataset that are read when it is opened."""


CACHE_SIZE = 50 * 10**9
"""Default bytes of shards in the cache."""


def is_remote(location: str | Path) -> bool:
    """Returns whether a location is in a bucket or on a web server."""
    return "://" in str(location)


@dataclass(frozen=True)
class Cache:
    """Local copies of a dataset's files; a plain value that can be pickled.

    Any number of processes of a machine may share the folder, for any datasets. Each
    file is downloaded once, checked, and then appears whole. When the folder exceeds
    its size, the least recently opened files are removed. A reader that has one of them
    open keeps it, so the disk additionally holds the removed shards that are open.

    Attributes:
      source: the dataset's location.
      folder: the cache.
      size: the bytes that the folder may hold.
      key: part of the names of the dataset's files in the cache.
      checksums: SHA-256 of the shards by name, where metadata.json has them.
    """

    source: ReadOnlyFolder
    folder: Path
    size: int
    key: str
    checksums: Mapping[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def use(self, name: str) -> Iterator[Path]:
        """Returns a context in which a local copy of a file exists, under its path.

        Raises:
          OSError: the file cannot be downloaded or written.
          RecordError: the file is damaged.
        """
        path = self.folder / f"{self.key}-{name}"
        with self._lock(f"{path.name}.lock"):
            try:
                os.utime(path)
            except FileNotFoundError:
                self._download(name, path)
            # Locked, because another process may remove the file.
            yield path

    def prefetch(self, names: Sequence[str]) -> None:
        """Downloads files in a thread of this process, in this order."""

        def run() -> None:
            for name in names:
                # Whoever opens the file meets the error.
                with contextlib.suppress(OSError, records.RecordError), self.use(name):
                    pass

        threading.Thread(target=run, daemon=True).start()

    def _download(self, name: str, path: Path) -> None:
        tempdirs.clean(self.folder)
        with self.source.fetch(name, self.folder) as copy:
            expected = self.checksums.get(name)
            if expected is not None and records.checksum(copy) != expected:
                raise records.RecordError(
                    f"{self.source}/{name}: differs from its checksum in metadata.json"
                )
            self._make_room(copy.stat().st_size)
            os.replace(copy, path)

    def _make_room(self, size: int) -> None:
        """Removes the least recently opened files, so that `size` more bytes fit."""
        with self._lock("lock"):
            files = []
            for path in self.folder.glob("*.array_record-*[0-9]"):
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    files.append((status.st_mtime, status.st_size, path))
            total = size + sum(each for _, each, _ in files)
            for _, each, path in sorted(files):
                if total <= self.size:
                    return
                with (
                    contextlib.suppress(BlockingIOError),
                    self._lock(f"{path.name}.lock", fcntl.LOCK_EX | fcntl.LOCK_NB),
                ):
                    path.unlink(missing_ok=True)
                    total -= each

    @contextlib.contextmanager
    def _lock(self, name: str, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
        """Holds a lock, which the kernel releases if the process is killed."""
        with (self.folder / name).open("ab") as file:
            fcntl.flock(file, kind)
            yield


def open_cache(
    location: str, cache_dir: str | Path | None = None, cache_size: int = CACHE_SIZE
) -> tuple[Cache, Path]:
    """Reads a remote dataset's metadata.

    Args:
      location: `s3://bucket/prefix`, `gs://bucket/prefix` or `https://host/folder`.
      cache_dir: the folder for shards; None means `$XDG_CACHE_HOME/dyso/shards`.
      cache_size: bytes of shards to keep in the folder.

    Returns:
      The cache, and a folder in it with the metadata.

    Raises:
      UserError: the dataset cannot be read, or the folder not be written.
    """
    source = open_readonly(location)
    folder = Path(cache_dir) if cache_dir else cache_folder() / "shards"
    try:
        contents = source.read_all(METADATA)
        for name in METADATA:
            if name not in contents:
                raise UserError(f"{location}: not a finished dataset: no {name}")
        # Other data at the same location have other names in the cache.
        digest = hashlib.sha256(location.encode())
        for name in METADATA:
            digest.update(contents[name])
        key = digest.hexdigest()[:16]
        metadata = folder / key
        metadata.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with records.replacing(metadata / name) as temporary:
                temporary.write_bytes(content)
    except OSError as error:
        raise UserError(one_line(error)) from error
    checksums = {}
    with contextlib.suppress(ValueError, LookupError, TypeError, RecursionError):
        described = json.loads(contents["metadata.json"])["shards"]
        checksums = {str(each["file"]): str(each["sha256"]) for each in described}
    cache = Cache(source, folder, cache_size, key, checksums)
    return cache, metadata
