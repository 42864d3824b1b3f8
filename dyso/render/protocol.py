"""What `python -m dyso.worker` and its client exchange.

The worker's first line on standard output is `{"ok": true, "timings": {"start": ...}}`
once it is ready. A request is a line of JSON on standard input, `{"scene": {...},
"output": "views.npz"}`. While the worker renders, it prints a line `{"views": ...}`
each second with the number of finished views. Once the file is written, it answers
`{"ok": true, "timings": {...}, "versions": {...}}`. If the request fails, it answers
`{"ok": false, "reason": ..., "message": ..., "asset": ...}`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dyso.render.views import MAX_BONE_NAME, OPTIONAL
from dyso.sampling.scene import Scene

SCENE_REASONS = ("asset", "unseen")
"""Reasons caused by the scene, the same on every machine."""
UNCERTAIN_REASONS = ("crash", "error", "memory", "timeout")
"""Reasons caused by the scene or by the machine; only repetition can tell."""
FINAL_REASONS = ("device", "manifest", "storage")
"""Reasons for which this machine cannot render any scene."""
REASONS = (*SCENE_REASONS, *UNCERTAIN_REASONS, "machine", *FINAL_REASONS)


class RenderError(Exception):
    """A scene could not be rendered.

    Attributes:
      reason: one word for counting. Caused by the scene: `asset` or `unseen` (physics
        moves the objects out of sight). Caused by the scene or the machine: `crash`,
        `error` (a Python exception), `memory` (above the limit) or `timeout`. Caused by
        the machine: `machine`, for example a full disk, a killed worker or a busy CPU.
        No scene can be rendered after `device` (the machine has no such device),
        `manifest` (it cannot be read) and `storage` (assets cannot be fetched).
      kind: distinguishes failures of the same reason, for example by exit status.
      asset: the id of the asset that caused the failure, or empty.
      stderr: the end of the worker's standard error.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        kind: str = "",
        asset: str = "",
        stderr: str = "",
    ):
        super().__init__(message)
        self.reason, self.kind = reason, kind
        self.asset, self.stderr = asset, stderr

    @property
    def final(self) -> bool:
        """Whether no scene can be rendered on this machine."""
        # If scenes were sampled again during an outage, the data would depend on it.
        return self.reason in FINAL_REASONS


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to a request that succeeded; see `Views` for the attributes."""

    timings: dict[str, float]
    versions: dict[str, str] = field(default_factory=dict)


def request_line(scene: Scene, output: Path) -> bytes:
    """Returns the request to render a scene and to write its views to a file."""
    return (
        f'{{"scene":{scene.to_json()},"output":{json.dumps(str(output))}}}\n'.encode()
    )


def failure(reason: str, message: str, asset: str = "") -> dict[str, Any]:
    """Returns the answer to a request that failed; see `RenderError`."""
    return {"ok": False, "reason": reason, "message": message, "asset": asset}


def parse_line(line: bytes) -> Answer | int | RenderError:
    """Parses a line of the worker: an answer, or the number of finished views.

    Raises:
      ValueError: the line is none of these.
    """
    try:
        values = json.loads(line)
        if "views" in values:
            return int(values["views"])
        if values["ok"]:
            timings, versions = values["timings"], values.get("versions", {})
            return Answer(
                timings={str(key): float(timings[key]) for key in timings},
                versions={str(key): str(versions[key]) for key in versions},
            )
        reason, message = str(values["reason"]), str(values["message"])
        if reason not in REASONS:
            raise ValueError(reason)
        # The text after the exception's name may contain names of temporary files.
        kind = message.partition(":")[0] if reason == "error" else ""
        return RenderError(reason, message, kind=kind, asset=str(values["asset"]))
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        raise ValueError(line[:80]) from None


def read_arrays(path: Path, scene: Scene) -> dict[str, Any]:
    """Reads the arrays of a scene's views.

    Raises:
      Exception: the file is not an archive of these arrays. NumPy may raise anything.
    """
    # If `np.load` opens the file itself, it stays open if it is not an archive.
    with path.open("rb") as file, np.load(file) as loaded:
        arrays: dict[str, Any] = dict(loaded)
    poses = (len(scene.objects), scene.steps)
    pixels = (*scene.layout.shape, *scene.resolution)
    expected: dict[str, tuple[tuple[int, ...], Any]] = {
        "color": ((*pixels, 3), np.uint8),
        "depth": (pixels, np.float32),
        "instance": (pixels, np.uint8),
        "category": (pixels, np.uint8),
        "positions": ((*poses, 3), np.float64),
        "quaternions": ((*poses, 4), np.float64),
        "sizes": ((len(scene.objects), 3), np.float64),
    }
    for name in {"normal", "object_coordinates"} & {*scene.render.layers}:
        expected[name] = ((*pixels, 3), np.float32)
    if "surface" in scene.render.layers:
        faces, vertices = (len(arrays[name]) for name in ("mesh_faces", "mesh_rest"))
        expected |= {
            "surface": (pixels, np.int32),
            "mesh_faces": ((faces, 3), np.int32),
            "mesh_instance": ((vertices,), np.uint8),
            "mesh_rest": ((vertices, 3), np.float32),
            "mesh_vertices": ((scene.steps, vertices, 3), np.float32),
        }
        if scene.articulated:
            expected["mesh_part"] = ((faces,), np.uint8)
    if scene.skeletal:
        bones = len(arrays["bone_name"])
        expected |= {
            "bone_instance": ((bones,), np.uint8),
            "bone_name": ((bones,), np.dtype(f"<U{MAX_BONE_NAME}")),
            "bone_parent": ((bones,), np.int32),
            "bone_joint": ((bones, 3), np.float32),
            "bone_poses": ((bones, scene.steps, 3, 4), np.float32),
        }
    actual = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    if actual != expected:
        raise ValueError(f"arrays {actual}")
    return dict.fromkeys(OPTIONAL) | arrays
