"""Fits a dynamic field to a monocular video.

OUT/predictions.json, OUT/scene_<i>/...   what `dyso score` reads, see docs/scoring.md
OUT/scene_<i>/fit/journal.jsonl           the settings, a line for each checkpoint, and
                                          the report
OUT/scene_<i>/fit/<iteration>.npz         the newest checkpoint
OUT/scene_<i>/fit/weights.npz             rendering weights along the rays of one row
OUT/scene_<i>/fit/weights.png             a picture of them

Rays depend only on the seed and on the iteration, so a fit that was stopped at any
moment goes on from its newest checkpoint to the same result.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dyso.fit.iterations import iterate
from dyso.fit.motion import field as fields
from dyso.fit.motion import optimization
from dyso.fit.motion.cameras import aligned, moved, perturbed
from dyso.fit.motion.config import Config
from dyso.fit.motion.depth import degraded
from dyso.fit.motion.field import Frustum
from dyso.fit.motion.optimization import Parameters, Target
from dyso.fit.motion.rendering_weights import picture, statistics
from dyso.fit.motion.video import Video
from dyso.fit.predictions import Show, begin, new_file, write_cameras, write_view
from dyso.fit.rays import Rays, chances, image_rays, in_chunks, part_of, time_of
from dyso.fit.volume import Bounds, normalized
from dyso.sampling.rng import Streams
from dyso.scoring.poses import pose_errors
from dyso.storage import open_folder
from dyso.storage.resumable import Journal, resume

EVEN = 128
"""Intervals of a ray whose rendering weights are measured."""
REPORT = "report"


def fit(
    config: Config,
    video: Video,
    out: Path,
    *,
    dataset: str,
    method: str,
    tell: Callable[[str], None],
    show: Show,
) -> dict[str, float]:
    """Fits a video and writes its predictions; resumes what was begun in `out`.

    Args:
      config: the settings.
      video: the frames.
      out: the folder of the predictions of all scenes.
      dataset: the dataset's hash.
      method: the method's name in the predictions.
      tell: prints a line.
      show: shows the progress.

    Returns:
      `psnr` and `held_out_psnr`, means over frames and over held-out views;
      `rotation_start` and `rotation_end`, degrees, and `translation_start` and
      `translation_end`, metres, the aligned errors of the frames' poses before and
      after; the `statistics` of the frames' rendering weights; and the `seconds` of
      the iterations since the fit was begun or resumed.

    Raises:
      UserError: the folder has something else.
    """
    steps = len(video.frames.color)
    folder, identity = begin(
        out,
        method=method,
        dataset=dataset,
        split=video.name,
        scene=video.scene,
        cameras=[0],
        steps=steps,
        settings=asdict(config),
    )
    target = target_of(video, config)
    with resume(open_folder(str(folder / "fit")), identity) as journal:
        if REPORT not in journal.finished:
            begun = time.monotonic()
            parameters = _optimize(config, video, target, journal, tell, show)
            seconds = round(time.monotonic() - begun, 1)
            tell("rendering the held-out views, and the depth of the frames")
            report = _Writer(config, video, target, parameters, folder).write()
            journal.add(REPORT, {}, report | {"seconds": seconds})
        found: dict[str, float] = journal.finished[REPORT]
        return found


def target_of(video: Video, config: Config) -> Target:
    """Returns what is fitted: frames, degraded depth, and perturbed poses."""
    streams = Streams(seed=config.seed, split=video.name, index=video.scene, attempt=0)
    frames = video.frames
    given = degraded(frames.depth, config.depth, streams.named("depth"))
    bounds = Bounds(near=0.8 * float(given.min()), far=1.2 * float(given.max()))
    poses = perturbed(
        frames.extrinsics,
        config.cameras.rotation,
        config.cameras.translation / 100 * float(np.median(given)),
        streams.named("cameras"),
    )
    _, height, width = frames.depth.shape
    lens = frames.intrinsics[0]
    slopes = np.array([width / lens[0, 0], height / lens[1, 1]]) / 2
    return Target(
        color=jnp.asarray(frames.color),
        places=bounds.coordinate(jnp.asarray(given)),
        intrinsics=jnp.asarray(frames.intrinsics),
        extrinsics=jnp.asarray(poses),
        frustum=Frustum(
            extrinsics=jnp.asarray(poses[len(poses) // 2]),
            slopes=jnp.asarray(slopes * config.grid.margin, jnp.float32),
            bounds=bounds,
        ),
        chances=jnp.asarray(chances(frames.color)),
    )


def _optimize(
    config: Config,
    video: Video,
    target: Target,
    journal: Journal,
    tell: Callable[[str], None],
    show: Show,
) -> Parameters:
    """Returns the parameters after the last iteration."""
    steps = len(video.frames.color)
    key = jax.random.fold_in(jax.random.key(config.seed), config.iterations)
    parameters = Parameters(
        field=fields.initial(key, config.grid, steps), motions=jnp.zeros((steps, 6))
    )
    step = optimization.gradient_step(config)
    last = iterate(
        optimization.start(parameters, config),
        lambda state, number: step(state, target, number),
        config.iterations,
        journal,
        about=f"a gradient step of {config.rays} rays",
        tell=tell,
        show=show,
    )
    return last.parameters


@functools.partial(jax.jit, static_argnames=("coarse", "fine"))
def _render(
    field: fields.Field,
    rays: Rays,
    frustum: Frustum,
    *,
    coarse: int,
    fine: int,
) -> tuple[Array, Array]:
    """Returns colours, and distances: of the mean of s, as the losses have it."""
    got = optimization.render(field, rays, frustum, coarse=coarse, fine=fine)
    place = (normalized(got.weights) * got.places).sum(-1)
    return got.color, frustum.bounds.distance(place)


@jax.jit
def _weigh(field: fields.Field, rays: Rays, frustum: Frustum) -> Array:
    """Returns the rendering weights of even intervals."""
    return optimization.render(field, rays, frustum, coarse=EVEN, fine=0).weights


class _Writer:
    """Renders and writes the predictions of a fitted video."""

    def __init__(
        self,
        config: Config,
        video: Video,
        target: Target,
        parameters: Parameters,
        folder: Path,
    ):
        self._video, self._target, self._folder = video, target, folder
        self._field = parameters.field
        poses = np.asarray(target.extrinsics)
        if config.cameras.learn:
            poses = np.asarray(moved(target.extrinsics, parameters.motions))
        self._poses = poses.astype(np.float64)
        self._coarse, self._fine = config.coarse, config.fine

    def write(self) -> dict[str, float]:
        """Writes all files; returns the PSNRs and the statistics of weights."""
        frames, others = self._video.frames, self._video.held_out
        steps, cameras = others.color.shape[:2]
        poses = aligned(others.extrinsics, frames.extrinsics, self._poses)
        seen, held_out = [], []
        for t in range(steps):
            rays = self._rays(frames.intrinsics[t], self._poses[t], t)
            color, depth = self._image(rays)
            seen.append(_psnr(frames.color[t], color))
            write_view(self._folder, self._video.view(t, 0), None, depth)
            for camera in range(cameras):
                rays = self._rays(others.intrinsics[t, camera], poses[t, camera], t)
                color, depth = self._image(rays)
                held_out.append(_psnr(others.color[t, camera], color))
                view = self._video.view(t, 1 + camera)
                write_view(self._folder, view, color, depth)
        views = [self._video.view(t, 0) for t in range(steps)]
        write_cameras(self._folder, views, self._poses)
        scores = {"psnr": round(float(np.mean(seen)), 3)}
        starts = np.asarray(self._target.extrinsics, np.float64)
        for name, each in (("start", starts), ("end", self._poses)):
            errors = pose_errors(frames.extrinsics, each)
            for kind in ("rotation", "translation"):
                scores[f"{kind}_{name}"] = round(errors[f"{kind}_aligned"], 5)
        if held_out:
            scores["held_out_psnr"] = round(float(np.mean(held_out)), 3)
        return scores | self._write_weights()

    def _write_weights(self) -> dict[str, float]:
        """Writes the weights of a row of the middle frame; returns statistics.

        They are of a quarter of all frames' pixels; the row is the one whose distances
        change most over the video.
        """
        frames, target = self._video.frames, self._target
        steps, height, width = frames.depth.shape
        parts = []
        for t in range(steps):
            rays = self._rays(frames.intrinsics[t], self._poses[t], t)
            chosen = np.arange(height * width).reshape(height, width)[1::2, 1::2]
            parts.append(self._in_chunks(_weigh, part_of(rays, chosen.ravel())))
        places = np.asarray(target.places)
        row = int(np.abs(places - np.median(places, axis=0)).sum((0, 2)).argmax())
        t = steps // 2
        rays = self._rays(frames.intrinsics[t], self._poses[t], t)
        weights = self._in_chunks(_weigh, part_of(rays, row * width + np.arange(width)))
        bounds = target.frustum.bounds
        true = np.asarray(bounds.coordinate(jnp.asarray(frames.depth[t, row])))
        with new_file(self._folder / "fit/weights.npz") as file:
            np.savez_compressed(
                file, weights=weights, true=true, row=row, step=t, bounds=bounds
            )
        with new_file(self._folder / "fit/weights.png") as file:
            picture(weights, true, frames.color[t], row).save(file, format="PNG")
        found = statistics(np.concatenate(parts))
        return {name: round(value, 4) for name, value in found.items()}

    def _rays(
        self, lens: Float[np.ndarray, "3 3"], pose: Float[np.ndarray, "3 4"], t: int
    ) -> Rays:
        """Returns the rays through all pixels, by rows."""
        steps, height, width = self._video.frames.depth.shape
        return image_rays(lens, pose, (height, width), time_of(t, steps))

    def _image(
        self, rays: Rays
    ) -> tuple[Float[np.ndarray, "H W 3"], Float[np.ndarray, "H W"]]:
        _, height, width = self._video.frames.depth.shape
        render = functools.partial(_render, coarse=self._coarse, fine=self._fine)
        color, depth = self._in_chunks(render, rays)
        return (
            color.reshape(height, width, 3).clip(0, 1),
            depth.reshape(height, width),
        )

    def _in_chunks(self, render: Callable[..., Any], rays: Rays) -> Any:
        frustum = self._target.frustum
        return in_chunks(lambda some: render(self._field, some, frustum), rays)


def _psnr(true: np.ndarray, color: np.ndarray) -> float:
    return float(-10 * np.log10(((true / 255 - color) ** 2).mean()))
