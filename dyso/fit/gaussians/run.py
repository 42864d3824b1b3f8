"""Fits Dynamic 3D Gaussians to a scene, one time step after another.

OUT/predictions.json, OUT/scene_<i>/...   what `dyso score` reads, see docs/scoring.md
OUT/scene_<i>/fit/journal.jsonl           the settings, and a line for each time step
OUT/scene_<i>/fit/steps/0000.npz          all Gaussians after time step 0
OUT/scene_<i>/fit/steps/<step>.npz        means, rotations and colours after a later one

A time step is finished when its line is written, so a fit that was stopped at any
moment goes on with the step that it was at.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from dyso.errors import UserError
from dyso.fit.data import MultiView, chosen_points, cloud
from dyso.fit.gaussians import densification, losses, optimization, predictions
from dyso.fit.gaussians.config import Config
from dyso.fit.gaussians.model import EMPTY, Gaussians, compacted, initial
from dyso.fit.gaussians.optimization import FIRST, LATER, Target, camera_of
from dyso.fit.gaussians.projection import project
from dyso.fit.gaussians.tiles import count_entries
from dyso.fit.images import psnr
from dyso.fit.predictions import Show, write_view
from dyso.sampling.rng import Streams
from dyso.spec import Spec
from dyso.storage import open_folder
from dyso.storage.resumable import Journal, resume

SHOWN_EVERY = 20
"""Iterations between two states of the progress."""
COUNTED_EVERY = 100
"""Iterations between two looks at the capacity."""
MARGIN = 1.3
"""Capacity of the rasterizer, over the entries of the fullest view."""


class Track(NamedTuple):
    """The Gaussians' paths so far.

    Attributes:
      first: the Gaussians after time step 0.
      means: [N, 3] after each time step.
      rotations: [N, 4] after each.
      colors: [N, 3] after the last.
    """

    first: Gaussians
    means: list[np.ndarray]
    rotations: list[np.ndarray]
    colors: np.ndarray

    def at(self, step: int) -> Gaussians:
        """Returns the Gaussians after a time step, with the newest colours."""
        return self.first._replace(
            means=jnp.asarray(self.means[step]),
            rotations=jnp.asarray(self.rotations[step]),
            colors=jnp.asarray(self.colors),
        )


def fit(
    config: Config,
    scene: MultiView,
    out: Path,
    *,
    dataset: str,
    method: str,
    tell: Callable[[str], None],
    show: Show,
) -> list[dict[str, float]]:
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
      The report on each time step: its number, PSNR of the training views in the last
      iterations and of the held-out views, the number of Gaussians, and the seconds.

    Raises:
      UserError: the folder has something else, no surface can be seen, one camera sees
        each step, or the background is at infinity.
      RecordError: the scene is damaged.
    """
    _check(scene.split.spec)
    config = replace(config, held_out=scene.held_out)
    folder, identity = scene.begin(
        out, method=method, dataset=dataset, settings=asdict(config)
    )
    with resume(open_folder(str(folder / "fit")), identity) as journal:
        run = _Run(config, scene, folder, journal, tell, show)
        for step in range(scene.steps):
            run.do(step)
        tracked = run.track
        assert tracked is not None
        _write_tracks(scene, folder, tracked)
        return [journal.finished[_unit(step)] for step in range(scene.steps)]


def _check(spec: Spec) -> None:
    if spec.cameras.paired:
        raise UserError(
            f"{spec.name}: cameras.paired is true, so one camera sees each step; "
            "expected several"
        )
    if spec.backgrounds.backdrop == "environment":
        raise UserError(
            f"{spec.name}: backgrounds.backdrop is environment, which is at infinity, "
            "where no Gaussians are; expected dome"
        )


def read_track(folder: Path, steps: int) -> Track:
    """Returns the paths of the Gaussians of a fit.

    Args:
      folder: OUT/scene_<i>/fit.
      steps: the number of finished time steps.
    """
    files = [dict(np.load(folder / _unit(step))) for step in range(steps)]
    first = Gaussians(**{n: jnp.asarray(v) for n, v in files[0].items()})
    return Track(
        first=first,
        means=[each["means"] for each in files],
        rotations=[each["rotations"] for each in files],
        colors=files[-1]["colors"],
    )


def _unit(step: int) -> str:
    return f"steps/{step:04}.npz"


