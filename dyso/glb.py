"""Writes binary glTF 2.0 files: a world of nodes, and one animation."""

from __future__ import annotations

import json
import struct
from typing import Any, Literal

import numpy as np

_UPRIGHT = [-(0.5**0.5), 0.0, 0.0, 0.5**0.5]  # from z up to y up
_FLOAT, _UINT = 5126, 5125
_WIDTHS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
_CLAMP = 33071
_UNLIT = "KHR_materials_unlit"


class Glb:
    """A file as it is written; `tree` is its JSON, whose empty lists are left out.

    The nodes are those of a world whose z points up.
    """

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "DySO"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"name": "world", "rotation": _UPRIGHT, "children": []}],
            "meshes": [],
            "cameras": [],
            "materials": [],
            "animations": [{"name": "scene", "samplers": [], "channels": []}],
            "accessors": [],
            "bufferViews": [],
        }
        self._data = bytearray()

    def _view(self, data: bytes) -> int:
        """Adds bytes, and returns the number of their view."""
        self.tree["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(self._data), "byteLength": len(data)}
        )
        self._data += data + b"\0" * (-len(data) % 4)
        return len(self.tree["bufferViews"]) - 1

    def numbers(self, values: np.ndarray, *, bounds: bool = False) -> int:
        """Adds an accessor of numbers [n, width] or [n], and returns its number."""
        kind = _UINT if values.dtype.kind in "iu" else _FLOAT
        values = np.ascontiguousarray(values, "<u4" if kind == _UINT else "<f4")
        accessor: dict[str, Any] = {
            "bufferView": self._view(values.tobytes()),
            "componentType": kind,
            "count": len(values),
            "type": _WIDTHS[1 if values.ndim == 1 else values.shape[1]],
        }
        if bounds:
            two = values.reshape(len(values), -1)
            accessor |= {"min": two.min(0).tolist(), "max": two.max(0).tolist()}
        self.tree["accessors"].append(accessor)
        return len(self.tree["accessors"]) - 1

    def unlit(self, png: bytes) -> int:
        """Adds a material that has the colours of a picture, and returns its number."""
        picture = {"bufferView": self._view(png), "mimeType": "image/png"}
        self.tree.setdefault("images", []).append(picture)
        self.tree["samplers"] = [{"wrapS": _CLAMP, "wrapT": _CLAMP}]
        textures = self.tree.setdefault("textures", [])
        textures.append({"source": len(textures), "sampler": 0})
        self.tree["extensionsUsed"] = [_UNLIT]
        self.tree["materials"].append(
            {
                "doubleSided": True,
                "pbrMetallicRoughness": {
                    "baseColorTexture": {"index": len(textures) - 1},
                    "metallicFactor": 0.0,
                },
                "extensions": {_UNLIT: {}},
            }
        )
        return len(self.tree["materials"]) - 1

    def node(self, **described: Any) -> int:
        """Adds a node to the world, and returns its number."""
        number = len(self.tree["nodes"])
        self.tree["nodes"].append(described)
        self.tree["nodes"][0]["children"].append(number)
        return number

    def moves(
        self,
        node: int,
        path: str,
        times: int,
        values: np.ndarray,
        interpolation: Literal["LINEAR", "STEP"] = "LINEAR",
    ) -> None:
        """Adds a channel of the animation.

        Args:
          node: that changes.
          path: what changes of it.
          times: the accessor of the seconds.
          values: at these times.
          interpolation: between them; with `STEP`, each holds until the next.
        """
        [animation] = self.tree["animations"]
        sampler: dict[str, Any] = {"input": times, "output": self.numbers(values)}
        if interpolation != "LINEAR":
            sampler["interpolation"] = interpolation
        animation["samplers"].append(sampler)
        animation["channels"].append(
            {
                "sampler": len(animation["samplers"]) - 1,
                "target": {"node": node, "path": path},
            }
        )

    def written(self) -> bytes:
        """Returns the file."""
        tree = {name: value for name, value in self.tree.items() if value != []}
        if not self.tree["animations"][0]["channels"]:
            del tree["animations"]
        tree["buffers"] = [{"byteLength": len(self._data)}]
        text = json.dumps(tree).encode()
        text += b" " * (-len(text) % 4)
        data = bytes(self._data)
        length = 12 + 8 + len(text) + 8 + len(data)
        return b"".join(
            (
                struct.pack("<4sII", b"glTF", 2, length),
                struct.pack("<I4s", len(text), b"JSON"),
                text,
                struct.pack("<I4s", len(data), b"BIN\0"),
                data,
            )
        )
