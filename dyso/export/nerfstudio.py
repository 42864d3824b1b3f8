"""nerfstudio: one capture per dynamics step, or one for a monocular video.

    step_000/transforms.json          the step, with depth and with the objects as masks
    step_000/transforms_scene.json    the same without masks
    step_000/points.ply               points on objects that the training cameras see
    step_000/points_scene.ply         all points that the training cameras see
    step_000/images/cam_000.png
    step_000/depths/cam_000.png       16 bit, millimetres along the optical axis
    step_000/masks/cam_000.png        255 where an object is seen

Poses follow nerfstudio's data conventions: camera to world, OpenGL's camera axes, z up
in the world. The points are in the same world. nerfstudio trains only on pixels inside
the masks: `--data step_000` reconstructs the objects,
`--data step_000/transforms_scene.json` the whole scene. A depth of 0 means unknown and
is ignored by nerfstudio's depth losses. The test cameras are the held-out ones, or the
last camera if the spec names none.

A video of one moving camera becomes one capture, without the folder `step_000`, with
the images `step_000.png`, `step_001.png` ... nerfstudio assumes a static scene, so the
masks of a video hide the objects, and the points lie on the background. Every eighth
frame is a test image, as in nerfstudio's `interval` mode.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from dyso.export.cameras import (
    by_step,
    opengl_pose,
    require_several_poses,
    z_depth,
)
from dyso.export.images import png
from dyso.export.points import Cloud, view_cloud, write_ply
from dyso.reading import Split
from dyso.spec import Spec

ABOUT = "transforms.json, images, depth, masks, points of each step or of a video"

MILLIMETRES = 1000
FARTHEST = 65535
"""The largest depth in 16 bits, in millimetres; larger ones are stored as unknown."""
POINTS = 50_000
"""The most points in a cloud, about as many as COLMAP finds in a capture."""
EVERY = 8
"""Interval of the test frames of a video."""


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: the scene is seen from one place only.
    """
    require_several_poses(spec, "nerfstudio")


def write(split: Split, index: int, folder: Path) -> None:
    """Writes one scene; see `dyso.export.formats`."""
    spec = split.spec
    if spec.cameras.paired:
        test = range(0, spec.dynamics.steps, EVERY)
        video = _Capture(folder, spec, test)
        for step, record in enumerate(by_step(split, index, first=True)):
            video.add(record, 0, f"step_{step:03}.png")
        video.finish()
        return
    for step, record in enumerate(by_step(split, index)):
        capture = _Capture(folder / f"step_{step:03}", spec, spec.cameras.testing)
        for camera in range(spec.cameras.count):
            capture.add(record, camera, f"cam_{camera:03}.png")
        capture.finish()


class _Capture:
    """A folder in nerfstudio's format, written image by image."""

    def __init__(self, folder: Path, spec: Spec, test: Collection[int]):
        """Creates the folder.

        Args:
          folder: the folder to write.
          spec: the dataset's spec.
          test: the numbers of the test images.
        """
        self._folder, self._spec, self._test = folder, spec, test
        self._frames: list[dict[str, Any]] = []
        self._points: list[Cloud] = []
        self._scene_points: list[Cloud] = []
        self._most = max(1, POINTS // (spec.cameras.count - len(test)))
        for kind in ("images", "depths", "masks"):
            (folder / kind).mkdir(parents=True)

    def add(self, record: dict[str, Any], view: int, name: str) -> None:
        """Writes the images of one view under the same file name."""
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
        """Writes the points and the two JSON files."""
        names = [frame["file_path"] for frame in self._frames]
        test = [name for i, name in enumerate(names) if i in self._test]
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
        unmasked = [
            {key: value for key, value in frame.items() if key != "mask_path"}
            for frame in self._frames
        ]
        self._write_json("transforms_scene.json", {**meta, "frames": unmasked})

    def _write_json(self, name: str, meta: dict[str, Any]) -> None:
        (self._folder / name).write_text(json.dumps(meta, indent=1) + "\n")
