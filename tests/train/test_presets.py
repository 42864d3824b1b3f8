"""Every preset: what its table says, and steps and an evaluation at a small size."""

import dataclasses
import runpy
from pathlib import Path

import jax
import numpy as np
import pytest

from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, Dynamics
from dyso.train.config import Config
from dyso.train.data import Scenes
from dyso.train.evaluation import evaluate
from dyso.train.metrics import MEASURES
from dyso.train.predict import Predictor
from dyso.train.presets import PRESETS
from dyso.train.step import devices_mesh, init_state, make_step, place, repeated
from helpers.dataset_writer import write_dataset

BENCHMARK = runpy.run_path("benchmarks/train.py")


@pytest.fixture(scope="module")
def dataset(make_resolved, tmp_path_factory):
    """3 dynamics steps seen by 8 cameras: enough for every preset."""
    resolved = make_resolved(
        splits={"train": 2, "test": 2},
        resolution=(16, 16),
        cameras=Cameras(count=8),
        dynamics=Dynamics(steps=3),
    )
    folder = tmp_path_factory.mktemp("presets") / "data"
    return Dataset(write_dataset(folder, resolved, synthetic_views))


def smaller(config: Config) -> Config:
    """Returns a preset at the size of a test, with all that makes it what it is."""
    sizes = {"resolution": (16, 16), "width": 16, "heads": 2, "mlp": 16, "cnn_width": 4}
    layers = {"encoder_layers": 1, "estimator_layers": 1, "decoder_layers": 1}
    layers["estimator_blocks"] = 3  # half of a view is one patch wide
    model = dataclasses.replace(
        config.model, **sizes, **layers, query_width=8, color_hidden=8
    )
    training = dataclasses.replace(
        config.training, batch_size=2, pixels=32, learning_rate=1e-2, warmup_steps=1
    )
    return dataclasses.replace(config, model=model, training=training)


# The others are traced alone, since compiling takes most of the time. test_run.py
# trains a `dyst` and what differs from it in its variants.
RUN = "rust", "upsrt", "srt-original"


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_steps_and_an_evaluation(name, dataset):
    config = smaller(PRESETS[name].config)
    mesh = devices_mesh()
    step = make_step(config, mesh, video=False)
    scenes = Scenes(split=dataset["train"], config=config)
    drawn = [scenes[index] for index in range(2)]
    batch = {name: np.stack([one[name] for one in drawn]) for name in drawn[0]}
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        k: (v.shape, v.dtype)
        for k, v in next(BENCHMARK["random_batches"](config)).items()
    }
    if name not in RUN:
        state = jax.eval_shape(lambda: init_state(config))
        after, metrics = jax.eval_shape(step, state, place(batch, mesh), None)
        assert jax.tree.map(np.shape, after) == jax.tree.map(np.shape, state)
        assert metrics["loss"].shape == ()
        return
    state = jax.device_put(init_state(config), repeated(mesh))
    before = jax.device_get(state.params)
    losses = []
    for _ in range(8):
        state, metrics = step(state, place(batch, mesh), None)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.8 * losses[0] and state.failed == -1
    unchanged = jax.tree.map(lambda a, b: np.array_equal(a, b), before, state.params)
    assert not any(jax.tree.leaves(unchanged)), unchanged

    found = evaluate(
        Predictor(config, state.params), dataset["test"], 2, {"psnr": MEASURES["psnr"]}
    )
    assert all(0 < row["psnr"] < 40 for row in found.figures["views"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rust", "srt-original"])
def test_the_benchmark_counts_flops_with_and_without_latents(name):
    config = smaller(PRESETS[name].config)
    counted = BENCHMARK["flops"](config)
    estimates = {"estimator"} if config.model.latents else set()
    assert counted.keys() == {"encoder", "decoder"} | estimates
    assert min(counted.values()) > 0


def test_static_presets_follow_rusts_table_and_text():
    configs = {name: preset.config for name, preset in PRESETS.items()}
    for name in ("rust", "srt", "upsrt", "srt-noisy-inputs"):
        model = configs[name].model
        assert (model.query, model.query_width, model.color_hidden) == ("mlp", 256, 128)
        assert model.positions == "learned"
        assert configs[name].training.inputs + configs[name].training.targets == 8
    noise = {
        name: (run.training.pose_noise, run.training.noisy_poses)
        for name, run in configs.items()
        if run.training.pose_noise
    }
    assert noise["srt-noisy-inputs"] == (0.1, "inputs")
    assert noise["srt-noisy"] == noise["upsrt-noisy"] == (0.1, "all")
    original = configs["srt-original"].model
    assert original.query == "features" and original.post_norm


def test_the_training_page_lists_the_presets_as_they_are():
    page = Path("docs/training.md").read_text()
    for name, preset in PRESETS.items():
        assert f"| `{name}` | {preset.about} | {preset.score or '-'} |" in page


def test_noise_is_on_the_poses_that_the_preset_names(dataset):
    poses = {}
    for name in ("srt", "srt-noisy-inputs", "srt-noisy"):
        scenes = Scenes(split=dataset["train"], config=smaller(PRESETS[name].config))
        poses[name] = scenes[0]["extrinsics"]
    different = {
        name: np.abs(own - poses["srt"]).max(axis=(1, 2)) > 1e-6
        for name, own in poses.items()
    }
    inputs, every = different["srt-noisy-inputs"], different["srt-noisy"]
    assert inputs.tolist() == [False] + 4 * [True] + 3 * [False]
    assert every.tolist() == [False] + 7 * [True]
