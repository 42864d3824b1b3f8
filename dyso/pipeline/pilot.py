"""Renders some scenes of a dataset to measure their cost; keeps no records."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait

from dyso.pipeline.cancellation import Cancellation, SceneRenderer
from dyso.pipeline.estimate import Cost
from dyso.pipeline.scenes import SceneMaker
from dyso.pipeline.shard_report import Failure
from dyso.pipeline.workers import StartRenderer, new_renderer
from dyso.render import Device, RenderError, Views
from dyso.render.client import RECYCLE
from dyso.sampling import UnseenScene, sample_scene
from dyso.sampling.scene import Scene
from dyso.spec import ResolvedSpec, UserError

POLL_SECONDS = 0.5
WARM_UP_SIDE = 16  # pixels


def run_pilot(
    resolved: ResolvedSpec,
    count: int,
    *,
    workers: int,
    timeout: float | None = None,
    device: Device = "cpu",
    watch: Callable[[int], None] = lambda done: None,
    renderer: StartRenderer | None = None,
) -> tuple[list[Cost], list[Failure]]:
    """Makes records of scenes as a job does, on pinned workers, and measures the cost.

    Args:
      resolved: the dataset.
      count: number of scenes, spread evenly over the dataset; at most all of them.
      workers: number of worker processes.
      timeout: time limit for one scene in seconds; None: see `dyso.render.Renderer`.
      device: the device that Cycles renders on.
      watch: called about twice a second, in this thread, with the number of scenes
        done.
      renderer: see `Job`.

    Returns:
      The costs of the scenes, and the failures of those that could not be rendered.

    Raises:
      UserError: no scene could be rendered.
    """
    cancellation = Cancellation(watched=True)
    todo: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    for chosen in choose(resolved.spec.splits, count):
        todo.put(chosen)
    costs: list[Cost] = []
    failures: list[Failure] = []

    def render_scenes() -> None:
        with (
            cancellation.cancel_on_error(),
            new_renderer(
                resolved, pin=True, timeout=timeout, device=device, renderer=renderer
            ) as worker,
        ):
            cancellation.add(worker)
            _warm_up(resolved, worker)
            recorder = _StartRecorder(worker)
            maker = SceneMaker(resolved, recorder, cancellation.check)
            with contextlib.suppress(queue.Empty):
                while True:
                    chosen = todo.get_nowait()
                    costs.append(_measure(maker, recorder, *chosen, device))
            failures.extend(maker.failures)

    with ThreadPoolExecutor(min(workers, count)) as pool:
        try:
            pending = {pool.submit(render_scenes) for _ in range(min(workers, count))}
            while pending:
                pending = wait(pending, POLL_SECONDS).not_done
                watch(len(costs))
        finally:
            cancellation.cancel()
    if cancellation.error is not None:
        raise cancellation.error
    if len(failures) == count:
        raise UserError(
            f"none of {count} scenes could be rendered; the first: "
            f"{failures[0].message}"
        )
    return costs, failures


def choose(splits: Mapping[str, int], count: int) -> Iterator[tuple[str, int]]:
    """Yields splits and indices of scenes, spread evenly over the whole dataset.

    Args:
      splits: number of scenes in each split.
      count: number of scenes to choose; at most all.
    """
    total = sum(splits.values())
    for number in range(count):
        index = (2 * number + 1) * total // (2 * count)
        for split, scenes in splits.items():
            if index < scenes:
                yield split, index
                break
            index -= scenes


def _warm_up(resolved: ResolvedSpec, renderer: SceneRenderer) -> None:
    """Renders a tiny image, so that the first measured scene does not load libraries.

    A job pays this cost once for hundreds of scenes.
    """
    # An error that occurs here will occur again in the measured scenes.
    with contextlib.suppress(RenderError, UnseenScene):
        scene = sample_scene(resolved, next(iter(resolved.spec.splits)), 0)
        settings = dataclasses.replace(scene.render, samples=1)
        size = (WARM_UP_SIDE, WARM_UP_SIDE)
        renderer.render(dataclasses.replace(scene, resolution=size, render=settings))


def _measure(
    maker: SceneMaker, recorder: _StartRecorder, split: str, index: int, device: Device
) -> Cost:
    """Makes and discards a scene's record; returns its cost."""
    start, before = time.monotonic(), maker.core_seconds
    recorder.start_share = 0.0
    record = maker.record(split, index)
    core_seconds = maker.core_seconds - before
    # On a CPU, wall time would also measure the other load of this machine.
    seconds = core_seconds if device == "cpu" else time.monotonic() - start
    return Cost(
        bytes=len(record or b""),
        core_seconds=core_seconds + recorder.start_share,
        seconds=seconds + recorder.start_share,
    )


class _StartRecorder:
    """A renderer that records the cost of starting its worker process.

    Attributes:
      start_share: core-seconds; one scene's share of the last start.
    """

    def __init__(self, renderer: SceneRenderer):
        self._renderer = renderer
        self.start_share = 0.0

    def render(
        self, scene: Scene, watch: Callable[[int], None] = lambda views: None
    ) -> Views:
        views = self._renderer.render(scene, watch)
        self.start_share = views.timings["start"] / RECYCLE
        return views

    def close(self) -> None:
        self._renderer.close()
