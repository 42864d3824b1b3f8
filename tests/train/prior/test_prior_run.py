"""A whole run of a prior: resumed, measured and shown."""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from dyso.cli import arguments, evaluate, train
from dyso.errors import UserError
from dyso.train import checkpoints
from dyso.train.prior.config import Config
from dyso.train.prior.model import Denoiser
from dyso.train.prior.run import init_state, sampled

pytestmark = pytest.mark.slow


def run(config, films, workdir):
    return train.video_prior(config, data=films, workdir=workdir)


@pytest.fixture(scope="module")
def undisturbed(small_prior, films, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("prior") / "run"
    assert run(small_prior, films, workdir) == 0
    return workdir


def params_of(workdir):
    config = checkpoints.load_config(workdir, Config)
    return config, *checkpoints.load_params(workdir, config, init=init_state)


def test_a_resumed_run_ends_at_the_same_parameters(
    undisturbed, small_prior, films, tmp_path, capsys
):
    training = dataclasses.replace(small_prior.training, steps=4)
    run(dataclasses.replace(small_prior, training=training), films, tmp_path / "run")
    assert run(small_prior, films, tmp_path / "run") == 0
    assert "resumes from step 4" in capsys.readouterr().err
    (_, step, found), (_, _, expected) = map(params_of, (tmp_path / "run", undisturbed))
    assert step == 6
    for mine, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        assert np.array_equal(mine, other)


def test_it_is_measured_with_its_floors_and_learns(undisturbed):
    text = (undisturbed / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert {"videos/loss", "images/loss"} <= set().union(*lines)
    assert not any("psnr" in name for name in set().union(*lines))
    scores = lines[-1]
    assert scores["step"] == 6
    # The last layer begins at 0, so that the noise is taken for a share of the video.
    assert 0.1 < scores["evaluation/loss_untrained"] < 1
    assert 0 < scores["evaluation/loss"] < scores["evaluation/loss_untrained"]
    assert scores["evaluation/loss_mean_frame"] > 0


def test_samples_are_a_picture_of_captioned_videos(undisturbed):
    with Image.open(undisturbed / "samples/00000006.png") as picture:
        assert picture.size[0] > 3 * 64
    config, _, params = params_of(undisturbed)
    films = sampled(params, config, ["a", "a"], np.full(2, 12, np.float32))
    assert films.shape == (2, 3, 8, 8, 3)
    assert 0 <= films.min() <= films.max() <= 1
    with pytest.raises(UserError, match="does not know zebra"):
        sampled(params, config, ["a zebra"], np.ones(1, np.float32))


def test_captions_rates_and_levels_decide_what_is_predicted(undisturbed):
    config, _, params = params_of(undisturbed)
    params = jax.tree.map(lambda x: x + 0.1, params)
    films = jax.random.normal(jax.random.key(0), (1, 3, 8, 8, 3))
    one = jnp.ones(1)
    words = jnp.array([[1, 2, 0, 0, 0, 0]])
    apply = jax.jit(Denoiser(config.model).apply)

    def predicted(films, levels, rates, words):
        return np.asarray(apply({"params": params}, films, levels, rates, words))

    usual = predicted(films, 0.5 * one, 12 * one, words)
    for changed in (
        predicted(films, 0.6 * one, 12 * one, words),
        predicted(films, 0.5 * one, 24 * one, words),
        predicted(films, 0.5 * one, 12 * one, words[:, ::-1]),
    ):
        assert np.abs(changed - usual).max() > 1e-4
    # A patch stays at its place.
    shown = predicted(films.at[0, 1, 4:, :4].add(1.0), 0.5 * one, 12 * one, words)
    change = np.abs(shown - usual)[0]
    assert change[1, 4:, :4].mean() > change[1, :4, 4:].mean()
    single = predicted(films[:, :1], 0.5 * one, 0 * one, words)
    assert single.shape == (1, 1, 8, 8, 3)


def test_other_runs_and_settings_need_another_folder(undisturbed, small_prior, films):
    training = dataclasses.replace(small_prior.training, batch_size=3)
    with pytest.raises(UserError, match=r"training\.batch_size: expected 2, got 3"):
        run(dataclasses.replace(small_prior, training=training), films, undisturbed)
    with pytest.raises(UserError, match="is of video-prior, but this needs one"):
        evaluate.main(undisturbed, data=films)


def test_parameters_of_another_network_are_refused(undisturbed, tmp_path):
    copy = shutil.copytree(undisturbed, tmp_path / "run")
    settings = json.loads((copy / "config.json").read_text())
    settings["model"]["blocks"] = 2
    (copy / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="has other parameters than the run's config"):
        params_of(copy)


def test_the_command_has_the_settings_of_a_prior(capsys):
    words = "video-prior-tiny --data D --workdir W --training.steps 7 --guidance 2"
    name, command, rest = train.select(words.split())
    config = arguments.parse(command, f"dyso {name}", rest).keywords["config"]
    assert config.training.steps == 7 and config.guidance == 2
    assert config.model.resolution == (32, 32)
    name, command, rest = train.select(["video-prior", "--help"])
    with pytest.raises(SystemExit):
        arguments.parse(command, f"dyso {name}", rest)
    assert "--training.image-share" in capsys.readouterr().out
    name, command, rest = train.select([*words.split(), "--model.patch", "3"])
    with pytest.raises(UserError, match="must be multiples of 12"):
        arguments.parse(command, f"dyso {name}", rest)
