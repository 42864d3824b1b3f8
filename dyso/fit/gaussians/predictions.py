"""What a fitted scene predicts: held-out views, their depth, and tracks of points.

The files are those of docs/scoring.md, so `dyso score` reads them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64
from PIL import Image

from dyso import geometry
from dyso.errors import UserError
from dyso.files import replacing
from dyso.fit.data import MultiView
from dyso.fit.gaussians.model import EMPTY, Gaussians, view
from dyso.fit.gaussians.projection import Camera


def write_manifest(folder: Path, method: str, scene: MultiView, dataset: str) -> None:
    """Writes predictions.json, or checks that it is of the same method and dataset.

    Args:
      folder: of the predictions of all scenes.
      method: the method's name.
      scene: any of the scenes.
      dataset: the dataset's hash.

    Raises:
      UserError: the folder has other predictions.
    """
    manifest = {
        "method": method,
        "dataset": dataset,
        "split": scene.split.name,
        "inputs": {
            "cameras": list(scene.training),
            "steps": list(range(scene.steps)),
        },
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
    with _file(path) as file:
        file.write(f"{json.dumps(manifest, indent=1)}\n".encode())


def scene_folder(folder: Path, scene: MultiView) -> Path:
    """Returns the folder of one scene's predictions."""
    return folder / f"scene_{scene.scene}"


def render_view(
    gaussians: Gaussians, camera: Camera, size: tuple[int, int], capacity: int
) -> tuple[Float[Array, "H W 3"], Float[Array, "H W"]]:
    """Returns colours in [0, 1], and depth in metres.

    The depth is the mean distance of the Gaussians' centres, by their weights. A camera
    that was not trained on has no gain. Where no Gaussian is, the depth is the largest
    of the view.
    """
    rendering = view(gaussians, camera, size=size, capacity=capacity, distance=True)
    depth = rendering.image[..., -1] / jnp.maximum(rendering.opacity, 1e-6)
    covered = rendering.opacity > 1e-3
    depth = jnp.where(covered, depth, jnp.where(covered, depth, 0).max())
    return jnp.clip(rendering.image[..., :3], 0, 1), depth


def write_view(
    folder: Path,
    number: int,
    color: Float[np.ndarray, "H W 3"],
    depth: Float[np.ndarray, "H W"],
) -> None:
    """Writes one view's colour and depth, each in one piece."""
    with _file(folder / f"color/{number:05}.png") as file:
        pixels = np.rint(color * 255).astype(np.uint8)
        Image.fromarray(pixels).save(file, format="PNG")
    with _file(folder / f"depth/{number:05}.npz") as file:
        np.savez_compressed(file, depth=depth.astype(np.float32))


def follow(
    first: Gaussians,
    means: Float[np.ndarray, "T N 3"],
    rotations: Float[np.ndarray, "T N 4"],
    points: Float[np.ndarray, "Q 3"],
) -> Float64[np.ndarray, "T Q 3"]:
    """Returns the tracks of points that lie on the objects at step 0.

    A point moves with the foreground Gaussian that covers it most at step 0, keeping
    its place in the Gaussian's own axes. The first step has the points themselves.

    Args:
      first: the Gaussians at step 0.
      means: at each time step.
      rotations: the same, quaternions of any norm.
      points: metres, in the world at step 0.
    """
    on_objects = np.asarray(first.foreground) > 0.5
    visible = np.asarray(first.logit_opacities) > EMPTY
    chosen = np.flatnonzero(on_objects & visible)
    if not len(chosen):
        return np.broadcast_to(points, (len(means), *points.shape)).astype(np.float64)
    axes = geometry.quaternion_to_matrix(rotations[0, chosen].astype(np.float64))
    scales = np.exp(np.asarray(first.log_scales)[chosen].astype(np.float64))
    opacities = np.asarray(jax.nn.log_sigmoid(first.logit_opacities))[chosen]
    tracks = np.empty((len(means), *points.shape))
    for q, point in enumerate(points):
        offsets = point - means[0, chosen].astype(np.float64)
        local = np.einsum("nji,nj->ni", axes, offsets)
        covers = opacities - ((local / scales) ** 2).sum(-1) / 2
        best = int(covers.argmax())
        turned = geometry.quaternion_to_matrix(
            rotations[:, chosen[best]].astype(np.float64)
        )
        tracks[:, q] = means[:, chosen[best]] + turned @ local[best]
    return tracks


def write_tracks(folder: Path, tracks: Float64[np.ndarray, "T Q 3"]) -> None:
    """Writes tracks_3d.npz."""
    with _file(folder / "tracks_3d.npz") as file:
        np.savez_compressed(file, points=tracks)


@contextlib.contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    """Yields a file to write to, which appears at `path` when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        yield file
