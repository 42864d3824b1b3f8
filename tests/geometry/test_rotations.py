import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyso.geometry import (
    quaternion_from_axis_angle,
    quaternion_from_matrix,
    quaternion_multiply,
    quaternion_to_matrix,
    rotation_angle,
)

seeds = st.integers(0, 2**32 - 1)
Z = np.array([0.0, 0.0, 1.0])


def random_quaternions(seed: int, count: int = 8) -> np.ndarray:
    q = np.random.default_rng(seed).normal(size=(count, 4))
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def random_axes(seed: int, count: int = 8) -> np.ndarray:
    axes = np.random.default_rng(seed).normal(size=(count, 3))
    return axes / np.linalg.norm(axes, axis=-1, keepdims=True)


def test_a_quarter_turn_about_z_takes_x_to_y():
    q = quaternion_from_axis_angle(Z, np.pi / 2)
    np.testing.assert_allclose(q, [np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
    np.testing.assert_allclose(
        quaternion_to_matrix(q) @ [1, 0, 0], [0, 1, 0], atol=1e-15
    )


@given(seeds)
def test_matrices_are_rotations(seed):
    m = quaternion_to_matrix(random_quaternions(seed))
    np.testing.assert_allclose(
        m @ m.swapaxes(-1, -2), np.broadcast_to(np.eye(3), m.shape), atol=1e-14
    )
    np.testing.assert_allclose(np.linalg.det(m), 1)


@given(seeds)
def test_quaternion_to_matrix_and_back(seed):
    q = random_quaternions(seed)
    q = np.where(q[:, :1] < 0, -q, q)
    np.testing.assert_allclose(
        quaternion_from_matrix(quaternion_to_matrix(q)), q, atol=1e-12
    )


@pytest.mark.parametrize("axis", [*np.eye(3).tolist(), [0.6, 0.0, 0.8]])
@pytest.mark.parametrize("angle", [0.0, 1e-9, np.pi / 2, np.pi - 1e-9, np.pi])
def test_from_matrix_near_the_identity_and_half_turns(axis, angle):
    matrix = quaternion_to_matrix(quaternion_from_axis_angle(np.array(axis), angle))
    back = quaternion_to_matrix(quaternion_from_matrix(matrix))
    np.testing.assert_allclose(back, matrix, atol=1e-12)


@given(seeds, st.floats(1e-3, 1e3))
def test_the_norm_of_a_quaternion_does_not_matter(seed, norm):
    q = random_quaternions(seed)
    np.testing.assert_allclose(
        quaternion_to_matrix(norm * q), quaternion_to_matrix(q), atol=1e-12
    )


@given(seeds, seeds)
def test_a_product_applies_the_second_first(seed_a, seed_b):
    a, b = random_quaternions(seed_a), random_quaternions(seed_b)
    np.testing.assert_allclose(
        quaternion_to_matrix(quaternion_multiply(a, b)),
        quaternion_to_matrix(a) @ quaternion_to_matrix(b),
        atol=1e-13,
    )


@given(seeds, st.floats(0, np.pi))
def test_rotation_angle_is_the_angle_turned_by(seed, angle):
    before = random_quaternions(seed)
    turn = quaternion_from_axis_angle(random_axes(seed), np.full(len(before), angle))
    after = quaternion_multiply(turn, before)
    np.testing.assert_allclose(rotation_angle(after, before), angle, atol=1e-7)
    np.testing.assert_allclose(rotation_angle(-after, before), angle, atol=1e-7)
