"""The settings of a run: the network, and how it learns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from dyso.errors import UserError

Poses = Literal["latent", "given"]
Remat = Literal["none", "dots", "full"]


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network; the defaults are DyST's (appendix A.1).

    Attributes:
      resolution: height and width of the views, in pixels. With `0 0`, `dyso train`
        takes the dataset's.
      width: numbers per token of the encoder and the estimator (a transformer's
        d_model; not the width of a view).
      heads: attention heads, each with `width / heads` numbers.
      mlp: hidden width of the transformers' MLPs.
      cnn_width: channels of the first convolution. Each block doubles them, up to
        `width`.
      positions: encoding of patches' positions in their view: `fourier` features go
        with the patch through its linear map; `learned` embeddings are added after it
        (RUST, section 2.1).
      encoder_blocks: blocks of two convolutions; each halves the view. 3 make patches
        of 8 x 8 pixels.
      encoder_layers: layers of self-attention.
      encoder_attends_to_patches: the encoder's layers attend to the CNN's tokens
        instead of their own (the original SRT).
      estimator_blocks: blocks of two convolutions. 4 make patches of 16 x 16 pixels.
      estimator_layers: layers of cross-attention into the first input view, and of
        self-attention.
      decoder_layers: layers of cross-attention.
      query: how [latents, position], or a ray, become a pixel's query: by a `linear`
        map (DyST); by an `mlp` with one hidden layer, as wide as the query ("a small
        query MLP", RUST, section 2.1); or the ray's `features` are the query
        (the original SRT).
      query_width: width of the decoder's queries, unless they are `features`; 0 for
        `width`.
      color_hidden: hidden width of the MLP that returns the colour.
      post_norm: layer norms follow the sum of each layer, instead of preceding the
        layer (the original SRT).
      camera_latent: size of the camera latent; 0 for none.
      dynamics_latent: size of the dynamics latent; 0 for none.
      input_poses: the encoder is given the input views' rays.
      target_poses: `given` makes a query of the target's ray instead of latents.
      estimator_sees_scene: the estimator attends to the first input view.
      estimator_attends_to_itself: the estimator's tokens attend to one another.
      estimator_gradient: gradients flow from the estimator into the encoder.
      estimator_half: the estimator sees only one half of each target, left or right,
        drawn at random (RUST). Scores are those of the right half, with latents from
        the left.
      compute: type of activations and of the factors of matrix products. Always in
        float32: parameters, the sums within a product, norms, softmax, the latents and
        their linear map to queries, colours, and the loss. A product's result is
        rounded to `compute`; in bfloat16, so is a weight's gradient.
      remat: what the backward pass computes again to need less memory: `none`; `dots`,
        all but the results of linear layers; `full`, whole transformer layers.
    """

    resolution: tuple[int, int] = (128, 128)
    width: int = 768
    heads: int = 12
    mlp: int = 1536
    cnn_width: int = 96
    positions: Literal["fourier", "learned"] = "fourier"
    encoder_blocks: int = 3
    encoder_layers: int = 5
    encoder_attends_to_patches: bool = False
    estimator_blocks: int = 4
    estimator_layers: int = 3
    decoder_layers: int = 2
    query: Literal["linear", "mlp", "features"] = "linear"
    query_width: int = 0
    color_hidden: int = 768
    post_norm: bool = False
    camera_latent: int = 8
    dynamics_latent: int = 8
    input_poses: bool = False
    target_poses: Poses = "latent"
    estimator_sees_scene: bool = True
    estimator_attends_to_itself: bool = True
    estimator_gradient: bool = True
    estimator_half: bool = False
    compute: Literal["bfloat16", "float32"] = "bfloat16"
    remat: Remat = "none"

    def __post_init__(self) -> None:
        """Checks what must divide what.

        Raises:
          UserError: sizes do not fit, or a query has no ray to be the features of.
        """
        step = 2 ** max(self.encoder_blocks, self.estimator_blocks)
        for size in self.resolution:
            if size % step:
                raise UserError(f"model.resolution: must be multiples of {step}")
        half = 2 * 2**self.estimator_blocks
        if self.estimator_half and self.resolution[1] % half:
            raise UserError(
                f"model.resolution: the width must be a multiple of {half}, of which "
                "the estimator sees half"
            )
        if self.width % self.heads:
            raise UserError(f"model.width: must be a multiple of {self.heads} heads")
        if self.query == "features" and self.target_poses != "given":
            raise UserError(
                "model.query: `features` are those of rays: needs "
                "--model.target-poses given"
            )

    @property
    def latents(self) -> dict[str, int]:
        """Sizes of the latents by name, in the order in which the query holds them."""
        if self.target_poses == "given":
            return {}
        sizes = {"camera": self.camera_latent, "dynamics": self.dynamics_latent}
        return {name: size for name, size in sizes.items() if size}

    @property
    def query_size(self) -> int:
        """Width of the decoder's queries, unless they are `features`."""
        return self.query_width or self.width

    @property
    def tokens_a_view(self) -> int:
        """Number of tokens of an input view."""
        height, width = self.resolution
        return height * width // 4**self.encoder_blocks

    @property
    def compute_dtype(self) -> Any:
        """JAX's type for `compute`."""
        import jax.numpy as jnp

        return {"bfloat16": jnp.bfloat16, "float32": jnp.float32}[self.compute]


