"""The losses of Dynamic 3D Gaussians."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.spatial import cKDTree

from dyso import geometry
from dyso.fit.gaussians.config import Losses, Neighbors
from dyso.fit.gaussians.model import Gaussians, unit_rotations
from dyso.fit.images import ssim

_TINY = 1e-20
"""Keeps the gradient of a square root finite at 0."""


class Structure(NamedTuple):
    """What is known about the Gaussians after step 0.

    Attributes:
      foreground: [F], indices of the Gaussians on objects.
      background: [B], indices of the others.
      neighbors: [F, K], indices into `foreground`.
      weights: [F, K], of each neighbour.
      distances: [F, K], metres to each neighbour at step 0.
      still_means: [B, 3], of the background at step 0.
      still_rotations: [B, 4], the same, unit quaternions.
    """

    foreground: Int[Array, " F"]
    background: Int[Array, " B"]
    neighbors: Int[Array, "F K"]
    weights: Float[Array, "F K"]
    distances: Float[Array, "F K"]
    still_means: Float[Array, "B 3"]
    still_rotations: Float[Array, "B 4"]


class Before(NamedTuple):
    """The time step before.

    Attributes:
      means: [N, 3].
      rotations: [N, 4], unit quaternions.
      colors: [N, 3].
    """

    means: Float[Array, "N 3"]
    rotations: Float[Array, "N 4"]
    colors: Float[Array, "N 3"]


def structure_of(first: Gaussians, neighbors: Neighbors) -> Structure:
    """Returns the structure of the Gaussians that were fitted to step 0."""
    on_objects = np.asarray(first.foreground) > 0.5
    foreground, background = np.flatnonzero(on_objects), np.flatnonzero(~on_objects)
    points = np.asarray(first.means)[foreground].astype(np.float64)
    count = min(neighbors.count, len(points) - 1)
    if count > 0:
        distances, indices = cKDTree(points).query(points, k=count + 1)
        distances, indices = distances[:, 1:], indices[:, 1:]
    else:
        distances = np.zeros((len(points), 0))
        indices = np.zeros((len(points), 0), int)
    return Structure(
        foreground=jnp.asarray(foreground, jnp.int32),
        background=jnp.asarray(background, jnp.int32),
        neighbors=jnp.asarray(indices, jnp.int32),
        weights=jnp.asarray(np.exp(-neighbors.falloff * distances**2), jnp.float32),
        distances=jnp.asarray(distances, jnp.float32),
        still_means=first.means[background],
        still_rotations=unit_rotations(first)[background],
    )


def before(gaussians: Gaussians) -> Before:
    """Returns what the losses of the next time step compare with."""
    return Before(gaussians.means, unit_rotations(gaussians), gaussians.colors)


def image_loss(
    predicted: Float[Array, "H W D"], true: Float[Array, "H W D"], share: float
) -> Float[Array, ""]:
    """Returns (1 - share) L1 + share (1 - SSIM)."""
    l1 = jnp.abs(predicted - true).mean()
    return (1 - share) * l1 + share * (1 - ssim(true, predicted))


def motion_losses(
    now: Gaussians, last: Before, structure: Structure
) -> dict[str, Float[Array, ""]]:
    """Returns the losses about motion, without their weights, by their names in
    `Losses`.

    The paper's equations 5 to 9, where R_i,t is the rotation of Gaussian i:
      rigid: |(mu_j - mu_i)_{t-1} - R_{i,t-1} R_{i,t}^-1 (mu_j - mu_i)_t|
      rotation: |q_j,t q_j,t-1^-1 - q_i,t q_i,t-1^-1|
      isometry: | |mu_j - mu_i|_0 - |mu_j - mu_i|_t |
    each times the root of the neighbour's weight, as in the authors' code.
    """
    rotations = unit_rotations(now)
    front, still = structure.foreground, structure.background
    means, near = now.means[front], structure.neighbors
    losses = {"color": _mean(jnp.abs(now.colors - last.colors).sum(-1))}
    losses["floor"] = _mean(jnp.maximum(-means[:, 2], 0))
    losses["background"] = _mean(
        jnp.abs(now.means[still] - structure.still_means).sum(-1)
    ) + _mean(jnp.abs(rotations[still] - structure.still_rotations).sum(-1))

    conjugate = last.rotations[front] * jnp.array([1.0, -1.0, -1.0, -1.0])
    turned = geometry.quaternion_multiply(rotations[front], conjugate)
    offsets = means[near] - means[:, None]
    turned_back = jnp.einsum(
        "fji,fkj->fki", geometry.quaternion_to_matrix(turned), offsets
    )
    last_means = last.means[front]
    rigid = turned_back - (last_means[near] - last_means[:, None])
    spread = turned[near] - turned[:, None]
    lengths = jnp.sqrt((offsets**2).sum(-1) + _TINY) - structure.distances
    for name, squares in (
        ("rigid", (rigid**2).sum(-1)),
        ("rotation", (spread**2).sum(-1)),
        ("isometry", lengths**2),
    ):
        losses[name] = _mean(jnp.sqrt(squares * structure.weights + _TINY))
    return losses


def weighted(losses: dict[str, Float[Array, ""]], weights: Losses) -> Float[Array, ""]:
    """Returns the weighted sum of losses by their names in `Losses`."""
    return sum(
        (getattr(weights, name) * value for name, value in losses.items()),
        start=jnp.zeros(()),
    )


def _mean(values: Array) -> Array:
    """Returns the mean; 0 of nothing."""
    return values.sum() / max(values.size, 1)
