"""Checks of one record against its spec, its `Scene` and itself."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dyso import records
from dyso.sampling.scene import Scene, SceneObject
from dyso.spec import Catalog, Clip, ResolvedSpec, UserError
from dyso.validation.edges import straight_step
from dyso.validation.geometry import Agreement, agreement
from dyso.validation.meshes import mesh_faults

# Fields that the record's `scene` determines.
_FROM_SCENE = (
    "intrinsics",
    "extrinsics",
    "objects/asset_id",
    "objects/category",
    "objects/category_id",
    "background/asset_id",
    "background/rotation",
    "joints/instance",
    "joints/part",
    "joints/parent",
    "joints/name",
    "joints/type",
    "joints/axis",
    "joints/origin",
    "joints/limits",
    "joints/values",
    "objects/clip",
    "objects/clip_times",
    "parts/instance",
    "parts/part",
    "camera_pattern",
    "scene_name",
    "spec_hash",
    "split",
    "index",
    "attempt",
)
_UNIT_ERROR = 1e-5
_SIZE_ERROR = 1e-5  # of a size: rounding to float32
_POSE_ERROR = 1e-5  # metres, or a quaternion's component: rounding to float32


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of the checks of one record.

    Attributes:
      faults: the faults, one line each.
      index: the scene's index in its split; None if the record does not decode.
      share: the share of visible points that agree between views; None if an earlier
        check failed.
      step: see `dyso.validation.edges.straight_step`; None also if a check failed.
    """

    faults: tuple[str, ...]
    index: int | None
    share: float | None = None
    step: float | None = None


@np.errstate(all="ignore")  # damaged records may hold any number
def check_record(data: bytes, resolved: ResolvedSpec, split: str) -> Finding:
    """Checks one record; later checks rely on earlier ones.

    Args:
      data: the serialized record.
      resolved: the dataset that the record belongs to.
      split: the split of the record's shard.
    """
    try:
        scene = records.scene_of(data, resolved.spec)
        record = records.decode(data, spec=resolved.spec)
    except UserError as error:
        what = f"does not decode: {error}"
        return Finding(faults=(what,), index=None)
    index = int(record["index"])
    faults: list[str] = []
    for check in (
        _provenance,
        _shapes,
        _numbers,
        _follows_from_spec,
        _follows_from_scene,
        _images,
        _poses,
        _meshes,
    ):
        new = list(check(record, scene, resolved, split))
        faults += new
        if new and check not in (_follows_from_spec, _follows_from_scene):
            return Finding(faults=tuple(faults), index=index)
    proof = agreement(record)
    faults += _disagreements(proof)
    return Finding(
        faults=tuple(faults),
        index=index,
        share=proof.share(),
        step=straight_step(record, resolved.spec.layout),
    )


def _provenance(
    record: dict[str, Any], scene: Scene, resolved: ResolvedSpec, split: str
) -> Iterator[str]:
    if record["spec_hash"] != resolved.hash:
        yield (
            f"belongs to another dataset: its spec hash is {record['spec_hash']}, "
            f"that of this dataset is {resolved.hash}"
        )
    if record["split"] != split:
        yield f"belongs to split {str(record['split'])!r}, not {split!r}"


def _shapes(
    record: dict[str, Any], scene: Scene, resolved: ResolvedSpec, split: str
) -> Iterator[str]:
    spec = resolved.spec
    height, width = spec.resolution
    joints = [
        len(item.articulation.joints) if item.articulation else 0
        for item in scene.objects
    ]
    sizes: dict[str | int, int] = {
        "V": spec.views,
        "T": spec.dynamics.steps,
        "N": len(scene.objects),
        "H": height,
        "W": width,
        "F": len(record.get("mesh/faces", ())),
        "K": len(record.get("mesh/instance", ())),
        "B": len(record.get("bones/instance", ())),
        "J": sum(joints),
        "P": sum(joints) + len(joints),
    }
    for field in records.fields_of(spec):
        expected = tuple(sizes.get(axis, axis) for axis in field.shape)
        if field.name not in record:
            yield f"{field.name}: is missing"
        elif record[field.name].shape != expected:
            yield (
                f"{field.name}: has shape {record[field.name].shape}, "
                f"expected {expected}"
            )


