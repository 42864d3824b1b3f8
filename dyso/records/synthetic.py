"""Ray casts spheres on a floor in a dome, for tests and benchmarks without a renderer.

The views resemble rendered views in geometry and compressibility, at a thousandth of
the cost. If the scene has the layer `surface`, the spheres are meshes, which deform as
the scene says; parts that joints move are meshes of their own, which fill their boxes.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int32

from dyso import geometry
from dyso.render.views import MAX_BONE_NAME, Views
from dyso.sampling.articulation import part_poses, posed
from dyso.sampling.deformation import deformed
from dyso.sampling.scene import Scene, SceneObject

# Noise of the colour, in display values; a 128 x 128 view is then 25 KB as PNG.
_GRAIN = 3.0


def synthetic_views(scene: Scene) -> Views:
    """Returns the views of a scene whose objects are spheres of diameter `size`."""
    layout = scene.layout
    shape = (*layout.shape, *scene.resolution)
    depth = np.empty(shape)
    instance = np.zeros(shape, np.uint8)
    points = np.empty((*shape, 3))
    normal = np.empty((*shape, 3))
    surface = np.zeros(shape, np.int32)
    layers = scene.render.layers
    meshes = [_mesh(item) for item in scene.objects]
    first = np.cumsum([0, *(len(mesh.faces) for mesh in meshes)])
    for view, (step, camera) in zip(
        np.ndindex(layout.shape), layout.pairs, strict=True
    ):
        origins, directions = _rays(scene, camera)
        depth[view], normal[view] = _surroundings(scene, origins, directions)
        for index, item in enumerate(scene.objects):
            centre = np.array(item.poses[step].position)
            if "surface" in layers:
                mesh = meshes[index]
                corners = _in_world(item, mesh, step)[mesh.faces]
                near, face, across = _nearest(origins, directions, corners)
                hit = near < depth[view]
                depth[view][hit], normal[view][hit] = near[hit], across[hit]
                instance[view][hit] = index + 1
                surface[view][hit] = 1 + face[hit] + first[index]
                continue
            near, _ = _sphere(origins - centre, directions, item.size / 2)
            hit = (near > 0) & (near < depth[view])
            depth[view][hit] = near[hit]
            instance[view][hit] = index + 1
            where = (origins + directions * depth[view][..., None])[hit]
            normal[view][hit] = (where - centre) / (item.size / 2)
        reached = np.where(np.isfinite(depth[view]), depth[view], 1e3)
        points[view] = origins + directions * reached[..., None]
    ids = np.array([0, *(item.category_id for item in scene.objects)], np.uint8)
    poses = [item.poses for item in scene.objects]
    moved_to = np.array([[pose.position for pose in path] for path in poses])
    kept: dict[str, np.ndarray] = {}
    if "surface" in layers:
        moved = [
            [_shaped(item, mesh, step) for step in range(scene.steps)]
            for item, mesh in zip(scene.objects, meshes, strict=True)
        ]
        for positions, item, mesh in zip(moved_to, scene.objects, meshes, strict=True):
            for step, position in enumerate(positions):
                vertices = _in_world(item, mesh, step)
                turned = geometry.quaternion_to_matrix(
                    np.array(item.poses[step].quaternion)
                )
                shaped = _shaped(item, mesh, step) @ turned.T
                position[2] = (vertices - shaped)[0, 2]
        counts = [len(mesh.rest) for mesh in meshes]
        starts = np.cumsum([0, *counts])
        kept = {
            "surface": surface,
            "mesh_faces": np.concatenate(
                [
                    mesh.faces + start
                    for mesh, start in zip(meshes, starts[:-1], strict=True)
                ]
            ).astype(np.int32),
            "mesh_instance": np.repeat(
                np.arange(1, len(meshes) + 1, dtype=np.uint8), counts
            ),
            "mesh_rest": np.concatenate([mesh.rest for mesh in meshes]).astype(
                np.float32
            ),
            "mesh_vertices": np.concatenate(moved, axis=1).astype(np.float32),
        }
    if scene.articulated:
        kept["mesh_part"] = np.concatenate(
            [mesh.parts[mesh.faces[:, 0]] for mesh in meshes]
        ).astype(np.uint8)
    if scene.skeletal:
        kept |= _bones(scene)
    return Views(
        color=_color(points, normal, scene.render_seed),
        depth=depth.astype(np.float32),
        instance=instance,
        category=ids[instance],
        normal=normal.astype(np.float32) if "normal" in layers else None,
        object_coordinates=(
            np.where(instance[..., None] > 0, normal / 2 + 0.5, 0).astype(np.float32)
            if "object_coordinates" in layers
            else None
        ),
        positions=moved_to,
        quaternions=np.array([[pose.quaternion for pose in path] for path in poses]),
        sizes=np.array(
            [
                np.ptp(mesh.rest, axis=0) if "surface" in layers else [item.size] * 3
                for item, mesh in zip(scene.objects, meshes, strict=True)
            ]
        ),
        **kept,
        timings={},
        versions={"renderer": "synthetic"},
    )


def _bones(scene: Scene) -> dict[str, np.ndarray]:
    """Returns one bone for each creature, which does not move."""
    owners = [number for number, item in enumerate(scene.objects, start=1) if item.gait]
    return {
        "bone_instance": np.array(owners, np.uint8),
        "bone_name": np.array(["body"] * len(owners), f"<U{MAX_BONE_NAME}"),
        "bone_parent": np.full(len(owners), -1, np.int32),
        "bone_joint": np.zeros((len(owners), 3), np.float32),
        "bone_poses": np.tile(
            np.eye(3, 4, dtype=np.float32), (len(owners), scene.steps, 1, 1)
        ),
    }


def _rays(
    scene: Scene, camera: int
) -> tuple[Float[np.ndarray, "H W 3"], Float[np.ndarray, "H W 3"]]:
    lens, (height, width) = scene.cameras[camera], scene.resolution
    pose = geometry.pose_matrix(
        np.array(lens.pose.position), np.array(lens.pose.quaternion)
    )
    return geometry.rays(
        geometry.intrinsics(
            np.array(lens.focal_length), np.array(lens.sensor_width), height, width
        ),
        geometry.invert(pose),
        geometry.pixel_grid(height, width, np),
    )


def _sphere(
    origins: Float[np.ndarray, "H W 3"],
    directions: Float[np.ndarray, "H W 3"],
    radius: float,
) -> tuple[Float[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
    """Returns the distances into and out of a sphere at the origin; 0 where missed."""
    along = -(origins * directions).sum(-1)
    squared = along**2 - (origins**2).sum(-1) + radius**2
    half = np.sqrt(np.maximum(squared, 0))
    hit = squared > 0
    return np.where(hit, along - half, 0), np.where(hit, along + half, 0)


class _Mesh(NamedTuple):
    """A mesh in the rest shape, metres in the object's frame.

    Attributes:
      rest: the vertices.
      faces: rows of the vertices.
      parts: the part of each vertex.
    """

    rest: Float[np.ndarray, "K 3"]
    faces: Int32[np.ndarray, "F 3"]
    parts: Int[np.ndarray, " K"]


def _mesh(item: SceneObject) -> _Mesh:
    """Returns a sphere of an object's size, and one for each part in its box."""
    sphere, faces = _icosahedron()
    half = item.size / 2
    rest = [sphere * half]
    for joint in item.articulation.joints if item.articulation else ():
        low, high = np.clip(joint.bounds, -half, half)
        rest.append((low + high) / 2 + sphere * (high - low) / 2)
    starts = len(sphere) * np.arange(len(rest))
    return _Mesh(
        rest=np.concatenate(rest),
        faces=np.concatenate([faces + start for start in starts]).astype(np.int32),
        parts=np.repeat(np.arange(len(rest)), len(sphere)),
    )


