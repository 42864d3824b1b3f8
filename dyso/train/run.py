"""A training run: from its last checkpoint, or the beginning, to its last step."""

from __future__ import annotations

import functools
import json
import math
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

from dyso import records
from dyso.reading import loader
from dyso.spec import UserError
from dyso.train import checkpoints, labels
from dyso.train.predict import Predictor
from dyso.train.presets import Config
from dyso.train.step import State, devices_mesh, init_state, make_step, place

Say = Callable[[dict[str, float]], None]

HEARTBEAT_SECONDS = 10.0
_COMPILER = "dyso-compiler"
_AHEAD = 2
"""Steps that are asked for before the first of them is done."""

T = TypeVar("T")


class ProcessLost(Exception):
    """One of the processes that train together is gone."""


class _Stopped(Exception):
    """A signal came while something was compiled."""


def train(
    config: Config,
    workdir: Path,
    scenes: Any,
    videos: Any = None,
    *,
    loader_workers: int = 0,
    say: Say = lambda metrics: None,
    tell: checkpoints.Tell = lambda line: None,
) -> int:
    """Trains until the last step; a run that was stopped goes on where it was.

    SIGTERM or Ctrl-C saves a checkpoint, if a step was made, and ends; a second Ctrl-C
    ends the process at once. Where several processes train together
    (`dyso.train.step.join`), all call this with the same arguments and one folder that
    they share; the first of them logs.

    Args:
      config: the run.
      workdir: its folder; see `dyso.train.checkpoints`.
      scenes: a source of arranged scenes, see `dyso.train.data.Scenes`.
      videos: a source of arranged video frames, to train on in turns.
      loader_workers: processes that read ahead; 0 reads in threads.
      say: is told each logged step's metrics.
      tell: is told, in lines, what the run does before its first step.

    Returns:
      The step that the run is at.

    Raises:
      UserError: the folder holds another run; or a gradient was not finite or too
        large, at the step that the message names.
      ProcessLost: the run cannot go on. This process must end by `os._exit`: JAX would
        wait a minute for the one that is gone, and then abort.
    """
    checkpoints.save_config(workdir, config)
    if jax.process_index() != 0:
        tell = lambda line: None  # noqa: E731
    mesh = devices_mesh()
    steps = {False: make_step(config, mesh, video=False)}
    sources = {"scenes": scenes}
    if videos is not None:
        steps[True] = make_step(config, mesh, video=True)
        sources["videos"] = videos
    local = config.training.batch_size // jax.process_count()
    batches = {
        name: iter(
            loader(
                source,
                batch_size=local,
                seed=config.training.seed,
                process=jax.process_index(),
                processes=jax.process_count(),
                workers=loader_workers,
            )
        )
        for name, source in sources.items()
    }
    repeated = NamedSharding(mesh, PartitionSpec())
    with ExitStack() as stack:
        stack.enter_context(_processes())
        manager = stack.enter_context(checkpoints.manager(workdir))
        stop = stack.enter_context(_signals())
        patiently = functools.partial(_patiently, tell, stop.asked)
        try:
            found = checkpoints.restore(manager, config, repeated)
            if found is None:
                state = patiently("drawing the parameters", init_state, config)
                state = jax.device_put(state, repeated)
            else:
                state = found.state
                for newer, reason in found.damaged.items():
                    checkpoints.set_aside(manager, workdir, newer)
                    tell(
                        f"checkpoint {newer} is damaged ({reason}) and now in "
                        f"{workdir}/damaged: step {int(state.step)} is used"
                    )
                for name, own in batches.items():
                    own.set_state(found.places[name])
        except _Stopped:
            return 0
        begun = step = int(state.step)
        tell(f"{workdir}: " + (f"goes on from step {step}" if step else "a new run"))
        log = stack.enter_context(_Log(workdir, step, config, say, tell))
        places = None
        compiled: dict[bool, Any] = {}
        ahead: deque[Any] = deque()
        try:
            while step < config.training.steps and not stop.at(step):
                share = config.training.video_share
                video = videos is not None and is_video(step, share)
                name = "videos" if video else "scenes"
                if video not in compiled:
                    places = _places(batches)
                waited = time.perf_counter()
                batch = next(batches[name])
                log.waited += time.perf_counter() - waited
                placed = place(batch, mesh)
                if video not in compiled:
                    start = time.perf_counter()
                    compiled[video] = patiently(
                        f"compiling the step on {name} for {mesh.devices.flat[0]}: "
                        "up to several minutes, once each start",
                        _compile,
                        *(steps[video], state, placed),
                    )
                    log.leave_out(time.perf_counter() - start)
                    places = None
                state, metrics = compiled[video](state, placed)
                step += 1
                log.add(name, metrics)
                # A signal is handled between steps: not many of them lie ahead.
                ahead.append(metrics["loss"])
                if len(ahead) > _AHEAD:
                    _wait(ahead.popleft())
                last = step == config.training.steps
                if step % config.log_every == 0 or last:
                    _check(state)
                    log.write(step)
                if step % config.save_every == 0 or last:
                    _check(state)
                    checkpoints.save(manager, state, _places(batches))
                if step % config.sample_every == 0 or last:
                    path = workdir / "samples" / f"{step:08}.png"
                    patiently(
                        f"making {path}; for the first one a program is compiled",
                        sample,
                        *(path, config, state, batch),
                    )
        except _Stopped:
            pass
        if begun < step < config.training.steps:
            _check(state)
            if manager.latest_step() != step:
                checkpoints.save(manager, state, places or _places(batches))
    return step


