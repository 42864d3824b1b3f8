"""Which cells of space are occupied."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso.fit.hexplane import field as fields
from dyso.fit.hexplane import occupancy
from dyso.fit.hexplane.config import Occupancy

SETTINGS = Occupancy(cells=8, samples=4096, decay=0.5, least=0.01)


@pytest.fixture
def moving(monkeypatch):
    """A field whose dense half space, x > t, grows with time."""

    def evaluate(field, points, times):
        return jnp.where(points[:, 0] > times, 50.0, 0.0), points

    monkeypatch.setattr(fields, "evaluate", evaluate)


def updates(count):
    densities = occupancy.initial(SETTINGS)
    for number in range(count):
        key = jax.random.key(number)
        densities = occupancy.updated(densities, None, key, SETTINGS)
    return densities


def test_everything_is_occupied_at_first():
    points = jax.random.uniform(jax.random.key(0), (50, 3), minval=-1.0)
    densities = occupancy.initial(SETTINGS)
    assert occupancy.occupied(densities, points, 0.01).all()


def test_what_is_dense_at_any_time_is_occupied(moving):
    densities = updates(8)
    x = jnp.linspace(-0.9, 0.9, 8)
    points = jnp.stack([x, 0 * x, 0 * x], axis=-1)
    # At times from -1 to 1, x > t is true somewhere in each cell.
    assert occupancy.occupied(densities, points, 0.01).all()


def test_empty_cells_decay_until_they_are_empty(monkeypatch):
    def evaluate(field, points, times):
        return jnp.where(points[:, 0] > 0, 50.0, 0.0), points

    monkeypatch.setattr(fields, "evaluate", evaluate)
    once, often = updates(1), updates(8)
    assert np.allclose(once[:4], 0.5) and np.allclose(once[4:], 50)
    points = jnp.array([[-0.5, 0, 0], [0.5, 0, 0], [1.0, 1, 1]])
    assert occupancy.occupied(once, points, 0.01).tolist() == [True, True, True]
    assert occupancy.occupied(often, points, 0.01).tolist() == [False, True, True]


def test_a_cell_is_occupied_from_an_opacity_on():
    points = jnp.zeros((1, 3))
    for opacity, expected in ((0.009, False), (0.011, True)):
        density = -np.log1p(-opacity) / (2 / 8)
        densities = jnp.full((8, 8, 8), density)
        assert occupancy.occupied(densities, points, 0.01)[0] == expected
