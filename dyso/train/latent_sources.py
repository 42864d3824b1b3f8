"""The ways in which an evaluation asks for a target: where its latents come from."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from dyso.train.config import Config
from dyso.train.data import Batch
from dyso.train.latent_swap import sources

Source = Literal["target", "matching", "other"]


@dataclass(frozen=True, kw_only=True)
class Way:
    """How images of a table's row are asked for, and where they are scored.

    Attributes:
      latents: of each latent, which target it is estimated from: the one that is
        decoded (`target`), the other one that shares what the latent stands for
        (`matching`), or one that shares neither camera nor dynamics (`other`).
      right: the estimator sees the right half of it, or the left; None sees all.
      region: of the image that is scored.
    """

    latents: dict[str, Source]
    right: bool | None = None
    region: Literal["whole", "right half"] = "whole"

    @property
    def seen(self) -> bool:
        """Whether a latent is estimated from the pixels that are scored."""
        return "target" in self.latents.values() and self.right is not False

    @property
    def how(self) -> str:
        """Says how the targets' latents are obtained."""
        if not self.latents:
            return "the target's true pose; no latents"
        part = {None: "", True: "the right half of ", False: "the left half of "}
        places = {
            "target": "the target itself",
            "matching": "the other target with the same {}",
            "other": "a target of another camera and other dynamics",
        }
        return "; ".join(
            f"{name} latent from {part[self.right]}{places[source].format(name)}"
            for name, source in self.latents.items()
        )


def ways(config: Config) -> list[Way]:
    """Gives the rows of a model's table (DyST, fig. 3; RUST, table 1)."""
    names = list(config.model.latents)
    if not names:
        return [Way(latents={}), Way(latents={}, region="right half")]
    every: tuple[Source, ...] = ("target", "matching", "other")
    if config.training.static:
        every = ("target",)
    choices = [
        dict(zip(names, own, strict=True))
        for own in itertools.product(every, repeat=len(names))
    ]
    if config.model.estimator_half:
        return [
            Way(latents=own, right=right, region="right half")
            for right in (False, True)
            for own in choices
        ]
    return [Way(latents=own) for own in choices]


def partners(ids: Batch, name: str) -> dict[str, Int[np.ndarray, "S T"]]:
    """Gives for each target the target of another source, for one of the latents.

    Args:
      ids: `cameras` and `dynamics` of the targets, as a batch has them.
      name: of the latent.

    Returns:
      By source; also `opposite`, the target that shares what the other latent stands
      for, alone.
    """
    camera, step = (np.asarray(sources(ids[own])) for own in ("cameras", "dynamics"))
    return {
        "matching": camera if name == "camera" else step,
        "opposite": step if name == "camera" else camera,
        "other": np.take_along_axis(step, camera, axis=1),
    }


def choose(
    latents: dict[str, np.ndarray], ids: Batch, way: Way
) -> dict[str, np.ndarray]:
    """Gives the latents that each target is decoded with.

    Args:
      latents: [S, T, L], of the targets themselves.
      ids: see `partners`.
      way: where they come from.
    """
    return {
        name: own
        if way.latents[name] == "target"
        else np.take_along_axis(
            own, partners(ids, name)[way.latents[name]][..., None], axis=1
        )
        for name, own in latents.items()
    }


def halves(views: np.ndarray, right: bool | None) -> Bool[np.ndarray, "S T"] | None:
    """Says to the estimator which half of each view it may see."""
    return None if right is None else np.full(views.shape[:2], right)


def crop(images: np.ndarray, way: Way) -> np.ndarray:
    """Gives the region that is scored, of images [S, T, H, W, 3], one after another."""
    start = 0 if way.region == "whole" else images.shape[-2] // 2
    part = images[..., start:, :]
    return part.reshape(-1, *part.shape[2:])
