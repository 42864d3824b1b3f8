"""Run as a script: the thin shadow that a low sun casts past a pole's window.

Prints the largest share of the light that is lost there, and by how much the share that
the worker finds differs from that of rays cast for every pixel.
"""

import numpy as np
import trimesh

from dyso import geometry
from dyso.sampling.scene import Background
from dyso.worker import passes, shadows
from dyso.worker.empty_view import empty_view
from dyso.worker.meshes import ObjectMesh

SIZE = (96, 96)


def main() -> None:
    pole = trimesh.creation.box((0.08, 0.08, 1.0))
    mesh = ObjectMesh(
        vertices=np.array(pole.vertices),
        triangles=np.array(pole.faces),
        normals=np.repeat(pole.face_normals[:, None], 3, axis=1),
        sizes=np.array(pole.extents),
    )
    pose = geometry.pose_matrix(np.array([0, 0, 0.5]), np.array([1.0, 0, 0, 0]))
    sky = np.full((64, 128, 3), 0.1)
    sky[22, 40] = 2000.0  # a low sun
    position = np.array([3.0, -3.0, 2.0])
    turned = geometry.look_at(position, np.array([0.0, 0.0, 0.3]))
    empty = empty_view(
        geometry.intrinsics(0.035, 0.032, *SIZE),
        geometry.invert(np.column_stack([turned, position])),
        SIZE,
        Background(
            asset_id="sky",
            rotation=0.0,
            backdrop="dome",
            dome_radius=20.0,
            dome_height=3.0,
        ),
        sky,
    )
    meshes, poses = [mesh], pose[None]
    instance = passes.cast(empty, meshes, poses).instance
    lights = shadows.floor_lights(sky)
    followed = shadows.shade(empty, instance, meshes, poses, lights)
    shadows.CELLS = max(SIZE)  # per pixel
    exact = shadows.shade(empty, instance, meshes, poses, lights)
    outside = np.ones(SIZE, bool)
    outside[followed.window.slices] = False
    error = abs(followed.lost - exact.lost).max(-1)
    print(exact.lost[outside].max(), error[outside].max())


main()
