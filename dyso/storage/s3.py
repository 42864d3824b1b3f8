"""S3 and compatible object stores through boto3."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore import exceptions
from botocore.config import Config

from dyso.errors import one_line
from dyso.storage import retries, service
from dyso.storage.retries import Damaged, Transient, with_retries
from dyso.storage.service import ABSENT, Stat

_T = TypeVar("_T")

_TRANSIENT = {"RequestTimeout", "IncompleteBody", "BadDigest", "SlowDown"}
# Codes with which completing a multipart upload reports a damaged part.
_DAMAGED = {"EntityTooSmall", "InvalidPart"}
_REFUSED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}
_NO_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.ProfileNotFound,
)
_NO_ANSWER = (
    exceptions.ConnectionError,
    exceptions.HTTPClientError,
    exceptions.IncompleteReadError,
    exceptions.ResponseStreamingError,
)


class Bucket:
    """A bucket of S3; see `dyso.storage.service.Service`."""

    def __init__(self, name: str):
        """Reads the environment; connects on use."""
        self._name = name
        with self._translate_errors(""):
            # The default session is not thread-safe. boto3 makes one attempt, since it
            # can limit the number of retries but not their time; `with_retries` can.
            self._client = boto3.session.Session().client(
                "s3",
                config=Config(
                    connect_timeout=retries.CONNECT_SECONDS,
                    read_timeout=retries.SILENCE_SECONDS,
                    retries={"total_max_attempts": 1},
                    max_pool_connections=service.CONNECTIONS,
                ),
            )

    def check(self) -> None:
        """See `Service.check`."""
        self._ask("", self._client.list_objects_v2, MaxKeys=1)

    def get(self, key: str) -> bytes:
        """See `Service.get`."""

        def request() -> bytes:
            with self._translate_errors(key):
                answer = self._client.get_object(Bucket=self._name, Key=key)
                data: bytes = answer["Body"].read()
            self._compare_download(key, answer, hashlib.sha256(data))
            return data

        return with_retries(request)

    def stat(self, key: str) -> Stat:
        """See `Service.stat`."""
        head = self._ask(key, self._client.head_object, Key=key)
        return Stat(
            size=head["ContentLength"],
            version=head["ETag"],
            modified=head["LastModified"].timestamp(),
        )

    def put(self, key: str, data: bytes, version: str | None = None) -> None:
        """See `Service.put`."""
        condition = {}
        if version is not None:
            condition = (
                {"IfNoneMatch": "*"} if version == ABSENT else {"IfMatch": version}
            )
        self._put(key, data, hashlib.sha256(data), **condition)

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Service.sizes`."""
        for page in self._pages(prefix):
            yield from ((o["Key"], o["Size"]) for o in page.get("Contents", ()))

    def entries(self, prefix: str) -> list[str]:
        """See `Service.entries`."""
        keys = []
        for page in self._pages(prefix, Delimiter="/"):
            keys += [o["Key"] for o in page.get("Contents", ())]
            keys += [o["Prefix"] for o in page.get("CommonPrefixes", ())]
        return keys

    def _pages(self, prefix: str, **more: str) -> Iterator[dict[str, Any]]:
        while True:
            page = self._ask(
                prefix, self._client.list_objects_v2, Prefix=prefix, **more
            )
            yield page
            if not page["IsTruncated"]:
                return
            more["ContinuationToken"] = page["NextContinuationToken"]

    def delete(self, key: str) -> None:
        """See `Service.delete`."""
        self._ask(key, self._client.delete_object, Key=key)

    def upload(self, file: Path, key: str, sha256: str) -> None:
        """See `Service.upload`."""
        size = file.stat().st_size
        whole = hashlib.sha256()
        with file.open("rb") as opened:
            if size <= service.PART_BYTES:
                data = opened.read()
                whole.update(data)
                _compare_local(file, whole.hexdigest(), sha256)
                self._put(key, data, whole)
            else:
                etag, checksum = self._put_parts(key, opened, whole, file, sha256)
                self._compare(key, etag, size, checksum)

    def _put(self, key: str, data: bytes, digest: Any, **condition: str) -> None:
        checksum = _base64(digest)
        done = self._ask(
            key,
            self._client.put_object,
            Key=key,
            Body=data,
            ChecksumSHA256=checksum,  # The service rejects any other content.
            Metadata={"sha256": digest.hexdigest()},
            **condition,
        )
        self._compare(key, done["ETag"], len(data), checksum)

    def _compare(self, key: str, etag: str | None, size: int, checksum: str) -> None:
        """Compares an uploaded object with its size and checksum.

        Raises:
          Damaged: they differ; the object is removed.
        """
        head = self._ask(key, self._client.head_object, Key=key, ChecksumMode="ENABLED")
        if etag not in (None, head["ETag"]):
            return  # It has been replaced since.
        # Some S3-compatible services have no checksums. S3 appends the number of parts
        # to the checksum of a multipart upload; others may not.
        stored = head.get("ChecksumSHA256", checksum).partition("-")[0]
        if (head["ContentLength"], stored) != (size, checksum):
            self.delete(key)
            raise Damaged(errno.EIO, "arrived damaged", self._url(key))

    def _put_parts(
        self, key: str, opened: Any, whole: Any, file: Path, sha256: str
    ) -> tuple[str | None, str]:
        begun = self._ask(
            key,
            self._client.create_multipart_upload,
            Key=key,
            ChecksumAlgorithm="SHA256",
            Metadata={"sha256": sha256},
        )
        target = {"Key": key, "UploadId": begun["UploadId"]}
        parts: list[dict[str, Any]] = []
        digests = hashlib.sha256()
        try:
            while data := opened.read(service.PART_BYTES):
                whole.update(data)
                digest = hashlib.sha256(data)
                digests.update(digest.digest())
                part = {"PartNumber": len(parts) + 1, "ChecksumSHA256": _base64(digest)}
                done = self._ask(
                    key, self._client.upload_part, Body=data, **target, **part
                )
                parts.append({**part, "ETag": done["ETag"]})
            _compare_local(file, whole.hexdigest(), sha256)
            etag = None
            # The upload no longer exists if it was completed but the answer was lost.
            with contextlib.suppress(FileNotFoundError):
                completed = self._ask(
                    key,
                    self._client.complete_multipart_upload,
                    MultipartUpload={"Parts": parts},
                    **target,
                )
                etag = completed["ETag"]
        except BaseException:
            # The service charges for parts until they are removed.
            with contextlib.suppress(OSError), self._translate_errors(key):
                self._client.abort_multipart_upload(Bucket=self._name, **target)
            raise
        return etag, _base64(digests)

    def download(self, key: str, file: Path) -> None:
        """See `Service.download`."""

        def request() -> None:
            digest = hashlib.sha256()
            with self._translate_errors(key), file.open("wb") as opened:
                answer = self._client.get_object(Bucket=self._name, Key=key)
                for data in answer["Body"].iter_chunks(1 << 20):
                    digest.update(data)
                    opened.write(data)
            self._compare_download(key, answer, digest)

        with_retries(request)

    def _compare_download(self, key: str, answer: dict[str, Any], digest: Any) -> None:
        # Objects that DySO did not upload have no checksum.
        actual = digest.hexdigest()
        if answer["Metadata"].get("sha256", actual) != actual:
            raise Transient(errno.EIO, "arrived damaged", self._url(key))

    def _ask(self, key: str, method: Callable[..., _T], **arguments: Any) -> _T:
        def request() -> _T:
            with self._translate_errors(key):
                return method(Bucket=self._name, **arguments)

        return with_retries(request)

    def _url(self, key: str) -> str:
        return f"s3://{self._name}/{key}"

    @contextlib.contextmanager
    def _translate_errors(self, key: str) -> Iterator[None]:
        url = self._url(key)
        try:
            yield
        except exceptions.ClientError as error:
            raise _translate(error, url) from error
        except _NO_CREDENTIALS as error:
            message = f"no access: {one_line(error)}; see AWS's environment variables"
            raise PermissionError(errno.EACCES, message, url) from error
        except _NO_ANSWER as error:
            raise Transient(errno.EIO, one_line(error), url) from error
        except exceptions.BotoCoreError as error:
            raise OSError(errno.EIO, one_line(error), url) from error


def _translate(error: exceptions.ClientError, url: str) -> OSError:
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    code = error.response["Error"]["Code"]
    reason = error.response["Error"].get("Message", "").rstrip(".")
    message = f"{status} {code}: {reason}"
    if code == "NoSuchBucket":
        return OSError(errno.ENXIO, "there is no such bucket; make it first", url)
    if status == 404:
        return FileNotFoundError(errno.ENOENT, "there is no such file", url)
    if status in (401, 403) or code in _REFUSED:
        return PermissionError(errno.EACCES, f"no access: {message}", url)
    if status == 412:
        return FileExistsError(errno.EEXIST, "is of another version", url)
    if code in _DAMAGED:
        return Damaged(errno.EIO, message, url)
    # 409: another request writes the same object at the same time.
    if status >= 500 or status in (408, 409, 429) or code in _TRANSIENT:
        return Transient(errno.EIO, message, url)
    return OSError(errno.EIO, message, url)


def _compare_local(file: Path, actual: str, sha256: str) -> None:
    if actual != sha256:
        raise OSError(errno.EIO, f"sha256 is {actual}, expected {sha256}", str(file))


def _base64(digest: Any) -> str:
    return base64.b64encode(digest.digest()).decode()
