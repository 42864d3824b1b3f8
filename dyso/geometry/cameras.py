"""Pinhole cameras: extrinsics, intrinsics, projection, unprojection, rays.

OpenCV axes (x right, y down, z forward), `X_cam = R X_world + t`. Pixel (row i,
column j) has its centre at x = j + 0.5, y = i + 0.5. Depth is the Euclidean distance
to the camera centre, not z.
"""

from __future__ import annotations

from typing import Any

from dyso.geometry.arrays import namespace
from dyso.geometry.rotations import quaternion_to_matrix

Array = Any


def transform(matrix: Array, points: Array) -> Array:
    """Applies rigid transforms [..., 3, 4] to points [..., 3]."""
    return _rotate(matrix, points) + matrix[..., 3]


def _rotate(matrix: Array, vectors: Array) -> Array:
    """Applies the rotations of [..., 3, 4] to vectors [..., 3]."""
    # Spelled out: numpy is many times slower at multiplying and summing short axes.
    x, y, z = (vectors[..., i] for i in range(3))
    rows = (matrix[..., i, :] for i in range(3))
    return namespace(matrix, vectors).stack(
        [row[..., 0] * x + row[..., 1] * y + row[..., 2] * z for row in rows], axis=-1
    )


def invert(matrix: Array) -> Array:
    """Inverts rigid transforms [..., 3, 4]."""
    xp = namespace(matrix)
    rotation = xp.swapaxes(matrix[..., :3], -1, -2)
    translation = -(rotation * matrix[..., None, :, 3]).sum(-1)
    return xp.concatenate([rotation, translation[..., None]], axis=-1)


def pose_matrix(position: Array, quaternion: Array) -> Array:
    """Returns the local-to-world transform [..., 3, 4] of a pose."""
    xp = namespace(position, quaternion)
    rotation = quaternion_to_matrix(quaternion)
    return xp.concatenate([rotation, position[..., None]], axis=-1)


def look_at(position: Array, target: Array) -> Array:
    """Returns the rotation [..., 3, 3], camera to world, that sees `target` centred.

    The image's horizontal axis is horizontal in the world, so the two points must not
    lie on one vertical.

    Args:
      position: [..., 3], the camera centre.
      target: [..., 3].
    """
    xp = namespace(position, target)
    forward = target - position
    forward = forward / xp.sqrt((forward**2).sum(-1))[..., None]
    up = xp.broadcast_to(xp.asarray([0.0, 0.0, 1.0]), forward.shape)
    right = xp.cross(forward, up)
    right = right / xp.sqrt((right**2).sum(-1))[..., None]
    down = xp.cross(forward, right)
    return xp.stack([right, down, forward], axis=-1)


def azimuth_elevation(directions: Array) -> tuple[Array, Array]:
    """Returns the azimuth [...] in (-pi, pi], and the elevation [...] in [-pi/2, pi/2].

    Args:
      directions: [..., 3], of any length; x is at azimuth 0, y at pi/2, z is up.
    """
    xp = namespace(directions)
    # Copied to be contiguous: on strided arrays the last bits of numpy's arctan2 depend
    # on the alignment in memory.
    x, y, z = xp.stack([directions[..., i] for i in range(3)])
    return xp.arctan2(y, x), xp.arctan2(z, xp.sqrt(x**2 + y**2))


def intrinsics(
    focal_length: Array, sensor_width: Array, height: int, width: int
) -> Array:
    """Returns K [..., 3, 3] of square pixels, principal point in the middle.

    Args:
      focal_length: [...], in the unit of `sensor_width`.
      sensor_width: [...]; spans the image's width.
      height: pixels.
      width: pixels.
    """
    xp = namespace(focal_length, sensor_width)
    focal = xp.asarray(focal_length) / sensor_width * width
    zero, one = xp.zeros_like(focal), xp.ones_like(focal)
    rows = [
        [focal, zero, one * (width / 2)],
        [zero, focal, one * (height / 2)],
        [zero, zero, one],
    ]
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def project(
    points: Array, intrinsics: Array, extrinsics: Array
) -> tuple[Array, Array, Array]:
    """Projects world points into an image.

    Args:
      points: [..., 3], world.
      intrinsics: [..., 3, 3].
      extrinsics: [..., 3, 4], world to camera.

    Returns:
      Pixel coordinates [..., 2] as (x, y); depth [...], the Euclidean distance; and
      z [...], at most 0 for points that are not in front of the camera.
    """
    xp = namespace(points)
    local = transform(extrinsics, points)
    z = local[..., 2]
    homogeneous = (intrinsics * local[..., None, :]).sum(-1)
    safe = xp.where(z == 0, 1e-12, z)
    return homogeneous[..., :2] / safe[..., None], xp.sqrt((local**2).sum(-1)), z


def rays(intrinsics: Array, extrinsics: Array, pixels: Array) -> tuple[Array, Array]:
    """Returns origins [..., 3] and unit directions [..., 3] in the world.

    Args:
      intrinsics: [..., 3, 3].
      extrinsics: [..., 3, 4], world to camera.
      pixels: [..., 2], coordinates (x, y).
    """
    xp = namespace(intrinsics, extrinsics, pixels)
    x, y = (
        (pixels[..., i] - intrinsics[..., i, 2]) / intrinsics[..., i, i] for i in (0, 1)
    )
    length = xp.sqrt(x**2 + y**2 + 1)
    local = xp.stack([x / length, y / length, 1 / length], axis=-1)
    to_world = invert(extrinsics)
    directions = _rotate(to_world, local)
    return xp.broadcast_to(to_world[..., 3], directions.shape), directions


def pixel_grid(height: int, width: int, xp: Any) -> Array:
    """Returns pixel centres [height, width, 2] as (x, y); `xp`: numpy or jax.numpy."""
    x, y = xp.meshgrid(xp.arange(width) + 0.5, xp.arange(height) + 0.5)
    return xp.stack([x, y], axis=-1)


def axis_cosines(intrinsics: Array, height: int, width: int) -> Array:
    """Returns the cosine of each pixel's ray to the optical axis, [height, width].

    It is the distance along the axis over the Euclidean one.

    Args:
      intrinsics: [3, 3].
      height: of the image, in pixels.
      width: of the image, in pixels.
    """
    xp = namespace(intrinsics)
    grid = pixel_grid(height, width, xp)
    return rays(intrinsics, xp.eye(3, 4), grid)[1][..., 2]


def unproject(depth: Array, intrinsics: Array, extrinsics: Array) -> Array:
    """Returns the world points [..., H, W, 3] of depth images [..., H, W].

    Args:
      depth: Euclidean distance.
      intrinsics: [..., 3, 3].
      extrinsics: [..., 3, 4].
    """
    xp = namespace(depth)
    height, width = depth.shape[-2:]
    grid = pixel_grid(height, width, xp)
    origins, directions = rays(
        intrinsics[..., None, None, :, :], extrinsics[..., None, None, :, :], grid
    )
    return origins + directions * depth[..., None]
