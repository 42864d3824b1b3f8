"""Text-to-video pipelines of diffusers as priors: tiny ones of the real classes."""

import dataclasses
import importlib.util
import json

import numpy as np
import pytest

from dyso.errors import UserError
from dyso.fit.distillation import run
from dyso.fit.distillation.config import Bias
from dyso.fit.distillation.pipelines import Pipeline
from dyso.fit.hexplane import field as fields
from helpers.small_distillation import SMALL

INSTALLED = all(
    importlib.util.find_spec(name) for name in ("torch", "diffusers", "transformers")
)
needs_diffusers = pytest.mark.skipif(
    not INSTALLED, reason="no test installs PyTorch: pip install 'dyso[diffusers]'"
)
# The libraries warn of their own future.
pytestmark = pytest.mark.filterwarnings("default")

CONFIG = dataclasses.replace(SMALL, bias=Bias(end=0.5))


def save(folder, prediction="epsilon", silent=False):
    """Saves a pipeline that was not trained; a silent one predicts 0."""
    import torch
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        TextToVideoSDPipeline,
        UNet3DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    unet = UNet3DConditionModel(
        sample_size=4,
        block_out_channels=(4, 8),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        cross_attention_dim=8,
        attention_head_dim=4,
        norm_num_groups=2,
    )
    if silent:
        torch.nn.init.zeros_(unet.conv_out.weight)
        torch.nn.init.zeros_(unet.conv_out.bias)
    vae = AutoencoderKL(
        block_out_channels=[4, 8],
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        latent_channels=4,
        norm_num_groups=2,
        sample_size=8,
    )
    words = ["<|startoftext|>", "<|endoftext|>", "re", "red</w>", "ca", "car</w>"]
    letters = [end for each in "acder" for end in (each, f"{each}</w>")]
    folder.mkdir()
    names = {"vocab": folder / "vocab.json", "merges": folder / "merges.txt"}
    names["vocab"].write_text(
        json.dumps({word: i for i, word in enumerate(dict.fromkeys(words + letters))})
    )
    names["merges"].write_text("#version: 0.2\nr e\nre d</w>\nc a\nca r</w>\n")
    tokenizer = CLIPTokenizer(str(names["vocab"]), str(names["merges"]))
    tokenizer.model_max_length = 8
    encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=8,
            intermediate_size=8,
            num_attention_heads=2,
            num_hidden_layers=1,
            max_position_embeddings=8,
            bos_token_id=0,
            eos_token_id=1,
        )
    )
    TextToVideoSDPipeline(
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(prediction_type=prediction),
    ).save_pretrained(folder / "pipeline")
    return folder / "pipeline"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("prior") / "random")


@pytest.fixture
def video():
    return np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 3)).astype(np.float32)


@needs_diffusers
@pytest.mark.slow
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_gradient_is_that_of_the_noise_through_the_encoder(
    prediction, tmp_path, video
):
    import torch

    prior = Pipeline(save(tmp_path / "prior", prediction, silent=True), "a car", 3.0)
    assert prior.resolution == (8, 8) and prior.frames == 16
    slopes, error = prior.gradient(video, 0.5, seed=7)

    vae = prior._vae.double()

    def codes(frames):
        """Returns [1, C, T, h, w]."""
        frames = torch.tensor(frames.transpose(0, 3, 1, 2), dtype=torch.float64)
        mean = vae.encode(frames).latent_dist.mean
        return vae.config.scaling_factor * mean.transpose(0, 1)[None].detach()

    # Stable Diffusion's schedule of DDPM, halfway; diffusers' default is linear.
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[500]
    noise = torch.randn(codes(video).shape, generator=torch.manual_seed(7)).double()
    # A network that says 0 means the noise, or the velocity.
    wrong = -noise
    if prediction == "v_prediction":
        seen = kept**0.5 * codes(video) + (1 - kept) ** 0.5 * noise
        wrong = (1 - kept) ** 0.5 * seen - noise
    assert error == pytest.approx(float((wrong**2).mean()), rel=1e-4)
    for seed in range(3):
        way = np.random.default_rng(seed).normal(size=video.shape)
        change = (codes(video + 1e-4 * way) - codes(video - 1e-4 * way)) / 2e-4
        expected = (1 - kept) * float((wrong * change).mean())
        assert (slopes * way).mean() == pytest.approx(expected, rel=1e-2, abs=1e-5)


