"""What a folder is, wherever it lies."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from dyso.spec import UserError


class Held(UserError):
    """Another job holds the folder, or has taken it over."""


@dataclass(frozen=True)
class Folder(abc.ABC):
    """A folder of files, which appear under their names whole or not at all.

    A plain value: to be compared, hashed and pickled. Names are relative to it, with
    `/` between their parts. Threads and processes may use it at the same time.

    Failures are `OSError`s with `strerror` and `filename`, in a bucket after retries
    within `dyso.storage.retries.RETRY_SECONDS`; `PermissionError` and a missing bucket
    come at once.

    Attributes:
      location: as the user wrote it.
    """

    location: str

    def __str__(self) -> str:
        """Gives the location as written."""
        return self.location

    @abc.abstractmethod
    def read(self, name: str) -> bytes:
        """Gives a file's content.

        Raises:
          FileNotFoundError: there is none.
        """

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """Gives the contents of those files that are there."""
        found = {}
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found[name] = self.read(name)
        return found

    @abc.abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Makes a file, or replaces it."""

    @abc.abstractmethod
    def size(self, name: str) -> int | None:
        """Gives a file's size in bytes; None if there is none."""

    @abc.abstractmethod
    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Gives the sizes in bytes of all files below a folder in this one, by name.

        What `scratch` holds is not among them.
        """

    @abc.abstractmethod
    def entries(self) -> list[str]:
        """Gives the names of the files and folders right here, but for scratch ones."""

    @abc.abstractmethod
    def put(self, file: Path, name: str, sha256: str) -> None:
        """Moves a local file here, or replaces the one that is here by it.

        The file is gone afterwards; if it fails, it is left as it was, and `name` holds
        what it held before or nothing.

        Args:
          file: the local file.
          name: what it becomes.
          sha256: of the file, in hexadecimal. What arrives in a bucket is compared with
            it; on a local disk it is a rename, which changes nothing.
        """

    @abc.abstractmethod
    def fetch(self, name: str) -> AbstractContextManager[Path]:
        """Gives a file as a local one: itself, or a copy that is removed at the end.

        Raises:
          FileNotFoundError: there is none.
        """

    @abc.abstractmethod
    def remove(self, name: str) -> None:
        """Removes a file if it is there."""

    @abc.abstractmethod
    def remove_folder(self, prefix: str) -> None:
        """Removes all files below a folder in this one."""

    @abc.abstractmethod
    def scratch(self) -> AbstractContextManager[Path]:
        """Gives a new local folder for files that `put` is to move, removed at the end.

        On a local disk it lies in this one, so that `put` is a rename.
        """

    @abc.abstractmethod
    def clean(self) -> None:
        """Removes the scratch folders that killed processes left; any time is right."""

    @abc.abstractmethod
    def hold(self, name: str) -> AbstractContextManager[Callable[[], None]]:
        """Holds the folder, so that no other job can.

        Args:
          name: a file that stands for it; there while it is held.

        Yields:
          A function that raises `Held` if another job has taken the folder over, which
          is so only after this one could not be heard of for a while. The end does the
          same.

        Raises:
          Held: another job holds it; says which, and when it was last heard of.
        """
