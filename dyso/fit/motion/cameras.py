"""Poses of a video's frames that are learned along with the field."""

from __future__ import annotations

import numpy as np
from jaxtyping import Array, Float, Float32

from dyso import geometry
from dyso.geometry.arrays import namespace
from dyso.scoring.alignment import best_rotation


def moved(
    extrinsics: Float[Array, "*N 3 4"], motion: Float[Array, "*N 6"]
) -> Float[Array, "*N 3 4"]:
    """Returns extrinsics followed by a motion in the camera's axes.

    Args:
      extrinsics: world to camera.
      motion: a rotation vector in radians, and a translation in metres.
    """
    xp = namespace(extrinsics, motion)
    # 1, half the vector: a unit quaternion up to second order, whose gradient is
    # defined at 0. Motions are small, and quaternions are normalised.
    one = xp.ones_like(motion[..., :1])
    turn = geometry.quaternion_to_matrix(
        xp.concatenate([one, motion[..., :3] / 2], axis=-1)
    )
    after = turn @ extrinsics
    return xp.concatenate(
        [after[..., :3], after[..., 3:] + motion[..., 3:, None]], axis=-1
    )


def perturbed(
    extrinsics: Float32[np.ndarray, "T 3 4"],
    degrees: float,
    metres: float,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "T 3 4"]:
    """Returns poses with normal errors of rotations and positions, of each axis."""
    deviations = np.repeat([np.radians(degrees), metres], 3)
    errors = rng.normal(size=(len(extrinsics), 6)) * deviations
    return moved(extrinsics, errors).astype(np.float32)


def aligned(
    extrinsics: Float[np.ndarray, "*N 3 4"],
    true: Float[np.ndarray, "T 3 4"],
    learned: Float[np.ndarray, "T 3 4"],
) -> Float[np.ndarray, "*N 3 4"]:
    """Returns poses in the world of learned poses, for views that were not learned.

    A field and its cameras may turn and move together without any view changing. The
    rigid motion from the dataset's world is the one that best aligns the frames'
    orientations, then their mean position. It has no scale, which a path this short
    does not determine.

    Args:
      extrinsics: in the dataset's world.
      true: the frames' exact poses in the dataset's world.
      learned: the frames' poses in the world of the field.
    """
    there, here = geometry.invert(true), geometry.invert(learned)
    turn = best_rotation(np.einsum("tij,tkj->ik", here[..., :3], there[..., :3]))
    shift = here[..., 3].mean(0) - turn @ there[..., 3].mean(0)
    rotation = extrinsics[..., :3] @ turn.T
    return np.concatenate(
        [rotation, extrinsics[..., 3:] - (rotation @ shift)[..., None]], axis=-1
    )
