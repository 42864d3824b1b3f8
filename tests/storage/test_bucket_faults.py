"""Faults of storage services, made by a proxy: retried, bounded, verified."""

import hashlib
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from dyso.storage import Folder, Held, bucket_lock, open_folder, retries, service
from helpers import emulators
from helpers.emulators import Proxy, Request, speak_to
from helpers.waiting import wait_for

SIZE = 12_000_000


@pytest.fixture(autouse=True)
def hurried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short time-outs that a busy machine can still meet."""
    call = getattr(request.node, "callspec", None)
    if call and call.params.get("fault") is emulators.silence:
        monkeypatch.setattr(retries, "SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(retries, "RETRY_SECONDS", 60.0)
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.4)
    monkeypatch.setattr(service, "PART_BYTES", 5 << 20)


def has_body(request: Request) -> bool:
    return len(request.body) > 1000


def is_last_part(request: Request) -> bool:
    return 1000 < len(request.body) < 3_000_000


def is_for_object(request: Request) -> bool:
    # Google's library asks for the bucket by itself too.
    return "/b/dyso-test?" not in request.path


def reads(request: Request) -> bool:
    return request.method == "GET" and is_for_object(request)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shard"
    path.write_bytes(random.Random(0).randbytes(SIZE))
    return path


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("fault", "times", "when"),
    [
        (emulators.unavailable, 4, lambda request: True),
        (emulators.unavailable, 3, has_body),
        (emulators.silence, 1, has_body),
        (emulators.cut, 2, has_body),
        (emulators.lose_answer, 1, is_last_part),
        (emulators.truncate, 1, has_body),
        (emulators.truncate, 1, is_last_part),
    ],
    ids=[
        "503",
        "503-parts",
        "silence",
        "cut",
        "lost-answer",
        "truncated",
        "truncated-end",
    ],
)
def test_an_upload_survives(
    proxied: tuple[Folder, Proxy],
    file: Path,
    fault: emulators.Fault,
    times: int,
    when: Callable[[Request], bool],
) -> None:
    folder, proxy = proxied
    data = file.read_bytes()
    proxy.break_next(fault, times, when)
    folder.put(file, "a/shard", sha256(file))
    assert folder.read("a/shard") == data
    assert folder.sizes() == {"a/shard": SIZE}
    assert not file.exists()


@pytest.mark.parametrize(
    "fault", [emulators.unavailable, emulators.silence, emulators.cut]
)
def test_small_files_survive(
    proxied: tuple[Folder, Proxy], fault: emulators.Fault
) -> None:
    folder, proxy = proxied
    for action in (
        lambda: folder.write("a", b"12345678"),
        lambda: folder.read("a"),
        lambda: folder.size("a"),
        lambda: folder.sizes(),
        lambda: folder.entries(),
        lambda: folder.remove("none"),
    ):
        proxy.break_next(fault)
        action()
    assert folder.read("a") == b"12345678"


def test_a_truncated_small_file_is_sent_again(proxied: tuple[Folder, Proxy]) -> None:
    folder, proxy = proxied
    proxy.break_next(emulators.truncate, 1, lambda request: bool(request.body))
    folder.write("a", b"." * 2000)
    assert folder.read("a") == b"." * 2000


@pytest.mark.parametrize("fault", [emulators.cut_answer, emulators.flip_answer])
def test_a_damaged_download_is_fetched_again(
    proxied: tuple[Folder, Proxy], file: Path, fault: emulators.Fault
) -> None:
    folder, proxy = proxied
    data = file.read_bytes()
    folder.put(file, "a", sha256(file))
    folder.write("b", b"." * 2000)
    proxy.break_next(fault, 2, reads)
    with folder.fetch("a") as path:
        assert path.read_bytes() == data
    proxy.break_next(fault, 2, reads)
    assert folder.read("b") == b"." * 2000


@pytest.mark.parametrize(
    "fault",
    [emulators.unavailable, emulators.silence, emulators.cut, emulators.truncate],
)
def test_a_permanent_fault_raises_and_leaves_no_partial_files(
    proxied: tuple[Folder, Proxy],
    file: Path,
    fault: emulators.Fault,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, proxy = proxied
    monkeypatch.setattr(retries, "RETRY_SECONDS", 3.0)
    proxy.break_next(fault, 1000, has_body)
    begin = time.monotonic()
    with pytest.raises(OSError) as raised:
        folder.put(file, "a/shard", sha256(file))
    assert time.monotonic() - begin < 20
    assert str(raised.value.filename) == f"{folder}/a/shard"
    assert raised.value.strerror
    assert folder.sizes() == {}
    assert file.stat().st_size == SIZE


def test_requests_to_a_dead_service_end(
    proxied: tuple[Folder, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, proxy = proxied
    monkeypatch.setattr(retries, "RETRY_SECONDS", 1.5)
    proxy.close()
    begin = time.monotonic()
    for action in (
        lambda: folder.read("a"),
        lambda: folder.write("a", b""),
        lambda: folder.sizes(),
    ):
        with pytest.raises(OSError) as raised:
            action()
        assert not isinstance(raised.value, FileNotFoundError | PermissionError)
    assert time.monotonic() - begin < 30


def test_a_file_with_another_checksum_is_not_sent(
    proxied: tuple[Folder, Proxy], file: Path
) -> None:
    folder, _ = proxied
    with pytest.raises(OSError, match="sha256 is"):
        folder.put(file, "a", "00" * 32)
    assert folder.sizes() == {}


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_missing_bucket_is_reported_at_once(
    scheme: str, servers: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    speak_to(monkeypatch, scheme, servers(scheme))
    monkeypatch.setattr(retries, "RETRY_SECONDS", 120.0)
    folder = open_folder(f"{scheme}://no-such-bucket/x")
    begin = time.monotonic()
    for action in (
        lambda: folder.read("a"),
        lambda: folder.read_all(["a"]),
        lambda: folder.write("a", b"1"),
        lambda: folder.size("a"),
        lambda: folder.sizes(),
        lambda: folder.hold("a").__enter__(),
    ):
        with pytest.raises(OSError, match="no such bucket; make it first") as raised:
            action()
        assert not isinstance(raised.value, FileNotFoundError)
    assert time.monotonic() - begin < 10


def test_missing_and_wrong_keys_are_reported_at_once(
    proxied: tuple[Folder, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, proxy = proxied
    monkeypatch.setattr(retries, "RETRY_SECONDS", 120.0)

    def forbidden(handler: object, request: Request) -> bool:
        handler.answer(403, {}, b"")  # type: ignore[attr-defined]
        return True

    proxy.break_next(forbidden, 2, is_for_object)
    for action in (lambda: folder.read("a"), lambda: folder.write("a", b"1")):
        with pytest.raises(PermissionError, match="no access"):
            action()
    assert len(list(filter(is_for_object, proxy.seen))) == 2


def test_missing_credentials_are_reported_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speak_to(monkeypatch, "s3", "http://127.0.0.1:9")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    for scheme in ("s3", "gs"):
        begin = time.monotonic()
        with pytest.raises(PermissionError, match="no access"):
            open_folder(f"{scheme}://bucket").write("a", b"1")
        assert time.monotonic() - begin < 10


@pytest.fixture
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_lock, "BEAT_SECONDS", 0.4)
    monkeypatch.setattr(bucket_lock, "STALE_SECONDS", 4.0)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A function after which lock owners appear to be on another machine."""

    def move() -> None:
        monkeypatch.setattr("dyso.storage.lock_owner._machine", lambda: "another")

    return move


