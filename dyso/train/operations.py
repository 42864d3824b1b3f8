"""The model's products and attention, where a library's own function is slower.

Each computes what the function of JAX in its docstring computes, in another order.
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
    """Computes `jax.nn.dot_product_attention`, with the softmax in float32.

    On a GPU in bfloat16, cuDNN's fused kernel computes it.
    """
    if jax.default_backend() == "gpu" and query.dtype != jnp.float32:
        return jax.nn.dot_product_attention(query, key, value, implementation="cudnn")
    # Heads come first, and the division by the sum comes last, as in fused kernels.
    # Compared with JAX's own, this saves a tenth of the whole pass on a CPU.
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
) -> Float[Array, "N _ _ D"]:
    """Computes `jax.lax.conv_general_dilated`, faster for pictures on a CPU.

    A 3 x 3 convolution of 3 channels into few is too small a product for a CPU. With
    2 x 2 pixels taken as one of 12 channels, it becomes a 2 x 2 convolution into four
    times as many channels. 7 of 16 factors are zeros, and it takes a fifth of the time.
    """
    few = x.shape[-1] <= 4 and not (x.shape[1] % 2 or x.shape[2] % 2)
    if tuple(strides) != (1, 1) or not few or jax.default_backend() != "cpu":
        return jax.lax.conv_general_dilated(x, kernel, strides, *arguments, **options)
    blocks = in_squares(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), 2)
    shifted = [
        jnp.pad(kernel, ((down, 1 - down), (across, 1 - across), (0, 0), (0, 0)))
        for down in (0, 1)
        for across in (0, 1)
    ]
    # One kernel for each pixel in a 2 x 2 block of the result, over the 4 x 4 inputs
    # that the block depends on.
    together = jnp.concatenate(shifted, axis=-1).transpose(3, 0, 1, 2)
    y = jax.lax.conv_general_dilated(
        blocks,
        in_squares(together, 2).transpose(1, 2, 3, 0),
        (1, 1),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return from_squares(y, 2)


def in_squares(
    x: Float[Array, "*N H W C"], side: int
) -> Float[Array, "*N H//{side} W//{side} {side*side}*C"]:
    """Returns x with the channels of a square of pixels as those of one."""
    *batch, height, width, channels = x.shape
    x = x.reshape(*batch, height // side, side, width // side, side, channels)
    x = x.swapaxes(-4, -3)
    return x.reshape(*batch, height // side, width // side, side**2 * channels)


def from_squares(
    x: Float[Array, "*N h w C"], side: int
) -> Float[Array, "*N {side}*h {side}*w C//{side*side}"]:
    """Reverts `in_squares`."""
    *batch, height, width, channels = x.shape
    x = x.reshape(*batch, height, width, side, side, channels // side**2)
    x = x.swapaxes(-4, -3)
    return x.reshape(*batch, height * side, width * side, channels // side**2)


def contract(
    x: Float[Array, "... D"], kernel: Float[Array, "D ..."], *_: Any, **__: Any
) -> Array:
    """Computes `jax.lax.dot_general` over x's last axis and the kernel's first.

    The kernel's gradient is computed in the kernel's own layout. JAX computes its
    transpose and transposes that, for which XLA on a CPU takes up to three times as
    long.
    """
    flat = _multiply(x.reshape(-1, x.shape[-1]), kernel.reshape(len(kernel), -1))
    return flat.reshape(*x.shape[:-1], *kernel.shape[1:])


def contract_to_float32(
    dtype: Any,
    x: Float[Array, "... D"],
    kernel: Float[Array, "D E"],
    *_: Any,
    **__: Any,
) -> Float[Array, "... E"]:
    """Computes `contract` with factors in a type, and the result in float32.

    Args:
      dtype: of the factors. Sums are in float32.
      x: activations in float32. XLA drops their conversion from `dtype` and back.
      kernel: weights in float32.
    """
    flat = _multiply_to_float32(
        x.reshape(-1, x.shape[-1]).astype(dtype), kernel.astype(dtype)
    )
    return flat.reshape(*x.shape[:-1], kernel.shape[-1])


@jax.custom_vjp
def _multiply(
    x: Float[Array, "N D"], kernel: Float[Array, "D E"]
) -> Float[Array, "N E"]:
    return x @ kernel


@jax.custom_vjp
def _multiply_to_float32(
    x: Float[Array, "N D"], kernel: Float[Array, "D E"]
) -> Float[Array, "N E"]:
    return jnp.matmul(x, kernel, preferred_element_type=jnp.float32)


def _gradients(
    saved: tuple[Array, Array], gradient: Float[Array, "N E"]
) -> tuple[Float[Array, "N D"], Float[Array, "D E"]]:
    x, kernel = saved
    gradient = gradient.astype(x.dtype)
    return gradient @ kernel.T, x.T @ gradient


_multiply.defvjp(lambda x, kernel: (_multiply(x, kernel), (x, kernel)), _gradients)
_multiply_to_float32.defvjp(
    lambda x, kernel: (_multiply_to_float32(x, kernel), (x, kernel)), _gradients
)
