"""The Gaussians of a scene, at one time step."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.spatial import cKDTree

from dyso.fit.data import Cloud
from dyso.fit.gaussians.projection import Camera
from dyso.fit.gaussians.rasterizer import Rendering, render


class Gaussians(NamedTuple):
    """N Gaussians; those of an empty slot have no opacity.

    Attributes:
      means: [N, 3], metres in the world.
      rotations: [N, 4], quaternions (w, x, y, z) of any norm, their axes to the world.
      log_scales: [N, 3], logarithms of metres.
      logit_opacities: [N].
      colors: [N, 3], sRGB in [0, 1].
      foreground: [N], 1 on objects, 0 on the background; not learned.
      gains: [C, 3], logarithms of each camera's factors of the colours.
      offsets: [C, 3], added to each camera's colours.
    """

    means: Float[Array, "N 3"]
    rotations: Float[Array, "N 4"]
    log_scales: Float[Array, "N 3"]
    logit_opacities: Float[Array, " N"]
    colors: Float[Array, "N 3"]
    foreground: Float[Array, " N"]
    gains: Float[Array, "C 3"]
    offsets: Float[Array, "C 3"]


PER_CAMERA = ("gains", "offsets")
EMPTY = -30.0
"""Logit of the opacity of an empty slot."""


def initial(cloud: Cloud, slots: int, cameras: int) -> Gaussians:
    """Returns a Gaussian at each point, as large as the points are apart.

    Args:
      cloud: the points; at most `slots`.
      slots: the number of Gaussians; those left over are empty.
      cameras: number of cameras.
    """
    count = len(cloud.points)
    neighbors = min(4, count)  # the point itself, and three others
    distances = cKDTree(cloud.points).query(cloud.points, k=neighbors)[0]
    squares = (distances.reshape(count, -1) ** 2).sum(axis=1) / max(neighbors - 1, 1)
    sizes = np.log(np.sqrt(np.maximum(squares, 1e-7)))

    def filled(values: np.ndarray, empty: float) -> Array:
        table = np.full((slots, *values.shape[1:]), empty, np.float32)
        table[:count] = values
        return jnp.asarray(table)

    upright = np.tile(np.array([1.0, 0, 0, 0]), (slots, 1))
    return Gaussians(
        means=filled(cloud.points, 0.0),
        rotations=jnp.asarray(upright, jnp.float32),
        log_scales=filled(np.tile(sizes[:, None], (1, 3)), -5.0),
        logit_opacities=filled(np.zeros(count), EMPTY),
        colors=filled(cloud.colors, 0.0),
        foreground=filled(cloud.foreground.astype(np.float32), 0.0),
        gains=jnp.zeros((cameras, 3)),
        offsets=jnp.zeros((cameras, 3)),
    )


def compacted(gaussians: Gaussians) -> Gaussians:
    """Returns the Gaussians without the empty slots."""
    kept = np.asarray(gaussians.logit_opacities) > EMPTY
    return Gaussians(
        **{
            name: value if name in PER_CAMERA else value[kept]
            for name, value in gaussians._asdict().items()
        }
    )


def unit_rotations(gaussians: Gaussians) -> Float[Array, "N 4"]:
    """Returns the rotations as unit quaternions."""
    rotations = gaussians.rotations
    return rotations / jnp.linalg.norm(rotations, axis=-1, keepdims=True)


def view(
    gaussians: Gaussians,
    camera: Camera,
    *,
    size: tuple[int, int],
    capacity: int,
    shift: Any = None,
    distance: bool = False,
) -> Rendering:
    """Renders the colours, the foreground's and the background's share.

    Args:
      gaussians: the scene.
      camera: the camera.
      size: height and width of the image.
      capacity: see `render`.
      shift: see `render`.
      distance: adds the distances of the Gaussians' centres, in metres.
    """
    share = gaussians.foreground[:, None]
    values = [gaussians.colors, share, 1 - share]
    if distance:
        center = -camera.extrinsics[:, :3].T @ camera.extrinsics[:, 3]
        values.append(jnp.linalg.norm(gaussians.means - center, axis=-1)[:, None])
    opacities = jax.nn.sigmoid(gaussians.logit_opacities)
    return render(
        gaussians.means,
        gaussians.rotations,
        jnp.exp(gaussians.log_scales),
        jnp.where(gaussians.logit_opacities > EMPTY, opacities, 0.0),
        jnp.concatenate(values, axis=-1),
        camera,
        size=size,
        capacity=capacity,
        shift=shift,
    )


def through_camera(
    gaussians: Gaussians, image: Float[Array, "H W 3"], camera: Any
) -> Float[Array, "H W 3"]:
    """Applies a camera's gain and offset to composited colours."""
    return jnp.exp(gaussians.gains[camera]) * image + gaussians.offsets[camera]
