"""Poses that are moved, perturbed, and aligned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso import geometry
from dyso.fit.motion.cameras import aligned, moved, perturbed
from dyso.scoring.poses import pose_errors


@pytest.fixture
def poses():
    """Extrinsics of 7 cameras that look at the origin from nearly the same place."""
    rng = np.random.default_rng(0)
    positions = np.array([3.0, -2.0, 1.5]) + 0.05 * rng.normal(size=(7, 3))
    to_world = [
        np.concatenate([geometry.look_at(p, np.zeros(3)), p[:, None]], axis=1)
        for p in positions
    ]
    return geometry.invert(np.stack(to_world))


def test_no_motion_changes_nothing_and_has_a_gradient(poses):
    assert np.allclose(moved(poses, np.zeros((7, 6))), poses)
    turned = jax.jit(jax.jacobian(lambda m: moved(jnp.asarray(poses[0]), m)))
    slopes = turned(jnp.zeros(6))
    assert np.isfinite(slopes).all()
    assert jnp.abs(slopes).sum((0, 1)).min() > 0


def test_a_motion_turns_and_shifts_in_the_cameras_axes(poses):
    point = np.array([0.2, 0.1, -0.3])
    local = geometry.transform(poses[0], point)
    after = geometry.transform(moved(poses[0], np.array([0, 0, 0.02, 1, 2, 3])), point)
    cos, sin = np.cos(0.02), np.sin(0.02)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    assert np.allclose(after, turn @ local + [1, 2, 3], atol=1e-5)


def test_perturbed_poses_have_errors_of_the_stated_size(poses):
    many = np.tile(poses, (300, 1, 1)).astype(np.float32)
    errors = pose_errors(many, perturbed(many, 0.5, 0.0, np.random.default_rng(0)))
    # The mean length of three normal errors is 1.6 deviations.
    assert errors["rotation"] == pytest.approx(0.5 * 1.596, rel=0.05)
    errors = pose_errors(many, perturbed(many, 0.0, 0.02, np.random.default_rng(0)))
    assert errors["rotation"] < 0.05
    assert errors["translation"] == pytest.approx(0.02 * 1.596, rel=0.05)


def test_a_world_that_turned_and_moved_is_found(poses):
    turn = geometry.quaternion_to_matrix(np.array([0.9, 0.1, -0.3, 0.2]))
    world = np.concatenate([turn, [[1.0], [-2.0], [0.5]]], axis=1)
    # x_cam = R X + t = R W^-1 (W X) + t.
    whole = np.concatenate([poses, np.tile([[[0, 0, 0, 1.0]]], (7, 1, 1))], axis=1)
    inverse = np.linalg.inv(np.concatenate([world, [[0, 0, 0, 1.0]]]))
    learned = (whole @ inverse)[:, :3]
    others = poses[:2]
    found = aligned(others, poses[2:], learned[2:])
    assert np.allclose(found, learned[:2], atol=1e-9)
