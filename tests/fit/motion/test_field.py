"""The blend of both parts, and the region of a field."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso import geometry
from dyso.fit.motion import field as fields
from dyso.fit.motion.config import Grid
from dyso.fit.networks import Layer
from dyso.fit.volume import Bounds

evaluate = jax.jit(fields.evaluate)
GRID = Grid(cells=(6, 5, 4), levels=2, channels=2, hidden=4)


@pytest.fixture(scope="module")
def field():
    return fields.initial(jax.random.key(0), GRID, 4)


def with_outputs(part, biases):
    """The same part, with outputs that are constant."""
    *inner, last = part.network
    last = Layer(jnp.zeros_like(last.weights), jnp.array(biases))
    return part._replace(network=(*inner, last))


def test_both_parts_are_blended_by_their_densities(field):
    share = 0.25
    logit = np.log(share / (1 - share))
    white, black = [20.0] * 3, [-20.0] * 3
    blended = fields.Field(
        static=with_outputs(field.static, [np.log(2.0), *white]),
        dynamic=with_outputs(field.dynamic, [np.log(10.0), *black, logit]),
    )
    got = evaluate(blended, jnp.zeros((1, 3)), jnp.zeros(1))
    still, moving = 0.75 * 2, 0.25 * 10
    assert got.density[0] == pytest.approx(still + moving, rel=1e-5)
    assert got.dynamic[0] == pytest.approx(moving / (still + moving), rel=1e-5)
    assert np.allclose(got.color[0], still / (still + moving), atol=1e-5)


def test_only_the_dynamic_part_varies_over_time(field):
    dynamic = jax.tree.map(
        lambda x: x + jax.random.normal(jax.random.key(1), x.shape), field.dynamic
    )
    points, times = jnp.full((3, 3), 0.3), jnp.array([-1.0, 0.2, 1.0])
    without = [*field.dynamic.network[-1].bias[:4], -50.0]
    still = field._replace(dynamic=with_outputs(dynamic, without))
    densities = evaluate(still, points, times).density
    assert np.allclose(densities, densities[0])
    densities = evaluate(field._replace(dynamic=dynamic), points, times).density
    assert np.ptp(densities) > 0.01


def test_a_field_begins_as_a_thin_fog(field):
    points = jax.random.uniform(jax.random.key(2), (50, 3), minval=-1.0)
    got = evaluate(field, points, jnp.zeros(50))
    assert (jnp.abs(got.density - 1) < 0.3).all()
    assert (jnp.abs(got.dynamic - 0.5) < 0.1).all()


def test_the_cube_has_the_reference_image_and_both_bounds_as_faces():
    position = np.array([3.0, -2.0, 1.5])
    pose = np.concatenate(
        [geometry.look_at(position, np.zeros(3)), position[:, None]], axis=1
    )
    extrinsics = geometry.invert(pose)
    lens = np.array([[20.0, 0, 16], [0, 20.0, 12], [0, 0, 1]])
    frustum = fields.Frustum(
        jnp.asarray(extrinsics), jnp.array([16 / 20, 12 / 20]), Bounds(2.0, 8.0)
    )
    pixels = np.array([[0.0, 0.0], [32.0, 24.0], [16.0, 12.0]])
    origins, directions = geometry.rays(lens, extrinsics, pixels)
    near, far = (frustum.cube(origins + d * directions) for d in (2.0, 8.0))
    across = [[-1, -1], [1, 1], [0, 0]]
    assert np.allclose(near[:, :2], across, atol=1e-5)
    assert np.allclose(far[:, :2], across, atol=1e-5)
    assert np.allclose(near[:, 2], -1, atol=1e-5)
    assert np.allclose(far[:, 2], 1, atol=1e-5)
