"""`dyso train`: trains DyST, RUST or a baseline on a dataset."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import tyro

from dyso import terminal
from dyso.cli.arguments import refusal
from dyso.spec import UserError
from dyso.terminal import say_error, to_stderr
from dyso.train.presets import ABOUT, PRESETS, Config


def select(arguments: list[str]) -> tuple[str, Callable[..., int], list[str]]:
    """Returns the command with the defaults of the preset that the arguments name.

    Raises:
      UserError: there is no such preset.
    """
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        return "train PRESET", functools.partial(main, config=_of_any("dyst")), [name]
    if name not in PRESETS:
        raise refusal("dyso train", "preset", name, PRESETS)
    return f"train {name}", functools.partial(main, config=_of_any(name)), rest


def _of_any(name: str) -> Config:
    """Returns a preset for datasets of any resolution."""
    model = dataclasses.replace(PRESETS[name].model, resolution=(0, 0))
    return dataclasses.replace(PRESETS[name], model=model)


def at_resolution(config: Config, resolution: tuple[int, int]) -> Config:
    """Returns the run at a dataset's resolution, unless it has one of its own.

    Raises:
      UserError: the model cannot have that resolution.
    """
    if config.model.resolution != (0, 0):
        return config
    try:
        model = dataclasses.replace(config.model, resolution=resolution)
    except UserError as error:
        size = terminal.size(*resolution)
        raise UserError(f"{error}; the dataset has {size}") from error
    return dataclasses.replace(config, model=model)


def main(
    config: Annotated[Config, tyro.conf.arg(name="")],
    *,
    data: Path,
    workdir: Path,
    videos: Path | None = None,
    split: str | None = None,
    loader_workers: int = 0,
    distributed: str | None = None,
) -> int:
    """Train a preset on a dataset; the same command goes on after a stop.

    Every field of a preset can be set, as in `--training.steps 100000`. Views have the
    dataset's resolution unless `--model.resolution` sets another.

    The presets, of which `dyso train PRESET --help` shows the defaults:
    {presets}

    Args:
      config: the preset.
      data: the folder of a dataset.
      workdir: where checkpoints, metrics and sample pictures go.
      videos: clips to train on in turns with scenes: what `dyso videos ingest` made, or
        a dataset of monocular videos.
      split: the scenes to train on, such as `train` or `train[:1000]`; default: the
        first split.
      loader_workers: processes that read ahead; 0 reads in threads.
      distributed: one run on several hosts, on each of which this same command is
        started: `auto` where Slurm, Open MPI, Kubernetes or a TPU pod say who takes
        part, else HOST:PORT,NUMBER,COUNT with an address of the first host and this
        one's number from 0 on. They share the folders.
    """
    to_stderr(f"dyso train: loading JAX and {data}")
    from dyso.reading import Dataset
    from dyso.train import run
    from dyso.train.data import Scenes
    from dyso.train.step import join
    from dyso.train.video_data import Clips

    first = distributed is None or join(distributed)
    dataset = Dataset(data)
    split = split or next(iter(dataset.splits))
    scenes_of = dataset[split]
    config = at_resolution(config, scenes_of.spec.resolution)
    scenes = Scenes(split=scenes_of, config=config)
    clips = Clips.open(videos, config) if videos is not None else None
    for source, folder, own in ((scenes, data, split), (clips, videos, "train")):
        if source is not None and len(source) < config.training.batch_size:
            raise UserError(
                f"training.batch_size: {config.training.batch_size}, but {folder} has "
                f"{len(source)} in {own}"
            )
    try:
        step = run.train(
            config,
            workdir,
            scenes,
            clips,
            loader_workers=loader_workers,
            say=lambda metrics: print(describe(metrics, config), flush=True),
            tell=to_stderr,
        )
    except run.ProcessLost as error:
        say_error(error)
        # An ordinary end waits a minute for a process that is gone, then aborts.
        os._exit(1)
    if step < config.training.steps:
        again = f"the same command goes on from step {step}" if step else "no step done"
        to_stderr(f"stopped at step {step}; {again}")
    elif first:
        print(f"curves: tensorboard --logdir {workdir}/tensorboard")
        print(f"next: dyso evaluate {workdir} --data {data}", flush=True)
    status = 130 if step < config.training.steps else 0
    if run.still_compiling():
        os._exit(status)
    return status


_WIDTH = max(map(len, PRESETS))
main.__doc__ = str(main.__doc__).replace(
    "{presets}",
    "\n    ".join(f"  {name:{_WIDTH}}  {ABOUT[name]}" for name in PRESETS),
)


def describe(metrics: dict[str, float], config: Config) -> str:
    """Returns a line of progress."""
    parts = [f"step {metrics['step']:.0f}/{config.training.steps}"]
    for name in ("scenes", "videos"):
        if f"{name}/loss" in metrics:
            parts.append(
                f"{name} loss {metrics[f'{name}/loss']:.5f} "
                f"PSNR {metrics[f'{name}/psnr']:.2f}"
            )
    left = timedelta(seconds=math.ceil(metrics["seconds_left"]))
    parts += [f"{metrics['steps_per_second']:.2f} steps/s", f"{left} left"]
    return ", ".join(parts)
