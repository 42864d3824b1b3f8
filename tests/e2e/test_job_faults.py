"""A job that is ended at any step resumes to the same bytes."""

import collections
import contextlib
import functools
import itertools
import re
import resource
import signal
import subprocess
import sys
import time

import pytest

from helpers.job_processes import (
    AtStep,
    Process,
    accounts,
    files,
    made_at_once,
    scenes,
    shards,
)
from helpers.waiting import wait_for


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "data"
    assert Process(made_at_once, folder, folder.parent / "log").end() == 0
    assert scenes(folder) == [*(("train", i) for i in range(3)), ("test", 0)]
    return folder


def lines(log):
    return log.read_text().splitlines() if log.exists() else []


def finished(folder):
    """Returns the scenes of parts that have their accounts, as a log has them."""
    return {
        f"{path.parent.name.partition('-')[0]} {int(path.stem.partition('-')[0])} 0"
        for path in accounts(folder)
    }


def check_goes_on(folder, whole, log):
    """Runs the job again; checks that it keeps what is there, and ends as undisturbed.

    Args:
      folder: what a job left that was ended.
      whole: the dataset of one that was not.
      log: where to note scenes rendered.
    """
    wanted = shards(whole)
    # What has its name is whole.
    for path in folder.glob("*.array_record-*"):
        assert path.read_bytes() == wanted[path.name]
    kept = finished(folder)
    if (folder / "COMPLETED").exists():
        assert shards(folder) == wanted
        kept = {"train 0 0", "train 1 0", "train 2 0", "test 0 0"}
    assert Process(made_at_once, folder, log).end() == 0
    assert shards(folder) == wanted
    assert files(folder) == files(whole)
    assert not kept & set(lines(log))
    assert len(lines(log)) == len(set(lines(log)))


def kinds(changes):
    """Returns the first and the last of each kind of change, from 1 on.

    Changes of different scenes, parts and shards are of the same kind.
    """
    numbers = collections.defaultdict(list)
    for number, change in enumerate(changes, 1):
        numbers[re.sub(r"\d+|test|train", "N", change)].append(number)
    return sorted({number for own in numbers.values() for number in (own[0], own[-1])})


@pytest.mark.slow
def test_killed_before_any_kind_of_step_the_job_resumes_to_the_same_bytes(
    whole, tmp_path
):
    changes = tmp_path / "changes"
    heard = AtStep(tmp_path / "heard", 0, log=changes)
    assert Process(made_at_once, tmp_path / "heard", tmp_path / "log", heard).end() == 0
    steps = kinds(lines(changes))
    assert len(lines(changes)) > 50 and len(steps) > 20
    for step in steps:
        folder, log = tmp_path / f"data{step}", tmp_path / f"log{step}"
        first = tmp_path / "first"
        status = Process(made_at_once, folder, first, AtStep(folder, step)).end()
        assert status == -signal.SIGKILL
        check_goes_on(folder, whole, log)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_is_terminated_at_any_step_resumes(whole, tmp_path, sent):
    # Parts are made from step 10 on, shards from about 50 on.
    for step in range(8, 90, 18):
        folder, log = tmp_path / f"data{step}", tmp_path / f"log{step}"
        harm = AtStep(folder, step, sent)
        start = time.monotonic()
        status = Process(made_at_once, folder, tmp_path / "first", harm).end()
        assert time.monotonic() - start < 60
        # It may be at its end; a SIGTERM that comes before the first scene ends it.
        assert status in (130, 0, -sent)
        check_goes_on(folder, whole, log)


def test_a_second_job_is_refused_and_the_first_completes(whole, tmp_path):
    folder, err = tmp_path / "data", tmp_path / "err"
    first = Process(made_at_once, folder, tmp_path / "first", gate=tmp_path)
    wait_for((tmp_path / "waits").exists)
    second = Process(made_at_once, folder, tmp_path / "second", err=err)
    assert second.end() == 2
    told = lines(err)
    assert len(told) == 1 and f"process {first.pid}, since" in told[0]
    assert told[0].count("another job is writing here") == 1
    (tmp_path / "go").touch()
    assert first.end() == 0
    assert lines(tmp_path / "second") == []
    assert shards(folder) == shards(whole)
    assert len(lines(tmp_path / "first")) == 4


def limited(size):
    """Limits the size of files that this process writes, like a quota."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def check_full(folder, log, whole, err, free):
    """Checks how a job ends on a full disk, and that the next one completes."""
    told = lines(err)
    assert len(told) == 1, told
    assert re.search("No space left on device|File too large", told[0]), told
    free()
    check_goes_on(folder, whole, log)


def test_a_file_size_limit_is_a_one_line_error(whole, tmp_path):
    folder, err = tmp_path / "data", tmp_path / "err"
    size = min(path.stat().st_size for path in whole.glob("*.array_record-*")) // 2
    before = functools.partial(limited, size)
    status = Process(made_at_once, folder, tmp_path / "first", before, err=err).end()
    assert status == 2
    check_full(folder, tmp_path / "log", whole, err, lambda: None)


@contextlib.contextmanager
def small_disk(folder, size):
    """Mounts a disk of that many bytes; returns a function that makes it large."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "small", folder]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a small disk: {done.stderr.strip()}")
    try:
        grow = ["mount", "-o", "remount,size=100m", folder]
        yield lambda: subprocess.run(grow, check=True)
    finally:
        subprocess.run(["umount", folder], check=True)


class FullAfter:
    """Fills the disk when a file is renamed to its final name."""

    def __init__(self, disk, name):
        self._disk, self._name, self._full = disk, name, False

    def __call__(self):
        sys.addaudithook(self._heard)

    def _heard(self, event, args):
        named = event == "os.rename" and str(args[1]).endswith(self._name)
        if named and not self._full:
            self._full = True
            with contextlib.suppress(OSError), (self._disk / "filler").open("wb") as f:
                while True:
                    f.write(bytes(4096))
                    f.flush()


@pytest.mark.slow
def test_a_full_disk_is_a_one_line_error_and_freed_the_job_resumes(whole, tmp_path):
    names = [
        *("spec.json", "000000000-000000001.array_record", "-00000-of-00002"),
        *("metadata.json", "features.json", "dataset_info.json"),
    ]
    for number, name in enumerate(names):
        disk, err = tmp_path / f"disk{number}", tmp_path / f"err{number}"
        with small_disk(disk, 3_000_000):
            folder, log = disk / "data", tmp_path / f"log{number}"
            first, full = tmp_path / "first", FullAfter(disk, name)
            assert Process(made_at_once, folder, first, full, err=err).end() == 2
            assert not (folder / "COMPLETED").exists()
            free = (disk / "filler").unlink
            check_full(folder, log, whole, err, free)


@pytest.mark.slow
def test_a_disk_too_small_is_a_one_line_error_and_enlarged_the_job_resumes(
    whole, tmp_path
):
    sizes, status = [path.stat().st_size for path in whole.glob("*.array_record-*")], 2
    for size in itertools.count(4096, sum(sizes) // 4):
        disk, err = tmp_path / f"disk{size}", tmp_path / f"err{size}"
        with small_disk(disk, size) as enlarge:
            folder, log = disk / "data", tmp_path / f"log{size}"
            status = Process(made_at_once, folder, tmp_path / "first", err=err).end()
            if status == 0:
                break
            assert status == 2
            check_full(folder, log, whole, err, enlarge)
    assert size > 1.2 * sum(sizes)
