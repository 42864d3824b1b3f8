"""D-NeRF, for D-NeRF, HexPlane, K-Planes and nerfstudio's `dnerf`.

    transforms_train.json, transforms_val.json, transforms_test.json
    images/r_000.png                  RGBA, alpha is 255 where an object is seen

The number in a file name is the view: dynamics step * cameras + camera. K-Planes parses
file names as `r_<number>` and accepts no others.

Poses are camera to world with Blender's camera axes, and `time` runs from 0 to 1. There
is one `camera_angle_x`. D-NeRF and nerfstudio compute one focal length from it and the
images' width, for both axes; HexPlane and K-Planes cannot read images that are not
square. All of these loaders assume a scene about as large as D-NeRF's:
near and far planes at 2 and 6, objects within about 1.3 of the origin. Therefore the
origin is moved to the middle of the objects' path, and the world is scaled so that the
mean distance of the cameras is `DISTANCE`. `world_scale` and `world_origin` undo this:

    X = X_dnerf / world_scale + world_origin      in metres

The test views are those of the held-out cameras, or of the last camera if the spec
names none. With a single camera, still or moving (`cameras.paired`), every eighth frame
is a test view. D-NeRF requires every split to start at time 0, so the first frame of a
video is in all splits. Validation and test views are the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from dyso.export.cameras import (
    by_step,
    opengl_pose,
    require_one_focal_length,
)
from dyso.export.images import png
from dyso.reading import Split
from dyso.spec import Spec, UserError

ABOUT = "D-NeRF, HexPlane, K-Planes: transforms_{train,val,test}.json, RGBA PNG"

DISTANCE = 4.0
"""Mean distance of the cameras from the origin in the exported world."""
EVERY = 8
"""Interval of the test frames of a video."""


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: there is only one dynamics step, or the cameras may differ in focal
        length.
    """
    if spec.dynamics.steps < 2:
        raise UserError(
            "dnerf: time runs from 0 to 1, but dynamics.steps is 1; use 2 or more"
        )
    require_one_focal_length(spec, "dnerf")


def notes(spec: Spec) -> list[str]:
    """Returns what users of the export must know; see `dyso.export.formats`."""
    several = not spec.cameras.paired and spec.cameras.count > 1
    instead = "export d3dgs for 4DGaussians" if several else "use another reader"
    height, width = spec.resolution
    square = [
        "HexPlane and K-Planes read square images alone: use D-NeRF (half_res = False) "
        f"or nerfstudio for {height} x {width}"
    ]
    return [
        "4DGaussians and Deformable-3D-Gaussians misread cameras that do not look at "
        f"the origin in this format: {instead}",
        *(square if height != width else []),
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
    train, test = _train_and_test_views(split.spec)
    for name, views in (("train", train), ("val", test), ("test", test)):
        part = {**meta, "frames": [frames[view] for view in views]}
        text = json.dumps(part, indent=1)
        (folder / f"transforms_{name}.json").write_text(text + "\n")


def _train_and_test_views(spec: Spec) -> tuple[list[int], list[int]]:
    """Returns the training views and the test views."""
    pairs = spec.layout.pairs
    video = spec.cameras.paired and not spec.cameras.held_out
    if video or spec.cameras.count == 1:
        test = [view for view, (step, _) in enumerate(pairs) if step % EVERY == 0]
        return [0, *(view for view in range(1, len(pairs)) if view not in test)], test
    cameras = spec.cameras.testing
    test = [view for view, (_, camera) in enumerate(pairs) if camera in cameras]
    return [view for view in range(len(pairs)) if view not in test], test


def _world(split: Split, index: int) -> tuple[float, np.ndarray]:
    """Returns the scale of D-NeRF's world and its origin in DySO's world [3]."""
    record = split.read(index, fields=("extrinsics", "objects/positions"))
    positions = record["objects/positions"].astype(np.float64).reshape(-1, 3)
    origin = (positions.min(0) + positions.max(0)) / 2
    centres = np.array([opengl_pose(pose)[:3, 3] for pose in record["extrinsics"]])
    distance = np.linalg.norm(centres - origin, axis=-1).mean()
    return DISTANCE / float(distance), origin
