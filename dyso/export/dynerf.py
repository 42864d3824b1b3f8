"""DyNeRF (Neural 3D Video), as HexPlane, K-Planes and 4DGaussians read it.

    poses_bounds.npy                  [C, 17], LLFF's convention
    cam00.mp4, cam01.mp4 ...          a video a camera, a frame a dynamics step
    points3D_downsample2.ply          where 4DGaussians starts from: what the training
                                      cameras see at step 0, from depth

All three test on `cam00` and train on the others. So `cam00` is the first held-out
camera, or the last one where the dataset names none, and the others follow in their
order; further held-out cameras are left out, since they would be trained on.

The loaders of HexPlane and 4DGaussians resize every frame to their own size, which is
4:3, with one focal length; they take the one in the file to be of frames `WIDTH` wide.
So pictures are cut to 4:3 about their centre, and `poses_bounds.npy` speaks of
`WIDTH` x `HEIGHT` pixels, as DyNeRF's own do, although the frames are smaller.
K-Planes takes both from the file.

The videos are H.264 without loss, in RGB (x264's `crf 0`, 4:4:4): FFmpeg, and with it
OpenCV and what else reads through it, decodes the exact pixels; browsers do not.
"""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from jaxtyping import UInt8

from dyso import records, terminal
from dyso.export.cameras import (
    by_step,
    held_out,
    llff_row,
    require_one_focal_length,
    require_several_cameras,
    z_depth,
)
from dyso.export.points import view_cloud, write_ply
from dyso.reading import Split
from dyso.spec import Spec, UserError

ABOUT = "DyNeRF, HexPlane, K-Planes, 4DGaussians: poses_bounds.npy and cam*.mp4"

WIDTH, HEIGHT = 2704, 2028
"""Pixels of DyNeRF's own frames; HexPlane and 4DGaussians have the width in code."""
STEPS = 300
"""At most: the loaders of all three have it in code."""
KPLANES_STEPS = 25
"""At least: K-Planes compares frames that are so many steps apart."""
POINTS = 40_000
"""At most; 4DGaussians thins its own clouds to as many."""
NEAR, FAR = 0.1, 99.9
"""Percentiles, as LLFF takes them."""
RATE = 30
"""Frames a second where the spec has none; no loader looks at it."""


def check(spec: Spec) -> None:
    """Refuses what `dyso.export.formats` says.

    Raises:
      UserError: a dynamics step is seen by one camera alone, cameras may differ in
        focal length, there are too few or too many steps, or an odd width, which no
        4:3 picture can share its centre with.
    """
    require_several_cameras(spec, "dynerf")
    require_one_focal_length(spec, "dynerf")
    steps = spec.dynamics.steps
    if not 2 <= steps <= STEPS:
        raise UserError(
            f"dynerf: its loaders read videos of 2 to {STEPS} frames, but "
            f"dynamics.steps is {steps}"
        )
    if spec.resolution[1] % 2:
        raise UserError(
            "dynerf: pictures are cut to 4:3 about their centre, which takes an even "
            f"width, but resolution is {list(spec.resolution)}"
        )


def notes(spec: Spec) -> list[str]:
    """Returns what users of the export must know; see `dyso.export.formats`."""
    found = []
    height, width = _size(spec)
    if (height, width) != spec.resolution:
        found.append(
            f"pictures are cut from {terminal.size(*spec.resolution)} to "
            f"{terminal.size(height, width)} about their centre: the loaders read 4:3 "
            "alone"
        )
    steps = spec.dynamics.steps
    if steps < KPLANES_STEPS:
        found.append(f"K-Planes takes {KPLANES_STEPS} steps or more, here are {steps}")
    if steps != STEPS:
        found.append(
            f"HexPlane has {STEPS} frames in its code, here are {steps}: see "
            "docs/export.md for what to change there"
        )
    if (left_out := spec.cameras.held_out - 1) > 0:
        found.append(
            f"cameras held out beside cam00, which are left out: {left_out}; the "
            "loaders would train on them"
        )
    return found


