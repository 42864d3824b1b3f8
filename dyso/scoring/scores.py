"""The scores of several methods on the same scenes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from dyso import records
from dyso.reading import Dataset
from dyso.scoring.definitions import SCORES
from dyso.scoring.predictions import Predictions
from dyso.scoring.scenes import Lpips, score_scene
from dyso.scoring.view_sets import held_out_views
from dyso.spec import UserError
from dyso.ssim import WINDOW

__all__ = ["SCORES", "score", "scored_scenes"]

Progress = Callable[[Sequence[tuple[int, int]]], Iterable[tuple[int, int]]]


def scored_scenes(
    dataset: Dataset, methods: Sequence[Predictions], chosen: range | None
) -> list[int]:
    """Returns the scenes to score.

    Args:
      dataset: the dataset.
      methods: at least one method's predictions.
      chosen: the numbers to score; None means all that are predicted.

    Raises:
      UserError: the methods have different splits, scenes or query cameras, or lack a
        chosen scene.
    """
    first = methods[0]
    count = len(dataset[first.split])
    for each in methods:
        if each.split != first.split:
            raise UserError(
                f"{each.folder}: is of split {each.split!r}, but {first.folder} of "
                f"{first.split!r}; score one split at a time"
            )
        if each.query_cameras != first.query_cameras:
            raise UserError(
                f"{each.folder}: has other query_cameras than {first.folder}; compare "
                "methods that track the same points"
            )
        for scene in chosen or each.scenes:
            if scene not in each.scenes:
                raise UserError(f"{each.folder}: lacks scene_{scene}")
            if scene >= count:
                raise UserError(
                    f"{each.folder / f'scene_{scene}'}: split {first.split!r} has "
                    f"only {count} scenes"
                )
        if chosen is None and each.scenes != first.scenes:
            raise UserError(
                f"{each.folder}: has scenes {_listed(each.scenes)}, but {first.folder} "
                f"has {_listed(first.scenes)}; choose those of both by --scenes A:B"
            )
    return list(chosen or first.scenes)


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def score(
    dataset: Dataset,
    methods: Sequence[Predictions],
    scenes: Sequence[int],
    lpips: Lpips | None = None,
    progress: Progress = iter,
) -> dict[str, Any]:
    """Returns the scores of methods: the content of scores.json.

    All methods are scored on the same views: those that are held out from all.

    Args:
      dataset: the dataset.
      methods: predictions for the same split.
      scenes: numbers of scenes that all methods have, see `scored_scenes`.
      lpips: measures LPIPS; None leaves it out.
      progress: wraps the iteration over pairs of a method and a scene.

    Raises:
      UserError: a prediction is missing, or is not as docs/scoring.md says.
      RecordError: a scene is damaged.
    """
    split, spec = dataset[methods[0].split], dataset.resolved.spec
    held_out = held_out_views(spec, *(each.inputs for each in methods))
    by_scene: list[list[dict[str, float]]] = [[] for _ in methods]
    for method, scene in progress(
        [(m, s) for m in range(len(methods)) for s in scenes]
    ):
        own = methods[method]
        try:
            found = score_scene(
                split,
                scene,
                own.scene(scene, spec.resolution),
                own.inputs.views(spec),
                held_out,
                own.query_cameras,
                lpips,
            )
        except records.RecordError as error:
            raise records.RecordError(f"scene {scene}: {error}") from error
        by_scene[method].append(found)
    skipped = {}
    if lpips is None:
        skipped["lpips"] = "needs weights, given by --lpips"
    if min(spec.resolution) < WINDOW:
        skipped["ssim"] = f"needs images of at least {WINDOW} x {WINDOW} pixels"
    return {
        "data": {
            "name": spec.name,
            "hash": dataset.resolved.hash,
            "split": split.name,
        },
        "scenes": list(scenes),
        "held_out_views": held_out,
        "not_measured": skipped,
        "methods": [
            {
                "method": each.method,
                "inputs": dataclasses.asdict(each.inputs),
                "query_cameras": each.query_cameras,
                "scores": _summary(found),
                "by_scene": [_plain(one) for one in found],
            }
            for each, found in zip(methods, by_scene, strict=True)
        ],
    }


def _summary(found: Sequence[dict[str, float]]) -> dict[str, dict[str, Any]]:
    """Returns each score's mean over scenes, standard error, and number of scenes."""
    summary = {}
    for each in SCORES:
        values = np.array([one[each.name] for one in found if each.name in one])
        if not len(values):
            continue
        mean, error = float(values.mean()), None
        if len(values) > 1 and math.isfinite(mean):
            error = float(values.std(ddof=1)) / len(values) ** 0.5
        summary[each.name] = {
            "mean": _number(mean),
            "error": error,
            "scenes": len(values),
        }
    return summary


def _plain(scores: dict[str, float]) -> dict[str, float | str]:
    return {name: _number(value) for name, value in scores.items()}


def _number(value: float) -> float | str:
    """Returns a number as JSON holds it: an infinite PSNR becomes the text `inf`."""
    return value if math.isfinite(value) else str(value)
