"""Projects 3D Gaussians into an image, as EWA splatting does.

A Gaussian with covariance S becomes, to first order about its centre, a 2D Gaussian
with covariance J R S R^T J^T, where R is the camera's rotation and J the Jacobian of
the projection (Zwicker et al., "EWA Splatting", 2002).

Anti-aliasing: the image is what the camera would see through a Gaussian pixel filter.
The filter adds `FILTER_VARIANCE` to the 2D covariance, and the opacity is scaled so
that the Gaussian's integral over the image stays what it was (the 2D filter of Yu et
al., "Mip-Splatting", 2024; their variance is 0.1). With a variance of 0.3, which 3D
Gaussian Splatting adds without the scaling, a Gaussian's pixels sum to the same value
within 1 % wherever its centre is in a pixel; with 0.1 they would differ by a quarter.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from dyso import geometry

FILTER_VARIANCE = 0.3
"""Pixels squared, of the pixel filter."""
NEAR = 0.05
"""Metres along the optical axis; Gaussians whose centre is nearer are not drawn."""
FIELD_MARGIN = 1.3
"""J is taken at a point at most this many half images from the middle. Far outside the
image, the first-order projection of a Gaussian is much too large."""


class Camera(NamedTuple):
    """A pinhole camera, in the project's conventions (`dyso.geometry`).

    Attributes:
      intrinsics: [3, 3], pixels.
      extrinsics: [3, 4], world to camera.
    """

    intrinsics: Float[Array, "3 3"]
    extrinsics: Float[Array, "3 4"]


class Splats(NamedTuple):
    """2D Gaussians in an image.

    Attributes:
      centers: [N, 2], pixels (x, y).
      covariances: [N, 3], pixels squared: xx, xy and yy, the pixel filter included.
      opacities: [N], at the centre; 0 for Gaussians that are not drawn.
      distances: [N], metres from the camera's centre to the Gaussian's.
    """

    centers: Float[Array, "N 2"]
    covariances: Float[Array, "N 3"]
    opacities: Float[Array, " N"]
    distances: Float[Array, " N"]


def project(
    means: Float[Array, "N 3"],
    rotations: Float[Array, "N 4"],
    scales: Float[Array, "N 3"],
    opacities: Float[Array, " N"],
    camera: Camera,
    size: tuple[int, int],
) -> Splats:
    """Projects Gaussians into an image; differentiable.

    Args:
      means: metres, in the world.
      rotations: quaternions (w, x, y, z) of any norm, the Gaussian's axes to the world.
      scales: metres, standard deviations along its axes.
      opacities: in [0, 1).
      camera: the camera.
      size: height and width of the image.
    """
    pixels, distances, z = geometry.project(means, camera.intrinsics, camera.extrinsics)
    drawn = z > NEAR
    # Values that are not drawn must be finite too, or their gradients are not.
    safe_z = jnp.where(drawn, z, 1.0)
    world_to_camera = camera.extrinsics[:, :3]
    axes = geometry.quaternion_to_matrix(rotations) * scales[:, None, :]
    local = jnp.einsum("ij,njk->nik", world_to_camera, axes)

    height, width = size
    focal = camera.intrinsics[0, 0], camera.intrinsics[1, 1]
    center = camera.intrinsics[0, 2], camera.intrinsics[1, 2]
    rows = []
    for i, side in enumerate((width, height)):
        limit = FIELD_MARGIN * side / 2 / focal[i]
        slope = (pixels[:, i] - center[i]) / focal[i]
        slope = jnp.clip(jnp.where(drawn, slope, 0.0), -limit, limit)
        # A row of J: d pixel_i = focal / z * (d local_i - slope * d local_z).
        rows.append(
            (focal[i] / safe_z)[:, None]
            * (local[:, i, :] - slope[:, None] * local[:, 2, :])
        )
    xx, xy, yy = ((rows[a] * rows[b]).sum(-1) for a, b in ((0, 0), (0, 1), (1, 1)))
    before = jnp.maximum(xx * yy - xy**2, 1e-12)
    xx, yy = xx + FILTER_VARIANCE, yy + FILTER_VARIANCE
    kept = jnp.sqrt(before / (xx * yy - xy**2))
    return Splats(
        centers=jnp.where(drawn[:, None], pixels, -1e4),
        covariances=jnp.stack([xx, xy, yy], axis=-1),
        opacities=jnp.where(drawn, opacities * kept, 0.0),
        distances=distances,
    )
