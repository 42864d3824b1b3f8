"""nerfstudio: a folder with `transforms.json` for each dynamics step.

    step_000/transforms.json          the step, with depth and with the objects as masks
    step_000/transforms_scene.json    the same without masks
    step_000/images/cam_000.png
    step_000/depths/cam_000.png       16 bit, millimetres along the optical axis
    step_000/masks/cam_000.png        255 where an object is seen

As nerfstudio's documentation of its data conventions has it: OpenGL's camera axes,
z up in the world, camera to world. It trains on nothing but what a mask shows; so
`--data step_000` reconstructs the objects, `--data step_000/transforms_scene.json` all.
Depth 0 is unknown, which nerfstudio's depth losses leave out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from dyso.export.cameras import by_step, opengl_pose, require_several_cameras, z_depth
from dyso.export.images import png
from dyso.reading import Split
from dyso.spec import Spec

ABOUT = "a folder with transforms.json for each dynamics step, with depth and masks"

MILLIMETRES = 1000
FARTHEST = 65535
"""Millimetres; what is farther has no place in 16 bits and is stored as unknown."""


def check(spec: Spec) -> None:
    """Refuses what `dyso.export.formats` says.

    Raises:
      UserError: a dynamics step is seen by one camera alone.
    """
    require_several_cameras(spec, "nerfstudio")


def write(split: Split, index: int, folder: Path) -> None:
    """Writes one scene; see `dyso.export.formats`."""
    held_out = split.spec.cameras.held_out
    for step, record in enumerate(by_step(split, index)):
        _write_step(record, held_out, folder / f"step_{step:03}")


def _write_step(record: dict[str, Any], held_out: int, folder: Path) -> None:
    for kind in ("images", "depths", "masks"):
        (folder / kind).mkdir(parents=True)
    height, width = record["color"].shape[1:3]
    frames = []
    for camera, color in enumerate(record["color"]):
        intrinsics = record["intrinsics"][camera]
        z = z_depth(record["depth"][camera, ..., 0], intrinsics) * MILLIMETRES
        known = z <= FARTHEST
        depth = np.where(known, np.rint(np.where(known, z, 0)), 0).astype(np.uint16)
        mask = (record["instance"][camera] > 0).astype(np.uint8) * 255
        name = f"cam_{camera:03}.png"
        (folder / "images" / name).write_bytes(png(color))
        (folder / "depths" / name).write_bytes(png(depth[..., None]))
        (folder / "masks" / name).write_bytes(png(mask))
        frames.append(
            {
                "file_path": f"images/{name}",
                "depth_file_path": f"depths/{name}",
                "mask_path": f"masks/{name}",
                "fl_x": float(intrinsics[0, 0]),
                "fl_y": float(intrinsics[1, 1]),
                "cx": float(intrinsics[0, 2]),
                "cy": float(intrinsics[1, 2]),
                "transform_matrix": opengl_pose(record["extrinsics"][camera]).tolist(),
            }
        )
    meta: dict[str, Any] = {
        "camera_model": "OPENCV",
        "w": width,
        "h": height,
        "frames": frames,
    }
    if held_out:
        names = [frame["file_path"] for frame in frames]
        meta["train_filenames"] = names[:-held_out]
        meta["val_filenames"] = meta["test_filenames"] = names[-held_out:]
    whole = [{k: v for k, v in f.items() if k != "mask_path"} for f in frames]
    for name, own in (("transforms", frames), ("transforms_scene", whole)):
        text = json.dumps({**meta, "frames": own}, indent=1)
        (folder / f"{name}.json").write_text(text + "\n")
