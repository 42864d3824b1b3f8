"""`dyso train`: trains DyST, RUST or a baseline on a dataset."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import tyro

from dyso import terminal
from dyso.cli.arguments import refusal
from dyso.cli.bar import each
from dyso.errors import UserError
from dyso.spec import load_resolved
from dyso.terminal import say_error, to_stderr
from dyso.train.config import Config
from dyso.train.presets import PRESETS, Preset
from dyso.train.prior.config import Config as PriorConfig
from dyso.train.prior.presets import PRESETS as PRIORS


def select(arguments: list[str]) -> tuple[str, Callable[..., int], list[str]]:
    """Returns the command with the defaults of the preset that the arguments name.

    Raises:
      UserError: there is no such preset.
    """
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        overview = functools.partial(main, config=_of_any("dyst"))
        about = f"{_PRESETS}\n\n    The options below are those of `dyst`."
        overview.__doc__ = str(main.__doc__).replace(_PRESETS, about)
        return "train PRESET", overview, [name]
    if name not in ALL:
        raise refusal("dyso train", "preset", name, ALL)
    command: functools.partial[int]
    if name in PRIORS:
        command = functools.partial(video_prior, config=PRIORS[name].config)
    else:
        command = functools.partial(main, config=_of_any(name))
    text = str(command.func.__doc__)
    command.__doc__ = text.replace(_PRESETS, _about(ALL[name]))
    return f"train {name}", command, rest


def _about(preset: Preset[Any]) -> str:
    """Returns what the help of a preset says about it."""
    score = f"\n\n    Reported score: {preset.score}." if preset.score else ""
    return f"{preset.about}.\n\n    Needs: {preset.needs}.{score}"


def _of_any(name: str) -> Config:
    """Returns a preset for datasets of any resolution."""
    model = dataclasses.replace(PRESETS[name].config.model, resolution=(0, 0))
    return dataclasses.replace(PRESETS[name].config, model=model)


def at_resolution(config: Config, resolution: tuple[int, int]) -> Config:
    """Returns the run at a dataset's resolution, unless it sets another.

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
    evaluate_split: str | None = None,
    loader_workers: int | None = None,
    in_memory: bool = False,
    distributed: str | None = None,
) -> int:
    """Train a preset on a dataset; run the same command to resume.

    Every field of a preset can be set, as in `--training.steps 100000`. Views have the
    dataset's resolution unless `--model.resolution` sets another.

    {presets}

    Args:
      config: the preset.
      data: the folder of a dataset.
      workdir: where checkpoints, metrics and sample pictures go.
      videos: clips to train on in turns with scenes: an output of `dyso videos ingest`,
        or a dataset of monocular videos.
      split: the scenes to train on, such as `train` or `train[:1000]`; default: the
        first split.
      evaluate_split: the scenes to evaluate on while training; default: `validation`,
        else `test`, if the dataset has it and it is not trained on.
      loader_workers: processes that read ahead; 0 reads in threads; default: on a GPU
        or TPU, two fewer than there are CPUs, at most 16; on a CPU, 0.
      in_memory: decode all scenes and clips once and keep them on the device; for a
        dataset that fits. The steps are the same.
      distributed: HOST:PORT,NUMBER,COUNT, with an address of the first host, this
        process's number from 0 on, and the number of processes; or `auto` with Slurm,
        Open MPI, Kubernetes or on a TPU pod. Train one run on several hosts: start the
        same command on each. All hosts share the folders.
    """
    to_stderr(f"dyso train: loading JAX and {data}")
    from dyso.reading import Dataset
    from dyso.train import run
    from dyso.train.data import Scenes
    from dyso.train.interruption import still_compiling
    from dyso.train.memory import load
    from dyso.train.step import join
    from dyso.train.video_data import Clips

    first = distributed is None or join(distributed)
    dataset = Dataset(data)
    split = split or next(iter(dataset.splits))
    scenes_of = dataset[split]
    config = at_resolution(config, scenes_of.spec.resolution)
    scenes = Scenes(split=scenes_of, config=config)
    clips = Clips.open(videos, config) if videos is not None else None
    identity = {"scenes": identify(data, split, len(scenes))}
    if videos is not None and clips is not None:
        identity["videos"] = identify(videos, "train", len(clips))
    for source, folder, name in ((scenes, data, split), (clips, videos, "train")):
        if source is not None and len(source) < config.training.batch_size:
            raise UserError(
                f"training.batch_size: {config.training.batch_size}, but {folder} has "
                f"{len(source)} in {name}"
            )
    evaluate_split = evaluate_split or split_to_evaluate(list(dataset.splits), split)
    measured_on = None
    if evaluate_split and config.evaluate_every:
        measured_on = Scenes(split=dataset[evaluate_split], config=config)
    train_on: list[Any] = [scenes, clips]
    if in_memory:
        train_on = [
            None
            if source is None
            else load(source, functools.partial(each, unit=f"{unit} decoded"))
            for source, unit in ((scenes, "scenes"), (clips, "clips"))
        ]
    try:
        step = run.train(
            config,
            workdir,
            *train_on,
            measured_on=measured_on,
            data=identity,
            loader_workers=loader_workers,
            say=lambda metrics: print(describe(metrics, config), flush=True),
            tell=to_stderr,
        )
    except run.ProcessLost as error:
        say_error(error)
        # An ordinary exit waits a minute for the lost process, then aborts.
        os._exit(1)
    if step < config.training.steps:
        again = f"run the same command to resume from step {step}"
        to_stderr(f"stopped at step {step}; {again if step else 'no step done'}")
    elif first:
        print(f"curves: tensorboard --logdir {workdir}/tensorboard")
        print(f"next: dyso evaluate {workdir} --data {data}", flush=True)
    status = 130 if step < config.training.steps else 0
    if still_compiling():
        os._exit(status)
    return status


