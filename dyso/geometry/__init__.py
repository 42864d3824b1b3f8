"""Rigid transforms, cameras, projection and rays, for numpy and jax arrays alike."""

from dyso.geometry.cameras import (
    intrinsics,
    invert,
    look_at,
    pixel_grid,
    pose_matrix,
    project,
    rays,
    transform,
    unproject,
)
from dyso.geometry.rotations import (
    quaternion_from_axis_angle,
    quaternion_from_matrix,
    quaternion_multiply,
    quaternion_to_matrix,
    rotation_angle,
)

__all__ = [
    "intrinsics",
    "invert",
    "look_at",
    "pixel_grid",
    "pose_matrix",
    "project",
    "quaternion_from_axis_angle",
    "quaternion_from_matrix",
    "quaternion_multiply",
    "quaternion_to_matrix",
    "rays",
    "rotation_angle",
    "transform",
    "unproject",
]
