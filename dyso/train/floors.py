"""Scores of latents and predictors that know nothing, or know the truth.

They stand beside a model's scores in every report: see docs/training.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dyso.train.data import Batch, Scenes
from dyso.train.latent_sources import LatentSources, crop
from dyso.train.metrics import mean_and_error, pairwise_distances, psnr
from dyso.train.separation import separation
from dyso.train.view_geometry import view_geometry

if TYPE_CHECKING:
    from dyso.train.data import ViewReader

PREDICTORS = {
    "mean_of_other_dynamics": "blind to dynamics: the mean of the target camera's "
    "true views at all other dynamics steps",
    "median_of_other_dynamics": "blind to dynamics: the median, pixel by pixel, of "
    "the target camera's true views at all other dynamics steps",
    "mean_of_other_cameras": "blind to the camera: the mean of the other cameras' "
    "true views at the target's dynamics step",
}
LATENTS = {
    "pixels": "the view's own pixels as the latent",
    "oracle_image_position": "as the latent, where the objects' centres are in the "
    "view's image",
    "oracle_pose": "as the latent, where the objects' centres are in the view's image "
    "and the objects' rotations to the view's camera",
}
_MEASURES = {
    "pixels": ("camera", "dynamics"),
    "oracle_image_position": ("dynamics",),
    "oracle_pose": ("dynamics",),
}


def scene_floors(
    scenes: Scenes, index: int, batch: Batch, sources: LatentSources
) -> Batch:
    """Computes what the floors need of one scene.

    Args:
      scenes: the scenes.
      index: the scene.
      batch: the scene, as `evaluation_views.read` returned it.
      sources: its region is scored.

    Returns:
      `floor/PREDICTOR`, the mean PSNR; `floor/LATENT/targets` and `floor/LATENT/grid`,
      the distances between the latents of the views.
    """
    static = scenes.config.training.static
    count = len(batch["inputs"])
    found: Batch = {}
    for name, images in _blind(scenes.split, index, batch, static).items():
        true = batch["targets"] / np.float32(255)
        scores = psnr(crop(true[None], sources), crop(images[None], sources))
        found[f"floor/{name}"] = np.asarray(scores.mean())
    if static:
        return found
    cameras = scenes.split.spec.cameras.count
    grid = batch["grid_dynamics"] * cameras + batch["grid_cameras"]
    for part, views in (("targets", batch["views"][count:]), ("grid", grid)):
        truth = view_geometry(
            scenes.split, index, int(batch["views"][0]), views.tolist()
        )
        position = truth["image_position"].reshape(len(views), -1)
        rotation = truth["rotation_in_view"].reshape(len(views), -1)
        latents = {
            "pixels": batch[part].reshape(len(views), -1) / np.float32(255),
            "oracle_image_position": position,
            "oracle_pose": np.concatenate([position, rotation], axis=-1),
        }
        for name, values in latents.items():
            found[f"floor/{name}/{part}"] = pairwise_distances(values)
    return found


def _blind(
    split: ViewReader, index: int, batch: Batch, static: bool
) -> dict[str, np.ndarray]:
    """Predicts the targets [T, H, W, 3] from other true views of the scene."""
    spec = split.spec
    cameras, steps = range(spec.cameras.count), range(spec.dynamics.steps)
    images: dict[str, list[np.ndarray]] = {}
    for camera, step in zip(batch["cameras"], batch["dynamics"], strict=True):
        others = {
            "dynamics": [s * len(cameras) + int(camera) for s in steps if s != step],
            "cameras": [int(step) * len(cameras) + c for c in cameras if c != camera],
        }
        if static:
            del others["dynamics"]
        for name, views in others.items():
            seen = split.read(index, fields=["color"], views=views)["color"]
            seen = seen / np.float32(255)
            images.setdefault(f"mean_of_other_{name}", []).append(seen.mean(axis=0))
            if name == "dynamics":
                middle = np.median(seen, axis=0)
                images.setdefault("median_of_other_dynamics", []).append(middle)
    return {name: np.stack(parts) for name, parts in images.items()}


def floor_figures(values: Batch) -> dict[str, Any]:
    """Returns the floors as in evaluation.json.

    Args:
      values: what `scene_floors` returned, stacked over the scenes, and what
        `separation` needs.
    """
    figures: dict[str, Any] = {}
    for name, how in PREDICTORS.items():
        if f"floor/{name}" in values:
            scores = mean_and_error("psnr", values[f"floor/{name}"])
            figures[name] = {"how": how, **scores}
    for name, how in LATENTS.items():
        if f"floor/{name}/grid" not in values:
            continue
        figures[name] = {"how": how}
        for latent in _MEASURES[name]:
            figures[name] |= separation(
                latent,
                values[f"floor/{name}/targets"],
                values[f"floor/{name}/grid"],
                values,
            )
    return figures
