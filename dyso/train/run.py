"""A training run: from its last checkpoint, or the beginning, to its last step."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec
from PIL import Image

from dyso.reading import loader
from dyso.spec import UserError
from dyso.train import checkpoints
from dyso.train.predict import Predictor
from dyso.train.presets import Config
from dyso.train.step import State, devices_mesh, init_state, make_step, place

Say = Callable[[dict[str, float]], None]


class ProcessLost(Exception):
    """One of the processes that train together is gone."""


def train(
    config: Config,
    workdir: Path,
    scenes: Any,
    videos: Any = None,
    *,
    loader_workers: int = 0,
    say: Say = lambda metrics: None,
) -> int:
    """Trains until the last step; a run that was stopped goes on where it was.

    SIGTERM saves a checkpoint and ends. Where several processes train together
    (`dyso.train.step.join`), all call this with the same arguments and one folder that
    they share; the first of them logs.

    Args:
      config: the run.
      workdir: its folder; see `dyso.train.checkpoints`.
      scenes: a source of arranged scenes, see `dyso.train.data.Scenes`.
      videos: a source of arranged video frames, to train on in turns.
      loader_workers: processes that read ahead; 0 reads in threads.
      say: is told each logged step's metrics.

    Returns:
      The step that the run is at.

    Raises:
      UserError: the folder holds another run; or a gradient was not finite or too
        large, at the step that the message names.
      ProcessLost: the run cannot go on. This process must end by `os._exit`: JAX would
        wait a minute for the one that is gone, and then abort.
    """
    checkpoints.save_config(workdir, config)
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
        told_to_end = stack.enter_context(_sigterm())
        found = checkpoints.restore(manager, config, repeated)
        if found is None:
            state = jax.device_put(init_state(config), repeated)
        else:
            state, places = found
            for name, own in batches.items():
                own.set_state(places[name])
        step = int(state.step)
        log = stack.enter_context(_Log(workdir, step, config, say))
        while step < config.training.steps and not told_to_end(step):
            video = videos is not None and is_video(step, config.training.video_share)
            name = "videos" if video else "scenes"
            waited = time.perf_counter()
            batch = next(batches[name])
            log.waited += time.perf_counter() - waited
            state, metrics = steps[video](state, place(batch, mesh))
            step += 1
            log.add(name, metrics)
            last = step == config.training.steps
            if step % config.log_every == 0 or last:
                _check(state)
                log.write(step)
            if step % config.save_every == 0 or last:
                _check(state)
                checkpoints.save(manager, state, _places(batches))
            if step % config.sample_every == 0 or last:
                sample(workdir / "samples" / f"{step:08}.png", config, state, batch)
        if step < config.training.steps:
            _check(state)
            if manager.latest_step() != step:
                checkpoints.save(manager, state, _places(batches))
    return step


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


@contextmanager
def _sigterm() -> Iterator[Callable[[int], bool]]:
    """Gives a function that says, before a step, whether SIGTERM ends the run there."""
    if jax.process_count() > 1:
        # JAX has all of them end at one step, whichever the signal came to.
        yield multihost_utils.reached_preemption_sync_point
        return
    came = False

    def note(*_: Any) -> None:
        nonlocal came
        came = True

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield lambda step: came
    finally:
        signal.signal(signal.SIGTERM, before)


class _Log:
    """Metrics, averaged since the last line; a resumed run drops what it makes anew."""

    def __init__(self, workdir: Path, step: int, config: Config, say: Say):
        from tensorboardX import SummaryWriter

        self._path, self._say, self._config = workdir / "metrics.jsonl", say, config
        self._begin(step)
        self._board = None
        if jax.process_index() != 0:
            return
        kept = []
        if self._path.exists():
            lines = self._path.read_text().splitlines()
            kept = [line for line in lines if json.loads(line)["step"] <= step]
        self._path.write_text("".join(f"{line}\n" for line in kept))
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
    rows = [np.concatenate(list(row), axis=1) for row in images]
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(path)
