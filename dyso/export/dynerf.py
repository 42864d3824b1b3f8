"""DyNeRF (Neural 3D Video), for HexPlane, K-Planes and 4DGaussians.

    poses_bounds.npy                  [C, 17], LLFF's convention
    cam00.mp4, cam01.mp4 ...          one video per camera, one frame per dynamics step
    points3D_downsample2.ply          the initial points of 4DGaussians, from the depth
                                      of the training cameras at step 0

All three methods test on `cam00` and train on the other cameras. `cam00` is therefore
the first held-out camera, or the last camera if the spec names none; the others follow
in their order. Further held-out cameras are left out, since the loaders would train on
them.

HexPlane and 4DGaussians resize every frame to a fixed 4:3 size with one focal length,
and assume that the focal length in the file belongs to frames `WIDTH` wide. The images
are therefore cropped to 4:3 about their centre, and `poses_bounds.npy` is written for
frames of `WIDTH` x `HEIGHT` pixels, the size of DyNeRF's data, although the frames are
smaller. K-Planes takes both sizes from the files.

The videos are lossless H.264 in RGB (x264's `crf 0`, 4:4:4). FFmpeg, and readers built
on it such as OpenCV, decode the exact pixels; browsers do not play them.
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
"""Frame size of DyNeRF's data; HexPlane and 4DGaussians hard-code the width."""
STEPS = 300
"""The most frames; all three loaders hard-code this number."""
KPLANES_STEPS = 25
"""The fewest frames for K-Planes, which compares frames this many steps apart."""
POINTS = 40_000
"""The most points; 4DGaussians reduces its own clouds to this number."""
NEAR, FAR = 0.1, 99.9
"""Percentiles of z for the near and far bounds, as in LLFF."""
RATE = 30
"""Frames per second if the spec has no frame rate; the loaders ignore it."""


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: one camera sees each dynamics step, cameras may differ in focal length,
        there are too few or too many steps, or the width is odd, so that no 4:3 crop
        has the same centre.
    """
    require_several_cameras(spec, "dynerf")
    require_one_focal_length(spec, "dynerf")
    steps = spec.dynamics.steps
    if not 2 <= steps <= STEPS:
        raise UserError(
            f"dynerf: its loaders need videos of 2 to {STEPS} frames, but "
            f"dynamics.steps is {steps}"
        )
    if spec.resolution[1] % 2:
        raise UserError(
            "dynerf: images are cropped to 4:3 about their centre, which needs an even "
            f"width, but resolution is {list(spec.resolution)}"
        )


def notes(spec: Spec) -> list[str]:
    """Returns what users of the export must know; see `dyso.export.formats`."""
    lines = []
    height, width = _size(spec)
    if (height, width) != spec.resolution:
        lines.append(
            f"images are cropped from {terminal.size(*spec.resolution)} to "
            f"{terminal.size(height, width)} about their centre: the loaders support "
            "only 4:3"
        )
    steps = spec.dynamics.steps
    if steps < KPLANES_STEPS:
        lines.append(
            f"K-Planes needs at least {KPLANES_STEPS} steps; this dataset has {steps}"
        )
    if steps != STEPS:
        lines.append(
            f"HexPlane hard-codes {STEPS} frames; this dataset has {steps}: "
            "docs/export.md says what to change in HexPlane"
        )
    if (left_out := spec.cameras.held_out - 1) > 0:
        lines.append(
            f"held-out cameras that are left out: {left_out}; the loaders test only on "
            "cam00 and would train on the others"
        )
    return lines


def write(split: Split, index: int, folder: Path) -> None:
    """Writes one scene; see `dyso.export.formats`."""
    spec = split.spec
    test = spec.cameras.testing
    cameras = [test.start, *range(test.start)]
    crop = _crop(spec)
    bounds = np.tile([np.inf, -np.inf], (len(cameras), 1))
    with contextlib.ExitStack() as stack:
        digits = max(2, len(str(len(cameras) - 1)))
        videos = [
            stack.enter_context(_Video(folder / f"cam{i:0{digits}d}.mp4", spec))
            for i in range(len(cameras))
        ]
        for step, record in enumerate(by_step(split, index)):
            for i, camera in enumerate(cameras):
                videos[i].add(record["color"][camera][crop])
                near, far = _bounds(record, camera, crop)
                bounds[i, 0] = min(bounds[i, 0], near)
                bounds[i, 1] = max(bounds[i, 1], far)
            if step == 0:
                in_crop = np.zeros(spec.resolution, bool)
                in_crop[crop] = True
                most = max(1, POINTS // (len(cameras) - 1))
                clouds = [view_cloud(record, c, in_crop, most) for c in cameras[1:]]
                write_ply(folder / "points3D_downsample2.ply", clouds)
    finite = np.isfinite(bounds).all(1)
    if not finite.any():
        raise records.RecordError("no camera sees anything at a finite depth")
    # A camera without finite depth gets the widest bounds of the others.
    bounds[~finite] = bounds[finite, 0].min(), bounds[finite, 1].max()
    scale = WIDTH / _size(spec)[1]
    rows = []
    for camera, (near, far) in zip(cameras, bounds, strict=True):
        lens = (HEIGHT, WIDTH, float(record["intrinsics"][camera, 0, 0]) * scale)
        rows.append(llff_row(record["extrinsics"][camera], lens, (near, far)))
    np.save(folder / "poses_bounds.npy", np.array(rows))


class _Video:
    """An MP4 file, written frame by frame."""

    def __init__(self, path: Path, spec: Spec):
        physics = spec.dynamics.motion == "physics"
        self._file = av.open(str(path), "w", format="mp4")
        self._stream = self._file.add_stream(
            "libx264rgb", rate=Fraction(spec.dynamics.frame_rate if physics else RATE)
        )
        self._stream.height, self._stream.width = _size(spec)
        self._stream.pix_fmt = "rgb24"
        # One thread: the bytes depend on the number of threads.
        self._stream.options = {"crf": "0", "threads": "1"}

    def __enter__(self) -> _Video:
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
    """Returns the rows and columns of the largest 4:3 crop about the centre."""
    height, width = spec.resolution
    unit = min(height // 3, width // 4)
    # An even number of pixels is cropped on each axis, so that the centre stays.
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
    finite = z[np.isfinite(z)]
    if not len(finite):
        return np.inf, -np.inf
    near, far = np.percentile(finite, [NEAR, FAR])
    return float(near), float(far)
