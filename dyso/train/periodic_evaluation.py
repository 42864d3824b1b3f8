"""Evaluation while a run trains, on the first scenes of another split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dyso.train.config import Config
from dyso.train.data import Batch, Scenes, look_up
from dyso.train.evaluation import quick
from dyso.train.evaluation_views import BATCH, batches, read
from dyso.train.latent_sources import (
    LatentSource,
    LatentSources,
    choose,
    halves,
    table_rows,
)
from dyso.train.memory import InMemory
from dyso.train.predict import Predictor

SHOWN = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationScenes:
    """The first scenes of a split that a run does not train on, decoded.

    Their views are those that `dyso evaluate` draws.

    Attributes:
      config: the run's settings.
      batches: batches of one size, each with the number of its scenes. A shorter last
        batch is filled up by repeating a scene.
    """

    config: Config
    batches: list[tuple[Batch, int]]

    @classmethod
    def load(cls, source: Scenes | InMemory, count: int) -> EvaluationScenes:
        """Reads at most `count` scenes."""
        memory = source if isinstance(source, InMemory) else None
        scenes = memory.source if memory else source
        assert isinstance(scenes, Scenes)
        pictures = memory.pictures if memory else None
        count = min(count, len(scenes))

        def one(index: int) -> Batch:
            return look_up(read(scenes, index), pictures)

        decoded = list(batches(one, range(0, count, BATCH), count))
        return cls(config=scenes.config, batches=decoded)

    def measure(self, params: Any) -> dict[str, float]:
        """Returns the figures of `evaluation.quick`."""
        return quick(Predictor(self.config, params), self.batches)


def estimate(
    predictor: Predictor, batch: Batch, row: LatentSources
) -> tuple[Any, dict[str, np.ndarray]]:
    """Returns the scenes' representations and the targets' own latents, by name."""
    scene = predictor.encode(batch["inputs"], batch)
    seen = halves(batch["targets"], row.right)
    latents = predictor.estimate(batch["targets"], scene, seen)
    return scene, {name: np.asarray(values) for name, values in latents.items()}


def write_sample(path: Path, config: Config, params: Any, batch: Batch) -> None:
    """Writes a picture of four scenes: inputs, targets, and targets as decoded.

    Targets are decoded with their own latents; where latents can be recombined, also
    with both latents of matching views (`swapped`, which should look the same), and
    with the dynamics latent of another step (`other dyn.`, which should have its
    object pose, seen by the target's camera).
    """
    from dyso.train import labels

    predictor = Predictor(config, params)
    few = {name: values[:SHOWN] for name, values in batch.items()}
    first = table_rows(config)[0]
    rows = {"own": first} if first.latents else {"decoded": first}
    if set(first.latents) == {"camera", "dynamics"} and not config.training.static:
        shared: dict[str, LatentSource] = {"camera": "matching", "dynamics": "matching"}
        rows["swapped"] = replace(first, latents=shared)
        rows["other dyn."] = replace(first, latents=shared | {"dynamics": "other"})
    scene, latents = estimate(predictor, few, first)
    images, columns = [], []
    for name in ("inputs", "targets"):
        images.append(few[name])
        numbers = range(1, few[name].shape[1] + 1)
        columns += [f"{name.removesuffix('s')} {i}" for i in numbers]
    for name, row in rows.items():
        decoded = predictor.decode(choose(latents, few, row), scene, few)
        images.append((255 * decoded + 0.5).astype(np.uint8))
        columns += [f"{name} {i}" for i in range(1, decoded.shape[1] + 1)]
    names = [f"scene {i + 1}" for i in range(len(images[0]))]
    labels.table(np.concatenate(images, axis=1), columns, names).save(path)
