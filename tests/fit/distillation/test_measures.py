"""What is measured of made scenes, on fields that are known exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso import geometry
from dyso.fit.distillation import cameras, measures, optimization, rendering
from dyso.fit.distillation.config import Bias
from dyso.fit.hexplane.config import Marching
from helpers.small_distillation import SMALL

CONFIG = dataclasses.replace(
    SMALL, bias=Bias(strength=0.0), marching=Marching(candidates=64, points=64)
)
SIZE = (8, 8)


def measured(monkeypatch, density):
    """Measures the scene of a density: a function of points, in radii, and times."""

    def biased(bias, sigma):
        def evaluate(field, points, times):
            color = jnp.broadcast_to(jnp.array([0.9, 0.2, 0.1]), points.shape)
            return density(2 * points, times), color

        return evaluate

    monkeypatch.setattr(rendering, "biased", biased)
    monkeypatch.setattr(measures, "CAMERAS", 2)
    monkeypatch.setattr(measures, "DEPTH_SIZE", (32, 32))
    # Compiled programs know nothing of the change.
    jax.clear_caches()
    return measures.measure(optimization.start(CONFIG), CONFIG, 2, SIZE)


def ball(points, centre, times):
    return 300.0 * (jnp.linalg.norm(points - centre(times), axis=-1) < 0.4)


def still(times):
    return jnp.zeros((len(times), 3))


def along_x(times):
    return times[:, None] * jnp.array([0.3, 0.0, 0.0])


def test_a_ball_that_stands_still_or_moves(monkeypatch):
    films, values = measured(monkeypatch, lambda p, t: ball(p, still, t))
    assert films.shape == (measures.CAMERAS, measures.TIMES, *SIZE, 3)
    assert values["change"] == values["displacement"] == 0
    assert values["agreement"] > 0.9 and 0.05 < values["opaque"] < 0.3
    _, moving = measured(monkeypatch, lambda p, t: ball(p, along_x, t))
    assert moving["displacement"] == pytest.approx(0.6, abs=0.02)
    assert moving["change"] > 0.001 and moving["agreement"] > 0.9


def test_views_of_fog_do_not_agree(monkeypatch):
    def fog(points, times):
        # Opaque enough to show points, which are in the middle of the fog.
        return jnp.where(jnp.abs(points).max(-1) < 1, 1.5, 0.0)

    _, values = measured(monkeypatch, fog)
    assert values["opaque"] > 0.3 and values["agreement"] < 0.7
    _, nothing = measured(monkeypatch, lambda points, times: jnp.zeros(len(points)))
    assert nothing["opaque"] == 0 and np.isnan(nothing["agreement"])


def test_depths_of_a_plane_agree_and_random_ones_do_not():
    size = (16, 16)
    lens = cameras.lens(CONFIG.cameras, size)
    poses = np.asarray(
        cameras.around(jnp.array([0.0, 0.3]), jnp.full(2, 1.2), jnp.full(2, 2.5))
    )
    origins, directions = geometry.rays(
        lens, poses[:, None], geometry.pixel_grid(*size, np).reshape(-1, 2)
    )
    depth = (-origins[..., 2] / directions[..., 2]).reshape(2, *size)
    every = np.ones(size, bool)
    assert measures.depth_agreement(depth, every, lens, poses).mean() == 1
    rng = np.random.default_rng(0)
    noise = rng.uniform(1.5, 3.5, depth.shape)
    assert measures.depth_agreement(noise, every, lens, poses).mean() < 0.5
    # A pixel that shows nothing agrees with no point.
    empty = np.stack([depth[0], np.full(size, np.inf)])
    assert not measures.depth_agreement(empty, every, lens, poses).any()
    assert measures.depth_agreement(depth, ~every, lens, poses).size == 0


def test_detail_is_what_half_the_resolution_lacks():
    slope = np.linspace(0, 1, 16)[None, None, :, None] * np.ones((2, 16, 1, 3))
    stripes = np.tile([0.0, 1.0], 8)[None, None, :, None] * np.ones((2, 16, 1, 3))
    assert measures.detail(slope) < 0.01
    assert measures.detail(stripes) == pytest.approx(0.5)
