"""A prior of super-resolution: a whole run of it, and what it is given."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso.cli import train
from dyso.errors import UserError
from dyso.train import checkpoints
from dyso.train.prior.config import Config
from dyso.train.prior.model import Denoiser, Low
from dyso.train.prior.presets import PRESETS
from dyso.train.prior.run import init_state


@pytest.mark.slow
def test_a_run_is_measured_beside_enlarged_videos(small_prior, films, tmp_path):
    model = dataclasses.replace(small_prior.model, upsampling=2)
    training = dataclasses.replace(small_prior.training, steps=2, decay_steps=2)
    config = dataclasses.replace(
        small_prior, model=model, training=training, sample_every=2, evaluate_every=2
    )
    workdir = tmp_path / "run"
    assert train.video_prior(config, data=films, workdir=workdir) == 0
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    scores = json.loads(lines[-1])
    enlarged, mean = (
        scores[f"evaluation/loss_{name}"] for name in ("enlarged", "mean_frame")
    )
    # An enlarged video is nearer to a video than the mean frame of all.
    assert 0 < enlarged < mean
    assert (workdir / "samples/00000002.png").exists()

    config = checkpoints.load_config(workdir, Config)
    _, params = checkpoints.load_params(workdir, config, init=init_state)
    params = jax.tree.map(lambda x: x + 0.1, params)
    one, words = jnp.ones(1), jnp.ones((1, 6), int)
    shown = jax.random.normal(jax.random.key(0), (1, 3, 8, 8, 3))
    apply = jax.jit(Denoiser(config.model).apply)

    def predicted(low, level):
        given = Low(low, level * one)
        return apply({"params": params}, shown, 0.5 * one, one, words, given)

    usual = predicted(shown, 0.1)
    assert np.abs(predicted(-shown, 0.1) - usual).max() > 1e-4
    assert np.abs(predicted(shown, 0.4) - usual).max() > 1e-4


def test_the_preset_enlarges_what_the_tiny_prior_makes():
    small = PRESETS["video-prior-tiny"].config.model
    large = PRESETS["video-prior-super-resolution-tiny"].config.model
    assert large.frames == small.frames
    assert [size // large.upsampling for size in large.resolution] == [32, 32]
    with pytest.raises(UserError, match=r"must be multiples of model\.upsampling"):
        dataclasses.replace(large, upsampling=3)
