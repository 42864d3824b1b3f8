"""Writes what a fitted scene predicts.

The files are those of docs/scoring.md, so `dyso score` reads them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from jaxtyping import Float, Float64
from PIL import Image

from dyso.errors import UserError
from dyso.files import replacing


class Show(Protocol):
    """Shows the progress of a fit."""

    def __call__(self, done: float, planned: int, *, note: str) -> None:
        """Takes finished and planned iterations, and a text."""


def begin(
    out: Path,
    *,
    method: str,
    dataset: str,
    split: str,
    scene: int,
    cameras: Sequence[int],
    steps: int,
    settings: dict[str, Any],
) -> tuple[Path, dict[str, Any]]:
    """Writes or checks the manifest of all scenes, see `write_manifest`.

    Args:
      out: the folder of the predictions of all scenes.
      method: the method's name.
      dataset: the dataset's hash.
      split: the split's name.
      scene: the scene's position in the split.
      cameras: those that the method sees, at all dynamics steps.
      steps: number of dynamics steps.
      settings: of the fit.

    Returns:
      The scene's folder, and the identity of its fit.

    Raises:
      UserError: the folder has other predictions.
    """
    write_manifest(
        out, method=method, dataset=dataset, split=split, cameras=cameras, steps=steps
    )
    identity = {
        "fit": method,
        "dataset": dataset,
        "split": split,
        "scene": scene,
        "settings": settings,
    }
    return scene_folder(out, scene), identity


def write_manifest(
    folder: Path,
    *,
    method: str,
    dataset: str,
    split: str,
    cameras: Sequence[int],
    steps: int,
) -> None:
    """Writes predictions.json, or checks that it is of the same method and dataset.

    Args:
      folder: of the predictions of all scenes.
      method: the method's name.
      dataset: the dataset's hash.
      split: the split's name.
      cameras: those that the method sees, at all dynamics steps.
      steps: number of dynamics steps.

    Raises:
      UserError: the folder has other predictions.
    """
    manifest = {
        "method": method,
        "dataset": dataset,
        "split": split,
        "inputs": {"cameras": list(cameras), "steps": list(range(steps))},
    }
    path = folder / "predictions.json"
    if path.exists():
        try:
            found = json.loads(path.read_text())
        except ValueError:
            found = None
        if found != manifest:
            raise UserError(
                f"{path}: of another method, dataset, split or choice of cameras; "
                "choose another --out"
            )
        return
    with new_file(path) as file:
        file.write(f"{json.dumps(manifest, indent=1)}\n".encode())


def scene_folder(folder: Path, scene: int) -> Path:
    """Returns the folder of one scene's predictions."""
    return folder / f"scene_{scene}"


def write_view(
    folder: Path,
    number: int,
    color: Float[np.ndarray, "H W 3"] | None,
    depth: Float[np.ndarray, "H W"],
) -> None:
    """Writes one view's colour, if any, and depth, each in one piece.

    Args:
      folder: the scene's.
      number: the view's.
      color: in [0, 1].
      depth: Euclidean distances in metres.
    """
    if color is not None:
        with new_file(folder / f"color/{number:05}.png") as file:
            pixels = np.rint(color * 255).astype(np.uint8)
            Image.fromarray(pixels).save(file, format="PNG")
    with new_file(folder / f"depth/{number:05}.npz") as file:
        np.savez_compressed(file, depth=depth.astype(np.float32))


def write_cameras(
    folder: Path, views: Sequence[int], extrinsics: Float64[np.ndarray, "K 3 4"]
) -> None:
    """Writes cameras.npz."""
    with new_file(folder / "cameras.npz") as file:
        np.savez_compressed(file, views=np.array(views), extrinsics=extrinsics)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Yields a file to write to, which appears at `path` when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        yield file
