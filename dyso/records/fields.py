"""The table of a record's fields."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import dyso
from dyso import geometry
from dyso.records.depth import DEPTH_ERROR
from dyso.records.packed import MESH_ERROR
from dyso.render.views import Views
from dyso.sampling.articulation import part_poses
from dyso.sampling.scene import Scene
from dyso.spec import Joint, Spec


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a record.

    Attributes:
      name: its key; a slash nests it.
      dtype: dtype of the decoded values; `str` for text.
      shape: shape of the decoded values. Letters stand for V views, H x W pixels, N
        objects, T dynamics steps, F faces and K vertices of the objects' meshes, J
        joints, P parts and B bones of all objects.
      encoding: `image`, a lossless image per view, see `dyso.records.images`; `depth`,
        see `dyso.records.depth`; `packed`, compressed numbers, see
        `dyso.records.packed`; `values`, a list of numbers; `text`, UTF-8.
      meaning: the values' meaning, with their frame and unit.
      value: computes the values from a scene and its rendered views.
      layer: the render layer of the field, `JOINTS`, `BONES` or `CLIPS`; None if every
        record has the field.
    """

    name: str
    dtype: str
    shape: tuple[str | int, ...]
    encoding: Literal["image", "depth", "packed", "values", "text"]
    meaning: str
    value: Callable[[Scene, Views], Any]
    layer: str | None = None


JOINTS = "joints"
"""In place of a layer: the field is in records of scenes whose joints move."""
BONES = "bones"
"""Likewise, of scenes whose creatures' bones are kept."""
CLIPS = "clips"
"""Likewise, of scenes whose objects play clips."""


def fields_of(source: Spec | Scene) -> tuple[Field, ...]:
    """Returns the fields of the records of a spec, or of the record of a scene."""
    present: set[str | None] = {None, *source.render.layers}
    if source.articulated:
        present.add(JOINTS)
    if source.skeletal:
        present.add(BONES)
    if source.animated:
        present.add(CLIPS)
    return tuple(field for field in FIELDS if field.layer in present)


def _by_view(array: np.ndarray | None) -> np.ndarray:
    """Merges the leading axes of `Views` to [V], in the order of the views."""
    if array is None:
        raise ValueError("the views lack a layer that the scene's render.layers name")
    return array.reshape(-1, *array.shape[2:])


def _of_cameras(scene: Scene, array: np.ndarray) -> np.ndarray:
    """Returns the values of each view's camera: [C, ...] to [V, ...]."""
    return array[[camera for _, camera in scene.layout.pairs]]


def _intrinsics(scene: Scene, views: Views | None) -> np.ndarray:
    focal_length = np.array([camera.focal_length for camera in scene.cameras])
    sensor_width = np.array([camera.sensor_width for camera in scene.cameras])
    return _of_cameras(
        scene, geometry.intrinsics(focal_length, sensor_width, *scene.resolution)
    )


def _extrinsics(scene: Scene, views: Views | None) -> np.ndarray:
    poses = geometry.pose_matrix(
        np.array([camera.pose.position for camera in scene.cameras]),
        np.array([camera.pose.quaternion for camera in scene.cameras]),
    )
    return _of_cameras(scene, geometry.invert(poses))


def _pixels(scene: Scene, views: Views) -> np.ndarray:
    ids = np.arange(1, len(scene.objects) + 1)
    instance = _by_view(views.instance)
    return np.stack([(instance == i).sum((1, 2)) for i in ids])


def _joints(scene: Scene) -> list[tuple[int, int, Joint, list[float]]]:
    """Returns object, part, joint and values [T] of all joints."""
    return [
        (number, part, joint, [values[part - 1] for values in item.articulation.values])
        for number, item in enumerate(scene.objects, start=1)
        if item.articulation is not None
        for part, joint in enumerate(item.articulation.joints, start=1)
    ]


def _vectors(values: list[Any], width: int) -> np.ndarray:
    return np.array(values, np.float64).reshape(-1, width)


def _parts(scene: Scene) -> list[tuple[int, int]]:
    """Returns object and part of all parts, the bases among them."""
    return [
        (number, part)
        for number, item in enumerate(scene.objects, start=1)
        for part in range(
            1 + len(item.articulation.joints if item.articulation else ())
        )
    ]


