import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso.train.operations import attend, contract, contract_to_float32, convolve


def normals(*shapes):
    keys = jax.random.split(jax.random.key(0), len(shapes))
    return [jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True)]


def assert_same_with_gradients(
    ours, known, *arguments, dtype="float32", tolerance=4e-7
):
    """Compares the results and gradients of two functions.

    Args:
      ours: takes the arguments in `dtype`.
      known: takes them in float32.
      arguments: in float32.
      dtype: that the results and gradients of `ours` must have.
      tolerance: of the largest value.
    """

    def total(function, *arguments):
        y = function(*arguments)
        return (y * jax.random.normal(jax.random.key(1), y.shape)).sum(), y

    def results(function, *arguments):
        grad = jax.value_and_grad(total, range(1, 1 + len(arguments)), has_aux=True)
        (_, y), gradients = grad(function, *arguments)
        return y, *gradients

    got = results(ours, *(x.astype(dtype) for x in arguments))
    for one, other in zip(got, results(known, *arguments), strict=True):
        assert one.dtype == dtype
        np.testing.assert_allclose(
            np.float32(one), other, rtol=0, atol=tolerance * float(abs(other).max())
        )


@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-6), ("bfloat16", 2e-2)])
def test_attention_is_that_of_jax(dtype, tolerance):
    arguments = normals((2, 6, 2, 8), (2, 5, 2, 8), (2, 5, 2, 8))
    assert_same_with_gradients(
        attend,
        jax.nn.dot_product_attention,
        # Twice as large, for weights that differ.
        *(2 * x.astype(dtype).astype("float32") for x in arguments),
        dtype=dtype,
        tolerance=tolerance,
    )


@pytest.mark.parametrize("shape", [(2, 6, 8, 3), (1, 2, 2, 1), (2, 5, 8, 3)])
def test_pictures_are_convolved_as_by_jax(shape):
    def by(function):
        numbers = ("NHWC", "HWIO", "NHWC")
        return lambda *a: function(*a, (1, 1), "SAME", dimension_numbers=numbers)

    arguments = normals(shape, (3, 3, shape[-1], 5))
    assert_same_with_gradients(
        by(convolve), by(jax.lax.conv_general_dilated), *arguments
    )


def test_axes_are_contracted_as_by_jax():
    def known(x, kernel):
        return jnp.tensordot(x, kernel, 1)

    assert_same_with_gradients(contract, known, *normals((4, 7, 3), (3, 2, 5)))


@pytest.mark.parametrize("factors, tolerance", [("float32", 4e-7), ("bfloat16", 2e-2)])
def test_a_product_of_rounded_factors_is_in_float32(factors, tolerance):
    arguments = normals((4, 7, 3), (3, 5))
    product = functools.partial(contract_to_float32, jnp.dtype(factors))
    known = lambda x, kernel: jnp.tensordot(x, kernel, 1)  # noqa: E731
    assert_same_with_gradients(product, known, *arguments, tolerance=tolerance)
    # What is lost is the rounding of the factors alone.
    rounded = [jnp.float32(x.astype(factors)) for x in arguments]
    np.testing.assert_allclose(product(*arguments), known(*rounded), atol=1e-6)