def _icosahedron() -> tuple[Float[np.ndarray, "K 3"], Int32[np.ndarray, "F 3"]]:
    """Returns a mesh whose bounding box is from -1 to 1, and is closed."""
    golden = (1 + 5**0.5) / 2
    signs = [(a, b) for a in (-1, 1) for b in (-1, 1)]
    vertices = np.array(
        [np.roll((0, a, b * golden), axis) for axis in range(3) for a, b in signs]
    )
    edge = 2.001  # the length of its edges
    near = np.linalg.norm(vertices[:, None] - vertices, axis=-1) < edge
    faces = [
        (a, b, c)
        for a, b, c in itertools.combinations(range(12), 3)
        if near[a, b] and near[b, c] and near[a, c]
    ]
    return vertices / golden, np.array(faces, np.int32)


def _shaped(item: SceneObject, mesh: _Mesh, step: int) -> Float[np.ndarray, "K 3"]:
    if item.deformation is not None:
        half = np.full(3, item.size / 2)
        shape = item.deformation.shapes[step]
        return deformed(mesh.rest, half, item.deformation.axis, shape)
    if item.articulation is not None:
        return posed(mesh.rest, mesh.parts, part_poses(item.articulation)[step])
    return mesh.rest


def _in_world(item: SceneObject, mesh: _Mesh, step: int) -> Float[np.ndarray, "K 3"]:
    """Returns the vertices of a mesh that lies on the floor."""
    pose = item.poses[step]
    x, y, _ = pose.position
    turned = geometry.pose_matrix(np.zeros(3), np.array(pose.quaternion))
    vertices = geometry.transform(turned, _shaped(item, mesh, step))
    return vertices + np.array([x, y, -vertices[:, 2].min()])


