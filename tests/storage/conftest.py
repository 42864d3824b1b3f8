"""Folders of all kinds, the buckets on real emulators."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dyso.storage import Folder, open_folder, service
from helpers import emulators
from helpers.emulators import speak_to


@pytest.fixture(params=["local", "s3", "gs"])
def folder(
    request: pytest.FixtureRequest,
    servers: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Folder:
    """A new folder of each kind."""
    if request.param == "local":
        return open_folder(tmp_path / "new" / "folder")
    speak_to(monkeypatch, request.param, servers(request.param))
    return open_folder(f"{request.param}://{emulators.BUCKET}/{uuid.uuid4().hex}")


@pytest.fixture(params=["s3", "gs"])
def proxied(
    request: pytest.FixtureRequest,
    servers: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[Folder, emulators.Proxy]]:
    """A new folder in each kind of bucket, behind a proxy."""
    proxy = emulators.Proxy(servers(request.param))
    speak_to(monkeypatch, request.param, proxy.url)
    location = f"{request.param}://{emulators.BUCKET}/{uuid.uuid4().hex}"
    yield open_folder(location), proxy
    proxy.close()
    service._connected.cache_clear()
