"""Checks that the cameras of a sampled scene are well placed, its objects in frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
from dyso.sampling.scene import Scene
from dyso.spec import Layout, Spec

# Least distance in metres between a camera and an object's bounding sphere.
NEAR = 0.1

# Cameras and objects must be within this share of the dome's radius.
WITHIN_DOME = 0.9

# The centres of 27 equal parts of the box from -1 to 1.
PARTS = np.stack(np.meshgrid(*[[-2 / 3, 0.0, 2 / 3]] * 3), axis=-1).reshape(27, 3)


@dataclass(frozen=True, kw_only=True)
class VisibilityLimits:
    """What must be visible in the views of a scene.

    Attributes:
      layout: its views.
      resolution: height and width in pixels.
      sensor_width: metres.
      dome_radius: metres; None where there is no dome.
      share: share of the objects' bounding boxes that must be in frame.
      share_of_views: share of the views in which that must hold.
    """

    layout: Layout
    resolution: tuple[int, int]
    sensor_width: float
    dome_radius: float | None
    share: float
    share_of_views: float

    @classmethod
    def of_spec(cls, spec: Spec) -> VisibilityLimits:
        """Returns the limits that a spec sets."""
        dome = spec.backgrounds.backdrop == "dome"
        return cls(
            layout=spec.layout,
            resolution=spec.resolution,
            sensor_width=spec.cameras.sensor_width / 1000,
            dome_radius=spec.backgrounds.dome_radius if dome else None,
            share=spec.visibility.share,
            share_of_views=spec.visibility.share_of_views,
        )


def sampled_fault(
    spec: Spec,
    trajectory: Trajectory,
    motion: Motion,
    half: Float[np.ndarray, "N 3"],
) -> str | None:
    """Returns why a sampled scene is rejected, or None if it is accepted.

    Objects that physics will drop are checked as if they lay on the floor below.

    Args:
      spec: sets the limits.
      trajectory: C cameras.
      motion: N objects in T steps.
      half: metres, half the sides of each object's bounding box.
    """
    if trajectory.positions[:, 2].min() < spec.cameras.min_height:
        return "a camera is below cameras.min_height"
    dropped = 1 if spec.dynamics.contact == "settle" else 0
    if spec.dynamics.motion == "physics":
        dropped = spec.dynamics.steps
    positions = motion.positions.copy()
    fallen = lying_height(half[:, None], motion.quaternions[:, :dropped])
    positions[:, :dropped, 2] = fallen
    motion = replace(motion, positions=positions)
    return fault(VisibilityLimits.of_spec(spec), trajectory, motion, half)


def moved_fault(
    scene: Scene, motion: Motion, sizes: Float[np.ndarray, "N 3"]
) -> str | None:
    """Returns why a scene is rejected after physics has moved it, or None.

    Args:
      scene: has `physics`.
      motion: what physics has made of it.
      sizes: metres, the sides of each object's bounding box.
    """
    assert scene.physics is not None
    background = scene.background
    limits = VisibilityLimits(
        layout=scene.layout,
        resolution=scene.resolution,
        sensor_width=scene.cameras[0].sensor_width,
        dome_radius=background.dome_radius if background.backdrop == "dome" else None,
        share=scene.physics.share,
        share_of_views=scene.physics.views,
    )
    trajectory = Trajectory(
        pattern=scene.pattern,
        positions=np.array([camera.pose.position for camera in scene.cameras]),
        quaternions=np.array([camera.pose.quaternion for camera in scene.cameras]),
        focal_lengths=np.array([camera.focal_length for camera in scene.cameras]),
    )
    return fault(limits, trajectory, motion, sizes / 2)


def fault(
    limits: VisibilityLimits,
    trajectory: Trajectory,
    motion: Motion,
    half: Float[np.ndarray, "N 3"],
) -> str | None:
    """Returns why this motion and these cameras are rejected, or None.

    Args:
      limits: sets the limits.
      trajectory: C cameras.
      motion: N objects in T steps.
      half: metres, half the sides of each object's bounding box.
    """
    centres = motion.positions
    radii = np.linalg.norm(half, axis=-1)
    if limits.dome_radius is not None:
        reach = max(
            np.linalg.norm(trajectory.positions, axis=-1).max(),
            (np.linalg.norm(centres, axis=-1) + radii[:, None]).max(),
        )
        if reach > limits.dome_radius * WITHIN_DOME:
            return "a camera or an object is outside the dome"
    steps, cameras = np.array(limits.layout.pairs).T
    gaps = trajectory.positions[cameras] - centres[:, steps]
    if (np.linalg.norm(gaps, axis=-1) < radii[:, None] + NEAR).any():
        return "a camera is inside an object's bounding sphere"
    seen = seen_shares(limits, trajectory, motion, half)
    if (seen >= limits.share).mean() < limits.share_of_views:
        return "too little of the objects is in frame"
    return None


def seen_shares(
    limits: VisibilityLimits,
    trajectory: Trajectory,
    motion: Motion,
    half: Float[np.ndarray, "N 3"],
) -> Float[np.ndarray, " V"]:
    """Returns the share of the objects' boxes that each view has in frame.

    The share is averaged over the objects.
    """
    local = (PARTS * half[:, None])[:, None]
    points = local @ quaternion_to_matrix(motion.quaternions).swapaxes(-1, -2)
    points = points + motion.positions[..., None, :]
    steps, cameras = np.array(limits.layout.pairs).T
    height, width = limits.resolution
    matrices = intrinsics(trajectory.focal_lengths, limits.sensor_width, height, width)
    extrinsics = invert(pose_matrix(trajectory.positions, trajectory.quaternions))
    pixels, _, z = project(
        points[:, steps], matrices[cameras, None], extrinsics[cameras, None]
    )
    inside = ((pixels > 0) & (pixels < [width, height])).all(-1) & (z > 0)
    return inside.mean(-1).mean(0)