def _part_poses(scene: Scene, views: Views) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions [P, T, 3] and quaternions [P, T, 4] of parts in the world."""
    positions, quaternions = [], []
    for item, position, quaternion in zip(
        scene.objects, views.positions, views.quaternions, strict=True
    ):
        moved = np.tile(np.eye(3, 4), (scene.steps, 1, 1, 1))
        if item.articulation is not None:
            moved = part_poses(item.articulation)
        turned = geometry.quaternion_from_matrix(moved[..., :3])
        object_pose = geometry.pose_matrix(position, quaternion)[:, None]
        positions.append(geometry.transform(object_pose, moved[..., 3]))
        quaternions.append(geometry.quaternion_multiply(quaternion[:, None], turned))
    return (
        np.concatenate(positions, axis=1).swapaxes(0, 1),
        np.concatenate(quaternions, axis=1).swapaxes(0, 1),
    )


def _bone_poses(views: Views) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions [B, T, 3] and quaternions [B, T, 4] of bones in the world."""
    if views.bone_instance is None or views.bone_joint is None:
        raise ValueError("the views lack the bones of the scene's creatures")
    owner = views.bone_instance.astype(int) - 1
    moved = np.asarray(views.bone_poses, np.float64)
    quaternions = views.quaternions[owner]
    poses = geometry.pose_matrix(views.positions[owner], quaternions)
    joints = np.asarray(views.bone_joint, np.float64)[:, None]
    turned = geometry.quaternion_from_matrix(moved[..., :3])
    return (
        geometry.transform(poses, geometry.transform(moved, joints)),
        geometry.quaternion_multiply(quaternions, turned),
    )


def surface_digits(surface: np.ndarray) -> np.ndarray:
    """Returns faces [...] as [..., 3] uint8 in base 256, lowest digit first.

    Raises:
      ValueError: a face is too large for three digits.
    """
    if surface.max(initial=0) >= 1 << 24:
        raise ValueError("the meshes have too many faces to be stored")
    return np.stack([surface >> 8 * i & 255 for i in range(3)], -1).astype(np.uint8)


def _signed(unit: np.ndarray) -> np.ndarray:
    """Quantizes [-1, 1] to uint8 1 to 255, so that 128 is exactly 0."""
    return (np.rint(unit * 127) + 128).astype(np.uint8)


def _versions(scene: Scene, views: Views) -> str:
    versions = {
        "dyso": dyso.__version__,
        "pillow": importlib.metadata.version("pillow"),
    }
    return json.dumps(versions | views.versions, sort_keys=True)


