"""The presets: the papers' models and ablations, and small ones for a CPU.

`dyso train NAME --data DATASET --workdir FOLDER` trains one. Each says what it needs of
the dataset and the machine, and the score that its paper reports.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dyso.train.config import Config

Settings = TypeVar("Settings")


@dataclass(frozen=True, kw_only=True)
class Preset(Generic[Settings]):
    """Settings with their description.

    Attributes:
      about: one line about the model.
      needs: what the dataset and the machine must have.
      score: the score that its paper reports, or "".
      config: the settings.
    """

    about: str
    needs: str
    score: str = ""
    config: Settings


def _with(config: Config, model: Any = None, **training: Any) -> Config:
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, **(model or {})),
        training=dataclasses.replace(config.training, **training),
    )


def _tiny(config: Config, **model: Any) -> Config:
    """Returns a run of the same kind for a CPU, at 64 x 64 pixels."""
    return dataclasses.replace(
        _with(
            config,
            {
                "resolution": (64, 64),
                "width": 128,
                "heads": 4,
                "mlp": 256,
                "cnn_width": 8,
                "encoder_layers": 2,
                # As many query tokens as the paper has at 128 x 128: 64.
                "estimator_blocks": 3,
                "estimator_layers": 2,
                "color_hidden": 128,
                "compute": "float32",
                **model,
            },
            steps=4_000,
            batch_size=8,
            pixels=256,
            learning_rate=1e-3,
            final_learning_rate=1e-4,
            warmup_steps=100,
            clip=1.0,
        ),
        log_every=50,
        save_every=500,
        sample_every=500,
        evaluate_every=500,
    )


_DYST = Config()

# RUST's text leaves sizes open. DyST, appendix A.1, says what it changed of RUST:
# queries of 768 "instead of 256", and a colour MLP of 768 "instead of 128". All else is
# as in DyST, since its "architecture and hyperparameters follow RUST".
_RUST = _with(
    _DYST,
    {
        "positions": "learned",
        "query": "mlp",
        "query_width": 256,
        "color_hidden": 128,
        "dynamics_latent": 0,
        "estimator_half": True,
    },
    inputs=5,
    targets=3,
    control="none",
    static=True,
)
# RUST, table 1: SRT and UpSRT with RUST's architecture, marked by a dagger there.
_SRT = _with(
    _RUST,
    {"input_poses": True, "target_poses": "given", "estimator_half": False},
)
_UPSRT = _with(_SRT, {"input_poses": False})
# As in github.com/stelzner/srt, which SRT's authors reviewed: patches of 16 x 16
# pixels, 10 encoder layers, ray features as queries, a colour MLP of 128; and, as its
# comments say of the paper's model, layers that attend to the CNN's tokens and
# normalise last.
_SRT_ORIGINAL = _with(
    _SRT,
    {
        "encoder_blocks": 4,
        "encoder_layers": 10,
        "encoder_attends_to_patches": True,
        "post_norm": True,
        "query": "features",
    },
)
_TINY_DECODER = {"query_width": 64, "color_hidden": 32}  # to its width as RUST's

_SWAP_NEEDS = "4 cameras and 4 dynamics steps or more; several GPUs"
_TINY_NEEDS = "4 cameras and 4 dynamics steps or more; a CPU"
_STATIC_NEEDS = "8 cameras that see each step, as in specs/msn.yaml; several GPUs"
_TINY_STATIC_NEEDS = "8 cameras that see each step; a CPU"


def _dyst(about: str, scores: str, config: Config) -> Preset:
    score = f"{scores} on the official release (DyST, table 1)"
    return Preset(about=about, needs=_SWAP_NEEDS, score=score, config=config)


def _static(about: str, decibels: float, config: Config) -> Preset:
    score = f"PSNR {decibels:.2f} on MultiShapeNet (RUST, table 1)"
    return Preset(about=about, needs=_STATIC_NEEDS, score=score, config=config)


def _tiny_static(about: str, config: Config) -> Preset:
    config = _tiny(config, **_TINY_DECODER)
    return Preset(about=about, needs=_TINY_STATIC_NEEDS, config=config)


PRESETS: dict[str, Preset[Config]] = {
    "dyst": _dyst(
        "DyST: 3 inputs, 4 targets, latent control swap",
        "PSNR 26.0, R_cam 0.06, R_dyn 0.42",
        _DYST,
    ),
    "dyst-no-swap": _dyst(
        "DyST, each target decoded with its own latents",
        "PSNR 18.6, R_cam 0.72, R_dyn 1.26",
        _with(_DYST, control="none"),
    ),
    "dyst-half-swap": _dyst(
        "DyST, swapped latents in half of the scenes, chosen at random",
        "PSNR 25.4, R_cam 0.26, R_dyn 1.07",
        _with(_DYST, control="half"),
    ),
    "dyst-average": _dyst(
        "DyST, the mean of a target's own and the swapped latents",
        "PSNR 22.9, R_cam 0.54, R_dyn 0.96",
        _with(_DYST, control="average"),
    ),
    "dyst-tiny": Preset(
        about="DyST with 1.0 M parameters, 8 scenes per step: for a CPU",
        needs=_TINY_NEEDS,
        config=_tiny(_DYST),
    ),
    "dyst-tiny-no-swap": Preset(
        about="dyst-tiny, each target decoded with its own latents",
        needs=_TINY_NEEDS,
        config=_tiny(_with(_DYST, control="none")),
    ),
    "dyst-tiny-half-swap": Preset(
        about="dyst-tiny, swapped latents in half of the scenes, chosen at random",
        needs=_TINY_NEEDS,
        config=_tiny(_with(_DYST, control="half")),
    ),
    "dyst-tiny-average": Preset(
        about="dyst-tiny, the mean of a target's own and the swapped latents",
        needs=_TINY_NEEDS,
        config=_tiny(_with(_DYST, control="average")),
    ),
    "rust": _static(
        "RUST: no poses, 5 inputs, 3 targets; the estimator sees half of a target",
        23.49,
        _RUST,
    ),
    "rust-stopped": _static(
        "RUST, no gradient from the estimator into the encoder",
        23.16,
        _with(_RUST, {"estimator_gradient": False}),
    ),
    "rust-no-scene": _static(
        "RUST, the estimator does not see the scene",
        20.83,
        _with(_RUST, {"estimator_sees_scene": False}),
    ),
    "rust-no-self": _static(
        "RUST, the estimator's tokens do not attend to one another",
        22.97,
        _with(_RUST, {"estimator_attends_to_itself": False}),
    ),
    "rust-pose-3": _static(
        "RUST with a camera latent of 3 numbers",
        20.40,
        _with(_RUST, {"camera_latent": 3}),
    ),
    "rust-pose-64": _static(
        "RUST with a camera latent of 64 numbers",
        23.40,
        _with(_RUST, {"camera_latent": 64}),
    ),
    "rust-pose-768": _static(
        "RUST with a camera latent of 768 numbers",
        23.11,
        _with(_RUST, {"camera_latent": 768}),
    ),
    "rust-tiny": _tiny_static("RUST of dyst-tiny's size", _RUST),
    "srt": _static("SRT, RUST's architecture given all cameras' rays", 24.40, _SRT),
    "srt-noisy-inputs": _static(
        "srt, with noise of 0.1 m on the inputs' camera positions",
        23.81,
        _with(_SRT, pose_noise=0.1, noisy_poses="inputs"),
    ),
    "srt-noisy": _static(
        "srt, with noise of 0.1 m on all camera positions",
        18.65,
        _with(_SRT, pose_noise=0.1),
    ),
    "srt-original": _static(
        "SRT as first published, given all cameras' rays", 23.31, _SRT_ORIGINAL
    ),
    "srt-tiny": _tiny_static("srt of dyst-tiny's size", _SRT),
    "srt-tiny-noisy-inputs": _tiny_static(
        "srt-tiny, with noise of 0.1 m on the inputs' camera positions",
        _with(_SRT, pose_noise=0.1, noisy_poses="inputs"),
    ),
    "srt-tiny-noisy": _tiny_static(
        "srt-tiny, with noise of 0.1 m on all camera positions",
        _with(_SRT, pose_noise=0.1),
    ),
    "upsrt": _static(
        "UpSRT: srt given the rays of the targets' cameras alone", 23.03, _UPSRT
    ),
    "upsrt-noisy": _static(
        "upsrt, with noise of 0.1 m on the targets' camera positions",
        18.64,
        _with(_UPSRT, pose_noise=0.1),
    ),
    "upsrt-tiny": _tiny_static("upsrt of dyst-tiny's size", _UPSRT),
    "upsrt-tiny-noisy": _tiny_static(
        "upsrt-tiny, with noise of 0.1 m on the targets' camera positions",
        _with(_UPSRT, pose_noise=0.1),
    ),
}
"""Presets by name."""
