"""Text-to-video pipelines of diffusers as priors, from a local folder, in PyTorch.

A pipeline has an encoder of videos (an AutoencoderKL), a denoiser of the codes (a
UNet3DConditionModel) and a schedule of noise. It is not given the frame rate.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from dyso.errors import UserError

INDEX = "model_index.json"
FRAMES = 16
"""Of a video. A pipeline's files do not tell with how many it was trained."""
_PREDICTIONS = ("epsilon", "v_prediction")


class Pipeline:
    """See `dyso.fit.distillation.optimization.OutsidePrior`.

    Attributes:
      resolution: height and width of the frames, in pixels.
      frames: of a video.
    """

    frames = FRAMES

    def __init__(self, folder: Path, text: str, guidance: float) -> None:
        """Loads a pipeline, and encodes the text.

        Args:
          folder: of the pipeline's `save_pretrained`, with weights in safetensors.
          text: what the videos show.
          guidance: how far beyond the prediction without a text that with it is taken.

        Raises:
          UserError: diffusers is not installed or cannot load the pipeline, or it is
            of another kind.
        """
        try:
            import diffusers
            import torch
            import transformers  # noqa: F401, for the encoder of texts
        except ImportError as error:
            raise UserError(
                f"{folder}: is a pipeline of diffusers: pip install 'dyso[diffusers]'"
            ) from error
        try:
            # Pickles could run code.
            pipeline = diffusers.DiffusionPipeline.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True
            )
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"{folder}: diffusers cannot load it: {reason}") from error
        parts = {"unet": "UNet3DConditionModel", "vae": "AutoencoderKL"}
        for name, kind in parts.items():
            found = type(getattr(pipeline, name, None)).__name__
            if found != kind:
                raise UserError(f"{folder}: {name}: expected {kind}, got {found}")
        scheduler = pipeline.scheduler
        self._prediction = scheduler.config.get("prediction_type", "epsilon")
        if self._prediction not in _PREDICTIONS:
            raise UserError(
                f"{folder}: scheduler.prediction_type: expected one of "
                f"{', '.join(_PREDICTIONS)}, got {self._prediction}"
            )
        pipeline.to("cuda" if torch.cuda.is_available() else "cpu")
        self._unet: Any = pipeline.unet.requires_grad_(False)
        self._vae: Any = pipeline.vae.requires_grad_(False)
        # Of the video's square in a noisy one.
        self._kept = scheduler.alphas_cumprod.double().cpu().numpy()
        self._guidance = guidance
        side = self._unet.config.sample_size * pipeline.vae_scale_factor
        self.resolution = (side, side)
        with torch.no_grad():
            given, empty = pipeline.encode_prompt(text, pipeline.device, 1, True)
        self._words = torch.cat([empty, given])

    def gradient(
        self, video: Float[np.ndarray, "T H W 3"], level: float, seed: int
    ) -> tuple[Float[np.ndarray, "T H W 3"], float]:
        """See `OutsidePrior.gradient`.

        The weighted error of the noise is pulled back from codes to pixels by the
        derivative of the encoder.
        """
        import torch

        device = self._unet.device
        frames = torch.tensor(video.transpose(0, 3, 1, 2), device=device)
        frames.requires_grad_()
        scale = self._vae.config.scaling_factor
        encoded = self._vae.encode(frames).latent_dist.mean * scale
        codes = encoded.detach().transpose(0, 1)[None]  # [1, C, T, h, w]
        step = min(int(level * len(self._kept)), len(self._kept) - 1)
        kept, rest = self._kept[step], 1 - self._kept[step]
        noise = torch.randn(codes.shape, generator=torch.Generator().manual_seed(seed))
        noise = noise.to(device)
        seen = math.sqrt(kept) * codes + math.sqrt(rest) * noise
        with torch.no_grad():
            # Without the text, and with it.
            without, found = self._unet(
                torch.cat([seen, seen]), step, encoder_hidden_states=self._words
            ).sample.chunk(2)
        found = without + self._guidance * (found - without)
        if self._prediction == "v_prediction":
            found = math.sqrt(kept) * found + math.sqrt(rest) * seen
        error = found - noise
        slopes = rest * error[0].transpose(0, 1) * (frames.numel() / error.numel())
        encoded.backward(slopes)
        assert frames.grad is not None
        pulled = frames.grad.cpu().numpy().transpose(0, 2, 3, 1)
        return pulled, float((error**2).mean())


def digest(folder: Path) -> str:
    """Returns what identifies a pipeline: a checksum of all its files."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(folder)}\n".encode())
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()
