"""Score distillation, with a prior of known answers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso import geometry
from dyso.errors import UserError
from dyso.fit.distillation import cameras, optimization, rendering
from dyso.fit.distillation.config import Bias, Cameras
from dyso.fit.distillation.optimization import Prior
from dyso.fit.hexplane import field as fields
from dyso.fit.hexplane.config import Rates
from dyso.train.prior.config import Network
from dyso.train.prior.model import shares
from helpers.small_distillation import SMALL

MODEL = Network(
    resolution=(4, 4), frames=2, channels=(4, 8), heads=2, compute="float32"
)
CONFIG = dataclasses.replace(
    SMALL, static=20, dynamic=5, rates=Rates(planes=0.1, networks=0.1)
)
RED = jnp.array([0.8, -0.6, -0.6])  # in [-1, 1]


@pytest.fixture
def wants_red(monkeypatch):
    """A prior to which every video ought to be red."""

    def guided(params, config, videos, levels, rates, words, guidance, low=None):
        video, rest = shares(levels)
        return (videos - video * RED) / rest

    monkeypatch.setattr(optimization, "guided", guided)
    return Prior(params={}, words=jnp.zeros((1, 2), jnp.int32))


def advanced(state, prior, frames, first, count):
    step = optimization.gradient_step(CONFIG, MODEL, frames)
    errors = []
    for number in range(first, first + count):
        state, error = step(state, prior, jnp.asarray(number))
        errors.append(float(error))
    return state, errors


def test_the_scene_becomes_what_the_prior_wants_and_then_moves(wants_red):
    before = optimization.start(CONFIG)
    still, _ = advanced(before, wants_red, 1, 0, 20)

    def distance(state):
        poses = cameras.drawn(jax.random.key(5), CONFIG.cameras, 1)
        evaluate = rendering.biased(CONFIG, jnp.array(0.5))
        got = rendering.render(
            state.field,
            state.densities,
            poses,
            jnp.zeros(1),
            CONFIG,
            MODEL.resolution,
            evaluate,
        )
        return float(jnp.abs(2 * got.color - 1 - RED).mean())

    assert distance(still) < 0.6 * distance(before)
    for planes, old in zip(still.field.levels, before.field.levels, strict=True):
        for plane, was, axes in zip(planes, old, fields.AXES, strict=True):
            assert np.array_equal(plane, was) == (3 in axes)
    moving, _ = advanced(still, wants_red, 2, 20, 2)
    for plane, was in zip(moving.field.levels[0], still.field.levels[0], strict=True):
        assert not np.array_equal(plane, was)


class Red:
    """The prior of `wants_red`, outside of JAX."""

    resolution, frames = MODEL.resolution, MODEL.frames

    def gradient(self, video, level, seed):
        share, rest = shares(jnp.full(1, level))
        wrong = share[0] / rest[0] * (video - RED)
        return np.asarray(rest[0] ** 2 * wrong), float((wrong**2).mean())


@pytest.mark.parametrize("frames", [1, 2])
def test_an_outside_prior_that_says_the_same_makes_the_same_step(wants_red, frames):
    config = dataclasses.replace(CONFIG, levels=(0.5, 0.5))
    inside = optimization.gradient_step(config, MODEL, frames)
    outside = optimization.gradient_step(config, Red(), frames)
    state = optimization.start(config)
    for number in map(jnp.asarray, range(2)):
        expected, error = inside(state, wants_red, number)
        found, same = outside(state, Red(), number)
        assert np.isclose(same, error, rtol=1e-4)
        # Moments of gradients; what Adam makes of tiny ones differs by their rounding.
        moments = zip(*map(jax.tree.leaves, (found.adam, expected.adam)), strict=True)
        for one, other in moments:
            assert np.allclose(one, other, rtol=1e-3, atol=1e-6)
        state = expected


def test_super_resolution_is_distilled_beside_the_prior(monkeypatch):
    """One prior wants averaged frames to be red, the other one large frames, blue."""
    large = dataclasses.replace(MODEL, resolution=(8, 8), upsampling=2)
    blue, calls = -RED, []

    def guided(params, config, videos, levels, rates, words, guidance, low=None):
        calls.append((config, videos.shape, low and low.videos.shape))
        video, rest = shares(levels)
        return (videos - video * (RED if low is None else blue)) / rest

    monkeypatch.setattr(optimization, "guided", guided)
    prior = Prior(params={}, words=jnp.zeros((1, 2), jnp.int32))
    key, state = jax.random.key(1), optimization.start(CONFIG)

    def slopes(*larger):
        size = large.resolution if larger else MODEL.resolution

        def value(field):
            video = optimization.filmed(
                field, state.densities, key, jnp.asarray(3), CONFIG, size, 2
            )
            found = optimization.loss(field, *video, prior, key, CONFIG, MODEL, *larger)
            return found[0]

        return jax.tree.leaves(jax.jit(jax.grad(value))(state.field))

    alone, both = slopes(), slopes(prior, large)
    assert calls == [
        (MODEL, (1, 2, 4, 4, 3), None),
        (MODEL, (1, 2, 4, 4, 3), None),
        (large, (1, 2, 8, 8, 3), (1, 2, 8, 8, 3)),
    ]
    # The background's last bias is the colour that the priors do not agree about.
    assert np.abs(alone[-1]).max() > 1e-4
    assert not np.allclose(alone[-1], both[-1], rtol=0.1)


@pytest.mark.parametrize("fusion", ["product", "sum"])
def test_more_density_is_at_the_centre(fusion):
    bias = Bias(strength=6.0, offset=2.0)
    config = dataclasses.replace(CONFIG, fusion=fusion, bias=bias)
    field = optimization.start(config).field
    # The centre, one radius from it, and the edge of contracted space.
    points = jnp.array([[0.0, 0, 0], [0.5, 0, 0], [1.0, 0, 0]])
    plain, _ = fields.evaluate(field, points, jnp.zeros(3), fusion)
    sigma = jnp.array(0.5)
    found, _ = rendering.biased(config, sigma)(field, points, jnp.zeros(3))
    expected = [np.exp(6 - 2), np.exp(6 * np.exp(-2) - 2), np.exp(6 * np.exp(-8) - 2)]
    assert np.allclose(found / plain, expected, rtol=1e-3)
    config = dataclasses.replace(config, bias=Bias(strength=0.0))
    without, _ = rendering.biased(config, sigma)(field, points, jnp.zeros(3))
    assert np.allclose(without, plain)
    assert rendering.sigma_at(CONFIG, 0) == CONFIG.bias.start
    assert rendering.sigma_at(CONFIG, 20) == CONFIG.bias.end


def test_cameras_look_at_the_centre_and_move_as_much_as_asked():
    settings = Cameras(turn=20.0, rise=0.0)
    for seed in range(4):
        poses = cameras.drawn(jax.random.key(seed), settings, 5)
        centre = geometry.transform(poses, jnp.zeros((5, 3)))
        assert np.allclose(centre[:, :2], 0, atol=1e-5)
        assert 2.2 <= centre[0, 2] <= 2.8
        positions = geometry.invert(poses)[:, :, 3]
        azimuth, elevation = geometry.azimuth_elevation(positions)
        assert 10 <= np.rad2deg(elevation[0]) <= 45
        assert np.allclose(elevation, elevation[0], atol=1e-5)
        turned = np.rad2deg(np.unwrap(azimuth)[-1] - azimuth[0])
        assert 0 < abs(turned) <= 20
    still = cameras.drawn(jax.random.key(0), Cameras(turn=0.0, rise=0.0), 5)
    assert np.allclose(still, still[0])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"static": 0, "dynamic": 0}, "nor all of"),
        ({"slowest": 0.0}, "slowest: must be above 0"),
        ({"levels": (0.5, 0.2)}, "levels: must be between 0 and 1"),
        ({"cameras": Cameras(distance=(0.5, 2.0))}, "cameras.distance: must be above"),
        ({"bias": Bias(start=0.0)}, "bias.start and bias.end: must be above 0"),
    ],
)
def test_wrong_settings(change, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(CONFIG, **change)
