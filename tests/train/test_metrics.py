"""Measures, on cases whose value is known."""

import itertools

import numpy as np
import pytest

from dyso.spec import UserError
from dyso.train import lpips
from dyso.train.latent_sources import partners
from dyso.train.metrics import (
    contrastiveness,
    median_and_error,
    pairwise_distances,
    principal,
    psnr,
    relations,
    ssim,
    traverse,
    triple_ratios,
)
from dyso.train.poses import score

CAMERAS = np.array([[3, 1, 3, 1], [0, 0, 2, 2]])
STEPS = np.array([[2, 2, 4, 4], [1, 0, 1, 0]])
IDS = {"cameras": CAMERAS, "dynamics": STEPS}


def constant(*values, side=16):
    return np.stack([np.full((side, side, 3), value) for value in values])


def test_psnr_of_known_errors():
    found = psnr(constant(0.5, 0.5, 0.5), constant(0.6, 0.49, 0.5))
    np.testing.assert_allclose(found, [20, 40, 100], atol=1e-6)


def test_ssim_of_known_images():
    # Of constant images only the luminance term is left: (2ab + c) / (a^2 + b^2 + c).
    found = ssim(constant(0.2, 0.7), constant(0.6, 0.7))
    c = 0.01**2
    expected = (2 * 0.2 * 0.6 + c) / (0.2**2 + 0.6**2 + c)
    np.testing.assert_allclose(found, [expected, 1], atol=1e-6)


def test_ssim_of_opposite_noise_is_negative():
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (1, 32, 32, 3))
    assert ssim(0.5 + noise, 0.5 - noise)[0] < -0.9


def one_hot(ids):
    return np.eye(5)[ids]


def measured(latents, name):
    own = partners(IDS, name)
    distances = pairwise_distances(latents)
    return contrastiveness(distances, own["matching"], own["opposite"])


@pytest.mark.parametrize("name, own", [("camera", CAMERAS), ("dynamics", STEPS)])
def test_contrastiveness_of_known_latents(name, own):
    foreign = STEPS if name == "camera" else CAMERAS
    noise = np.random.default_rng(0).normal(size=(2, 4, 1))
    # What is asked for and nothing else, in any size.
    np.testing.assert_allclose(measured(7 * one_hot(own), name), 0, atol=1e-8)
    # All views equally far apart; and all at one place.
    np.testing.assert_allclose(measured(np.stack([np.eye(4)] * 2), name), 1)
    np.testing.assert_allclose(measured(np.zeros((2, 4, 3)) + noise[:, :1], name), 1)
    # Three parts of what belongs into the other latent to two of its own.
    leaking = np.concatenate([2 * one_hot(own), 3 * one_hot(foreign)], axis=-1)
    np.testing.assert_allclose(measured(leaking, name), 1.5)
    assert (measured(one_hot(foreign), name) > 1e6).all()


def test_contrastiveness_of_noise_is_about_one():
    latents = np.random.default_rng(0).normal(size=(2000, 4, 64))
    ids = {name: np.repeat(values[:1], 2000, 0) for name, values in IDS.items()}
    own = partners(ids, "camera")
    distances = pairwise_distances(latents)
    found = contrastiveness(distances, own["matching"], own["other"])
    assert found.mean() == pytest.approx(1, abs=0.02)


def test_ratios_of_all_triples():
    cameras, steps = np.repeat(np.arange(3), 2), np.tile(np.arange(2), 3)
    pairs = relations(cameras, steps)
    # A step is 1 away, a camera 10 or 20: a view has 1 match and 2 opposites.
    line = np.stack([(10.0 * cameras + steps)[:, None]] * 2)
    found = triple_ratios(
        pairwise_distances(line), pairs["same_camera"], pairs["same_dynamics"]
    )
    assert found.shape == (2, 6 * 1 * 2)
    np.testing.assert_allclose(np.unique(found.round(9)), [0.05, 0.1])
    assert (found.round(9) == 0.1).sum(axis=1).tolist() == [8, 8]
    median = median_and_error("R", found)
    assert median == pytest.approx({"R": 0.1, "R_error": 0.0})


def test_the_error_of_a_median_is_that_of_resampled_scenes():
    values = np.random.default_rng(0).normal(size=(400, 1))
    found = median_and_error("R", values)
    # The asymptotic error of a Gaussian's median.
    assert found["R_error"] == pytest.approx(np.sqrt(np.pi / 2 / 400), rel=0.25)
    assert median_and_error("R", values[:1])["R_error"] is None


