"""Object meshes: brought to their own frame, and as arrays for contact and rays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import bpy
import mathutils
import numpy as np
import trimesh

from .errors import AssetError


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectMesh:
    """A mesh in its object's own frame, in metres.

    Attributes:
      vertices: [n, 3].
      triangles: [m, 3], vertex indices.
      normals: [m, 3, 3], the unit shading normal at each triangle's corners.
      sizes: [3], sides of the bounding box, which is centred at the origin.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray
    sizes: np.ndarray

    @cached_property
    def rays(self) -> trimesh.ray.ray_pyembree.RayMeshIntersector:
        """Casts rays at the mesh."""
        mesh = trimesh.Trimesh(self.vertices, self.triangles, process=False)
        return trimesh.ray.ray_pyembree.RayMeshIntersector(mesh)

    @cached_property
    def hull(self) -> np.ndarray:
        """Vertices [k, 3] of the convex hull, all that a flat floor can touch."""
        return self.convex.vertices

    @cached_property
    def convex(self) -> trimesh.Trimesh:
        """The convex hull; a flat mesh is given a millimetre of thickness."""
        points = self.vertices[np.unique(self.triangles)]
        if np.linalg.matrix_rank(points - points.mean(0), tol=1e-6) < 3:
            points = np.concatenate([points - 5e-4, points + 5e-4])
        return trimesh.convex.convex_hull(points)


def normalize(blender_object: bpy.types.Object, asset_id: str, size: float) -> ObjectMesh:
    """Centres the mesh's bounding box and scales its longest side to `size` metres.

    Changes the mesh data, so that the Blender object's own transform is the pose.

    Raises:
      AssetError: the mesh has no faces, coordinates that are not finite, or no size.
    """
    mesh = blender_object.data
    mesh.calc_loop_triangles()
    vertices = _array(mesh.vertices, "co", np.float32, 3)
    triangles = _array(mesh.loop_triangles, "vertices", np.int32, 3)
    if not len(triangles):
        raise AssetError(asset_id, "the mesh has no faces")
    used = vertices[np.unique(triangles)]
    if not np.isfinite(used).all():
        raise AssetError(asset_id, "the mesh has coordinates that are not finite")
    low, high = used.min(0).astype(float), used.max(0).astype(float)
    if not (high - low).max() > 0:
        raise AssetError(asset_id, "the mesh has no size")
    scale = size / (high - low).max()
    center = (low + high) / 2
    mesh.transform(
        mathutils.Matrix.Scale(scale, 4) @ mathutils.Matrix.Translation(-center)
    )
    corners = _array(mesh.loop_triangles, "loops", np.int32, 3)
    normals = _array(mesh.corner_normals, "vector", np.float32, 3)
    return ObjectMesh(
        vertices=_array(mesh.vertices, "co", np.float32, 3).astype(float),
        triangles=triangles,
        normals=normals[corners].astype(float),
        sizes=(high - low) * scale,
    )


def _array(items: object, name: str, dtype: type, width: int) -> np.ndarray:
    """Reads one attribute of a Blender collection as an array [len(items), width]."""
    values = np.empty(len(items) * width, dtype)  # type: ignore[arg-type]
    items.foreach_get(name, values)  # type: ignore[attr-defined]
    return values.reshape(-1, width)
