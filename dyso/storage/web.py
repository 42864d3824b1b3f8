"""Folders of web servers, which can be read and nothing else."""

from __future__ import annotations

import contextlib
import errno
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn
from urllib.parse import quote

import requests

from dyso.storage import retries, scratch
from dyso.storage.folder import Folder
from dyso.storage.retries import Transient, patiently

MAX_BYTES = 1 << 30
"""Of a file; what says that it is larger, or turns out to be, is not read on."""
SLOWEST = 10_000
"""Bytes a second that a server must send on average, after `SILENCE_SECONDS`."""
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_CHUNK = 1 << 20


@dataclass(frozen=True)
class WebFolder(Folder):
    """A folder of a web server: `https://host/folder`; it has no listing."""

    def read(self, name: str) -> bytes:
        """See `Folder.read`."""
        with self.fetch(name) as path:
            return path.read_bytes()

    def size(self, name: str) -> int | None:
        """See `Folder.size`."""

        def request() -> int:
            with self._answer("HEAD", name) as answer:
                return _length(answer)

        try:
            return patiently(request)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def fetch(self, name: str) -> Iterator[Path]:
        """See `Folder.fetch`."""
        with scratch.made(Path(tempfile.gettempdir())) as folder:
            path = folder / "file"

            def request() -> None:
                with self._answer("GET", name) as answer, path.open("wb") as file:
                    _download(answer, file)

            patiently(request)
            yield path

    @contextlib.contextmanager
    def _answer(self, method: str, name: str) -> Iterator[requests.Response]:
        url = f"{self.location.rstrip('/')}/{quote(name)}"
        try:
            with requests.Session() as session:
                session.max_redirects = 5
                # Else the length is that of the compressed text.
                session.headers["Accept-Encoding"] = "identity"
                with session.request(
                    method,
                    url,
                    stream=True,
                    allow_redirects=True,
                    timeout=(retries.CONNECT_SECONDS, retries.SILENCE_SECONDS),
                ) as answer:
                    _check(answer, url)
                    yield answer
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ) as error:
            raise Transient(errno.EIO, _line(error), url) from error
        except requests.RequestException as error:
            raise OSError(errno.EIO, _line(error), url) from error

    def _refuse(self, *_: Any) -> NoReturn:
        raise OSError(errno.EROFS, "a web server's folder can only be read", str(self))

    def write(self, name: str, data: bytes) -> None:
        """Refuses, as all below."""
        self._refuse(name, data)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Refuses."""
        self._refuse(prefix)

    def entries(self) -> list[str]:
        """Refuses."""
        self._refuse()

    def put(self, file: Path, name: str, sha256: str) -> None:
        """Refuses."""
        self._refuse(file, name, sha256)

    def remove(self, name: str) -> None:
        """Refuses."""
        self._refuse(name)

    def remove_folder(self, prefix: str) -> None:
        """Refuses."""
        self._refuse(prefix)

    def scratch(self) -> AbstractContextManager[Path]:
        """Refuses."""
        self._refuse()

    def clean(self) -> None:
        """Refuses."""
        self._refuse()

    def hold(self, name: str) -> AbstractContextManager[Callable[[], None]]:
        """Refuses."""
        self._refuse(name)


def _check(answer: requests.Response, url: str) -> None:
    """Turns what a server says into errors."""
    said = f"the server says {answer.status_code} {answer.reason}".rstrip()
    before = [each.url for each in answer.history]
    if any(each.startswith("https:") for each in before) and not answer.url.startswith(
        "https:"
    ):
        raise OSError(errno.EIO, "is redirected to what is not https", url)
    if answer.status_code in (404, 410):
        raise FileNotFoundError(errno.ENOENT, "there is no such file", url)
    if answer.status_code in (401, 403):
        raise PermissionError(errno.EACCES, f"no access: {said}", url)
    if answer.status_code in _TRANSIENT:
        raise Transient(errno.EIO, said, url)
    if answer.status_code != 200:
        raise OSError(errno.EIO, said, url)
    if _length(answer) > MAX_BYTES:
        raise OSError(errno.EFBIG, f"has more than {MAX_BYTES} bytes", url)


def _length(answer: requests.Response) -> int:
    length = answer.headers.get("Content-Length", "")
    if not length.isdecimal():
        raise OSError(errno.EIO, "the server does not say its size", answer.url)
    return int(length)


def _download(answer: requests.Response, file: BinaryIO) -> None:
    begin, left = time.monotonic(), _length(answer)
    for data in answer.iter_content(_CHUNK):
        file.write(data)
        left -= len(data)
        seconds = time.monotonic() - begin - retries.SILENCE_SECONDS
        if left < 0 or file.tell() < seconds * SLOWEST:
            how = "too many bytes" if left < 0 else "too slow"
            raise Transient(errno.EIO, f"arrived damaged: {how}", answer.url)
    if left:
        raise Transient(errno.EIO, "arrived damaged: too few bytes", answer.url)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
