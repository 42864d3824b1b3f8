import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso.train.operations import attend, contract, convolve


def normals(*shapes):
    keys = jax.random.split(jax.random.key(0), len(shapes))
    return [jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True)]


def assert_same_with_gradients(own, known, *arguments, dtype="float32", tolerance=4e-7):
    """Compares two functions of arguments, and the gradients of what they give.

    Args:
      own: is given the arguments in the type.
      known: is given them as they are.
      arguments: float32.
      dtype: what both the results and the gradients of `own` must have.
      tolerance: of the largest value.
    """

    def total(function, *arguments):
        y = function(*arguments)
        return (y * jax.random.normal(jax.random.key(1), y.shape)).sum(), y

    def results(function, *arguments):
        grad = jax.value_and_grad(total, range(1, 1 + len(arguments)), has_aux=True)
        (_, y), gradients = grad(function, *arguments)
        return y, *gradients

    found = results(own, *(x.astype(dtype) for x in arguments))
    for one, other in zip(found, results(known, *arguments), strict=True):
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
