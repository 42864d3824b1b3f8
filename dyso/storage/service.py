"""What a folder asks of an object store, and how it is reached."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dyso.spec import UserError

ABSENT = ""
"""The version of an object that does not exist."""


@dataclass(frozen=True, kw_only=True)
class Stat:
    """What is known of an object.

    Attributes:
      size: in bytes.
      version: another one each time that it is written.
      modified: when it was written, in seconds since 1970 by the service's clock.
    """

    size: int
    version: str
    modified: float


class Service(Protocol):
    """One bucket; threads may share it.

    All methods retry, and raise `OSError`: `FileNotFoundError` for a missing object,
    `PermissionError`, others for all else.
    """

    def check(self) -> None:
        """Looks whether the bucket is there."""

    def get(self, key: str) -> bytes:
        """Gives an object's content."""

    def stat(self, key: str) -> Stat:
        """Gives what is known of an object."""

    def put(self, key: str, data: bytes, version: str | None = None) -> None:
        """Makes or replaces an object.

        Args:
          key: its name.
          data: its content.
          version: that it must have now; services that cannot tell ignore it.

        Raises:
          FileExistsError: it has another one; or it has been written, and the answer
            to that was lost.
        """

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Gives the keys that begin with `prefix`, and their sizes."""

    def entries(self, prefix: str) -> list[str]:
        """Gives the keys that begin with `prefix`, up to the next `/` after it."""

    def delete(self, key: str) -> None:
        """Removes an object if it is there."""

    def upload(self, file: Path, key: str, sha256: str) -> None:
        """Makes an object of a file, and compares the two.

        Raises:
          dyso.storage.retries.Damaged: they differ; the object is not there, or is what
            it was before.
        """

    def download(self, key: str, file: Path) -> None:
        """Makes a file of an object."""


_LIBRARIES = {"s3": "boto3", "gs": "google.cloud.storage"}
_PACKAGES = {"s3": "boto3", "gs": "google-cloud-storage"}
SCHEMES = tuple(_LIBRARIES)


def require_library(scheme: str) -> None:
    """Looks whether a scheme's library is installed.

    Raises:
      UserError: it is not.
    """
    try:
        found = importlib.util.find_spec(_LIBRARIES[scheme])
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise UserError(
            f"{scheme}://: needs {_PACKAGES[scheme]}, which is not installed; "
            f"run: pip install {_PACKAGES[scheme]}"
        )


def connect(scheme: str, bucket: str) -> Service:
    """Gives a bucket's service, once a process: connections do not survive a fork.

    Raises:
      UserError: the scheme's library is not installed.
      OSError: there are no credentials.
    """
    return _connected(scheme, bucket, os.getpid())


@functools.cache
def _connected(scheme: str, bucket: str, pid: int) -> Service:
    del pid
    require_library(scheme)
    module = importlib.import_module(f"dyso.storage.{scheme}")
    service: Service = module.Bucket(bucket)
    return service
