"""The client of a real worker whose process is stopped, killed and harmed."""

import dataclasses
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from dyso.render import Renderer, RenderError
from dyso.sampling import Scene, sample_scene
from dyso.spec import ResolvedSpec

pytestmark = pytest.mark.slow


def workers() -> set[int]:
    """Process ids of this process's workers."""
    listed = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "pid=,args="],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
    return {int(pid) for pid, command in lines if "dyso.worker" in command}


@pytest.fixture
def own(starter: ResolvedSpec):
    """A renderer for this test only, and its worker process once it runs."""
    before = workers()
    with Renderer(
        objects=starter.objects.manifest,
        backgrounds=starter.backgrounds.manifest,
        timeout=60,
        recycle=2,
    ) as renderer:
        yield renderer, lambda: (workers() - before).pop()
    assert workers() == before


def slow(scene: Scene) -> Scene:
    """Returns a scene that takes some seconds."""
    render = dataclasses.replace(scene.render, samples=2048)
    return dataclasses.replace(scene, render=render)


def test_a_crash_is_reported_and_the_worker_replaced(
    own, starter: ResolvedSpec
) -> None:
    renderer, process = own
    scene = sample_scene(starter, "train", 0)
    first = renderer.render(scene)
    threading.Timer(0.5, os.kill, (process(), signal.SIGSEGV)).start()
    with pytest.raises(RenderError) as caught:
        renderer.render(slow(scene))
    assert caught.value.reason == "crash"
    assert "status -11" in str(caught.value)
    again = renderer.render(scene)
    assert (first.color == again.color).all()


def test_finished_views_are_reported_while_a_scene_renders(
    own, starter: ResolvedSpec
) -> None:
    renderer, _ = own
    scene = sample_scene(starter, "train", 0)
    told: list[int] = []
    renderer.render(slow(scene), told.append)
    assert told and told == sorted(set(told))
    assert told[0] > 0 and told[-1] < scene.layout.views


def test_an_exception_of_the_callback_ends_the_scene(
    own, starter: ResolvedSpec
) -> None:
    renderer, _ = own
    scene = sample_scene(starter, "train", 0)

    def full(views: int) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        renderer.render(slow(scene), full)
    assert renderer.render(scene).color.shape[:2] == scene.layout.shape


def test_hang_ends_at_the_time_out(own, starter: ResolvedSpec) -> None:
    renderer, process = own
    scene = sample_scene(starter, "train", 0)
    renderer.render(scene)
    os.kill(process(), signal.SIGSTOP)
    renderer._timeout = 1.0
    start = time.monotonic()
    with pytest.raises(RenderError) as caught:
        renderer.render(scene)
    assert caught.value.reason == "machine"
    assert "it is stopped" in str(caught.value)
    assert time.monotonic() - start < 30


def test_too_much_memory_ends_the_worker_alone(starter: ResolvedSpec) -> None:
    with (
        Renderer(
            objects=starter.objects.manifest,
            backgrounds=starter.backgrounds.manifest,
            memory=50_000_000,  # less than Blender takes to start
        ) as renderer,
        pytest.raises(RenderError, match=r"more than 0\.1 GB") as caught,
    ):
        renderer.render(sample_scene(starter, "train", 0))
    assert caught.value.reason == "memory"


def test_when_memory_is_short_the_worker_goes_first(own, starter: ResolvedSpec) -> None:
    renderer, process = own
    renderer.render(sample_scene(starter, "train", 0))
    assert Path(f"/proc/{process()}/oom_score_adj").read_text() == "1000\n"


def test_worker_is_recycled(own, starter: ResolvedSpec) -> None:
    renderer, process = own
    scene = sample_scene(starter, "train", 0)
    renderer.render(scene)
    first = process()
    renderer.render(scene)
    assert process() == first
    renderer.render(scene)
    assert process() != first


def test_nothing_is_left_behind(own, starter: ResolvedSpec) -> None:
    renderer, process = own
    renderer.render(sample_scene(starter, "train", 0))
    command = Path(f"/proc/{process()}/cmdline").read_bytes().decode().split("\0")
    scratch = Path(command[command.index("--scratch") + 1])
    assert list(scratch.glob("blender_*"))  # Blender's own temporary folder
    renderer.close()
    assert not scratch.exists()


def test_a_missing_manifest_is_a_final_error(starter: ResolvedSpec) -> None:
    with (
        Renderer(objects="absent.json", backgrounds="absent.json") as renderer,
        pytest.raises(RenderError, match=r"absent\.json") as caught,
    ):
        renderer.render(sample_scene(starter, "train", 0))
    assert caught.value.final
