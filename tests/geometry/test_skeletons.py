"""Skeletons: forward kinematics and skinning against numbers worked out by hand."""

import jax.numpy as jnp
import numpy as np

from dyso.geometry import forward_kinematics, invert, skinned, transform

PARENTS = (-1, 0, 1)
JOINTS = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
LEFT = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
STILL = np.eye(3)


def test_a_turned_bone_takes_its_vertices_and_its_children_along():
    bones = forward_kinematics(PARENTS, JOINTS, np.stack([STILL, LEFT, STILL]))
    # The elbow at (1, 0, 0) turns by 90 degrees, and so does the hand behind it.
    points = np.array([[0.5, 0.0, 0.0], [1.5, 0.0, 0.2], [3.0, 0.0, 0.0]])
    moved = skinned(points, np.eye(3), bones)
    assert np.allclose(moved, [[0.5, 0, 0], [1, 0.5, 0.2], [1, 2, 0]])


def test_turns_add_up_along_the_chain():
    bones = forward_kinematics(PARENTS, JOINTS, np.stack([LEFT, LEFT, LEFT]))
    # (3, 0, 0): the arm goes up by 1, left by 1, and down by 1.
    assert np.allclose(transform(bones[2], np.array([3.0, 0, 0])), [-1, 0, 0])


def test_a_sliding_part_moves_along_the_axes_of_its_parent():
    moves = np.array([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0], [0.0, 0.0, 0.0]])
    bones = forward_kinematics(PARENTS, JOINTS, np.stack([LEFT, STILL, STILL]), moves)
    assert np.allclose(transform(bones[1], np.array([1.5, 0, 0])), [0, 1.8, 0])


def test_between_two_bones_a_point_is_the_mean_of_where_they_take_it():
    bones = forward_kinematics(PARENTS, JOINTS, np.stack([STILL, LEFT, STILL]))
    moved = skinned(np.array([[2.0, 0.0, 0.0]]), np.array([[0.25, 0.75, 0]]), bones)
    # Bone 0 leaves the point at (2, 0, 0), bone 1 takes it to (1, 1, 0).
    assert np.allclose(moved, [[1.25, 0.75, 0]])


def test_steps_are_posed_together_and_jax_agrees():
    rng = np.random.default_rng(0)
    rotations = np.linalg.qr(rng.normal(size=(5, 3, 3, 3)))[0]
    rotations[np.linalg.det(rotations) < 0] *= -1
    points, weights = rng.normal(size=(4, 3)), rng.dirichlet(np.ones(3), 4)
    bones = forward_kinematics(PARENTS, JOINTS, rotations)
    moved = skinned(points, weights, bones)
    assert moved.shape == (5, 4, 3)
    for step in range(5):
        alone = forward_kinematics(PARENTS, JOINTS, rotations[step])
        assert np.allclose(skinned(points, weights, alone), moved[step])
        # A bone carries everything rigidly.
        assert np.allclose(transform(invert(alone[2]), alone[2][:, 3]), 0)
    other = forward_kinematics(PARENTS, jnp.asarray(JOINTS), jnp.asarray(rotations))
    assert np.allclose(skinned(points, weights, other), moved, atol=1e-5)
