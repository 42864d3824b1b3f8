"""Evaluates a trained model on the scenes of a split."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dyso.train.config import Config
from dyso.train.data import Batch, Scenes
from dyso.train.evaluation_views import (
    BATCH,
    VIEWS_SEED,
    batches,
    read_with_truth,
)
from dyso.train.floors import floor_figures, scene_floors
from dyso.train.latent_sources import (
    LatentSources,
    choose,
    crop,
    halves,
    main_row,
    source_targets,
    table_rows,
)
from dyso.train.metrics import (
    MEASURES,
    Measure,
    Principal,
    mean_and_error,
    pairwise_distances,
    principal,
    relations,
    traverse,
)
from dyso.train.predict import Predictor
from dyso.train.probes import probe
from dyso.train.separation import separation
from dyso.train.step import init_params

if TYPE_CHECKING:
    from dyso.reading import Split

SHOWN = 6
_IMAGES = ("inputs", "targets", "grid")
COMPONENTS = 3
TRAVERSED = 7
"""Places along each component."""
_TRAVERSED_SCENES = 2


@dataclass(frozen=True, kw_only=True)
class Example:
    """A scene for the report.

    Attributes:
      inputs: [V, H, W, 3] uint8.
      target: [H, W, 3] in [0, 1].
      predicted: [H, W, 3] in [0, 1], one for each row of the table.
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
      recombinations: some scenes: [camera, dynamics, H, W, 3] in [0, 1], decoded with
        the camera latent of that camera's view at the first step, and the dynamics
        latent of the first camera's view at that step; and the true views. Empty for
        models without both latents.
    """

    figures: dict[str, Any]
    examples: list[Example]
    traversals: dict[str, np.ndarray]
    recombinations: list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What a pass over the scenes collects.

    Attributes:
      values: arrays by name; the first axis is the scenes.
      examples: some scenes.
      starts: scene representation and latents of the scenes to traverse from.
      recombinations: see `Evaluation`.
    """

    values: dict[str, np.ndarray]
    examples: list[Example]
    starts: list[tuple[Any, dict[str, np.ndarray]]]
    recombinations: list[tuple[np.ndarray, np.ndarray]]


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
      progress: takes the indices of the batches' first scenes and yields them.

    Raises:
      UserError: the dataset has too few views, or of another size.
    """
    config, rows = predictor.config, table_rows(predictor.config)
    source = Scenes(split=split, config=config)
    height, width = config.model.resolution
    smallest = min(
        height, *(width // (1 if row.region == "whole" else 2) for row in rows)
    )
    used = {
        name: measure
        for name, measure in measures.items()
        if smallest >= measure.smallest
    }

    count = min(scenes, len(source))

    def read_one(index: int) -> Batch:
        batch = read_with_truth(source, index)
        return batch | scene_floors(source, index, batch, main_row(config))

    def read_all(read_one: Callable[[int], Batch]) -> Iterable[tuple[Batch, int]]:
        return batches(read_one, progress(range(0, count, BATCH)), count)

    measured = _measure(predictor, read_all(read_one), rows, used)
    values = measured.values
    axes = {
        name: principal(values[f"targets/{name}"].reshape(-1, length))
        for name, length in config.model.latents.items()
    }
    figures = {
        "scenes": count,
        "views_seed": VIEWS_SEED,
        "skipped": {
            name: f"needs {measure.smallest} pixels a side, and {smallest} are scored"
            for name, measure in measures.items()
            if name not in used
        },
        "views": [
            _row(row, {name: values[f"row {number}/{name}"] for name in used})
            for number, row in enumerate(rows)
        ],
        "contrastiveness": _contrastiveness(values, config),
        "floors": {
            "untrained": {
                "how": "the model with its initial parameters",
                **_main_figures(
                    Predictor(config, init_params(config)),
                    read_all(lambda index: read_with_truth(source, index)),
                ),
            },
            **floor_figures(values),
        },
        "probes": _probes(values, config),
        "distances": _distances(values, config),
        "pca": {name: _plain(components) for name, components in axes.items()},
    }
    traversals = {
        name: np.stack(
            [_walk(predictor, *start, name, components) for start in measured.starts]
        )
        for name, components in axes.items()
    }
    return Evaluation(
        figures=figures,
        examples=measured.examples,
        traversals=traversals,
        recombinations=measured.recombinations,
    )


def quick(
    predictor: Predictor, batches: Iterable[tuple[Batch, int]]
) -> dict[str, float]:
    """Returns a few figures of a model, cheaply enough for a training loop.

    They equal those of `evaluate` on the same scenes. Later calls with the same
    configuration compile nothing.

    Args:
      predictor: the model.
      batches: as `evaluation_views.batches` yields those of `evaluation_views.read`.

    Returns:
      `psnr` of the row that the papers report (see `main_row`); for models with
      latents that were trained on dynamic scenes also `R_cam`, `R_dyn`, `R_cam_median`
      and `R_dyn_median`.
    """
    figures = _main_figures(predictor, batches)
    names = ("psnr", "R_cam", "R_dyn", "R_cam_median", "R_dyn_median")
    return {name: figures[name] for name in names if name in figures}


def _main_figures(
    predictor: Predictor, batches: Iterable[tuple[Batch, int]]
) -> dict[str, Any]:
    """Returns PSNR of `main_row`, the separation of the latents, and probes of them."""
    rows, measures = [main_row(predictor.config)], {"psnr": MEASURES["psnr"]}
    values = _measure(predictor, batches, rows, measures).values
    return {
        **mean_and_error("psnr", values["row 0/psnr"]),
        **_contrastiveness(values, predictor.config),
        "probes": _probes(values, predictor.config),
    }


def _measure(
    predictor: Predictor,
    batches: Iterable[tuple[Batch, int]],
    rows: list[LatentSources],
    measures: dict[str, Measure],
) -> _Measured:
    """Decodes the rows' images of every scene and measures them.

    Args:
      predictor: the model.
      batches: see `quick`.
      rows: where latents come from.
      measures: of images, by name.

    Returns:
      Values `row N/MEASURE`; `targets/LATENT` and `grid/LATENT`, [S, views, L], the
      latents as the first row's estimator sees them; and what else a batch has that is
      not an image.
    """
    gathered: dict[str, list[np.ndarray]] = {}
    examples: list[Example] = []
    starts: list[tuple[Any, dict[str, np.ndarray]]] = []
    recombinations: list[tuple[np.ndarray, np.ndarray]] = []
    for batch, new in batches:
        scene, latents, images = _decode(predictor, batch, rows)
        true = batch["targets"] / np.float32(255)
        found = {key: batch[key] for key in batch if key not in _IMAGES}
        for number, (row, image) in enumerate(zip(rows, images, strict=True)):
            for name, measure in measures.items():
                values = measure.function(crop(true, row), crop(image, row))
                per_scene = values.reshape(len(true), -1).mean(axis=1)
                found[f"row {number}/{name}"] = per_scene
        if latents:
            half = halves(batch["grid"], rows[0].right)
            grid = predictor.estimate(batch["grid"], scene, half)
            found |= {f"targets/{name}": values for name, values in latents.items()}
            found |= {f"grid/{name}": np.asarray(v) for name, v in grid.items()}
        for key, values in found.items():
            gathered.setdefault(key, []).append(values[:new])
        for at in range(new):
            if len(examples) < SHOWN:
                shown = [image[at, 0] for image in images]
                inputs, target = batch["inputs"][at], true[at, 0]
                examples.append(Example(inputs=inputs, target=target, predicted=shown))
            if latents and len(starts) < _TRAVERSED_SCENES:
                first = {name: values[at, 0] for name, values in latents.items()}
                starts.append((scene[at : at + 1], first))
                if len(latents) == 2:
                    own = {name: np.asarray(v[at]) for name, v in grid.items()}
                    recombinations.append(
                        _recombine(predictor, scene[at : at + 1], own, batch, at)
                    )
    together = {key: np.concatenate(parts) for key, parts in gathered.items()}
    return _Measured(
        values=together,
        examples=examples,
        starts=starts,
        recombinations=recombinations,
    )


def _recombine(
    predictor: Predictor,
    scene: Any,
    latents: dict[str, np.ndarray],
    batch: Batch,
    at: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Decodes the views of the grid from latents of its first row and first column.

    Args:
      predictor: the model.
      scene: the scene's representation.
      latents: of the grid's views, camera by camera.
      batch: see `evaluation_views.read`.
      at: the scene's place in the batch.

    Returns:
      See `Evaluation.recombinations`.
    """
    cameras = len(np.unique(batch["grid_cameras"][at]))
    true = batch["grid"][at] / np.float32(255)
    true = true.reshape(cameras, -1, *true.shape[1:])
    steps = true.shape[1]
    chosen = {
        "camera": latents["camera"][::steps].repeat(steps, axis=0),
        "dynamics": np.tile(latents["dynamics"][:steps], (cameras, 1)),
    }
    # Camera by camera, so that no program is compiled for as many views at once.
    rows = [
        predictor.decode(
            {k: v[None, row * steps : (row + 1) * steps] for k, v in chosen.items()},
            scene,
        )[0]
        for row in range(cameras)
    ]
    return np.stack(rows), true


