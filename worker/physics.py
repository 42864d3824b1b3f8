"""Simulates falling and colliding objects with PyBullet, through Kubric.

Objects collide as convex hulls of the rendered meshes, in metres. Therefore any catalog
can be simulated. The hulls that `rigid_body` writes into converted assets are not read:
they are for other users of Kubric.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import kubric as kb
import numpy as np
import pybullet
from kubric.simulator import PyBullet
from scipy.spatial import ConvexHull

from dyso.sampling.scene import Physics
from dyso.spec import PHYSICS_RATE

from .meshes import ObjectMesh

FLOOR = 1000.0  # metres, half the side of the floor
SETTLE_RATE = 24  # frames a second
SUBSTEPS = 8  # per step; with one, fast objects sink centimetres deep on impact
ROLLING = 0.1  # rolling and spinning friction, so a ball does not roll out of sight

_URDF = """<robot name="object"><link name="base">
<inertial><mass value="1"/>
<inertia ixx="{0}" ixy="0" ixz="0" iyy="{1}" iyz="0" izz="{2}"/></inertial>
<collision><geometry><mesh filename="hull.obj"/></geometry></collision>
</link></robot>
"""


def settle(
    meshes: list[ObjectMesh],
    positions: np.ndarray,
    quaternions: np.ndarray,
    seconds: float,
    scratch: Path,
    *,
    rolling_friction: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulates the objects' fall to the floor.

    Args:
      meshes: one per object.
      positions: [N, 3], metres.
      quaternions: [N, 4].
      seconds: the simulated time.
      scratch: a folder for the hulls.
      rolling_friction: slows round objects down, as real floors do.

    Returns:
      Positions [N, 3] and quaternions [N, 4] at the end.
    """
    frames = round(seconds * SETTLE_RATE) + 1
    scene, simulator = _stage(frames, SETTLE_RATE, scratch)
    objects = [
        _add(scene, i, mesh, scratch, positions[i], quaternions[i], restitution=0.2)
        for i, mesh in enumerate(meshes)
    ]
    if rolling_friction:
        _slow_rolling(simulator, objects)
    moved, turned = _run(simulator, objects, frames)
    return moved[:, -1], turned[:, -1]


def fall(
    meshes: list[ObjectMesh],
    positions: np.ndarray,
    quaternions: np.ndarray,
    steps: int,
    physics: Physics,
    scratch: Path,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulates the objects from their given poses and velocities.

    Args:
      meshes: one per object.
      positions: [N, 3], metres, at step 0.
      quaternions: [N, 4], at step 0.
      steps: T dynamics steps.
      physics: the velocities at step 0, and the frame rate of the steps.
      scratch: a folder for the hulls.

    Returns:
      Positions [N, T, 3] and quaternions [N, T, 4].
    """
    scene, simulator = _stage(steps, physics.frame_rate, scratch)
    client = simulator.physics_client
    pybullet.setPhysicsEngineParameter(numSubSteps=SUBSTEPS, physicsClientId=client)
    objects = []
    for i, mesh in enumerate(meshes):
        item = _add(
            scene,
            i,
            mesh,
            scratch,
            positions[i],
            quaternions[i],
            restitution=0.5,
            velocity=physics.velocities[i],
            angular_velocity=physics.spins[i],
        )
        objects.append(item)
    _slow_rolling(simulator, objects)
    return _run(simulator, objects, steps)


def _stage(frames: int, frame_rate: int, scratch: Path) -> tuple[kb.Scene, PyBullet]:
    """Returns a scene with only the floor z = 0, and its simulator."""
    scene = kb.Scene(
        frame_start=0,
        frame_end=frames - 1,
        frame_rate=frame_rate,
        step_rate=PHYSICS_RATE,
    )
    simulator = PyBullet(scene, scratch_dir=scratch)
    scene += kb.Cube(
        name="floor",
        scale=(FLOOR, FLOOR, 1.0),
        position=(0.0, 0.0, -1.0),
        static=True,
        friction=0.5,
    )
    return scene, simulator


def _add(
    scene: kb.Scene,
    number: int,
    mesh: ObjectMesh,
    scratch: Path,
    position: np.ndarray,
    quaternion: np.ndarray,
    **how: Any,
) -> kb.FileBasedObject:
    """Adds an object's convex hull to a simulated scene."""
    folder = scratch / f"hull-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hull.obj").write_text(_hull(mesh.points))
    # The inertia of a solid box of the object's size, mass 1 kg.
    square = np.maximum(mesh.sizes, 0.05) ** 2
    inertia = (square.sum() - square) / 12
    (folder / "object.urdf").write_text(_URDF.format(*inertia))
    item = kb.FileBasedObject(
        asset_id=f"object-{number}",
        simulation_filename=str(folder / "object.urdf"),
        render_filename=None,
        position=position,
        quaternion=quaternion,
        friction=0.5,
        **how,
    )
    scene += item
    return item


def _slow_rolling(simulator: PyBullet, objects: list[kb.FileBasedObject]) -> None:
    """Adds friction of the objects against rolling and spinning."""
    for item in objects:
        pybullet.changeDynamics(
            item.linked_objects[simulator],
            -1,
            rollingFriction=ROLLING,
            spinningFriction=ROLLING,
            physicsClientId=simulator.physics_client,
        )


def _run(
    simulator: PyBullet, objects: list[kb.FileBasedObject], frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions [N, frames, 3] and quaternions [N, frames, 4]."""
    animation, _ = simulator.run(frame_start=0, frame_end=frames - 1)
    return (
        np.array([animation[item]["position"] for item in objects]),
        np.array([animation[item]["quaternion"] for item in objects]),
    )


def _hull(points: np.ndarray) -> str:
    """Returns the convex hull of points [k, 3] as OBJ text, a millimetre larger.

    The millimetre gives a flat mesh the thickness that a hull needs.
    """
    corners = np.array(list(itertools.product((-5e-4, 5e-4), repeat=3)))
    points = (points[:, None] + corners).reshape(-1, 3)
    hull = ConvexHull(points)
    vertices = "".join(
        f"v {x:.9g} {y:.9g} {z:.9g}\n" for x, y, z in points[hull.vertices]
    )
    number = np.empty(len(points), int)
    number[hull.vertices] = np.arange(1, len(hull.vertices) + 1)
    faces = "".join(f"f {a} {b} {c}\n" for a, b, c in number[hull.simplices])
    return vertices + faces
