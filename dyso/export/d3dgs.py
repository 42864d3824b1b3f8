"""Dynamic 3D Gaussians: a sequence for its `train.py`.

    train_meta.json, test_meta.json   w, h; k, w2c, fn and cam_id by [step][camera]
    ims/<camera>/<step>.png
    seg/<camera>/<step>.png           1 where an object is seen, 0 elsewhere
    init_pt_cld.npz                   `data` [P, 7]: x, y, z, r, g, b, 1 on objects

Its world has y down and the floor at y = 0, which one of its losses relies on. Camera
axes are OpenCV's. The point cloud comes from the depth of the training cameras at step
0. The test cameras are the held-out ones, or the last camera if the spec names none.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from dyso import geometry
from dyso.export.cameras import (
    by_step,
    require_several_cameras,
    square,
)
from dyso.export.images import png
from dyso.reading import Split
from dyso.spec import Spec, UserError

ABOUT = "Dynamic 3D Gaussians: train_meta.json, ims/, seg/, init_pt_cld.npz"

MAX_CAMERAS = 50
"""The most training cameras that its `train.py` supports."""
POINTS = 100_000
"""The most points in the cloud, evenly chosen from all pixels."""

TO_WORLD = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
"""Rotates z up to y down: (x, y, z) becomes (x, -z, y)."""


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: one camera or too many see each dynamics step, there is only one step,
        or the background is at infinity and has no points.
    """
    require_several_cameras(spec, "d3dgs")
    if spec.dynamics.steps < 2:
        raise UserError(
            "d3dgs: trains on a sequence, but dynamics.steps is 1; use 2 or more"
        )
    if spec.backgrounds.backdrop == "environment":
        raise UserError(
            "d3dgs: its losses need points of the background, but with "
            "backgrounds.backdrop: environment the background is at infinity; use "
            "backdrop: dome"
        )
    training = spec.cameras.testing.start
    if training > MAX_CAMERAS:
        raise UserError(
            f"d3dgs: supports at most {MAX_CAMERAS} training cameras, but "
            f"cameras.count leaves {training}"
        )


def write(split: Split, index: int, folder: Path) -> None:
    """Writes one scene; see `dyso.export.formats`."""
    height, width = split.spec.resolution
    test = split.spec.cameras.testing
    cameras = {"train": range(test.start), "test": test}
    metas: dict[str, dict[str, Any]] = {
        name: {"w": width, "h": height, "k": [], "w2c": [], "fn": [], "cam_id": []}
        for name in cameras
    }
    for camera in range(split.spec.cameras.count):
        for kind in ("ims", "seg"):
            (folder / kind / str(camera)).mkdir(parents=True)
    for step, record in enumerate(by_step(split, index)):
        for camera, color in enumerate(record["color"]):
            objects = (record["instance"][camera] > 0).astype(np.uint8)
            name = f"{camera}/{step:06}.png"
            (folder / "ims" / name).write_bytes(png(color))
            (folder / "seg" / name).write_bytes(png(objects))
        for name, part in cameras.items():
            meta = metas[name]
            meta["k"].append(record["intrinsics"][part].tolist())
            poses = record["extrinsics"].astype(np.float64)
            poses[..., :3] = poses[..., :3] @ TO_WORLD.T
            meta["w2c"].append([square(poses[camera]).tolist() for camera in part])
            meta["fn"].append([f"{camera}/{step:06}.png" for camera in part])
            meta["cam_id"].append(list(part))
        if step == 0:
            cloud = _cloud(record, cameras["train"])
            np.savez_compressed(folder / "init_pt_cld.npz", data=cloud)
    for name, meta in metas.items():
        (folder / f"{name}_meta.json").write_text(json.dumps(meta) + "\n")


def _cloud(record: dict[str, Any], cameras: range) -> Float32[np.ndarray, "P 7"]:
    parts = []
    stride = -(-record["depth"][cameras].size // POINTS)
    for camera in cameras:
        depth = record["depth"][camera, ..., 0].astype(np.float64)
        points = geometry.unproject(
            depth,
            record["intrinsics"][camera].astype(np.float64),
            record["extrinsics"][camera].astype(np.float64),
        )
        part = np.concatenate(
            [
                points @ TO_WORLD.T,
                record["color"][camera] / 255,
                record["instance"][camera] > 0,
            ],
            axis=-1,
        ).reshape(-1, 7)
        chosen = np.arange(len(part)) % stride == 0
        parts.append(part[chosen & np.isfinite(depth).ravel()])
    return np.concatenate(parts).astype(np.float32)
