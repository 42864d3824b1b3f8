"""Google Cloud Storage through Google's client library."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import requests
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.auth import exceptions as auth
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from dyso.errors import one_line
from dyso.storage import retries, service
from dyso.storage.retries import Damaged, Transient, with_retries
from dyso.storage.service import ABSENT, Stat

_TRANSIENT = {408, 429, 500, 502, 503, 504}
_NO_ANSWER = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    ConnectionError,
)
_FAILURES = (
    exceptions.GoogleAPICallError,
    InvalidResponse,
    auth.GoogleAuthError,
    requests.RequestException,
    ConnectionError,
)


class Bucket:
    """A bucket of Google Cloud Storage; see `dyso.storage.service.Service`."""

    def __init__(self, name: str):
        """Reads the environment and finds credentials; connects on use."""
        self._name = name
        with self._translate_errors(""):
            # None of our requests needs a project.
            self._client = storage.Client(project=None)
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=service.CONNECTIONS)
        for scheme in ("https://", "http://"):
            self._client._http.mount(scheme, adapter)
        self._bucket = self._client.bucket(name)
        timeout = (retries.CONNECT_SECONDS, retries.SILENCE_SECONDS)
        retry = Retry(
            predicate=_may_pass,
            initial=retries.FIRST_PAUSE,
            maximum=retries.LONGEST_PAUSE,
            timeout=retries.RETRY_SECONDS,
        )
        self._retried: dict[str, Any] = {"timeout": timeout, "retry": retry}
        # For downloads, because the library does not verify downloads that it resumes.
        self._once: dict[str, Any] = {"timeout": timeout, "retry": None}

    def check(self) -> None:
        """See `Service.check`."""
        with self._translate_errors("", absent_bucket=True):
            next(iter(self._listed("", max_results=1)), None)

    def get(self, key: str) -> bytes:
        """See `Service.get`."""

        def request() -> bytes:
            with self._translate_errors(key):
                blob = self._bucket.blob(key)
                data: bytes = blob.download_as_bytes(**self._once)
                return data

        return with_retries(request)

    def stat(self, key: str) -> Stat:
        """See `Service.stat`."""
        blob = self._bucket.blob(key)
        with self._translate_errors(key):
            blob.reload(**self._retried)
        return Stat(
            size=blob.size,
            version=str(blob.generation),
            modified=blob.updated.timestamp(),
        )

    def put(self, key: str, data: bytes, version: str | None = None) -> None:
        """See `Service.put`."""
        condition = {}
        if version is not None:
            condition["if_generation_match"] = 0 if version == ABSENT else int(version)
        crc32c = _base64(google_crc32c.Checksum(data))
        self._send(io.BytesIO(data), len(data), crc32c, key, **condition)

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Service.sizes`."""
        with self._translate_errors(prefix, absent_bucket=True):
            yield from ((blob.name, blob.size) for blob in self._listed(prefix))

    def entries(self, prefix: str) -> list[str]:
        """See `Service.entries`."""
        with self._translate_errors(prefix, absent_bucket=True):
            blobs = self._listed(prefix, delimiter="/")
            return [blob.name for blob in blobs] + sorted(blobs.prefixes)

    def _listed(self, prefix: str, **more: Any) -> Any:
        return self._client.list_blobs(
            self._bucket,
            prefix=prefix,
            fields="items(name,size),prefixes,nextPageToken",
            **more,
            **self._retried,
        )

    def delete(self, key: str) -> None:
        """See `Service.delete`."""
        with self._translate_errors(key), contextlib.suppress(exceptions.NotFound):
            self._bucket.blob(key).delete(**self._retried)

    def upload(self, file: Path, key: str, sha256: str) -> None:
        """See `Service.upload`."""
        crc32c = _checksum(file, sha256)
        with file.open("rb") as opened:
            self._send(opened, file.stat().st_size, crc32c, key)

    def _send(
        self, file: BinaryIO, size: int, crc32c: str, key: str, **condition: int
    ) -> None:
        blob = self._bucket.blob(key, chunk_size=service.PART_BYTES)
        # Sent with the request, so that the service rejects any other content.
        blob.crc32c = crc32c
        with self._translate_errors(key):
            try:
                blob.upload_from_file(
                    file,
                    size=size,
                    content_type="application/octet-stream",
                    checksum=None,
                    **condition,
                    **self._retried,
                )
            except (exceptions.BadRequest, exceptions.NotFound, ValueError) as error:
                # Besides damage: the bucket is missing; the upload succeeded but its
                # answer was lost; the service asks for more data than the file has.
                self.check()
                raise Damaged(errno.EIO, one_line(error), self._url(key)) from error
        if blob.size != size or blob.crc32c != crc32c:
            with contextlib.suppress(FileExistsError), self._translate_errors(key):
                blob.delete(if_generation_match=blob.generation, **self._retried)
            raise Damaged(errno.EIO, "arrived damaged", self._url(key))

    def download(self, key: str, file: Path) -> None:
        """See `Service.download`."""

        def request() -> None:
            with self._translate_errors(key):
                blob = self._bucket.blob(key)
                blob.download_to_filename(str(file), **self._once)

        with_retries(request)

    def _url(self, key: str) -> str:
        return f"gs://{self._name}/{key}"

    @contextlib.contextmanager
    def _translate_errors(
        self, key: str, *, absent_bucket: bool = False
    ) -> Iterator[None]:
        """Translates errors of the library to `OSError`s.

        Args:
          key: the key in the error.
          absent_bucket: treat a 404 as a missing bucket, for requests without a key.
        """
        url = self._url(key)
        try:
            yield
        except exceptions.NotFound as error:
            if absent_bucket:
                message = "there is no such bucket; make it first"
                raise OSError(errno.ENXIO, message, url) from error
            message = "there is no such file"
            raise FileNotFoundError(errno.ENOENT, message, url) from error
        except (exceptions.Unauthorized, exceptions.Forbidden) as error:
            message = f"no access: {one_line(error)}"
            raise PermissionError(errno.EACCES, message, url) from error
        except exceptions.PreconditionFailed as error:
            raise FileExistsError(errno.EEXIST, "is of another version", url) from error
        except exceptions.RetryError as error:
            message = f"{one_line(error.cause or error)} ({error.message})"
            raise OSError(errno.EIO, message, url) from error
        except (*_FAILURES, DataCorruption) as error:
            if _may_pass(error):
                raise Transient(errno.EIO, one_line(error), url) from error
            if isinstance(error, auth.GoogleAuthError):
                message = f"no access: {one_line(error)}"
                raise PermissionError(errno.EACCES, message, url) from error
            raise OSError(errno.EIO, one_line(error), url) from error


def _may_pass(error: Exception) -> bool:
    if isinstance(error, exceptions.GoogleAPICallError):
        return error.code in _TRANSIENT
    if isinstance(error, InvalidResponse):
        return error.response.status_code in _TRANSIENT
    if isinstance(error, auth.GoogleAuthError):
        return isinstance(error, auth.TransportError) or error.retryable
    return isinstance(error, (DataCorruption, *_NO_ANSWER))


def _checksum(file: Path, sha256: str) -> str:
    """Returns a file's CRC32C in base64.

    Raises:
      OSError: the file's SHA-256 is not `sha256`.
    """
    digest, crc32c = hashlib.sha256(), google_crc32c.Checksum()
    with file.open("rb") as opened:
        while data := opened.read(1 << 20):
            digest.update(data)
            crc32c.update(data)
    if digest.hexdigest() != sha256:
        message = f"sha256 is {digest.hexdigest()}, expected {sha256}"
        raise OSError(errno.EIO, message, str(file))
    return _base64(crc32c)


def _base64(digest: Any) -> str:
    return base64.b64encode(digest.digest()).decode()