def _decode(
    predictor: Predictor, batch: Batch, rows: list[LatentSources]
) -> tuple[Any, dict[str, np.ndarray], list[np.ndarray]]:
    """Returns scene representations, the first row's latents, and the rows' images."""
    scene = predictor.encode(batch["inputs"], batch)
    estimated = {}
    for right in dict.fromkeys(row.right for row in rows):
        half = halves(batch["targets"], right)
        found = predictor.estimate(batch["targets"], scene, half)
        estimated[right] = {name: np.asarray(values) for name, values in found.items()}
    posed = None
    if "extrinsics" in batch:
        posed = {k: batch[k] for k in ("inputs", "intrinsics", "extrinsics")}
    latents = estimated[rows[0].right]
    if len(rows) > batch["targets"].shape[1] and len(latents) == 2 > len(estimated):
        return scene, latents, _decode_pairs(predictor, scene, latents, batch, rows)
    images: list[np.ndarray] = []
    for before, row in zip([None, *rows], rows, strict=False):
        if before and (before.latents, before.right) == (row.latents, row.right):
            images.append(images[-1])  # the same image, scored in another region
            continue
        chosen = choose(estimated[row.right], batch, row)
        images.append(predictor.decode(chosen, scene, posed))
    return scene, latents, images


def _decode_pairs(
    predictor: Predictor,
    scene: Any,
    latents: dict[str, np.ndarray],
    batch: Batch,
    rows: list[LatentSources],
) -> list[np.ndarray]:
    """Decodes every pair of a target's camera latent and a target's dynamics latent.

    The nine rows of four targets are 36 images, but only 16 different ones.

    Returns:
      The images of each row, [S, T, H, W, 3].
    """
    camera, dynamics = latents["camera"], latents["dynamics"]
    by_camera = []
    for target in range(camera.shape[1]):
        same = np.broadcast_to(camera[:, target, None], camera.shape)
        by_camera.append(
            predictor.decode({"camera": same, "dynamics": dynamics}, scene)
        )
    pairs = np.stack(by_camera, axis=1)
    every = np.arange(len(pairs))[:, None]
    chosen = [source_targets(batch, row) for row in rows]
    return [pairs[every, each["camera"], each["dynamics"]] for each in chosen]


