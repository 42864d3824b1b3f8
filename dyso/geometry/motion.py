"""Scene flow, optical flow with occlusion, and point tracks, from depth and poses.

A pixel shows a point of the still background, of a rigid object, which moves by its
pose from one dynamics step to another, or of a mesh that may deform, see `surfaces`.
The point's position is known in every view, so the flow between any two views is exact;
no images are compared. A pixel of infinite depth shows a direction, which moves only
with the camera's rotation.

Whether a view sees a point follows from the view's depth, see `visibility_of`.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from dyso.geometry.surfaces import Mesh, barycentric, surface_points

Array = Any

DEPTH_TOLERANCE = 1e-3
"""Relative depth. The rounding of stored depth is less than a tenth of this."""


class View(NamedTuple):
    """The contents of one view, or of V views with a leading axis [V] on every array.

    Attributes:
      depth: [H, W], metres, Euclidean; infinity where nothing is hit.
      instance: [H, W], 0 is background.
      intrinsics: [3, 3].
      extrinsics: [3, 4], world to camera.
      poses: [I, 3, 4], each instance's to-world transform at the view's dynamics
        step, the background's first; see `instance_poses`.
      mesh: the objects' mesh at the view's dynamics step, if they deform. Points on it
        follow its faces instead of the poses.
    """

    depth: Array
    instance: Array
    intrinsics: Array
    extrinsics: Array
    poses: Array
    mesh: Mesh | None = None

    def at(self, index: Any) -> View:
        """Returns one or some of V views; `None` as index adds the axis [V] to one."""
        arrays = {k: v[index] for k, v in self._asdict().items() if k != "mesh"}
        mesh = self.mesh and self.mesh._replace(
            surface=self.mesh.surface[index], vertices=self.mesh.vertices[index]
        )
        return View(**arrays, mesh=mesh)

    @classmethod
    def stack(cls, views: Sequence[View]) -> View:
        """Returns single views of one scene as V views."""
        xp, first = namespace(views[0].depth), views[0].mesh

        def stacked(values: Sequence[Any], name: str) -> Array:
            return xp.stack([getattr(value, name) for value in values])

        arrays = {name: stacked(views, name) for name in cls._fields if name != "mesh"}
        mesh = first and Mesh(
            surface=stacked([view.mesh for view in views], "surface"),
            faces=first.faces,
            vertices=stacked([view.mesh for view in views], "vertices"),
        )
        return cls(**arrays, mesh=mesh)


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
    """Returns the poses [I, T, 3, 4] of all instances, the still background first.

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
      start: poses [I, 3, 4] at the step that the points are from.
      end: poses [I, 3, 4], or [V, I, 3, 4] with `instance` and points [V, ...] or
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
) -> tuple[Array, Array, Array]:
    """Returns whether points are seen, hidden or unresolved in the images of V views.

    A point is seen if one of the 3 x 3 pixels around it shows its instance, and its
    distance is within the range of those pixels' depths, widened by `DEPTH_TOLERANCE`.
    The range is needed for slanted surfaces, whose depth changes much from one pixel to
    the next. A point is hidden if it is not seen and one of the 3 x 3 pixels is nearer.
    It is unresolved if it is neither, and some of the pixels show its instance and some
    do not: a thin part may lie between the pixels' centres.

    Args:
      depth: [V, H, W].
      instance: [V, H, W].
      view: [...], which view each point is looked for in.
      pixels: [..., 2], coordinates (x, y); points outside the image use its nearest
        pixels.
      distance: [...], metres from the point to the camera's centre; may be infinite.
      ids: [...], the point's instance.

    Returns:
      Seen, hidden and unresolved: [...], bool, of which at most one is True.
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
    nearby, same = depth[at], instance[at] == xp.asarray(ids)[..., None]
    nearest = xp.where(same, nearby, xp.inf).min(-1)
    farthest = xp.where(same, nearby, 0).max(-1)
    low, high = distance * (1 - DEPTH_TOLERANCE), distance * (1 + DEPTH_TOLERANCE)
    seen = (nearest <= high) & (low <= farthest)
    hidden = ~seen & (nearby.min(-1) < low)
    return seen, hidden, ~seen & ~hidden & same.any(-1) & ~same.all(-1)


def flow(source: View, target: View) -> Flow:
    """Returns the flow of one view's pixels to another view of the same scene.

    The two may differ in dynamics step, camera or both. A point is visible if
    `visibility_of` sees it and the pixel that it falls in shows its instance.
    """
    xp = namespace(source.depth, target.depth)
    _, finite, grid = _surface(source)
    points, moved = follow(source, ..., target)
    pixels, front, in_frame, visible = _project_visible(
        moved, finite, source.instance, target.at(None)
    )
    return Flow(
        scene=moved - points,
        optical=xp.where(front[0, ..., None], pixels[0] - grid, 0),
        in_frame=in_frame[0],
        visible=visible[0],
    )


def tracks(source: View, rows: Array, columns: Array, targets: View) -> Tracks:
    """Tracks the points shown by pixels of one view through V views.

    Args:
      source: one view.
      rows: [P], of the pixels; their depth must be finite.
      columns: [P].
      targets: V views of the same scene, `source` among them or not.
    """
    xp = namespace(source.depth, targets.depth)
    ids = source.instance[rows, columns]
    _, moved = follow(source, (rows, columns), targets)
    finite = xp.isfinite(source.depth[rows, columns])
    pixels, front, _, visible = _project_visible(moved, finite, ids, targets)
    return Tracks(
        points=moved,
        pixels=xp.where(front[..., None], pixels, 0),
        visible=visible,
    )


def follow(source: View, at: Any, targets: View) -> tuple[Array, Array]:
    """Returns the points that pixels of one view show, there and in other views.

    Args:
      source: one view.
      at: an index of the pixels [H, W]: rows and columns [P], or `...` for all.
      targets: one view or V views of the same scene.

    Returns:
      The points [P, 3] or [H, W, 3], metres in the world, and the same points in the
      targets, with a leading [V] if these have one. Where the depth is infinite, both
      are directions.
    """
    xp = namespace(source.depth, targets.depth)
    shown, _, grid = _surface(source)
    points, ids = shown[at], source.instance[at]
    moved = carry(points, ids, source.poses, targets.poses)
    if source.mesh is None or targets.mesh is None:
        return points, moved
    surface, faces, vertices = source.mesh
    on = surface[at] > 0
    depth = xp.where(on, source.depth[at], 0)
    weights = barycentric(
        vertices[faces[xp.maximum(surface[at], 1) - 1]],
        *rays(source.intrinsics, source.extrinsics, grid[at]),
        depth,
    )
    start, end = (
        surface_points(surface[at], weights, faces, each)
        for each in (vertices, targets.mesh.vertices)
    )
    on = on[..., None]
    return xp.where(on, start, points), xp.where(on, end, moved)


def _surface(view: View) -> tuple[Array, Array, Array]:
    """Returns the pixels' points or directions, which are points, and the grid."""
    xp = namespace(view.depth)
    height, width = view.depth.shape
    grid = pixel_grid(height, width, xp)
    origins, directions = rays(view.intrinsics, view.extrinsics, grid)
    finite = xp.isfinite(view.depth)
    points = origins + directions * xp.where(finite, view.depth, 0)[..., None]
    return xp.where(finite[..., None], points, directions), finite, grid


