"""Measures of predicted camera poses."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from dyso import geometry
from dyso.scoring.alignment import align, best_rotation

Poses = Float64[np.ndarray, "K 3 4"]


def pose_errors(true: Poses, predicted: Poses) -> dict[str, float]:
    """Returns means over views, before and after alignment.

    - `rotation`, degrees, and `translation`, metres between centres: as they are.
    - `rotation_aligned`, `translation_aligned`: after the similarity whose rotation
      best aligns the orientations, and whose scale and translation then best align the
      centres. It is well defined for cameras that hardly move, too.
    - `ate`, absolute trajectory error: the root of the mean squared distance between
      centres after the similarity that best aligns the centres alone (Umeyama).

    Args:
      true: extrinsics, world to camera.
      predicted: extrinsics of the same views, in any world.
    """
    truth, guess = geometry.invert(true), geometry.invert(predicted)
    axes, guessed_axes = truth[..., :3], guess[..., :3]
    centres, guessed = truth[..., 3], guess[..., 3]
    turn = best_rotation(np.einsum("kij,klj->il", axes, guessed_axes))
    fit = align(guessed, centres, turn)
    best = align(guessed, centres)
    squared = ((best.apply(guessed) - centres) ** 2).sum(axis=-1)
    return {
        "rotation": _degrees(axes, guessed_axes),
        "translation": _distance(centres, guessed),
        "rotation_aligned": _degrees(axes, turn @ guessed_axes),
        "translation_aligned": _distance(centres, fit.apply(guessed)),
        "ate": float(np.sqrt(squared.mean())),
    }


def _degrees(a: np.ndarray, b: np.ndarray) -> float:
    quaternions = map(geometry.quaternion_from_matrix, (a, b))
    return float(np.degrees(geometry.rotation_angle(*quaternions)).mean())


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b, axis=-1).mean())