def _row(row: LatentSources, scored: dict[str, np.ndarray]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        **row.latents,
        "how": row.how,
        "scored": row.region,
        "sees_what_is_scored": row.seen,
    }
    for name, values in scored.items():
        figures |= mean_and_error(name, values)
    return figures


def _contrastiveness(values: Batch, config: Config) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if config.training.static:
        return found
    for name in config.model.latents:
        targets, grid = (
            pairwise_distances(values[f"{part}/{name}"]) for part in ("targets", "grid")
        )
        found |= separation(name, targets, grid, values)
    return found


def _probes(values: Batch, config: Config) -> dict[str, Any]:
    """Returns R2 of probes from the grid's latents to the grid's geometry."""
    truth = {key: own for key, own in values.items() if key.startswith("geometry/")}
    if not truth or len(values["cameras"]) < 2:
        return {}
    return {
        name: {
            key.removeprefix("geometry/"): probe(values[f"grid/{name}"], own)
            for key, own in truth.items()
        }
        for name in config.model.latents
    }


def _distances(values: Batch, config: Config) -> dict[str, Any]:
    # A static model's grid has one step, whatever number it has in its scene.
    cameras, steps = values["grid_cameras"][0], values["grid_dynamics"][0]
    if config.training.static:
        steps = np.zeros_like(steps)
    found: dict[str, Any] = {}
    for name in config.model.latents:
        matrix = pairwise_distances(values[f"grid/{name}"]).mean(axis=0)
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
        moved = {k: np.repeat(v[None], TRAVERSED, 0) for k, v in latents.items()}
        moved[name] = traverse(latents[name], axes, component, TRAVERSED)
        images.append(
            predictor.decode({k: v[None] for k, v in moved.items()}, scene)[0]
        )
    return np.stack(images)
