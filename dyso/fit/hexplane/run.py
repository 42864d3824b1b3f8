"""Fits a HexPlane to a scene that several cameras see, or to a video.

OUT/predictions.json, OUT/scene_<i>/...   what `dyso score` reads, see docs/scoring.md
OUT/scene_<i>/fit/journal.jsonl           the settings, a line for each checkpoint, and
                                          the report
OUT/scene_<i>/fit/<iteration>.npz         the newest checkpoint

Rays depend only on the seed and on the iteration, so a fit that was stopped at any
moment goes on from its newest checkpoint to the same result.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array, Float

from dyso.fit.data import MultiView
from dyso.fit.hexplane import marching, optimization
from dyso.fit.hexplane.config import Config
from dyso.fit.hexplane.field import Field, Region
from dyso.fit.hexplane.occupancy import Densities
from dyso.fit.images import psnr
from dyso.fit.iterations import iterate
from dyso.fit.predictions import Show, write_view
from dyso.fit.rays import Rays, image_rays, in_chunks, time_of
from dyso.storage import open_folder
from dyso.storage.resumable import resume

REPORT = "report"


def fit(
    config: Config,
    scene: MultiView,
    out: Path,
    *,
    dataset: str,
    method: str,
    tell: Callable[[str], None],
    show: Show,
) -> dict[str, float]:
    """Fits a scene and writes its predictions; resumes what was begun in `out`.

    Args:
      config: the settings.
      scene: the scene.
      out: the folder of the predictions of all scenes.
      dataset: the dataset's hash.
      method: the method's name in the predictions.
      tell: prints a line.
      show: shows the progress.

    Returns:
      `psnr`, mean over one training view of each step, of another camera each time;
      `held_out_psnr`, mean over held-out views, if there are any; `occupied`, the share
      of the occupancy grid's cells; and the `seconds` of the iterations since the fit
      was begun or resumed.

    Raises:
      UserError: the folder has something else, or nothing is seen.
      RecordError: the scene is damaged.
    """
    config = replace(config, held_out=scene.held_out)
    folder, identity = scene.begin(
        out, method=method, dataset=dataset, settings=asdict(config)
    )
    with resume(open_folder(str(folder / "fit")), identity) as journal:
        if REPORT not in journal.finished:
            target = optimization.target_of(scene, config.grid.margin)
            step = optimization.gradient_step(config)
            begun = time.monotonic()
            state = iterate(
                optimization.start(config, scene.steps),
                lambda state, number: step(state, target, number),
                config.iterations,
                journal,
                about=f"a gradient step of {config.rays} rays",
                tell=tell,
                show=show,
            )
            seconds = round(time.monotonic() - begun, 1)
            tell("rendering the held-out views")
            report = _write(config, scene, target.region, state, folder)
            journal.add(REPORT, {}, report | {"seconds": seconds})
        found: dict[str, float] = journal.finished[REPORT]
        return found


def _write(
    config: Config,
    scene: MultiView,
    region: Region,
    state: optimization.State,
    folder: Path,
) -> dict[str, float]:
    """Writes the held-out views, and a video's depth; returns the report."""
    draw = functools.partial(_render, config=config)
    monocular = len(scene.training) == 1
    scores: dict[str, list[float]] = {"psnr": [], "held_out_psnr": []}

    def views(step: int, cameras: Sequence[int], score: str) -> None:
        truth = scene.read(step)
        for camera in cameras:
            rays = image_rays(
                truth.intrinsics[camera],
                truth.extrinsics[camera],
                scene.size,
                time_of(step, scene.steps),
            )
            color, depth = in_chunks(
                lambda some: draw(state.field, state.densities, some, region), rays
            )
            color = color.reshape(*scene.size, 3).clip(0, 1)
            scores[score].append(float(psnr(truth.color[camera] / 255, color)))
            held_out = camera in scene.held_out
            if held_out or monocular:
                write_view(
                    folder,
                    scene.view(step, camera),
                    color if held_out else None,
                    depth.reshape(scene.size),
                )

    for step in range(scene.steps):
        views(step, [scene.training[step % len(scene.training)]], "psnr")
        views(step, scene.held_out, "held_out_psnr")
    densities = np.asarray(state.densities)
    least = -np.log1p(-config.occupancy.least) * config.occupancy.cells / 2
    report = {name: round(float(np.mean(x)), 3) for name, x in scores.items() if x}
    return report | {"occupied": round(float((densities > least).mean()), 4)}


@functools.partial(jax.jit, static_argnames="config")
def _render(
    field: Field, densities: Densities, rays: Rays, region: Region, *, config: Config
) -> tuple[Float[Array, "N 3"], Float[Array, " N"]]:
    """Returns colours, and distances in metres: of the mean of s.

    What passes all points is as far as the bounds are.
    """
    got = marching.render(field, densities, rays, region, config)
    through = 1 - got.weights.sum(-1)
    place = (got.weights * got.places).sum(-1) + through
    return got.color, region.bounds.distance(place)