def write(split: Split, index: int, folder: Path) -> None:
    """Writes one scene; see `dyso.export.formats`."""
    spec = split.spec
    test = held_out(spec)
    cameras = [test.start, *range(test.start)]
    crop = _crop(spec)
    bounds = np.tile([np.inf, -np.inf], (len(cameras), 1))
    with contextlib.ExitStack() as stack:
        digits = max(2, len(str(len(cameras) - 1)))
        films = [
            stack.enter_context(_Film(folder / f"cam{place:0{digits}d}.mp4", spec))
            for place in range(len(cameras))
        ]
        for step, record in enumerate(by_step(split, index)):
            for place, camera in enumerate(cameras):
                films[place].add(record["color"][camera][crop])
                near, far = _bounds(record, camera, crop)
                bounds[place, 0] = min(bounds[place, 0], near)
                bounds[place, 1] = max(bounds[place, 1], far)
            if step == 0:
                shown = np.zeros(spec.resolution, bool)
                shown[crop] = True
                most = max(1, POINTS // (len(cameras) - 1))
                clouds = [view_cloud(record, c, shown, most) for c in cameras[1:]]
                write_ply(folder / "points3D_downsample2.ply", clouds)
    reached = np.isfinite(bounds).all(1)
    if not reached.any():
        raise records.RecordError("no camera sees anything that has a depth")
    # A camera that sees nothing within reach has the widest bounds of the others.
    bounds[~reached] = bounds[reached, 0].min(), bounds[reached, 1].max()
    scale = WIDTH / _size(spec)[1]
    rows = []
    for camera, (near, far) in zip(cameras, bounds, strict=True):
        lens = (HEIGHT, WIDTH, float(record["intrinsics"][camera, 0, 0]) * scale)
        rows.append(llff_row(record["extrinsics"][camera], lens, (near, far)))
    np.save(folder / "poses_bounds.npy", np.array(rows))


class _Film:
    """An MP4 file, written frame by frame."""

    def __init__(self, path: Path, spec: Spec):
        physics = spec.dynamics.motion == "physics"
        self._file = av.open(str(path), "w", format="mp4")
        self._stream = self._file.add_stream(
            "libx264rgb", rate=Fraction(spec.dynamics.frame_rate if physics else RATE)
        )
        self._stream.height, self._stream.width = _size(spec)
        self._stream.pix_fmt = "rgb24"
        # One thread, since the bytes depend on their number.
        self._stream.options = {"crf": "0", "threads": "1"}

    def __enter__(self) -> _Film:
        return self

    def add(self, image: UInt8[np.ndarray, "H W 3"]) -> None:
        """Appends a frame."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        self._file.mux(self._stream.encode(frame))

    def __exit__(self, kind: Any, *_: Any) -> None:
        with self._file:
            if kind is None:
                self._file.mux(self._stream.encode())


def _crop(spec: Spec) -> tuple[slice, slice]:
    """Returns the rows and columns of the largest 4:3 picture about the centre."""
    height, width = spec.resolution
    unit = min(height // 3, width // 4)
    # What is cut off must be even, or the centre would move.
    unit -= (height - 3 * unit) % 2
    top, left = (height - 3 * unit) // 2, (width - 4 * unit) // 2
    return slice(top, height - top), slice(left, width - left)


def _size(spec: Spec) -> tuple[int, int]:
    """Returns the height and width of the frames."""
    rows, columns = _crop(spec)
    return rows.stop - rows.start, columns.stop - columns.start


def _bounds(
    record: dict[str, Any], camera: int, crop: tuple[slice, slice]
) -> tuple[float, float]:
    z = z_depth(record["depth"][camera, ..., 0], record["intrinsics"][camera])[crop]
    reached = z[np.isfinite(z)]
    if not len(reached):
        return np.inf, -np.inf
    near, far = np.percentile(reached, [NEAR, FAR])
    return float(near), float(far)
