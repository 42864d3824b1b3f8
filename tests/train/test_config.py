"""Settings: those of earlier runs, and what they change."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from dyso.errors import UserError
from dyso.train.checkpoints import load_config
from dyso.train.config import Config, Model
from dyso.train.objective import losses
from dyso.train.step import init_params


@pytest.mark.parametrize("before, now", [(False, "none"), (True, "full")])
def test_settings_of_earlier_runs_load(tmp_path, before, now):
    settings = dataclasses.asdict(Config())
    settings["model"]["remat"] = before
    for name in ("query", "query_width", "positions", "post_norm"):
        del settings["model"][name]
    del settings["training"]["noisy_poses"]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    model = dataclasses.replace(Config().model, remat=now)
    assert load_config(tmp_path) == dataclasses.replace(Config(), model=model)


def test_queries_of_ray_features_need_rays():
    with pytest.raises(UserError, match="needs --model"):
        Model(query="features")


def test_rematerialisation_takes_less_memory_for_the_same_gradient(changed):
    gradients, memory = {}, {}
    rng = np.random.default_rng(0)
    ids = np.tile([0, 1, 0, 1], (2, 1))
    batch = {
        "inputs": rng.integers(0, 256, (2, 3, 16, 16, 3), np.uint8),
        "targets": rng.integers(0, 256, (2, 4, 16, 16, 3), np.uint8),
        "cameras": ids,
        "dynamics": np.sort(ids),
    }
    keys = jax.random.split(jax.random.key(0), 2)
    for remat in ("none", "dots", "full"):
        config = changed({"remat": remat, "decoder_layers": 3}, pixels=4096)
        params = init_params(config)

        def total(params, config=config):
            return losses(params, batch, keys, config, video=False).sum()

        compiled = jax.jit(jax.grad(total)).lower(params).compile()
        memory[remat] = compiled.memory_analysis().temp_size_in_bytes
        gradients[remat] = compiled(params)
    for remat in ("dots", "full"):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6),
            gradients["none"],
            gradients[remat],
        )
    assert memory["full"] < memory["dots"] < memory["none"], memory
