"""What a trained model is worth on the scenes of a split."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from dyso.train.data import Batch, Scenes, relative
from dyso.train.latent_sources import Way, choose, crop, halves, partners, ways
from dyso.train.metrics import (
    Measure,
    Principal,
    contrastiveness,
    distances,
    principal,
    relations,
    traverse,
)
from dyso.train.predict import Predictor

if TYPE_CHECKING:
    from dyso.reading import Split

VIEWS_SEED = 2310
"""Decides, with a scene's index, which of its views are inputs and targets: they are
the same for every run that has as many of them."""

BATCH = 4
SHOWN = 6
GRID = 5  # cameras and steps of the distance matrices, at most
COMPONENTS = 3
TRAVERSED = 7  # places along each component
_TRAVERSED_SCENES = 2


@dataclass(frozen=True, kw_only=True)
class Example:
    """A scene for the report.

    Attributes:
      inputs: [V, H, W, 3] uint8.
      target: [H, W, 3] in [0, 1].
      predicted: the same, for each way.
    """

    inputs: np.ndarray
    target: np.ndarray
    predicted: list[np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Results.

    Attributes:
      figures: for JSON; see docs/training.md.
      examples: some scenes.
      traversals: by latent: [scene, component, step, H, W, 3] in [0, 1].
    """

    figures: dict[str, Any]
    examples: list[Example]
    traversals: dict[str, np.ndarray]