def still_compiling() -> bool:
    """Says whether a program is compiled that nobody waits for any more.

    Nothing ends that but the end of the process, by `os._exit`.
    """
    return any(thread.name == _COMPILER for thread in threading.enumerate())


def _patiently(
    tell: checkpoints.Tell,
    asked: Callable[[], bool],
    what: str,
    function: Callable[..., T],
    *args: Any,
) -> T:
    """Calls a function in another thread, and says that it takes time.

    XLA handles no signal while it compiles, for minutes; this thread does.

    Args:
      tell: is told.
      asked: says whether a signal asks to stop.
      what: the function does; told if it takes over a second.
      function: to call.
      args: of the function.

    Raises:
      _Stopped: the function still runs.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function(*args))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name=_COMPILER, daemon=True)
    thread.start()
    start, beats = time.monotonic(), 0
    thread.join(1.0)
    if thread.is_alive():
        tell(what)
    while thread.is_alive():
        if asked():
            raise _Stopped
        thread.join(0.2)
        if (time.monotonic() - start) // HEARTBEAT_SECONDS > beats:
            beats += 1
            tell(f"  {time.monotonic() - start:.0f} s")
    if errors:
        raise errors[0]
    return results[0]


def _compile(step: Any, state: State, batch: dict[str, Any]) -> Any:
    return step.lower(state, batch).compile()


def _wait(value: Any) -> None:
    """Waits for a step; unlike JAX's own waiting, a signal is handled meanwhile."""
    while not value.is_ready():
        time.sleep(0.001)


def is_video(step: int, share: float) -> bool:
    """Says whether a step is on videos: as evenly as it goes, the last of each turn."""
    return math.floor((step + 1) * share) > math.floor(step * share)


def _check(state: State) -> None:
    failed = int(state.failed)
    if failed >= 0:
        raise UserError(
            f"step {failed + 1}: the loss or the gradient was not finite, or above "
            "training.abort_norm; nothing was changed since. Lower "
            "training.learning_rate, or look at the data"
        )


def _places(batches: dict[str, Any]) -> dict[str, Any]:
    return {name: own.get_state() for name, own in batches.items()}


