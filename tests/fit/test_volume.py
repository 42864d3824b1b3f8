"""Volume rendering against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso.fit.volume import (
    Bounds,
    importance,
    normalized,
    rendering_weights,
    stratified,
)


def test_s_runs_from_near_to_far_and_is_linear_in_inverse_distance():
    bounds = Bounds(near=2.0, far=10.0)
    distances = jnp.array([2.0, 10.0, 1 / ((0.5 + 0.1) / 2)])
    assert np.allclose(bounds.coordinate(distances), [0, 1, 0.5], atol=1e-6)
    s = jnp.linspace(0, 1, 7)
    assert np.allclose(bounds.coordinate(bounds.distance(s)), s, atol=1e-6)


def test_weights_in_homogeneous_fog_follow_the_exponential_law():
    # 1 - exp(-sigma s) of the light comes from up to s, whatever the intervals.
    edges = jnp.array([0.0, 0.1, 0.15, 0.6, 1.0])
    weights = rendering_weights(3.0 * jnp.diff(edges))
    assert np.allclose(jnp.cumsum(weights), 1 - np.exp(-3.0 * edges[1:]), atol=1e-6)


def test_weights_are_those_of_compositing_one_interval_after_another():
    optical = np.random.default_rng(0).exponential(size=(5, 9))
    expected, left = np.zeros_like(optical), np.ones(5)
    for i in range(9):
        alpha = 1 - np.exp(-optical[:, i])
        expected[:, i] = left * alpha
        left *= 1 - alpha
    assert np.allclose(rendering_weights(jnp.asarray(optical)), expected, atol=1e-6)


def test_an_opaque_interval_hides_what_is_behind():
    weights = rendering_weights(jnp.array([0.0, 1e4, 1e4, 0.0]))
    assert np.allclose(weights, [0, 1, 0, 0])
    slopes = jax.jacobian(rendering_weights)(jnp.array([0.0, 1e4, 1e4, 0.0]))
    assert np.isfinite(slopes).all()


def test_the_gradient_is_that_of_finite_differences():
    optical = jnp.asarray(np.random.default_rng(1).exponential(size=6))
    values = jnp.arange(6.0) ** 2

    def color(optical):
        return (rendering_weights(optical) * values).sum()

    found = jax.grad(color)(optical)
    for i in range(6):
        step = 1e-2 * (jnp.arange(6) == i)
        slope = (color(optical + step) - color(optical - step)) / 2e-2
        assert found[i] == pytest.approx(float(slope), abs=2e-3)


def test_stratified_edges_are_in_order_and_random_only_with_a_key():
    even = stratified(None, 2, 4)
    assert np.allclose(even, [[0, 0.25, 0.5, 0.75, 1]] * 2)
    moved = stratified(jax.random.key(0), 50, 8)
    assert (jnp.diff(moved) >= 0).all()
    assert np.allclose(moved[:, [0, -1]], [0, 1])
    assert jnp.std(moved[:, 1]) > 0.01


def test_importance_puts_intervals_where_the_weights_are():
    edges = jnp.linspace(0, 1, 11)[None]
    weights = jnp.zeros((1, 10)).at[0, 6].set(0.5)
    fine = importance(None, edges, weights, 100, padding=0.0)[0]
    # Blurring gives half of the weight to the interval, and a quarter to each beside.
    quantiles = np.interp([0.5, 0.6, 0.7, 0.8], fine, np.linspace(0, 1, 101))
    assert np.allclose(quantiles, [0, 0.25, 0.75, 1], atol=0.01)
    padded = importance(None, edges, weights, 100, padding=0.2)[0]
    assert (padded < 0.45).sum() == pytest.approx(0.2 * 0.45 * 100, abs=2)


def test_without_weights_importance_is_even():
    edges = jnp.linspace(0, 1, 6)[None]
    fine = importance(None, edges, jnp.zeros((1, 5)), 4)
    assert np.allclose(fine, np.linspace(0, 1, 5), atol=1e-5)


def test_normalized_weights_sum_to_one_even_if_all_are_zero():
    weights = jnp.array([[0.0, 0.0], [0.1, 0.3]])
    assert np.allclose(normalized(weights), [[0.5, 0.5], [0.25, 0.75]], atol=1e-5)