@pytest.mark.usefixtures("quick_beats")
def test_a_holder_that_lives_keeps_it(
    proxied: tuple[Folder, Proxy], elsewhere: Callable[[], None]
) -> None:
    folder, _ = proxied
    with folder.hold("lock") as check:
        elsewhere()
        end = time.monotonic() + 6
        while time.monotonic() < end:
            with pytest.raises(Held, match="another job is writing here"):
                folder.hold("lock").__enter__()
            time.sleep(0.3)
        check()


@pytest.mark.usefixtures("quick_beats")
def test_a_silent_owner_loses_the_lock_and_learns_of_it(
    proxied: tuple[Folder, Proxy],
    elsewhere: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, _ = proxied
    asleep = threading.Event()
    look = bucket_lock._Lock._read

    def sleepy(self: bucket_lock._Lock) -> object:
        if threading.current_thread().name.startswith("holds"):
            asleep.wait(30)
        return look(self)

    with monkeypatch.context() as patched:
        patched.setattr(bucket_lock._Lock, "_read", sleepy)
        first = folder.hold("lock")
        check = first.__enter__()
        elsewhere()
        with pytest.raises(Held, match=r"last seen \d s ago"):
            folder.hold("lock").__enter__()
        time.sleep(6)
    with folder.hold("lock") as second_check:
        asleep.set()
        end = time.monotonic() + 10
        while True:
            try:
                check()
            except Held as error:
                assert "could not renew its lock" in str(error)
                break
            assert time.monotonic() < end
            time.sleep(0.1)
        with pytest.raises(Held):
            first.__exit__(None, None, None)
        second_check()
        assert "lock" in folder.sizes()
    assert folder.sizes() == {}


@pytest.mark.usefixtures("quick_beats")
def test_beats_come_again_after_an_outage(proxied: tuple[Folder, Proxy]) -> None:
    folder, proxy = proxied
    with folder.hold("lock") as check:
        proxy.break_next(emulators.unavailable, 5)
        time.sleep(1.5)
        folder.remove("lock")
        wait_for(lambda: "lock" in folder.sizes())
        check()


def test_a_lock_object_is_written_only_if_there_is_none(
    proxied: tuple[Folder, Proxy],
) -> None:
    """Google's emulator ignores the condition, which the real service supports."""
    folder, proxy = proxied
    with folder.hold("lock"):
        pass
    (made,) = (request for request in proxy.seen if b'"host"' in request.body)
    wanted = {"s3": ("If-None-Match", "*"), "gs": ("ifGenerationMatch", "0")}
    name, value = wanted[str(folder)[:2]]
    sent = {**dict(made.headers), **dict(parse_qsl(urlsplit(made.path).query))}
    assert sent[name] == value