def _write_tracks(scene: MultiView, folder: Path, track: Track) -> None:
    from dyso.scoring import queries_of

    if scene.steps < 2:
        return
    points = queries_of(scene.split, scene.scene).point
    tracks = predictions.follow(
        track.first, np.stack(track.means), np.stack(track.rotations), points
    )
    predictions.write_tracks(folder, tracks)


class _Run:
    """A fit in progress.

    Attributes:
      track: the paths up to the last finished time step; None before the first.
    """

    def __init__(
        self,
        config: Config,
        scene: MultiView,
        folder: Path,
        journal: Journal,
        tell: Callable[[str], None],
        show: Show,
    ):
        self._config, self._scene, self._folder = config, scene, folder
        self._journal, self._tell, self._show = journal, tell, show
        self._streams = Streams(
            seed=config.seed, split=scene.split.name, index=scene.scene, attempt=0
        )
        self._structure: losses.Structure | None = None
        self._capacity = 0
        self._later: Any = None
        self.track: Track | None = None
        done = 0
        while done < scene.steps and _unit(done) in journal.finished:
            done += 1
        if done:
            self.track = read_track(folder / "fit", done)
            tell(f"resuming after time step {done - 1}")
        planned = config.first_iterations + config.iterations * (scene.steps - 1)
        finished = config.first_iterations + config.iterations * (done - 1)
        self._planned, self._done = planned, finished if done else 0

    def do(self, step: int) -> None:
        """Fits a time step, unless it is finished."""
        if self.track is not None and step < len(self.track.means):
            return
        begun = time.monotonic()
        views = self._scene.read(step)
        target = optimization.target_of(views)
        radius = optimization.scene_radius(views, self._scene.training)
        if step == 0:
            gaussians, score = self._first(target, radius, views)
            self.track = Track(gaussians, [], [], np.asarray(gaussians.colors))
            saved = dict(gaussians._asdict())
        else:
            gaussians, score = self._next(step, target, radius)
            saved = {name: getattr(gaussians, name) for name in LATER}
        track = self.track
        assert track is not None
        held_out = self._write_views(step, gaussians, target)
        report = {
            "step": step,
            "psnr": round(score, 3),
            "held_out_psnr": round(held_out, 3),
            "gaussians": len(gaussians.means),
            "seconds": round(time.monotonic() - begun, 1),
        }
        with self._journal.folder.scratch() as scratch:
            file = scratch / "step.npz"
            np.savez(file, **{name: np.asarray(each) for name, each in saved.items()})
            size = file.stat().st_size
            self._journal.folder.put(file, _unit(step), "")
            self._journal.add(_unit(step), {_unit(step): size}, report)
        self.track = track._replace(
            means=[*track.means, np.asarray(gaussians.means)],
            rotations=[*track.rotations, np.asarray(gaussians.rotations)],
            colors=np.asarray(gaussians.colors),
        )

    def _first(
        self, target: Target, radius: float, views: Any
    ) -> tuple[Gaussians, float]:
        """Fits time step 0 from the point cloud; returns the Gaussians and the PSNR."""
        config, densify = self._config, self._config.densification
        whole = cloud(views, self._scene.training)
        if not len(whole.points):
            raise UserError("no training camera sees a surface at dynamics step 0")
        points = chosen_points(
            whole,
            max(round(config.gaussians * config.initial), 1),
            config.foreground,
            self._streams.named("points"),
        )
        rng = self._streams.named("densification")
        gaussians = initial(points, config.gaussians, self._scene.cameras)
        state = optimization.start(gaussians, FIRST)
        nothing = densification.nothing_gathered(config.gaussians)
        gathered, step, scores = nothing, None, _Scores()
        for nth, camera in enumerate(self._cameras(0, config.first_iterations), 1):
            if nth % COUNTED_EVERY == 1 and self._grow(state.gaussians, target):
                step = optimization.first_step(
                    config.losses,
                    config.rates,
                    radius,
                    self._scene.size,
                    self._capacity,
                )
                self._say_compiling(0, state.gaussians)
            assert step is not None
            state, gathered, score = step(state, gathered, target, camera)
            self._progress(0, scores, score)
            if densify.start <= nth <= densify.stop and nth % densify.every == 0:
                result = densification.densify(
                    state.gaussians, gathered, nth, radius, densify, rng
                )
                forget = functools.partial(densification.forget, changed=result.changed)
                adam = state.adam._replace(
                    mu=forget(state.adam.mu), nu=forget(state.adam.nu)
                )
                state, gathered = (
                    state._replace(gaussians=result.gaussians, adam=adam),
                    nothing,
                )
            if densify.reset and nth <= densify.stop and nth % densify.reset == 0:
                low = densification.without_opacity(state.gaussians)
                state = optimization.start(low, FIRST)
        return compacted(state.gaussians), scores.mean()

    def _next(
        self, step: int, target: Target, radius: float
    ) -> tuple[Gaussians, float]:
        """Fits a later time step; returns the Gaussians and the PSNR."""
        track, config = self.track, self._config
        assert track is not None
        if self._structure is None:
            self._structure = losses.structure_of(track.first, config.neighbors)
        now = track.at(step - 1)
        last = losses.before(now)
        gaussians = now
        if step > 1:
            gaussians = optimization.forecast(now, losses.before(track.at(step - 2)))
        state = optimization.start(gaussians, LATER)
        scores = _Scores()
        for nth, camera in enumerate(self._cameras(step, config.iterations), 1):
            grown = nth % COUNTED_EVERY == 1 and self._grow(state.gaussians, target)
            if grown or self._later is None:
                self._later = optimization.later_step(
                    config.losses,
                    config.rates,
                    radius,
                    self._scene.size,
                    self._capacity,
                )
                self._say_compiling(step, state.gaussians)
            state, score = self._later(state, last, self._structure, target, camera)
            self._progress(step, scores, score)
        return state.gaussians, scores.mean()

    def _cameras(self, step: int, iterations: int) -> Iterator[int]:
        """Yields a training camera for each iteration, all of them in turns."""
        rng = self._streams.named(f"cameras of time step {step}")
        order: list[int] = []
        for _ in range(iterations):
            order = order or rng.permutation(self._scene.training).tolist()
            yield order.pop()

    def _grow(self, gaussians: Gaussians, target: Target) -> bool:
        """Raises the capacity if a view may need more; says whether it has."""
        needed = int(_most_entries(gaussians, target, self._scene.size))
        if needed <= self._capacity:
            return False
        self._capacity = int(MARGIN * needed) + 1024
        return True

    def _say_compiling(self, step: int, gaussians: Gaussians) -> None:
        height, width = self._scene.size
        self._tell(
            f"time step {step}: compiling a gradient step for "
            f"{len(gaussians.means)} Gaussians, {height} x {width} pixels and "
            f"{self._capacity} entries of tiles"
        )

    def _progress(self, step: int, scores: _Scores, score: Array) -> None:
        scores.add(score)
        self._done += 1
        if self._done % SHOWN_EVERY == 0 or self._done == self._planned:
            note = f"time step {step + 1}/{self._scene.steps}, "
            note += f"PSNR {scores.mean():.2f} dB"
            self._show(self._done, self._planned, note=note)

    def _write_views(self, step: int, gaussians: Gaussians, target: Target) -> float:
        """Writes the held-out views of a time step; returns their mean PSNR."""
        if self._grow(gaussians, target):
            self._later = None
        scores = []
        for number in self._scene.held_out:
            color, depth = _render(
                gaussians, camera_of(target, number), self._scene.size, self._capacity
            )
            true = target.color[number].astype(jnp.float32) / 255
            scores.append(float(psnr(true, color)))
            write_view(
                self._folder,
                self._scene.view(step, number),
                np.asarray(color),
                np.asarray(depth),
            )
        return float(np.mean(scores))


_render = jax.jit(predictions.render_view, static_argnums=(2, 3))


@functools.partial(jax.jit, static_argnums=2)
def _most_entries(gaussians: Gaussians, target: Target, size: tuple[int, int]) -> Array:
    """Returns the entries of the camera that has most; see `count_entries`."""
    opacities = jax.nn.sigmoid(gaussians.logit_opacities)
    opacities = jnp.where(gaussians.logit_opacities > EMPTY, opacities, 0.0)

    def of_camera(camera: Any) -> Array:
        splats = project(
            gaussians.means,
            gaussians.rotations,
            jnp.exp(gaussians.log_scales),
            opacities,
            camera,
            size,
        )
        return count_entries(splats, size)

    return jax.lax.map(of_camera, target.cameras).max()


class _Scores:
    """The PSNR of the last iterations, which may not be finished."""

    def __init__(self) -> None:
        self._values: list[Array] = []

    def add(self, value: Array) -> None:
        self._values = [*self._values[1 - SHOWN_EVERY :], value]

    def mean(self) -> float:
        return float(np.mean(jax.device_get(self._values)))
