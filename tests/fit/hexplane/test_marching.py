"""Rays at the points that are occupied."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso.fit.hexplane import field as fields
from dyso.fit.hexplane import marching
from dyso.fit.hexplane.config import Background, Config, Grid, Marching, Occupancy
from dyso.fit.rays import Rays
from dyso.fit.volume import Bounds

CONFIG = Config(
    grid=Grid(coarsest=2, finest=2, levels=1, channels=1, layers=1, hidden=2),
    background=Background(layers=1, hidden=2, frequencies=1),
    marching=Marching(candidates=64, points=16),
    occupancy=Occupancy(cells=32),
)
REGION = fields.Region(jnp.zeros(3), jnp.array(1.0), Bounds(2.0, 20.0))
RAYS = Rays(
    origins=jnp.array([[-4.0, 0, 0], [-4.0, 3, 0]]),
    directions=jnp.array([[1.0, 0, 0]] * 2),
    times=jnp.zeros(2),
)


def test_all_that_are_needed_are_chosen_if_they_are_few():
    needed = jnp.array([[0, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0]], bool)
    chosen, used, stride = marching.choose(needed, 4, 0.9)
    assert used.tolist() == [[True] * 3 + [False], [False] * 4]
    assert chosen[0, :3].tolist() == [1, 2, 4]
    assert (stride == 1).all()


def test_of_too_many_each_nth_is_chosen():
    needed = jnp.ones((1, 100), bool).at[:, 50:60].set(False)
    chosen, used, stride = marching.choose(needed, 30, 0.5)
    assert used.all() and stride[0, 0] == 3
    assert np.asarray(needed[0, chosen[0]]).all()
    assert (jnp.diff(chosen[0]) > 0).all()
    assert chosen[0, 0] == 1 and chosen[0, -1] >= 97
    last = marching.choose(needed, 30, 0.999)[0]
    assert last[0, -1] == 99


@pytest.fixture
def wall(monkeypatch):
    """A field with a dense layer from x = 0 to 0.4 of the inner cube, and no more."""

    def evaluate(field, points, times):
        x, y = 2 * points[:, 0], 2 * points[:, 1]
        dense = (x > 0) & (x < 0.4) & (jnp.abs(y) < 1)
        color = jnp.broadcast_to(jnp.array([0.1, 0.5, 0.9]), points.shape)
        return jnp.where(dense, 1e3, 0.0), color

    monkeypatch.setattr(fields, "evaluate", evaluate)
    return fields.initial(jax.random.key(0), CONFIG.grid, CONFIG.background, 1)


@pytest.mark.parametrize("around", [True, False])
def test_a_wall_is_seen_at_its_distance_and_else_the_background(wall, around):
    densities = jnp.ones((32, 32, 32))
    if around:  # Empty but for the wall and some space before and behind it.
        densities = densities.at[:14].set(0).at[20:].set(0)
    render = jax.jit(functools.partial(marching.render, config=CONFIG))
    got = render(wall, densities, RAYS, REGION)
    assert got.weights.shape == (2, 16)
    through = 1 - got.weights.sum(-1)
    assert through[0] < 1e-6 and through[1] == 1
    distance = REGION.bounds.distance((got.weights * got.places).sum(-1))[0]
    assert distance == pytest.approx(4, abs=0.12 if around else 0.5)
    assert np.allclose(got.color[0], [0.1, 0.5, 0.9], atol=1e-6)
    assert np.allclose(got.color[1], fields.behind(wall, RAYS.directions)[1])


def test_an_empty_cell_is_not_looked_up(wall):
    got = marching.render(wall, jnp.zeros((32, 32, 32)), RAYS, REGION, CONFIG)
    assert (got.weights == 0).all()


def test_the_inner_cube_is_scaled_and_space_around_it_contracted():
    region = fields.Region(jnp.array([1.0, 2, 3]), jnp.array(2.0), Bounds(1.0, 9.0))
    inside, corner, far = region.cube(
        jnp.array([[2.0, 2, 3], [3.0, 4, 5], [1.0, 2002, 3]])
    )
    assert np.allclose(inside, [0.25, 0, 0]) and np.allclose(corner, [0.5] * 3)
    assert np.allclose(far, [0, 1, 0], atol=1e-3) and far[1] < 1
    # The largest coordinate alone says how far a point is moved.
    assert np.allclose(region.cube(jnp.array([5.0, 6, 3])), [0.75, 0.75, 0])


def test_the_background_depends_on_the_direction():
    field = fields.initial(jax.random.key(0), CONFIG.grid, Background(), 1)
    directions = jnp.eye(3)
    colors = jax.jit(fields.behind)(field, directions)
    assert ((colors > 0) & (colors < 1)).all()
    assert np.abs(np.diff(colors, axis=0)).max() > 0.01


def test_levels_grow_by_the_same_factor():
    assert Grid(coarsest=16, finest=256, levels=5).cells == (16, 32, 64, 128, 256)
    assert Grid(coarsest=16, finest=2048, levels=7).cells[::6] == (16, 2048)
    assert Grid(coarsest=16, finest=64, levels=1).cells == (16,)
