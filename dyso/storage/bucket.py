"""Folders in buckets of object stores."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dyso.spec import UserError
from dyso.storage import retries, tempdirs
from dyso.storage.bucket_lock import locked
from dyso.storage.folder import Folder
from dyso.storage.service import SCHEMES, Service, connect, require_library

THREADS = 16
"""Number of simultaneous requests for many small files."""


@dataclass(frozen=True)
class BucketFolder(Folder):
    """A prefix in a bucket: `s3://bucket/prefix` or `gs://bucket/prefix`.

    The services' own libraries find the credentials, endpoints and proxies, in the
    environment first.
    """

    def __post_init__(self) -> None:
        """Checks the location.

        Raises:
          UserError: the location is invalid, or the library for its scheme is missing.
        """
        scheme, bucket, _ = self._address()
        if scheme not in SCHEMES:
            known = ", ".join(f"{known}://" for known in SCHEMES)
            raise UserError(
                f"{self}: must be a folder on a disk, or begin with one of {known}"
            )
        if not bucket:
            raise UserError(f"{self}: must name a bucket: {scheme}://bucket/folder")
        require_library(scheme)

    def _address(self) -> tuple[str, str, str]:
        """Returns the scheme, the bucket and the prefix of all keys."""
        match = re.match(r"([^:]*):/(?:/([^/]*)/?(.*))?", self.location)
        assert match is not None
        scheme, bucket, prefix = (group or "" for group in match.groups())
        return scheme, bucket, prefix.rstrip("/") + "/" if prefix.strip("/") else ""

    def _service(self) -> Service:
        scheme, bucket, _ = self._address()
        return connect(scheme, bucket)

    def _key(self, name: str) -> str:
        return self._address()[2] + name

    def read(self, name: str) -> bytes:
        """See `Folder.read`."""
        service = self._service()
        with _check_bucket_first(service):
            return service.get(self._key(name))

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """See `Folder.read_all`."""

        def read(name: str) -> tuple[str, bytes] | None:
            try:
                return name, self.read(name)
            except FileNotFoundError:
                return None

        with ThreadPoolExecutor(THREADS) as threads:
            return dict(item for item in threads.map(read, names) if item)

    def write(self, name: str, data: bytes) -> None:
        """See `Folder.write`."""
        service, key = self._service(), self._key(name)
        _send(lambda: service.put(key, data))

    def size(self, name: str) -> int | None:
        """See `Folder.size`."""
        service = self._service()
        try:
            with _check_bucket_first(service):
                return service.stat(self._key(name)).size
        except FileNotFoundError:
            return None

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """See `Folder.sizes`."""
        root = self._key("")
        below = root + (prefix and prefix.rstrip("/") + "/")
        return {
            key.removeprefix(root): size
            for key, size in self._service().sizes(below)
            # Web consoles create objects with this name to show an empty folder.
            if not key.endswith("/")
        }

    def entries(self) -> list[str]:
        """See `Folder.entries`."""
        root = self._key("")
        keys = self._service().entries(root)
        names = {key.removeprefix(root).rstrip("/") for key in keys}
        return sorted(names - {""})

    def put(self, file: Path, name: str, sha256: str) -> None:
        """See `Folder.put`."""
        service, key = self._service(), self._key(name)
        _send(lambda: service.upload(file, key, sha256))
        file.unlink()

    @contextlib.contextmanager
    def fetch(self, name: str, parent: Path | None = None) -> Iterator[Path]:
        """See `Folder.fetch`."""
        service = self._service()
        with tempdirs.tempdir(parent or Path(tempfile.gettempdir())) as folder:
            path = folder / Path(name).name
            with _check_bucket_first(service):
                try:
                    service.download(self._key(name), path)
                except OSError as error:
                    # The error of a full disk does not name the file.
                    error.filename = error.filename or str(path)
                    raise
            yield path

    def remove(self, name: str) -> None:
        """See `Folder.remove`."""
        self._service().delete(self._key(name))

    def remove_folder(self, prefix: str) -> None:
        """See `Folder.remove_folder`."""
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(self.remove, self.sizes(prefix)))

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """See `Folder.scratch`; it is in the directory for temporary files (TMPDIR)."""
        with tempdirs.tempdir(Path(tempfile.gettempdir())) as folder:
            yield folder

    def clean(self) -> None:
        """See `Folder.clean`."""
        tempdirs.clean(Path(tempfile.gettempdir()))

    @contextlib.contextmanager
    def hold(self, name: str) -> Iterator[Callable[[], None]]:
        """See `Folder.hold`."""
        with locked(self._service(), self._key(name), self) as check:
            yield check


@contextlib.contextmanager
def _check_bucket_first(service: Service) -> Iterator[None]:
    """Raises the error of a missing bucket instead of that of a missing file."""
    try:
        yield
    except FileNotFoundError:
        service.check()
        raise


def _send(send: Callable[[], None]) -> None:
    for _ in range(retries.WHOLE_TRIES):
        try:
            return send()
        except retries.Damaged as error:
            last = error
    raise retries.gave_up(last, retries.WHOLE_TRIES) from last
