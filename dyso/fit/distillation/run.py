"""Makes a moving scene from a text, and renders it.

OUT/journal.jsonl         the text, the prior and the settings; checkpoints; the report
OUT/<iteration>.npz       the newest checkpoint
OUT/samples/<it>.png      the scene at some times (columns) from four sides (rows)
OUT/turn.gif              the whole motion, from a camera that goes around the scene
OUT/meshes/step_00.glb    the scene at each of 16 times, for viewers of glTF
OUT/meshes/animation.glb  the same, one after another

Cameras and noise depend only on the seed and on the iteration, so a fit that was
stopped at any moment goes on from its newest checkpoint to the same result.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pydantic
from jaxtyping import Array
from PIL import Image

from dyso.errors import UserError
from dyso.fit.distillation import optimization
from dyso.fit.distillation.config import Config
from dyso.fit.distillation.meshes import write_meshes
from dyso.fit.distillation.optimization import STEPS, Prior
from dyso.fit.distillation.pipelines import INDEX, Pipeline, digest
from dyso.fit.distillation.rendering import views
from dyso.fit.hexplane.optimization import State
from dyso.fit.iterations import iterate, read_checkpoint
from dyso.fit.predictions import Show, new_file
from dyso.storage import open_folder
from dyso.storage.resumable import JOURNAL, finished_units, resume
from dyso.train import checkpoints
from dyso.train.prior.config import Config as PriorConfig
from dyso.train.prior.config import Network
from dyso.train.prior.run import init_state
from dyso.train.prior.vocabulary import encode

REPORT = "report"
_SIDES, _TIMES = 4, 6
_SHOWN = 128
"""The least width of a frame of pictures, in pixels."""


def fit(
    text: str,
    prior: Path,
    config: Config,
    out: Path,
    *,
    super_resolution: Path | None = None,
    tell: Callable[[str], None],
    show: Show,
) -> dict[str, float]:
    """Makes a scene, with pictures and meshes; resumes what was begun in `out`.

    Args:
      text: what the scene shows, in words that the prior knows.
      prior: the folder of a run of `dyso train video-prior`, or of a text-to-video
        pipeline of diffusers.
      config: the settings.
      out: the folder of the scene.
      super_resolution: the run of a prior of super-resolution, for the third stage.
      tell: prints a line.
      show: shows the progress.

    Returns:
      `opacity`, the mean of the last pictures, and the `seconds` since the fit was
      begun or resumed.

    Raises:
      UserError: there is no such prior, it does not know a word, the priors do not fit
        together, or the folder has something else.
    """
    if bool(config.super_steps) != (super_resolution is not None):
        raise UserError("--super-resolution PRIOR and --super-steps N need each other")
    model: Network | Pipeline
    given: Prior | Pipeline
    if (prior / INDEX).is_file():
        model = given = Pipeline(prior, text, config.guidance)
        used = {"pipeline": digest(prior)}
    else:
        model, given, used = _open(prior, text, tell)
    if isinstance(model, Network) and model.upsampling > 1:
        raise UserError(
            f"{prior}: is a prior of super-resolution; it is the second one"
        )
    identity = {
        "fit": "text to 4D",
        "text": text,
        "prior": used,
        "settings": asdict(config),
    }
    large, larger = None, None
    if super_resolution is not None:
        large, larger, used = _open(super_resolution, text, tell)
        identity["super_resolution"] = used
        _check_larger(super_resolution, large, model)
    size = (large or model).resolution
    still = optimization.gradient_step(config, model, 1)
    moving = optimization.gradient_step(config, model, model.frames)
    super_step = optimization.gradient_step(config, model, model.frames, large)

    def advance(state: State, number: Array) -> tuple[State, Array]:
        count = int(number) + 1
        if count <= config.static:
            state, error = still(state, given, number)
        elif count <= config.static + config.dynamic:
            state, error = moving(state, given, number)
        else:
            state, error = super_step(state, given, number, larger)
        if config.sample_every and count % config.sample_every == 0:
            _write_sample(out / f"samples/{count:06}.png", state, config, size, count)
        return state, error

    with resume(open_folder(str(out)), identity) as journal:
        if REPORT not in journal.finished:
            begun = time.monotonic()
            tell(f"{config.static} iterations on images, {config.dynamic} on videos")
            if config.super_steps:
                height, width = size
                tell(f"{config.super_steps} iterations at {height} x {width} pixels")
            state = iterate(
                optimization.start(config),
                advance,
                config.iterations,
                journal,
                about="gradient steps through the prior: up to minutes, at each stage",
                note="error of the noise {:.3f}",
                tell=tell,
                show=show,
            )
            seconds = round(time.monotonic() - begun, 1)
            tell("writing the last pictures, turn.gif and the meshes")
            opacity = _write_result(out, state, config, size)
            journal.add(REPORT, {}, {"opacity": opacity, "seconds": seconds})
        found: dict[str, float] = journal.finished[REPORT]
        return found


def _open(
    prior: Path, text: str, tell: Callable[[str], None]
) -> tuple[Network, Prior, dict[str, Any]]:
    """Returns a prior's network, the prior with the text, and what identifies it."""
    settings = checkpoints.load_config(prior, PriorConfig)
    model = settings.model
    step, params = checkpoints.load_params(prior, settings, tell, init=init_state)
    words = jnp.asarray(encode([text], model.words, model.tokens))
    digest = hashlib.sha256((prior / "config.json").read_bytes()).hexdigest()
    return model, Prior(params, words), {"config": digest, "step": step}


