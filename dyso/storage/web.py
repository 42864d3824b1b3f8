"""Read-only folders on web servers."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self
from urllib.parse import quote, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from dyso.errors import one_line
from dyso.storage import retries, tempdirs
from dyso.storage.folder import ReadOnlyFolder
from dyso.storage.retries import Transient, with_retries

MAX_BYTES = 1 << 30
"""Maximum size of a file; a larger one is not downloaded."""
SLOWEST = 10_000
"""Bytes per second that a server must send on average, after `SILENCE_SECONDS`."""
MAX_REDIRECTS = 5
_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}
_REDIRECTS = {301, 302, 303, 307, 308}
_CHUNK = 1 << 18


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Disables redirects, since requests would read their bodies, however long."""


class _Watch:
    """Limits the duration and the destinations of one request's connections.

    The time-out of a socket restarts with each byte, so it does not end a request to a
    server that sends single bytes slowly. Therefore a timer shuts the connections down.

    Attributes:
      late: whether the time limit was exceeded.
      refused: why a connection was refused; empty if none was refused.
    """

    def __init__(self) -> None:
        self.late, self.refused = False, ""
        self._sockets: list[socket.socket] = []
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._host, self._first = "", -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cancel()
        with self._lock:
            for connection in self._sockets:
                connection.close()
            self._sockets.clear()

    def allow(self, seconds: float) -> None:
        """Restarts the timer, which shuts all connections down after `seconds`."""
        self._cancel()
        self._timer = threading.Timer(max(seconds, 0), self._stop)
        self._timer.daemon = True
        self._timer.start()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _stop(self) -> None:
        with self._lock:
            self.late = True
            for connection in self._sockets:
                _shut_down(connection)

    def session(self) -> requests.Session:
        """Returns a session whose connections are watched."""
        session = _Session()
        # Otherwise Content-Length is the length of the compressed content.
        session.headers["Accept-Encoding"] = "identity"
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(self))
        return session

    def expect(self, url: str) -> None:
        """Sets the URL of the next request."""
        self._host = urlsplit(url).hostname or ""

    def check(self, connection: socket.socket, proxied: bool) -> None:
        """Checks a new connection before anything is sent.

        Raises:
          OSError: a redirect leads to a less public address than the first request.
        """
        # Behind a proxy, only the host name is known.
        address = self._host if proxied else connection.getpeername()[0]
        reach = _reach(address)
        if self._first < 0:
            self._first = reach
        elif reach > self._first or (reach == _LINK_LOCAL != self._first):
            self.refused = f"is redirected to {address}, which is {_REACHES[reach]}"
            connection.close()
            raise OSError(errno.EACCES, self.refused)
        with self._lock:
            # A duplicate remains valid when TLS takes over the original socket.
            self._sockets.append(connection.dup())
            if self.late:
                _shut_down(connection)


_PUBLIC, _PRIVATE, _LINK_LOCAL, _LOOPBACK = range(4)
_REACHES = (
    "public",
    "in a private network",
    "a link-local address",
    "this machine itself",
)


