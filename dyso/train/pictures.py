"""The pictures of an evaluation, as in the figures of DyST."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from dyso.report_page import heat
from dyso.train import labels
from dyso.train.evaluation import Evaluation

_SHOWN = {
    ("target", "target"): "own",
    ("matching", "matching"): "swapped",
    ("matching", "other"): "other dyn.",
    ("other", "matching"): "other cam.",
}
"""Names of rows of the table, by the sources of the camera and dynamics latents; those
of sample pictures of a run."""
_MAP_SIDE = 256


def pictures(figures: dict[str, Any], evaluation: Evaluation) -> dict[str, Image.Image]:
    """Returns the pictures that the model allows, by name.

    Args:
      figures: the content of evaluation.json.
      evaluation: the images.

    Returns:
      `examples`: inputs, target and decoded targets of some scenes (fig. 3); for models
      with latents `distances` (fig. 5) and `components` (fig. 6); for models with both
      latents `recombined`.
    """
    found = {"examples": examples(figures["views"], evaluation)}
    if figures["distances"]:
        found["distances"] = distances(figures)
    if evaluation.traversals:
        found["components"] = components(figures["pca"], evaluation.traversals)
    if evaluation.recombinations:
        found["recombined"] = recombination(*evaluation.recombinations[0])
    return found


def examples(rows: list[dict[str, Any]], evaluation: Evaluation) -> Image.Image:
    """Returns scenes in rows: inputs, a target, and the target as decoded.

    Args:
      rows: of the report's table.
      evaluation: its examples have a decoded target for each row.
    """
    names: dict[int, str] = {}
    for number, row in enumerate(rows):
        if "camera" in row and "dynamics" in row:
            name = _SHOWN.get((row["camera"], row["dynamics"]))
        elif "camera" in row:  # latents from half of the target
            name = next(half for half in ("left", "right") if half in row["how"])
            name = f"by {name} half"
        else:
            name = "decoded"
        if name and name not in names.values():
            names[number] = name
    first = evaluation.examples[0]
    columns = [f"input {i + 1}" for i in range(len(first.inputs))]
    sheet = [
        np.stack(
            [
                *example.inputs,
                _pixels(example.target),
                *(_pixels(example.predicted[number]) for number in names),
            ]
        )
        for example in evaluation.examples
    ]
    return labels.table(
        np.stack(sheet),
        [*columns, "target", *names.values()],
        [f"scene {i}" for i in range(len(sheet))],
    )


def recombination(decoded: np.ndarray, true: np.ndarray) -> Image.Image:
    """Returns a picture of a scene's recombined latents beside the true views.

    Args:
      decoded: [camera, dynamics, H, W, 3] in [0, 1], see `Evaluation.recombinations`.
      true: the same views.
    """
    cameras, steps = true.shape[:2]
    return labels.table(
        _pixels(np.concatenate([decoded, true], axis=1)),
        [f"dynamics {i}" for i in range(steps)] + [f"true {i}" for i in range(steps)],
        [f"camera {i}" for i in range(cameras)],
    )


def distances(figures: dict[str, Any]) -> Image.Image:
    """Returns maps of the latents' distances between views, and between video frames.

    Args:
      figures: the content of evaluation.json.
    """
    rows = {
        between: figures[key]
        for between, key in (("views", "distances"), ("frames", "video"))
        if figures.get(key)
    }
    names = [name for name in ("camera", "dynamics") if name in figures["distances"]]
    maps = [
        [_enlarged(heat(np.array(row[name]["matrix"]))) for name in names]
        for row in rows.values()
    ]
    return labels.table(
        _pixels(np.array(maps)), [f"{name} latent" for name in names], list(rows)
    )


def components(
    pca: dict[str, Any], traversals: dict[str, Float[np.ndarray, "S K P H W 3"]]
) -> Image.Image:
    """Returns a view whose latents move along their principal components, in rows.

    Args:
      pca: as in evaluation.json.
      traversals: see `Evaluation`; the first scene is shown.
    """
    rows, names = [], []
    for name, scenes in traversals.items():
        for number, share in zip(
            range(scenes.shape[1]), pca[name]["explained"], strict=False
        ):
            rows.append(scenes[0, number])
            names.append(f"{name} {number + 1} ({100 * share:.0f} %)")
    places = np.linspace(-2, 2, len(rows[0]))
    return labels.table(
        _pixels(np.stack(rows)), [f"{place:+.1f} sd" for place in places], names
    )


def _enlarged(image: np.ndarray) -> np.ndarray:
    at = np.arange(_MAP_SIDE) * len(image) // _MAP_SIDE
    return image[at][:, at]


def _pixels(images: np.ndarray) -> np.ndarray:
    return (255 * np.clip(images, 0, 1) + 0.5).astype(np.uint8)
