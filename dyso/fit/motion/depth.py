"""Depth regularisation: the error of the expectation, or the expectation of the error.

D is the distance that supervises a ray, t_i are the distances of its intervals, and w_i
their rendering weights. All distances are in s, from 0 to 1, see `dyso.fit.volume`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32
from scipy.ndimage import gaussian_filter

from dyso.fit.motion.config import Depth
from dyso.fit.volume import normalized


def expectation_loss(
    weights: Float[Array, "N S"], places: Float[Array, "N S"], true: Float[Array, " N"]
) -> Float[Array, ""]:
    """Returns the mean of |sum_i w_i t_i - D|, with weights of sum 1.

    It only asks for the right mean: weights on both sides of the surface have it too.
    """
    return jnp.abs((normalized(weights) * places).sum(-1) - true).mean()


def drawn_loss(
    key: Array,
    weights: Float[Array, "N S"],
    places: Float[Array, "N S"],
    true: Float[Array, " N"],
    *,
    temperature: float,
    draws: int,
) -> Float[Array, ""]:
    """Returns the mean of |t - D| over distances t drawn from the weights (DDR).

    A draw is sum_i g_i t_i with the Gumbel-softmax g = softmax((log w + G) /
    temperature) of weights w of sum 1, where G_i are standard Gumbel variables (Jang et
    al., ICLR 2017, eq. 2). The lower the temperature, the nearer to a draw of one
    interval with the probability w_i, for which the loss has the mean
    sum_i w_i |t_i - D|. It is 0 only if all weight is at the surface.

    Args:
      key: of the draws.
      weights: not negative, of any sum.
      places: t_i.
      true: D.
      temperature: see above.
      draws: of each ray.
    """
    logits = jnp.log(normalized(weights))
    noise = jax.random.gumbel(key, (draws, *logits.shape))
    shares = jax.nn.softmax((logits + noise) / temperature, axis=-1)
    return jnp.abs((shares * places).sum(-1) - true).mean()


def empty_loss(
    optical: Float[Array, "N S"],
    places: Float[Array, "N S"],
    true: Float[Array, " N"],
    before: float,
) -> Float[Array, ""]:
    """Returns the mean over rays of the density integrated up to D - before (DDR).

    Args:
      optical: density times length of each interval.
      places: t_i.
      true: D.
      before: the margin.
    """
    in_front = places < true[:, None] - before
    return jnp.where(in_front, optical, 0.0).sum(-1).mean()


def degraded(
    depth: Float32[np.ndarray, "T H W"], settings: Depth, rng: np.random.Generator
) -> Float32[np.ndarray, "T H W"]:
    """Returns depth as an estimator may give it, see `Depth`."""
    inverse = 1 / depth.astype(np.float64)
    if settings.blur:
        inverse = gaussian_filter(inverse, (0, settings.blur, settings.blur))
    inverse *= 1 + settings.noise * rng.normal(size=inverse.shape)
    inverse = inverse / settings.scale + settings.shift / np.median(depth)
    least = 1 / (10 * depth.max())
    return (1 / np.maximum(inverse, least)).astype(np.float32)
