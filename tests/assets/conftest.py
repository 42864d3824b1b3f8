"""A ShapeNet tree and the catalog that is made of it."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dyso.assets.converting import Summary, convert
from dyso.assets.shapenet import list_shapenet
from helpers import trees


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch) -> None:
    """Gives the tests a separate cache that contains the machine's starter assets."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))


@pytest.fixture(scope="session")
def tree(tmp_path_factory) -> Path:
    return trees.many_cases(tmp_path_factory.mktemp("shapenet") / "tree").root


@pytest.fixture(scope="session")
def shapenet(tree, tmp_path_factory) -> Summary:
    out = tmp_path_factory.mktemp("converted") / "out"
    return convert(list_shapenet(tree), out, name="ShapeNetCore", options={}, workers=2)


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """A function that serves a folder over http and returns its URL.

    With `handler`, that class answers, of which `SimpleHTTPRequestHandler` is a base.
    """

    with contextlib.ExitStack() as stack:

        def start(folder: Path, handler: type = SimpleHTTPRequestHandler) -> str:
            class Quiet(handler):  # type: ignore[misc]
                def __init__(self, *args):
                    super().__init__(*args, directory=str(folder))

                def log_message(self, *_):
                    pass

            server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            stack.callback(server.server_close)
            stack.callback(thread.join, 10)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield start