def _reach(address: str) -> int:
    """Returns how private an address is: one of `_PUBLIC` to `_LOOPBACK`.

    A redirect may only lead to an address that is at most as private as the address
    that the user named. The user's own machine may therefore redirect anywhere, but no
    other machine may redirect to it.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return _LOOPBACK if address.rstrip(".").endswith("localhost") else _PUBLIC
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip
    if ip.is_loopback or ip.is_unspecified:
        return _LOOPBACK
    if ip.is_link_local:
        return _LINK_LOCAL
    return _PUBLIC if ip.is_global else _PRIVATE


def _shut_down(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        connection.shutdown(socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """Makes watched connections, directly or through a proxy."""

    def __init__(self, watch: _Watch):
        self._watch = watch
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._watched(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return self._watched(super().proxy_manager_for(*args, **kwargs))

    def _watched(self, manager: Any) -> Any:
        watch = self._watch

        def connection(kind: type) -> type:
            class Watched(kind):
                def _new_conn(self) -> socket.socket:
                    new: socket.socket = super()._new_conn()
                    watch.check(new, proxied=self.proxy is not None)
                    return new

            return Watched

        manager.pool_classes_by_scheme = {
            scheme: type(
                "Pool", (pool,), {"ConnectionCls": connection(pool.ConnectionCls)}
            )
            for scheme, pool in manager.pool_classes_by_scheme.items()
        }
        return manager


@dataclass(frozen=True)
class WebFolder(ReadOnlyFolder):
    """A folder on a web server, `https://host/folder`, without a listing."""

    def read(self, name: str) -> bytes:
        """See `ReadOnlyFolder.read`."""
        with self.fetch(name) as path:
            return path.read_bytes()

    def size(self, name: str) -> int | None:
        """See `ReadOnlyFolder.size`."""

        def request() -> int:
            with self._answer("HEAD", name) as (answer, _):
                return _length(answer)

        try:
            return with_retries(request)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def fetch(self, name: str, parent: Path | None = None) -> Iterator[Path]:
        """See `ReadOnlyFolder.fetch`."""
        with tempdirs.tempdir(parent or Path(tempfile.gettempdir())) as folder:
            path = folder / "file"

            def request() -> None:
                with (
                    self._answer("GET", name) as (answer, watch),
                    path.open("wb") as file,
                ):
                    _download(answer, file, watch)

            with_retries(request)
            yield path

    @contextlib.contextmanager
    def _answer(
        self, method: str, name: str
    ) -> Iterator[tuple[requests.Response, _Watch]]:
        url = f"{self.location.rstrip('/')}/{quote(name)}"
        with _Watch() as watch:
            try:
                watch.allow(retries.CONNECT_SECONDS + retries.SILENCE_SECONDS)
                with (
                    watch.session() as session,
                    _follow_redirects(session, method, url, watch) as answer,
                ):
                    _check(answer, url)
                    yield answer, watch
            # A connection that the watch shut down may raise any of these errors.
            except (OSError, urllib3.exceptions.HTTPError) as error:
                if watch.refused:
                    raise OSError(errno.EACCES, watch.refused, url) from error
                if watch.late:
                    raise Transient(errno.EIO, "the server is too slow", url) from error
                if isinstance(error, _TRANSIENT_ERRORS):
                    raise Transient(errno.EIO, one_line(error), url) from error
                if isinstance(error, requests.RequestException):
                    raise OSError(errno.EIO, one_line(error), url) from error
                raise


_TRANSIENT_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
)


def _follow_redirects(
    session: requests.Session, method: str, url: str, watch: _Watch
) -> requests.Response:
    """Returns the first answer that is not a redirect.

    The bodies of redirects are not read.

    Raises:
      OSError: there are too many redirects, or one leads from https to another scheme.
    """
    current = url
    for _ in range(MAX_REDIRECTS + 1):
        watch.expect(current)
        answer = session.request(
            method,
            current,
            stream=True,
            timeout=(retries.CONNECT_SECONDS, retries.SILENCE_SECONDS),
        )
        target = answer.headers.get("Location")
        if answer.status_code not in _REDIRECTS or target is None:
            return answer
        answer.close()
        allowed = ("https",) if current.startswith("https:") else ("http", "https")
        try:
            current = urljoin(current, target)
            scheme = urlsplit(current).scheme
        except ValueError:
            scheme, current = "", target
        if scheme not in allowed:
            destination = (
                f"{one_line(current, 100)}, which is not {' or '.join(allowed)}"
            )
            raise OSError(errno.EACCES, f"is redirected to {destination}", url)
    raise OSError(errno.EIO, f"is redirected more than {MAX_REDIRECTS} times", url)


def _check(answer: requests.Response, url: str) -> None:
    """Raises an OSError for an unsuccessful answer or a file above `MAX_BYTES`."""
    phrase = one_line(answer.reason or "", 100)
    status = f"the server says {answer.status_code} {phrase}".rstrip()
    if answer.status_code in (404, 410):
        raise FileNotFoundError(errno.ENOENT, "there is no such file", url)
    if answer.status_code in (401, 403):
        raise PermissionError(errno.EACCES, f"no access: {status}", url)
    if answer.status_code in _TRANSIENT_STATUS:
        raise Transient(errno.EIO, status, url)
    if answer.status_code != 200:
        raise OSError(errno.EIO, status, url)
    if _length(answer) > MAX_BYTES:
        raise OSError(errno.EFBIG, f"has more than {MAX_BYTES} bytes", url)


def _length(answer: requests.Response) -> int:
    length = answer.headers.get("Content-Length", "")
    if not length.isdecimal():
        raise OSError(errno.EIO, "the server does not send its size", answer.url)
    return int(length)


def _download(answer: requests.Response, file: BinaryIO, watch: _Watch) -> None:
    begin, length = time.monotonic(), _length(answer)
    while file.tell() < length:
        size = min(_CHUNK, length - file.tell())
        # The deadline is the earlier of two: the minimum rate for this chunk from now,
        # and for all data from the beginning. Fast chunks give later ones no more time.
        spent = time.monotonic() - begin
        due = min(spent + size / SLOWEST, (file.tell() + size) / SLOWEST)
        watch.allow(due + retries.SILENCE_SECONDS - spent)
        # Not decompressed, since compressed data could grow without limit.
        data = answer.raw.read(size, decode_content=False)
        if not data:
            raise Transient(errno.EIO, "arrived damaged: too few bytes", answer.url)
        file.write(data)
