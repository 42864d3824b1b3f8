"""Rigid transforms, cameras, rays, flow and tracks, for numpy and jax arrays alike."""

from dyso.geometry.cameras import (
    azimuth_elevation,
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
from dyso.geometry.motion import (
    DEPTH_TOLERANCE,
    Flow,
    Tracks,
    View,
    carry,
    flow,
    instance_poses,
    tracks,
    visibility_of,
)
from dyso.geometry.rotations import (
    quaternion_from_axis_angle,
    quaternion_from_matrix,
    quaternion_multiply,
    quaternion_to_matrix,
    rotation_angle,
)

__all__ = [
    "DEPTH_TOLERANCE",
    "Flow",
    "Tracks",
    "View",
    "azimuth_elevation",
    "carry",
    "flow",
    "instance_poses",
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
    "tracks",
    "transform",
    "unproject",
    "visibility_of",
]