def _check_larger(path: Path, large: Network, model: Network | Pipeline) -> None:
    """Checks that a prior of super-resolution enlarges the videos of another prior.

    Raises:
      UserError: it does not.
    """
    height, width = (size // large.upsampling for size in large.resolution)
    if large.upsampling == 1:
        raise UserError(f"{path}: is no prior of super-resolution")
    if (height, width, large.frames) != (*model.resolution, model.frames):
        raise UserError(
            f"{path}: enlarges {large.frames} frames of {height} x {width} pixels, but "
            "the other prior has {} of {} x {}".format(model.frames, *model.resolution)
        )


def load(out: Path) -> tuple[str, Config, State]:
    """Returns the text, the settings and the last state of a finished fit.

    Raises:
      UserError: the folder has none.
    """
    try:
        identity = json.loads((out / JOURNAL).read_bytes().partition(b"\n")[0])
        text, settings = identity["text"], identity["settings"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"{out}: no scene of `dyso fit text-to-4d`") from error
    if REPORT not in finished_units(open_folder(str(out)), identity):
        raise UserError(f"{out}: is not finished; run `dyso fit` again to resume")
    config = pydantic.TypeAdapter(Config).validate_python(settings)
    state = read_checkpoint(out, config.iterations, optimization.start(config))
    return text, config, state


def _pixels(color: Array) -> np.ndarray:
    """Returns frames as bytes, and small ones magnified."""
    pixels = np.rint(255 * np.clip(np.asarray(color), 0, 1)).astype(np.uint8)
    factor = -(-_SHOWN // pixels.shape[2])
    return pixels.repeat(factor, axis=1).repeat(factor, axis=2)


def _write_sample(
    path: Path, state: State, config: Config, size: tuple[int, int], count: int
) -> float:
    """Writes the scene at some times from some sides; returns the mean opacity."""
    sides = np.linspace(0, 2 * np.pi, _SIDES, endpoint=False)
    times = np.linspace(-1, 1, _TIMES)
    _, got = views(
        state,
        config,
        count,
        np.repeat(sides, _TIMES),
        np.tile(times, _SIDES),
        size,
    )
    frames = _pixels(got.color)
    rows = frames.reshape(_SIDES, _TIMES, *frames.shape[1:])
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in rows])
    with new_file(path) as file:
        Image.fromarray(sheet).save(file, format="PNG")
    return round(float(got.opacity.mean()), 4)


def _write_result(
    out: Path, state: State, config: Config, size: tuple[int, int]
) -> float:
    count = config.iterations
    opacity = _write_sample(out / f"samples/{count:06}.png", state, config, size, count)
    number = 2 * STEPS
    azimuth = np.linspace(0, 2 * np.pi, number, endpoint=False)
    times = np.linspace(-1, 1, number)
    _, got = views(state, config, count, azimuth, times, size)
    images = [Image.fromarray(frame) for frame in _pixels(got.color)]
    with new_file(out / "turn.gif") as file:
        images[0].save(
            file,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=80,
            loop=0,
        )
    write_meshes(out, state, config)
    return opacity
