"""PyBullet, by way of Kubric: objects fall and come to rest."""

from __future__ import annotations

import itertools
from pathlib import Path

import kubric as kb
import numpy as np
from kubric.simulator import PyBullet
from scipy.spatial import ConvexHull

from .meshes import ObjectMesh

FLOOR = 1000.0  # metres, half the side of the floor
FRAME_RATE = 24

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
) -> tuple[np.ndarray, np.ndarray]:
    """Simulates the objects' convex hulls on the floor z = 0.

    Args:
      meshes: one an object.
      positions: [N, 3], metres.
      quaternions: [N, 4].
      seconds: how long.
      scratch: a folder for the hulls.

    Returns:
      Positions [N, 3] and quaternions [N, 4] at the end.
    """
    scene = kb.Scene(frame_start=0, frame_end=round(seconds * FRAME_RATE))
    scene.frame_rate = FRAME_RATE
    simulator = PyBullet(scene, scratch_dir=scratch)
    scene += kb.Cube(
        name="floor",
        scale=(FLOOR, FLOOR, 1.0),
        position=(0.0, 0.0, -1.0),
        static=True,
        friction=0.5,
    )
    objects = []
    for i, mesh in enumerate(meshes):
        folder = scratch / f"hull-{i}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "hull.obj").write_text(_hull(mesh.points))
        # The inertia of a solid box of the object's size, mass 1 kg.
        square = np.maximum(mesh.sizes, 0.05) ** 2
        inertia = (square.sum() - square) / 12
        (folder / "object.urdf").write_text(_URDF.format(*inertia))
        item = kb.FileBasedObject(
            asset_id=f"object-{i}",
            simulation_filename=str(folder / "object.urdf"),
            render_filename=None,
            position=positions[i],
            quaternion=quaternions[i],
            friction=0.5,
            restitution=0.2,
        )
        scene += item
        objects.append(item)
    animation, _ = simulator.run(frame_start=0, frame_end=scene.frame_end)
    return (
        np.array([animation[item]["position"][-1] for item in objects]),
        np.array([animation[item]["quaternion"][-1] for item in objects]),
    )


def _hull(points: np.ndarray) -> str:
    """Gives the convex hull of points [k, 3] as OBJ text, a millimetre larger.

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
