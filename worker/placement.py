"""Computes exact object poses: sampled poses in contact with the floor, or physics."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dyso.geometry import quaternion_multiply, quaternion_to_matrix
from dyso.sampling.dynamics import Motion
from dyso.sampling.scene import Physics, Scene
from dyso.sampling.visibility import moved_fault

from .bodies import Body
from .errors import UnseenError
from .meshes import ObjectMesh

_UPRIGHT = 1e-6
"""Change of the vertical in an object's frame: rounding of quaternions to 1e-9."""
_CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])


def true_poses(
    scene: Scene, bodies: list[Body], scratch: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions [N, T, 3] and quaternions [N, T, 4] with contact applied.

    Args:
      scene: its poses are exact, except where they depend on the mesh.
      bodies: one per object.
      scratch: a folder for the physics' files.

    Raises:
      UnseenError: physics moves the objects out of sight.
    """
    positions = np.array([[p.position for p in o.poses] for o in scene.objects])
    quaternions = np.array([[p.quaternion for p in o.poses] for o in scene.objects])
    meshes = [body.rest for body in bodies]
    if scene.physics is not None:
        return _fall(scene, scene.physics, bodies, scratch, positions, quaternions)
    settled = {"settle": 1, "stable": scene.steps}.get(scene.contact, 0)
    if scene.contact == "settle":
        _settle(scene, meshes, scratch, positions, quaternions)
    elif scene.contact == "stable":
        _settle_each(scene, meshes, scratch, positions, quaternions)
    # Objects in a heap stay as physics left them; a single one touches exactly.
    first = 0 if len(meshes) == 1 else settled
    for body, position, quaternion in zip(bodies, positions, quaternions, strict=True):
        start = position[0, 2]
        heights = body.height - body.lowest(quaternion)
        down = quaternion_to_matrix(quaternion)[:, 2]
        if body.keeps_heights and np.ptp(down, axis=0).max() < _UPRIGHT:
            heights[:] = heights.max()
        position[first:, 2] = (
            heights[0] + position[first:, 2] - start
            if scene.contact == "free"
            else heights[first:]
        )
        if body.deforms and first:
            position[:first, 2] = np.maximum(position[:first, 2], heights[:first])
    return positions, quaternions


def _fall(
    scene: Scene,
    physics: Physics,
    bodies: list[Body],
    scratch: Path,
    positions: np.ndarray,
    quaternions: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulates the objects from step 0 on, and checks that they stay in view."""
    from .physics import fall

    start = positions[:, 0], quaternions[:, 0]
    meshes = [body.rest for body in bodies]
    moved, turned = fall(meshes, *start, scene.steps, physics, scratch)
    for body, position, quaternion in zip(bodies, moved, turned, strict=True):
        if body.deforms:
            position[:, 2] = np.maximum(position[:, 2], -body.lowest(quaternion))
    wrong = moved_fault(
        scene,
        Motion(positions=moved, quaternions=turned),
        np.array([body.reach(scene.steps) for body in bodies]),
    )
    if wrong:
        raise UnseenError(f"after physics, {wrong}")
    return moved, turned


def _settle(
    scene: Scene,
    meshes: list[ObjectMesh],
    scratch: Path,
    positions: np.ndarray,
    quaternions: np.ndarray,
) -> None:
    """Settles step 0, in place; later steps keep their relative motion."""
    from .physics import settle

    moves = np.diff(positions, axis=1)
    turns = quaternion_multiply(quaternions[:, 1:], quaternions[:, :-1] * _CONJUGATE)
    positions[:, 0], quaternions[:, 0] = settle(
        meshes, positions[:, 0], quaternions[:, 0], scene.settle_time, scratch
    )
    for step in range(1, scene.steps):
        positions[:, step] = positions[:, step - 1] + moves[:, step - 1]
        quaternions[:, step] = quaternion_multiply(
            turns[:, step - 1], quaternions[:, step - 1]
        )


def _settle_each(
    scene: Scene,
    meshes: list[ObjectMesh],
    scratch: Path,
    positions: np.ndarray,
    quaternions: np.ndarray,
) -> None:
    """Settles every step by itself, in place, from its sampled poses."""
    from .physics import settle

    for step in range(scene.steps):
        positions[:, step], quaternions[:, step] = settle(
            meshes,
            positions[:, step],
            quaternions[:, step],
            scene.settle_time,
            scratch / f"step-{step}",
            rolling_friction=True,
        )