def _project_visible(
    points: Array, finite: Array, ids: Array, views: View
) -> tuple[Array, Array, Array, Array]:
    """Projects points into V views and checks their visibility.

    Args:
      points: [*P, 3] or [V, *P, 3].
      finite: [*P], False for directions.
      ids: [*P].
      views: V views.

    Returns:
      Pixels [V, *P, 2]; and three masks, bool [V, *P]: in front of the camera, in its
      image, and visible in it.
    """
    xp = namespace(points, views.depth)
    axes = tuple(range(1, 1 + finite.ndim))
    rotation, translation = views.extrinsics[..., :3], views.extrinsics[..., 3]
    # Directions do not shift with the camera's position.
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
    seen, _, _ = visibility_of(
        views.depth,
        views.instance,
        view,
        pixels,
        xp.where(finite, distance, xp.inf),
        ids,
    )
    same_instance = views.instance[(view, *_pixel_at(pixels, height, width))] == ids
    return pixels, front, in_frame, in_frame & seen & same_instance


def _pixel_at(pixels: Array, height: int, width: int) -> tuple[Array, Array]:
    """Returns row and column of the pixel at coordinates (x, y), or the nearest."""
    xp = namespace(pixels)
    # Clipped before the cast: coordinates behind a camera may overflow integers.
    row = xp.clip(pixels[..., 1], 0, height - 1).astype(int)
    return row, xp.clip(pixels[..., 0], 0, width - 1).astype(int)
