"""Skeletons: bones in a tree, their forward kinematics, and skins that follow them.

A bone is what turns about a joint: the thigh of an animal, or a rigid part of an
articulated object, whose vertices follow no other bone. In the rest shape the axes of
all bones are those of the object. A pose turns each bone about its joint, relative to
its parent; a sliding part is moved instead. The result maps the rest shape to the posed
one, bone by bone, both in the object's frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dyso.geometry.arrays import namespace
from dyso.geometry.cameras import transform
from dyso.geometry.rotations import quaternion_from_axis_angle, quaternion_to_matrix

Array = Any


def forward_kinematics(
    parents: Sequence[int], joints: Array, rotations: Array, moves: Array | None = None
) -> Array:
    """Returns the transforms [*T, B, 3, 4] of bones from the rest shape to a pose.

    Args:
      parents: the parent of each bone, which comes before it; -1 for a root.
      joints: [B, 3], metres in the object's frame, at rest.
      rotations: [*T, B, 3, 3], each bone's turn about its joint relative to its parent.
      moves: [*T, B, 3], metres by which joints move relative to their parents, along
        the axes that these have turned with; None for none.
    """
    xp = namespace(joints, rotations)
    bones: list[Array] = []
    for bone, parent in enumerate(parents):
        rotation, place = rotations[..., bone, :, :], joints[bone]
        if moves is not None:
            place = place + moves[..., bone, :]
        if parent >= 0:
            rotation = bones[parent][..., :3] @ rotation
            place = transform(bones[parent], place)
        shift = place - (rotation @ joints[bone][:, None])[..., 0]
        bones.append(xp.concatenate([rotation, shift[..., None]], axis=-1))
    return xp.stack(bones, axis=-3)


def skinned(points: Array, weights: Array, bones: Array) -> Array:
    """Returns where points of the rest shape are in a pose: linear blend skinning.

    Args:
      points: [K, 3], metres in the object's frame, at rest.
      weights: [K, B], how much each point follows each bone; they sum to 1.
      bones: [*T, B, 3, 4], of `forward_kinematics`.

    Returns:
      [*T, K, 3], metres in the object's frame.
    """
    xp = namespace(points, weights, bones)
    return transform(xp.einsum("kb,...bij->...kij", weights, bones), points)


def part_poses(
    parents: Sequence[int], slides: Array, axes: Array, origins: Array, values: Array
) -> Array:
    """Returns the transforms [*T, J + 1, 3, 4] of an object's parts, by its joints.

    They take points of the rest shape to where they are, both in the object's frame.
    Part 0 is the base, and joint j moves part j + 1.

    Args:
      parents: the part that each joint is fixed to, before the one that it moves.
      slides: [J], true for joints that move along their axis instead of turning.
      axes: [J, 3], unit vectors at rest.
      origins: [J, 3], points on the axes at rest.
      values: [*T, J], radians or lengths; 0 at rest.
    """
    xp = namespace(axes, origins, values)
    turns = quaternion_from_axis_angle(axes, xp.where(slides, 0.0, values))
    moves = xp.where(slides, values, 0.0)[..., None] * axes
    still = xp.zeros((*values.shape[:-1], 1, 3))
    return forward_kinematics(
        [-1, *parents],
        xp.concatenate([xp.zeros((1, 3)), origins]),
        xp.concatenate(
            [
                xp.broadcast_to(xp.eye(3), (*values.shape[:-1], 1, 3, 3)),
                quaternion_to_matrix(turns),
            ],
            axis=-3,
        ),
        xp.concatenate([still, moves], axis=-2),
    )
