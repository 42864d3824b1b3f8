"""A fault of a worker costs at most one scene."""

import functools
import gc
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from dyso.pipeline import Job, local_flags, run
from dyso.records.synthetic import synthetic_views
from dyso.render import Renderer, RenderError
from dyso.sampling import sample_scene
from dyso.spec import Cameras
from dyso.storage import open_folder
from helpers import faulty_worker
from helpers.commands import SPEC, Command, dyso
from helpers.job_processes import accounts, scenes, shards, small

REASONS = {
    "crash": {"crash"},
    "silent": {"timeout"},
    # On a busy machine these wait for a CPU.
    "endless words": {"timeout", "machine"},
    "endless views": {"timeout", "machine"},
    "memory": {"memory"},
}
COMMAND = (sys.executable, faulty_worker.__file__)


def stand_in(kind, **options):
    command = (*COMMAND, kind)
    return Renderer(objects="o", backgrounds="h", command=command, **options)


def open_files():
    """Returns the open files of this process, without the sockets of other tests."""
    gc.collect()  # closes what other tests forgot
    links = Path("/proc/self/fd").iterdir()
    names = {(link.name, os.readlink(link)) for link in links if link.is_symlink()}
    return {(fd, name) for fd, name in names if not name.startswith("socket:")}


@pytest.mark.parametrize("kind", faulty_worker.KINDS)
def test_an_invalid_answer_is_one_failure_and_leaves_no_files(kind):
    resolved, before = small(), open_files()
    # Time for imports on a busy machine, but where it is to run out.
    timeout = 1.5 if "timeout" in REASONS.get(kind, ()) else 60
    with stand_in(kind, timeout=timeout, memory=400_000_000) as renderer:
        start = time.monotonic()
        with pytest.raises(RenderError) as caught:
            renderer.render(sample_scene(resolved, "train", 1))
        assert caught.value.reason in REASONS.get(kind, {"machine"})
        assert time.monotonic() - start < 50
        assert len(str(caught.value)) < 1000 and len(caught.value.stderr) < 10**7
        if kind == "crash":
            assert (
                str(caught.value) == "the worker ended with status -6: the last words"
            )
            assert caught.value.stderr == "the last words\n"
    assert open_files() - before == set()


def test_a_worker_that_goes_wrong_is_replaced():
    resolved = small()
    with stand_in("truncated") as renderer:
        with pytest.raises(RenderError):
            renderer.render(sample_scene(resolved, "train", 1))
        scene = sample_scene(resolved, "train", 0)
        views = renderer.render(scene)
    assert (views.color == synthetic_views(scene).color).all()


def test_a_worker_that_reads_nothing_ends_at_the_time_out():
    # More than a pipe holds.
    resolved = small(cameras=Cameras(count=500))
    scene = sample_scene(resolved, "train", 0)
    assert len(scene.to_json()) > 2**16
    start = time.monotonic()
    with (
        stand_in("start-deaf", timeout=1) as renderer,
        pytest.raises(RenderError) as caught,
    ):
        renderer.render(scene)
    assert caught.value.reason == "timeout"
    assert time.monotonic() - start < 30


def test_an_invalid_greeting_of_a_worker_counts_as_a_machine_failure():
    with (
        stand_in("start-junk") as renderer,
        pytest.raises(RenderError, match=r"invalid: b.Blender 4\.5 ") as caught,
    ):
        renderer.render(sample_scene(small(), "train", 0))
    assert caught.value.reason == "machine"


def pinned_stand_in(kind, *, cpu, **options):
    return stand_in(kind, cpu=cpu, **options)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["crash", "memory"])
def test_a_scene_that_always_ends_its_worker_is_one_failure(tmp_path, kind):
    output = tmp_path / "data"
    job = Job(
        resolved=small(splits={"train": 4}),
        output=open_folder(output),
        renderer=functools.partial(pinned_stand_in, kind, memory=400_000_000),
    )
    metadata = run(job, local_flags(1))
    assert (metadata["planned"], metadata["rendered"]) == (4, 3)
    assert metadata["failed"] == {kind: 1}
    [failure] = json.loads((output / "metadata.json").read_text())["failures"]
    assert (failure["split"], failure["index"]) == ("train", 1)
    if kind == "crash":
        assert failure["stderr"] == "the last words\n"
    else:
        assert "of memory, more than 0.4 GB" in failure["message"]
    assert scenes(output) == [("train", 0), ("train", 2), ("train", 3)]


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("spec") / "tiny.yaml"
    path.write_text(SPEC.replace("train: 5", "train: 11"))
    return path


def scratch_of(worker):
    command = Path(f"/proc/{worker}/cmdline").read_bytes().decode().split("\0")
    return Path(command[command.index("--scratch") + 1])


@pytest.mark.slow
def test_faults_of_real_workers_change_no_byte(spec, tmp_path):
    whole, harmed = tmp_path / "whole", tmp_path / "harmed"
    status, _, err = dyso("generate", spec, "--out", whole, "--workers", 1)
    assert status == 0, err
    run = Command(
        *("generate", spec, "--out", harmed, "--workers", 1),
        *("--scenes-per-part", 1, "--timeout", 20),
    )
    gone, wanted = set(), 1
    for harm, more in (
        (signal.SIGSEGV, 2),
        (signal.SIGKILL, 0),  # and once more in the same scene
        (signal.SIGKILL, 2),
        (signal.SIGSTOP, 0),
    ):
        # In a scene: one that serves goes from scene to scene without a pause.
        run.wait_for(lambda n=wanted: len(accounts(harmed)) >= n)
        [worker] = run.wait_for(lambda: set(run.workers()) - gone)
        os.kill(worker, harm)
        gone.add(worker)
        wanted = len(accounts(harmed)) + more
    status, out, err = run.end()
    assert status == 0, err
    assert "12 of 12 scenes rendered, 0 failed" in out
    assert shards(harmed) == shards(whole)


@pytest.mark.slow
def test_no_worker_and_no_folder_outlives_a_killed_job(spec, tmp_path):
    output = tmp_path / "data"
    first = Command("generate", spec, "--out", output, "--workers", 1)
    [worker] = first.wait_for(first.workers)
    scratch = scratch_of(worker)
    first.wait_for(lambda: list(scratch.rglob("view.exr")))  # it renders
    # One that hangs notices nothing by itself.
    os.kill(worker, signal.SIGSTOP)
    first.process.kill()
    first.end()
    first.wait_for_workers_to_end()
    second = Command("generate", spec, "--out", output, "--workers", 1)
    second.wait_for(second.workers)
    assert not scratch.exists()
    second.process.send_signal(signal.SIGTERM)
    assert second.end()[0] == 130
    assert not second.workers()
