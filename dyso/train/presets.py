"""What is trained, and how: the presets, and the paper's ablations of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from dyso.errors import UserError

Poses = Literal["latent", "given"]


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network; the defaults are DyST's (appendix A.1).

    Attributes:
      resolution: height and width of the views, in pixels; `dyso train` takes 0 0 for
        the dataset's.
      width: of all transformers' tokens.
      heads: of every attention.
      mlp: hidden width of the transformers' MLPs.
      cnn_width: channels after the first convolution; each block doubles them, up to
        `width`.
      encoder_blocks: of two convolutions, each halving the view: 3 make 8 x 8 patches.
      encoder_layers: of self-attention.
      estimator_blocks: of two convolutions: 4 make 16 x 16 patches.
      estimator_layers: of cross-attention into the first input view, and of
        self-attention.
      decoder_layers: of cross-attention.
      color_hidden: hidden width of the MLP that gives the colour.
      camera_latent: its size; 0 for none.
      dynamics_latent: its size; 0 for none.
      input_poses: whether the encoder is told the input views' rays.
      target_poses: `given` queries with the target's rays instead of latents.
      estimator_sees_scene: whether the estimator attends to the first input view.
      estimator_attends_to_itself: whether its tokens attend to one another.
      estimator_gradient: whether gradients go from it into the encoder.
      estimator_half: it sees one half of each target alone, left or right, drawn at
        random (RUST); metrics are over the right half, seen from the left.
      compute: type of activations and matrix products; parameters, norms, softmax and
        the loss are float32.
      remat: recompute activations in the backward pass, to need less memory.
    """

    resolution: tuple[int, int] = (128, 128)
    width: int = 768
    heads: int = 12
    mlp: int = 1536
    cnn_width: int = 96
    encoder_blocks: int = 3
    encoder_layers: int = 5
    estimator_blocks: int = 4
    estimator_layers: int = 3
    decoder_layers: int = 2
    color_hidden: int = 768
    camera_latent: int = 8
    dynamics_latent: int = 8
    input_poses: bool = False
    target_poses: Poses = "latent"
    estimator_sees_scene: bool = True
    estimator_attends_to_itself: bool = True
    estimator_gradient: bool = True
    estimator_half: bool = False
    compute: Literal["bfloat16", "float32"] = "bfloat16"
    remat: bool = False

    def __post_init__(self) -> None:
        """Checks what must divide what."""
        step = 2 ** max(self.encoder_blocks, self.estimator_blocks)
        for size in self.resolution:
            if size % step:
                raise UserError(f"model.resolution: must be multiples of {step}")
        if self.width % self.heads:
            raise UserError(f"model.width: must be a multiple of {self.heads} heads")

    @property
    def latents(self) -> dict[str, int]:
        """Sizes of the latents by name, in the order of the decoder's query."""
        if self.target_poses == "given":
            return {}
        sizes = {"camera": self.camera_latent, "dynamics": self.dynamics_latent}
        return {name: size for name, size in sizes.items() if size}

    @property
    def tokens_a_view(self) -> int:
        """Tokens of an input view."""
        height, width = self.resolution
        return height * width // 4**self.encoder_blocks

    @property
    def compute_dtype(self) -> Any:
        """The type that activations are computed in."""
        import jax.numpy as jnp

        return {"bfloat16": jnp.bfloat16, "float32": jnp.float32}[self.compute]


