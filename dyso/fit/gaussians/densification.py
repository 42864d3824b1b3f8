"""Adds and removes Gaussians at step 0, in a fixed number of slots.

The shapes of all arrays stay the same, so nothing is compiled again. This follows 3D
Gaussian Splatting (Kerbl et al., 2023) but for the order: Gaussians are removed first,
so that others can have their slots.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dyso.fit.gaussians.config import Densification
from dyso.fit.gaussians.model import EMPTY, PER_CAMERA, Gaussians
from dyso.geometry import quaternion_to_matrix

SHRINK = np.log(1.6)
"""A half of a split Gaussian is smaller by the exponential of this."""
RESET_OPACITY = 0.01


class Gathered(NamedTuple):
    """Gradients with respect to the positions in the image, in units of half the image.

    Attributes:
      norms: [N], their summed lengths.
      views: [N], in how many views the Gaussian had one.
    """

    norms: Float[Array, " N"]
    views: Float[Array, " N"]


def nothing_gathered(slots: int) -> Gathered:
    """Returns the gradients of no views."""
    return Gathered(jnp.zeros(slots), jnp.zeros(slots))


def gather(
    gathered: Gathered, gradient: Float[Array, "N 2"], size: tuple[int, int]
) -> Gathered:
    """Adds a view's gradient with respect to pixel coordinates."""
    height, width = size
    norms = jnp.linalg.norm(gradient * jnp.array([width / 2, height / 2]), axis=-1)
    return Gathered(gathered.norms + norms, gathered.views + (norms > 0))


class Densified(NamedTuple):
    """The result of a densification.

    Attributes:
      gaussians: with other Gaussians in some slots.
      changed: [N], slots whose Gaussian is new.
      counts: how many were copied, split and removed.
    """

    gaussians: Gaussians
    changed: np.ndarray
    counts: dict[str, int]


def densify(
    gaussians: Gaussians,
    gathered: Gathered,
    iteration: int,
    radius: float,
    settings: Densification,
    rng: np.random.Generator,
) -> Densified:
    """Removes faint and large Gaussians, then copies or splits those that pull hardest.

    Args:
      gaussians: of step 0.
      gathered: since the last densification.
      iteration: of step 0.
      radius: metres, of the scene.
      settings: thresholds.
      rng: draws the positions of the halves.
    """
    new = {name: np.array(value) for name, value in gaussians._asdict().items()}
    logits, sizes = new["logit_opacities"], np.exp(new["log_scales"]).max(axis=1)
    last = iteration >= settings.stop
    faint = settings.last_opacity if last else settings.opacity
    removed = (logits > EMPTY) & (logits < np.log(faint / (1 - faint)))
    if iteration >= settings.large_from:
        # The background is farther away than objects, so its Gaussians may be large.
        front = new["foreground"] > 0.5
        removed |= (logits > EMPTY) & front & (sizes > settings.large * radius)
    logits[removed] = EMPTY

    pull = np.asarray(gathered.norms) / np.maximum(np.asarray(gathered.views), 1)
    pull[logits <= EMPTY] = 0
    free = np.flatnonzero(logits <= EMPTY)
    strongest = np.argsort(-pull, kind="stable")
    chosen = strongest[pull[strongest] >= settings.gradient][: len(free)]
    added = free[: len(chosen)]
    for name, value in new.items():
        if name not in PER_CAMERA:
            value[added] = value[chosen]
    split = sizes[chosen] > settings.small * radius
    for halves in (chosen[split], added[split]):
        axes = quaternion_to_matrix(new["rotations"][halves])
        along = rng.normal(size=(len(halves), 3)) * np.exp(new["log_scales"][halves])
        new["means"][halves] += np.einsum("nij,nj->ni", axes, along)
    for halves in (chosen[split], added[split]):
        new["log_scales"][halves] -= SHRINK
    changed = removed.copy()
    changed[added] = True
    changed[chosen[split]] = True
    return Densified(
        gaussians=Gaussians(
            **{name: jnp.asarray(value) for name, value in new.items()}
        ),
        changed=changed,
        counts={
            "copied": int((~split).sum()),
            "split": int(split.sum()),
            "removed": int(removed.sum()),
        },
    )


def without_opacity(gaussians: Gaussians) -> Gaussians:
    """Returns the Gaussians with opacities of at most `RESET_OPACITY`."""
    logits = gaussians.logit_opacities
    most = float(np.log(RESET_OPACITY / (1 - RESET_OPACITY)))
    return gaussians._replace(logit_opacities=jnp.minimum(logits, most))


def forget(moments: dict[str, Array], changed: np.ndarray) -> dict[str, Array]:
    """Returns Adam's moments with zeros for the slots whose Gaussian is new.

    Args:
      moments: by the parameters' names.
      changed: [N].
    """
    kept = jnp.asarray(~changed, jnp.float32)
    return {
        name: value
        if name in PER_CAMERA
        else value * kept.reshape(-1, *[1] * (value.ndim - 1))
        for name, value in moments.items()
    }