def evaluate(
    predictor: Predictor,
    split: Split,
    scenes: int,
    measures: dict[str, Measure],
    progress: Callable[[range], Iterable[int]] = iter,
) -> Evaluation:
    """Evaluates a model on the first scenes of a split.

    Args:
      predictor: the model.
      split: the scenes.
      scenes: how many, at most.
      measures: of images, by name.
      progress: is given the numbers of the scenes that batches begin with, and gives
        them.

    Raises:
      UserError: the dataset has too few views, or of another size.
    """
    config, table = predictor.config, ways(predictor.config)
    source = Scenes(split=split, config=config)
    count = min(scenes, len(source))
    size = config.model.resolution
    smallest = min(
        size[0], *(size[1] // (1 if w.region == "whole" else 2) for w in table)
    )
    used = {name: own for name, own in measures.items() if smallest >= own.smallest}
    gathered: dict[str, list[np.ndarray]] = {}
    examples: list[Example] = []
    starts: list[tuple[Any, dict[str, np.ndarray]]] = []
    for batch, new in batches(
        lambda index: read(source, index), progress(range(0, count, BATCH)), count
    ):
        scene, latents, images = _look(predictor, batch, table)
        true = batch["targets"] / np.float32(255)
        found = {name: batch[name] for name in ("cameras", "dynamics")}
        for row, (way, image) in enumerate(zip(table, images, strict=True)):
            for name, measure in used.items():
                values = measure.function(crop(true, way), crop(image, way))
                found[f"row {row}/{name}"] = values.reshape(len(true), -1).mean(axis=1)
        if latents:
            sight = halves(batch["grid"], table[0].right)
            grid = predictor.estimate(batch["grid"], scene, sight)
            found |= {f"targets/{name}": own for name, own in latents.items()}
            found |= {f"grid/{name}": np.asarray(own) for name, own in grid.items()}
        for name, values in found.items():
            gathered.setdefault(name, []).append(values[:new])
        for at in range(new):
            if len(examples) < SHOWN:
                shown = [image[at, 0] for image in images]
                inputs, target = batch["inputs"][at], true[at, 0]
                examples.append(Example(inputs=inputs, target=target, predicted=shown))
            if latents and len(starts) < _TRAVERSED_SCENES:
                own = {name: values[at, 0] for name, values in latents.items()}
                starts.append((scene[at : at + 1], own))
    together = {name: np.concatenate(parts) for name, parts in gathered.items()}
    axes = {
        name: principal(together[f"targets/{name}"].reshape(-1, length))
        for name, length in config.model.latents.items()
    }
    figures = {
        "scenes": count,
        "views_seed": VIEWS_SEED,
        "skipped": {
            name: f"needs {own.smallest} pixels a side, and {smallest} are scored"
            for name, own in measures.items()
            if name not in used
        },
        "views": [
            _row(way, {name: together[f"row {row}/{name}"] for name in used})
            for row, way in enumerate(table)
        ],
        "contrastiveness": _contrastiveness(together, source),
        "distances": _distances(together, source),
        "pca": {name: _plain(own) for name, own in axes.items()},
    }
    traversals = {
        name: np.stack([_walk(predictor, *start, name, own) for start in starts])
        for name, own in axes.items()
    }
    return Evaluation(figures=figures, examples=examples, traversals=traversals)


def _look(
    predictor: Predictor, batch: Batch, table: list[Way]
) -> tuple[Any, dict[str, np.ndarray], list[np.ndarray]]:
    """Gives scenes, targets' latents as the first way has them, and images by way."""
    scene = predictor.encode(batch["inputs"], batch)
    estimated = {}
    for right in dict.fromkeys(way.right for way in table):
        sight = halves(batch["targets"], right)
        found = predictor.estimate(batch["targets"], scene, sight)
        estimated[right] = {name: np.asarray(own) for name, own in found.items()}
    posed = None
    if "extrinsics" in batch:
        posed = {k: batch[k] for k in ("inputs", "intrinsics", "extrinsics")}
    images: list[np.ndarray] = []
    for before, way in zip([None, *table], table, strict=False):
        if before and (before.latents, before.right) == (way.latents, way.right):
            images.append(images[-1])  # scored elsewhere
            continue
        chosen = choose(estimated[way.right], batch, way)
        images.append(predictor.decode(chosen, scene, posed))
    return scene, estimated[table[0].right], images


def read(scenes: Scenes, index: int) -> Batch:
    """Reads a scene as evaluations arrange it; `grid` are views for the matrices.

    Poses of targets are true even where the run's are noisy (RUST, section 4.1).
    """
    rng = np.random.default_rng([VIEWS_SEED, index])
    config = scenes.config
    arrangement = scenes.arrange(rng)
    exact = dataclasses.replace(
        config, training=dataclasses.replace(config.training, pose_noise=0.0)
    )
    batch = dataclasses.replace(scenes, config=exact).read(index, arrangement, rng)
    if "extrinsics" in batch:
        noise = rng.normal(size=(len(batch["extrinsics"]), 3))
        noise[len(batch["inputs"]) :] = 0
        batch["extrinsics"] = relative(
            batch["extrinsics"], noise * config.training.pose_noise
        )
    cameras, steps = _grid(scenes)
    if config.training.static:
        steps = np.full_like(steps, batch["dynamics"][0])
    views = (steps * scenes.split.spec.cameras.count + cameras).tolist()
    batch["grid"] = scenes.split.read(index, fields=["color"], views=views)["color"]
    return batch


def batches(
    read_one: Callable[[int], Batch], starts: Iterable[int], count: int
) -> Iterator[tuple[Batch, int]]:
    """Gives full batches, and how many of each one's scenes are new.

    Args:
      read_one: gives a scene by its number.
      starts: the numbers at which batches start.
      count: scenes; the last batch is filled up with its last one.
    """
    for start in starts:
        every = [read_one(index) for index in range(start, min(start + BATCH, count))]
        size = len(every)
        every += every[-1:] * (BATCH - size)
        yield {name: np.stack([one[name] for one in every]) for name in every[0]}, size


def _grid(scenes: Scenes) -> tuple[np.ndarray, np.ndarray]:
    """Gives cameras and dynamics steps of the matrices' views, camera by camera."""
    spec = scenes.split.spec
    steps = 1 if scenes.config.training.static else min(spec.dynamics.steps, GRID)
    count = spec.cameras.count if steps == 1 else min(spec.cameras.count, GRID)
    return np.repeat(np.arange(count), steps), np.tile(np.arange(steps), count)


def _row(way: Way, scored: dict[str, np.ndarray]) -> dict[str, Any]:
    row: dict[str, Any] = {
        **way.latents,
        "how": way.how,
        "scored": way.region,
        "sees_what_is_scored": way.seen,
    }
    for name, values in scored.items():
        row |= mean_and_error(name, values)
    return row


def mean_and_error(
    name: str, values: Float[np.ndarray, " S"]
) -> dict[str, float | None]:
    """Gives a mean over scenes and its standard error, None for a single scene."""
    error = float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else None
    return {name: float(values.mean()), f"{name}_error": error}


def _contrastiveness(together: Batch, scenes: Scenes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if scenes.config.training.static:
        return found
    for name in scenes.config.model.latents:
        short = {"camera": "R_cam", "dynamics": "R_dyn"}[name]
        others = partners(together, name)
        for key, other in ((short, "opposite"), (f"{short}_both_differ", "other")):
            ratios = contrastiveness(
                together[f"targets/{name}"], others["matching"], others[other]
            )
            found |= mean_and_error(key, ratios)
    return found


def _distances(together: Batch, scenes: Scenes) -> dict[str, Any]:
    cameras, steps = _grid(scenes)
    found: dict[str, Any] = {}
    for name in scenes.config.model.latents:
        matrix = distances(together[f"grid/{name}"])
        found["views"] = np.stack([cameras, steps], axis=1).tolist()
        found[name] = {
            relation: float(matrix[pairs].mean())
            for relation, pairs in relations(cameras, steps).items()
        }
        found[name]["matrix"] = matrix.astype(np.float64).round(6).tolist()
    return found


def _plain(axes: Principal) -> dict[str, Any]:
    return {
        "components": axes.components.tolist(),
        "deviations": axes.deviations.tolist(),
        "explained": axes.shares.tolist(),
    }


def _walk(
    predictor: Predictor,
    scene: Any,
    latents: dict[str, np.ndarray],
    name: str,
    axes: Principal,
) -> np.ndarray:
    """Decodes a view while one latent moves along its components."""
    images = []
    for component in range(min(COMPONENTS, len(axes.components))):
        still = {k: np.repeat(v[None], TRAVERSED, 0) for k, v in latents.items()}
        still[name] = traverse(latents[name], axes, component, TRAVERSED)
        moved = {k: v[None] for k, v in still.items()}
        images.append(predictor.decode(moved, scene)[0])
    return np.stack(images)
