"""Settings: those of earlier runs, and which fit together."""

import dataclasses
import json

import pytest

from dyso.errors import UserError
from dyso.train.checkpoints import load_config
from dyso.train.config import Config, Model


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
