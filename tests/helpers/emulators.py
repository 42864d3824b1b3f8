"""Real servers: emulators of S3 and Google Cloud Storage, and a proxy with faults."""

import contextlib
import dataclasses
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dyso.storage import service
from helpers.waiting import wait_for

BUCKET = "dyso-test"


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Starts Moto's server with the bucket `BUCKET`; yields its URL."""
    port = free_port()
    command = ["moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with served(command, port) as url:
        request = urllib.request.Request(f"{url}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request, timeout=60).close()
        yield url


@contextlib.contextmanager
def gs_server() -> Iterator[str]:
    """Starts gcp-storage-emulator with the bucket `BUCKET`; yields its URL."""
    port = free_port()
    command = ["gcp_storage_emulator", "start", "--host=127.0.0.1", f"--port={port}"]
    with served([*command, "--in-memory"], port) as url:
        request = urllib.request.Request(
            f"{url}/storage/v1/b",
            data=json.dumps({"name": BUCKET}).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=60).close()
        yield url


@contextlib.contextmanager
def served(command: list[str], port: int) -> Iterator[str]:
    """Runs a Python module that serves on a port; returns its URL when it answers."""
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=log, stderr=log
        )
        try:
            wait_for(lambda: answers(process, port), f"{command[0]} answers")
            yield url
        finally:
            process.kill()
            process.wait(timeout=10)


def answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Returns whether a process that runs has opened its port."""
    assert process.poll() is None, f"{process.args} ended"
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


def speak_to(monkeypatch: pytest.MonkeyPatch, scheme: str, url: str) -> None:
    """Sets the environment as a user does who has a service at `url`."""
    service._connected.cache_clear()
    if scheme == "s3":
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    else:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)


def free_port() -> int:
    """Returns a free port outside the range that systems choose automatically."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


@dataclasses.dataclass(frozen=True)
class Request:
    """A request, and what to do with it."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


Fault = Callable[["_Handler", Request], bool]
"""Does something wrong to a request; True if that was the end of it."""


def unavailable(handler: "_Handler", request: Request) -> bool:
    """Answers 503."""
    handler.answer(503, {}, b"slow down")
    return True


def silence(handler: "_Handler", request: Request) -> bool:
    """Accepts the request, and does not answer until the client leaves or 20 s pass."""
    handler.connection.settimeout(20)
    with contextlib.suppress(OSError):
        handler.connection.recv(1)
    handler.close_connection = True
    return True


def cut(handler: "_Handler", request: Request) -> bool:
    """Closes the connection; the server never sees the request."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True
    return True


def lose_answer(handler: "_Handler", request: Request) -> bool:
    """Forwards the request, and closes the connection instead of answering."""
    handler.forward(request)
    return cut(handler, request)


def truncate(handler: "_Handler", request: Request) -> bool:
    """Forwards half of the body as if it were complete."""
    half = dataclasses.replace(request, body=request.body[: len(request.body) // 2])
    handler.answer(*handler.forward(half))
    return True


def cut_answer(handler: "_Handler", request: Request) -> bool:
    """Closes the connection in the middle of the answer."""
    status, headers, body = handler.forward(request)
    handler.answer(status, {**headers, "Content-Length": str(len(body))}, body[:-7])
    return cut(handler, request)


def flip_answer(handler: "_Handler", request: Request) -> bool:
    """Changes a byte of the answer's body."""
    status, headers, body = handler.forward(request)
    handler.answer(status, headers, body[:-1] + bytes([body[-1] ^ 1]))
    return True


class Proxy:
    """A proxy before a server that makes the faults of `break_next`.

    Attributes:
      url: where it listens.
      seen: all requests, whether they were handed on or not.
    """

    def __init__(self, target: str):
        self.target = target.removeprefix("http://")
        self.seen: list[Request] = []
        self._faults: list[tuple[Fault, Callable[[Request], bool]]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.proxy = self  # type: ignore[attr-defined]
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    def break_next(
        self,
        fault: Fault,
        times: int = 1,
        when: Callable[[Request], bool] = lambda request: True,
    ) -> None:
        """Applies a fault to the next `times` requests for which `when` is true."""
        self._faults += [(fault, when)] * times

    def fault_for(self, request: Request) -> Fault | None:
        with self._lock:
            self.seen.append(request)
            for position, (fault, when) in enumerate(self._faults):
                if when(request):
                    del self._faults[position]
                    return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size)
        request = Request(self.command, self.path, tuple(self.headers.items()), body)
        proxy: Proxy = self.server.proxy  # type: ignore[attr-defined]
        fault = proxy.fault_for(request)
        try:
            if fault is None or not fault(self, request):
                self.answer(*self.forward(request))
        except (ConnectionError, TimeoutError, http.client.HTTPException):
            # Gone, or the server does not take it: one has to know, and not to wait.
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = _serve

    def forward(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        proxy: Proxy = self.server.proxy  # type: ignore[attr-defined]
        headers = {k: v for k, v in request.headers if k != "Expect"}
        if request.body or "Content-Length" in headers:
            headers["Content-Length"] = str(len(request.body))
        upstream = http.client.HTTPConnection(proxy.target, timeout=30)
        with contextlib.closing(upstream):
            # A server may answer, and hang up, before it has read all.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                upstream.request(request.method, request.path, request.body, headers)
            answer = upstream.getresponse()
            body = answer.read()
            return answer.status, dict(answer.getheaders()), body

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        dropped = {"connection", "transfer-encoding", "keep-alive", "server", "date"}
        headers = {k: v for k, v in headers.items() if k.lower() not in dropped}
        if not any(k.lower() == "content-length" for k in headers):
            headers["Content-Length"] = str(len(body))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Logs nothing."""
