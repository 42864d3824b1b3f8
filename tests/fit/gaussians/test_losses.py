"""The losses about motion, for motions whose losses are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso import geometry
from dyso.fit.gaussians import losses
from dyso.fit.gaussians.config import Losses, Neighbors
from dyso.fit.gaussians.model import Gaussians

FRONT, BACK = 40, 5
NEIGHBORS = Neighbors(count=6, falloff=20.0)


def gaussians():
    rng = np.random.default_rng(0)
    count = FRONT + BACK
    means = rng.uniform(0.1, 0.6, (count, 3))
    return Gaussians(
        means=jnp.asarray(means, jnp.float32),
        rotations=jnp.asarray(rng.normal(size=(count, 4)), jnp.float32),
        log_scales=jnp.zeros((count, 3)),
        logit_opacities=jnp.zeros(count),
        colors=jnp.zeros((count, 3)),
        foreground=jnp.asarray(np.arange(count) < FRONT, jnp.float32),
        gains=jnp.zeros((1, 3)),
        offsets=jnp.zeros((1, 3)),
    )


@pytest.fixture(scope="module")
def structure():
    return losses.structure_of(gaussians(), NEIGHBORS)


@pytest.fixture(scope="module")
def losses_of(structure):
    compiled = jax.jit(losses.motion_losses)
    return lambda now: {
        name: float(value)
        for name, value in compiled(now, losses.before(gaussians()), structure).items()
    }


def turned(angle=0.7, shift=(0.3, -0.2, 0.5)):
    """The foreground moved as one rigid body, the background left where it was."""
    before = gaussians()
    turn = geometry.quaternion_from_axis_angle(np.array([0.6, 0.0, 0.8]), angle)
    means, rotations = (np.array(a) for a in (before.means, before.rotations))
    matrix = geometry.quaternion_to_matrix(turn)
    means[:FRONT] = means[:FRONT] @ matrix.T + np.array(shift)
    rotations[:FRONT] = geometry.quaternion_multiply(turn, rotations[:FRONT])
    return before._replace(means=jnp.asarray(means), rotations=jnp.asarray(rotations))


def test_neighbors_are_the_nearest_of_the_foreground(structure):
    points = np.asarray(gaussians().means)[:FRONT]
    distances = np.linalg.norm(points - points[:, None], axis=-1)
    order = np.argsort(distances, axis=1)[:, 1:7]
    assert np.array_equal(structure.neighbors, order)
    nearest = np.take_along_axis(distances, order, axis=1)
    assert np.allclose(structure.distances, nearest, atol=1e-6)
    assert np.allclose(structure.weights, np.exp(-20 * nearest**2), atol=1e-5)


def test_a_rigid_motion_costs_nothing(losses_of):
    assert losses_of(turned()) == pytest.approx(
        dict.fromkeys(losses_of(turned()), 0), abs=3e-6
    )


def test_a_translation_with_turning_gaussians_is_not_rigid(losses_of):
    """Each offset, turned back, differs from itself by 2 sin(angle / 2) across it."""
    moved = turned()._replace(means=gaussians().means)
    found = losses_of(moved)
    assert found["rigid"] > 0.05
    assert found["rotation"] == pytest.approx(0, abs=3e-6)
    assert found["isometry"] == pytest.approx(0, abs=3e-6)


def test_a_stretch_costs_what_its_lengths_say(losses_of, structure):
    now = gaussians()
    stretched = now._replace(
        means=now.means.at[:FRONT].multiply(1.5), rotations=now.rotations
    )
    # |1.5 d - d|, times the root of the weight.
    expected = float((0.5 * structure.distances * jnp.sqrt(structure.weights)).mean())
    found = losses_of(stretched)
    assert found["rigid"] == pytest.approx(expected, rel=1e-4)
    assert found["isometry"] == pytest.approx(expected, rel=1e-4)


def test_one_gaussian_that_turns_alone(losses_of, structure):
    now = gaussians()
    rotations = np.array(losses.before(now).rotations)
    turn = geometry.quaternion_from_axis_angle(np.array([0.0, 0.0, 1.0]), 0.4)
    rotations[3] = geometry.quaternion_multiply(turn, rotations[3])
    found = losses_of(now._replace(rotations=jnp.asarray(rotations)))
    difference = float(np.linalg.norm(turn - np.array([1.0, 0, 0, 0])))
    roots = np.sqrt(np.asarray(structure.weights))
    pairs = roots[3].sum() + roots[np.asarray(structure.neighbors) == 3].sum()
    assert found["rotation"] == pytest.approx(difference * pairs / roots.size, rel=1e-4)


def test_floor_background_and_color(losses_of):
    now = gaussians()
    means = np.array(now.means)
    means[0, 2] = -0.3
    means[FRONT + 1] += [0.1, -0.2, 0.0]
    found = losses_of(
        now._replace(means=jnp.asarray(means), colors=now.colors.at[7].set(0.5))
    )
    assert found["floor"] == pytest.approx(0.3 / FRONT, rel=1e-5)
    assert found["background"] == pytest.approx(0.3 / BACK, rel=1e-5)
    assert found["color"] == pytest.approx(1.5 / (FRONT + BACK), rel=1e-5)


def test_weighted_sum_has_the_papers_weights():
    every = dict.fromkeys(Losses().__dataclass_fields__, 1.0)
    del every["ssim"]
    values = {name: jnp.ones(()) for name in every}
    assert float(losses.weighted(values, Losses())) == pytest.approx(36.01)


@pytest.mark.parametrize("front", [0, 1, 2])
def test_objects_of_few_gaussians(front):
    now = gaussians()
    now = now._replace(
        foreground=jnp.asarray(np.arange(len(now.means)) < front, jnp.float32)
    )
    structure = losses.structure_of(now, NEIGHBORS)
    gradient = jax.grad(
        lambda means: losses.weighted(
            losses.motion_losses(
                now._replace(means=means), losses.before(now), structure
            ),
            Losses(),
        )
    )(now.means)
    assert bool(jnp.isfinite(gradient).all())
