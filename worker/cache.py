"""A cache of unpacked assets, bounded in size, that a machine's workers share.

    content/KEY/...   an asset's files, under its checksum or a hash of its location
    locks/00 ... ff   locked while an asset with this key prefix is being fetched
    bytes             total size of the content, if known; locked while it changes

A process holds a shared lock on the folder of every asset that it uses. The kernel
releases the lock when the process ends. When the cache exceeds its bound, assets
without a lock are removed, the least recently used first.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from dyso.storage import tempdirs

LEAST_SHARE = 0.9
"""Share of the bound to which an eviction reduces the content."""
WAIT_SECONDS = 300.0
"""Maximum wait for another process that fetches the same asset; then both fetch it."""
_PAUSE = 0.05


class Lease:
    """Keeps an asset's files in the cache until it is closed.

    Attributes:
      folder: the folder of the files.
    """

    def __init__(self, folder: Path, descriptor: int):
        """Takes ownership of a descriptor that holds the folder's lock."""
        self.folder, self._descriptor = folder, descriptor

    def close(self) -> None:
        """Releases the files."""
        os.close(self._descriptor)


class Cache:
    """A folder of content; threads and processes may use it at the same time."""

    def __init__(self, folder: Path, most: int):
        """Creates the folder.

        Args:
          folder: the root of the cache.
          most: maximum bytes of the content; assets in use may exceed it.

        Raises:
          OSError: the folder cannot be written.
        """
        self._folder, self._most = folder, most
        for name in ("content", "locks"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            if not os.access(folder / name, os.W_OK):
                raise PermissionError(errno.EACCES, "is another user's", str(folder))
        tempdirs.clean(folder)

    def take(self, key: str, make: Callable[[Path], None]) -> Lease:
        """Returns a lease of content, which is fetched first if it is missing.

        Args:
          key: the content's name, hexadecimal.
          make: creates the folder that it is given and fetches the content into it;
            its errors are passed on.
        """
        lease = self._lease(key)
        if lease is not None:
            return lease
        with _locked(self._folder / "locks" / key[:2]):
            lease = self._lease(key)
            return lease if lease is not None else self._add(key, make)

    def _lease(self, key: str) -> Lease | None:
        """Locks content; returns None if it is missing or being removed."""
        folder = self._folder / "content" / key
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            # Another process may have removed it before the lock.
            if os.path.samestat(os.fstat(descriptor), os.stat(folder)):
                os.utime(descriptor)
                return Lease(folder, descriptor)
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(descriptor)
        return None

    def _add(self, key: str, make: Callable[[Path], None]) -> Lease:
        with tempdirs.tempdir(self._folder) as temporary:
            content = temporary / "content"
            make(content)
            size = _flush(content)
            descriptor = os.open(content, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            try:
                with _locked(self._folder / "bytes"):
                    self._make_room(size)
                    target = self._folder / "content" / key
                    lease = self._lease(key)  # of a process that stopped waiting
                    if lease is not None:
                        os.close(descriptor)
                        return lease
                    os.rename(content, target)
            except BaseException:
                os.close(descriptor)
                raise
        return Lease(target, descriptor)

    def _make_room(self, size: int) -> None:
        """Adds to the total size, and evicts other content if it exceeds the bound."""
        counted = self._folder / "bytes"
        text = counted.read_text()
        total = int(text) + size if text.isdecimal() else self._most + 1
        if total > self._most:
            total = self._evict(LEAST_SHARE * self._most - size) + size
        counted.write_text(f"{total}")

    def _evict(self, most: float) -> int:
        """Removes unused content until `most` bytes are left; returns the total."""
        entries = []
        for entry in os.scandir(self._folder / "content"):
            with contextlib.suppress(FileNotFoundError):
                path = Path(entry.path)
                entries.append((entry.stat().st_mtime_ns, _size(path), path))
        total = sum(size for _, size, _ in entries)
        with tempdirs.tempdir(self._folder) as trash:
            for _, size, path in sorted(entries):
                if total <= most:
                    break
                if _moved(path, trash / path.name):
                    total -= size
        return total


def _moved(folder: Path, target: Path) -> bool:
    """Moves a folder unless a process holds its lock; returns whether it was moved."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(folder, target)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _flush(folder: Path) -> int:
    """Flushes all files of a folder to the disk; returns their total size in bytes."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    return _size(folder)


def _size(folder: Path) -> int:
    """Returns the bytes on disk of the files of a folder, at least a block for each."""
    return sum(
        max(path.lstat().st_blocks * 512, 4096) for path in (folder, *folder.rglob("*"))
    )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a file's lock; continues without it after `WAIT_SECONDS`."""
    deadline = time.monotonic() + WAIT_SECONDS
    with path.open("a") as file:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_PAUSE)
        yield
