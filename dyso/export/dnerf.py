"""D-NeRF, as its own loader, HexPlane's, K-Planes' and nerfstudio's `dnerf` read it.

    transforms_train.json, transforms_val.json, transforms_test.json
    images/r_000.png                  RGBA, alpha is 255 where an object is seen

The number is the view's: dynamics step * cameras + camera. K-Planes reads it as the
frame's, and takes no other names.

Blender's camera axes, camera to world, one `camera_angle_x`, `time` from 0 to 1. All of
these loaders suppose that the scene is about as large as D-NeRF's own: near and far
planes at 2 and 6, the objects within some 1.3 of the origin. So the world's origin goes
to the middle of the objects' path, and the mean distance of the cameras becomes
`DISTANCE`; `world_scale` and `world_origin` tell how to go back:

    X = X_dnerf / world_scale + world_origin      in metres

Held-out cameras are the test; without any, the last of several is. Of one camera, or
one that moves (`cameras.paired`), every eighth frame is. Every split begins at time 0,
as D-NeRF demands, so the first frame of a video is in all. Validation is the test.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from dyso.export.cameras import (
    by_step,
    held_out,
    opengl_pose,
    require_one_focal_length,
)
from dyso.export.images import png
from dyso.reading import Split
from dyso.spec import Spec, UserError

ABOUT = "D-NeRF, HexPlane, K-Planes: transforms_{train,val,test}.json, RGBA PNG"

DISTANCE = 4.0
EVERY = 8


def check(spec: Spec) -> None:
    """Refuses what `dyso.export.formats` says.

    Raises:
      UserError: images are not square, there is one dynamics step, or the cameras may
        differ in focal length.
    """
    height, width = spec.resolution
    if height != width:
        raise UserError(
            "dnerf: HexPlane reads square images alone, but resolution is "
            f"[{height}, {width}]"
        )
    if spec.dynamics.steps < 2:
        raise UserError(
            "dnerf: time runs from 0 to 1, but dynamics.steps is 1; it takes 2 or more"
        )
    require_one_focal_length(spec, "dnerf")


def notes(spec: Spec) -> list[str]:
    """Returns what users of the export must know; see `dyso.export.formats`."""
    several = not spec.cameras.paired and spec.cameras.count > 1
    instead = "export d3dgs for 4DGaussians" if several else "use another reader"
    return [
        "4DGaussians and Deformable-3D-Gaussians misread cameras that do not look at "
        f"the origin in this format: {instead}"
    ]


def write(split: Split, index: int, folder: Path) -> None:
    """Writes one scene; see `dyso.export.formats`."""
    layout = split.spec.layout
    (folder / "images").mkdir()
    scale, origin = _world(split, index)
    frames: list[dict[str, Any]] = []
    fields = ("color", "instance", "intrinsics", "extrinsics")
    for record in by_step(split, index, fields):
        for view, color in enumerate(record["color"]):
            step, _ = layout.pairs[len(frames)]
            seen = (record["instance"][view] > 0).astype(np.uint8) * 255
            name = f"r_{len(frames):03}"
            (folder / "images" / f"{name}.png").write_bytes(
                png(np.concatenate([color, seen], axis=-1))
            )
            pose = opengl_pose(record["extrinsics"][view])
            pose[:3, 3] = (pose[:3, 3] - origin) * scale
            frames.append(
                {
                    "file_path": f"./images/{name}",
                    "time": step / (layout.steps - 1),
                    "transform_matrix": pose.tolist(),
                }
            )
        focal_length = float(record["intrinsics"][0, 0, 0])
    meta = {
        "camera_angle_x": 2 * float(np.arctan(color.shape[1] / 2 / focal_length)),
        "world_scale": scale,
        "world_origin": origin.tolist(),
    }
    train, test = _divided(split.spec)
    for name, views in (("train", train), ("val", test), ("test", test)):
        own = {**meta, "frames": [frames[view] for view in views]}
        text = json.dumps(own, indent=1)
        (folder / f"transforms_{name}.json").write_text(text + "\n")


def _divided(spec: Spec) -> tuple[list[int], list[int]]:
    """Gives the views to train on and to test on."""
    pairs = spec.layout.pairs
    if spec.cameras.paired or spec.cameras.count == 1:
        test = [view for view, (step, _) in enumerate(pairs) if step % EVERY == 0]
        return [0, *(view for view in range(1, len(pairs)) if view not in test)], test
    cameras = held_out(spec)
    test = [view for view, (_, camera) in enumerate(pairs) if camera in cameras]
    return [view for view in range(len(pairs)) if view not in test], test


def _world(split: Split, index: int) -> tuple[float, np.ndarray]:
    """Gives the scale and the origin of D-NeRF's world in this one."""
    record = split.read(index, fields=("extrinsics", "objects/positions"))
    positions = record["objects/positions"].astype(np.float64).reshape(-1, 3)
    origin = (positions.min(0) + positions.max(0)) / 2
    centres = np.array([opengl_pose(own)[:3, 3] for own in record["extrinsics"]])
    distance = np.linalg.norm(centres - origin, axis=-1).mean()
    return DISTANCE / float(distance), origin
