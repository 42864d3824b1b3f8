"""Scene flow, optical flow with occlusion, and point tracks, from depth and poses.

What a pixel shows is a point of the background, which stands still, or of a rigid
object, which moves by its pose from one dynamics step to another. Its place is known in
every view, so the flow between any two views is exact; no image is compared. Where
depth is infinite, the pixel shows a direction, which a camera's rotation alone moves.

Whether a view sees a point is told by the view's own depth, see `visibility_of`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dyso.geometry.arrays import namespace
from dyso.geometry.cameras import (
    invert,
    pixel_grid,
    pose_matrix,
    project,
    rays,
    transform,
)

Array = Any

DEPTH_TOLERANCE = 1e-3
"""Relative depth; the rounding of stored depth takes less than a tenth of it."""


class View(NamedTuple):
    """What one view shows, or V views with a leading axis [V] on every array.

    Attributes:
      depth: [H, W], metres, Euclidean; infinity where nothing is hit.
      instance: [H, W], 0 is background.
      intrinsics: [3, 3].
      extrinsics: [3, 4], world to camera.
      poses: [N+1, 3, 4], each instance's to-world transform at the view's dynamics
        step, the background's first; see `instance_poses`.
    """

    depth: Array
    instance: Array
    intrinsics: Array
    extrinsics: Array
    poses: Array


class Flow(NamedTuple):
    """Where the pixels of one view, [H, W], are in another; finite everywhere.

    Attributes:
      scene: [H, W, 3], metres in the world, the move of the point that a pixel shows.
      optical: [H, W, 2], pixels (x, y), from the pixel's centre to where the point is
        in the other image; 0 where it is behind the other camera.
      in_frame: [H, W], bool, the point is in front of the other camera and in its
        image.
      visible: [H, W], bool, it is in frame and nothing hides it there.
    """

    scene: Array
    optical: Array
    in_frame: Array
    visible: Array


class Tracks(NamedTuple):
    """P points followed through V views.

    Attributes:
      points: [V, P, 3], metres in the world.
      pixels: [V, P, 2], (x, y); 0 where the point is behind the camera.
      visible: [V, P], bool, in the image and not hidden.
    """

    points: Array
    pixels: Array
    visible: Array


def instance_poses(positions: Array, quaternions: Array) -> Array:
    """Gives the poses [N+1, T, 3, 4] of all instances, the still background first.

    Args:
      positions: [N, T, 3], of the objects.
      quaternions: [N, T, 4].
    """
    xp = namespace(positions, quaternions)
    poses = pose_matrix(positions, quaternions)
    still = xp.broadcast_to(xp.eye(3, 4, dtype=poses.dtype), (1, *poses.shape[1:]))
    return xp.concatenate([still, poses])


def carry(points: Array, instance: Array, start: Array, end: Array) -> Array:
    """Moves world points [..., 3] with their instances from one step to another.

    Args:
      points: [..., 3].
      instance: [...], integers.
      start: poses [N+1, 3, 4] at the step that the points are from.
      end: poses [N+1, 3, 4], or [V, N+1, 3, 4] with `instance` and points [V, ...] or
        without, at the step that they go to.
    """
    local = transform(invert(start)[instance], points)
    return transform(end[..., instance, :, :], local)


def visibility_of(
    depth: Array,
    instance: Array,
    view: Array,
    pixels: Array,
    distance: Array,
    ids: Array,
) -> tuple[Array, Array]:
    """Tells of points in the images of V views whether they are seen or hidden there.

    A point is seen if one of the 3 x 3 pixels around it shows its instance, and the
    depths of those that do, widened by `DEPTH_TOLERANCE`, span its own. The span is
    there for surfaces at a slant, whose depth changes much from one pixel to the next.
    It is hidden if it is not seen, and one of the 3 x 3 pixels shows something nearer.

    Args:
      depth: [V, H, W].
      instance: [V, H, W].
      view: [...], which view each point is looked for in.
      pixels: [..., 2], coordinates (x, y); outside of the image, the nearest pixels in
        it are asked.
      distance: [...], metres from the point to the camera's centre; may be infinite.
      ids: [...], the point's instance.

    Returns:
      Seen [...] and hidden [...], bool.
    """
    xp = namespace(depth, instance, pixels)
    height, width = depth.shape[-2:]
    row, column = (index[..., None] for index in _pixel_at(pixels, height, width))
    down, right = xp.indices((3, 3)).reshape(2, 9) - 1
    at = (
        xp.asarray(view)[..., None],
        xp.clip(row + down, 0, height - 1),
        xp.clip(column + right, 0, width - 1),
    )
    found, same = depth[at], instance[at] == xp.asarray(ids)[..., None]
    nearest = xp.where(same, found, xp.inf).min(-1)
    farthest = xp.where(same, found, 0).max(-1)
    low, high = distance * (1 - DEPTH_TOLERANCE), distance * (1 + DEPTH_TOLERANCE)
    seen = (nearest <= high) & (low <= farthest)
    return seen, ~seen & (found.min(-1) < low)


def flow(source: View, target: View) -> Flow:
    """Gives the flow of one view's pixels to another view of the same scene.

    The two may differ in dynamics step, camera or both. What is visible was seen by
    `visibility_of`, and the very pixel that it falls in shows its instance.
    """
    xp = namespace(source.depth, target.depth)
    points, finite, grid = _surface(source)
    moved = carry(points, source.instance, source.poses, target.poses)
    stacked = View(*(array[None] for array in target))
    pixels, front, in_frame, visible = _look(moved, finite, source.instance, stacked)
    return Flow(
        scene=moved - points,
        optical=xp.where(front[0, ..., None], pixels[0] - grid, 0),
        in_frame=in_frame[0],
        visible=visible[0],
    )


def tracks(source: View, rows: Array, columns: Array, targets: View) -> Tracks:
    """Follows the points that pixels of one view show through V views.

    Args:
      source: one view.
      rows: [P], of the pixels; their depth must be finite.
      columns: [P].
      targets: V views of the same scene, `source` among them or not.
    """
    xp = namespace(source.depth, targets.depth)
    ids = source.instance[rows, columns]
    points, finite, _ = _surface(source)
    start = points[rows, columns]
    moved = carry(start, ids, source.poses, targets.poses)
    pixels, front, _, visible = _look(moved, finite[rows, columns], ids, targets)
    return Tracks(
        points=moved,
        pixels=xp.where(front[..., None], pixels, 0),
        visible=visible,
    )


def _surface(view: View) -> tuple[Array, Array, Array]:
    """Gives what pixels show, whether that is finite or a direction, and the pixels."""
    xp = namespace(view.depth)
    height, width = view.depth.shape
    grid = pixel_grid(height, width, xp)
    origins, directions = rays(view.intrinsics, view.extrinsics, grid)
    finite = xp.isfinite(view.depth)
    points = origins + directions * xp.where(finite, view.depth, 0)[..., None]
    return xp.where(finite[..., None], points, directions), finite, grid


def _look(
    points: Array, finite: Array, ids: Array, views: View
) -> tuple[Array, Array, Array, Array]:
    """Looks for points of [*P] in V views.

    Args:
      points: [*P, 3] or [V, *P, 3].
      finite: [*P], False for directions.
      ids: [*P].
      views: V views.

    Returns:
      Pixels [V, *P, 2]; and, as bool [V, *P], what is in front of the camera, in its
      image, and visible there.
    """
    xp = namespace(points, views.depth)
    axes = tuple(range(1, 1 + finite.ndim))
    rotation, translation = views.extrinsics[..., :3], views.extrinsics[..., 3]
    # Only what has a place shifts with the camera's.
    translation = xp.expand_dims(translation, axes) * finite[..., None]
    rotation = xp.broadcast_to(xp.expand_dims(rotation, axes), (*translation.shape, 3))
    pixels, distance, z = project(
        points,
        xp.expand_dims(views.intrinsics, axes),
        xp.concatenate([rotation, translation[..., None]], axis=-1),
    )
    height, width = views.depth.shape[-2:]
    front = z > 0
    in_frame = front & ((pixels >= 0) & (pixels < xp.asarray([width, height]))).all(-1)
    view = xp.expand_dims(xp.arange(len(views.depth)), axes)
    seen, _ = visibility_of(
        views.depth,
        views.instance,
        view,
        pixels,
        xp.where(finite, distance, xp.inf),
        ids,
    )
    own = views.instance[(view, *_pixel_at(pixels, height, width))] == ids
    return pixels, front, in_frame, in_frame & seen & own


def _pixel_at(pixels: Array, height: int, width: int) -> tuple[Array, Array]:
    """Gives row and column of the pixel at coordinates (x, y), or the nearest."""
    xp = namespace(pixels)
    # Clipped before the cast: behind a camera coordinates may be past any integer.
    row = xp.clip(pixels[..., 1], 0, height - 1).astype(int)
    return row, xp.clip(pixels[..., 0], 0, width - 1).astype(int)
