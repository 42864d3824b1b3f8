"""A training run: from its last checkpoint, or the beginning, to its last step."""

from __future__ import annotations

import functools
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
from jax.sharding import Mesh

from dyso.errors import UserError
from dyso.train import checkpoints, device_memory, periodic_evaluation
from dyso.train.config import Config
from dyso.train.data import Scenes, look_up
from dyso.train.interruption import Stopped, interruptible, signals
from dyso.train.log import Log, Say
from dyso.train.memory import InMemory
from dyso.train.step import (
    State,
    devices_mesh,
    init_state,
    make_step,
    place,
    repeat,
    repeated,
)
from dyso.train.video_data import Clips

_AHEAD = 2
"""Steps that are dispatched before the first of them is finished."""


class ProcessLost(Exception):
    """One of the processes that train together is gone."""


def train(
    config: Config,
    workdir: Path,
    scenes: Scenes | InMemory,
    videos: Clips | InMemory | None = None,
    *,
    measured_on: Scenes | InMemory | None = None,
    data: dict[str, dict[str, Any]] | None = None,
    loader_workers: int | None = None,
    loader: Callable[..., Iterable[Any]] | None = None,
    say: Say = lambda metrics: None,
    tell: checkpoints.Tell = lambda line: None,
) -> int:
    """Trains until the last step, or resumes a run that was stopped.

    SIGTERM or Ctrl-C saves a checkpoint, if a step was made, and ends; a second Ctrl-C
    ends the process at once. Where several processes train together
    (`dyso.train.step.join`), all call this with the same arguments and one folder that
    they share; the first of them logs.

    Args:
      config: the run.
      workdir: its folder; see `dyso.train.checkpoints`.
      scenes: to train on.
      videos: to train on in turns with the scenes.
      measured_on: scenes that are not trained on. The first `config.evaluate_scenes`
        are evaluated and shown. None evaluates nothing and shows scenes of a batch.
      data: identifies scenes and videos, see `dyso.train.checkpoints.begin`.
      loader_workers: processes that read ahead; 0 reads in threads; None is
        `default_workers`. Data in memory needs none.
      loader: makes batches in place of `dyso.reading.loader`, given the same arguments;
        its iterator must have `get_state` and `set_state` too.
      say: called with the metrics of each line of the log.
      tell: prints a line about what the run does.

    Returns:
      The number of steps that the run has made.

    Raises:
      UserError: the folder has another run; or a gradient was not finite or too
        large, at the step that the message names.
      ProcessLost: the run cannot go on. This process must end by `os._exit`: JAX would
        wait a minute for the process that is gone, and then abort.
    """
    config = checkpoints.begin(workdir, config, data)
    first = jax.process_index() == 0
    if not first:
        tell = lambda line: None  # noqa: E731
    mesh = devices_mesh()
    if loader_workers is None:
        loader_workers = default_workers()
    if loader is None:
        from dyso.reading import loader as grain_loader

        loader = grain_loader
    in_memory = [each for each in (scenes, videos) if isinstance(each, InMemory)]
    nbytes = sum(each.pictures.nbytes for each in in_memory)
    config = device_memory.fit(config, mesh, nbytes, tell)
    open_feed = functools.partial(
        _Loaded, config=config, mesh=mesh, workers=loader_workers, loader=loader
    )
    feeds = {"scenes": open_feed(scenes, video=False)}
    if videos is not None:
        feeds["videos"] = open_feed(videos, video=True)
    task = _ViewSynthesis(config, feeds, measured_on)
    return run_task(task, workdir, mesh, say=say, tell=tell)


@runtime_checkable
class Task(Protocol):
    """What is learned, from what, and how it is measured.

    Attributes:
      config: the run.
      feeds: what steps are made on, by name.
    """

    config: Any
    feeds: Mapping[str, Any]

    def init(self) -> State:
        """Returns the state before the first step."""

    def feed_at(self, step: int) -> str:
        """Returns the name of the feed of a step."""

    def load(self) -> None:
        """Reads what the run is measured on; in the first process alone."""

    def measure(self, params: Any) -> dict[str, float] | None:
        """Returns scores; None if nothing is measured."""

    def sample(self, path: Path, params: Any, feed: str, batch: Any) -> None:
        """Writes a picture of what the model makes.

        Args:
          path: of the picture.
          params: of the model.
          feed: the name of the feed of the last step.
          batch: its batch.
        """


