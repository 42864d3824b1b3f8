"""Rays, their rendering, and gradients of the loss."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso.fit.motion import optimization
from dyso.fit.motion.config import Config, Depth, Grid
from dyso.fit.motion.run import target_of
from dyso.fit.motion.video import Video
from dyso.fit.rays import rays_of
from dyso.reading import Dataset

CONFIG = Config(
    iterations=10,
    rays=16,
    coarse=6,
    fine=5,
    grid=Grid(cells=(6, 5, 4), levels=1, channels=2, hidden=4),
    depth=Depth(draws=2),
)


@pytest.fixture(scope="module")
def target(video):
    return target_of(Video.read(Dataset(video)["videos"], 0), CONFIG)


@pytest.fixture(scope="module")
def parameters():
    field = optimization.fields.initial(jax.random.key(0), CONFIG.grid, 4)
    noise = jax.random.normal(jax.random.key(1), (4, 6))
    return optimization.Parameters(field=field, motions=0.01 * noise)


def test_a_wall_is_seen_at_its_distance(target, parameters):
    """A dense layer in s is where all weight of a ray through it is."""

    def wall(field, points, times):
        dense = (points[:, 2] > 0.2) & (points[:, 2] < 0.4)
        color = jnp.broadcast_to(jnp.array([0.1, 0.5, 0.9]), (len(points), 3))
        return optimization.fields.Samples(
            density=jnp.where(dense, 1e3, 0.0),
            color=color,
            dynamic=jnp.zeros(len(dense)),
        )

    frustum = target.frustum
    pixels = jnp.array([[8.0, 6.0], [3.0, 2.0]])
    rays = rays_of(
        target.intrinsics[:2],
        jnp.broadcast_to(frustum.extrinsics, (2, 3, 4)),
        pixels,
        jnp.zeros(2),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimization.fields, "evaluate", wall)
        render = functools.partial(optimization.render, coarse=40, fine=30)
        got = jax.jit(render)(None, rays, frustum)
    assert np.allclose(got.color, [[0.1, 0.5, 0.9]] * 2, atol=1e-3)
    # 0.2 on the cube's axis from -1 to 1 is s = 0.6.
    assert np.allclose((got.weights * got.places).sum(-1), 0.6, atol=0.03)
    assert got.places.shape == (2, 30)


@pytest.mark.slow
def test_gradients_of_the_loss_are_those_of_finite_differences(target, parameters):
    # Even intervals do not move with the parameters; others do, without a gradient.
    config = dataclasses.replace(CONFIG, fine=0)
    key = jax.random.key(3)

    @jax.jit
    def total(parameters):
        value = functools.partial(optimization.loss, target=target, key=key)
        return jax.value_and_grad(value, has_aux=True)(parameters, config=config)

    slopes = total(parameters)[1]
    # Biases of both decoders: the colours, and the share.
    for part in ("static", "dynamic"):
        zero = jax.tree.map(jnp.zeros_like, parameters)
        changed = getattr(zero.field, part)
        *inner, last = changed.network
        last = last._replace(bias=last.bias.at[1:].set(1.0))
        changed = changed._replace(network=(*inner, last))
        direction = zero._replace(field=zero.field._replace(**{part: changed}))
        products = jax.tree.map(lambda a, b: float((a * b).sum()), slopes, direction)
        up, down = (
            total(jax.tree.map(lambda p, d, s=s: p + s * d, parameters, direction))
            for s in (1e-2, -1e-2)
        )
        expected = float(up[0][0] - down[0][0]) / 2e-2
        assert sum(jax.tree.leaves(products)) == pytest.approx(expected, rel=0.02)
    assert jnp.abs(slopes.motions).max() > 0
