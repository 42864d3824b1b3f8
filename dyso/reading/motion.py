"""Flow and tracks between the views of a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int, Int32, UInt8

from dyso import geometry

MOTION_FIELDS = (
    "depth",
    "instance",
    "intrinsics",
    "extrinsics",
    "objects/positions",
    "objects/quaternions",
    "surface?",
    "mesh/faces?",
    "mesh/instance?",
    "mesh/vertices?",
)
"""The fields that a record must hold; those with `?` if the dataset has them."""
MOVED = 1e-3
"""Metres; a point moves if it is farther than this from where it was."""
_AT_ONCE = 16
"""Dynamics steps at which points are compared together."""


def views_of(
    record: Mapping[str, Any], steps: Sequence[int] | None = None
) -> geometry.View:
    """Returns the views of a decoded record as float64 arrays.

    Args:
      record: with `MOTION_FIELDS`.
      steps: the dynamics step of each view; None if the record has all its views.
    """
    return _views_at(record, steps_of(record, steps), *_states(record))


def _states(
    record: Mapping[str, Any],
) -> tuple[Float64[np.ndarray, "T I 3 4"], Float64[np.ndarray, "T K 3"] | None]:
    """Returns the poses and, if there is a mesh, its vertices at each dynamics step."""
    vertices = world_vertices(record) if "surface" in record else None
    return _poses(record).swapaxes(0, 1), vertices


def _views_at(
    record: Mapping[str, Any],
    at: Int[np.ndarray, " V"],
    poses: Float64[np.ndarray, "T I 3 4"],
    vertices: Float64[np.ndarray, "T K 3"] | None,
) -> geometry.View:
    mesh = None
    if vertices is not None:
        mesh = geometry.Mesh(
            surface=surface_faces(record),
            faces=record["mesh/faces"],
            vertices=vertices[at],
        )
    return geometry.View(
        depth=record["depth"][..., 0].astype(np.float64),
        instance=record["instance"][..., 0],
        intrinsics=record["intrinsics"].astype(np.float64),
        extrinsics=record["extrinsics"].astype(np.float64),
        poses=poses[at],
        mesh=mesh,
    )


def surface_faces(record: Mapping[str, Any]) -> Int32[np.ndarray, "V H W"]:
    """Returns one plus the row of `mesh/faces` that each pixel shows, 0 for none.

    Args:
      record: with `surface`.
    """
    digits = record["surface"].astype(np.int32)
    return digits[..., 0] + (digits[..., 1] << 8) + (digits[..., 2] << 16)


def parts(record: Mapping[str, Any]) -> UInt8[np.ndarray, "V H W"]:
    """Returns one plus the part that each pixel shows, 0 for none.

    Parts are counted in each object: 1 is the base of every object, and also of those
    without joints. With `instance`, the number tells all parts of a scene apart.

    Args:
      record: with `surface` and `mesh/part`.
    """
    of_face = np.concatenate([[0], record["mesh/part"] + 1]).astype(np.uint8)
    return of_face[surface_faces(record)]


def world_vertices(record: Mapping[str, Any]) -> Float64[np.ndarray, "T K 3"]:
    """Returns the vertices of the objects' meshes at each dynamics step, metres.

    Args:
      record: with `mesh/instance`, `mesh/vertices`, `objects/positions` and
        `objects/quaternions`.
    """
    poses = _poses(record)[record["mesh/instance"]].swapaxes(0, 1)
    return geometry.transform(poses, record["mesh/vertices"].astype(np.float64))


def deforms(record: Mapping[str, Any]) -> bool:
    """Returns whether an object changes its shape, if the record has the meshes."""
    vertices = record.get("mesh/vertices")
    return vertices is not None and bool((vertices != vertices[:1]).any())


def _poses(record: Mapping[str, Any]) -> Float64[np.ndarray, "I T 3 4"]:
    return geometry.instance_poses(
        record["objects/positions"].astype(np.float64),
        record["objects/quaternions"].astype(np.float64),
    )


def steps_of(
    record: Mapping[str, Any], steps: Sequence[int] | None = None
) -> Int[np.ndarray, " V"]:
    """Returns the dynamics step of each view: `steps`, or those of a whole record.

    Args:
      record: with `intrinsics` and `objects/positions`.
      steps: the dynamics step of each view; None if the record has all its views.
    """
    if steps is not None:
        return np.asarray(steps)
    # In every layout, views are ordered by step and all steps have equally many.
    views = len(record["intrinsics"])
    return np.arange(views) * record["objects/positions"].shape[1] // views


def view_of(views: geometry.View, index: int | slice) -> geometry.View:
    """Returns one or some of several views."""
    return views.at(index)


def flow(record: Mapping[str, Any], source: int, target: int) -> geometry.Flow:
    """Returns the flow from one view of a record, read with all views, to another.

    See `dyso.geometry.flow`.
    """
    views = views_of(record)
    return geometry.flow(view_of(views, source), view_of(views, target))


def tracks(
    record: Mapping[str, Any],
    source: int,
    rows: Int[np.ndarray, " P"],
    columns: Int[np.ndarray, " P"],
) -> geometry.Tracks:
    """Tracks the points shown by pixels of one view through all views of a record.

    See `dyso.geometry.tracks`.
    """
    views = views_of(record)
    return geometry.tracks(view_of(views, source), rows, columns, views)


def motion_masks(
    record: Mapping[str, Any],
    steps: Sequence[int] | None = None,
    others: Sequence[int] | None = None,
) -> Bool[np.ndarray, "V H W"]:
    """Returns which pixels show something that moves.

    A pixel moves if the point that it shows is more than `MOVED` away at one of the
    other dynamics steps. The background is still, and so are shadows on it.

    Args:
      record: with `MOTION_FIELDS`, of some or all views, and of all dynamics steps.
      steps: the dynamics step of each view; None if the record has all its views.
      others: the dynamics steps to compare with; None means all steps of the scene.
    """
    poses, vertices = _states(record)
    views = _views_at(record, steps_of(record, steps), poses, vertices)
    compared = np.arange(len(poses)) if others is None else np.asarray(others)
    moves = np.zeros(views.depth.shape, bool)
    for index, mask in enumerate(moves):
        view = views.at(index)
        still = np.nonzero(view.instance)
        for first in range(0, len(compared), _AT_ONCE):
            if not len(still[0]):
                break
            some = compared[first : first + _AT_ONCE]
            mesh = view.mesh
            if mesh is not None and vertices is not None:
                mesh = mesh._replace(vertices=vertices[some])
            at_steps = view._replace(poses=poses[some], mesh=mesh)
            points, moved = geometry.follow(view, still, at_steps)
            gone = (np.linalg.norm(moved - points, axis=-1) > MOVED).any(0)
            mask[still] = gone
            still = still[0][~gone], still[1][~gone]
    return moves
