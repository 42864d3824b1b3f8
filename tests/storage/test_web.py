"""Hostile and failing web servers, all of them real."""

import contextlib
import errno
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest

from dyso.storage import open_readonly, retries, web

TRICKLE = 0.02  # seconds between two bytes


class Server:
    """Answers every connection with what a function sends, once it was asked."""

    def __init__(self, send, *, context=None, silent=False):
        self._send, self._context, self._silent = send, context, silent
        self._open = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.asked = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while self._open:
            with contextlib.suppress(OSError):
                own, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(own,), daemon=True).start()

    def _answer(self, own):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(own)
            if self._context:
                own = self._context.wrap_socket(own, server_side=True)
                stack.enter_context(own)
            if not self._silent:
                asked = own.recv(65536)
                if not asked:
                    return
                self.asked.append(asked)
            self._send(own)

    def close(self):
        self._open = False
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def serve():
    with contextlib.ExitStack() as stack:

        def start(send, **options):
            server = Server(send, **options)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(retries, "RETRY_SECONDS", 0.5)
    monkeypatch.setattr(retries, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(retries, "SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(web, "SLOWEST", 1_000_000)


def trickle(own):
    """Sends a byte now and then, as long as the client stays connected."""
    while True:
        own.sendall(b"a")
        time.sleep(TRICKLE)


def slow_status(own):
    own.sendall(b"HTTP/1.1 200 ")
    trickle(own)


def slow_headers(own):
    own.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    trickle(own)


def slow_body(own):
    own.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    trickle(own)


def slow_end(own):
    own.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
    own.sendall(bytes(40_000_000))
    trickle(own)


def slow_handshake(own):
    own.sendall(b"\x16\x03\x03\x40\x00")
    trickle(own)


@pytest.mark.parametrize(
    ("send", "scheme"),
    [
        (slow_status, "http"),
        (slow_headers, "http"),
        (slow_body, "http"),
        (slow_end, "http"),
        (slow_handshake, "https"),
    ],
)
def test_a_byte_now_and_then_is_too_slow(serve, send, scheme) -> None:
    server = serve(send, silent=scheme == "https")
    folder = open_readonly(f"{scheme}://127.0.0.1:{server.port}")
    for ask in (folder.read, folder.size):
        begin = time.monotonic()
        try:
            assert ask("file") is not None
            assert ask == folder.size and send in (slow_body, slow_end)
        except OSError as error:
            assert re.search("is too slow|timed out", error.strerror)
        # An answer of 40 MB in a moment buys no more time.
        assert time.monotonic() - begin < 10


def answer(status: str, body: bytes = b"", **headers: str):
    headers = {"Content-Length": f"{len(body)}", **headers}
    lines = [f"HTTP/1.1 {status}", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return lambda own: own.sendall("\r\n".join(lines).encode() + body)


def test_the_body_of_a_redirect_is_not_read(serve) -> None:
    target = serve(answer("200 OK", b"here"))
    where = f"http://127.0.0.1:{target.port}/there"

    def endless(own):
        answer("302 Found", Location=where, **{"Content-Length": f"{1 << 40}"})(own)
        for _ in range(100_000):
            own.sendall(bytes(1 << 20))

    server = serve(endless)
    assert open_readonly(f"http://127.0.0.1:{server.port}").read("file") == b"here"


def test_bodies_declared_as_compressed_are_not_unpacked(serve) -> None:
    server = serve(answer("200 OK", b"zipped", **{"Content-Encoding": "gzip"}))
    assert open_readonly(f"http://127.0.0.1:{server.port}").read("file") == b"zipped"


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("/again", "is redirected more than 5 times"),
        ("file:///etc/passwd", "is redirected to file:///etc/passwd, which is not"),
        ("http://[", r"is redirected to http://\[, which is not http or https"),
        ("gopher://x", "which is not http or https"),
    ],
)
def test_a_redirect_without_a_target_is_a_one_line_error(
    serve, location, message
) -> None:
    server = serve(answer("302 Found", Location=location))
    with pytest.raises(OSError, match=message):
        open_readonly(f"http://127.0.0.1:{server.port}").read("file")


@pytest.fixture
def tls(tmp_path, monkeypatch):
    """What a server on this machine needs for https."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", key, "-out", certificate, "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def test_https_never_falls_to_http(serve, tls) -> None:
    plain = serve(answer("200 OK", b"plain"))
    where = f"http://127.0.0.1:{plain.port}/file"
    secure = serve(answer("302 Found", Location=where), context=tls)
    with pytest.raises(OSError, match=r"redirected to http:.*, which is not https"):
        open_readonly(f"https://127.0.0.1:{secure.port}").read("file")
    assert secure.asked and not plain.asked
    # The other way round is fine.
    secret = serve(answer("200 OK", b"secure"), context=tls)
    where = f"https://127.0.0.1:{secret.port}/file"
    start = serve(answer("302 Found", Location=where))
    assert open_readonly(f"http://127.0.0.1:{start.port}").read("file") == b"secure"


@pytest.mark.parametrize("direct", [True, False])
def test_a_public_server_cannot_redirect_to_a_private_address(
    serve, monkeypatch, direct
) -> None:
    inner = serve(answer("200 OK", b"secret"))
    name = "127.0.0.1" if direct else "localhost"
    where = f"http://{name}:{inner.port}/admin"

    def proxy(own):
        answer("302 Found", Location=where)(own)

    # It answers in the place of the public server.
    outer = serve(proxy)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{outer.port}")
    monkeypatch.setenv("no_proxy", name if direct else "")
    with pytest.raises(OSError, match=r"redirected.*this machine itself") as error:
        open_readonly("http://public.example").read("file")
    assert error.value.errno == errno.EACCES
    assert len(outer.asked) == 1 and not inner.asked


def test_who_can_reach_an_address() -> None:
    reach = [
        web._reach(address)
        for address in (
            "93.184.216.34",
            "2606:4700::1111",
            "some.example",
            "10.0.0.7",
            "192.168.1.1",
            "100.64.0.1",
            "fd00::1",
            "169.254.169.254",
            "fe80::1%eth0",
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "a.localhost",
        )
    ]
    assert reach == [0] * 3 + [1] * 4 + [2] * 2 + [3] * 5
