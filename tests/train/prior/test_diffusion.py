"""Noise and its removal, with a denoiser of known answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso.train.prior import diffusion
from dyso.train.prior.diffusion import (
    averaged,
    guided,
    lowered,
    noised,
    sample,
    video_errors,
)
from dyso.train.prior.model import shares

LEVELS = jnp.array([0.1, 0.8])
RATES, WORDS = jnp.ones(2), jnp.array([[1, 2], [3, 0]])


@pytest.fixture
def films():
    return jax.random.uniform(jax.random.key(0), (2, 3, 8, 8, 3), minval=-0.9)


@pytest.fixture
def knows(monkeypatch, films):
    """A denoiser that knows the videos; without a caption it takes them for grey."""

    class Oracle:
        def __init__(self, config):
            pass

        def apply(self, variables, videos, levels, rates, words, low=None):
            known = jnp.concatenate([films] * (len(videos) // 2))
            known = jnp.where(words.any(-1)[:, None, None, None, None], known, 0)
            video, rest = shares(levels)
            return (videos - video * known) / rest

    monkeypatch.setattr(diffusion, "Denoiser", Oracle)


def test_a_video_and_its_noise_keep_their_variance(films):
    video, rest = shares(LEVELS)
    assert np.allclose(video**2 + rest**2, 1)
    assert np.allclose(noised(films, films, jnp.zeros(2)), films)
    seen = noised(jnp.zeros_like(films), films, jnp.ones(2))
    assert np.allclose(seen, films, atol=1e-6)


def test_errors_are_those_of_the_video_that_the_noise_stands_for(films):
    noise = jax.random.normal(jax.random.key(1), films.shape)
    video, rest = shares(LEVELS)
    wrong = 0.3 * films
    found = (noised(films, noise, LEVELS) - video * wrong) / rest
    expected = ((wrong - films) ** 2).mean((1, 2, 3, 4))
    assert np.allclose(video_errors(found, noise, LEVELS), expected, rtol=1e-3)


def test_guidance_goes_beyond_the_prediction_with_a_caption(knows, small_prior, films):
    noise = jax.random.normal(jax.random.key(1), films.shape)
    seen = noised(films, noise, LEVELS)
    arguments = None, small_prior.model, seen, LEVELS, RATES, WORDS
    assert np.allclose(guided(*arguments, 1.0), noise, atol=1e-4)
    _, rest = shares(LEVELS)
    without = seen / rest
    assert np.allclose(guided(*arguments, 0.0), without, atol=1e-4)
    beyond = without + 3 * (noise - without)
    assert np.allclose(guided(*arguments, 3.0), beyond, atol=1e-3)


@pytest.mark.parametrize("steps", [1, 5])
def test_sampling_ends_at_what_the_denoiser_knows(knows, small_prior, films, steps):
    found = sample(
        None,
        small_prior.model,
        jax.random.key(2),
        RATES,
        WORDS,
        steps=steps,
        guidance=1.0,
    )
    assert np.allclose(found, films, atol=1e-3)


def test_super_resolution_is_given_no_detail(films):
    small = averaged(films, 4)
    assert np.allclose(small[1, 2, 0, 1], films[1, 2, :4, 4:].mean((0, 1)), atol=1e-6)
    low = lowered(films, 4, jax.random.key(1), jnp.array([0.0, 0.5]))
    # The same for videos of the same means.
    blurred = jnp.repeat(jnp.repeat(small, 4, axis=2), 4, axis=3)
    again = lowered(blurred, 4, jax.random.key(1), low.levels)
    assert np.allclose(low.videos, again.videos, atol=1e-5)
    assert np.abs(low.videos[0] - blurred[0]).mean() < np.abs(films - blurred).mean()
    # With noise of the second one's level.
    assert low.videos[1].std() > 2 * low.videos[0].std()
