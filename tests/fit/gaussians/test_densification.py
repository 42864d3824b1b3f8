import jax.numpy as jnp
import numpy as np
import pytest

from dyso.fit.data import Cloud
from dyso.fit.gaussians.config import Densification
from dyso.fit.gaussians.densification import (
    Gathered,
    densify,
    forget,
    gather,
    nothing_gathered,
    without_opacity,
)
from dyso.fit.gaussians.model import EMPTY, compacted, initial

SETTINGS = Densification(gradient=1.0, small=0.1, large=1.0, large_from=100, stop=200)


def gaussians(count=5, slots=8):
    rng = np.random.default_rng(0)
    cloud = Cloud(
        points=rng.uniform(-1, 1, (count, 3)),
        colors=rng.uniform(0, 1, (count, 3)).astype(np.float32),
        foreground=np.arange(count) < 2,
    )
    found = initial(cloud, slots, cameras=2)
    return found._replace(log_scales=jnp.full((slots, 3), np.log(0.05)))


def pulls(*norms, views=2.0):
    """Summed gradients, so that the means over two views are `norms`."""
    return Gathered(
        jnp.asarray([*norms, *[9.0] * (8 - len(norms))]) * views, jnp.full(8, views)
    )


def run(given, gathered, iteration=50):
    return densify(given, gathered, iteration, 1.0, SETTINGS, np.random.default_rng(1))


def test_initial_gaussians_are_as_large_as_the_points_are_apart():
    grid = np.stack(np.meshgrid(*[np.arange(4) * 0.1] * 2, [0.0]), -1).reshape(-1, 3)
    cloud = Cloud(
        points=grid,
        colors=np.zeros((16, 3), np.float32),
        foreground=np.zeros(16, bool),
    )
    found = initial(cloud, 20, cameras=3)
    # A point of the middle has neighbours at 0.1 m on all sides.
    assert np.allclose(np.exp(found.log_scales[5]), 0.1, rtol=1e-4)
    assert (found.logit_opacities[16:] == EMPTY).all()
    assert len(compacted(found).means) == 16
    assert compacted(found).gains.shape == (3, 3)


def test_small_gaussians_that_pull_are_copied_into_empty_slots():
    before = gaussians()
    found = run(before, pulls(0.5, 2.0, 0.0, 1.5, 0.9))
    assert found.counts == {"copied": 2, "split": 0, "removed": 0}
    after = found.gaussians
    for slot, source in ((5, 1), (6, 3)):  # the strongest first
        assert np.array_equal(after.means[slot], before.means[source])
        assert np.array_equal(after.colors[slot], before.colors[source])
    assert after.logit_opacities[7] == EMPTY
    assert np.flatnonzero(found.changed).tolist() == [5, 6]
    assert np.array_equal(after.means[:5], before.means[:5])


def test_large_gaussians_are_split_in_two_smaller_ones():
    before = gaussians()
    before = before._replace(log_scales=before.log_scales.at[2].set(np.log(0.4)))
    found = run(before, pulls(0, 0, 3.0, 0, 0))
    assert found.counts == {"copied": 0, "split": 1, "removed": 0}
    after = found.gaussians
    assert np.allclose(np.exp(after.log_scales[jnp.array([2, 5])]), 0.4 / 1.6)
    assert not np.allclose(after.means[2], after.means[5])
    assert np.abs(after.means[5] - before.means[2]).max() < 4 * 0.4
    assert np.flatnonzero(found.changed).tolist() == [2, 5]


def test_no_more_than_the_slots_allow():
    found = run(gaussians(count=7), pulls(2, 3, 9, 2, 2, 2, 2))
    assert found.counts["copied"] == 1
    assert np.array_equal(found.gaussians.means[7], found.gaussians.means[2])


def test_faint_and_large_gaussians_leave_their_slots_to_others():
    before = gaussians()
    logits = before.logit_opacities.at[0].set(-6.0)  # 0.0025
    before = before._replace(
        logit_opacities=logits,
        log_scales=before.log_scales.at[jnp.array([2, 4])].set(np.log(1.5)),
        foreground=before.foreground.at[2].set(0).at[4].set(1),
    )
    found = run(before, pulls(9, 0, 0, 2, 9))
    assert found.counts["removed"] == 1  # large ones stay until iteration 100
    # One copies the Gaussian of slot 3 and one splits that of slot 4.
    assert np.array_equal(found.gaussians.means[5], before.means[3])
    found = run(before, pulls(9, 0, 0, 2, 9), iteration=150)
    assert found.counts == {"copied": 1, "split": 0, "removed": 2}
    assert np.array_equal(found.gaussians.means[0], before.means[3])
    assert found.gaussians.logit_opacities[4] == EMPTY
    found = run(before._replace(logit_opacities=logits.at[1].set(-2.0)), pulls(), 200)
    assert found.counts["removed"] == 3  # an opacity of 0.12 is faint at the end


def test_gradients_are_gathered_in_units_of_half_the_image():
    gathered = gather(
        nothing_gathered(3), jnp.array([[0.1, 0.0], [0.0, 0.1], [0.0, 0.0]]), (20, 40)
    )
    assert np.allclose(gathered.norms, [2.0, 1.0, 0.0])
    assert np.array_equal(gathered.views, [1, 1, 0])


def test_moments_of_new_gaussians_are_zero():
    moments = {"means": jnp.ones((3, 3)), "gains": jnp.ones((3, 3))}
    found = forget(moments, np.array([False, True, False]))
    assert found["means"].sum(1).tolist() == [3, 0, 3]
    assert float(found["gains"].sum()) == 9


def test_opacities_fall_and_empty_slots_stay_empty():
    low = without_opacity(gaussians())
    assert np.allclose(1 / (1 + np.exp(-low.logit_opacities[:5])), 0.01)
    assert (low.logit_opacities[5:] == EMPTY).all()
    assert float(low.logit_opacities[0]) == pytest.approx(np.log(0.01 / 0.99))
