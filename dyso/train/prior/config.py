"""The settings of a video prior: the network, and how it learns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from dyso.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Network:
    """A U-Net over frames and their order, and an encoder of captions.

    Attributes:
      resolution: height and width of the frames, in pixels. Larger videos are averaged
        over squares of pixels. With `0 0`, `dyso train` takes the dataset's.
      upsampling: for super-resolution, how many times larger the frames are than those
        of the video that the model is given; 1 for a prior that is given none.
      frames: frames of a video.
      patch: side of the squares of pixels that are a place of the finest level.
      channels: numbers per place, of each level. The first is the finest; each has half
        the height and half the width of the one before.
      blocks: residual blocks of each level, on the way down and on the way up.
      layers: transformer layers at the coarsest level.
      heads: attention heads.
      text_layers: layers of the captions' encoder.
      tokens: the most words of a caption; further ones are left out.
      words: the vocabulary; `dyso train` takes that of the captions.
      compute: type of activations, see `dyso train dyst --help`.
    """

    resolution: tuple[int, int] = (64, 64)
    upsampling: int = 1
    frames: int = 16
    patch: int = 2
    channels: tuple[int, ...] = (192, 384, 576)
    blocks: int = 2
    layers: int = 4
    heads: int = 8
    text_layers: int = 4
    tokens: int = 32
    words: tuple[str, ...] = ()
    compute: Literal["bfloat16", "float32"] = "bfloat16"

    def __post_init__(self) -> None:
        """Checks what must divide what.

        Raises:
          UserError: sizes do not fit.
        """
        for name in (
            "upsampling",
            "frames",
            "patch",
            "blocks",
            "layers",
            "text_layers",
            "tokens",
        ):
            if getattr(self, name) < 1:
                raise UserError(f"model.{name}: must be at least 1")
        if min(self.channels, default=0) < 1:
            raise UserError("model.channels: must be one number or more, from 1 on")
        place = self.patch * 2 ** (len(self.channels) - 1)
        if any(size % place for size in self.resolution):
            raise UserError(
                f"model.resolution: must be multiples of {place}, the pixels of "
                "model.patch that are one place of the last level of model.channels"
            )
        if self.channels[-1] % self.heads:
            raise UserError(
                "model.channels: the last one must be a multiple of model.heads"
            )
        if any(size % self.upsampling for size in self.resolution):
            raise UserError("model.resolution: must be multiples of model.upsampling")


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the model learns.

    Attributes:
      steps: gradient steps.
      batch_size: videos in a step, over all devices.
      image_share: share of the steps that are on single frames: as many of them as
        frames in a batch of videos.
      no_caption: share of videos whose caption is left out, for guidance.
      strides: dynamics steps from frame to frame are drawn from 1 to this number, as
        far as the videos are long enough; the model is given the frame rate.
      learning_rate: learning rate after the warm-up.
      final_learning_rate: learning rate from step `decay_steps` on; the decay is
        exponential.
      decay_steps: see `dyso train dyst --help`.
      warmup_steps: steps in which the rate grows from 0.
      clip: largest global norm of a gradient.
      seed: seed of the parameters, and of the order of videos, frames and noise.
      abort_norm: the gradient's norm, before clipping, that ends the run.
    """

    steps: int = 200_000
    batch_size: int = 64
    image_share: float = 0.2
    no_caption: float = 0.1
    strides: int = 4
    learning_rate: float = 2e-4
    final_learning_rate: float = 2e-5
    decay_steps: int = 0
    warmup_steps: int = 1_000
    clip: float = 1.0
    seed: int = 0
    abort_norm: float = 1e4

    def __post_init__(self) -> None:
        """Checks the bounds.

        Raises:
          UserError: a setting is out of them.
        """
        for name in ("image_share", "no_caption"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"training.{name}: must be from 0 to 1")
        for name in ("steps", "batch_size", "strides"):
            if getattr(self, name) < 1:
                raise UserError(f"training.{name}: must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Config:
    """A run.

    Attributes:
      model: the network.
      training: how it learns.
      guidance: scale of classifier-free guidance for sample videos; 1 is the prediction
        with the caption alone.
      sample_steps: steps of DDIM for sample videos.
      log_every: steps between lines of progress and metrics.
      save_every: steps between checkpoints, of which the last three are kept.
      keep_every: steps between checkpoints that are kept for good; 0 for none.
      sample_every: steps between pictures of sample videos; 0 for none.
      evaluate_every: steps between evaluations on a split that is not trained on; 0 for
        none.
      evaluate_videos: the largest number of videos of an evaluation.
    """

    KIND: ClassVar[str] = "video-prior"
    model: Network = field(default_factory=Network)
    training: Training = field(default_factory=Training)
    guidance: float = 4.0
    sample_steps: int = 50
    log_every: int = 100
    save_every: int = 5_000
    keep_every: int = 0
    sample_every: int = 5_000
    evaluate_every: int = 5_000
    evaluate_videos: int = 64
