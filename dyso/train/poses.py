"""Explicit pose estimation from frozen latents (RUST, section 4.2.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from dyso import geometry
from dyso.reading import Split, loader
from dyso.train.config import Model
from dyso.train.data import Batch, Scenes, relative
from dyso.train.evaluation_views import BATCH, VIEWS_SEED, batches
from dyso.train.latent_sources import halves
from dyso.train.model import decode_queries
from dyso.train.predict import Predictor

LEARNING_RATE = 3e-4
SCENES_A_STEP = 32


class Head(nn.Module):
    """Estimates a target's camera position relative to another's.

    It follows the decoder (RUST, section 4.2.1): the latents of both targets together
    are the query that attends to the scene representation.
    """

    config: Model

    @nn.compact
    def __call__(
        self, pairs: Float[Array, "B Q L"], scene: Float[Array, "B K D"]
    ) -> Float[Array, "B Q 3"]:
        """Returns positions in metres, along the axes of the first input's camera."""
        config = self.config
        query = nn.Dense(config.query_size, name="query")(pairs)
        query = query.astype(config.compute_dtype)
        return decode_queries(config, query, scene, "position")


@dataclass(frozen=True, kw_only=True)
class Posed:
    """Arranged scenes with `positions`, [T, 3], of the targets' cameras.

    Attributes:
      scenes: the scenes.
    """

    scenes: Scenes

    def __len__(self) -> int:
        return len(self.scenes)

    def draw(self, index: int, rng: np.random.Generator) -> Batch:
        """Reads a scene, arranged as `rng` draws."""
        arrangement = self.scenes.arrange(rng)
        batch = self.scenes.read(index, arrangement, rng)
        views = np.concatenate([arrangement.inputs[:1], arrangement.targets])
        fields = self.scenes.split.read(
            index, fields=["extrinsics"], views=views.tolist()
        )
        extrinsics = relative(fields["extrinsics"], np.zeros((len(views), 3)))
        positions = geometry.invert(extrinsics[1:])[..., 3].astype(np.float32)
        return {
            "inputs": batch["inputs"],
            "targets": batch["targets"],
            "positions": positions,
        }


def estimate_poses(
    predictor: Predictor,
    training: Split,
    testing: Split,
    scenes: int,
    steps: int,
    progress: Callable[[range], Iterable[int]] = iter,
) -> dict[str, Any]:
    """Trains a head to estimate relative camera positions, and scores it.

    Args:
      predictor: a model with camera latents; it is not trained.
      training: scenes to train the head on.
      testing: scenes to score it on; views are drawn as by `evaluate`.
      scenes: most scenes of `testing`.
      steps: gradient steps of the head.
      progress: wraps the numbers of the steps, to show progress.

    Returns:
      `mse`, the mean squared error of a coordinate, in square metres; `r2`, the share
      of the variance that is explained; and the settings.
    """
    head = Head(predictor.config.model)
    source: Any = Posed(scenes=Scenes(split=training, config=predictor.config))
    size = min(SCENES_A_STEP, len(source))
    read = iter(loader(source, batch_size=size, seed=VIEWS_SEED))
    optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))

    @jax.jit
    def step(
        params: Any, moments: Any, given: tuple[Array, Array], true: Array
    ) -> tuple[Any, Any]:
        def loss(params: Any) -> Array:
            return ((head.apply({"params": params}, *given) - true) ** 2).mean()

        changes, moments = optimizer.update(jax.grad(loss)(params), moments, params)
        return optax.apply_updates(params, changes), moments

    params: Any = None
    moments: Any = None
    for _ in progress(range(steps)):
        given, true = _pairs(predictor, next(read))
        if params is None:
            params = head.init(jax.random.key(VIEWS_SEED), *given)["params"]
            moments = optimizer.init(params)
        params, moments = step(params, moments, given, true)

    tested = Posed(scenes=Scenes(split=testing, config=predictor.config))
    count = min(scenes, len(tested))
    estimate = jax.jit(lambda params, given: head.apply({"params": params}, *given))
    results = []
    for batch, new in batches(
        lambda index: tested.draw(index, np.random.default_rng([VIEWS_SEED, index])),
        range(0, count, BATCH),
        count,
    ):
        given, true = _pairs(predictor, batch)
        results.append((np.asarray(estimate(params, given))[:new], true[:new]))
    estimated, true = (np.concatenate(parts) for parts in zip(*results, strict=True))
    return {
        **score(estimated.reshape(-1, 3), true.reshape(-1, 3)),
        "how": "a head on the frozen scene representation and the latents of two "
        "targets, which gives the one's camera position relative to the other's"
        + (
            "; latents from the targets' left halves"
            if predictor.config.model.estimator_half
            else "; latents from the targets themselves"
        ),
        "steps": steps,
        "batch_size": size,
        "training_scenes": len(source),
        "scenes": count,
    }


def score(
    estimated: Float[np.ndarray, "N 3"], true: Float[np.ndarray, "N 3"]
) -> dict[str, float]:
    """Returns the mean squared error of a coordinate, and R2.

    R2 is 1 for a perfect estimate and 0 for the constant mean.

    Args:
      estimated: positions.
      true: positions, not all the same.
    """
    squared = ((estimated - true) ** 2).sum()
    spread = ((true - true.mean(axis=0)) ** 2).sum()
    return {"mse": float(squared / true.size), "r2": float(1 - squared / spread)}


def _pairs(predictor: Predictor, batch: Batch) -> tuple[tuple[Array, Array], Any]:
    """Returns the head's inputs and true positions, for ordered pairs of targets."""
    scene = predictor.encode(batch["inputs"])
    right = False if predictor.config.model.estimator_half else None
    latents = predictor.estimate(
        batch["targets"], scene, halves(batch["targets"], right)
    )
    together = np.concatenate(
        [np.asarray(value) for value in latents.values()], axis=-1
    )
    count = together.shape[1]
    first, second = np.nonzero(~np.eye(count, dtype=bool))
    pairs = np.concatenate([together[:, first], together[:, second]], axis=-1)
    true = batch["positions"][:, second] - batch["positions"][:, first]
    return (jnp.asarray(pairs), scene), true
