"""Jobs resume from their journals, whatever happened to these."""

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dyso.spec import UserError
from dyso.storage import Folder, LocalFolder
from dyso.storage.resumable import JOURNAL, LOCK, differences, finished_units, resume

IDENTITY = {"format": "test", "size": (2, 3)}


def make(folder: Folder, *units: str) -> set[str]:
    """Makes the units that are not finished, one file each; returns their names."""
    with resume(folder, IDENTITY) as journal, folder.scratch() as scratch:
        missing = {*units} - journal.finished.keys()
        for unit in sorted(missing):
            (scratch / "file").write_text(unit)
            sha256 = hashlib.sha256(unit.encode()).hexdigest()
            journal.put(scratch / "file", unit, {"of": unit}, sha256)
        assert {unit: {"of": unit} for unit in units}.items() <= (
            journal.finished.items()
        )
    return missing


def refused(folder: Folder, message: str, identity=IDENTITY) -> None:
    before = folder.sizes()
    with pytest.raises(UserError, match=message) as raised, resume(folder, identity):
        pass
    assert "\n" not in str(raised.value)
    assert folder.sizes() == before


def test_only_missing_and_lost_units_are_made(folder) -> None:
    assert finished_units(folder, IDENTITY) == {}
    assert make(folder, "a", "b/c") == {"a", "b/c"}
    assert make(folder, "a", "b/c", "d") == {"d"}
    folder.remove("a")
    folder.write("d", b"longer")
    assert finished_units(folder, IDENTITY) == {"b/c": {"of": "b/c"}}
    assert make(folder, "a", "b/c", "d") == {"a", "d"}
    assert make(folder, "a", "b/c", "d") == set()
    assert set(folder.sizes()) == {"a", "b/c", "d", JOURNAL}


@pytest.mark.parametrize("cut", [1, 2, 20])
def test_units_whose_lines_are_cut_or_damaged_are_made_again(folder, cut) -> None:
    make(folder, "a", "b", "c")
    text = folder.read(JOURNAL)
    folder.write(JOURNAL, text[:-cut])
    # A line that lacks nothing but its end is whole.
    assert make(folder, "a", "b", "c") == ({"c"} if cut > 1 else set())
    assert make(folder, "a", "b", "c") == set()
    head, *lines = text.splitlines(keepends=True)
    for damage in (b"\xff\n", b"\n", b"[1]\n", b'{"unit": 1}\n', b"[" * 9999 + b"\n"):
        folder.write(JOURNAL, head + lines[0] + damage + lines[2])
        assert make(folder, "a", "b", "c") == {"b"}


def test_the_last_line_of_a_unit_counts(folder) -> None:
    make(folder, "a")
    line = {"unit": "a", "files": {"a": 9}, "report": {}}
    folder.append(JOURNAL, json.dumps(line).encode() + b"\n")
    assert make(folder, "a") == {"a"}


def test_other_jobs_and_strangers_folders_are_refused(folder) -> None:
    make(folder, "a")
    refused(
        folder,
        r"another job \(format: expected other, got test; size: expected none, got "
        r"\[2, 3\]\); choose another folder$",
        {"format": "other"},
    )
    for text in (b"", b"[1]\n", b"\xff\n", b"{"):
        folder.write(JOURNAL, text)
        refused(folder, rf"{JOURNAL}: expected a job's identity in the first line")
    folder.remove(JOURNAL)
    refused(folder, "holds files that DySO did not make")


def test_two_jobs_do_not_share_a_folder(folder) -> None:
    with (
        resume(folder, IDENTITY),
        pytest.raises(UserError, match="another job is writing here"),
    ):
        make(folder)
    assert set(folder.sizes()) == {JOURNAL}


def test_what_fails_is_one_line_and_leaves_no_temporary_file(tmp_path) -> None:
    folder = LocalFolder(str(tmp_path / "out"))
    with (
        pytest.raises(UserError, match=r"^disk: No space left on device; fix this"),
        resume(folder, IDENTITY),
        folder.scratch(),
    ):
        raise OSError(28, "No space left on device", "disk")
    assert [path.name for path in folder.path.iterdir()] == [JOURNAL]
    (tmp_path / "file").touch()
    for path in ("file", "file/out"):
        with pytest.raises(UserError, match=r"cannot be written: .*; choose another"):
            make(LocalFolder(str(tmp_path / path)))


FULL = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from test_resumable import make
from dyso.storage import LocalFolder
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
make(LocalFolder(sys.argv[2]), *"abcdef")
"""


def test_a_full_disk_ends_the_job_which_resumes(tmp_path) -> None:
    """The kernel refuses to let the journal grow, as it does on a full disk."""
    folder = LocalFolder(str(tmp_path / "out"))
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(Path(__file__).parent), folder.path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    line = done.stderr.splitlines()[-1]
    assert f"{folder}/{JOURNAL}: File too large; fix this, then run the same" in line
    assert not folder.read(JOURNAL).endswith(b"\n")
    missing = make(folder, *"abcdef")
    assert 0 < len(missing) < 6
    assert set(folder.sizes()) == {*"abcdef", JOURNAL}


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from test_resumable import IDENTITY
from dyso.storage import LocalFolder
from dyso.storage.resumable import resume
folder = LocalFolder(sys.argv[2])
with resume(folder, IDENTITY) as journal, folder.scratch() as scratch:
    (scratch / "file").write_text("a")
    journal.put(scratch / "file", "a", {"of": "a"})
    (scratch / "file").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_job_left_is_removed(tmp_path) -> None:
    folder = LocalFolder(str(tmp_path / "out"))
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent)]
    killed = subprocess.run([*command, folder.path], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    left = {path.name for path in folder.path.iterdir()}
    assert left == {"a", JOURNAL, LOCK, ".scratch"}
    assert make(folder, "a", "b") == {"b"}
    assert {path.name for path in folder.path.iterdir()} == {"a", "b", JOURNAL}


def test_differences_are_few_and_short() -> None:
    expected = {"a": {"b": 1, "c": list(range(99))}, "d": "text", "e": None, "f": 1}
    got = {"a": {"b": 2, "c": list(range(98))}, "d": "other", "g": 2}
    told = differences(expected, got)
    assert told.startswith("a.b: expected 1, got 2; a.c: expected 99 entries (")
    assert told.endswith("; e: expected null, got none and 2 more")
    assert differences(expected, expected) == ""
