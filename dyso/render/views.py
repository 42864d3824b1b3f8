"""The rendered arrays of one scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int32, UInt8

from dyso.spec import REQUIRED_LAYERS, Spec

MAX_BONE_NAME = 32
"""Maximum characters of a bone's name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Views:
    """The arrays of one scene, as a worker returns them.

    T is the number of dynamics steps, N that of objects, and H x W that of pixels. C is
    the number of cameras per step: all cameras, or 1 if each step has its own camera.
    The objects' meshes have F faces and K vertices.

    Attributes:
      color: sRGB display values after the view transform.
      depth: metres, Euclidean distance to the camera centre; infinity where nothing
        is hit.
      instance: 1 + the object's position in the scene; 0 is background.
      category: the instance's category id; 0 is background.
      normal: unit surface normals in the world frame, or None.
      object_coordinates: NOCS, the position within the object's bounding box in the
        object frame, from 0 to 1 on each axis, in the rest shape; 0 on the background;
        or None.
      positions: metres, the objects' true positions, with contact physics applied.
      quaternions: (w, x, y, z), the objects' true orientations.
      sizes: metres, the sides of each object's bounding box in the object frame, in its
        rest shape.
      surface: one plus the face of the meshes; 0 is background; or None.
      mesh_faces: the vertices of each face of all objects; this and the next if
        `surface` is not None.
      mesh_instance: one plus the object of each vertex.
      mesh_rest: metres in the object frame, the rest shape.
      mesh_vertices: metres in the object frame, at each step.
      mesh_part: the part of its object that each face belongs to, 0 for the base; if
        the scene has joints.
      bone_instance: one plus the object of each bone; this and the next four if the
        scene has bones.
      bone_name: what each is.
      bone_parent: the bone of the same object that each is fixed to; -1 for a root.
      bone_joint: metres in the object frame, the point at rest about which it turns.
      bone_poses: from the rest shape to each step, both in the object frame.
      timings: seconds by stage. `cpu` is the CPU time of all stages, and `start` is the
        CPU time of starting the process, which is needed once for many scenes.
      versions: the versions of the packages that rendered, such as bpy, and the device.
    """

    color: UInt8[np.ndarray, "T C H W 3"]
    depth: Float32[np.ndarray, "T C H W"]
    instance: UInt8[np.ndarray, "T C H W"]
    category: UInt8[np.ndarray, "T C H W"]
    normal: Float32[np.ndarray, "T C H W 3"] | None
    object_coordinates: Float32[np.ndarray, "T C H W 3"] | None
    positions: Float[np.ndarray, "N T 3"]
    quaternions: Float[np.ndarray, "N T 4"]
    sizes: Float[np.ndarray, "N 3"]
    surface: Int32[np.ndarray, "T C H W"] | None = None
    mesh_faces: Int32[np.ndarray, "F 3"] | None = None
    mesh_instance: UInt8[np.ndarray, " K"] | None = None
    mesh_rest: Float32[np.ndarray, "K 3"] | None = None
    mesh_vertices: Float32[np.ndarray, "T K 3"] | None = None
    mesh_part: UInt8[np.ndarray, " F"] | None = None
    bone_instance: UInt8[np.ndarray, " B"] | None = None
    bone_name: np.ndarray | None = None
    bone_parent: Int32[np.ndarray, " B"] | None = None
    bone_joint: Float32[np.ndarray, "B 3"] | None = None
    bone_poses: Float32[np.ndarray, "B T 3 4"] | None = None
    timings: dict[str, float]
    versions: dict[str, str]

    def arrays(self) -> dict[str, Any]:
        """Returns the arrays that are not None, by name."""
        return {k: v for k, v in vars(self).items() if isinstance(v, np.ndarray)}


OPTIONAL = (
    *("normal", "object_coordinates", "surface"),
    *("mesh_faces", "mesh_instance", "mesh_rest", "mesh_vertices", "mesh_part"),
    *("bone_instance", "bone_name", "bone_parent", "bone_joint", "bone_poses"),
)
"""The arrays that are None unless `render.layers` name their layer; of `mesh_part`, it
is `surface` if joints move, and those of bones are there if the scene has them."""


def image_bytes(spec: Spec) -> int:
    """Returns the size in bytes of all layers of all views of a scene in `Views`."""
    height, width = spec.resolution
    each = 3 + 4 + 1 + 1 + 12 * (len(spec.render.layers) - len(REQUIRED_LAYERS))
    return spec.views * height * width * each