@needs_diffusers
@pytest.mark.slow
def test_text_guidance_level_and_seed_decide_the_gradient(folder, video):
    def slopes(text="a car", guidance=5.0, level=0.5, seed=1):
        return Pipeline(folder, text, guidance).gradient(video, level, seed)[0]

    base = slopes()
    assert np.array_equal(base, slopes())
    for change in ({"text": "red"}, {"guidance": 9.0}, {"level": 0.9}, {"seed": 2}):
        assert not np.array_equal(base, slopes(**change)), change
    assert np.isfinite(slopes(level=1.0)).all() and np.isfinite(slopes(level=0)).all()
    # Without guidance, what the text says is all.
    assert not np.array_equal(slopes(guidance=1.0), slopes("red", guidance=1.0))


@needs_diffusers
@pytest.mark.slow
def test_a_scene_from_a_pipeline_stopped_and_resumed(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("dyso.fit.iterations.SAVED_EVERY", 1)

    def stop(*_, **__):
        raise KeyboardInterrupt

    def fit(out, **options):
        said = []
        options = {"config": CONFIG, "show": lambda *_, note: None, **options}
        return run.fit("a red car", folder, out=out, tell=said.append, **options), said

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "one", show=stop)
    report, said = fit(tmp_path / "one")
    assert said[1] == "resuming after iteration 1" and 0 < report["opacity"] < 1
    assert (tmp_path / "one/turn.gif").exists()

    monkeypatch.setattr(run, "_write_result", stop)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "two")
    _, config, after = run.load(tmp_path / "one")
    with (
        np.load(tmp_path / "one/000002.npz") as one,
        np.load(tmp_path / "two/000002.npz") as two,
    ):
        assert all(np.array_equal(one[name], two[name]) for name in one.files)
    before = run.optimization.start(config).field.levels[0]
    for plane, was, axes in zip(
        after.field.levels[0], before, fields.AXES, strict=True
    ):
        assert not np.array_equal(plane, was), axes

    with pytest.raises(UserError, match=r"settings\.guidance"):
        fit(tmp_path / "one", config=dataclasses.replace(CONFIG, guidance=3.0))
    (folder / "README.md").write_text("another")
    with pytest.raises(UserError, match="prior"):
        fit(tmp_path / "one")


@needs_diffusers
@pytest.mark.slow
def test_pipelines_that_cannot_be_priors_are_one_line(tmp_path):
    good = save(tmp_path / "prior", "sample")
    with pytest.raises(UserError, match=r"prediction_type: expected .*, got sample"):
        Pipeline(good, "a car", 1.0)
    index = good / "model_index.json"
    known = json.loads(index.read_text())
    for change, message in (
        ({"_class_name": "StableDiffusionPipeline"}, "."),
        ({"unet": ["diffusers", "UNet2DConditionModel"]}, "."),
        ({"scheduler": ["diffusers", "Missing"]}, "cannot load it"),
    ):
        index.write_text(json.dumps({**known, **change}))
        with pytest.raises(UserError, match=message) as raised:
            Pipeline(good, "a car", 1.0)
        assert "\n" not in str(raised.value)
    index.write_text("{")
    with pytest.raises(UserError, match="cannot load it"):
        Pipeline(good, "a car", 1.0)


@pytest.mark.skipif(INSTALLED, reason="diffusers is installed")
def test_without_diffusers_it_says_what_to_install(tmp_path):
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(UserError, match=r"pip install 'dyso\[diffusers\]'"):
        run.fit(
            "a car",
            tmp_path,
            CONFIG,
            tmp_path / "out",
            tell=lambda line: None,
            show=lambda *counts, note: None,
        )
