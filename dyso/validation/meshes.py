"""Checks of a record's meshes: against its images, its poses and its `Scene`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int

from dyso import geometry
from dyso.geometry import skinned
from dyso.reading import surface_faces, world_vertices
from dyso.sampling.animation import clip_box
from dyso.sampling.articulation import in_scene, part_poses, posed
from dyso.sampling.deformation import deformed
from dyso.sampling.gaits import pose_at
from dyso.sampling.scene import Scene, SceneObject
from dyso.spec import Asset, Catalog, ProceduralCatalog
from dyso.spec.procedural import VERSION

if TYPE_CHECKING:
    from dyso.assets.procedural.model import Made

_SHAPE_ERROR = 5e-4
"""Of an object's size: rounding of the rest shape, stretched, and of the vertices."""
_CLIP_SLACK = 0.1
"""Of the longest side of a clip's box, which is measured at some of its moments."""
_TURN_ERROR = 1e-3
"""Radians: rounding of two quaternions to float32."""
_FLOOR_ERROR = 1e-4
"""Of an object's size: rounding of the vertices and of the position."""


def mesh_faults(
    record: dict[str, Any], scene: Scene, objects: Catalog | ProceduralCatalog
) -> Iterator[str]:
    """Yields what is wrong with the meshes of a record that has `surface`.

    Args:
      record: a decoded record whose arrays have the right shapes.
      scene: its scene.
      objects: the catalog. Creatures of another generator's version, or on a machine
        that cannot make them, are not compared with their skeletons.
    """
    faces, owner = record["mesh/faces"], record["mesh/instance"]
    count = len(scene.objects)
    if not len(owner) or sorted(set(owner.tolist())) != list(range(1, count + 1)):
        yield f"mesh/instance: is not of the {count} objects"
        return
    if not len(faces) or faces.min() < 0 or faces.max() >= len(owner):
        yield "mesh/faces: has vertices that do not exist"
        return
    of_face = np.concatenate([[0], owner[faces[:, 0]]])
    if (owner[faces] != of_face[1:, None]).any():
        yield "mesh/faces: a face has vertices of several objects"
        return
    surface = surface_faces(record)
    if surface.max() > len(faces):
        yield f"surface: shows face {surface.max()}, but there are {len(faces)}"
        return
    wrong = of_face[surface] != record["instance"][..., 0]
    if wrong.any():
        view = int(np.argmax(wrong.any((1, 2))))
        yield f"surface: disagrees with instance in view {view}"
    yield from _joints(scene, objects)
    yield from _bones(record, scene, objects)
    wrong_clips = list(_clips(scene, objects))
    if wrong_clips:
        yield from wrong_clips
        return
    parts = np.zeros(len(owner), int)
    if "mesh/part" in record:
        most = [
            len(item.articulation.joints) if item.articulation else 0
            for item in scene.objects
        ]
        if (record["mesh/part"] > np.array([0, *most])[of_face[1:]]).any():
            yield "mesh/part: has parts that do not exist"
            return
        parts[faces] = record["mesh/part"][:, None]
        if (parts[faces] != record["mesh/part"][:, None]).any():
            yield "mesh/part: a vertex is of several parts"
            return
        yield from _part_poses(record, scene)
    yield from _shapes(record, scene, objects, parts)


def _joints(scene: Scene, objects: Catalog | ProceduralCatalog) -> Iterator[str]:
    """Checks a scene's joints: those of the catalog, with values in their limits."""
    for i, item in enumerate(scene.objects):
        if item.articulation is None:
            continue
        values = np.array(item.articulation.values)
        for j, joint in enumerate(item.articulation.joints):
            low, high = joint.limits
            if not (low <= values[:, j].min() and values[:, j].max() <= high):
                yield f"scene: joint {j} of object {i} is beyond its limits"
        asset = _asset(item, objects)
        if asset and in_scene(asset, item.size) != item.articulation.joints:
            yield f"scene: the joints of object {i} are not those of its catalog"