def _nearest(
    origins: Float[np.ndarray, "H W 3"],
    directions: Float[np.ndarray, "H W 3"],
    corners: Float[np.ndarray, "F 3 3"],
) -> tuple[
    Float[np.ndarray, "H W"], Int[np.ndarray, "H W"], Float[np.ndarray, "H W 3"]
]:
    """Returns the distance, face and normal where rays first hit one of the faces."""
    a, b, c = corners.swapaxes(0, 1)
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    slope = directions @ normal.T  # [H, W, F]
    slope = np.where(slope == 0, 1e-12, slope)
    distance = ((a - origins[..., None, :]) * normal).sum(-1) / slope
    where = origins[..., None, :] + distance[..., None] * directions[..., None, :]
    inside = distance > 0
    for start, end in ((a, b), (b, c), (c, a)):
        inside &= (np.cross(end - start, where - start) * normal).sum(-1) >= 0
    distance = np.where(inside, distance, np.inf)
    face = distance.argmin(-1)
    towards = normal[face]
    away = (towards * directions).sum(-1, keepdims=True) > 0
    return distance.min(-1), face, np.where(away, -towards, towards)


def _surroundings(
    scene: Scene,
    origins: Float[np.ndarray, "H W 3"],
    directions: Float[np.ndarray, "H W 3"],
) -> tuple[Float[np.ndarray, "H W"], Float[np.ndarray, "H W 3"]]:
    """Returns depth and normal of the dome and its floor, or of nothing."""
    if scene.background.backdrop == "environment":
        return np.full(origins.shape[:2], np.inf), np.zeros(origins.shape)
    _, dome = _sphere(origins, directions, scene.background.dome_radius)
    down = directions[..., 2] < 0
    floor = np.where(
        down, origins[..., 2] / -np.where(down, directions[..., 2], 1), np.inf
    )
    depth = np.minimum(dome, floor)
    inward = -(origins + directions * dome[..., None]) / scene.background.dome_radius
    return depth, np.where((floor < dome)[..., None], [0.0, 0.0, 1.0], inward)


def _color(
    points: Float[np.ndarray, "T C H W 3"],
    normal: Float[np.ndarray, "T C H W 3"],
    seed: int,
) -> np.ndarray:
    waves = np.sin(points * 1.3) + np.sin(points[..., ::-1] * 2.9)
    grain = np.random.default_rng(seed).normal(0, _GRAIN, points.shape)
    shade = 120 + 60 * normal[..., 2:] + 20 * waves + grain
    return np.clip(shade, 0, 255).astype(np.uint8)
