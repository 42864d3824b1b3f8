"""Poses and orientations, from arrays to the plain values of a scene."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dyso.geometry import quaternion_from_axis_angle, quaternion_multiply
from dyso.sampling.scene import Pose, Vector

# Scenes are rounded because the last bits of sine and cosine differ by processor.
DECIMALS = 9

# Maps camera axes (right, down, forward) to the world's (-y, -z, x): looks along x.
_ALONG_X = np.array([0.5, -0.5, 0.5, -0.5])


def pose(
    position: Float[np.ndarray, " 3"], quaternion: Float[np.ndarray, " 4"]
) -> Pose:
    """Returns a pose of plain, rounded numbers."""
    qw, qx, qy, qz = np.round(quaternion, DECIMALS).tolist()
    return Pose(position=vector(position), quaternion=(qw, qx, qy, qz))


def vector(values: Float[np.ndarray, " 3"]) -> Vector:
    """Returns plain, rounded numbers."""
    x, y, z = np.round(values, DECIMALS).tolist()
    return x, y, z


def viewing(
    yaw: Float[np.ndarray, "*N"], pitch: Float[np.ndarray, "*N"]
) -> Float[np.ndarray, "*N 4"]:
    """Returns the camera-to-world quaternion that looks in a direction, without roll.

    Args:
      yaw: radians from the x axis towards y.
      pitch: radians above the horizon.
    """
    turn = quaternion_from_axis_angle(np.array([0.0, 0.0, 1.0]), yaw)
    tilt = quaternion_from_axis_angle(np.array([0.0, 1.0, 0.0]), -pitch)
    return quaternion_multiply(quaternion_multiply(turn, tilt), _ALONG_X)
