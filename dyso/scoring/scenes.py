"""The scores of one method on one scene."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from dyso import geometry
from dyso.reading import MOTION_FIELDS, Split, motion_masks
from dyso.scoring import depths, images, tracks
from dyso.scoring.alignment import align
from dyso.scoring.poses import pose_errors
from dyso.scoring.predictions import ScenePredictions
from dyso.scoring.queries import queries_of, true_tracks
from dyso.spec import UserError
from dyso.ssim import WINDOW, ssim

Lpips = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Returns the LPIPS [N] of true and predicted images [N, H, W, 3] in [0, 1]."""


def score_scene(
    split: Split,
    index: int,
    predicted: ScenePredictions,
    inputs: Sequence[int],
    held_out: Sequence[int],
    query_cameras: Sequence[int] | None = None,
    lpips: Lpips | None = None,
) -> dict[str, float]:
    """Returns the scores of a scene by name; what is not predicted is left out.

    Args:
      split: the scene's split.
      index: the scene's number in it.
      predicted: what a method predicts.
      inputs: the views that the method has seen.
      held_out: the views to score.
      query_cameras: the cameras in which the method tracks points; see `queries_of`.
      lpips: measures LPIPS; None leaves it out.

    Raises:
      UserError: a prediction is missing, or is not as docs/scoring.md says.
      RecordError: the scene is damaged.
    """
    scores: dict[str, float] = {}
    if predicted.has("color"):
        if not held_out:
            raise UserError(
                f"{predicted.folder / 'color'}: no view is held out; name the inputs "
                "in predictions.json"
            )
        predicted.require("color", held_out)
        scores |= _color(split, index, predicted, held_out, lpips)
    if predicted.has("depth"):
        sets = {"depth": held_out, "input_depth": inputs}
        there = predicted.views("depth")
        measured = {k: v for k, v in sets.items() if there & set(v)}
        if not measured:
            raise UserError(
                f"{predicted.folder / 'depth'}: has neither held-out views nor inputs"
            )
        for name, views in measured.items():
            predicted.require("depth", views)
            found = _depth(split, index, predicted, views)
            scores |= {f"{name}_{key}": value for key, value in found.items()}
    if predicted.has("tracks_3d.npz") or predicted.has("tracks_2d.npz"):
        scores |= _tracks(split, index, predicted, query_cameras)
    if predicted.has("cameras.npz"):
        record = split.read(index, fields=["extrinsics"], views=inputs)
        found = pose_errors(
            record["extrinsics"].astype(np.float64), predicted.cameras(list(inputs))
        )
        scores |= {f"camera_{name}": value for name, value in found.items()}
    return scores


def _by_step(
    split: Split, index: int, views: Sequence[int], fields: Sequence[str]
) -> Iterator[tuple[int, dict[str, Any], Bool[np.ndarray, "H W"]]]:
    """Yields views with their records and moving pixels; reads a step at a time."""
    _, cameras = split.spec.layout.shape
    by_step = defaultdict(list)
    for view in views:
        by_step[view // cameras].append(view)
    for step, chosen in by_step.items():
        record = split.read(index, fields=(*MOTION_FIELDS, *fields), views=chosen)
        masks = motion_masks(record, steps=[step] * len(chosen))
        for i, view in enumerate(chosen):
            one = {
                name: values[i]
                for name, values in record.items()
                if not name.startswith("objects/")
            }
            yield view, one, masks[i]


class _Means:
    """Means of values by name, over views or over pixels."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)

    def add(self, **values: float | np.ndarray) -> None:
        for name, value in values.items():
            self._sums[name] += float(np.sum(value))
            self._counts[name] += np.size(value)

    def items(self) -> dict[str, float]:
        return {name: self._sums[name] / n for name, n in self._counts.items() if n}


def _color(
    split: Split,
    index: int,
    predicted: ScenePredictions,
    views: Sequence[int],
    lpips: Lpips | None,
) -> dict[str, float]:
    means = _Means()
    large = min(split.spec.resolution) >= WINDOW
    for view, record, moving in _by_step(split, index, views, ["color"]):
        true, guess = record["color"], predicted.color(view)
        error = images.squared_error(true, guess)
        means.add(psnr=images.psnr(float(error.mean())), psnr_moving=error[moving])
        if large:
            mean, windows = ssim(true / 255, guess / 255)
            means.add(ssim=mean, ssim_moving=windows[moving])
        if lpips is not None:
            means.add(lpips=lpips(true[None] / 255, guess[None] / 255))
    scores = means.items()
    if "psnr_moving" in scores:
        scores["psnr_moving"] = images.psnr(scores["psnr_moving"])
    return scores


def _depth(
    split: Split, index: int, predicted: ScenePredictions, views: Sequence[int]
) -> dict[str, float]:
    means = _Means()
    for view, record, moving in _by_step(split, index, views, []):
        true = record["depth"][..., 0].astype(np.float64)
        lens = record["intrinsics"].astype(np.float64)
        guess = predicted.depth(view, geometry.axis_cosines(lens, *true.shape))
        finite = np.isfinite(true)
        if not finite.any():
            continue
        pair = true[finite], guess[finite]
        error = depths.absolute_relative(*pair)
        scaled = pair[0], pair[1] * depths.median_scale(*pair)
        means.add(
            abs_rel=error.mean(),
            delta=depths.within_delta(*pair).mean(),
            abs_rel_scaled=depths.absolute_relative(*scaled).mean(),
            delta_scaled=depths.within_delta(*scaled).mean(),
            abs_rel_moving=error[moving[finite]],
        )
    return means.items()


def _tracks(
    split: Split,
    index: int,
    predicted: ScenePredictions,
    cameras: Sequence[int] | None,
) -> dict[str, float]:
    queries = queries_of(split, index, cameras)
    true = true_tracks(split, index, queries)
    shape = split.spec.dynamics.steps, len(queries.camera)
    scores: dict[str, float] = {}
    if predicted.has("tracks_3d.npz"):
        points = predicted.tracks_3d(shape)
        distance = np.linalg.norm(points - true.points, axis=-1)
        every = np.ones_like(true.visible)
        medians = tracks.median_errors(distance, every)
        fit = align(points.reshape(-1, 3), true.points.reshape(-1, 3))
        aligned = np.linalg.norm(fit.apply(points) - true.points, axis=-1)
        scores |= {
            "track_3d_mte": float(medians.mean()),
            "track_3d_mte_of_size": float((medians / true.sizes).mean()),
            "track_3d_survival": tracks.survival(distance, every, tracks.LOST_3D),
            "track_3d_delta": tracks.share_within(distance, 0.01),
            "track_3d_mte_aligned": float(tracks.median_errors(aligned, every).mean()),
        }
    if predicted.has("tracks_2d.npz"):
        pixels, visible = predicted.tracks_2d(shape)
        height, width = split.spec.resolution
        scale = np.array([tracks.SIDE / width, tracks.SIDE / height])
        distance = np.linalg.norm((pixels - true.pixels) * scale, axis=-1)
        means = _Means()
        for camera in np.unique(queries.camera):
            own = queries.camera == camera  # a video of TAP-Vid
            means.add(
                **tracks.tap_vid(
                    distance[:, own], true.visible[:, own], visible[:, own]
                )
            )
        medians = tracks.median_errors(distance, true.visible)
        means.add(
            mte=medians[~np.isnan(medians)],
            survival=tracks.survival(distance, true.visible, tracks.LOST_2D),
        )
        found = means.items()
        scores |= {f"track_2d_{name}": value for name, value in found.items()}
    return scores