Control = Literal["swap", "half", "average", "none"]


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the model learns; the defaults are the paper's.

    Attributes:
      steps: gradient steps.
      batch_size: scenes in a step, over all devices.
      micro_batch: scenes that are held at once, over all devices; gradients of the
        others are added. 0 holds as many as a GPU has memory for, and all on a CPU.
      inputs: views that the encoder sees.
      targets: views that are rendered; 4 where latents are swapped.
      pixels: drawn from all targets of a scene together.
      control: where a target's latents come from on DySO (table 1): the matching
        targets (`swap`), those or its own by a coin (`half`), the mean of both
        (`average`), its own (`none`).
      video_share: of the steps that are on videos, if there are any.
      estimator_scale: of the gradients that flow to and through the estimator.
      static: views of one dynamics step alone (RUST, SRT).
      pose_noise: sigma of what is added to the poses that the model is told.
      learning_rate: after warming up.
      final_learning_rate: from step `decay_steps` on; the decay is exponential.
      decay_steps: the step at which the rate has fallen to its final value; 0 takes the
        `steps` that the run is begun with. Raising `steps` later does not change it.
      warmup_steps: in which the rate grows from 0.
      clip: of the gradient's global norm.
      seed: of parameters, the order of scenes, views and pixels.
      abort_norm: the gradient's norm, before clipping, that ends the run.
    """

    steps: int = 4_000_000
    batch_size: int = 256
    micro_batch: int = 0
    inputs: int = 3
    targets: int = 4
    pixels: int = 8192
    control: Control = "swap"
    video_share: float = 0.5
    estimator_scale: float = 0.2
    static: bool = False
    pose_noise: float = 0.0
    learning_rate: float = 1e-4
    final_learning_rate: float = 1.6e-5
    decay_steps: int = 0
    warmup_steps: int = 2500
    clip: float = 0.1
    seed: int = 0
    abort_norm: float = 1e4


@dataclass(frozen=True, kw_only=True)
class Config:
    """A run.

    Attributes:
      model: the network.
      training: how it learns.
      log_every: steps between lines of progress and metrics.
      save_every: steps between checkpoints, of which the last three are kept.
      keep_every: steps between checkpoints that are kept for good; 0 for none.
      sample_every: steps between pictures.
      evaluate_every: steps between measurements on held-out scenes; 0 for none.
      evaluate_scenes: held-out scenes, at most.
    """

    model: Model = field(default_factory=Model)
    training: Training = field(default_factory=Training)
    log_every: int = 100
    save_every: int = 5_000
    keep_every: int = 0
    sample_every: int = 5_000
    evaluate_every: int = 5_000
    evaluate_scenes: int = 32


def _with(config: Config, model: Any = None, **training: Any) -> Config:
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, **(model or {})),
        training=dataclasses.replace(config.training, **training),
    )


_DYST = Config()
_TINY = Config(
    model=Model(
        resolution=(64, 64),
        width=128,
        heads=4,
        mlp=256,
        cnn_width=8,
        encoder_layers=2,
        estimator_blocks=3,  # 64 query tokens of 64 x 64 pixels, as the paper has
        estimator_layers=2,
        color_hidden=128,
        compute="float32",
    ),
    training=Training(
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
_RUST = _with(
    _DYST,
    {"dynamics_latent": 0, "estimator_half": True},
    inputs=5,
    targets=3,
    control="none",
    static=True,
)
_SRT = _with(
    _DYST,
    {"input_poses": True, "target_poses": "given"},
    inputs=5,
    targets=3,
    control="none",
    static=True,
)
_UPSRT = _with(_SRT, {"input_poses": False})

PRESETS: dict[str, Config] = {
    "dyst": _DYST,
    "dyst-tiny": _TINY,
    "dyst-no-swap": _with(_DYST, control="none"),
    "dyst-half-swap": _with(_DYST, control="half"),
    "dyst-average": _with(_DYST, control="average"),
    "dyst-tiny-no-swap": _with(_TINY, control="none"),
    "rust": _RUST,
    "rust-stopped": _with(_RUST, {"estimator_gradient": False}),
    "rust-no-scene": _with(_RUST, {"estimator_sees_scene": False}),
    "rust-no-self": _with(_RUST, {"estimator_attends_to_itself": False}),
    "rust-pose-3": _with(_RUST, {"camera_latent": 3}),
    "rust-pose-64": _with(_RUST, {"camera_latent": 64}),
    "rust-pose-768": _with(_RUST, {"camera_latent": 768}),
    "srt": _SRT,
    "srt-noisy": _with(_SRT, pose_noise=0.1),
    "upsrt": _UPSRT,
    "upsrt-noisy": _with(_UPSRT, pose_noise=0.1),
}
"""Settings by name: DyST and the ablations of its table 1; RUST, those of its table 1,
and the baselines with poses, with and without noise."""

ABOUT = {
    "dyst": "the paper's model and training: 3 inputs, 4 targets, latent control swap",
    "dyst-tiny": "1.2 M parameters, 8 scenes a step: for a CPU",
    "dyst-no-swap": "each target decoded with its own latents",
    "dyst-half-swap": "with matching latents or its own, by a coin",
    "dyst-average": "with the mean of both",
    "dyst-tiny-no-swap": "the small one without the swap",
    "rust": "no dynamics, 5 inputs, 3 targets; the estimator sees half of a target",
    "rust-stopped": "no gradient from the estimator into the encoder",
    "rust-no-scene": "the estimator does not see the scene",
    "rust-no-self": "its tokens do not attend to one another",
    "rust-pose-3": "a camera latent of 3 numbers",
    "rust-pose-64": "of 64",
    "rust-pose-768": "of 768",
    "srt": "told the rays of all cameras",
    "srt-noisy": "with noise of 0.1 m on the cameras' places",
    "upsrt": "told the rays of the targets' cameras alone",
    "upsrt-noisy": "with noise of 0.1 m",
}
"""A line on each preset."""
