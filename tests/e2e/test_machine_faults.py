"""Faults of the machine change no byte, or end the job with a one-line error."""

import contextlib
import functools
import json
import os
import subprocess
import sys
import time

import pytest

from dyso.cli import validate
from dyso.pipeline import Job, local_flags, run, scenes
from dyso.render import Renderer, RenderError
from dyso.sampling import sample_scene
from dyso.spec import UserError
from dyso.storage import open_folder
from helpers import faulty_worker
from helpers.commands import SPEC, Command, dyso
from helpers.job_processes import accounts, shards, small

SCENES = 4
TRIES = 1 + len(scenes.PAUSES)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(scenes, "PAUSES", (0.0,) * (TRIES - 1))


def stand_in(kind, *arguments, cpu=None, **options):
    command = (sys.executable, faulty_worker.__file__, kind, *map(str, arguments))
    return Renderer(objects="o", backgrounds="h", command=command, cpu=cpu, **options)


def make(output, kind, *arguments, **options):
    """Makes four scenes; a fault of this kind happens in the second."""
    job = Job(
        resolved=small(splits={"train": SCENES}),
        output=open_folder(output),
        renderer=functools.partial(stand_in, kind, *arguments, **options),
    )
    return run(job, local_flags(1))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "data"
    metadata = make(folder, "killed", folder.parent / "count", 0)
    assert (metadata["rendered"], metadata["repeated"]) == (SCENES, {})
    return shards(folder)


@pytest.mark.parametrize(
    ("kind", "times", "reason"),
    [
        ("killed", 2, "machine"),
        ("killed", TRIES - 1, "machine"),
        ("terminated", 3, "machine"),
        ("full memory file", 3, "machine"),
        ("full disk", 4, "machine"),
        ("truncated", 3, "machine"),
        ("crash", scenes.REPEATS - 1, "crash"),
        ("error", scenes.REPEATS - 1, "error"),
    ],
)
def test_passing_faults_change_no_byte(whole, tmp_path, caplog, kind, times, reason):
    metadata = make(tmp_path / "data", kind, tmp_path / "count", times)
    assert shards(tmp_path / "data") == whole
    assert metadata["failures"] == metadata["retries"] == []
    assert metadata["repeated"] == {reason: times}
    # It is told at once, and once.
    [told] = [record for record in caplog.records if "trying again" in record.message]
    assert told.message.startswith("train scene 1: ")


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("killed", "ended by SIGKILL, as the kernel does when memory is short"),
        ("full disk", "/dev/shm/w: No space left on device"),
        ("junk", "the worker's answer is invalid"),
    ],
)
def test_a_lasting_fault_ends_the_job_in_one_line_and_it_resumes(
    whole, tmp_path, kind, says
):
    output, count = tmp_path / "data", tmp_path / "count"
    with pytest.raises(UserError) as caught:
        make(output, kind, count, TRIES)
    told = str(caught.value)
    assert "\n" not in told and says in told
    assert told.startswith("train scene 1: ") and f"tried {TRIES} times" in told
    assert "run the same command to resume" in told
    assert not (output / "COMPLETED").exists()
    make(output, kind, count, TRIES)
    assert shards(output) == whole


def test_a_failed_start_of_a_worker_does_not_count_as_the_scenes(tmp_path):
    with stand_in("start-junk") as renderer, pytest.raises(RenderError) as caught:
        renderer.render(sample_scene(small(), "train", 0))
    assert caught.value.reason == "machine"
    absent = Renderer(objects="o", backgrounds="h", command=("/absent/python",))
    with absent, pytest.raises(RenderError, match="could not be started") as caught:
        absent.render(sample_scene(small(), "train", 0))
    assert caught.value.reason == "machine"


@pytest.mark.parametrize("kind", ["crash", "error"])
def test_a_repeated_failure_counts_as_the_scenes_and_validate_warns(
    whole, tmp_path, capsys, kind
):
    """Of one attempt alone, or of a scene that is given up."""
    output = tmp_path / "data"
    metadata = make(output, kind, tmp_path / "count", scenes.REPEATS)
    assert metadata["resampled"] == 1 and metadata["repeated"] == {}
    [retry] = metadata["retries"]
    assert (retry["index"], retry["attempt"], retry["reason"]) == (1, 0, kind)
    assert shards(output) != whole
    assert dyso_validate(output, capsys) == (
        f"warning: 1 of {SCENES} scenes may differ on another machine: they were "
        "sampled again or given up after a failure that the machine may have caused: "
        f"train 1 ({kind})"
    )


def test_a_sound_dataset_has_no_warnings(tmp_path, capsys):
    make(tmp_path / "data", "killed", tmp_path / "count", 2)
    assert dyso_validate(tmp_path / "data", capsys) == ""


