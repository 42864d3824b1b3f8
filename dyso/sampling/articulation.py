"""Articulations of objects: values of their joints, and where these put the parts.

The parts of an object are rigid. `dyso.geometry.part_poses` has the kinematics.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from dyso import geometry
from dyso.sampling.dynamics import CORNERS
from dyso.sampling.poses import vector
from dyso.sampling.scene import Articulation
from dyso.sampling.smooth_paths import SLOW, waves
from dyso.spec import Articulate, Asset, Joint

DECIMALS = 6
"""Of a joint's values, which are radians and metres. A scene keeps them as text."""
# Times at which the extent of a path is measured.
_MOMENTS = np.linspace(-0.5, 0.5, 33)


def in_scene(asset: Asset, size: float) -> tuple[Joint, ...]:
    """Returns an object's joints in metres, in its frame in a scene.

    Args:
      asset: the object.
      size: metres, the longest side of its bounding box.
    """
    lower, upper = np.array(asset.bounds)
    scale, centre = size / (upper - lower).max(), (lower + upper) / 2
    return tuple(
        replace(
            joint,
            origin=vector((np.array(joint.origin) - centre) * scale),
            limits=_limits(joint, scale),
            bounds=(
                vector((np.array(joint.bounds[0]) - centre) * scale),
                vector((np.array(joint.bounds[1]) - centre) * scale),
            ),
        )
        for joint in asset.joints
    )


def _limits(joint: Joint, scale: float) -> tuple[float, float]:
    unit = scale if joint.type == "prismatic" else 1.0
    low, high = (round(unit * value, DECIMALS) for value in joint.limits)
    return low, high


def sample_articulation(
    rng: np.random.Generator,
    articulate: Articulate,
    steps: int,
    joints: tuple[Joint, ...],
) -> Articulation:
    """Draws the values of an object's joints in every step, within their limits.

    Args:
      rng: draws, equally many for every joint.
      articulate: the spec's.
      steps: T dynamics steps.
      joints: in metres.
    """
    times = np.linspace(-0.5, 0.5, steps)
    values = np.zeros((steps, len(joints)))
    for j, joint in enumerate(joints):
        change = rng.uniform(*articulate.change)
        start = rng.uniform(0, 1 - change)
        if articulate.motion == "smooth":
            path = waves(rng, np.concatenate([times, _MOMENTS]), 1, *SLOW)[:, 0]
            shares = ((path - path.min()) / np.ptp(path))[:steps]
        else:
            shares = rng.uniform(0, 1, steps)
        low, high = joint.limits
        sampled = low + (high - low) * (start + change * shares)
        values[:, j] = np.clip(np.round(sampled, DECIMALS), low, high) + 0.0
    return Articulation(joints=joints, values=tuple(map(tuple, values.tolist())))


def part_poses(articulation: Articulation) -> Float[np.ndarray, "T P 3 4"]:
    """Returns where the parts are at every step: from the rest shape, metres."""
    joints = articulation.joints
    return geometry.part_poses(
        [joint.parent for joint in joints],
        np.array([joint.type == "prismatic" for joint in joints], bool),
        np.array([joint.axis for joint in joints]).reshape(-1, 3),
        np.array([joint.origin for joint in joints]).reshape(-1, 3),
        np.array(articulation.values).reshape(len(articulation.values), len(joints)),
    )


def posed(
    points: Float[np.ndarray, "K 3"],
    parts: Int[np.ndarray, " K"],
    poses: Float[np.ndarray, "P 3 4"],
) -> Float[np.ndarray, "K 3"]:
    """Returns where points of the rest shape are, metres in the object's frame.

    Args:
      points: metres in the object's frame, in the rest shape.
      parts: the part that has each point.
      poses: of the parts at one step.
    """
    return geometry.transform(poses[parts], points)


def reach(
    half: Float[np.ndarray, " 3"], articulation: Articulation
) -> Float[np.ndarray, " 3"]:
    """Returns half the sides of a box that holds an object at every step.

    The box is centred at the origin of the object's frame, as that of the rest shape.
    """
    poses = part_poses(articulation)
    held = half
    for part, joint in enumerate(articulation.joints, start=1):
        low, high = np.array(joint.bounds)
        corners = (low + high) / 2 + CORNERS * (high - low) / 2
        moved = geometry.transform(poses[:, part, None], corners)
        held = np.maximum(held, abs(moved).max((0, 1)))
    return held
