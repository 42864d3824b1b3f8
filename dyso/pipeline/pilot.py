"""Renders some scenes of a dataset to see what they cost; keeps none."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait

from dyso.pipeline.cancellation import SceneRenderer, Session
from dyso.pipeline.estimate import Cost
from dyso.pipeline.scenes import SceneMaker
from dyso.pipeline.shard_report import Failure
from dyso.pipeline.workers import StartRenderer, started
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
    """Makes records of scenes as a job does, on pinned workers, and measures.

    Args:
      resolved: the dataset.
      count: how many scenes, at most all, evenly chosen.
      workers: worker processes at a time.
      timeout: seconds that one scene may take; None: see `dyso.render.Renderer`.
      device: what Cycles renders with.
      watch: called about twice a second, in this thread, with the scenes done.
      renderer: see `Job`.

    Returns:
      The scenes' costs, and those of them that could not be rendered.

    Raises:
      UserError: no scene could be rendered.
    """
    session = Session(watched=True)
    todo: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    for chosen in choose(resolved.spec.splits, count):
        todo.put(chosen)
    costs: list[Cost] = []
    failures: list[Failure] = []

    def work() -> None:
        with (
            session.guarding(),
            started(
                resolved, pin=True, timeout=timeout, device=device, renderer=renderer
            ) as own,
        ):
            session.add(own)
            _warm_up(resolved, own)
            noting = _Noting(own)
            maker = SceneMaker(resolved, noting, session.check)
            with contextlib.suppress(queue.Empty):
                while True:
                    chosen = todo.get_nowait()
                    costs.append(_measured(maker, noting, *chosen, device))
            failures.extend(maker.failures)

    with ThreadPoolExecutor(min(workers, count)) as pool:
        try:
            pending = {pool.submit(work) for _ in range(min(workers, count))}
            while pending:
                pending = wait(pending, POLL_SECONDS).not_done
                watch(len(costs))
        finally:
            session.stop()
    if session.error is not None:
        raise session.error
    if len(failures) == count:
        raise UserError(
            f"none of {count} scenes could be rendered; the first: "
            f"{failures[0].message}"
        )
    return costs, failures


def choose(splits: Mapping[str, int], count: int) -> Iterator[tuple[str, int]]:
    """Gives splits and indices of scenes, evenly spread over the whole dataset.

    Args:
      splits: scenes in each split.
      count: how many; at most as many as there are.
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
    """Has a worker load what its first scene loads, once for hundreds of scenes."""
    # What is wrong here is wrong with the scenes that count too.
    with contextlib.suppress(RenderError, UnseenScene):
        scene = sample_scene(resolved, next(iter(resolved.spec.splits)), 0)
        settings = dataclasses.replace(scene.render, samples=1)
        size = (WARM_UP_SIDE, WARM_UP_SIDE)
        renderer.render(dataclasses.replace(scene, resolution=size, render=settings))


def _measured(
    maker: SceneMaker, renderer: _Noting, split: str, index: int, device: Device
) -> Cost:
    """Makes a scene's record; gives its cost and drops it."""
    start, before = time.monotonic(), maker.core_seconds
    renderer.start_share = 0.0
    record = maker.record(split, index)
    core_seconds = maker.core_seconds - before
    # What passed also tells of what else this machine was doing.
    seconds = core_seconds if device == "cpu" else time.monotonic() - start
    return Cost(
        bytes=len(record or b""),
        core_seconds=core_seconds + renderer.start_share,
        seconds=seconds + renderer.start_share,
    )


class _Noting:
    """A renderer that remembers what its process's start costs a scene.

    Attributes:
      start_share: core-seconds, a scene's share of the last process's start.
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