def _bones(
    record: dict[str, Any], scene: Scene, objects: Catalog | ProceduralCatalog
) -> Iterator[str]:
    """Compares bones with the creatures' gaits and the poses of objects."""
    if not scene.skeletal:
        return
    poses = geometry.pose_matrix(
        record["objects/positions"].astype(np.float64),
        record["objects/quaternions"].astype(np.float64),
    )
    for i, item in enumerate(scene.objects):
        own = record["bones/instance"] == i + 1
        made = None if item.gait is None else _made(item, objects)
        if item.gait is None and own.any():
            yield f"bones: object {i} has some, but no skeleton"
        if item.gait is None or made is None or made.skin is None:
            continue
        rig = made.skin.rig.scaled(item.size)
        if tuple(record["bones/name"][own].tolist()) != rig.names or (
            tuple(record["bones/parent"][own].tolist()) != rig.parents
        ):
            yield f"bones: those of object {i} are not of its skeleton"
            continue
        for step in _steps(item):
            moved = pose_at(rig, item.gait, step)
            joints = geometry.transform(
                poses[i, step], geometry.transform(moved, rig.joints)
            )
            gap = abs(record["bones/positions"][own, step] - joints).max()
            turned = geometry.quaternion_from_matrix(
                poses[i, step, :, :3] @ moved[..., :3]
            )
            angle = geometry.rotation_angle(
                record["bones/quaternions"][own, step].astype(np.float64), turned
            ).max()
            if not (gap <= _SHAPE_ERROR * item.size and angle <= _TURN_ERROR):
                yield (
                    f"bones: those of object {i} at dynamics step {step} do not follow "
                    "from its gait"
                )


def _clips(scene: Scene, objects: Catalog | ProceduralCatalog) -> Iterator[str]:
    """Checks that objects play clips of the catalog, at times of these clips."""
    for i, item in enumerate(scene.objects):
        if item.animation is None or not item.plays:
            continue
        asset, name = _asset(item, objects), item.animation.clip
        clips = [clip for clip in asset.clips if clip.name == name] if asset else []
        if not clips:
            yield f"scene: object {i} plays a clip that its catalog does not have"
            continue
        low, high = clips[0].start, clips[0].end
        if not all(low <= each <= high for each in item.animation.times):
            yield f"scene: object {i} is at a time beyond its clip"


def _asset(item: SceneObject, objects: Catalog | ProceduralCatalog) -> Asset | None:
    """Returns an object of a catalog; None if it cannot be known here."""
    try:
        place = objects.index(item.asset_id)
    except KeyError:
        return None
    if isinstance(objects, Catalog):
        return objects.assets[place]
    return objects.asset(place) if objects.generator == VERSION else None


def _part_poses(record: dict[str, Any], scene: Scene) -> Iterator[str]:
    """Compares the poses of parts with the joints and the poses of objects."""
    poses, objects = (
        geometry.pose_matrix(
            record[f"{name}/positions"].astype(np.float64),
            record[f"{name}/quaternions"].astype(np.float64),
        )
        for name in ("parts", "objects")
    )
    for i, item in enumerate(scene.objects):
        own = poses[record["parts/instance"] == i + 1]
        moved = np.eye(3, 4)[None, None]
        if item.articulation is not None:
            moved = part_poses(item.articulation).swapaxes(0, 1)
        # Where four points are put that are as far apart as the object is long.
        points = np.eye(4, 3) * item.size
        expected = geometry.transform(
            objects[i, :, None], geometry.transform(moved[:, :, None], points)
        )
        actual = geometry.transform(own[:, :, None], points)
        if not abs(actual - expected).max() <= _SHAPE_ERROR * item.size:
            yield f"parts: the poses of object {i} do not follow from its joints"


