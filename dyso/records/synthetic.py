"""Ray casts spheres on a floor in a dome, for tests and benchmarks without a renderer.

The views resemble rendered views in geometry and compressibility, at a thousandth of
the cost.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dyso import geometry
from dyso.render.views import Views
from dyso.sampling.scene import Scene

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
    for view, (step, camera) in zip(
        np.ndindex(layout.shape), layout.pairs, strict=True
    ):
        origins, directions = _rays(scene, camera)
        depth[view], normal[view] = _surroundings(scene, origins, directions)
        for index, item in enumerate(scene.objects):
            centre = np.array(item.poses[step].position)
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
    layers = scene.render.layers
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
        positions=np.array([[pose.position for pose in path] for path in poses]),
        quaternions=np.array([[pose.quaternion for pose in path] for path in poses]),
        sizes=np.array([[item.size] * 3 for item in scene.objects]),
        timings={},
        versions={"renderer": "synthetic"},
    )


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
