"""Rotations as quaternions (w, x, y, z) and matrices, batched over leading axes.

Uses only operators and array methods, so JAX arrays work too.
"""

from __future__ import annotations

from typing import Any

from dyso.geometry.arrays import namespace

Array = Any


def quaternion_multiply(a: Array, b: Array) -> Array:
    """Composes two rotations: first `b`, then `a`.

    Args:
      a: [..., 4].
      b: [..., 4].

    Returns:
      [..., 4].
    """
    xp = namespace(a, b)
    aw, ax, ay, az = (a[..., i] for i in range(4))
    bw, bx, by, bz = (b[..., i] for i in range(4))
    return xp.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def quaternion_from_axis_angle(axis: Array, angle: Array) -> Array:
    """Returns the rotation about a unit axis [..., 3] by an angle [...] in radians."""
    xp = namespace(axis, angle)
    half = xp.asarray(angle)[..., None] / 2
    return xp.concatenate([xp.cos(half), xp.sin(half) * axis], axis=-1)


def quaternion_to_matrix(q: Array) -> Array:
    """Returns the rotation matrix [..., 3, 3] of a quaternion [..., 4] of any norm."""
    xp = namespace(q)
    q = q / xp.sqrt((q * q).sum(-1))[..., None]
    w, x, y, z = (q[..., i] for i in range(4))
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def quaternion_from_matrix(matrix: Array) -> Array:
    """Returns the quaternion [..., 4], w >= 0, of a rotation matrix [..., 3, 3].

    The eigenvector of Bar-Itzhack's symmetric 4 x 4 matrix ("New method for extracting
    the quaternion from a rotation matrix", 2000), which is stable for every rotation.
    """
    xp = namespace(matrix)
    m = [[matrix[..., i, j] for j in range(3)] for i in range(3)]
    xx, yy, zz = m[0][0], m[1][1], m[2][2]
    k = [
        [xx + yy + zz, m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]],
        [m[2][1] - m[1][2], xx - yy - zz, m[0][1] + m[1][0], m[0][2] + m[2][0]],
        [m[0][2] - m[2][0], m[0][1] + m[1][0], yy - xx - zz, m[1][2] + m[2][1]],
        [m[1][0] - m[0][1], m[0][2] + m[2][0], m[1][2] + m[2][1], zz - xx - yy],
    ]
    symmetric = xp.stack([xp.stack(row, axis=-1) for row in k], axis=-2)
    _, vectors = xp.linalg.eigh(symmetric)
    q = vectors[..., :, -1]
    return xp.where(q[..., :1] < 0, -q, q)


def rotation_angle(a: Array, b: Array) -> Array:
    """Returns the angle [...] in radians, in [0, pi], between rotations [..., 4]."""
    xp = namespace(a, b)
    conjugate = b * xp.asarray([1.0, -1.0, -1.0, -1.0])
    difference = quaternion_multiply(a, conjugate)
    sine = xp.sqrt((difference[..., 1:] ** 2).sum(-1))
    return 2 * xp.arctan2(sine, abs(difference[..., 0]))