def dyso_validate(folder, capsys):
    """Returns the warning line, if there is one."""
    capsys.readouterr()
    assert validate.main(folder, scenes=0) == 0
    lines = capsys.readouterr().out.splitlines()
    return "".join(line for line in lines if line.startswith("warning: "))


@contextlib.contextmanager
def process(code, cpu):
    running = subprocess.Popen([sys.executable, "-c", code])
    os.sched_setaffinity(running.pid, {cpu})
    try:
        yield running.pid
    finally:
        running.kill()
        running.wait()


@pytest.mark.parametrize("first", [False, True])
def test_a_time_out_without_cpu_time_counts_as_a_machine_failure(first):
    """Another process wants the same CPU; the worker gets part of it, or all."""
    cpu = min(os.sched_getaffinity(0))
    resolved = small()
    with (
        process("while True: pass", cpu),
        stand_in("busy", cpu=cpu, timeout=60) as renderer,
    ):
        renderer.render(sample_scene(resolved, "train", 0))
        if first:
            pid, priority = renderer._worker._child.pid, os.sched_param(1)
            try:
                os.sched_setscheduler(pid, os.SCHED_RR, priority)
            except PermissionError:
                pytest.skip("only root can")
        renderer._timeout = 2.0
        with pytest.raises(RenderError) as caught:
            renderer.render(sample_scene(resolved, "train", 1))
    assert caught.value.reason == ("timeout" if first else "machine")
    assert ("is busy with something else" in str(caught.value)) is not first


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("spec") / "tiny.yaml"
    path.write_text(SPEC.replace("train: 5", "train: 13"))
    return path


@pytest.fixture(scope="module")
def undisturbed(spec):
    status, _, err = dyso("generate", spec, "--out", spec.parent / "whole")
    assert status == 0, err
    return shards(spec.parent / "whole")


MEGABYTE = 1_000_000
APART = """
mount -t tmpfs -o size=1100m shm /dev/shm
mount -t tmpfs -o size=100m tmp "$TMPDIR"
exec "$@"
"""
QUICKLY = "from dyso.pipeline import scenes; scenes.PAUSES = (0, 2, 4); "


class Apart(Command):
    """A command with a separate /dev/shm and folder for temporary files."""

    def __init__(self, folder, *args):
        folder.mkdir()
        before = ("unshare", "-m", "sh", "-ec", APART, "sh")
        if subprocess.run([*before[:2], "true"], check=False).returncode:
            pytest.skip("only root can mount")
        super().__init__(*args, before=before, first=QUICKLY, TMPDIR=str(folder))
        self.folders = ("/dev/shm", str(folder))

    def mount(self, *args):
        inside = ["nsenter", "-t", str(self.process.pid), "-m"]
        subprocess.run([*inside, "mount", *args], check=True)

    def resize(self, size):
        """Returns both folders a size; 0 is what is in them, so that they are full."""
        for folder in self.folders:
            own = os.statvfs(f"/proc/{self.process.pid}/root{folder}")
            used = (own.f_blocks - own.f_bfree) * own.f_frsize
            self.mount("-o", f"remount,size={size or max(used, 4096)}", folder)


@pytest.mark.slow
def test_shared_memory_that_is_full_or_disappears_changes_no_byte(
    spec, undisturbed, tmp_path
):
    data = tmp_path / "data"
    job = ("generate", spec, "--out", data, "--workers", 1, "--scenes-per-part", 1)
    first = Apart(tmp_path / "full", *job)
    first.wait_for(lambda: accounts(data))
    first.resize(0)
    start = time.monotonic()
    status, _, err = first.end()
    assert time.monotonic() - start < 30
    assert status == 2 and "Traceback" not in err
    last = err.splitlines()[-1]
    assert "No space left on device" in last and "to resume" in last

    made = len(accounts(data))
    second = Apart(tmp_path / "full for a while", *job)
    second.wait_for(lambda: len(accounts(data)) > made)
    second.resize(0)
    second.wait_for(lambda: not second.workers())
    made = len(accounts(data))
    second.resize(1100 * MEGABYTE)
    second.wait_for(lambda: len(accounts(data)) > made)
    # Its files are gone, and none can be made there.
    second.mount("-t", "tmpfs", "-o", "ro", "none", "/dev/shm")
    status, _, err = second.end()
    assert status == 0, err
    assert "No space left on device" in err and "trying again" in err
    assert shards(data) == undisturbed
    metadata = json.loads((data / "metadata.json").read_text())
    assert metadata["retries"] == [] and metadata["repeated"]["machine"] >= 2
