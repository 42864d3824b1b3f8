"""Neural Scene Flow Fields and DynamicNeRF: the video of one moving camera.

    poses_bounds.npy                 [T, 17], LLFF's convention
    images/00000.png
    images_<W>x<H>/00000.png         the same images; NSFF reads only this folder, and
                                     creates it by resizing if it is missing
    disp/00000.npy                   float32 [H, W], 1 / z in 1 / m, 0 for infinity
    motion_masks/00000.png           255 on objects that move at any time
    flow_i1/00000_fwd.npz            flow to the next frame, and 00001_bwd.npz to the
                                     previous one: `flow` float32 [H, W, 2] in pixels
                                     (x, y), `mask` bool, true where visible there
    flow/000_fwd.npz                 the same, under the names that DynamicNeRF reads

Both projects estimate disparity, masks and flow with networks; these are exact. There
is one frame per dynamics step. A row of `poses_bounds.npy` holds the camera-to-world
matrix [3, 5] with the columns down, right, backwards, centre and (H, W, focal length),
followed by the near and far bounds: the percentiles `NEAR` and `FAR` of the frame's z.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64

from dyso import geometry
from dyso.export.cameras import by_step, llff_row, require_one_focal_length, z_depth
from dyso.export.images import png
from dyso.reading import MOTION_FIELDS, Split, box_corners, view_of, views_of
from dyso.spec import Spec, UserError

ABOUT = "Neural Scene Flow Fields, DynamicNeRF: frames, disparity, masks, flow, poses"

NEAR, FAR = 0.1, 99.9
"""Percentiles of z for the near and far bounds, as in LLFF."""
MOVED = 1e-4
"""Metres; an object moves if a corner of its box moves farther between frames."""


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: the dataset is not of videos of one moving camera, or the camera may
        zoom by its focal length.
    """
    if not spec.cameras.paired or spec.cameras.count < 2:
        raise UserError(
            "nsff: needs videos of one moving camera, with cameras.paired: true and "
            "dynamics.steps of at least 2; see specs/small_motion.yaml"
        )
    require_one_focal_length(spec, "nsff")


def write(split: Split, index: int, folder: Path) -> None:
    """Writes one scene; see `dyso.export.formats`."""
    height, width = split.spec.resolution
    resized = f"images_{width}x{height}"
    for kind in ("images", resized, "disp", "motion_masks", "flow_i1", "flow"):
        (folder / kind).mkdir()
    moving = _moving(split, index)
    rows: list[np.ndarray] = []
    before: geometry.View | None = None
    frames = by_step(split, index, (*MOTION_FIELDS, "color"), first=True)
    for step, record in enumerate(frames):
        view = view_of(views_of(record, steps=[step]), 0)
        z = z_depth(view.depth, view.intrinsics)
        mask = moving[view.instance].astype(np.uint8) * 255
        for kind in ("images", resized):
            (folder / kind / f"{step:05}.png").write_bytes(png(record["color"][0]))
        (folder / "motion_masks" / f"{step:05}.png").write_bytes(png(mask[..., None]))
        np.save(folder / "disp" / f"{step:05}.npy", (1 / z).astype(np.float32))
        rows.append(_row(view, z))
        if before is not None:
            _write_flow(folder, step - 1, "fwd", geometry.flow(before, view))
            _write_flow(folder, step, "bwd", geometry.flow(view, before))
        before = view
    table = np.array(rows)
    # A frame without finite depth gets the widest bounds of the others.
    for column, widest in ((-2, np.nanmin), (-1, np.nanmax)):
        bounds = table[:, column]
        bounds[np.isnan(bounds)] = widest(bounds)
    np.save(folder / "poses_bounds.npy", table)


def _moving(split: Split, index: int) -> Bool[np.ndarray, " I"]:
    """Returns which instances move at any time; the background, first, does not."""
    record = split.read(
        index,
        fields=(
            *("objects/positions", "objects/quaternions", "objects/sizes"),
            *("mesh/instance?", "mesh/vertices?"),
        ),
    )
    distances = np.linalg.norm(np.diff(box_corners(record), axis=1), axis=-1).max(
        (1, 2)
    )
    return np.concatenate([[False], distances > MOVED])


def _row(
    view: geometry.View, z: Float64[np.ndarray, "H W"]
) -> Float64[np.ndarray, " 17"]:
    lens = (*z.shape, view.intrinsics[0, 0])
    finite = z[np.isfinite(z)]
    bounds = np.percentile(finite, [NEAR, FAR]) if len(finite) else [np.nan] * 2
    return llff_row(view.extrinsics, lens, tuple(bounds))


def _write_flow(folder: Path, frame: int, direction: str, flow: geometry.Flow) -> None:
    arrays = {"flow": flow.optical.astype(np.float32), "mask": flow.visible}
    for name in (f"flow_i1/{frame:05}", f"flow/{frame:03}"):
        np.savez_compressed(folder / f"{name}_{direction}.npz", **arrays)
