"""Depth losses against closed forms, and degraded depth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso.fit.motion.config import Depth
from dyso.fit.motion.depth import degraded, drawn_loss, empty_loss, expectation_loss

PLACES = jnp.linspace(0.05, 0.95, 10)[None]


def weights(**at):
    values = np.zeros((1, 10))
    for index, weight in at.items():
        values[0, int(index[1:])] = weight
    return jnp.asarray(values)


def ddr(key, given, true, temperature=0.01, draws=4000):
    return float(
        drawn_loss(
            jax.random.key(key),
            given,
            PLACES,
            jnp.array([true]),
            temperature=temperature,
            draws=draws,
        )
    )


def test_weights_on_both_sides_of_the_surface_cost_ddr_alone():
    given, true = weights(i2=0.3, i6=0.3), 0.45
    assert expectation_loss(given, PLACES, jnp.array([true])) == pytest.approx(
        0, abs=1e-6
    )
    assert ddr(0, given, true) == pytest.approx(0.2, abs=5e-3)


def test_all_weight_at_the_surface_costs_nothing():
    given, true = weights(i4=0.7), 0.45
    assert expectation_loss(given, PLACES, jnp.array([true])) < 1e-6
    assert ddr(0, given, true) < 1e-3


def test_at_a_low_temperature_ddr_is_the_expected_error():
    values = np.random.default_rng(0).dirichlet(np.ones(10))[None]
    true = 0.32
    expected = (values * np.abs(np.asarray(PLACES) - true)).sum()
    assert ddr(1, jnp.asarray(values), true) == pytest.approx(expected, rel=0.05)


def test_at_a_high_temperature_ddr_sees_only_the_mean_of_places():
    given, true = weights(i2=0.5, i6=0.5), 0.45
    mean = float(PLACES.mean())
    found = ddr(2, given, true, temperature=1e4, draws=10)
    assert found == pytest.approx(abs(mean - true), abs=1e-3)


def test_ddr_pulls_weight_to_the_surface_and_the_expectation_does_not():
    true = jnp.array([0.45])
    logits = jnp.log(weights(i2=0.5, i4=0.1, i6=0.5) + 1e-3)

    @jax.jit
    def slopes(logits):
        mean_only = jax.grad(
            lambda x: expectation_loss(jax.nn.softmax(x), PLACES, true)
        )
        drawn = jax.grad(
            lambda x: drawn_loss(
                jax.random.key(0),
                jax.nn.softmax(x),
                PLACES,
                true,
                temperature=0.5,
                draws=2000,
            )
        )
        return mean_only(logits)[0], drawn(logits)[0]

    mean_only, drawn = slopes(logits)
    assert drawn[4] < 0 < min(drawn[2], drawn[6])
    # The error of the mean moves weight between both sides instead.
    assert mean_only[2] * mean_only[6] < 0 or jnp.abs(mean_only).max() < 1e-4


def test_empty_space_counts_density_before_the_surface_less_the_margin():
    optical = jnp.ones((1, 10))
    # Places 0.05, 0.15 and 0.25 lie before 0.4 - 0.1.
    assert empty_loss(optical, PLACES, jnp.array([0.4]), 0.1) == 3
    assert empty_loss(optical, PLACES, jnp.array([0.1]), 0.1) == 0


def test_exact_depth_is_not_changed():
    depth = np.random.default_rng(0).uniform(2, 30, (2, 5, 6)).astype(np.float32)
    rng = np.random.default_rng(0)
    assert np.allclose(degraded(depth, Depth(), rng), depth, rtol=1e-6)


def test_scale_and_shift_are_those_stated():
    depth = np.random.default_rng(0).uniform(2, 4, (2, 5, 6)).astype(np.float32)
    rng = np.random.default_rng(0)
    scaled = degraded(depth, Depth(scale=1.5), rng)
    assert np.allclose(scaled, 1.5 * depth, rtol=1e-5)
    shifted = degraded(depth, Depth(shift=0.2), rng)
    assert np.allclose(1 / shifted, 1 / depth + 0.2 / np.median(depth), rtol=1e-5)


def test_noise_has_the_stated_size_and_blur_smooths_edges():
    depth = np.full((4, 30, 40), 3.0, np.float32)
    depth[:, :, 20:] = 6.0
    noisy = degraded(depth, Depth(noise=0.1), np.random.default_rng(0))
    assert np.std(depth / noisy) == pytest.approx(0.1, rel=0.05)
    blurred = degraded(depth, Depth(blur=2.0), np.random.default_rng(0))
    assert np.allclose(blurred[:, :, [0, -1]], depth[:, :, [0, -1]], rtol=1e-3)
    assert (np.diff(blurred[0, 3, 15:25]) > 0).all()
