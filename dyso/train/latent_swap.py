"""Where each target's latents come from: latent control swap (DyST, section 3.1)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from dyso.train.config import Control
from dyso.train.model import Latents


def other_with_same_id(ids: Int[Array | np.ndarray, "*B T"]) -> Int[Array, "*B T"]:
    """Returns, for each target, the index of the other target with the same id.

    Args:
      ids: of the targets' cameras, or of their dynamics; each id occurs twice.
    """
    same = ids[..., :, None] == ids[..., None, :]
    return jnp.argmax(same & ~jnp.eye(ids.shape[-1], dtype=bool), axis=-1)


def recombine(
    latents: Latents,
    cameras: Int[Array, "B T"],
    dynamics: Int[Array, "B T"],
    control: Control,
    coin: Bool[Array, " B"],
) -> Latents:
    """Returns the latents that each target is decoded with (eq. 6 and table 1).

    Args:
      latents: estimated from each target itself.
      cameras: ids of the targets' cameras: two cameras, each in both dynamics steps.
      dynamics: ids of the targets' dynamics steps.
      control: `swap` takes the camera latent of the other target with the same camera,
        and the dynamics latent of the other one with the same dynamics; see `Training`.
      coin: the scenes that are swapped, for `half`.
    """
    if control == "none":
        return latents
    ids = {"camera": cameras, "dynamics": dynamics}
    swapped = {
        name: jnp.take_along_axis(own, other_with_same_id(ids[name])[..., None], axis=1)
        for name, own in latents.items()
    }
    if control == "swap":
        return swapped
    if control == "average":
        return {name: (own + swapped[name]) / 2 for name, own in latents.items()}
    chosen = coin[:, None, None]
    return {name: jnp.where(chosen, swapped[name], latents[name]) for name in latents}


def scale_gradient(x: Array, factor: float) -> Array:
    """Returns x; its gradient is scaled (RUST, section 2.2: 0.2)."""
    return factor * x + jax.lax.stop_gradient((1 - factor) * x)
