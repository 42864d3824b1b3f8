"""Features of factorised grids."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso.fit import grids


def random_planes(resolution, channels=2):
    planes = grids.initial(jax.random.key(0), resolution, channels)
    keys = jax.random.split(jax.random.key(1), 6)
    return tuple(
        jax.random.normal(key, plane.shape)
        for key, plane in zip(keys, planes, strict=True)
    )


@pytest.mark.parametrize("fusion, fused", [("product", np.multiply), ("sum", np.add)])
def test_at_cells_features_are_products_or_sums_of_complementary_planes(fusion, fused):
    planes = random_planes((5, 4, 3, 2))
    x, y, z, t = 1, 3, 0, 1
    point = 2 * jnp.array([[x / 4, y / 3, z / 2, t / 1]]) - 1
    xy, zt, xz, yt, yz, xt = planes
    expected = np.concatenate(
        [
            fused(xy[x, y], zt[z, t]),
            fused(xz[x, z], yt[y, t]),
            fused(yz[y, z], xt[x, t]),
        ]
    )
    assert np.allclose(grids.features([planes], point, fusion), expected, atol=1e-5)


def test_between_cells_planes_are_interpolated():
    planes = random_planes((2, 2, 2, 1))
    # Halfway between cells in x alone: planes without x are as at the ends.
    points = jnp.array([[-1.0, -1, -1, 0], [1.0, -1, -1, 0], [0.0, -1, -1, 0]])
    xy, zt, _, _, yz, xt = planes
    features = grids.features([planes], points)
    assert np.allclose(features[2, :2], (xy[0, 0] + xy[1, 0]) / 2 * zt[0, 0], atol=1e-6)
    assert np.allclose(features[2, 4:], yz[0, 0] * (xt[0, 0] + xt[1, 0]) / 2, atol=1e-6)


def test_one_cell_of_time_gives_a_static_grid():
    planes = random_planes((4, 4, 4, 1))
    at = jnp.array([[0.3, -0.2, 0.7, t] for t in (-1.0, 0.1, 1.0)])
    features = grids.features([planes], at)
    assert np.allclose(features, features[:1])


def test_points_outside_have_the_features_of_the_edge():
    planes = random_planes((4, 4, 4, 3))
    outside = jnp.array([[1.4, 0.2, -3.0, 2.0]])
    edge = jnp.array([[1.0, 0.2, -1.0, 1.0]])
    assert np.allclose(
        grids.features([planes], outside), grids.features([planes], edge)
    )


@pytest.mark.parametrize("fusion", ["product", "sum"])
def test_initial_features_vary_in_space_and_not_over_time(fusion):
    planes = grids.initial(jax.random.key(0), (4, 4, 4, 3), 2, fusion)
    at = jnp.array([[0.3, -0.2, 0.7, t] for t in (-1.0, 0.1, 1.0)])
    features = grids.features([planes], at, fusion)
    assert np.allclose(features, features[:1])
    elsewhere = grids.features([planes], -at, fusion)
    assert abs(elsewhere - features).min() > 1e-3
    assert jnp.abs(features).min() > 0


@pytest.mark.parametrize("fusion", ["product", "sum"])
def test_initial_planes_are_of_the_type_of_later_ones(fusion):
    """Or else a fit compiles its step twice."""
    planes = grids.initial(jax.random.key(0), (4, 4, 4, 2), 2, fusion)
    assert not any(plane.weak_type for plane in planes)


def test_gradients_with_respect_to_points_are_those_of_finite_differences():
    planes = random_planes((6, 5, 4, 3))
    point = jnp.array([[0.13, -0.21, 0.37, 0.55]])

    def total(point):
        return grids.features([planes], point).sum()

    found = jax.grad(total)(point)[0]
    for axis in range(4):
        step = 1e-2 * (jnp.arange(4) == axis)
        slope = (total(point + step) - total(point - step)) / 2e-2
        assert np.isclose(found[axis], slope, atol=2e-3)


def test_total_variation_by_hand():
    flat = tuple(jnp.ones((2, 1, 1)) for _ in range(5))
    step = jnp.array([[[0.0]], [[3.0]]])
    assert grids.total_variation((*flat, step)) == 9