class _ViewSynthesis:
    """Training on views of scenes, in turns with frames of videos."""

    def __init__(
        self,
        config: Config,
        feeds: dict[str, _Loaded],
        measured_on: Scenes | InMemory | None,
    ):
        self.config = config
        self.feeds: Mapping[str, Any] = feeds
        self._measured_on = measured_on
        self._measured: periodic_evaluation.EvaluationScenes | None = None

    def init(self) -> State:
        return init_state(self.config)

    def feed_at(self, step: int) -> str:
        share = self.config.training.video_share if "videos" in self.feeds else 0.0
        return "videos" if is_video(step, share) else "scenes"

    def load(self) -> None:
        if self._measured_on is not None:
            self._measured = periodic_evaluation.EvaluationScenes.load(
                self._measured_on, self.config.evaluate_scenes
            )

    def measure(self, params: Any) -> dict[str, float] | None:
        return self._measured.measure(params) if self._measured else None

    def sample(self, path: Path, params: Any, feed: str, batch: Any) -> None:
        if self._measured:
            shown = self._measured.batches[0][0]
        else:
            shown = self.feeds[feed].seen(batch)
        periodic_evaluation.write_sample(path, self.config, params, shown)


def run_task(
    task: Task,
    workdir: Path,
    mesh: Mesh,
    *,
    say: Say = lambda metrics: None,
    tell: checkpoints.Tell = lambda line: None,
) -> int:
    """Makes the steps of a task until the last one, or resumes a run that was stopped.

    Args:
      task: what is learned.
      workdir: the run's folder, see `dyso.train.checkpoints.begin`.
      mesh: of devices.
      say: called with the metrics of each line of the log.
      tell: prints a line about what the run does.

    Returns:
      The number of steps that the run has made.

    Raises:
      UserError: a gradient was not finite or too large.
      ProcessLost: see `train`.
    """
    config, sources = task.config, task.feeds
    first = jax.process_index() == 0
    with ExitStack() as stack:
        stack.enter_context(_processes())
        manager = stack.enter_context(checkpoints.manager(workdir, config.keep_every))
        stop = stack.enter_context(signals())
        patiently = functools.partial(interruptible, tell, stop.asked)
        try:
            state = _resume(manager, task, workdir, mesh, tell)
            if state is None:
                state = patiently("initialising the parameters", task.init)
                state = jax.device_put(state, repeated(mesh))
            if first:
                patiently("decoding the scenes to evaluate on", task.load)
        except Stopped:
            return 0
        begun = step = int(state.step)
        tell(f"{workdir}: " + (f"resumes from step {step}" if step else "a new run"))
        log = stack.enter_context(Log(workdir, step, config, say, tell))
        ahead: deque[Future[float]] = deque()
        places = None
        try:
            while step < config.training.steps and not stop.at(step):
                name = task.feed_at(step)
                source = sources[name]
                if source.compiled is None:
                    places = _places(sources)
                asked = time.perf_counter()
                batch = next(source.batches)
                fetched = time.perf_counter()
                placed = place(batch, mesh)
                if source.compiled is None:
                    source.compiled = patiently(
                        f"compiling the step on {name} for {mesh.devices.flat[0]}: "
                        "up to several minutes, once each start",
                        _compile,
                        *(source.step, state, placed, source.pictures),
                    )
                    log.leave_out(time.perf_counter() - fetched)
                    places = None
                state, metrics = source.compiled(state, placed, source.pictures)
                step += 1
                # A signal is handled between steps, so few are dispatched ahead.
                ahead.append(log.add(name, metrics, asked, fetched))
                if len(ahead) > _AHEAD:
                    ahead.popleft().result()
                last = step == config.training.steps
                if _due(step, config.log_every) or last:
                    _check(state)
                    log.write(step)
                if (
                    _due(step, config.save_every)
                    or _due(step, config.keep_every)
                    or last
                ):
                    _check(state)
                    checkpoints.save(manager, state, _places(sources))
                if not first:
                    continue
                start = time.perf_counter()
                if _due(step, config.evaluate_every) or last:
                    params = jax.device_get(state.params)
                    scores = patiently("evaluating", task.measure, params)
                    if scores is not None:
                        log.write_evaluation(step, scores)
                if config.sample_every and (_due(step, config.sample_every) or last):
                    path = workdir / "samples" / f"{step:08}.png"
                    path.parent.mkdir(exist_ok=True)
                    params = jax.device_get(state.params)
                    making = f"making {path}"
                    patiently(making, task.sample, path, params, name, batch)
                log.leave_out(time.perf_counter() - start)
        except Stopped:
            pass
        if begun < step < config.training.steps:
            _check(state)
            if manager.latest_step() != step:
                checkpoints.save(manager, state, places or _places(sources))
    return step


