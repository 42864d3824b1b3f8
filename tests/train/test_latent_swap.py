import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from dyso.train.data import arrange_freely, arrange_swap
from dyso.train.latent_swap import other_with_same_id, recombine, scale_gradient

# Four targets of two cameras in two dynamics, in any order, under any numbers.
ORDERS = st.permutations(range(4))
PAIRS = st.lists(st.integers(0, 9), min_size=2, max_size=2, unique=True)


def arranged(order, cameras, dynamics):
    every = [(c, d) for c in cameras for d in dynamics]
    chosen = [every[i] for i in order]
    return tuple(jnp.array([ids]) for ids in zip(*chosen, strict=True))


def named(count=4):
    """Latents that say which target they were estimated from."""
    own = jnp.arange(count, dtype=jnp.float32)[None, :, None]
    return {"camera": own, "dynamics": own + 10}


@given(ORDERS, PAIRS, PAIRS)
def test_each_latent_comes_from_the_other_target_that_shares_it(order, one, two):
    cameras, dynamics = arranged(order, one, two)
    got = recombine(named(), cameras, dynamics, "swap", jnp.array([False]))
    for target in range(4):
        camera_from = int(got["camera"][0, target, 0])
        dynamics_from = int(got["dynamics"][0, target, 0]) - 10
        assert target not in (camera_from, dynamics_from)
        assert cameras[0, camera_from] == cameras[0, target]
        assert dynamics[0, camera_from] != dynamics[0, target]
        assert dynamics[0, dynamics_from] == dynamics[0, target]
        assert cameras[0, dynamics_from] != cameras[0, target]


@given(ORDERS)
def test_swapping_twice_changes_nothing(order):
    cameras, _ = arranged(order, (0, 1), (0, 1))
    there = other_with_same_id(cameras)
    assert (jnp.take_along_axis(there, there, axis=1) == jnp.arange(4)).all()


def test_the_ablations_take_their_own_a_coins_or_the_mean():
    cameras, dynamics = (
        jnp.tile(ids, (2, 1)) for ids in arranged(range(4), (0, 1), (2, 3))
    )
    latents = {name: jnp.tile(own, (2, 1, 1)) for name, own in named().items()}
    coin = jnp.array([True, False])
    swapped, own, mean, half = (
        recombine(latents, cameras, dynamics, control, coin)
        for control in ("swap", "none", "average", "half")
    )
    for name, values in latents.items():
        assert (own[name] == values).all()
        assert (mean[name] == (values + swapped[name]) / 2).all()
        assert (half[name][0] == swapped[name][0]).all()
        assert (half[name][1] == values[1]).all()


def test_a_model_without_dynamics_swaps_cameras_alone():
    cameras, dynamics = arranged(range(4), (0, 1), (0, 1))
    camera = {"camera": named()["camera"]}
    assert recombine(camera, cameras, dynamics, "swap", jnp.array([True])).keys() == {
        "camera"
    }


@pytest.mark.parametrize("factor", [0.2, 1.0, 0.0])
def test_gradients_are_scaled_and_values_are_not(factor):
    x = jnp.array([0.5, -2.0, 3.0])
    assert jnp.allclose(scale_gradient(x, factor), x)
    gradient = jax.grad(lambda x: (scale_gradient(x, factor) ** 2).sum())(x)
    assert jnp.allclose(gradient, factor * 2 * x)


@settings(max_examples=50)
@given(
    st.integers(3, 7), st.integers(3, 7), st.integers(0, 2**32 - 1), st.integers(1, 3)
)
def test_no_input_shares_a_camera_or_dynamics_with_a_target(
    steps, cameras, seed, inputs
):
    inputs = min(inputs, (steps - 2) * (cameras - 2))
    found = arrange_swap(np.random.default_rng(seed), steps, cameras, inputs)
    assert len(set(found.inputs)) == inputs and len(set(found.targets)) == 4
    target_cameras, target_steps = found.targets % cameras, found.targets // cameras
    assert len(set(target_cameras)) == len(set(target_steps)) == 2
    assert not set(found.inputs % cameras) & set(target_cameras)
    assert not set(found.inputs // cameras) & set(target_steps)
    assert found.inputs.min() >= 0 and found.inputs.max() < steps * cameras


def test_arrangements_are_even_over_views():
    rng = np.random.default_rng(0)
    counts = np.zeros((2, 25))
    for _ in range(2000):
        found = arrange_swap(rng, 5, 5, 3)
        counts[0, found.inputs] += 1
        counts[1, found.targets] += 1
    # Of 2,000 draws a view is an input in 240 and a target in 320, by chance +-15.
    assert abs(counts[0] - 240).max() < 75 and abs(counts[1] - 320).max() < 85


@given(st.integers(0, 2**32 - 1))
def test_free_arrangements_share_no_view(seed):
    views = np.arange(10, 20)
    found = arrange_freely(np.random.default_rng(seed), views, 5, 3)
    together = [*found.inputs, *found.targets]
    assert len(set(together)) == 8 and set(together) <= set(views)
