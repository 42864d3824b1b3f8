"""nerfstudio: a capture for each dynamics step, or one for a monocular video.

    step_000/transforms.json          the step, with depth and with the objects as masks
    step_000/transforms_scene.json    the same without masks
    step_000/points.ply               what the training cameras see of the objects
    step_000/points_scene.ply         what they see of everything
    step_000/images/cam_000.png
    step_000/depths/cam_000.png       16 bit, millimetres along the optical axis
    step_000/masks/cam_000.png        255 where an object is seen

As nerfstudio's documentation of its data conventions has it: OpenGL's camera axes,
z up in the world, camera to world; the points are in that world too. It trains on
nothing but what a mask shows; so `--data step_000` reconstructs the objects,
`--data step_000/transforms_scene.json` all. Depth 0 is unknown, which nerfstudio's
depth losses leave out. Held-out cameras are the test; without any, the last camera is.

The video of one moving camera is one capture, without the folder `step_000`, whose
images are `step_000.png`, `step_001.png` ... nerfstudio takes scenes to be static, so
here the masks hide the objects, and the points are of what stays. Every eighth frame
is the test, as in nerfstudio's own `interval` mode.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from dyso.export.cameras import (
    by_step,
    held_out,
    opengl_pose,
    require_several_poses,
    z_depth,
)
from dyso.export.images import png
from dyso.export.points import Cloud, view_cloud, write_ply
from dyso.reading import Split
from dyso.spec import Spec

ABOUT = "transforms.json, images, depth, masks and points of a step or of a video"

MILLIMETRES = 1000
FARTHEST = 65535
"""Millimetres; what is farther has no place in 16 bits and is stored as unknown."""
POINTS = 50_000
"""At most in a point cloud, about as many as COLMAP finds in a capture."""
EVERY = 8
"""Which frames of a video are the test."""


def check(spec: Spec) -> None:
    """Refuses what `dyso.export.formats` says.

    Raises:
      UserError: one camera sees the scene from one place.
    """
    require_several_poses(spec, "nerfstudio")


def write(split: Split, index: int, folder: Path) -> None:
    """Writes one scene; see `dyso.export.formats`."""
    spec = split.spec
    if spec.cameras.paired:
        test = range(0, spec.dynamics.steps, EVERY)
        video = _Capture(folder, spec, test)
        for step, record in enumerate(by_step(split, index)):
            video.add(record, 0, f"step_{step:03}.png")
        video.finish()
        return
    for step, record in enumerate(by_step(split, index)):
        own = folder / f"step_{step:03}"
        capture = _Capture(own, spec, held_out(spec))
        for camera in range(spec.cameras.count):
            capture.add(record, camera, f"cam_{camera:03}.png")
        capture.finish()


class _Capture:
    """One folder that nerfstudio reads, written image by image."""

    def __init__(self, folder: Path, spec: Spec, test: Collection[int]):
        """Takes the folder to write, and which of its images are the test."""
        self._folder, self._spec, self._test = folder, spec, test
        self._frames: list[dict[str, Any]] = []
        self._points: list[Cloud] = []
        self._scene_points: list[Cloud] = []
        self._most = max(1, POINTS // (spec.cameras.count - len(test)))
        for kind in ("images", "depths", "masks"):
            (folder / kind).mkdir(parents=True)

    def add(self, record: dict[str, Any], view: int, name: str) -> None:
        """Writes the images of one view under one name."""
        intrinsics = record["intrinsics"][view]
        z = z_depth(record["depth"][view, ..., 0], intrinsics) * MILLIMETRES
        known = z <= FARTHEST
        depth = np.where(known, np.rint(np.where(known, z, 0)), 0).astype(np.uint16)
        objects = record["instance"][view, ..., 0] > 0
        mask = ~objects if self._spec.cameras.paired else objects
        images = {
            "images": record["color"][view],
            "depths": depth[..., None],
            "masks": mask[..., None].astype(np.uint8) * 255,
        }
        for kind, image in images.items():
            (self._folder / kind / name).write_bytes(png(image))
        if len(self._frames) not in self._test:
            all_pixels = np.ones_like(mask)
            self._points.append(view_cloud(record, view, mask, self._most))
            self._scene_points.append(view_cloud(record, view, all_pixels, self._most))
        self._frames.append(
            {
                "file_path": f"images/{name}",
                "depth_file_path": f"depths/{name}",
                "mask_path": f"masks/{name}",
                "fl_x": float(intrinsics[0, 0]),
                "fl_y": float(intrinsics[1, 1]),
                "cx": float(intrinsics[0, 2]),
                "cy": float(intrinsics[1, 2]),
                "transform_matrix": opengl_pose(record["extrinsics"][view]).tolist(),
            }
        )

    def finish(self) -> None:
        """Writes the points, and the two files that name all the others."""
        names = [frame["file_path"] for frame in self._frames]
        test = [name for place, name in enumerate(names) if place in self._test]
        height, width = self._spec.resolution
        meta: dict[str, Any] = {
            "camera_model": "OPENCV",
            "w": width,
            "h": height,
            "train_filenames": [name for name in names if name not in test],
            "val_filenames": test,
            "test_filenames": test,
            "ply_file_path": "points.ply",
            "frames": self._frames,
        }
        write_ply(self._folder / "points.ply", self._points)
        self._write_json("transforms.json", meta)
        if not self._spec.cameras.paired:
            meta["ply_file_path"] = "points_scene.ply"
            write_ply(self._folder / "points_scene.ply", self._scene_points)
        whole = [
            {key: value for key, value in frame.items() if key != "mask_path"}
            for frame in self._frames
        ]
        self._write_json("transforms_scene.json", {**meta, "frames": whole})

    def _write_json(self, name: str, meta: dict[str, Any]) -> None:
        (self._folder / name).write_text(json.dumps(meta, indent=1) + "\n")