def default_workers() -> int:
    """Returns how many processes read ahead, to keep the device busy.

    A scene of 7 views of 128 x 128 takes about 10 ms of a CPU to decode, so a GPU
    needs many processes; on a CPU they would compete with the training.
    """
    if jax.default_backend() == "cpu":
        return 0
    return max(0, min(len(os.sched_getaffinity(0)) - 2, 16))


class Feed:
    """What steps are made on.

    Attributes:
      step: under `jax.jit`: (state, batch, pictures) to (state, metrics).
      batches: an iterator whose state can be saved.
      pictures: on every device, if the source is in memory.
      compiled: the step, once it is compiled.
    """

    def __init__(self, step: Any, batches: Any, pictures: Any = None):
        self.step, self.batches, self.pictures = step, batches, pictures
        self.compiled: Any = None


class _Loaded(Feed):
    """What a loader reads of a source."""

    def __init__(
        self,
        source: Scenes | Clips | InMemory,
        *,
        config: Config,
        mesh: Mesh,
        workers: int,
        loader: Callable[..., Iterable[Any]],
        video: bool,
    ):
        self._decoded, pictures = None, None
        if isinstance(source, InMemory):
            self._decoded = source.pictures
            pictures = repeat(source.pictures, mesh)
            source, workers = source.source, 0
        batches = loader(
            source,
            batch_size=config.training.batch_size // jax.process_count(),
            seed=config.training.seed,
            process=jax.process_index(),
            processes=jax.process_count(),
            workers=workers,
        )
        step = make_step(config, mesh, video=video)
        super().__init__(step, iter(batches), pictures)

    def seen(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Returns a batch with its pictures."""
        return look_up(batch, self._decoded)


def _resume(
    manager: Any,
    task: Task,
    workdir: Path,
    mesh: Mesh,
    tell: checkpoints.Tell,
) -> State | None:
    """Returns the state of the newest checkpoint that is whole; None before the first.

    The sources continue after the batches that it has seen.
    """
    restored = checkpoints.restore(manager, task.init, repeated(mesh))
    if restored is None:
        return None
    for newer, reason in restored.damaged.items():
        checkpoints.set_aside(manager, workdir, newer)
        tell(
            f"checkpoint {newer} is damaged ({reason}) and now in {workdir}/damaged: "
            f"step {int(restored.state.step)} is used"
        )
    for name, source in task.feeds.items():
        source.batches.set_state(restored.places[name])
    return restored.state


def _compile(step: Any, *arguments: Any) -> Any:
    return step.lower(*arguments).compile()


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def is_video(step: int, share: float) -> bool:
    """Returns whether a step is on videos; such steps are spread evenly over a run."""
    return math.floor((step + 1) * share) > math.floor(step * share)


def _check(state: State) -> None:
    failed = int(state.failed)
    if failed >= 0:
        raise UserError(
            f"step {failed + 1}: the loss or the gradient was not finite, or above "
            "training.abort_norm; nothing was changed since. Lower "
            "training.learning_rate, or look at the data"
        )


def _places(sources: Mapping[str, Any]) -> dict[str, Any]:
    return {name: source.batches.get_state() for name, source in sources.items()}


@contextmanager
def _processes() -> Iterator[None]:
    """Turns JAX's error about a lost process into `ProcessLost`."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = str(error).partition("\n")[0]
        raise ProcessLost(
            f"distributed: the run lost one of its processes ({reason}); "
            "run the same command on all hosts to resume from the last checkpoint"
        ) from error
