"""Small fully connected networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Layer(NamedTuple):
    """A linear map."""

    weights: Float[Array, "I O"]
    bias: Float[Array, " O"]


Network = tuple[Layer, ...]
"""Layers, with a ReLU between two."""


def initial(keys: Sequence[Array], widths: Sequence[int]) -> Network:
    """Returns random weights (Glorot, uniform) and biases of 0.

    Args:
      keys: one for each layer.
      widths: of the input, of what the layers between return, and of the output.
    """
    glorot = jax.nn.initializers.glorot_uniform()
    return tuple(
        Layer(glorot(key, (inputs, outputs)), jnp.zeros(outputs))
        for key, inputs, outputs in zip(keys, widths[:-1], widths[1:], strict=True)
    )


def apply(network: Network, values: Float[Array, "N I"]) -> Float[Array, "N O"]:
    """Returns the output for each of N inputs."""
    *inner, last = network
    for layer in inner:
        values = jax.nn.relu(values @ layer.weights + layer.bias)
    return values @ last.weights + last.bias