def identify(folder: Path, split: str, count: int) -> dict[str, Any]:
    """Returns what identifies the data of a run, wherever its folder is.

    Args:
      folder: of a dataset or of clips.
      split: that is trained on.
      count: of its scenes or clips.
    """
    spec, clips = folder / "spec.json", folder / "metadata.json"
    if spec.exists():
        checksum = load_resolved(spec).hash
    else:
        checksum = hashlib.sha256(clips.read_bytes()).hexdigest()
    return {"split": split, "count": count, "hash": checksum}


def split_to_evaluate(splits: list[str], trained_on: str) -> str | None:
    """Returns the split to measure on while training, if there is one."""
    name = trained_on.partition("[")[0]
    return next((s for s in ("validation", "test") if s in splits and s != name), None)


def video_prior(
    config: Annotated[PriorConfig, tyro.conf.arg(name="")],
    *,
    data: Path,
    workdir: Path,
    split: str | None = None,
    evaluate_split: str | None = None,
) -> int:
    """Train on a dataset's videos and captions; run the same command to resume.

    Every field of a preset can be set, as in `--training.steps 20000`. Each camera that
    sees all dynamics steps makes a video. All videos are kept in memory.

    {presets}

    Args:
      config: the preset.
      data: the folder of a dataset with at least `--model.frames` dynamics steps.
      workdir: where checkpoints, metrics and sample videos go.
      split: the scenes to train on, such as `train` or `train[:1000]`; default: the
        first split.
      evaluate_split: the scenes to evaluate on while training; default: `validation`,
        else `test`, if the dataset has it and it is not trained on.
    """
    to_stderr(f"dyso train: loading JAX and {data}")
    from dyso.reading import Dataset
    from dyso.train.interruption import still_compiling
    from dyso.train.prior import run
    from dyso.train.prior.data import Videos
    from dyso.train.prior.vocabulary import vocabulary

    dataset = Dataset(data)
    split = split or next(iter(dataset.splits))
    model = config.model
    if model.resolution == (0, 0):
        resolution = dataset[split].spec.resolution
        model = dataclasses.replace(model, resolution=resolution)
    evaluate_split = evaluate_split or split_to_evaluate(list(dataset.splits), split)

    def read(name: str) -> Videos:
        progress = functools.partial(each, unit=f"scenes of {name} read")
        return Videos.read(dataset[name], dataset.resolved.objects, model, progress)

    videos = read(split)
    measured_on = None
    if evaluate_split and config.evaluate_every:
        measured_on = read(evaluate_split)
    if not model.words:
        # All texts that the run is measured with are of the vocabulary, too.
        sources = [videos] if measured_on is None else [videos, measured_on]
        texts = (text for each in sources for texts in each.captions for text in texts)
        model = dataclasses.replace(model, words=vocabulary(texts))
    config = dataclasses.replace(config, model=model)
    to_stderr(
        f"{len(videos)} videos of {videos.frames.shape[1]} frames, "
        f"{len(model.words)} words in their captions"
    )
    step = run.train(
        config,
        workdir,
        videos,
        measured_on=measured_on,
        data={"videos": identify(data, split, len(videos))},
        say=lambda metrics: print(describe_prior(metrics, config), flush=True),
        tell=to_stderr,
    )
    if step < config.training.steps:
        again = f"run the same command to resume from step {step}"
        to_stderr(f"stopped at step {step}; {again if step else 'no step done'}")
    else:
        print(f"sample videos: {workdir}/samples/{step:08}.png", flush=True)
    status = 130 if step < config.training.steps else 0
    if still_compiling():
        os._exit(status)
    return status


