"""Reads Kubric asset manifests as catalogs of plain data.

A manifest is JSON: `{"name", "data_dir", "assets": {id: {"asset_type", "kwargs",
"metadata", "path", "license", ...}}}`, as Kubric's `AssetSource.from_manifest` reads
it. `https://`, `gs://` and `s3://` addresses are read through `dyso.storage`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from dyso.spec import Asset, Catalog, Clip, Joint, UserError
from dyso.spec.asset import Bounds
from dyso.storage import open_readonly

MAX_BYTES = 512 << 20
"""Maximum bytes of a manifest; ShapeNet's 50,000 entries have about 40 MB."""
MAX_SIDE = 1e30
"""Maximum side of an object's bounds, in its units; the minimum is the inverse."""
MAX_NAME = 256
"""Maximum characters of an id, a category and a name."""
MAX_JOINTS = 254
"""Maximum joints of an object; the numbers of parts are bytes."""
MAX_CLIPS = 1 << 10
"""Maximum animations of an object."""
MAX_SECONDS = 1e6
"""Last moment of an animation, and the first is after its negative."""
MESH_SUFFIXES = (".glb", ".gltf", ".obj")


def mesh_kind(name: str) -> str:
    """Returns the kind of a mesh file: `.glb`, `.gltf`, `.obj`, or nothing.

    All that opens, checks or turns a mesh asks this function. A file that is named
    `.gltf` and no more has no suffix, and is of no kind.
    """
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if suffix in MESH_SUFFIXES else ""


def is_inside(path: str) -> bool:
    """Returns whether a relative path stays inside its base folder."""
    parts = PurePosixPath(path).parts
    return "\0" not in path and not path.startswith("/") and ".." not in parts


def read_manifest(location: str) -> dict[str, Any]:
    """Reads a manifest.

    Args:
      location: a path, or a `https://`, `gs://` or `s3://` address.

    Raises:
      UserError: it cannot be read, is not a manifest, or is larger than `MAX_BYTES`.
    """
    try:
        text = _read(location)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{location}: cannot read this manifest: {reason}") from error
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{location}: cannot read this manifest: {error}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("assets"), dict):
        raise UserError(f"{location}: not an asset manifest: it has no table `assets`")
    return manifest


