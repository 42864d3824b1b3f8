"""Encodes scenes as `tf.train.Example` bytes and decodes them, without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from dyso.records.depth import decode_depth, encode_depth
from dyso.records.errors import RecordError
from dyso.records.example import Example
from dyso.records.fields import BONES, CLIPS, FIELDS, JOINTS, Field, fields_of
from dyso.records.images import decode_image, encode_image
from dyso.records.packed import MESH_STEP, pack, unpack
from dyso.render.views import Views
from dyso.sampling.scene import Scene
from dyso.spec import REQUIRED_LAYERS, Spec, UserError

_BY_NAME = {field.name: field for field in FIELDS}
_REQUIRED = tuple(f for f in FIELDS if f.layer in (None, *REQUIRED_LAYERS))
# Limits on a scene's JSON. Sampled scenes take about a tenth of them.
SCENE_CHARACTERS, POSE_CHARACTERS = 10_000, 2_000
MAX_BYTES = 1 << 32
"""Most bytes that `decode` returns at once, so that a small record cannot fill memory.
Enough for all fields of 25 views of 4096 x 4096 pixels."""


def stored_keys(field: Field) -> tuple[str, ...]:
    """Returns the keys of the Example that hold a field."""
    if field.encoding == "depth":
        return (f"{field.name}/code", f"{field.name}/focal_length")
    if field.encoding == "packed":
        return tuple(f"{field.name}/{part}" for part in ("code", "shape", "unit"))
    return (field.name,)


def encode(scene: Scene, views: Views) -> bytes:
    """Returns the record of a scene; equal values have equal bytes.

    Raises:
      ValueError: a depth is out of the format's range, or a layer is missing.
    """
    example = Example()
    features = example.features.feature
    for field in fields_of(scene):
        value, keys = field.value(scene, views), stored_keys(field)
        if field.encoding == "image":
            features[keys[0]].bytes_list.value.extend(map(encode_image, value))
        elif field.encoding == "depth":
            intrinsics = _BY_NAME["intrinsics"].value(scene, views)
            focal_lengths = intrinsics[:, 0, 0].astype(np.float32).tolist()
            features[keys[0]].bytes_list.value.extend(
                encode_image(encode_depth(depth[..., 0], focal_length)[..., None])
                for depth, focal_length in zip(value, focal_lengths, strict=True)
            )
            features[keys[1]].float_list.value.extend(focal_lengths)
        elif field.encoding == "packed":
            if value is None:
                raise ValueError("the views lack the meshes of the layer `surface`")
            size = min(item.size for item in scene.objects)
            unit = size * MESH_STEP if field.dtype.startswith("float") else 1.0
            unit = float(np.float32(unit))
            features[keys[0]].bytes_list.value.append(pack(value, unit))
            features[keys[1]].int64_list.value.extend(value.shape)
            features[keys[2]].float_list.value.append(unit)
        elif field.encoding == "text":
            texts = [value] if isinstance(value, str) else value
            features[keys[0]].bytes_list.value.extend(text.encode() for text in texts)
        else:
            numbers = np.asarray(value, field.dtype).ravel().tolist()
            _numbers(features[keys[0]], field).extend(numbers)
    # Otherwise the order of the keys differs between processes.
    return example.SerializeToString(deterministic=True)


def decode(
    data: bytes,
    *,
    fields: Iterable[str] | None = None,
    views: Sequence[int] | None = None,
    spec: Spec | None = None,
) -> dict[str, Any]:
    """Reads fields of a record; decodes only the requested images.

    Args:
      data: the result of `encode`.
      fields: names from `FIELDS`; None means every field of the record. A name that
        ends in `?` is left out where the record lacks the field.
      views: indices of the views to keep, in this order; None keeps all. Every axis
        V of the field table becomes as long as `views`.
      spec: the dataset's spec; the sizes of the record's axes are checked against it
        before anything is decoded.

    Returns:
      Arrays by field name, of the table's dtypes and shapes; text is `numpy.str_`.

    Raises:
      RecordError: the record is damaged, has more than `MAX_BYTES`, or is not of this
        spec.
      UserError: the record lacks a field, or a view is out of range.
    """
    features = _parse(data)
    if fields is None:
        chosen = [f for f in FIELDS if f in _REQUIRED or stored_keys(f)[0] in features]
    else:
        wanted = [(_field_named(name.removesuffix("?")), name[-1:]) for name in fields]
        chosen = [
            field
            for field, mark in wanted
            if mark != "?" or stored_keys(field)[0] in features
        ]
    for field in chosen:
        _check_present(features, field)
    count = len(features["color"].bytes_list.value)
    indices = _checked_views(views, count)
    sizes = {
        axis: len(features[name].int64_list.value)
        for axis, name in (
            ("N", "objects/category_id"),
            ("J", "joints/instance"),
            ("P", "parts/instance"),
            ("B", "bones/instance"),
        )
    } | {"V": count}
    if spec is not None:
        _check_counts(sizes["V"], sizes["N"], spec)
        height, width = spec.resolution
        sizes |= {"T": spec.dynamics.steps, "H": height, "W": width}
    decoded, left = {}, MAX_BYTES
    for field in chosen:
        try:
            value = _decode_field(features, field, sizes, indices, left)
            decoded[field.name] = value
            left -= value.nbytes
        except (ValueError, RecordError) as error:
            raise RecordError(f"damaged field {field.name!r}: {error}") from error
    return decoded


def scene_of(data: bytes, spec: Spec | None = None) -> Scene:
    """Returns the scene that a record was rendered from.

    Args:
      data: the result of `encode`.
      spec: the dataset's spec; numbers of objects, cameras and steps are checked.

    Raises:
      RecordError: the record is damaged, or is not of this spec.
    """
    text = str(decode(data, fields=["scene"])["scene"])
    if spec is not None:
        poses = spec.objects.count[1] * (1 + spec.dynamics.steps) + spec.cameras.count
        if len(text) > SCENE_CHARACTERS + POSE_CHARACTERS * poses:
            raise RecordError(
                f"damaged field 'scene': {len(text)} characters are more than a scene "
                "of its spec takes"
            )
    scene = parse_scene(text)
    if spec is not None:
        _check_scene(scene, spec)
    return scene


def parse_scene(text: str) -> Scene:
    """Returns the scene that a record's field `scene` has.

    Raises:
      RecordError: it has none.
    """
    try:
        return Scene.from_json(text)
    except ValueError as error:
        raise RecordError("damaged field 'scene': not a scene's JSON") from error


def _check_counts(views: int, objects: int, spec: Spec) -> None:
    fewest, most = spec.objects.count
    if views != spec.views:
        raise RecordError(f"expected {spec.views} views, got {views}")
    if not fewest <= objects <= most:
        raise RecordError(f"expected {_span(fewest, most)} objects, got {objects}")


def _check_scene(scene: Scene, spec: Spec) -> None:
    """Checks every size of a scene."""
    fewest, most = spec.objects.count
    steps, cameras = spec.dynamics.steps, spec.cameras.count
    height, width = spec.resolution
    poses = [len(item.poses) for item in scene.objects] or [0]
    counts: dict[str, tuple[list[int], int, int]] = {
        "objects": ([len(scene.objects)], fewest, most),
        "dynamics steps": (poses, steps, steps),
        "cameras": ([len(scene.cameras)], cameras, cameras),
        "cameras paired": ([scene.paired], spec.cameras.paired, spec.cameras.paired),
        "height": ([scene.resolution[0]], height, height),
        "width": ([scene.resolution[1]], width, width),
    }
    for name, (values, low, high) in counts.items():
        if not low <= min(values) <= max(values) <= high:
            raise RecordError(
                f"damaged field 'scene': {name}: expected {_span(low, high)}, got "
                f"{_span(min(values), max(values))}"
            )


def _span(low: int, high: int) -> str:
    return f"{low:d}" if low == high else f"{low:d} to {high:d}"


def _parse(data: bytes) -> Any:
    try:
        example = Example.FromString(data)
    except DecodeError as error:
        raise RecordError("not a record: not a tf.train.Example") from error
    if "color" not in example.features.feature:
        raise RecordError("not a record of this project: lacks 'color'")
    return example.features.feature


def _field_named(name: str) -> Field:
    if name not in _BY_NAME:
        raise UserError(f"no field {name!r}; the fields are {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def _check_present(features: Any, field: Field) -> None:
    for key in stored_keys(field):
        if key not in features and field in _REQUIRED:
            raise RecordError(f"not a record of this project: lacks {key!r}")
        if key not in features:
            dynamic = field.layer in (JOINTS, BONES, CLIPS)
            raise UserError(
                f"no field {field.name!r} in these records: the spec's "
                f"{'dynamics' if dynamic else 'render.layers'} leave it out"
            )


def _checked_views(views: Sequence[int] | None, count: int) -> Sequence[int]:
    if views is None:
        return range(count)
    indices = [int(view) for view in views]
    wrong = [view for view in indices if not 0 <= view < count]
    if wrong or not indices:
        raise UserError(
            f"views must be at least one of 0 to {count - 1}, "
            f"got {wrong[0] if wrong else 'none'}"
        )
    return indices


def _numbers(feature: Any, field: Field) -> Any:
    numbers = (
        feature.float_list if field.dtype.startswith("float") else feature.int64_list
    )
    return numbers.value


def _decode_field(
    features: Any,
    field: Field,
    sizes: dict[str, int],
    views: Sequence[int],
    most: int,
) -> Any:
    keys = stored_keys(field)
    if field.encoding in ("image", "depth"):
        images = features[keys[0]].bytes_list.value
        if len(images) != sizes["V"]:
            raise ValueError(f"{len(images)} images, not {sizes['V']}")
    # None if the spec is not known; then the first image sets the size.
    size = (sizes["H"], sizes["W"]) if "H" in sizes else None
    if field.encoding == "image":
        kind = field.dtype, int(field.shape[-1])
        return np.stack(list(_decode_images(images, views, *kind, most, size)))
    if field.encoding == "depth":
        focal_lengths = features[keys[1]].float_list.value
        # Below this, depth would overflow float32.
        plausible = all(1e-30 < f < math.inf for f in focal_lengths)
        if len(focal_lengths) != sizes["V"] or not plausible:
            raise ValueError("its focal lengths are not one a view, above 0")
        # Depth takes twice the bytes of its codes.
        decoded = _decode_images(images, views, "uint16", 1, most // 2, size)
        return np.stack(
            [
                decode_depth(codes[..., 0], focal_lengths[view])[..., None]
                for view, codes in zip(views, decoded, strict=True)
            ]
        )
    if field.encoding == "packed":
        return _decode_packed(features, field, sizes, most)
    if field.encoding == "text":
        texts = [text.decode() for text in features[keys[0]].bytes_list.value]
        # numpy stores all texts at the longest's length, four bytes per character.
        _check_room(4 * len(texts) * max(map(len, texts), default=0), most)
        values = np.array(texts, dtype=str)
    else:
        values = np.array(_numbers(features[keys[0]], field))
    # At most one of a field's axes, T, is not known beforehand.
    shape = [a if isinstance(a, int) else sizes.get(a, -1) for a in field.shape]
    values = values.astype(field.dtype).reshape(shape)
    if "V" in field.shape:
        values = values.take(views, field.shape.index("V"))
    return values[()]


def _decode_packed(
    features: Any, field: Field, sizes: dict[str, int], most: int
) -> Any:
    code, shape, unit = (features[key] for key in stored_keys(field))
    axes = [int(size) for size in shape.int64_list.value]
    expected = [a if isinstance(a, int) else sizes.get(a) for a in field.shape]
    if len(axes) != len(expected) or any(
        size < 0 or other not in (None, size)
        for size, other in zip(axes, expected, strict=True)
    ):
        raise ValueError(f"shape {axes}, not {expected}")
    # The integers, before they become the field's type, take 8 bytes each.
    _check_room(8 * math.prod(axes), most)
    (data,), (scale,) = code.bytes_list.value, unit.float_list.value
    if not 0 < scale < 1e6:
        raise ValueError(f"its unit is {scale}")
    integers = unpack(data, axes)
    return (integers * scale if scale != 1 else integers).astype(field.dtype)


def _decode_images(
    images: Sequence[bytes],
    views: Sequence[int],
    dtype: str,
    channels: int,
    most: int,
    size: tuple[int, int] | None,
) -> Iterator[np.ndarray]:
    """Returns decoded images; checks their size before decoding them."""
    for at, view in enumerate(views):
        image = decode_image(images[view], dtype, channels, size)
        if at == 0:
            _check_room(image.nbytes * len(views), most)
            height, width, _ = image.shape
            size = height, width
        yield image


def _check_room(needed: int, most: int) -> None:
    if needed > most:
        raise RecordError(
            f"asks for {needed} bytes, and {most} are left of the {MAX_BYTES} that are "
            "decoded at once: read fewer fields or fewer views"
        )