def _numbers(
    record: dict[str, Any], scene: Scene, resolved: ResolvedSpec, split: str
) -> Iterator[str]:
    for field in records.fields_of(resolved.spec):
        # Depth may be infinite; `_images` checks it.
        if field.encoding == "values" and not np.isfinite(record[field.name]).all():
            yield f"{field.name}: contains values that are not finite"
    for i, sides in enumerate(record["objects/sizes"]):
        longest = scene.objects[i].size
        if not (sides >= 0).all() or not math.isclose(
            sides.max(), longest, rel_tol=_SIZE_ERROR
        ):
            yield (
                f"objects/sizes: the longest side of object {i} is {sides.max():g} m, "
                f"not {longest:g}"
            )
    try:
        versions = json.loads(str(record["versions"]))
        if not {*map(type, versions.values())} == {str} or "dyso" not in versions:
            raise TypeError(versions)
    except (ValueError, TypeError, AttributeError, RecursionError):
        yield "versions: is not a JSON object of names and versions"


def _follows_from_spec(
    record: dict[str, Any], scene: Scene, resolved: ResolvedSpec, split: str
) -> Iterator[str]:
    """Compares values that the spec determines; counts are checked before."""
    spec, background = resolved.spec, scene.background
    for name, value, expected in (
        ("dataset", scene.dataset, spec.name),
        ("contact", scene.contact, spec.dynamics.contact),
        ("settle_time", scene.settle_time, spec.dynamics.settle_time),
        ("render", scene.render, spec.render),
        ("backdrop", background.backdrop, spec.backgrounds.backdrop),
        ("dome_radius", background.dome_radius, spec.backgrounds.dome_radius),
        ("dome_height", background.dome_height, spec.backgrounds.dome_height),
        ("physics", scene.physics is not None, spec.dynamics.motion == "physics"),
        (
            "deformation",
            any(item.deformation is not None for item in scene.objects),
            spec.dynamics.deform.any,
        ),
        ("articulation", scene.articulated, spec.articulated),
        (
            "animation",
            [item.animation is not None for item in scene.objects],
            [spec.animated] * len(scene.objects),
        ),
        (
            "clips",
            [item.plays for item in scene.objects],
            [bool(_playable(item, resolved)) for item in scene.objects],
        ),
        ("skeletal", scene.skeletal, spec.skeletal),
        (
            "gait",
            [item.gait is not None for item in scene.objects],
            [
                spec.dynamics.gait.any
                and resolved.objects.gait(item.category) is not None
                for item in scene.objects
            ],
        ),
    ):
        if value != expected:
            yield f"scene: {name}: is {value!r}, but the spec has {expected!r}"
    if any(item.size != spec.objects.size for item in scene.objects):
        yield f"scene: an object's size is not the spec's {spec.objects.size:g} m"
    width = spec.cameras.sensor_width / 1000
    if any(camera.sensor_width != width for camera in scene.cameras):
        yield f"scene: a camera's sensor_width is not the spec's {width:g} m"
    if not all(camera.focal_length > 0 for camera in scene.cameras):
        yield "scene: a camera's focal_length is not above 0"
    if not spec.cameras.patterns.weights().get(scene.pattern, 0) > 0:
        yield f"scene: pattern {scene.pattern!r} is not a pattern of the spec"
    for name, value, end in (
        ("index", scene.index, spec.splits.get(split, 0)),
        ("attempt", scene.attempt, spec.visibility.attempts),
    ):
        if not 0 <= value < end:
            yield f"scene: {name} {value} is not below the spec's {end}"


def _playable(item: SceneObject, resolved: ResolvedSpec) -> tuple[Clip, ...]:
    """Returns the clips of its object that the spec plays."""
    if not resolved.spec.animated or not isinstance(resolved.objects, Catalog):
        return ()
    try:
        asset = resolved.objects.assets[resolved.objects.index(item.asset_id)]
    except KeyError:  # reported elsewhere
        return ()
    return asset.playable(resolved.spec.dynamics.animate.clips)


def _follows_from_scene(
    record: dict[str, Any], scene: Scene, resolved: ResolvedSpec, split: str
) -> Iterator[str]:
    for field in records.FIELDS:
        if field.name in _FROM_SCENE and field.name in record:
            # The values of these fields do not depend on the views.
            value = np.array(
                field.value(scene, None),  # type: ignore[arg-type]
                str if field.dtype == "str" else None,  # or no texts would be numbers
            )
            if not _same(record[field.name], value):
                yield f"{field.name}: differs from its scene"
    for item in scene.objects:
        if not resolved.may_show(split, item.asset_id):
            yield f"object {item.asset_id!r}: is not in the catalog of split {split!r}"
        elif resolved.objects.category_ids.get(item.category) != item.category_id:
            yield f"object {item.asset_id!r}: category id {item.category_id} is wrong"
    hdris = {asset.id for asset in resolved.backgrounds_of(split)}
    if scene.background.asset_id not in hdris:
        hdri = scene.background.asset_id
        yield f"HDRI {hdri!r}: is not in the catalog of split {split!r}"


