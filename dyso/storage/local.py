"""Folders on a disk that this machine has mounted."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dyso.spec import UserError
from dyso.storage import tempdirs
from dyso.storage.folder import Folder, Held
from dyso.storage.lock_owner import LockOwner

_SCRATCH = ".scratch"


@dataclass(frozen=True)
class LocalFolder(Folder):
    """A folder on a disk; it is created with the first file."""

    @property
    def path(self) -> Path:
        """The location as a path."""
        return Path(self.location)

    def read(self, name: str) -> bytes:
        """See `Folder.read`."""
        return (self.path / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """See `Folder.write`."""
        with _translate_errors(self.path / name), self.scratch() as folder:
            temporary = folder / "file"
            with temporary.open("wb") as file:
                file.write(data)
            self._move(temporary, name)

    def append(self, name: str, data: bytes) -> None:
        """See `Folder.append`."""
        path = inside(self.path, name)
        with _translate_errors(path), open(path, "ab", opener=_open_no_link) as file:
            file.write(data)

    def size(self, name: str) -> int | None:
        """See `Folder.size`."""
        try:
            return (self.path / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """See `Folder.sizes`."""
        return dict(_files(self.path / prefix, prefix and prefix.rstrip("/") + "/"))

    def entries(self) -> list[str]:
        """See `Folder.entries`."""
        try:
            return sorted(set(os.listdir(self.path)) - {_SCRATCH})
        except FileNotFoundError:
            return []

    def put(self, file: Path, name: str, sha256: str) -> None:
        """See `Folder.put`."""
        del sha256
        with _translate_errors(self.path / name):
            inside(self.path, name)
            self.path.mkdir(parents=True, exist_ok=True)
            if file.stat().st_dev == self.path.stat().st_dev:
                self._move(file, name)
                return
            with self.scratch() as folder:
                shutil.copyfile(file, folder / "file")
                self._move(folder / "file", name)
            file.unlink()

    def _move(self, file: Path, name: str) -> None:
        # Without fsync, a power failure may keep the name and lose the content.
        with file.open("rb") as written:
            os.fsync(written.fileno())
        target = inside(self.path, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, target)

    @contextlib.contextmanager
    def fetch(self, name: str, parent: Path | None = None) -> Iterator[Path]:
        """See `Folder.fetch`."""
        path = self.path / name
        path.stat()
        yield path

    def remove(self, name: str) -> None:
        """See `Folder.remove`."""
        inside(self.path, name).unlink(missing_ok=True)

    def remove_folder(self, prefix: str) -> None:
        """See `Folder.remove_folder`."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(inside(self.path, f"{prefix}/"))

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """See `Folder.scratch`."""
        with tempdirs.tempdir(inside(self.path, f"{_SCRATCH}/")) as folder:
            yield folder

    def clean(self) -> None:
        """See `Folder.clean`."""
        tempdirs.clean(inside(self.path, f"{_SCRATCH}/"))
        # The folder is not empty if another process is using it.
        with contextlib.suppress(OSError):
            (self.path / _SCRATCH).rmdir()

    @contextlib.contextmanager
    def hold(self, name: str) -> Iterator[Callable[[], None]]:
        """See `Folder.hold`; the kernel releases the lock when the process ends."""
        path = inside(self.path, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with open(path, "a+b", opener=_open_no_link) as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    file.seek(0)
                    raise Held(_describe_owner(self, file.read())) from error
                # The previous owner may have removed the file in the meantime.
                if not path.exists() or not os.path.samestat(
                    path.stat(), os.fstat(file.fileno())
                ):
                    continue
                file.truncate(0)
                file.write(json.dumps(LockOwner.this_process().document()).encode())
                file.flush()
                try:
                    yield lambda: None
                finally:
                    path.unlink(missing_ok=True)
                return


def require_folder(path: str | Path) -> None:
    """Checks that a folder exists.

    Raises:
      UserError: it does not, or is a file.
    """
    if not Path(path).is_dir():
        problem = "is a file, not a folder" if Path(path).exists() else "does not exist"
        raise UserError(f"{path}: {problem}")


def inside(root: Path, name: str) -> Path:
    """Returns the path of a file to write or remove below a folder.

    The contents of the folder are not trusted, so the path must not leave the folder,
    neither by its name nor through a symbolic link. The folder itself may be a link.

    Args:
      root: the folder.
      name: name of the file relative to the folder; the name of a folder ends with `/`.

    Raises:
      OSError: the name leads out of the folder or through a symbolic link.
    """
    parts = name.split("/")
    if name.startswith("/") or ".." in parts:
        raise OSError(errno.EINVAL, f"leads out of {root}", name)
    path = root
    for part in parts[:-1]:
        path /= part
        if path.is_symlink():
            raise OSError(
                errno.ELOOP,
                "is a symbolic link, which may lead anywhere; remove it",
                str(path),
            )
    return path / parts[-1]


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _describe_owner(folder: Folder, document: bytes) -> str:
    try:
        owner = LockOwner.parse(document)
    except ValueError:
        return f"{folder}: another job is writing here; wait for it or stop it"
    return owner.describe(folder)


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, int]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        name = prefix + entry.name
        # Another process may remove files in the meantime.
        with contextlib.suppress(FileNotFoundError):
            if not entry.is_dir(follow_symlinks=False):
                yield name, entry.stat().st_size
            elif name != _SCRATCH:
                yield from _files(Path(entry.path), f"{name}/")


@contextlib.contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    """Makes errors name `path` instead of a temporary file."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
