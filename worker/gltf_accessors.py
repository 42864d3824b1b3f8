"""Reads the numbers of a glTF: accessors, also sparse and normalized ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from .untrusted_gltf import Gltf

_TYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_COMPRESSED = "EXT_meshopt_compression", "KHR_meshopt_compression"


def entry(document: dict[str, Any], kind: str, number: Any) -> dict[str, Any]:
    """Returns an entry of one of a glTF's lists, such as `nodes`.

    Raises:
      ValueError: there is no such entry.
    """
    entries = document.get(kind, ())
    if type(number) is not int or not 0 <= number < len(entries):
        raise ValueError(f"it has {len(entries)} {kind}, but refers to {number!r:.20}")
    found = entries[number]
    if not isinstance(found, dict):
        raise ValueError(f"its {kind} are not tables")
    return found


class Accessors:
    """The accessors of a glTF, whose counts `read_gltf` has checked."""

    def __init__(self, gltf: Gltf):
        """Takes the glTF; its buffers are read when they are needed, once."""
        self._gltf = gltf
        self._buffers: dict[int, bytes] = {}

    def read(self, number: Any, kind: str) -> np.ndarray:
        """Returns the numbers [count, width] of an accessor.

        Args:
          number: of the accessor.
          kind: its type: `SCALAR`, `VEC3`, `VEC4` or `MAT4`.

        Returns:
          float32 for floating point and normalized integers, else integers.

        Raises:
          ValueError: it is of another type, compressed, or beyond its buffer. Python's
            other errors for values of wrong types may be raised too.
        """
        document = self._gltf.document
        accessor = entry(document, "accessors", number)
        if accessor["type"] != kind:
            raise ValueError(f"accessor {number} is not {kind}")
        width, count = _WIDTHS[kind], accessor["count"]
        dtype = np.dtype(_TYPES[accessor["componentType"]])
        if "bufferView" in accessor:
            values = self._view(accessor, dtype, count, width)
        else:
            values = np.zeros((count, width), dtype)
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            chosen, few = sparse["indices"], sparse["count"]
            if not 0 <= few <= count:
                raise ValueError(f"accessor {number} has {few} of {count} values")
            of_type = np.dtype(_TYPES[chosen["componentType"]])
            places = self._view(chosen, of_type, few, 1)[:, 0]
            values = values.copy()
            values[places] = self._view(sparse["values"], dtype, few, width)
        if accessor.get("normalized") and dtype.kind in "iu":
            most = np.float32(np.iinfo(dtype).max)
            return np.maximum(values.astype(np.float32) / most, np.float32(-1))
        return values

    def _view(
        self, place: dict[str, Any], dtype: np.dtype, count: int, width: int
    ) -> np.ndarray:
        view = entry(self._gltf.document, "bufferViews", place["bufferView"])
        if any(name in view.get("extensions", {}) for name in _COMPRESSED):
            raise ValueError("its buffers are compressed")
        buffer = view["buffer"]
        if buffer not in self._buffers:
            entry(self._gltf.document, "buffers", buffer)
            self._buffers[buffer] = self._gltf.buffer(buffer)
        start = view.get("byteOffset", 0) + place.get("byteOffset", 0)
        size = dtype.itemsize
        stride = view.get("byteStride") or size * width
        strides = (stride, size)
        return np.ndarray((count, width), dtype, self._buffers[buffer], start, strides)
