"""Behaviour of all folders, on disks and in buckets."""

import hashlib
import os
import pickle
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dyso.spec import UserError
from dyso.storage import (
    Folder,
    Held,
    LocalFolder,
    bucket_lock,
    open_folder,
    service,
)


def make(path: Path, size: int, seed: int = 0) -> tuple[Path, str]:
    """Makes a file; returns it and its sha256."""
    data = random.Random(seed).randbytes(size)
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def test_written_files_read_back(folder: Folder) -> None:
    for data in (b"", b"one\r\n", bytes(range(256)) * 9):
        folder.write("a/b.json", data)
        assert folder.read("a/b.json") == data
        assert folder.size("a/b.json") == len(data)


def test_the_missing_is_missing(folder: Folder) -> None:
    with pytest.raises(FileNotFoundError):
        folder.read("none")
    with pytest.raises(FileNotFoundError), folder.fetch("none"):
        pass
    assert folder.size("none") is None
    assert folder.sizes() == {} and folder.sizes("none") == {}
    assert folder.entries() == []
    folder.remove("none")
    folder.remove_folder("none")


def test_many_are_read_at_once(folder: Folder) -> None:
    wanted = {f"parts/{i}.json": str(i).encode() for i in range(40)}
    for name, data in wanted.items():
        folder.write(name, data)
    assert folder.read_all([*wanted, "parts/none.json"]) == wanted
    assert folder.read_all([]) == {}


def test_sizes_are_of_all_below_a_folder_and_of_nothing_else(folder: Folder) -> None:
    names = ["x", "a/y", "a/b/z", "ab/w", ".work/t"]
    for size, name in enumerate(names):
        folder.write(name, b"." * size)
    assert folder.sizes() == {name: size for size, name in enumerate(names)}
    assert folder.sizes("a") == folder.sizes("a/") == {"a/y": 1, "a/b/z": 2}
    assert folder.entries() == [".work", "a", "ab", "x"]
    folder.remove_folder("a")
    folder.remove("x")
    assert folder.sizes() == {"ab/w": 3, ".work/t": 4}


