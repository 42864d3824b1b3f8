"""Object meshes, normalized to the object's frame, as arrays for contact and rays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import bpy
import mathutils
import numpy as np
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from .errors import AssetError
from .gltf_animation import NUMBER, AnimatedMesh
from .mesh_limits import MAX_SIDE, MAX_TRIANGLES, MIN_SIDE


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectMesh:
    """A mesh in the object's frame, in metres.

    Attributes:
      vertices: [n, 3].
      triangles: [m, 3], vertex indices.
      normals: [m, 3, 3], the unit shading normal at each triangle's corners.
      sizes: [3], sides of the rest shape's bounding box, centred at the origin.
      rest: [n, 3], the vertices in the rest shape; None if these are.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray
    sizes: np.ndarray
    rest: np.ndarray | None = None

    @cached_property
    def box(self) -> np.ndarray:
        """The sides [3] of a box around the origin that holds the mesh."""
        return self.sizes if self.rest is None else 2 * abs(self.points).max(0)

    @cached_property
    def rays(self) -> trimesh.ray.ray_pyembree.RayMeshIntersector:
        """The intersector of rays with the mesh."""
        mesh = trimesh.Trimesh(self.vertices, self.triangles, process=False)
        return trimesh.ray.ray_pyembree.RayMeshIntersector(mesh)

    @cached_property
    def _occluder(self) -> EmbreeScene:
        scene = EmbreeScene()
        TriangleMesh(scene, self.vertices[self.triangles].astype(np.float32))
        return scene

    def occludes(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Returns which rays [n], with origins and directions [n, 3], hit the mesh."""
        if not len(origins):
            return np.zeros(0, bool)
        rays = origins.astype(np.float32), directions.astype(np.float32)
        return self._occluder.run(*rays, query="OCCLUDED") == 0

    @cached_property
    def points(self) -> np.ndarray:
        """The vertices [k, 3] that belong to a face."""
        return self.vertices[np.unique(self.triangles)]


def put_in_rest(blender_object: bpy.types.Object, animated: AnimatedMesh) -> np.ndarray:
    """Puts an imported, flattened mesh in its rest shape.

    Returns:
      The number [n] in `animated` of each vertex.
    """
    data = blender_object.data
    numbers = np.empty(len(data.vertices), np.float32)
    data.attributes[NUMBER].data.foreach_get("value", numbers)
    data.attributes.remove(data.attributes[NUMBER])
    numbers = numbers.astype(int)
    rest = animated.vertices()[numbers].astype(np.float32)
    data.vertices.foreach_set("co", rest.ravel())
    data.update()
    return numbers


def normalize(
    blender_object: bpy.types.Object, asset_id: str, size: float
) -> ObjectMesh:
    """Centres the mesh's bounding box and scales its longest side to `size` metres.

    Changes the mesh data, so the Blender object's transform is the pose.

    Raises:
      AssetError: the mesh has no faces or too many, coordinates that are not finite,
        or no size that can be scaled.
    """
    mesh = blender_object.data
    mesh.calc_loop_triangles()
    if len(mesh.loop_triangles) > MAX_TRIANGLES:
        raise AssetError(asset_id, f"the mesh has more than {MAX_TRIANGLES} triangles")
    vertices = _array(mesh.vertices, "co", np.float32, 3)
    triangles = _array(mesh.loop_triangles, "vertices", np.int32, 3)
    if not len(triangles):
        raise AssetError(asset_id, "the mesh has no faces")
    used = vertices[np.unique(triangles)]
    if not np.isfinite(used).all():
        raise AssetError(asset_id, "the mesh has coordinates that are not finite")
    low, high = used.min(0).astype(float), used.max(0).astype(float)
    # Vertices are float32, which lose precision far from the origin.
    if not MIN_SIDE < (high - low).max() < MAX_SIDE or np.abs(used).max() > MAX_SIDE:
        raise AssetError(
            asset_id, f"the mesh has no size between {MIN_SIDE:g} and {MAX_SIDE:g}"
        )
    scale = size / (high - low).max()
    center = (low + high) / 2
    mesh.transform(
        mathutils.Matrix.Scale(scale, 4) @ mathutils.Matrix.Translation(-center)
    )
    return ObjectMesh(
        vertices=_array(mesh.vertices, "co", np.float32, 3).astype(float),
        triangles=triangles,
        normals=corner_normals(mesh),
        sizes=(high - low) * scale,
    )


def corner_normals(mesh: bpy.types.Mesh) -> np.ndarray:
    """Returns the unit shading normals [m, 3, 3] at the corners of all triangles."""
    corners = _array(mesh.loop_triangles, "loops", np.int32, 3)
    normals = _array(mesh.corner_normals, "vector", np.float32, 3)
    return normals[corners].astype(float)


def _array(items: Any, name: str, dtype: Any, width: int) -> np.ndarray:
    """Reads one attribute of a Blender collection as an array [len(items), width]."""
    values = np.empty(len(items) * width, dtype)
    items.foreach_get(name, values)
    return values.reshape(-1, width)
