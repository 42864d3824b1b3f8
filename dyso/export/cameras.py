"""Helpers for formats with one folder per scene: cameras, splits, reading by step."""

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
    split: Split,
    index: int,
    fields: Sequence[str] = FIELDS,
    *,
    first: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yields the records of a scene's dynamics steps, each with that step's views.

    A scene may have thousands of views, too many to hold in memory at once.

    Args:
      split: the scene's split.
      index: its number in the split.
      fields: the fields to read.
      first: read only the first view of each step, which in a video is the moving
        camera's; the others are those of held-out cameras.

    Raises:
      RecordError: the scene is damaged.
    """
    steps, cameras = split.spec.layout.shape
    for step in range(steps):
        views = range(step * cameras, (step + 1) * cameras)[: 1 if first else None]
        record = split.read(index, fields=fields, views=views)
        check_record(record, split.spec, len(views))
        yield record


def square(extrinsics: Float[np.ndarray, "3 4"]) -> Float64[np.ndarray, "4 4"]:
    """Returns a rigid transform as a homogeneous 4 x 4 matrix."""
    return np.concatenate([extrinsics, [[0, 0, 0, 1]]]).astype(np.float64)


def opengl_pose(extrinsics: Float[np.ndarray, "3 4"]) -> Float64[np.ndarray, "4 4"]:
    """Returns the camera-to-world transform with OpenGL's axes: y up, view along -z.

    Args:
      extrinsics: world to camera, OpenCV's axes.
    """
    pose = square(geometry.invert(extrinsics.astype(np.float64)))
    pose[:3, :3] = pose[:3, :3] @ _OPENGL
    return pose


def z_depth(
    depth: Float[np.ndarray, "H W"], intrinsics: Float[np.ndarray, "3 3"]
) -> Float64[np.ndarray, "H W"]:
    """Converts Euclidean depth to distance along the optical axis."""
    return depth * geometry.axis_cosines(intrinsics.astype(np.float64), *depth.shape)


def lens_of(intrinsics: Float[np.ndarray, "*V 3 3"]) -> Float[np.ndarray, "*V 4"]:
    """Returns fx, fy, cx and cy, in pixels."""
    return intrinsics[..., [0, 1, 0, 1], [0, 1, 2, 2]]


def llff_row(
    extrinsics: Float[np.ndarray, "3 4"],
    lens: tuple[float, float, float],
    bounds: tuple[float, float],
) -> Float64[np.ndarray, " 17"]:
    """Returns a camera's row of LLFF's `poses_bounds.npy`.

    The row holds the camera-to-world matrix [3, 5] in C order, whose columns are down,
    right, backwards, centre and lens, followed by the two bounds.

    Args:
      extrinsics: world to camera, OpenCV's axes.
      lens: height, width and focal length in pixels.
      bounds: near and far, in the world's unit.
    """
    right, down, forward, centre = geometry.invert(extrinsics.astype(np.float64)).T
    columns = np.stack([down, right, -forward, centre, np.array(lens)], axis=-1)
    return np.concatenate([columns.ravel(), bounds])


def require_several_cameras(spec: Spec, name: str) -> None:
    """Checks that several cameras see each dynamics step.

    Raises:
      UserError: one camera sees each step; the message names the format.
    """
    if spec.cameras.paired:
        raise UserError(
            f"{name}: needs several cameras per dynamics step, but cameras.paired is "
            "true: one camera sees each step"
        )
    require_several_poses(spec, name)


def require_rigid(spec: Spec, name: str) -> None:
    """Checks that objects keep their shapes.

    Raises:
      UserError: they do not; the message names the format.
    """
    if spec.dynamics.changes_shapes:
        names = ("deform", "gait", "articulate", "animate")
        key = next(name for name in names if getattr(spec.dynamics, name).any)
        raise UserError(
            f"{name}: has one shape of each object, but dynamics.{key} changes shapes"
        )


def require_several_poses(spec: Spec, name: str) -> None:
    """Checks that the scene is seen from several places, so that there is parallax.

    Raises:
      UserError: there is a single camera; the message names the format.
    """
    if spec.cameras.count < 2:
        raise UserError(
            f"{name}: needs parallax, from several cameras or from a moving one, but "
            "cameras.count is 1"
        )


def require_one_focal_length(spec: Spec, name: str) -> None:
    """Checks that all cameras of a scene have the same focal length.

    Raises:
      UserError: they may differ; the message names the format.
    """
    zoom = spec.cameras.patterns.zoom
    if zoom.weight > 0 and zoom.by == "focal_length":
        raise UserError(
            f"{name}: stores one focal length per scene, but cameras.patterns.zoom has "
            "by: focal_length; use zoom by position, or weight 0"
        )
