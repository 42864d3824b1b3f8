"""The interface to the buckets of object stores."""

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

PART_BYTES = 16 << 20
"""Bytes of a file in one request, which an upload holds in memory."""

CONNECTIONS = 32
"""Connections to a bucket that a process keeps open."""

ABSENT = ""
"""The version of an object that does not exist."""


@dataclass(frozen=True, kw_only=True)
class Stat:
    """The properties of an object.

    Attributes:
      size: size in bytes.
      version: changes each time the object is written.
      modified: time of writing, in seconds since 1970 by the service's clock.
    """

    size: int
    version: str
    modified: float


class Service(Protocol):
    """One bucket; several threads may share it.

    All methods retry failed requests. They raise `OSError`, in particular
    `FileNotFoundError` for a missing object and `PermissionError` for missing rights.
    """

    def check(self) -> None:
        """Raises OSError if the bucket does not exist."""

    def get(self, key: str) -> bytes:
        """Returns the content of an object."""

    def stat(self, key: str) -> Stat:
        """Returns the properties of an object."""

    def put(self, key: str, data: bytes, version: str | None = None) -> None:
        """Creates or replaces an object.

        Args:
          key: the object's key.
          data: the content.
          version: the version that the object must have now, or `ABSENT`. Services
            without conditional writes ignore it.

        Raises:
          FileExistsError: the object has another version, or it was written and the
            answer was lost.
        """

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yields the keys that begin with `prefix`, with their sizes in bytes."""

    def entries(self, prefix: str) -> list[str]:
        """Returns the keys that begin with `prefix`, cut after the next `/`."""

    def delete(self, key: str) -> None:
        """Removes an object if it exists."""

    def upload(self, file: Path, key: str, sha256: str) -> None:
        """Uploads a file and verifies the object.

        Raises:
          dyso.storage.retries.Damaged: the object arrived damaged; it was removed or
            has its previous content.
        """

    def download(self, key: str, file: Path) -> None:
        """Downloads an object to a file."""


_LIBRARIES = {"s3": "boto3", "gs": "google.cloud.storage"}
_PACKAGES = {"s3": "boto3", "gs": "google-cloud-storage"}
SCHEMES = tuple(_LIBRARIES)


def require_library(scheme: str) -> None:
    """Checks that a scheme's library is installed.

    Raises:
      UserError: it is not installed.
    """
    try:
        spec = importlib.util.find_spec(_LIBRARIES[scheme])
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        raise UserError(
            f"{scheme}://: needs {_PACKAGES[scheme]}, which is not installed; "
            f"run: pip install {_PACKAGES[scheme]}"
        )


def connect(scheme: str, bucket: str) -> Service:
    """Returns the service of a bucket; one per process, because of forks.

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