@contextmanager
def _processes() -> Iterator[None]:
    """Tells what is missed with another process from other errors."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = str(error).partition("\n")[0]
        raise ProcessLost(
            f"distributed: the run lost one of its processes ({reason}); "
            "the same command on all hosts goes on from the last checkpoint"
        ) from error


@dataclass(frozen=True)
class _Stop:
    """Whether a signal ends the run.

    Attributes:
      asked: says whether one came to this process.
      at: says, before a step, whether the run ends there.
    """

    asked: Callable[[], bool]
    at: Callable[[int], bool]


@contextmanager
def _signals() -> Iterator[_Stop]:
    """Takes SIGTERM and Ctrl-C as the wish to end; the second Ctrl-C ends at once."""
    came: list[int] = []
    together = jax.process_count() > 1

    def note(number: int, _: Any) -> None:
        if number == signal.SIGINT:
            if number in came:
                os._exit(130)
            os.write(2, b"\nstopping after this step; Ctrl-C again stops at once\n")
            if together:
                os.kill(os.getpid(), signal.SIGTERM)  # JAX tells the others.
        came.append(number)

    # JAX has all processes end at one step, whichever SIGTERM came to.
    numbers = [signal.SIGINT] if together else [signal.SIGINT, signal.SIGTERM]
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        if together:
            sync = multihost_utils.reached_preemption_sync_point
            yield _Stop(asked=lambda: False, at=sync)
        else:
            yield _Stop(asked=lambda: bool(came), at=lambda step: bool(came))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Log:
    """Metrics, averaged since the last line; a resumed run drops what it makes anew."""

    def __init__(
        self,
        workdir: Path,
        step: int,
        config: Config,
        say: Say,
        tell: checkpoints.Tell,
    ):
        from tensorboardX import SummaryWriter

        self._path, self._say, self._config = workdir / "metrics.jsonl", say, config
        self._begin(step)
        self._board = None
        if jax.process_index() != 0:
            return
        kept, broken = _lines(self._path, step)
        if broken:
            tell(f"{self._path}: {broken} lines cannot be read and are left out")
        with records.replacing(self._path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in kept))
        self._board = SummaryWriter(
            str(workdir / "tensorboard"), purge_step=step + 1 if step else None
        )

    def _begin(self, step: int) -> None:
        self._metrics: dict[str, list[dict[str, Any]]] = {}
        self._start, self._step, self.waited = time.perf_counter(), step, 0.0

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._board is not None:
            self._board.close()

    def add(self, name: str, metrics: dict[str, Any]) -> None:
        """Keeps a step's metrics, without waiting for them."""
        self._metrics.setdefault(name, []).append(metrics)

    def leave_out(self, seconds: float) -> None:
        """Leaves time that was spent on something else out of the steps' rate."""
        self._start += seconds

    def write(self, step: int) -> None:
        """Writes a line."""
        values: dict[str, float] = {"step": step}
        for name, every in self._metrics.items():
            loss = float(np.mean([float(m["loss"]) for m in every]))
            norm = float(np.max([float(m["gradient_norm"]) for m in every]))
            values |= {
                f"{name}/loss": loss,
                f"{name}/psnr": -10 * math.log10(max(loss, 1e-10)),
                f"{name}/gradient_norm": norm,
            }
        seconds = time.perf_counter() - self._start
        rate = (step - self._step) / seconds
        values |= {
            "steps_per_second": rate,
            "loader_share": self.waited / seconds,
            "seconds_left": (self._config.training.steps - step) / rate,
        }
        if self._board is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(values) + "\n")
            for name, value in values.items():
                if name != "step":
                    self._board.add_scalar(name, value, step)
            self._say(values)
        self._begin(step)


def _lines(path: Path, step: int) -> tuple[list[str], int]:
    """Returns the lines up to a step, and how many are none, as where one was cut."""
    kept, broken = [], 0
    text = path.read_text(errors="replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, TypeError, KeyError):
            broken += 1
    return kept, broken


def sample(path: Path, config: Config, state: State, batch: dict[str, Any]) -> None:
    """Writes a picture: of four scenes the inputs, targets, and targets as decoded."""
    if jax.process_index() != 0:
        return
    few = {name: values[:4] for name, values in batch.items()}
    predictor = Predictor(config, jax.device_get(state.params))
    scene = predictor.encode(few["inputs"], few)
    right = None
    if config.model.estimator_half:
        right = np.zeros(few["targets"].shape[:2], bool)
    latents = predictor.estimate(few["targets"], scene, right)
    decoded = predictor.decode(latents, scene, few)
    images = np.concatenate(
        [few["inputs"], few["targets"], np.uint8(255 * decoded + 0.5)], axis=1
    )
    targets = range(1, few["targets"].shape[1] + 1)
    columns = [f"input {i + 1}" for i in range(few["inputs"].shape[1])]
    columns += [f"target {i}" for i in targets] + [f"decoded {i}" for i in targets]
    names = [f"scene {i + 1}" for i in range(len(images))]
    path.parent.mkdir(exist_ok=True)
    labels.table(images, columns, names).save(path)
