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
