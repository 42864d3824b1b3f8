"""What a run reports: lines of metrics, TensorBoard's curves, and its speed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dyso.files import replacing

Say = Callable[[dict[str, float]], None]
"""Is given the metrics of each line."""


class Log:
    """Metrics, averaged since the last line, in WORKDIR/metrics.jsonl.

    A resumed run drops the lines of the steps that it makes again.
    """

    def __init__(
        self,
        workdir: Path,
        step: int,
        config: Any,
        say: Say,
        tell: Callable[[str], None],
    ):
        """Opens the files of a run.

        Args:
          workdir: of the run.
          step: that the run begins at or resumes from.
          config: of the run; of a model that has a `KIND`, losses are not PSNRs.
          say: is given the metrics of each line.
          tell: prints a line.
        """
        self._path, self._say, self._config = workdir / "metrics.jsonl", say, config
        # Waits for the device, so that the main thread need not.
        self._clock = ThreadPoolExecutor(1)
        self._finished: Future[float] | None = None
        self._begin(step)
        self._board: Any = None
        if jax.process_index() != 0:
            return
        kept, broken = _lines(self._path, step)
        if broken:
            tell(f"{self._path}: {broken} lines cannot be read and are left out")
        with replacing(self._path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in kept))
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            tell("tensorboardX is not installed: metrics are in metrics.jsonl alone")
        else:
            self._board = SummaryWriter(
                str(workdir / "tensorboard"), purge_step=step + 1 if step else None
            )

    def _begin(self, step: int) -> None:
        self._metrics: dict[str, list[dict[str, Any]]] = {}
        self._fetches: list[tuple[float, float, Future[float] | None]] = []
        self._start, self._step = time.perf_counter(), step

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: Any) -> None:
        self._clock.shutdown(wait=False, cancel_futures=True)
        if self._board is not None:
            self._board.close()

    def add(
        self, name: str, metrics: dict[str, Any], asked: float, fetched: float
    ) -> Future[float]:
        """Keeps a step's metrics, without waiting for them.

        Args:
          name: `scenes` or `videos`.
          metrics: of the step, which may not be finished.
          asked: when the loader was asked for the step's batch (`time.perf_counter`).
          fetched: when it returned the batch.

        Returns:
          When the device finished the step; its result may be waited for.
        """
        self._metrics.setdefault(name, []).append(metrics)
        self._fetches.append((asked, fetched, self._finished))
        self._finished = self._clock.submit(_finish_time, metrics["loss"])
        return self._finished

    def leave_out(self, seconds: float) -> None:
        """Excludes time that was spent on something else from the steps' rate."""
        self._start += seconds

    def write(self, step: int) -> None:
        """Writes a line of the metrics of the steps since the last one."""
        values: dict[str, float] = {"step": step}
        for name, every in self._metrics.items():
            loss = float(np.mean([float(m["loss"]) for m in every]))
            norm = float(np.max([float(m["gradient_norm"]) for m in every]))
            values |= {f"{name}/loss": loss, f"{name}/gradient_norm": norm}
            if not hasattr(self._config, "KIND"):
                values[f"{name}/psnr"] = -10 * math.log10(max(loss, 1e-10))
        seconds = time.perf_counter() - self._start
        rate = (step - self._step) / seconds
        values |= {
            "steps_per_second": rate,
            "loader_share": min(idle_seconds(self._fetches) / seconds, 1.0),
            "seconds_left": max(self._config.training.steps - step, 0) / rate,
        }
        self._append(values)
        self._begin(step)

    def write_evaluation(self, step: int, metrics: dict[str, float]) -> None:
        """Writes a line of what was measured on scenes that are not trained on."""
        named = {f"evaluation/{name}": value for name, value in metrics.items()}
        self._append({"step": step, **named})

    def _append(self, values: dict[str, float]) -> None:
        if jax.process_index() != 0:
            return
        with self._path.open("a") as file:
            file.write(json.dumps(values) + "\n")
        if self._board is not None:
            for name, value in values.items():
                if name != "step":
                    self._board.add_scalar(name, value, values["step"])
        self._say(values)


def idle_seconds(fetches: list[tuple[float, float, Future[float] | None]]) -> float:
    """Returns how long the device was idle because a batch had not been loaded.

    While the device still computes earlier steps, waiting for the loader costs nothing.

    Args:
      fetches: for each step, when its batch was asked for, when it came, and when the
        device finished the step before (None for the first).
    """
    return sum(
        max(0.0, fetched - max(asked, asked if before is None else before.result()))
        for asked, fetched, before in fetches
    )


def _finish_time(value: Any) -> float:
    value.block_until_ready()
    return time.perf_counter()


def _lines(path: Path, step: int) -> tuple[list[str], int]:
    """Returns the lines up to a step, and how many lines are broken."""
    kept, broken = [], 0
    text = path.read_text(errors="replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, TypeError, KeyError):
            broken += 1
    return kept, broken