def _read(location: str) -> bytes:
    if "://" not in location:
        with open(location, "rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise UserError(f"{location}: a manifest has at most {MAX_BYTES} bytes")
        return text
    parent, _, name = location.rpartition("/")
    folder = open_readonly(parent)
    if (folder.size(name) or 0) > MAX_BYTES:
        raise UserError(f"{location}: a manifest has at most {MAX_BYTES} bytes")
    return folder.read(name)


def read_catalog(location: str, asset_type: str) -> Catalog:
    """Reads the assets of one type from a manifest.

    Args:
      location: see `read_manifest`.
      asset_type: `FileBasedObject` for objects, `Texture` for HDRIs.

    Raises:
      UserError: see `read_manifest`; also an object without bounds, and a manifest
        with none of these assets.
    """
    manifest = read_manifest(location)
    assets = tuple(
        _asset(location, asset_id, entry)
        for asset_id, entry in sorted(manifest["assets"].items())
        if isinstance(entry, Mapping)
        and entry.get("asset_type") == asset_type
        and not _is_blend(entry)
    )
    if not assets:
        raise UserError(f"{location}: has no assets of type {asset_type}")
    catalog = Catalog(
        name=_text(location, "name", manifest.get("name") or Path(location).stem),
        manifest=str(Path(location).resolve()) if "://" not in location else location,
        assets=assets,
    )
    if len(catalog.categories()) > 255:
        raise UserError(
            f"{location}: has {len(catalog.categories())} categories; "
            "category images hold at most 255"
        )
    return catalog


def _asset(location: str, asset_id: str, entry: Mapping[str, Any]) -> Asset:
    where = f"{location}: {asset_id[:80]!r}"
    _text(where, "its id", asset_id)
    if not asset_id or not is_inside(asset_id):
        raise UserError(f"{where}: an id is a path that stays inside a folder")
    metadata, kwargs = _table(where, entry, "metadata"), _table(where, entry, "kwargs")
    bounds = _bounds(where, kwargs.get("bounds", ((0, 0, 0), (0, 0, 0))))
    bounds = _turned(bounds) if _is_y_up(kwargs) else bounds
    longest = _longest(bounds)
    if entry["asset_type"] == "FileBasedObject" and not longest > 0:
        raise UserError(f"{where}: has no bounds above zero size")
    if longest and not 1 / MAX_SIDE <= longest <= MAX_SIDE:
        raise UserError(
            f"{where}: the longest side of its bounds must be between {1 / MAX_SIDE:g} "
            f"and {MAX_SIDE:g}, got {longest:g}"
        )
    checksum = _text(where, "sha256", metadata.get("sha256") or "")
    if checksum and not re.fullmatch("[0-9a-f]{64}", checksum):
        raise UserError(f"{where}: sha256 must be 64 lower-case hexadecimal digits")
    return Asset(
        id=asset_id,
        category=_text(where, "category", metadata.get("category") or ""),
        bounds=bounds,
        textured=bool(metadata.get("textured", True)),
        checksum=checksum,
        joints=_joints(where, metadata, y_up=_is_y_up(kwargs)),
        **_clips(where, metadata, y_up=_is_y_up(kwargs)),
    )


def _joints(
    where: str, metadata: Mapping[str, Any], *, y_up: bool
) -> tuple[Joint, ...]:
    """Returns the joints of an object that has any."""
    listed = metadata.get("joints") or []
    if not isinstance(listed, list) or len(listed) > MAX_JOINTS:
        raise UserError(f"{where}: joints must be a list of at most {MAX_JOINTS}")
    joints = []
    for part, joint in enumerate(listed):
        if not isinstance(joint, dict):
            raise UserError(f"{where}: a joint must be a table")
        kind, parent = joint.get("type"), joint.get("parent")
        if kind not in ("revolute", "prismatic"):
            raise UserError(f"{where}: a joint must be revolute or prismatic")
        if type(parent) is not int or not 0 <= parent <= part:
            raise UserError(f"{where}: a joint's parent must be an earlier part")
        axis, origin = (
            _vector(where, f"a joint's {name}", joint.get(name), 3)
            for name in ("axis", "origin")
        )
        if not abs(math.hypot(*axis) - 1) < 1e-6:
            raise UserError(f"{where}: a joint's axis must have length 1")
        low, high = _vector(where, "a joint's limits", joint.get("limits"), 2)
        if not low < high:
            raise UserError(f"{where}: a joint's limits must be in order")
        bounds = _bounds(where, joint.get("bounds"))
        turned = [(x, -z, y) if y_up else (x, y, z) for x, y, z in (axis, origin)]
        joints.append(
            Joint(
                name=_text(where, "a joint's name", joint.get("name")),
                type=kind,
                parent=parent,
                axis=turned[0],
                origin=turned[1],
                limits=(low, high),
                bounds=_turned(bounds) if y_up else bounds,
            )
        )
    return tuple(joints)


def _vector(where: str, what: str, value: Any, count: int) -> tuple[float, ...]:
    """Returns some numbers of a manifest."""
    if (
        not isinstance(value, list)
        or len(value) != count
        or not all(isinstance(each, int | float) for each in value)
        or not all(abs(each) <= MAX_SIDE for each in value)
    ):
        raise UserError(f"{where}: {what} must be {count} numbers")
    return tuple(map(float, value))


def _clips(where: str, metadata: Mapping[str, Any], *, y_up: bool) -> dict[str, Any]:
    """Returns the clips and the rest shape's bounds of an object that has any."""
    animation = _table(where, metadata, "animation")
    if not animation:
        return {}
    rest, listed = _bounds(where, animation.get("rest")), animation.get("clips")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_CLIPS:
        raise UserError(f"{where}: an animation has 1 to {MAX_CLIPS} clips")
    if not 1 / MAX_SIDE <= _longest(rest) <= MAX_SIDE:
        raise UserError(f"{where}: an animation's rest shape has no size")
    clips = []
    for clip in listed:
        if not isinstance(clip, dict):
            raise UserError(f"{where}: a clip must be a table")
        times: list[Any] = [clip.get("start"), clip.get("end")]
        if not all(isinstance(each, int | float) for each in times):
            raise UserError(f"{where}: a clip's start and end must be seconds")
        (start, end), bounds = times, _bounds(where, clip.get("bounds"))
        if not -MAX_SECONDS <= start <= end <= MAX_SECONDS:
            raise UserError(f"{where}: a clip's start must be seconds before its end")
        clips.append(
            Clip(
                name=_text(where, "a clip's name", clip.get("name")),
                start=float(start),
                end=float(end),
                bounds=_turned(bounds) if y_up else bounds,
            )
        )
    if len({clip.name for clip in clips}) < len(clips):
        raise UserError(f"{where}: two clips have the same name")
    return {"clips": tuple(clips), "rest": _turned(rest) if y_up else rest}


def _longest(bounds: Bounds) -> float:
    return max(high - low for low, high in zip(*bounds, strict=True))


def _turned(bounds: Bounds) -> Bounds:
    """Returns a box as importers turn it: z is the former y, y the former -z."""
    (x, y, z), (right, top, near) = bounds
    return (x, -near, y), (right, -z, top)


def _is_blend(entry: Mapping[str, Any]) -> bool:
    """Returns whether it is a .blend file, such as KuBasic's dome; none is opened."""
    kwargs = entry.get("kwargs")
    named = kwargs.get("render_filename") if isinstance(kwargs, Mapping) else None
    return isinstance(named, str) and named.endswith(".blend")


def _is_y_up(kwargs: Mapping[str, Any]) -> bool:
    """Returns whether bounds, which are in the file's axes, have y up."""
    axes = kwargs.get("render_import_kwargs")
    turned = isinstance(axes, Mapping) and axes.get("axis_up") == "Y"
    return turned or mesh_kind(str(kwargs.get("render_filename"))) in (".glb", ".gltf")


def _table(where: str, entry: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = entry.get(key) or {}
    if not isinstance(table, dict):
        raise UserError(f"{where}: {key} must be a table")
    return table


def _text(where: str, what: str, value: Any) -> str:
    """Returns a text that is safe to print on a terminal."""
    if not isinstance(value, str) or len(value) > MAX_NAME or not value.isprintable():
        raise UserError(
            f"{where}: {what} must be text of at most {MAX_NAME} printable characters"
        )
    return value


def _bounds(where: str, value: Any) -> Bounds:
    try:
        corners = [tuple(float(x) for x in corner) for corner in value]
        lower, upper = corners
        assert len(lower) == len(upper) == 3
        assert all(map(math.isfinite, (*lower, *upper)))
        assert all(low <= high for low, high in zip(lower, upper, strict=True))
    except (TypeError, ValueError, AssertionError, OverflowError) as error:
        raise UserError(
            f"{where}: bounds must be two corners of three numbers, the lower first"
        ) from error
    return lower, upper
