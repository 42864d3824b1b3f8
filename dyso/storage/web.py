"""Folders of web servers, which can be read and nothing else."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Self
from urllib.parse import quote, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from dyso.storage import retries, tempdirs
from dyso.storage.folder import Folder
from dyso.storage.retries import Transient, patiently

MAX_BYTES = 1 << 30
"""Of a file; what says that it is larger, or turns out to be, is not read on."""
SLOWEST = 10_000
"""Bytes a second that a server must send on average, after `SILENCE_SECONDS`."""
MOST_REDIRECTS = 5
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_REDIRECTS = {301, 302, 303, 307, 308}
_CHUNK = 1 << 18


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Leaves redirects to us: requests would read their bodies, however long."""


class _Watch:
    """Watches over the connections of one request: how long, and where to.

    A server that sends a byte now and then never runs into the time-outs of sockets,
    which begin anew with each. So a timer shuts the connections down.

    Attributes:
      late: whether the time was over.
      refused: why a connection was not made; empty if none was refused.
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
            for own in self._sockets:
                own.close()
            self._sockets.clear()

    def allow(self, seconds: float) -> None:
        """Shuts all connections down after so long; it counts anew from here."""
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
            for own in self._sockets:
                _shut_down(own)

    def session(self) -> requests.Session:
        """Gives a session whose connections are watched."""
        session = _Session()
        # Else the length is that of the compressed text.
        session.headers["Accept-Encoding"] = "identity"
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(self))
        return session

    def expect(self, url: str) -> None:
        """Is told which address is asked for next."""
        self._host = urlsplit(url).hostname or ""

    def check(self, own: socket.socket, proxied: bool) -> None:
        """Looks at a new connection, over which nothing has been sent.

        Raises:
          OSError: a redirect leads to an address that is nobody's but ours.
        """
        # Behind a proxy the name is all that is known.
        address = self._host if proxied else own.getpeername()[0]
        reach = _reach(address)
        if self._first < 0:
            self._first = reach
        elif reach > self._first or (reach == _LINK_LOCAL != self._first):
            self.refused = f"is redirected to {address}, which is {_REACHES[reach]}"
            own.close()
            raise OSError(errno.EACCES, self.refused)
        with self._lock:
            # It stands for the connection whoever holds that now, such as TLS.
            self._sockets.append(own.dup())
            if self.late:
                _shut_down(own)


_PUBLIC, _PRIVATE, _LINK_LOCAL, _LOOPBACK = range(4)
_REACHES = (
    "public",
    "in a private network",
    "a link-local address",
    "this machine itself",
)


def _reach(address: str) -> int:
    """Says who can reach an address: the smaller the circle, the larger the number.

    A redirect may lead to as large a circle as the address that the user named is in,
    or to a larger one; so his own machine may redirect, and no other one to it.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return _LOOPBACK if address.rstrip(".").endswith("localhost") else _PUBLIC
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found
    if found.is_loopback or found.is_unspecified:
        return _LOOPBACK
    if found.is_link_local:
        return _LINK_LOCAL
    return _PUBLIC if found.is_global else _PRIVATE


def _shut_down(own: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        own.shutdown(socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """Makes connections that are watched, through a proxy too."""

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
                    own: socket.socket = super()._new_conn()
                    watch.check(own, proxied=self.proxy is not None)
                    return own

            return Watched

        manager.pool_classes_by_scheme = {
            scheme: type(
                "Pool", (pool,), {"ConnectionCls": connection(pool.ConnectionCls)}
            )
            for scheme, pool in manager.pool_classes_by_scheme.items()
        }
        return manager


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
            with self._answer("HEAD", name) as (answer, _):
                return _length(answer)

        try:
            return patiently(request)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def fetch(self, name: str) -> Iterator[Path]:
        """See `Folder.fetch`."""
        with tempdirs.made(Path(tempfile.gettempdir())) as folder:
            path = folder / "file"

            def request() -> None:
                with (
                    self._answer("GET", name) as (answer, watch),
                    path.open("wb") as file,
                ):
                    _download(answer, file, watch)

            patiently(request)
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
                    _followed(session, method, url, watch) as answer,
                ):
                    _check(answer, url)
                    yield answer, watch
            # What was cut off by the watch may look like anything.
            except (OSError, urllib3.exceptions.HTTPError) as error:
                if watch.refused:
                    raise OSError(errno.EACCES, watch.refused, url) from error
                if watch.late:
                    raise Transient(errno.EIO, "the server is too slow", url) from error
                if isinstance(error, _PASSING):
                    raise Transient(errno.EIO, _line(error), url) from error
                if isinstance(error, requests.RequestException):
                    raise OSError(errno.EIO, _line(error), url) from error
                raise

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


_PASSING = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
)


def _followed(
    session: requests.Session, method: str, url: str, watch: _Watch
) -> requests.Response:
    """Gives the answer where redirects end; the bodies of others are not read.

    Raises:
      OSError: there are too many, or one leads from https to something else.
    """
    at = url
    for _ in range(MOST_REDIRECTS + 1):
        watch.expect(at)
        answer = session.request(
            method,
            at,
            stream=True,
            timeout=(retries.CONNECT_SECONDS, retries.SILENCE_SECONDS),
        )
        target = answer.headers.get("Location")
        if answer.status_code not in _REDIRECTS or target is None:
            return answer
        answer.close()
        allowed = ("https",) if at.startswith("https:") else ("http", "https")
        try:
            at = urljoin(at, target)
            scheme = urlsplit(at).scheme
        except ValueError:
            scheme, at = "", target
        if scheme not in allowed:
            where = f"{_short(at)}, which is not {' or '.join(allowed)}"
            raise OSError(errno.EACCES, f"is redirected to {where}", url)
    raise OSError(errno.EIO, f"is redirected more than {MOST_REDIRECTS} times", url)


def _check(answer: requests.Response, url: str) -> None:
    """Turns what a server says into errors."""
    said = f"the server says {answer.status_code} {_short(answer.reason)}".rstrip()
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


def _download(answer: requests.Response, file: BinaryIO, watch: _Watch) -> None:
    begin, length = time.monotonic(), _length(answer)
    while file.tell() < length:
        size = min(_CHUNK, length - file.tell())
        # From here, or from the beginning if it has been slow: no chunk may trickle in
        # because those before it came fast.
        spent = time.monotonic() - begin
        due = min(spent + size / SLOWEST, (file.tell() + size) / SLOWEST)
        watch.allow(due + retries.SILENCE_SECONDS - spent)
        # As sent: what says that it is compressed could grow without bound.
        data = answer.raw.read(size, decode_content=False)
        if not data:
            raise Transient(errno.EIO, "arrived damaged: too few bytes", answer.url)
        file.write(data)


def _short(text: str | None) -> str:
    return " ".join((text or "").split())[:100]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