ALL: dict[str, Preset[Any]] = {**PRESETS, **PRIORS}
_WIDTH = max(map(len, ALL))
_PRESETS = "\n    ".join(
    [
        "The presets; `dyso train PRESET --help` shows the options of one:",
        *(f"  {name:{_WIDTH}}  {preset.about}" for name, preset in ALL.items()),
    ]
)
for _command in (main, video_prior):
    _command.__doc__ = str(_command.__doc__).replace("{presets}", _PRESETS)


def describe(metrics: dict[str, float], config: Config) -> str:
    """Returns a line of progress."""
    parts = [f"step {metrics['step']:.0f}/{config.training.steps}"]
    if "evaluation/psnr" in metrics:
        scores = [
            f"{name} {metrics[f'evaluation/{name}']:.3f}"
            for name in ("R_cam", "R_dyn")
            if f"evaluation/{name}" in metrics
        ]
        parts.append(f"evaluation PSNR {metrics['evaluation/psnr']:.2f}")
        return ", ".join(parts + scores)
    for name in ("scenes", "videos"):
        if f"{name}/loss" in metrics:
            parts.append(
                f"{name} loss {metrics[f'{name}/loss']:.5f} "
                f"PSNR {metrics[f'{name}/psnr']:.2f}"
            )
    left = timedelta(seconds=math.ceil(metrics["seconds_left"]))
    parts += [f"{metrics['steps_per_second']:.2f} steps/s", f"{left} left"]
    return ", ".join(parts)


def describe_prior(metrics: dict[str, float], config: PriorConfig) -> str:
    """Returns a line of progress of a video prior."""
    parts = [f"step {metrics['step']:.0f}/{config.training.steps}"]
    scores = {
        name.removeprefix("evaluation/").replace("_", " "): value
        for name, value in metrics.items()
        if name.startswith("evaluation/")
    }
    if scores:
        parts += [f"{name} {value:.4f}" for name, value in scores.items()]
        return ", ".join([parts[0], "evaluation: " + parts[1], *parts[2:]])
    for name in ("videos", "images"):
        if f"{name}/loss" in metrics:
            parts.append(f"{name} loss {metrics[f'{name}/loss']:.4f}")
    left = timedelta(seconds=math.ceil(metrics["seconds_left"]))
    parts += [f"{metrics['steps_per_second']:.2f} steps/s", f"{left} left"]
    return ", ".join(parts)
