"""Run as a script: objects that fall, by the worker's physics alone.

`python falling_bodies.py OUTPUT.npz` writes positions [N, T, 3] and quaternions
[N, T, 4] by name, and `lowest_...`, the height [N, T] of each object's lowest vertex.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import trimesh

from dyso.geometry import quaternion_to_matrix
from dyso.sampling import Physics
from dyso.worker.meshes import ObjectMesh
from dyso.worker.physics import fall

UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


def object_mesh(shape: trimesh.Trimesh) -> ObjectMesh:
    return ObjectMesh(
        vertices=np.array(shape.vertices),
        triangles=np.array(shape.faces),
        normals=np.zeros((len(shape.faces), 3, 3)),
        sizes=np.array(shape.extents),
    )


BALL = object_mesh(trimesh.creation.icosphere(subdivisions=3, radius=0.3))
BRICK = object_mesh(trimesh.creation.box((0.8, 0.4, 0.3)))
PLATE = object_mesh(trimesh.creation.box((0.9, 0.6, 0.02)))
# Two balls that meet, a brick and a plate that tumble, all from different heights.
SEVERAL = (
    [BALL, BALL, BRICK, PLATE],
    np.array([[-1.0, 0, 0.4], [1.0, 0, 0.4], [0, -1.5, 1.5], [0, 1.5, 2.5]]),
    [(2.5, 0, 0), (-2.5, 0, 0), (0.5, 0, 0), (0, 0.5, 0)],
    [(0, 0, 1.0), (0, 0, 0), (3.0, 1.0, 0), (0, 4.0, 2.0)],
)
DROPPED = ([BALL], np.array([[0, 0, 2.3]]), [(0, 0, 0)], [(0, 0, 0)])


def main() -> None:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (meshes, start, velocities, spins), steps in (
            ("several", SEVERAL, 180),
            ("again", SEVERAL, 180),
            ("shorter", SEVERAL, 40),
            ("dropped", DROPPED, 90),
        ):
            physics = Physics(
                frame_rate=30,
                velocities=tuple(velocities),
                spins=tuple(spins),
                share=0.0,
                views=0.0,
            )
            turned = np.tile(UPRIGHT, (len(meshes), 1))
            positions, quaternions = fall(
                meshes, start, turned, steps, physics, Path(folder)
            )
            up = quaternion_to_matrix(quaternions)[..., 2, :]
            lowest = [(mesh.points @ up[i].T).min(0) for i, mesh in enumerate(meshes)]
            found[name], found[f"turned_{name}"] = positions, quaternions
            found[f"lowest_{name}"] = positions[..., 2] + lowest
    np.savez(sys.argv[1], **found)


if __name__ == "__main__":
    main()
