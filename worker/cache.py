"""Unpacked assets, shared by the workers of a machine, and bounded in size.

    content/KEY/...   an asset's files, under its checksum or a hash of where it lies
    locks/00 ... ff   held while an asset of such a key is being fetched
    bytes             of all content, as far as it is known; held while it changes

Whoever uses an asset holds its folder by a shared lock, which the kernel drops with the
process. What nobody holds goes, the longest unused first, when there is too much.
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
"""Of the bound, that is left when content has to go."""
WAIT_SECONDS = 300.0
"""For another process that fetches the same; after that, both do."""
_PAUSE = 0.05


class Lease:
    """An asset's files, which stay for as long as this is open.

    Attributes:
      folder: where they are.
    """

    def __init__(self, folder: Path, descriptor: int):
        """Takes over a descriptor that holds the folder's lock."""
        self.folder, self._descriptor = folder, descriptor

    def close(self) -> None:
        """Lets go of the files."""
        os.close(self._descriptor)


class Cache:
    """A folder of content; threads and processes may use it at the same time."""

    def __init__(self, folder: Path, most: int):
        """Makes the folder.

        Args:
          folder: where content is.
          most: bytes that it may take; what is in use may take more.

        Raises:
          OSError: it cannot be written.
        """
        self._folder, self._most = folder, most
        for name in ("content", "locks"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            if not os.access(folder / name, os.W_OK):
                raise PermissionError(errno.EACCES, "is another user's", str(folder))
        tempdirs.clean(folder)

    def take(self, key: str, make: Callable[[Path], None]) -> Lease:
        """Gives content, after fetching it if it is not there.

        Args:
          key: its name, hexadecimal.
          make: fetches it into a folder, which it makes; what it raises is raised.
        """
        found = self._held(key)
        if found is not None:
            return found
        with _locked(self._folder / "locks" / key[:2]):
            found = self._held(key)
            return found if found is not None else self._add(key, make)

    def _held(self, key: str) -> Lease | None:
        """Takes hold of content; None if it is not there, or about to go."""
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
            made = temporary / "content"
            make(made)
            size = _flushed(made)
            descriptor = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            try:
                with _locked(self._folder / "bytes"):
                    self._make_room(size)
                    target = self._folder / "content" / key
                    found = self._held(key)  # of one who did not wait for us
                    if found is not None:
                        os.close(descriptor)
                        return found
                    os.rename(made, target)
            except BaseException:
                os.close(descriptor)
                raise
        return Lease(target, descriptor)

    def _make_room(self, size: int) -> None:
        """Counts what is about to be added, and removes others if it is too much."""
        counted = self._folder / "bytes"
        text = counted.read_text()
        total = int(text) + size if text.isdecimal() else self._most + 1
        if total > self._most:
            total = self._evict(LEAST_SHARE * self._most - size) + size
        counted.write_text(f"{total}")

    def _evict(self, most: float) -> int:
        """Removes what is not in use until there are at most so many bytes; counts."""
        found = []
        for entry in os.scandir(self._folder / "content"):
            with contextlib.suppress(FileNotFoundError):
                path = Path(entry.path)
                found.append((entry.stat().st_mtime_ns, _size(path), path))
        total = sum(size for _, size, _ in found)
        with tempdirs.tempdir(self._folder) as trash:
            for _, size, path in sorted(found):
                if total <= most:
                    break
                if _moved(path, trash / path.name):
                    total -= size
        return total


def _moved(folder: Path, target: Path) -> bool:
    """Moves a folder that nobody holds; says whether it did."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(folder, target)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _flushed(folder: Path) -> int:
    """Has the disk keep all files below, lest names outlive contents; gives bytes."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    return _size(folder)


def _size(folder: Path) -> int:
    """Gives what the files below take, each at least a block."""
    return sum(
        max(path.lstat().st_blocks * 512, 4096) for path in (folder, *folder.rglob("*"))
    )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a file's lock; without it, if another holds it for too long."""
    deadline = time.monotonic() + WAIT_SECONDS
    with path.open("a") as file:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_PAUSE)
        yield
