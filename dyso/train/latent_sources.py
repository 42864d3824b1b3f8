"""Where an evaluation takes a target's latents from, and where it scores the image."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from dyso.train.config import Config
from dyso.train.data import Batch
from dyso.train.latent_swap import other_with_same_id

LatentSource = Literal["target", "matching", "other"]


@dataclass(frozen=True, kw_only=True)
class LatentSources:
    """Where the latents of one row of the table come from, and what the row scores.

    Attributes:
      latents: the source of each latent: the decoded target itself (`target`), the
        other target that shares what the latent stands for (`matching`), or a target
        that shares neither camera nor dynamics (`other`).
      right: whether the estimator sees the right half of the source or the left half;
        None if it sees all of it.
      region: the part of the image that is scored.
    """

    latents: dict[str, LatentSource]
    right: bool | None = None
    region: Literal["whole", "right half"] = "whole"

    @property
    def seen(self) -> bool:
        """Whether a latent is estimated from the pixels that are scored."""
        return "target" in self.latents.values() and self.right is not False

    @property
    def how(self) -> str:
        """The sources in words."""
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


def table_rows(config: Config) -> list[LatentSources]:
    """Returns the rows of a model's table (DyST, fig. 3; RUST, table 1)."""
    names = list(config.model.latents)
    if not names:
        whole = LatentSources(latents={})
        return [whole, LatentSources(latents={}, region="right half")]
    every: tuple[LatentSource, ...] = ("target", "matching", "other")
    if config.training.static:
        every = ("target",)
    choices = [
        dict(zip(names, chosen, strict=True))
        for chosen in itertools.product(every, repeat=len(names))
    ]
    if config.model.estimator_half:
        return [
            LatentSources(latents=chosen, right=right, region="right half")
            for right in (False, True)
            for chosen in choices
        ]
    return [LatentSources(latents=chosen) for chosen in choices]


def main_row(config: Config) -> LatentSources:
    """Returns the row that the papers' tables report.

    DyST takes each latent from the matching target (table 1), RUST from the half of the
    target that is not scored, and models with poses have no latents.
    """
    rows = table_rows(config)
    matching = (row for row in rows if set(row.latents.values()) == {"matching"})
    return next(matching, rows[0])


def partners(ids: Batch, name: str) -> dict[str, Int[np.ndarray, "S T"]]:
    """Returns, for each target, the index of its partner of every kind.

    Args:
      ids: `cameras` and `dynamics` of the targets, as a batch has them.
      name: the latent's name.

    Returns:
      By kind: `matching` shares what the latent stands for and nothing else, `opposite`
      shares only what the other latent stands for, and `other` shares neither.
    """
    camera, step = (
        np.asarray(other_with_same_id(ids[key])) for key in ("cameras", "dynamics")
    )
    return {
        "matching": camera if name == "camera" else step,
        "opposite": step if name == "camera" else camera,
        "other": np.take_along_axis(step, camera, axis=1),
    }


def source_targets(
    ids: Batch, sources: LatentSources
) -> dict[str, Int[np.ndarray, "S T"]]:
    """Returns, by latent, the index of the target from which each target takes it.

    Args:
      ids: see `partners`.
      sources: of the latents.
    """
    own = np.broadcast_to(np.arange(ids["cameras"].shape[1]), np.shape(ids["cameras"]))
    return {
        name: own if source == "target" else partners(ids, name)[source]
        for name, source in sources.latents.items()
    }


def choose(
    latents: dict[str, np.ndarray], ids: Batch, sources: LatentSources
) -> dict[str, np.ndarray]:
    """Returns the latents that each target is decoded with.

    Args:
      latents: [S, T, L], estimated from the targets themselves.
      ids: see `partners`.
      sources: which targets' latents to take.
    """
    chosen = source_targets(ids, sources)
    return {
        name: np.take_along_axis(values, chosen[name][..., None], axis=1)
        for name, values in latents.items()
    }


def halves(views: np.ndarray, right: bool | None) -> Bool[np.ndarray, "S T"] | None:
    """Returns which half of each view the estimator sees, as it takes them."""
    return None if right is None else np.full(views.shape[:2], right)


def crop(images: np.ndarray, sources: LatentSources) -> np.ndarray:
    """Returns the scored region of images [S, T, H, W, 3], as [S * T, H, W', 3]."""
    start = 0 if sources.region == "whole" else images.shape[-2] // 2
    part = images[..., start:, :]
    return part.reshape(-1, *part.shape[2:])