@runtime_checkable
class Learning(Protocol):
    """The optimiser's settings, which every kind of model has; see `Training`."""

    @property
    def steps(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def final_learning_rate(self) -> float: ...
    @property
    def decay_steps(self) -> int: ...
    @property
    def warmup_steps(self) -> int: ...
    @property
    def clip(self) -> float: ...
    @property
    def abort_norm(self) -> float: ...


Control = Literal["swap", "half", "average", "none"]


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the model learns; the defaults are DyST's (appendix A.1).

    Attributes:
      steps: gradient steps.
      batch_size: scenes in a step, over all devices.
      micro_batch: scenes that are held at once, over all devices; gradients of the
        others are added. 0 holds as many as a GPU has memory for, and all on a CPU.
      inputs: views that the encoder sees.
      targets: views that are rendered; 4 where latents are swapped.
      pixels: pixels drawn per scene and step, uniformly over all its targets together.
      control: where a target's latents come from, except in videos (DyST, table 1):
        from the matching targets (`swap`); from these or the target itself, chosen at
        random per scene (`half`); the mean of both (`average`); from the target itself
        (`none`).
      video_share: share of the steps that are on videos, if there are any.
      estimator_scale: factor of the gradients that flow to and through the estimator.
      static: take all views from one dynamics step (RUST, SRT).
      pose_noise: standard deviation, in metres, of Gaussian noise on the camera
        positions that the model is given.
      noisy_poses: the poses that have this noise: those of `inputs` alone, or `all`
        (RUST, table 1). The first input view's never has, since the others are
        relative to it.
      learning_rate: learning rate after the warm-up.
      final_learning_rate: learning rate from step `decay_steps` on; the decay is
        exponential.
      decay_steps: the step at which the rate has fallen to its final value; 0 takes the
        `steps` that the run is begun with. Raising `steps` later does not change it.
      warmup_steps: steps in which the rate grows from 0.
      clip: largest global norm of a gradient.
      seed: seed of the parameters, and of the order of scenes, views and pixels.
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
    noisy_poses: Literal["all", "inputs"] = "all"
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
      sample_every: steps between pictures; 0 for none.
      evaluate_every: steps between evaluations on a split that is not trained on; 0 for
        none.
      evaluate_scenes: the largest number of scenes of an evaluation.
    """

    model: Model = field(default_factory=Model)
    training: Training = field(default_factory=Training)
    log_every: int = 100
    save_every: int = 5_000
    keep_every: int = 0
    sample_every: int = 5_000
    evaluate_every: int = 5_000
    evaluate_scenes: int = 32