def _shapes(
    record: dict[str, Any],
    scene: Scene,
    objects: Catalog | ProceduralCatalog,
    parts: Int[np.ndarray, " K"],
) -> Iterator[str]:
    """Compares the vertices with the rest shape, its changes and the floor."""
    world = world_vertices(record)
    for i, item in enumerate(scene.objects):
        own = record["mesh/instance"] == i + 1
        rest = record["mesh/rest"][own].astype(np.float64)
        sides = record["objects/sizes"][i].astype(np.float64)
        if abs(abs(rest).max(0) - sides / 2).max() > _SHAPE_ERROR * item.size:
            yield f"mesh/rest: object {i} is not in its box"
        actual = record["mesh/vertices"][:, own].astype(np.float64)
        if item.articulation is not None and item.articulation.joints:
            poses = part_poses(item.articulation)
            expected = np.stack([posed(rest, parts[own], each) for each in poses])
        elif item.plays:
            expected = _in_clip(item, actual, objects)
        else:
            expected = _expected(item, rest, actual, sides, objects)
        for step in range(scene.steps):
            gap = abs(actual[step] - expected[step]).max()
            if not gap <= _SHAPE_ERROR * item.size:
                yield (
                    f"mesh/vertices: object {i} at dynamics step {step} does not have "
                    "the shape of its scene"
                )
            lowest = world[step, own, 2].min()
            free = scene.contact == "free" and scene.physics is None
            if not item.changes_shape or free:
                continue
            if not lowest >= -_FLOOR_ERROR * item.size:
                yield (
                    f"mesh/vertices: object {i} at dynamics step {step} is "
                    f"{-lowest:.3g} m below the floor"
                )


def _expected(
    item: SceneObject,
    rest: Float64[np.ndarray, "K 3"],
    actual: Float64[np.ndarray, "T K 3"],
    sides: Float64[np.ndarray, " 3"],
    objects: Catalog | ProceduralCatalog,
) -> Float64[np.ndarray, "T K 3"]:
    """Returns the vertices that an object should have by its scene.

    Args:
      item: the object.
      rest: its vertices at rest.
      actual: its vertices at each step. They are what a creature's should be if it is
        not known; and of its vertices that share a place at rest, they tell which.
      sides: of its box at rest.
      objects: the catalog.
    """
    if item.gait is None:
        return np.stack([_deformed(item, rest, sides, step) for step in _steps(item)])
    made = _made(item, objects)
    if made is None or made.skin is None:
        return actual
    from scipy.spatial import cKDTree

    points, rig = made.vertices * item.size, made.skin.rig.scaled(item.size)
    shapes = [
        skinned(points, made.skin.weights, pose_at(rig, item.gait, step))
        for step in _steps(item)
    ]
    shapes = [_deformed(item, each, sides, step) for step, each in enumerate(shapes)]
    far, near = cKDTree(points).query(rest, k=4)
    candidates = np.stack(shapes)[:, near]
    candidates[:, far > 2 * _SHAPE_ERROR * item.size] = np.inf
    # By most of the steps, so that a single wrong step is found alone.
    best = np.median(abs(candidates - actual[:, :, None]).max(-1), axis=0).argmin(-1)
    expected: np.ndarray = candidates[:, np.arange(len(best)), best]
    return expected


def _in_clip(
    item: SceneObject,
    actual: Float64[np.ndarray, "T K 3"],
    objects: Catalog | ProceduralCatalog,
) -> Float64[np.ndarray, "T K 3"]:
    """Returns the vertices at each step, none of them far beyond the clip's box.

    Only the object's file has the vertices of a clip, and it may be far away.
    """
    asset = _asset(item, objects)
    assert asset is not None and item.animation is not None  # `_clips` has checked it
    low, high = clip_box(asset, item.animation.clip, item.size)
    slack = _CLIP_SLACK * (high - low).max()
    return np.clip(actual, low - slack, high + slack)


def _steps(item: SceneObject) -> range:
    return range(len(item.poses))


def _deformed(
    item: SceneObject,
    points: Float64[np.ndarray, "K 3"],
    sides: Float64[np.ndarray, " 3"],
    step: int,
) -> Float64[np.ndarray, "K 3"]:
    if item.deformation is None:
        return points
    shape = item.deformation.shapes[step]
    return deformed(points, sides / 2, item.deformation.axis, shape)


def _made(item: SceneObject, objects: Catalog | ProceduralCatalog) -> Made | None:
    """Returns a creature as its grammar makes it, if this machine can."""
    if not isinstance(objects, ProceduralCatalog) or objects.generator != VERSION:
        return None
    try:
        from dyso.assets import procedural
    except ImportError:  # of manifold3d, which only a generating machine has
        return None
    return procedural.make(objects, objects.index(item.asset_id))
