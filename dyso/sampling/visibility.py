"""Whether a sampled scene can be shown: cameras well placed, objects in frame."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dyso.geometry import (
    intrinsics,
    invert,
    pose_matrix,
    project,
    quaternion_to_matrix,
)
from dyso.sampling.cameras import Trajectory
from dyso.sampling.dynamics import Motion, lying_height
from dyso.spec import Spec

# Metres that every camera keeps from every object's bounding sphere.
NEAR = 0.1

# Share of the dome's radius that cameras and objects keep within.
WITHIN_DOME = 0.9

# The centres of 27 equal parts of the box from -1 to 1.
PARTS = np.stack(np.meshgrid(*[[-2 / 3, 0.0, 2 / 3]] * 3), axis=-1).reshape(27, 3)


def fault(
    spec: Spec,
    trajectory: Trajectory,
    motion: Motion,
    half: Float[np.ndarray, "N 3"],
) -> str | None:
    """Gives what keeps a scene from being shown, or None.

    Objects that physics has yet to drop are judged as if they lay where they fall.

    Args:
      spec: sets the limits.
      trajectory: C cameras.
      motion: N objects in T steps.
      half: metres, half the sides of each object's bounding box.
    """
    if trajectory.positions[:, 2].min() < spec.cameras.min_height:
        return "a camera is below cameras.min_height"
    centres = motion.positions
    if spec.dynamics.contact == "settle":
        centres = centres.copy()
        centres[:, 0, 2] = lying_height(half, motion.quaternions[:, 0])
    radii = np.linalg.norm(half, axis=-1)
    if spec.backgrounds.backdrop == "dome":
        reach = max(
            np.linalg.norm(trajectory.positions, axis=-1).max(),
            (np.linalg.norm(centres, axis=-1) + radii[:, None]).max(),
        )
        if reach > spec.backgrounds.dome_radius * WITHIN_DOME:
            return "a camera or an object is outside the dome"
    steps, cameras = np.array(spec.layout.pairs).T
    gaps = trajectory.positions[cameras] - centres[:, steps]
    if (np.linalg.norm(gaps, axis=-1) < radii[:, None] + NEAR).any():
        return "a camera is inside an object's bounding sphere"
    seen = seen_shares(spec, trajectory, centres, motion.quaternions, half)
    if (seen >= spec.visibility.share).mean() < spec.visibility.views:
        return "too little of the objects is in frame"
    return None


def seen_shares(
    spec: Spec,
    trajectory: Trajectory,
    centres: Float[np.ndarray, "N T 3"],
    quaternions: Float[np.ndarray, "N T 4"],
    half: Float[np.ndarray, "N 3"],
) -> Float[np.ndarray, " V"]:
    """Gives how much of the objects' boxes each view has in frame.

    On average over the objects.
    """
    local = (PARTS * half[:, None])[:, None]
    points = local @ quaternion_to_matrix(quaternions).swapaxes(-1, -2)
    points = points + centres[..., None, :]
    steps, cameras = np.array(spec.layout.pairs).T
    height, width = spec.resolution
    sensor = spec.cameras.sensor_width / 1000
    matrices = intrinsics(trajectory.focal_lengths, sensor, height, width)
    extrinsics = invert(pose_matrix(trajectory.positions, trajectory.quaternions))
    pixels, _, z = project(
        points[:, steps], matrices[cameras, None], extrinsics[cameras, None]
    )
    inside = ((pixels > 0) & (pixels < [width, height])).all(-1) & (z > 0)
    return inside.mean(-1).mean(0)
