"""What the formats of one folder a scene share: cameras, splits, reading by steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from dyso import geometry
from dyso.export.soundness import check_record
from dyso.reading import Split
from dyso.spec import Spec, UserError

FIELDS = ("color", "depth", "instance", "intrinsics", "extrinsics")

_OPENGL = np.diag([1.0, -1.0, -1.0])


def by_step(
    split: Split, index: int, fields: Sequence[str] = FIELDS
) -> Iterator[dict[str, Any]]:
    """Reads a scene one dynamics step after the other, each with the views of its own.

    A scene may have thousands of views, too many to hold.

    Raises:
      RecordError: the scene is damaged.
    """
    steps, cameras = split.spec.layout.shape
    for step in range(steps):
        views = range(step * cameras, (step + 1) * cameras)
        record = split.read(index, fields=fields, views=views)
        check_record(record, split.spec, cameras)
        yield record


def square(extrinsics: Float[np.ndarray, "3 4"]) -> Float64[np.ndarray, "4 4"]:
    """Completes a rigid transform to a square matrix."""
    return np.concatenate([extrinsics, [[0, 0, 0, 1]]]).astype(np.float64)


def opengl_pose(extrinsics: Float[np.ndarray, "3 4"]) -> Float64[np.ndarray, "4 4"]:
    """Gives the camera-to-world transform with OpenGL's axes: y up, looking along -z.

    Args:
      extrinsics: world to camera, OpenCV's axes.
    """
    pose = square(geometry.invert(extrinsics.astype(np.float64)))
    pose[:3, :3] = pose[:3, :3] @ _OPENGL
    return pose


def z_depth(
    depth: Float[np.ndarray, "H W"], intrinsics: Float[np.ndarray, "3 3"]
) -> Float64[np.ndarray, "H W"]:
    """Gives the distance along the optical axis from Euclidean depth."""
    height, width = depth.shape
    here = np.eye(3, 4)
    pixels = geometry.pixel_grid(height, width, np)
    _, directions = geometry.rays(intrinsics.astype(np.float64), here, pixels)
    return depth * directions[..., 2]


def llff_row(
    extrinsics: Float[np.ndarray, "3 4"],
    lens: tuple[float, float, float],
    bounds: tuple[float, float],
) -> Float64[np.ndarray, " 17"]:
    """Returns a camera's row of LLFF's `poses_bounds.npy`.

    That is the camera-to-world matrix [3, 5], row by row, with the columns down, right,
    backwards, centre and the lens; then the bounds.

    Args:
      extrinsics: world to camera, OpenCV's axes.
      lens: height, width and focal length in pixels.
      bounds: near and far, in the world's unit.
    """
    right, down, forward, centre = geometry.invert(extrinsics.astype(np.float64)).T
    columns = np.stack([down, right, -forward, centre, np.array(lens)], axis=-1)
    return np.concatenate([columns.ravel(), bounds])


def held_out(spec: Spec) -> range:
    """Returns the test cameras: the spec's, or else the last of several."""
    count = spec.cameras.count
    return range(count - (spec.cameras.held_out or 1), count)


def require_several_cameras(spec: Spec, name: str) -> None:
    """Refuses scenes whose dynamics steps are not seen from several sides.

    Raises:
      UserError: naming the format.
    """
    if spec.cameras.paired:
        raise UserError(
            f"{name}: holds what several cameras see of each dynamics step, but "
            "cameras.paired is true: one camera sees each"
        )
    require_several_poses(spec, name)


def require_several_poses(spec: Spec, name: str) -> None:
    """Refuses scenes that are seen from one place alone, without parallax.

    Raises:
      UserError: naming the format.
    """
    if spec.cameras.count < 2:
        raise UserError(
            f"{name}: needs parallax, from several cameras or from one that moves, but "
            "cameras.count is 1"
        )


def require_one_focal_length(spec: Spec, name: str) -> None:
    """Refuses scenes whose cameras may differ in focal length.

    Raises:
      UserError: naming the format.
    """
    zoom = spec.cameras.patterns.zoom
    if zoom.weight > 0 and zoom.by == "focal_length":
        raise UserError(
            f"{name}: holds one focal length a scene, but cameras.patterns.zoom has "
            "by: focal_length; use zoom by position, or weight 0"
        )
