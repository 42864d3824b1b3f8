"""Optical flow and scene flow between consecutive steps of each camera.

    clean/cam_000/frame_0001.png
    flow/cam_000/frame_0001.flo           from frame 1 to frame 2, Middlebury's .flo
    occlusions/cam_000/frame_0001.png     255 where frame 2 does not show the point
    motion/cam_000/frame_0001.png         255 where the point is elsewhere in frame 2
    flow_occ/cam_000/frame_0001.png       KITTI's 16-bit PNG, hidden points are valid
    flow_noc/cam_000/frame_0001.png       the same, only visible points are valid
    scene_flow/cam_000/frame_0001.npz
    flow_backward/cam_000/frame_0002.flo  from frame 2 to frame 1; and so on

The layout is that of MPI Sintel, whose readers take the folder of a scene for a split
and its cameras for sequences. Frame 1 is dynamics step 0. The folders with `_backward`
hold the flow of each frame to the previous one, under the frame's own name. In a video,
camera 0 moves and the others are those held out.

Flow is (x, y) in pixels, from the pixel's centre. Where the point is behind the camera
of the other frame, .flo has `UNKNOWN` and KITTI's PNG is invalid. KITTI's PNG has steps
of 1 / 64 pixel and reaches 512 pixels; longer flow is invalid.

`scene_flow` holds, in metres and in the world: `points` [H, W, 3] which the pixels
show, `flow` [H, W, 3], the points' motion, and bool [H, W] `valid`, false at infinite
depth, and `visible`, in the other frame; and `intrinsics` [3, 3] and `extrinsics`
[2, 3, 4] of the frame and of the other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64

from dyso import geometry
from dyso.export.cameras import by_step
from dyso.export.images import png, rgb16_png
from dyso.reading import MOTION_FIELDS, Split, view_of, views_of
from dyso.reading.motion import MOVED
from dyso.spec import Spec, UserError

ABOUT = "optical flow (.flo, KITTI), occlusion and motion masks, scene flow, both ways"

TAG = 202021.25
"""The number that begins a .flo file."""
UNKNOWN = 1e10
"""Middlebury's value for unknown flow."""
KITTI_STEPS = 64
"""Steps of a pixel in KITTI's PNG."""
KITTI_ZERO = 1 << 15


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: there is only one dynamics step.
    """
    if spec.dynamics.steps < 2:
        raise UserError(
            "flow: is between dynamics steps, but dynamics.steps is 1; use 2 or more"
        )


def write(split: Split, index: int, folder: Path) -> None:
    """Writes one scene; see `dyso.export.formats`."""
    before: geometry.View | None = None
    for step, record in enumerate(by_step(split, index, (*MOTION_FIELDS, "color"))):
        views = views_of(record, steps=[step] * len(record["depth"]))
        for camera, color in enumerate(record["color"]):
            place = Path(f"cam_{camera:03}")
            image = png(color)
            _path(folder, "clean", place / f"frame_{step + 1:04}.png").write_bytes(
                image
            )
            if before is not None:
                earlier, view = view_of(before, camera), view_of(views, camera)
                _write(folder, "", place / f"frame_{step:04}", earlier, view)
                name = place / f"frame_{step + 1:04}"
                _write(folder, "_backward", name, view, earlier)
        before = views


def _write(
    folder: Path, way: str, name: Path, view: geometry.View, other: geometry.View
) -> None:
    flow = geometry.flow(view, other)
    front = flow.in_frame | (flow.optical != 0).any(-1)
    unknown = np.where(front[..., None], flow.optical, UNKNOWN)
    moves = np.linalg.norm(flow.scene, axis=-1, keepdims=True) > MOVED
    occluded = (~flow.visible[..., None]).astype(np.uint8) * 255
    _path(folder, f"flow{way}", name, ".flo").write_bytes(flo(unknown))
    _path(folder, f"occlusions{way}", name, ".png").write_bytes(png(occluded))
    image = png(moves.astype(np.uint8) * 255)
    _path(folder, f"motion{way}", name, ".png").write_bytes(image)
    for kind, valid in (("occ", front), ("noc", flow.visible)):
        image = kitti_png(flow.optical, valid)
        _path(folder, f"flow_{kind}{way}", name, ".png").write_bytes(image)
    valid = np.isfinite(view.depth)
    points = geometry.unproject(
        np.where(valid, view.depth, 0), view.intrinsics, view.extrinsics
    )
    np.savez_compressed(
        _path(folder, f"scene_flow{way}", name, ".npz"),
        points=np.where(valid[..., None], points, 0).astype(np.float32),
        flow=np.where(valid[..., None], flow.scene, 0).astype(np.float32),
        valid=valid,
        visible=flow.visible & valid,
        intrinsics=view.intrinsics.astype(np.float32),
        extrinsics=np.stack([view.extrinsics, other.extrinsics]).astype(np.float32),
    )


def flo(flow: Float64[np.ndarray, "H W 2"]) -> bytes:
    """Returns flow as a file of Middlebury's format."""
    height, width = flow.shape[:2]
    size = np.array([width, height], "<i4").tobytes()
    return np.float32(TAG).tobytes() + size + flow.astype("<f4").tobytes()


def kitti_png(
    flow: Float64[np.ndarray, "H W 2"], valid: Bool[np.ndarray, "H W"]
) -> bytes:
    """Returns flow as a PNG of KITTI's format; what it cannot hold is invalid."""
    code = np.rint(flow * KITTI_STEPS) + KITTI_ZERO
    valid = valid & ((code >= 0) & (code < 1 << 16)).all(-1)
    image = np.concatenate([code, np.ones((*valid.shape, 1))], axis=-1)
    return rgb16_png(np.where(valid[..., None], image, 0).astype(np.uint16))


def _path(folder: Path, kind: str, name: Path, suffix: str = "") -> Path:
    """Returns the path of a file, whose folder it makes."""
    path = folder / kind / f"{name}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
