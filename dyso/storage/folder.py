"""The interface of folders, wherever they are stored."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from dyso.spec import UserError


class Held(UserError):
    """Another job has locked the folder or has taken it over."""


@dataclass(frozen=True)
class ReadOnlyFolder(abc.ABC):
    """A folder of files to read.

    Folders are plain values that can be compared, hashed and pickled. Several threads
    and processes may use a folder at the same time. File names are relative to the
    folder, with `/` as separator.

    Failed operations raise `OSError` with `strerror` and `filename`. Requests to a
    bucket or web server are retried for `dyso.storage.retries.RETRY_SECONDS` first,
    except after a `PermissionError` or if the bucket does not exist.

    Attributes:
      location: the location as the user wrote it.
    """

    location: str

    def __str__(self) -> str:
        """Returns the location as the user wrote it."""
        return self.location

    @abc.abstractmethod
    def read(self, name: str) -> bytes:
        """Returns the content of a file.

        Raises:
          FileNotFoundError: the file does not exist.
        """

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """Returns the contents of the files that exist, by name."""
        contents = {}
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                contents[name] = self.read(name)
        return contents

    @abc.abstractmethod
    def size(self, name: str) -> int | None:
        """Returns the size of a file in bytes; None if it does not exist."""

    @abc.abstractmethod
    def fetch(
        self, name: str, parent: Path | None = None
    ) -> AbstractContextManager[Path]:
        """Returns a context with the path of a local file with the file's content.

        The path is the file itself, or a copy that is removed at the end.

        Args:
          name: the file's name.
          parent: a folder on the disk for copies; None means the folder for temporary
            files (TMPDIR).

        Raises:
          FileNotFoundError: the file does not exist.
        """


class Folder(ReadOnlyFolder):
    """A folder of files to read and write; files are written atomically."""

    @abc.abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Creates or replaces a file."""

    def append(self, name: str, data: bytes) -> None:
        """Adds data to the end of a file. Only one process may write the file.

        A bucket rewrites the file. If the process is killed, a local file may end with
        the first part of the data.
        """
        self.write(name, self.read_all([name]).get(name, b"") + data)

    @abc.abstractmethod
    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Returns the sizes in bytes of all files below `prefix`, by name.

        Files in `scratch` folders are left out.
        """

    @abc.abstractmethod
    def entries(self) -> list[str]:
        """Returns the names of the files and folders at the top level.

        `scratch` folders are left out.
        """

    @abc.abstractmethod
    def put(self, file: Path, name: str, sha256: str) -> None:
        """Moves a local file into the folder, replacing a file of the same name.

        On failure, the local file is unchanged, and `name` has its previous content or
        does not exist.

        Args:
          file: the local file.
          name: its name in the folder.
          sha256: checksum of the file, in hexadecimal. Buckets verify the upload with
            it. Local folders ignore it, since they rename the file.
        """

    @abc.abstractmethod
    def remove(self, name: str) -> None:
        """Removes a file if it exists."""

    @abc.abstractmethod
    def remove_folder(self, prefix: str) -> None:
        """Removes all files below `prefix`."""

    @abc.abstractmethod
    def scratch(self) -> AbstractContextManager[Path]:
        """Returns a context with a new local folder for files that `put` will move.

        The folder is removed at the end. For a local folder, it is on the same disk, so
        that `put` only renames files.
        """

    @abc.abstractmethod
    def clean(self) -> None:
        """Removes `scratch` folders of killed processes; safe to call at any time."""

    @abc.abstractmethod
    def hold(self, name: str) -> AbstractContextManager[Callable[[], None]]:
        """Locks the folder, so that no other job can lock it.

        Args:
          name: the lock file, which exists while the folder is locked.

        Yields:
          A function that raises `Held` if another job has taken the folder over. This
          happens only if this job could not renew its lock for a while. Leaving the
          context performs the same check.

        Raises:
          Held: another job has locked the folder. The message names the job and says
            when it was last seen.
        """