def test_distances_and_their_means_by_relation():
    cameras, steps = np.repeat([0, 1, 2], 2), np.tile([0, 1], 3)
    # On a line, scaled in the second scene: a camera is 10 away from the next.
    line = (10.0 * cameras + steps)[None, :, None] * np.array([1, 3])[:, None, None]
    found = pairwise_distances(line).mean(axis=0)
    expected = 2 * np.abs(line[0] - line[0].T)
    np.testing.assert_allclose(found, expected)
    pairs = relations(cameras, steps)
    assert list(pairs) == ["same_camera", "same_dynamics", "both_differ"]
    assert found[pairs["same_camera"]].mean() == pytest.approx(2)
    assert found[pairs["same_dynamics"]].mean() == pytest.approx(80 / 3)
    together = sum(own.astype(int) for own in pairs.values())
    np.testing.assert_array_equal(together, 1 - np.eye(6))
    assert list(relations(np.arange(4), np.zeros(4, int))) == ["same_dynamics"]


def test_components_of_a_line():
    rng = np.random.default_rng(0)
    along = rng.normal(size=500)
    latents = 5 + along[:, None] * np.array([0.6, 0, -0.8]) * 3
    axes = principal(latents.astype(np.float32))
    np.testing.assert_allclose(axes.components[0], [-0.6, 0, 0.8], atol=1e-5)
    np.testing.assert_allclose(axes.shares, [1, 0, 0], atol=1e-5)
    assert axes.deviations[0] == pytest.approx(3 * along.std(ddof=1), rel=1e-4)
    moved = traverse(latents[0], axes, 0, 5)
    np.testing.assert_allclose(moved[2], latents[0], rtol=1e-5)
    step = axes.deviations[0] * axes.components[0]
    np.testing.assert_allclose(moved[-1] - moved[0], 4 * step, rtol=1e-4, atol=1e-4)


def test_position_scores():
    true = np.random.default_rng(0).normal(size=(50, 3))
    assert score(true, true) == {"mse": 0, "r2": 1}
    mean = np.broadcast_to(true.mean(axis=0), true.shape)
    assert score(mean, true)["r2"] == pytest.approx(0)
    assert score(true + np.array([0, 0.3, 0]), true)["mse"] == pytest.approx(0.03)


def vgg(rng):
    """A VGG-16 of few channels, of random weights."""
    channels = [3, 4, 4, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8]
    names = [name for stage in lpips._NETS["vgg"] for name in stage.convolutions]
    params = {}
    for name, (before, after) in zip(names, itertools.pairwise(channels), strict=True):
        params[f"net.{name}.weight"] = rng.normal(size=(after, before, 3, 3)) / 3
        params[f"net.{name}.bias"] = rng.normal(size=after)
    for number, size in enumerate((4, 5, 6, 7, 8)):
        params[f"lin{number}.model.1.weight"] = rng.uniform(size=(1, size, 1, 1))
    return params


def test_lpips_of_known_features(tmp_path):
    # The first stage's features are (red, 1); no other stage counts.
    params = {
        name: np.zeros_like(own) for name, own in vgg(np.random.default_rng(0)).items()
    }
    params["net.slice1.0.weight"][0, 0, 1, 1] = lpips._SCALE[0] / 2
    params["net.slice1.0.bias"][:2] = (1 + lpips._SHIFT[0]) / 2, 1
    params["net.slice1.2.weight"][[0, 1], [0, 1], 1, 1] = 1
    params["lin0.model.1.weight"][0, :2, 0, 0] = 1, 2
    np.savez(tmp_path / "w.npz", **params)
    net, measure = lpips.load(tmp_path / "w.npz")
    found = measure.function(constant(0.25, 0.5), constant(1.0, 0.5))
    assert net == "vgg"
    first, second = (np.array([red, 1]) / np.hypot(red, 1) for red in (0.25, 1.0))
    expected = ((first - second) ** 2 * [1, 2]).sum()
    np.testing.assert_allclose(found, [expected, 0], atol=1e-5)


def test_lpips_grows_with_the_difference(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "w.npz", **vgg(rng))
    _, measure = lpips.load(tmp_path / "w.npz")
    images = rng.uniform(size=(20, 16, 16, 3))
    noise = rng.normal(size=images.shape)
    none, small, large = (
        measure.function(images, images + share * noise) for share in (0, 0.01, 0.1)
    )
    assert none.shape == (20,)
    assert (none == 0).all() and (small > 0).all() and (small < large).all()


def test_other_files_are_no_weights(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "text.pth").write_text("no archive")
    for name in ("other.npz", "array.npy", "text.pth"):
        with pytest.raises(UserError, match=r"numpy\.savez"):
            lpips.load(tmp_path / name)
    with pytest.raises(UserError, match="No such file"):
        lpips.load(tmp_path / "absent.npz")
