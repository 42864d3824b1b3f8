"""Where cameras and objects are, as seen from views: what oracles and probes need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from dyso import geometry

if TYPE_CHECKING:
    from dyso.train.data import ViewReader

FIELDS = ("intrinsics", "extrinsics", "objects/positions", "objects/quaternions")


def view_geometry(
    split: ViewReader, index: int, first: int, views: Sequence[int]
) -> dict[str, Float[np.ndarray, "V N n"]]:
    """Returns the geometry of a scene's V views and N objects.

    Args:
      split: the scenes.
      index: the scene.
      first: the first input view, which latents are relative to.
      views: view indices.

    Returns:
      `image_position`: x and y of each object's origin as shares of the image's width
      and height, clipped to one image beyond its borders. `position_in_view`,
      `position_in_first`, `position_in_world`: each object's origin in metres, in the
      camera frame of the view or of the first input, or in the world's.
      `rotation_in_view`, `rotation_in_first`, `rotation_in_world`: the 9 entries of the
      object's rotation matrix to these frames. `camera_position`: the view's camera in
      the camera frame of the first input, in metres (N = 1).
    """
    found = split.read(index, fields=FIELDS, views=[first, *views])
    cameras = split.spec.cameras.count
    # Paired cameras see one step each; training refuses such datasets.
    steps = np.asarray(views) // cameras
    positions = found["objects/positions"].astype(np.float64)[:, steps].swapaxes(0, 1)
    quaternions = found["objects/quaternions"].astype(np.float64)[:, steps]
    rotations = geometry.quaternion_to_matrix(quaternions).swapaxes(0, 1)
    matrices = found["extrinsics"].astype(np.float64)
    view, first_view = matrices[1:, None], matrices[:1, None]
    pixels, _, z = geometry.project(
        positions, found["intrinsics"].astype(np.float64)[1:, None], view
    )
    height, width = split.spec.resolution
    image = np.where((z > 0)[..., None], pixels / [width, height], 0.5)
    centers = geometry.invert(matrices[1:])[..., 3]

    def rotated(to: np.ndarray) -> np.ndarray:
        return (to[..., :3] @ rotations).reshape(*rotations.shape[:2], 9)

    return {
        "image_position": np.clip(image, -1, 2),
        "position_in_view": geometry.transform(view, positions),
        "position_in_first": geometry.transform(first_view, positions),
        "position_in_world": positions,
        "rotation_in_view": rotated(view),
        "rotation_in_first": rotated(first_view),
        "rotation_in_world": rotations.reshape(*rotations.shape[:2], 9),
        "camera_position": geometry.transform(first_view[:, 0], centers)[:, None],
    }