def _same(value: Any, expected: np.ndarray) -> bool:
    if np.shape(value) != expected.shape:
        return False
    if np.issubdtype(expected.dtype, np.floating):
        return bool(np.allclose(value, expected, rtol=1e-6, atol=1e-6))
    return bool(np.array_equal(value, expected))


def _images(
    record: dict[str, Any], scene: Scene, resolved: ResolvedSpec, split: str
) -> Iterator[str]:
    instance = record["instance"][..., 0]
    count = len(scene.objects)
    if instance.max() > count:
        yield f"instance: contains id {instance.max()}, but there are {count} objects"
        return
    ids = np.array([0, *record["objects/category_id"]])
    wrong = (record["category"][..., 0] != ids[instance]).any((1, 2))
    if wrong.any():
        yield f"category: disagrees with instance in {_views(wrong)}"
    pixels = np.stack([(instance == i + 1).sum((1, 2)) for i in range(count)])
    wrong = (pixels != record["objects/pixels"]).any(0)
    if wrong.any():
        yield f"objects/pixels: disagrees with instance in {_views(wrong)}"
    depth = record["depth"][..., 0]
    hit = (instance > 0) | (scene.background.backdrop == "dome")
    wrong = ((hit & ~np.isfinite(depth)) | ~(depth > 0)).any((1, 2))
    if wrong.any():
        yield f"depth: is not positive and finite in {_views(wrong)}"


def _poses(
    record: dict[str, Any], scene: Scene, resolved: ResolvedSpec, split: str
) -> Iterator[str]:
    rotation = record["extrinsics"][..., :3].astype(np.float64)
    product = rotation @ rotation.swapaxes(-1, -2)
    error = abs(product - np.eye(3)).max((1, 2)) + abs(np.linalg.det(rotation) - 1)
    if not (error <= _UNIT_ERROR).all():
        yield f"extrinsics: not a rotation in {_views(~(error <= _UNIT_ERROR))}"
    quaternions = record["objects/quaternions"].astype(np.float64)
    positions = record["objects/positions"].astype(np.float64)
    norms = np.linalg.norm(quaternions, axis=-1)
    wrong = ~(abs(norms - 1) <= _UNIT_ERROR) | ~np.isfinite(positions).all(-1)
    if wrong.any():
        i, step = np.argwhere(wrong)[0]
        yield f"objects: invalid pose of object {i} at dynamics step {step}"
        return
    if scene.contact in ("settle", "stable") or scene.physics is not None:
        return  # physics changes the poses of the scene
    sampled = [item.poses for item in scene.objects]
    turned = abs(
        quaternions - [[pose.quaternion for pose in poses] for poses in sampled]
    )
    moved = abs(positions - [[pose.position for pose in poses] for poses in sampled])
    # The height is not compared: it depends on the mesh.
    wrong = np.maximum(turned.max(-1), moved[..., :2].max(-1)) > _POSE_ERROR
    for i, step in np.argwhere(wrong):
        yield f"objects: pose of object {i} at dynamics step {step}: differs from scene"


def _meshes(
    record: dict[str, Any], scene: Scene, resolved: ResolvedSpec, split: str
) -> Iterator[str]:
    if "surface" in record:
        yield from mesh_faults(record, scene, resolved.objects)


def _disagreements(proof: Agreement) -> Iterator[str]:
    shares = proof.shares()
    for i in proof.failed():
        by_view = proof.wrong[i].sum(0) + proof.wrong[i].sum(1)
        visible = proof.agreed[i].sum() + proof.wrong[i].sum()
        yield (
            f"geometry: {100 * shares[i]:.1f} % of {visible} visible points of "
            f"{f'object {i - 1}' if i else 'the background'} agree between views; "
            f"most are wrong in view {proof.views[by_view.argmax()]}"
        )


def _views(wrong: np.ndarray) -> str:
    """Names the views where `wrong` [V] is true."""
    views = np.flatnonzero(wrong).tolist()
    more = f" and {len(views) - 5} more" if len(views) > 5 else ""
    return f"view {', '.join(map(str, views[:5]))}{more}"
