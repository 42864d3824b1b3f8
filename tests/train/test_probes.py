"""Linear probes, on latents whose content is known."""

import numpy as np
import pytest

from dyso.train.probes import cross_predicted, fit, probe, r2_and_error


def test_a_probe_reads_what_is_linear_in_latents_of_any_scale():
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(20, 25, 8)) * 10.0 ** np.arange(-3, 5) + 7
    values = latents @ rng.normal(size=(8, 3)) + 2
    assert probe(latents, values)["r2"] > 0.9999
    weights, offsets = fit(latents.reshape(-1, 8), values.reshape(-1, 3))
    assert weights.shape == (8, 3) and offsets.shape == (3,)


def test_a_probe_reads_nothing_from_noise_or_a_constant():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 25, 3))
    found = probe(rng.normal(size=(40, 25, 8)), values)
    assert found["r2"] == pytest.approx(0, abs=0.05)
    assert 0 < found["r2_error"] < 0.05
    assert probe(np.ones((40, 25, 8)), values)["r2"] == pytest.approx(0, abs=0.05)
    assert probe(values, np.ones((40, 25, 2))) == {"r2": None, "r2_error": None}


def test_no_scene_is_read_by_a_probe_that_has_seen_it():
    # Every scene has a code of its own: whoever saw a scene could look its value up.
    codes = np.eye(40)[:, None].repeat(5, axis=1)
    values = np.random.default_rng(0).normal(size=(40, 1, 1)).repeat(5, axis=1)
    assert probe(codes, values)["r2"] <= 0.05


def test_probes_are_applied_to_other_latents():
    latents = np.random.default_rng(0).normal(size=(6, 10, 2))
    found = cross_predicted(latents, latents[..., :1], latents[:, :3] + 1)
    np.testing.assert_allclose(found, latents[:, :3, :1] + 1, atol=0.02)


def test_r2_of_known_errors():
    values = np.array([[[0.0], [2.0]], [[0.0], [2.0]]])
    assert r2_and_error(values, values)["r2"] == 1
    assert r2_and_error(values + 1, values)["r2"] == 0
