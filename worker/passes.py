"""Casts rays through pixel centres for ground truth: depth, instance, normal, NOCS.

They are exact to float precision, unlike a path tracer's own passes, which take a
random point in the pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh

from dyso import geometry

from .empty_view import EmptyView
from .meshes import ObjectMesh


@dataclass(frozen=True, kw_only=True, eq=False)
class Passes:
    """The ground truth of one view, H x W pixels.

    Attributes:
      depth: [H, W] metres, Euclidean; infinity where nothing is hit.
      instance: [H, W] uint8.
      normal: [H, W, 3], unit, world frame, towards the camera; 0 where nothing is hit.
      object_coordinates: [H, W, 3] from 0 to 1; 0 on the background.
      surface: [H, W] int32, one plus the triangle, counted through all meshes; 0 on the
        background.
    """

    depth: np.ndarray
    instance: np.ndarray
    normal: np.ndarray
    object_coordinates: np.ndarray
    surface: np.ndarray


def cast(
    empty: EmptyView, meshes: list[ObjectMesh], object_to_world: np.ndarray
) -> Passes:
    """Casts one ray per pixel at the objects.

    Args:
      empty: the view without them.
      meshes: one per object.
      object_to_world: [N, 3, 4].
    """
    directions, resolution = empty.directions, empty.depth.shape
    depth, normal = empty.depth.copy(), empty.normal.copy()
    instance = np.zeros(resolution, np.uint8)
    surface = np.zeros(resolution, np.int32)
    coordinates = np.zeros_like(directions)
    first = 1
    for i, (mesh, pose) in enumerate(zip(meshes, object_to_world, strict=True)):
        offset, first = first, first + len(mesh.triangles)
        near = _window(mesh.box, pose, empty)
        inverse = geometry.invert(pose)
        local_directions = directions[near].reshape(-1, 3) @ inverse[:, :3].T
        if not len(local_directions):
            continue
        local_origins = np.broadcast_to(
            geometry.transform(inverse, empty.origin), local_directions.shape
        )
        triangle, ray, points = mesh.rays.intersects_id(
            local_origins, local_directions, multiple_hits=False, return_locations=True
        )
        distance = np.linalg.norm(points - local_origins[ray], axis=-1)
        rows, columns = (index[near].ravel()[ray] for index in np.indices(resolution))
        nearer = distance < depth[rows, columns]
        at = rows[nearer], columns[nearer]
        points, triangle = points[nearer], triangle[nearer]
        depth[at] = distance[nearer]
        instance[at] = i + 1
        surface[at] = offset + triangle
        if mesh.rest is not None:
            corners = mesh.triangles[triangle]
            weights = geometry.barycentric(
                mesh.vertices[corners],
                local_origins[ray[nearer]],
                local_directions[ray[nearer]],
                distance[nearer],
            )
            resting = (weights[..., None] * mesh.rest[corners]).sum(1)
        else:
            resting = points
        coordinates[at] = resting / np.maximum(mesh.sizes, 1e-9) + 0.5
        world = _shading_normals(mesh, triangle, points) @ pose[:, :3].T
        away = (world * directions[at]).sum(-1) > 0
        normal[at] = np.where(away[:, None], -world, world)
    return Passes(
        depth=depth,
        instance=instance,
        normal=normal,
        object_coordinates=np.clip(coordinates, 0, 1),
        surface=surface,
    )


def _window(
    sizes: np.ndarray, pose: np.ndarray, empty: EmptyView
) -> tuple[slice, slice]:
    """Returns the rows and columns that contain the object."""
    signs = np.array(np.meshgrid(*[[-0.5, 0.5]] * 3)).reshape(3, -1).T
    corners = geometry.transform(pose, signs * sizes)
    pixels, _, z = geometry.project(corners, empty.intrinsics, empty.extrinsics)
    if z.min() <= 0:
        return slice(None), slice(None)
    low = np.floor(pixels.min(0)).astype(int) - 1
    high = np.ceil(pixels.max(0)).astype(int) + 1
    (x0, y0), (x1, y1) = low.clip(0), high.clip(0)
    height, width = empty.depth.shape
    return slice(y0, min(y1, height)), slice(x0, min(x1, width))


def _shading_normals(
    mesh: ObjectMesh, triangle: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """Interpolates the corners' normals; gives unit vectors in the object's frame."""
    corners = mesh.vertices[mesh.triangles[triangle]]
    weights = trimesh.triangles.points_to_barycentric(corners, points)
    normals = (weights[..., None] * mesh.normals[triangle]).sum(1)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return normals / np.maximum(length, 1e-12)
