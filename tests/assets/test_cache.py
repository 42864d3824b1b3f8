"""Tests the cache, with several processes that use it at the same time."""

import multiprocessing
import os
import random
import shutil
import time
from pathlib import Path

import pytest

from dyso.assets.cache import cache_bytes
from dyso.spec import UserError
from dyso.worker.assets import open_cache
from dyso.worker.cache import Cache

BLOCK = 4096


def key(number: int) -> str:
    return f"{number:064x}"


def filled(number: int, blocks: int = 4):
    """A function that makes content, and notes how often."""

    def make(folder: Path) -> None:
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "file").write_bytes(bytes([number]) * BLOCK * blocks)
        made.append(number)

    made: list[int] = []
    return make, made


def used(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("content/**/*"))


def test_content_is_made_once_and_kept(tmp_path) -> None:
    cache = Cache(tmp_path, 1 << 20)
    make, made = filled(7)
    for _ in range(3):
        lease = cache.take(key(1), make)
        assert (lease.folder / "inner" / "file").read_bytes()[0] == 7
        lease.close()
    assert made == [7]
    # A cache of another process.
    Cache(tmp_path, 1 << 20).take(key(1), make).close()
    assert made == [7]


def test_failed_content_leaves_nothing(tmp_path) -> None:
    def fails(folder: Path) -> None:
        folder.mkdir()
        (folder / "half").write_bytes(b"half")
        raise ValueError("no")

    cache = Cache(tmp_path, 1 << 20)
    with pytest.raises(ValueError, match="no"):
        cache.take(key(1), fails)
    make, made = filled(1)
    cache.take(key(1), make).close()
    assert made == [1]
    assert not list(tmp_path.rglob("half"))


def test_the_least_recently_used_is_evicted_and_assets_in_use_stay(tmp_path) -> None:
    cache = Cache(tmp_path, 20 * 6 * BLOCK)
    held = cache.take(key(0), filled(0)[0])
    for number in range(1, 40):
        cache.take(key(number), filled(number)[0]).close()
        # Used again and again, so never the longest unused.
        again, made = filled(1)
        cache.take(key(1), again).close()
        assert not made
        time.sleep(0.002)
    assert used(tmp_path) <= 20 * 6 * BLOCK
    assert (held.folder / "inner" / "file").read_bytes() == bytes(4 * BLOCK)
    newest, made = filled(39)
    cache.take(key(39), newest).close()
    assert not made
    assert not (tmp_path / "content" / key(2)).exists()
    held.close()
    for number in range(40, 80):
        cache.take(key(number), filled(number)[0]).close()
    assert not (tmp_path / "content" / key(0)).exists()


def test_more_than_the_bound_may_be_in_use(tmp_path) -> None:
    cache = Cache(tmp_path, BLOCK)
    leases = [cache.take(key(i), filled(i)[0]) for i in range(5)]
    for number, lease in enumerate(leases):
        assert (lease.folder / "inner" / "file").read_bytes()[0] == number
        lease.close()
    cache.take(key(9), filled(9)[0]).close()
    assert len(os.listdir(tmp_path / "content")) == 1


def churn(folder: str, seed: int) -> None:
    """Takes and drops content; ends with an error if any changes while it is held."""
    rng = random.Random(seed)
    cache = Cache(Path(folder), 10 * 6 * BLOCK)
    held = []
    for _ in range(120):
        number = rng.randrange(24)
        lease = cache.take(key(number), filled(number)[0])
        held.append((number, lease))
        if len(held) > 3:
            number, lease = held.pop(rng.randrange(len(held)))
            data = (lease.folder / "inner" / "file").read_bytes()
            assert data == bytes([number]) * BLOCK * 4
            lease.close()


def test_processes_fetch_and_evict_at_the_same_time(tmp_path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=churn, args=(tmp_path, i)) for i in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    cache = Cache(tmp_path, 10 * 6 * BLOCK)
    cache.take(key(99), filled(99)[0]).close()
    assert used(tmp_path) <= 10 * 6 * BLOCK
    assert {path.name for path in tmp_path.iterdir()} == {"bytes", "content", "locks"}


def test_an_unwritable_cache_is_replaced_by_a_temporary_one(
    tmp_path, monkeypatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    make, _ = filled(1)
    lease = open_cache().take(key(1), make)
    private = tmp_path / f"dyso-assets-{os.getuid()}"
    assert lease.folder.is_relative_to(private)
    assert private.stat().st_mode & 0o777 == 0o700
    lease.close()
    shutil.rmtree(private)
    private.symlink_to(tmp_path)
    with pytest.raises(UserError, match="another user's"):
        open_cache()


@pytest.mark.parametrize(
    ("text", "size"),
    [("", 20 * 10**9), ("500MB", 500 * 10**6), ("1.5 g", 1500 * 10**6), ("4096", 4096)],
)
def test_the_size_is_one_setting(monkeypatch, text, size) -> None:
    monkeypatch.setenv("DYSO_CACHE_SIZE", text)
    assert cache_bytes() == size


def test_an_invalid_size_is_a_one_line_error(monkeypatch) -> None:
    monkeypatch.setenv("DYSO_CACHE_SIZE", "much")
    with pytest.raises(UserError, match="expected a size such as"):
        cache_bytes()
