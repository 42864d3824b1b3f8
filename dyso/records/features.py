"""The field table as tfds features, for numpy and for TensorFlow's graphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

# A proxy that imports TensorFlow on first use.
from tensorflow_datasets.core.utils.lazy_imports_utils import tensorflow as tf

from dyso.records.depth import (
    INFINITE,
    Z,
    decode_depth,
    encode_depth,
    squared_offsets,
)
from dyso.records.fields import Field, fields_of
from dyso.records.images import decode_image, encode_image
from dyso.records.packed import pack, step_axes, unpack
from dyso.spec import Spec


class _StoredImage(tfds.features.FeatureConnector):
    """The base of the feature kinds; features.json names them by import path."""

    def __init__(self, *, shape: Sequence[int], doc: str | None = None):
        """Takes the shape of one image, [H, W, C]."""
        super().__init__(doc=doc)
        self._shape = tuple(shape)

    def decode_batch_example_np(self, example_data: Any) -> np.ndarray:
        """Decodes a sequence of images without TensorFlow."""
        return np.stack([self.decode_example_np(one) for one in _each(example_data)])

    def to_json_content(self) -> dict[str, Any]:
        """Returns the JSON kept in features.json."""
        return {"shape": list(self._shape)}

    @classmethod
    def from_json_content(cls, value: dict[str, Any]) -> _StoredImage:
        """Restores a feature from the result of `to_json_content`."""
        return cls(shape=value["shape"])


def _each(batch: Any) -> Iterator[Any]:
    """Returns the examples of a batch, which may be a dictionary of batches."""
    if not isinstance(batch, dict):
        return iter(batch)
    columns = zip(*batch.values(), strict=True)
    return (dict(zip(batch, row, strict=True)) for row in columns)


class ColorImage(_StoredImage):
    """An image of three channels, uint8 [H, W, 3], stored as lossless WebP."""

    def get_tensor_info(self) -> tfds.features.TensorInfo:
        """Returns the type that a reader sees."""
        return tfds.features.TensorInfo(shape=self._shape, dtype=np.uint8)

    def get_serialized_info(self) -> tfds.features.TensorInfo:
        """Returns the type that the Example holds."""
        return tfds.features.TensorInfo(shape=(), dtype=np.object_)

    def encode_example(self, example_data: np.ndarray) -> bytes:
        """Encodes an image [H, W, 3]."""
        return encode_image(example_data)

    def decode_example_np(self, example_data: bytes) -> np.ndarray:
        """Decodes one image without TensorFlow."""
        return decode_image(example_data, "uint8", 3)

    def decode_example(self, tfexample_data: Any) -> Any:
        """Decodes one image in a TensorFlow graph."""
        # WebP may hold an animation, so TensorFlow returns frames; ours have one.
        frames = tf.io.decode_webp(tfexample_data, channels=3)
        return tf.ensure_shape(frames[0], self._shape)


class DepthImage(_StoredImage):
    """Depth in metres, float32 [H, W, 1], stored as in `dyso.records.depth`."""

    def get_tensor_info(self) -> tfds.features.TensorInfo:
        """Returns the type that a reader sees."""
        return tfds.features.TensorInfo(shape=self._shape, dtype=np.float32)

    def get_serialized_info(self) -> dict[str, tfds.features.TensorInfo]:
        """Returns the type that the Example holds."""
        return {
            "code": tfds.features.TensorInfo(shape=(), dtype=np.object_),
            "focal_length": tfds.features.TensorInfo(shape=(), dtype=np.float32),
        }

    def encode_example(self, example_data: dict[str, Any]) -> dict[str, Any]:
        """Encodes `depth` [H, W, 1] with `focal_length` in pixels."""
        focal_length = float(np.float32(example_data["focal_length"]))
        image = encode_depth(example_data["depth"][..., 0], focal_length)
        return {"code": encode_image(image[..., None]), "focal_length": focal_length}

    def decode_example_np(self, example_data: dict[str, Any]) -> np.ndarray:
        """Decodes one image without TensorFlow."""
        image = decode_image(example_data["code"], "uint16", 1)[..., 0]
        return decode_depth(image, float(example_data["focal_length"]))[..., None]

    def decode_example(self, tfexample_data: dict[str, Any]) -> Any:
        """Decodes one image in a TensorFlow graph, to the same float32 values."""
        image = tf.io.decode_png(tfexample_data["code"], channels=1, dtype=tf.uint16)
        image = tf.ensure_shape(image, self._shape)
        codes = tf.cumsum(tf.cast(image, tf.int32), axis=1) % (INFINITE + 1)
        focal_length = tf.cast(tfexample_data["focal_length"], tf.float64)
        squares = tf.constant(squared_offsets(*self._shape[:2])[..., None])
        lengths = tf.sqrt(1 + squares / focal_length**2)
        return tf.cast(tf.gather(tf.constant(Z), codes) * lengths, tf.float32)


class PackedNumbers(tfds.features.FeatureConnector):
    """An array of numbers, stored as in `dyso.records.packed`."""

    def __init__(
        self, *, shape: Sequence[int | None], dtype: str, doc: str | None = None
    ):
        """Takes the shape, None for sizes that vary, and the type of the values."""
        super().__init__(doc=doc)
        self._shape, self._kind = tuple(shape), dtype

    def get_tensor_info(self) -> tfds.features.TensorInfo:
        """Returns the type that a reader sees."""
        return tfds.features.TensorInfo(shape=self._shape, dtype=np.dtype(self._kind))

    def get_serialized_info(self) -> dict[str, tfds.features.TensorInfo]:
        """Returns the type that the Example holds."""
        axes = (len(self._shape),)
        return {
            "code": tfds.features.TensorInfo(shape=(), dtype=np.object_),
            "shape": tfds.features.TensorInfo(shape=axes, dtype=np.int64),
            "unit": tfds.features.TensorInfo(shape=(), dtype=np.float32),
        }

    def encode_example(self, example_data: dict[str, Any]) -> dict[str, Any]:
        """Encodes `values` as multiples of `unit`."""
        values, unit = example_data["values"], float(np.float32(example_data["unit"]))
        return {"code": pack(values, unit), "shape": list(values.shape), "unit": unit}

    def decode_example_np(self, example_data: dict[str, Any]) -> np.ndarray:
        """Decodes the array without TensorFlow."""
        integers = unpack(example_data["code"], [int(n) for n in example_data["shape"]])
        return (integers * float(example_data["unit"])).astype(self._kind)

    def decode_example(self, tfexample_data: Any) -> Any:
        """Decodes the array in a TensorFlow graph, to the same values."""
        raw = tf.io.decode_compressed(tfexample_data["code"], "ZLIB")
        planes = tf.cast(tf.reshape(tf.io.decode_raw(raw, tf.uint8), [4, -1]), tf.int64)
        weights = tf.constant([[1], [1 << 8], [1 << 16], [1 << 24]], tf.int64)
        codes = tf.reduce_sum(planes * weights, axis=0)
        half, odd = codes // 2, codes % 2
        integers = tf.reshape(half * (1 - 2 * odd) - odd, tfexample_data["shape"])
        for axis in reversed(step_axes(len(self._shape))):
            integers = tf.cumsum(integers, axis=axis)
        integers = tf.ensure_shape(integers, self._shape)
        if not self._kind.startswith("float"):
            return tf.cast(integers, self._kind)
        unit = tf.cast(tfexample_data["unit"], tf.float64)
        return tf.cast(tf.cast(integers, tf.float64) * unit, self._kind)

    def to_json_content(self) -> dict[str, Any]:
        """Returns the JSON kept in features.json."""
        return {"shape": list(self._shape), "dtype": self._kind}

    @classmethod
    def from_json_content(cls, value: dict[str, Any]) -> PackedNumbers:
        """Restores a feature from the result of `to_json_content`."""
        return cls(shape=value["shape"], dtype=value["dtype"])


def tfds_features(spec: Spec) -> tfds.features.FeaturesDict:
    """Returns the features of a spec's records."""
    nested: dict[str, Any] = {}
    for field in fields_of(spec):
        *parents, name = field.name.split("/")
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[name] = _feature(field, spec)
    return tfds.features.FeaturesDict(nested)


def _feature(field: Field, spec: Spec) -> tfds.features.FeatureConnector:
    fewest, most = spec.objects.count
    sizes: dict[str | int, int | None] = {
        "V": spec.views,
        "H": spec.resolution[0],
        "W": spec.resolution[1],
        "N": most if fewest == most else None,
        "T": spec.dynamics.steps,
        **dict.fromkeys("FKJPB"),
    }
    shape: tuple[Any, ...] = tuple(sizes.get(axis, axis) for axis in field.shape)
    inner: tfds.features.FeatureConnector
    match field.encoding:
        case "image" if shape[-1] == 3:
            inner = ColorImage(shape=shape[1:])
        case "image":
            inner = tfds.features.Image(shape=shape[1:], encoding_format="png")
        case "depth":
            inner = DepthImage(shape=shape[1:])
        case "packed":
            return PackedNumbers(shape=shape, dtype=field.dtype, doc=field.meaning)
        case "text":
            inner = tfds.features.Text()
        case "values":
            return tfds.features.Tensor(
                shape=shape, dtype=np.dtype(field.dtype), doc=field.meaning
            )
    if not shape:
        return tfds.features.Text(doc=field.meaning)
    return tfds.features.Sequence(inner, length=shape[0], doc=field.meaning)
