"""What the model is computed with, where a library's own function is slower.

Each is the function of JAX that its docstring names, in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def attend(
    query: Float[Array, "C Q h d"],
    key: Float[Array, "C K h d"],
    value: Float[Array, "C K h d"],
) -> Float[Array, "C Q h d"]:
    """Is `jax.nn.dot_product_attention`, with softmax in float32.

    In cuDNN's kernel where there is one.
    """
    if jax.default_backend() == "gpu" and query.dtype != jnp.float32:
        return jax.nn.dot_product_attention(query, key, value, implementation="cudnn")
    # Heads first, and divided by the sum at the end, as fused kernels do: a tenth of
    # the whole pass on a CPU, beside JAX's own.
    query, key, value = (x.swapaxes(1, 2) for x in (query, key, value))
    weights = jnp.einsum(
        "chqd,chkd->chqk",
        query * query.shape[-1] ** -0.5,
        key,
        preferred_element_type=jnp.float32,
    )
    largest = jax.lax.stop_gradient(weights.max(axis=-1, keepdims=True))
    weights = jnp.exp(weights - largest)
    out = jnp.einsum(
        "chqk,chkd->chqd",
        weights.astype(value.dtype),
        value,
        preferred_element_type=jnp.float32,
    )
    out = out / weights.sum(axis=-1, keepdims=True)
    return out.swapaxes(1, 2).astype(value.dtype)


def convolve(
    x: Float[Array, "N H W C"],
    kernel: Float[Array, "3 3 C D"],
    strides: Sequence[int],
    *arguments: Any,
    **options: Any,
) -> Float[Array, "N H/s W/s D"]:
    """Is `jax.lax.conv_general_dilated`, but faster on pictures on a CPU.

    3 x 3 places of 3 colours into few channels are a product too small for a CPU. Where
    2 x 2 places are taken together, it is 2 x 2 blocks of 12 into four times as many
    channels: 7 of 16 factors are zeros, and yet it takes a fifth of the time.
    """
    few = x.shape[-1] <= 4 and not (x.shape[1] % 2 or x.shape[2] % 2)
    if tuple(strides) != (1, 1) or not few or jax.default_backend() != "cpu":
        return jax.lax.conv_general_dilated(x, kernel, strides, *arguments, **options)
    blocks = _in_blocks(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))
    shifted = [
        jnp.pad(kernel, ((down, 1 - down), (across, 1 - across), (0, 0), (0, 0)))
        for down in (0, 1)
        for across in (0, 1)
    ]
    # One for each place in a block of the result, over the 4 x 4 that all of them see.
    together = jnp.concatenate(shifted, axis=-1).transpose(3, 0, 1, 2)
    y = jax.lax.conv_general_dilated(
        blocks,
        _in_blocks(together).transpose(1, 2, 3, 0),
        (1, 1),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    count, height, width, channels = y.shape
    y = y.reshape(count, height, width, 2, 2, channels // 4).swapaxes(2, 3)
    return y.reshape(count, 2 * height, 2 * width, channels // 4)


def _in_blocks(x: Float[Array, "N H W C"]) -> Float[Array, "N H/2 W/2 4*C"]:
    """Gives 2 x 2 places as channels of one."""
    count, height, width, channels = x.shape
    x = x.reshape(count, height // 2, 2, width // 2, 2, channels).swapaxes(2, 3)
    return x.reshape(count, height // 2, width // 2, 4 * channels)


def contract(
    x: Float[Array, "... D"], kernel: Float[Array, "D ..."], *_: Any, **__: Any
) -> Array:
    """Is `jax.lax.dot_general` over the last axis of x and the first of the kernel.

    The kernel's gradient is made in the order of the kernel. JAX makes it in the other
    order and transposes: on a CPU, XLA takes up to three times as long for that.
    """
    flat = _multiply(x.reshape(-1, x.shape[-1]), kernel.reshape(len(kernel), -1))
    return flat.reshape(*x.shape[:-1], *kernel.shape[1:])


@jax.custom_vjp
def _multiply(
    x: Float[Array, "N D"], kernel: Float[Array, "D E"]
) -> Float[Array, "N E"]:
    return x @ kernel


_multiply.defvjp(
    lambda x, kernel: (x @ kernel, (x, kernel)),
    lambda saved, gradient: (gradient @ saved[1].T, saved[0].T @ gradient),
)
