"""`dyso fit`: fits a method to one scene of a dataset, or to a text."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro

from dyso.cli.arguments import refusal
from dyso.cli.bar import Bar
from dyso.fit.distillation.config import Config as DistillationConfig
from dyso.fit.distillation.presets import PRESETS as DISTILLATION
from dyso.fit.gaussians.config import Config as GaussiansConfig
from dyso.fit.gaussians.presets import PRESETS as GAUSSIANS
from dyso.fit.hexplane.config import Config as HexPlaneConfig
from dyso.fit.hexplane.presets import PRESETS as HEXPLANE
from dyso.fit.motion.config import Config as MotionConfig
from dyso.fit.motion.presets import PRESETS as MOTION
from dyso.fit.presets import Preset
from dyso.terminal import say, stopped, to_stderr

PRESETS: dict[str, Preset[Any]] = {
    **GAUSSIANS,
    **MOTION,
    **HEXPLANE,
    **DISTILLATION,
}


def select(arguments: list[str]) -> tuple[str, Callable[..., int], list[str]]:
    """Returns the command with the settings of the method that the arguments name.

    Raises:
      UserError: there is no such method.
    """
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        config = PRESETS["dynamic-gaussians"].config
        overview = functools.partial(gaussians, config=config)
        _, _, arguments_of = str(gaussians.__doc__).partition(_METHODS)
        overview.__doc__ = _OVERVIEW + arguments_of
        return "fit METHOD", overview, [name]
    if name not in PRESETS:
        raise refusal("dyso fit", "method", name, PRESETS)
    commands = (
        (GAUSSIANS, gaussians),
        (MOTION, small_motion),
        (HEXPLANE, hexplane),
        (DISTILLATION, text_to_4d),
    )
    command = next(each for presets, each in commands if name in presets)
    return f"fit {name}", functools.partial(command, config=PRESETS[name].config), rest


def gaussians(
    dataset: tyro.conf.Positional[Path],
    *,
    config: Annotated[GaussiansConfig, tyro.conf.arg(name="")],
    out: Path,
    split: str | None = None,
    scene: int = 0,
    name: str = "dynamic Gaussians",
) -> int:
    """Fit dynamic Gaussians to one scene; run the same command to resume.

    Several cameras must see each dynamics step. Every setting can be changed, as in
    `--losses.rigid 0`.

    {methods}

    Args:
      dataset: the folder of a dataset.
      config: the settings.
      out: where the predictions go, in OUT/scene_<i>, which `dyso score` reads; other
        scenes of the split may go to the same folder.
      split: the split that the scene is in; default: the first split.
      scene: the scene's position in the split.
      name: the method's name in the scores.
    """
    to_stderr(f"dyso fit: loading JAX and {dataset}")
    from dyso.fit.data import MultiView
    from dyso.fit.gaussians.run import fit
    from dyso.reading import Dataset

    data = Dataset(dataset)
    chosen = data[split or next(iter(data.splits))]
    views = MultiView.open(chosen, scene, config.held_out)
    to_stderr(views.about)
    try:
        reports = _with_progress(
            fit, config, views, out, dataset=data.resolved.hash, method=name
        )
    except KeyboardInterrupt:
        return stopped()
    for report in reports:
        say(
            f"time step {report['step']}: PSNR {report['psnr']:.2f} dB, held-out "
            f"cameras {report['held_out_psnr']:.2f} dB, {report['gaussians']} "
            f"Gaussians, {report['seconds']:.0f} s"
        )
    _say_next(out, dataset)
    return 0


def small_motion(
    dataset: tyro.conf.Positional[Path],
    *,
    config: Annotated[MotionConfig, tyro.conf.arg(name="")],
    out: Path,
    split: str | None = None,
    scene: int = 0,
    name: str | None = None,
) -> int:
    """Fit a dynamic field to one monocular video; run the same command to resume.

    One camera must move from step to step, as in specs/small_motion.yaml; other cameras
    are held out. Every setting can be changed, as in `--depth.loss expectation`.

    {methods}

    Args:
      dataset: the folder of a dataset.
      config: the settings.
      out: where the predictions go, in OUT/scene_<i>, which `dyso score` reads; other
        scenes of the split may go to the same folder.
      split: the split that the scene is in; default: the first split.
      scene: the scene's position in the split.
      name: the method's name in the scores; default: the field, and its `depth.loss`.
    """
    to_stderr(f"dyso fit: loading JAX and {dataset}")
    from dyso.fit.motion.run import fit
    from dyso.fit.motion.video import Video
    from dyso.reading import Dataset

    data = Dataset(dataset)
    chosen = data[split or next(iter(data.splits))]
    video = Video.read(chosen, scene)
    steps, held_out = video.held_out.color.shape[:2]
    to_stderr(
        f"scene {scene} of {chosen.name}: {steps} frames, {held_out} held-out cameras"
    )
    try:
        report = _with_progress(
            fit,
            config,
            video,
            out,
            dataset=data.resolved.hash,
            method=name or f"dynamic field, depth: {config.depth.loss}",
        )
    except KeyboardInterrupt:
        return stopped()
    say(f"frames: PSNR {report['psnr']:.2f} dB")
    if "held_out_psnr" in report:
        say(f"held-out cameras: PSNR {report['held_out_psnr']:.2f} dB")
    if config.cameras.learn:
        say(
            f"poses: error {report['rotation_start']:.3f} to "
            f"{report['rotation_end']:.3f} degrees and "
            f"{report['translation_start']:.4f} to {report['translation_end']:.4f} m"
        )
    weights = out / f"scene_{scene}" / "fit/weights.png"
    say(f"rays with unimodal weights: {100 * report['unimodal']:.1f} %, see {weights}")
    _say_next(out, dataset)
    return 0


def hexplane(
    dataset: tyro.conf.Positional[Path],
    *,
    config: Annotated[HexPlaneConfig, tyro.conf.arg(name="")],
    out: Path,
    split: str | None = None,
    scene: int = 0,
    name: str = "HexPlane",
) -> int:
    """Fit a HexPlane to one scene; run the same command to resume.

    Several cameras may see each dynamics step, or one moving camera. Every setting can
    be changed, as in `--grid.levels 4`.

    {methods}

    Args:
      dataset: the folder of a dataset.
      config: the settings.
      out: where the predictions go, in OUT/scene_<i>, which `dyso score` reads; other
        scenes of the split may go to the same folder.
      split: the split that the scene is in; default: the first split.
      scene: the scene's position in the split.
      name: the method's name in the scores.
    """
    to_stderr(f"dyso fit: loading JAX and {dataset}")
    from dyso.fit.data import MultiView
    from dyso.fit.hexplane.run import fit
    from dyso.reading import Dataset

    data = Dataset(dataset)
    chosen = data[split or next(iter(data.splits))]
    views = MultiView.open(chosen, scene, config.held_out)
    to_stderr(views.about)
    try:
        report = _with_progress(
            fit, config, views, out, dataset=data.resolved.hash, method=name
        )
    except KeyboardInterrupt:
        return stopped()
    say(f"training cameras: PSNR {report['psnr']:.2f} dB")
    if "held_out_psnr" in report:
        say(f"held-out cameras: PSNR {report['held_out_psnr']:.2f} dB")
    say(
        f"occupied cells of space: {100 * report['occupied']:.1f} %; "
        f"{report['seconds']:.0f} s"
    )
    _say_next(out, dataset)
    return 0


def text_to_4d(
    text: tyro.conf.Positional[str],
    *,
    config: Annotated[DistillationConfig, tyro.conf.arg(name="")],
    prior: Path,
    out: Path,
    super_resolution: Path | None = None,
) -> int:
    """Make a moving 3D scene from a text; run the same command to resume.

    A video prior is distilled into a HexPlane: first a scene that stands still, from
    single images; then its motion, from videos; and, with --super-resolution, details
    of a higher resolution. Every setting can be changed, as in `--cameras.turn 0`.

    {methods}

    Args:
      text: what the scene shows, in words of the captions that the prior was trained
        on, such as `a red plastic chair moving along a curve`.
      config: the settings.
      prior: the folder of a run of `dyso train video-prior`, or of a text-to-video
        pipeline of diffusers (`pip install 'dyso[diffusers]'`), which takes any text.
      out: the folder for the scene: pictures, turn.gif and meshes.
      super_resolution: the folder of a run of `dyso train
        video-prior-super-resolution-tiny`, for a third stage of `--super-steps` steps.
    """
    to_stderr(f"dyso fit: loading JAX and {prior}")
    from dyso.fit.distillation.run import fit

    try:
        report = _with_progress(
            fit, text, prior, config, out, super_resolution=super_resolution
        )
    except KeyboardInterrupt:
        return stopped()
    say(f"mean opacity {report['opacity']:.3f}; {report['seconds']:.0f} s")
    say(f"the scene: {out / 'turn.gif'}, {out / 'samples'}, {out / 'meshes'}")
    return 0


def _with_progress(fit: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Returns what a fit returns, and shows its progress."""
    with Bar("iterations") as bar:
        return fit(*arguments, **options, tell=to_stderr, show=bar.show)


def _say_next(out: Path, dataset: Path) -> None:
    say(f"next: dyso score {shlex.quote(str(out))} --data {shlex.quote(str(dataset))}")


_WIDTH = max(map(len, PRESETS))
_METHODS = "\n    ".join(
    [
        "The methods; `dyso fit METHOD --help` shows the settings of one:",
        *(f"  {name:{_WIDTH}}  {preset.about}" for name, preset in PRESETS.items()),
    ]
)
_OVERVIEW = f"""Fit a method to one scene of a dataset, or make a scene from a text.

    {_METHODS}

    The options below are those of `dynamic-gaussians`."""
for _command in (gaussians, small_motion, hexplane, text_to_4d):
    _command.__doc__ = str(_command.__doc__).replace("{methods}", _METHODS)