FIELDS: tuple[Field, ...] = (
    Field(
        name="color",
        dtype="uint8",
        shape=("V", "H", "W", 3),
        encoding="image",
        meaning="Colour: sRGB display values after the view transform.",
        value=lambda scene, views: _by_view(views.color),
        layer="color",
    ),
    Field(
        name="depth",
        dtype="float32",
        shape=("V", "H", "W", 1),
        encoding="depth",
        meaning=(
            "Metres, Euclidean distance to the camera centre (not z); infinity where "
            f"nothing is hit. Relative error at most {DEPTH_ERROR:g}."
        ),
        value=lambda scene, views: _by_view(views.depth)[..., None],
        layer="depth",
    ),
    Field(
        name="instance",
        dtype="uint8",
        shape=("V", "H", "W", 1),
        encoding="image",
        meaning="1 + the object's index in `objects`; 0 is background.",
        value=lambda scene, views: _by_view(views.instance)[..., None],
        layer="instance",
    ),
    Field(
        name="category",
        dtype="uint8",
        shape=("V", "H", "W", 1),
        encoding="image",
        meaning="The object's `category_id`; 0 is background.",
        value=lambda scene, views: _by_view(views.category)[..., None],
        layer="category",
    ),
    Field(
        name="normal",
        dtype="uint8",
        shape=("V", "H", "W", 3),
        encoding="image",
        meaning=(
            "Unit surface normal in the world frame: component = (value - 128) / 127, "
            "error at most 0.004 each; (128, 128, 128) where nothing is hit."
        ),
        value=lambda scene, views: _signed(_by_view(views.normal)),
        layer="normal",
    ),
    Field(
        name="object_coordinates",
        dtype="uint8",
        shape=("V", "H", "W", 3),
        encoding="image",
        meaning=(
            "NOCS, position in the object's bounding box in its own frame: share of "
            "each side = value / 255, error at most 0.002; 0 on the background."
        ),
        value=lambda scene, views: np.rint(
            _by_view(views.object_coordinates) * 255
        ).astype(np.uint8),
        layer="object_coordinates",
    ),
    Field(
        name="surface",
        dtype="uint8",
        shape=("V", "H", "W", 3),
        encoding="image",
        meaning=(
            "1 + the row of `mesh/faces` that the pixel shows, in base 256: value 0 + "
            "256 * value 1 + 65536 * value 2; 0 is background."
        ),
        value=lambda scene, views: surface_digits(_by_view(views.surface)),
        layer="surface",
    ),
    Field(
        name="mesh/faces",
        dtype="int32",
        shape=("F", 3),
        encoding="packed",
        meaning="The triangles of all objects: rows of `mesh/vertices`.",
        value=lambda scene, views: views.mesh_faces,
        layer="surface",
    ),
    Field(
        name="mesh/instance",
        dtype="uint8",
        shape=("K",),
        encoding="packed",
        meaning="1 + the index in `objects` of the object that has the vertex.",
        value=lambda scene, views: views.mesh_instance,
        layer="surface",
    ),
    Field(
        name="mesh/rest",
        dtype="float32",
        shape=("K", 3),
        encoding="packed",
        meaning=(
            "Metres, the vertices of the rest shape in the object's own frame. `sizes` "
            "and `object_coordinates` are those of this shape. Error of each "
            f"coordinate at most {MESH_ERROR:g} of the object's size."
        ),
        value=lambda scene, views: views.mesh_rest,
        layer="surface",
    ),
    Field(
        name="mesh/vertices",
        dtype="float32",
        shape=("T", "K", 3),
        encoding="packed",
        meaning=(
            "Metres, the vertices at each dynamics step in the object's own frame, "
            "which moves as `objects/positions` and `objects/quaternions` say. Error "
            f"of each coordinate at most {MESH_ERROR:g} of the object's size."
        ),
        value=lambda scene, views: views.mesh_vertices,
        layer="surface",
    ),
    Field(
        name="mesh/part",
        dtype="uint8",
        shape=("F",),
        encoding="packed",
        meaning=(
            "The part of its object that each face belongs to: 0 is the base, and "
            "joint j of an object, from 1, moves part j."
        ),
        value=lambda scene, views: views.mesh_part,
        layer=JOINTS,
    ),
    Field(
        name="bones/instance",
        dtype="int64",
        shape=("B",),
        encoding="values",
        meaning="1 + the index in `objects` of the creature that has the bone.",
        value=lambda scene, views: views.bone_instance,
        layer=BONES,
    ),
    Field(
        name="bones/name",
        dtype="str",
        shape=("B",),
        encoding="text",
        meaning="What the bone is, such as `neck`.",
        value=lambda scene, views: [*map(str, views.bone_name)],  # type: ignore[arg-type]
        layer=BONES,
    ),
    Field(
        name="bones/parent",
        dtype="int64",
        shape=("B",),
        encoding="values",
        meaning=(
            "The bone of the same creature that it is fixed to, counted from 0 in each "
            "creature; -1 for none."
        ),
        value=lambda scene, views: views.bone_parent,
        layer=BONES,
    ),
    Field(
        name="bones/positions",
        dtype="float32",
        shape=("B", "T", 3),
        encoding="values",
        meaning=(
            "Metres in the world, at each dynamics step, of the joint about which it "
            "turns."
        ),
        value=lambda scene, views: _bone_poses(views)[0],
        layer=BONES,
    ),
    Field(
        name="bones/quaternions",
        dtype="float32",
        shape=("B", "T", 4),
        encoding="values",
        meaning=(
            "(w, x, y, z), at each dynamics step: from the axes of the rest shape, "
            "which are those of the object for all bones, to the world."
        ),
        value=lambda scene, views: _bone_poses(views)[1],
        layer=BONES,
    ),
    Field(
        name="objects/clip",
        dtype="str",
        shape=("N",),
        encoding="text",
        meaning="The animation of its file that each object plays; empty for none.",
        value=lambda scene, views: [
            item.animation.clip for item in scene.objects if item.animation is not None
        ],
        layer=CLIPS,
    ),
    Field(
        name="objects/clip_times",
        dtype="float32",
        shape=("N", "T"),
        encoding="values",
        meaning="Seconds of that animation, at each dynamics step; 0 for none.",
        value=lambda scene, views: [
            item.animation.times for item in scene.objects if item.animation is not None
        ],
        layer=CLIPS,
    ),
    Field(
        name="joints/instance",
        dtype="int64",
        shape=("J",),
        encoding="values",
        meaning="1 + the index in `objects` of the object that has the joint.",
        value=lambda scene, views: [number for number, *_ in _joints(scene)],
        layer=JOINTS,
    ),
    Field(
        name="joints/part",
        dtype="int64",
        shape=("J",),
        encoding="values",
        meaning="The part that the joint moves, as in `mesh/part`.",
        value=lambda scene, views: [part for _, part, *_ in _joints(scene)],
        layer=JOINTS,
    ),
    Field(
        name="joints/parent",
        dtype="int64",
        shape=("J",),
        encoding="values",
        meaning="The part of the same object that the joint is fixed to.",
        value=lambda scene, views: [joint.parent for *_, joint, _ in _joints(scene)],
        layer=JOINTS,
    ),
    Field(
        name="joints/name",
        dtype="str",
        shape=("J",),
        encoding="text",
        meaning="What the part is, such as `door`.",
        value=lambda scene, views: [joint.name for *_, joint, _ in _joints(scene)],
        layer=JOINTS,
    ),
    Field(
        name="joints/type",
        dtype="str",
        shape=("J",),
        encoding="text",
        meaning="`revolute` turns about the axis, `prismatic` slides along it.",
        value=lambda scene, views: [joint.type for *_, joint, _ in _joints(scene)],
        layer=JOINTS,
    ),
    Field(
        name="joints/axis",
        dtype="float32",
        shape=("J", 3),
        encoding="values",
        meaning=(
            "Unit vector in the object's own frame, in the rest shape; turns are "
            "counter-clockwise seen from its tip."
        ),
        value=lambda scene, views: _vectors([j.axis for *_, j, _ in _joints(scene)], 3),
        layer=JOINTS,
    ),
    Field(
        name="joints/origin",
        dtype="float32",
        shape=("J", 3),
        encoding="values",
        meaning="Metres, a point on the axis, likewise.",
        value=lambda scene, views: _vectors(
            [joint.origin for *_, joint, _ in _joints(scene)], 3
        ),
        layer=JOINTS,
    ),
    Field(
        name="joints/limits",
        dtype="float32",
        shape=("J", 2),
        encoding="values",
        meaning="Lowest and highest value: radians if revolute, metres if prismatic.",
        value=lambda scene, views: _vectors(
            [joint.limits for *_, joint, _ in _joints(scene)], 2
        ),
        layer=JOINTS,
    ),
    Field(
        name="joints/values",
        dtype="float32",
        shape=("J", "T"),
        encoding="values",
        meaning=(
            "Radians or metres, at each dynamics step; 0 is the rest shape's value."
        ),
        value=lambda scene, views: _vectors(
            [values for *_, values in _joints(scene)], scene.steps
        ),
        layer=JOINTS,
    ),
    Field(
        name="parts/instance",
        dtype="int64",
        shape=("P",),
        encoding="values",
        meaning="1 + the index in `objects` of the object that has the part.",
        value=lambda scene, views: [number for number, _ in _parts(scene)],
        layer=JOINTS,
    ),
    Field(
        name="parts/part",
        dtype="int64",
        shape=("P",),
        encoding="values",
        meaning="Its number in the object, as in `mesh/part`; 0 is the base.",
        value=lambda scene, views: [part for _, part in _parts(scene)],
        layer=JOINTS,
    ),
    Field(
        name="parts/positions",
        dtype="float32",
        shape=("P", "T", 3),
        encoding="values",
        meaning=(
            "Metres, at each dynamics step: X_world = R(quaternion) X_rest + position, "
            "where X_rest is a point of the part in the rest shape, in the object's "
            "own frame."
        ),
        value=lambda scene, views: _part_poses(scene, views)[0],
        layer=JOINTS,
    ),
    Field(
        name="parts/quaternions",
        dtype="float32",
        shape=("P", "T", 4),
        encoding="values",
        meaning="(w, x, y, z), likewise.",
        value=lambda scene, views: _part_poses(scene, views)[1],
        layer=JOINTS,
    ),
    Field(
        name="intrinsics",
        dtype="float32",
        shape=("V", 3, 3),
        encoding="values",
        meaning=(
            "Pinhole matrix K in pixels: square pixels, principal point in the middle, "
            "pixel (row i, column j) has its centre at (j + 0.5, i + 0.5)."
        ),
        value=_intrinsics,
    ),
    Field(
        name="extrinsics",
        dtype="float32",
        shape=("V", 3, 4),
        encoding="values",
        meaning=(
            "[R, t], world to camera: X_cam = R X_world + t, metres, OpenCV axes "
            "(x right, y down, z forward)."
        ),
        value=_extrinsics,
    ),
    Field(
        name="objects/asset_id",
        dtype="str",
        shape=("N",),
        encoding="text",
        meaning="The asset's id in the object catalog.",
        value=lambda scene, views: [o.asset_id for o in scene.objects],
    ),
    Field(
        name="objects/category",
        dtype="str",
        shape=("N",),
        encoding="text",
        meaning="The category's name.",
        value=lambda scene, views: [o.category for o in scene.objects],
    ),
    Field(
        name="objects/category_id",
        dtype="int64",
        shape=("N",),
        encoding="values",
        meaning="Index of the category in the catalog, plus one.",
        value=lambda scene, views: [o.category_id for o in scene.objects],
    ),
    Field(
        name="objects/sizes",
        dtype="float32",
        shape=("N", 3),
        encoding="values",
        meaning=(
            "Metres, sides of the bounding box in the object's own frame, whose origin "
            "is the box's centre."
        ),
        value=lambda scene, views: views.sizes,
    ),
    Field(
        name="objects/positions",
        dtype="float32",
        shape=("N", "T", 3),
        encoding="values",
        meaning=(
            "Metres, the object's origin in the world at each dynamics step, as "
            "rendered: X_world = R(quaternion) X_object + position."
        ),
        value=lambda scene, views: views.positions,
    ),
    Field(
        name="objects/quaternions",
        dtype="float32",
        shape=("N", "T", 4),
        encoding="values",
        meaning="(w, x, y, z), object to world, at each dynamics step, as rendered.",
        value=lambda scene, views: views.quaternions,
    ),
    Field(
        name="objects/pixels",
        dtype="int32",
        shape=("N", "V"),
        encoding="values",
        meaning="Pixels that show the object, in each view.",
        value=_pixels,
    ),
    Field(
        name="background/asset_id",
        dtype="str",
        shape=(),
        encoding="text",
        meaning="The HDRI's id in the background catalog.",
        value=lambda scene, views: scene.background.asset_id,
    ),
    Field(
        name="background/rotation",
        dtype="float32",
        shape=(),
        encoding="values",
        meaning="Radians, the HDRI's rotation about the vertical.",
        value=lambda scene, views: scene.background.rotation,
    ),
    Field(
        name="camera_pattern",
        dtype="str",
        shape=(),
        encoding="text",
        meaning="`shift`, `pan`, `zoom`, `random`, `shell`, `handheld` or `rig`.",
        value=lambda scene, views: scene.pattern,
    ),
    Field(
        name="scene_name",
        dtype="str",
        shape=(),
        encoding="text",
        meaning="`scene_<index>`.",
        value=lambda scene, views: scene.name,
    ),
    Field(
        name="scene",
        dtype="str",
        shape=(),
        encoding="text",
        meaning="The whole `Scene` as JSON, from which it can be rendered again.",
        value=lambda scene, views: scene.to_json(),
    ),
    Field(
        name="spec_hash",
        dtype="str",
        shape=(),
        encoding="text",
        meaning="The dataset's identity: hash of the spec and of its catalogs.",
        value=lambda scene, views: scene.spec_hash,
    ),
    Field(
        name="split",
        dtype="str",
        shape=(),
        encoding="text",
        meaning="The split that the scene belongs to.",
        value=lambda scene, views: scene.split,
    ),
    Field(
        name="index",
        dtype="int64",
        shape=(),
        encoding="values",
        meaning="The scene's index in its split, as sampled.",
        value=lambda scene, views: scene.index,
    ),
    Field(
        name="attempt",
        dtype="int64",
        shape=(),
        encoding="values",
        meaning="How often the scene was sampled again before it was accepted.",
        value=lambda scene, views: scene.attempt,
    ),
    Field(
        name="versions",
        dtype="str",
        shape=(),
        encoding="text",
        meaning="JSON: versions of what made the scene, its pixels and this record.",
        value=_versions,
    ),
)
