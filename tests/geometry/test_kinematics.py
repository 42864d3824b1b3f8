"""Forward kinematics: against formulas, rigidity, and jax."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyso import geometry

Z = np.array([[0.0, 0.0, 1.0]])


def arm(values):
    """Two links of lengths 2 and 1 along x, whose hinges turn about z."""
    return geometry.part_poses(
        [0, 1],
        np.array([False, False]),
        np.repeat(Z, 2, 0),
        np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]),
        np.asarray(values),
    )


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_a_planar_arm_reaches_where_the_formula_says(a, b):
    poses = arm([a, b])
    tip = geometry.transform(poses[2], np.array([3.0, 0.0, 0.5]))
    x = 2 * np.cos(a) + np.cos(a + b)
    y = 2 * np.sin(a) + np.sin(a + b)
    assert tip == pytest.approx(np.array([x, y, 0.5]), abs=1e-12)
    assert np.array_equal(poses[0], np.eye(3, 4))


def test_a_slide_moves_along_its_axis_with_its_parent():
    axes = np.array([[0.0, 0.0, 1.0], [0.6, 0.8, 0.0]])
    poses = geometry.part_poses(
        [0, 1],
        np.array([False, True]),
        axes,
        np.array([[1.0, 0.0, 0.0], [9.0, 9.0, 9.0]]),
        np.array([[np.pi / 2, 0.5], [0.0, -0.25]]),
    )
    point = np.array([1.0, 1.0, 2.0])
    # A quarter turn about the vertical through (1, 0): (1, 1) + slide (0.3, 0.4).
    assert np.allclose(geometry.transform(poses[0, 2], point), [1 - 1.4, 0.3, 2.0])
    assert np.allclose(geometry.transform(poses[1, 2], point), [0.85, 0.8, 2.0])


def random_tree(seed, joints=7, steps=4):
    rng = np.random.default_rng(seed)
    axes = rng.normal(size=(joints, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    parents = [int(rng.integers(0, joint + 1)) for joint in range(joints)]
    slides = rng.random(joints) < 0.3
    values = rng.uniform(-2, 2, (steps, joints))
    return parents, (slides, axes, rng.normal(size=(joints, 3)), values)


@pytest.mark.parametrize("seed", range(5))
def test_parts_move_rigidly_and_rest_at_0(seed):
    parents, (slides, axes, origins, values) = random_tree(seed)
    points = np.random.default_rng(seed).normal(size=(20, 3))
    gaps = np.linalg.norm(points[:, None] - points, axis=-1)
    poses = geometry.part_poses(parents, slides, axes, origins, values)
    assert poses.shape == (4, 8, 3, 4)
    moved = geometry.transform(poses[:, :, None], points)
    assert np.allclose(
        np.linalg.norm(moved[..., None, :] - moved[..., None, :, :], axis=-1), gaps
    )
    assert np.allclose(np.linalg.det(poses[..., :3]), 1)
    rest = geometry.part_poses(parents, slides, axes, origins, 0 * values)
    assert np.allclose(rest, np.eye(3, 4))


@pytest.mark.parametrize("seed", range(3))
def test_a_joint_moves_its_part_about_its_axis_as_the_parent_carries_it(seed):
    """The axis's points are where the parent puts them."""
    parents, (slides, axes, origins, values) = random_tree(seed)
    values = np.where(slides, 0, values)
    poses = geometry.part_poses(parents, slides, axes, origins, values)
    for joint, parent in enumerate(parents):
        for along in (-1.0, 0.0, 2.0):
            point = origins[joint] + along * axes[joint]
            assert np.allclose(
                geometry.transform(poses[:, joint + 1], point),
                geometry.transform(poses[:, parent], point),
            )


def test_jax_gives_the_same_under_jit():
    parents, arguments = random_tree(1)

    @jax.jit
    def poses(*arguments):
        return geometry.part_poses(parents, *arguments)

    expected = geometry.part_poses(parents, *arguments)
    assert np.allclose(poses(*arguments), expected, atol=1e-5)


def test_an_object_without_joints_is_its_base():
    nothing = np.zeros(0, bool), np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((5, 0))
    poses = geometry.part_poses([], *nothing)
    assert np.array_equal(poses, [np.eye(3, 4)[None]] * 5)
