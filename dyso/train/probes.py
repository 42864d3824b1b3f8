"""Linear probes: what can be read from latents by ridge regression."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dyso.train.metrics import RESAMPLED

RIDGE = 1e-3
"""Penalty on the squared weights of standardised latents, per sample."""


def fit(
    latents: Float[np.ndarray, "N L"], values: Float[np.ndarray, "N n"]
) -> tuple[Float[np.ndarray, "L n"], Float[np.ndarray, " n"]]:
    """Returns weights and offsets of the ridge regression of values on latents."""
    latents = latents.astype(np.float64)
    mean, scale = latents.mean(axis=0), latents.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    inputs, center = (latents - mean) / scale, values.mean(axis=0)
    penalty = RIDGE * len(inputs) * np.eye(inputs.shape[1])
    weights = np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ (values - center))
    weights = weights / scale[:, None]
    return weights, center - mean @ weights


def cross_predicted(
    latents: Float[np.ndarray, "S V L"],
    values: Float[np.ndarray, "S V n"],
    others: Float[np.ndarray, "S W L"] | None = None,
) -> Float[np.ndarray, "S W n"]:
    """Returns values predicted from latents by probes that were fitted on other scenes.

    Scenes with an even place are predicted by the probe of those with an odd place, and
    the other way around.

    Args:
      latents: of the views of each scene, at least two scenes.
      values: to predict.
      others: latents to predict from in place of `latents`.
    """
    given = latents if others is None else others
    predicted = np.empty((*given.shape[:2], values.shape[-1]))
    for fold in range(2):
        size, count = latents.shape[-1], values.shape[-1]
        weights, offsets = fit(
            latents[1 - fold :: 2].reshape(-1, size),
            values[1 - fold :: 2].reshape(-1, count),
        )
        predicted[fold::2] = given[fold::2] @ weights + offsets
    return predicted


def r2_and_error(
    predicted: Float[np.ndarray, "S V n"], values: Float[np.ndarray, "S V n"]
) -> dict[str, float | None]:
    """Returns R2 over all scenes, and its standard error over scenes.

    1 is perfect, 0 no better than the mean. The error is the deviation over `RESAMPLED`
    bootstrap samples of the scenes. Both are None for values that do not vary.
    """
    squared = ((predicted - values) ** 2).sum(axis=(1, 2))
    spread = ((values - values.mean(axis=(0, 1))) ** 2).sum(axis=(1, 2))
    if spread.sum() < 1e-9:
        return {"r2": None, "r2_error": None}
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(values), size=(RESAMPLED, len(values)))
    ratios = squared[drawn].sum(axis=1) / np.maximum(spread[drawn].sum(axis=1), 1e-9)
    return {
        "r2": float(1 - squared.sum() / spread.sum()),
        "r2_error": float(ratios.std(ddof=1)),
    }


def probe(
    latents: Float[np.ndarray, "S V L"], values: Float[np.ndarray, "S V n"]
) -> dict[str, float | None]:
    """Returns R2 of values read from latents; see `cross_predicted`."""
    return r2_and_error(cross_predicted(latents, values), values)
