"""What fitted Gaussians predict: views, their depth, and tracks of points."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from dyso import geometry
from dyso.fit.gaussians.model import EMPTY, Gaussians, view
from dyso.fit.gaussians.projection import Camera
from dyso.fit.predictions import new_file


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
    with new_file(folder / "tracks_3d.npz") as file:
        np.savez_compressed(file, points=tracks)