@pytest.mark.parametrize("size", [0, 1000, 12_000_000])
def test_a_file_is_put_and_fetched(
    folder: Folder, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PART_BYTES", 5 << 20)
    for seed in (0, 1):
        with folder.scratch() as scratch:
            file, sha256 = make(scratch / "file", size, seed)
            data = file.read_bytes()
            folder.put(file, "deep/er/file", sha256)
            assert not file.exists()
        with folder.fetch("deep/er/file") as path:
            assert path.read_bytes() == data
    assert folder.sizes() == {"deep/er/file": size}


def test_a_fetched_copy_goes_and_the_file_stays(folder: Folder) -> None:
    folder.write("a", b"1")
    with folder.fetch("a") as path:
        pass
    assert folder.read("a") == b"1"
    assert path.exists() == isinstance(folder, LocalFolder)


def test_scratch_is_hidden_and_goes(folder: Folder) -> None:
    with folder.scratch() as one, folder.scratch() as other:
        assert one != other
        (one / "file").write_bytes(b"1")
        assert folder.sizes() == {} and folder.entries() == []
        folder.clean()
        assert (one / "file").exists()
    assert not one.exists() and not other.exists()


def test_scratch_of_the_killed_is_cleaned(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    process, path = in_other_process(
        folder,
        "with folder.scratch() as path:\n"
        "    (path / 'file').write_bytes(b'1')\n"
        "    print(path, flush=True)\n"
        "    input()\n",
    )
    folder.clean()
    assert Path(path, "file").exists()
    process.kill()
    process.communicate(timeout=10)
    assert Path(path, "file").exists()
    folder.clean()
    assert not Path(path).exists()


def test_a_folder_is_a_value(folder: Folder) -> None:
    folder.write("a", b"1")
    copy = pickle.loads(pickle.dumps(folder))
    assert copy == folder == open_folder(str(folder))
    assert hash(copy) == hash(folder)
    assert copy.read("a") == b"1"


def test_a_fork_has_connections_of_its_own(folder: Folder) -> None:
    folder.write("a", b"1")
    # From a process of its own, which has no threads but the folder's.
    process, line = in_other_process(
        folder,
        "import os, signal\n"
        "folder.read('a')\n"
        "child = os.fork()\n"
        "signal.alarm(60)\n"
        "same = folder.read_all(['a']) == {'a': b'1'}\n"
        "if not child:\n"
        "    os._exit(0 if same else 1)\n"
        "print(same, os.waitpid(child, 0)[1], flush=True)\n",
    )
    process.communicate(timeout=60)
    assert line == "True 0"


def test_threads_share_a_folder(folder: Folder) -> None:
    failed = []

    def work(number: int) -> None:
        try:
            for _ in range(5):
                folder.write(f"{number}", str(number).encode())
                assert folder.read(f"{number}") == str(number).encode()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failed and len(folder.sizes()) == 8


def in_other_process(folder: Folder, code: str) -> tuple["subprocess.Popen[str]", str]:
    """Runs code that prints one line; returns the process and the line."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from dyso.storage import open_folder, bucket_lock\n"
            f"bucket_lock.BEAT_SECONDS = {bucket_lock.BEAT_SECONDS}\n"
            f"folder = open_folder({str(folder)!r})\n{code}",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


HOLD = "with folder.hold('.work/lock'):\n    print('held', flush=True)\n    input()\n"


def test_one_job_holds_a_folder(folder: Folder) -> None:
    process, line = in_other_process(folder, HOLD)
    assert line == "held"
    wanted = f"{folder}: another job is writing here .*process {process.pid}"
    with pytest.raises(Held, match=wanted), folder.hold(".work/lock"):
        pass
    process.communicate("\n", timeout=20)
    for _ in range(2):
        with folder.hold(".work/lock") as check:
            check()
            with pytest.raises(Held, match=f"process {os.getpid()}"):
                folder.hold(".work/lock").__enter__()
    assert folder.sizes() == {}


def test_locks_of_killed_processes_are_free(folder: Folder) -> None:
    process, line = in_other_process(folder, HOLD)
    assert line == "held"
    process.kill()
    process.communicate(timeout=10)
    with folder.hold(".work/lock"):
        pass


def test_only_one_of_many_gets_it(folder: Folder) -> None:
    if str(folder).startswith("gs://"):
        pytest.skip("the emulator does not know if-generation-match")
    barrier, results = threading.Barrier(6), []

    def work() -> None:
        barrier.wait(10)
        try:
            with folder.hold("lock"):
                results.append("held")
                done.wait(30)
        except Held:
            results.append("told")
        if len(results) == 6:
            done.set()

    done = threading.Event()
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    while results.count("told") < 5 and any(t.is_alive() for t in threads):
        done.wait(0.05)
    done.set()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(results) == ["held", *["told"] * 5]


@pytest.mark.parametrize(
    ("location", "wanted"),
    [
        ("ftp://host/x", "ftp://host/x: must be a folder on a disk, or begin with"),
        ("s3://", "s3://: must name a bucket: s3://bucket/folder"),
        ("gs:///x", "gs:///x: must name a bucket"),
        (Path("gs://bucket/x"), "gs:/bucket/x: must name a bucket: gs://bucket/folder"),
    ],
)
def test_invalid_locations_are_refused(location: str | Path, wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        open_folder(location)


@pytest.mark.parametrize(
    ("scheme", "module"), [("s3", "boto3"), ("gs", "google.cloud.storage")]
)
def test_a_missing_library_is_named(
    scheme: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"{scheme}://: needs .* pip install"):
        open_folder(f"{scheme}://bucket")


def test_importing_asks_for_no_library() -> None:
    code = (
        "import sys, os; before = dict(os.environ); import dyso.storage;"
        "from dyso.storage import open_folder;"
        "open_folder('s3://a/b'), open_folder('gs://a/b');"
        "assert dict(os.environ) == before;"
        "sys.exit(bool({'boto3', 'google.cloud.storage'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
