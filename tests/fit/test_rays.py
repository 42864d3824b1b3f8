"""Which pixels are trained on, and images in pieces."""

import jax
import numpy as np
import pytest

from dyso import geometry
from dyso.fit import rays
from dyso.fit.rays import chances, image_rays, in_chunks, random_pixels


def test_moving_pixels_are_drawn_more_often():
    color = np.full((5, 2, 3, 3), 100, np.uint8)
    color[2, 1, 2] = 140
    color[4, 0, 0] = 120
    each = np.diff(chances(color), prepend=0).reshape(5, 2, 3)
    assert each[2, 1, 2] == pytest.approx(2 / 3, abs=1e-6)
    assert each[4, 0, 0] == pytest.approx(1 / 3, abs=1e-6)
    still = np.diff(chances(np.zeros_like(color)), prepend=0)
    assert np.allclose(still, 1 / 30)


def test_the_median_of_several_cameras_is_each_ones():
    color = np.full((5, 2, 2, 3, 3), 100, np.uint8)
    color[:, 1] = 200
    color[3, 1, 0, 0] = 250
    each = np.diff(chances(color), prepend=0).reshape(5, 2, 2, 3)
    assert each[3, 1, 0, 0] == pytest.approx(1, abs=1e-6)


def test_half_of_the_pixels_are_drawn_by_their_chances():
    sums = np.zeros(1000, np.float32)
    sums[700:] = 1
    drawn = np.asarray(random_pixels(jax.random.key(0), sums, 400))
    assert drawn.shape == (400,) and (drawn >= 0).all() and (drawn < 1000).all()
    assert 200 <= (drawn == 700).sum() < 205


def test_an_image_in_chunks_is_the_image_at_once(monkeypatch):
    lens = np.array([[5.0, 0, 4], [0, 5.0, 3], [0, 0, 1]], np.float32)
    pose = np.eye(4, dtype=np.float32)[:3]
    whole = image_rays(lens, pose, (6, 8), 0.5)
    pixels = geometry.pixel_grid(6, 8, np).reshape(-1, 2)
    assert np.allclose(whole.directions, geometry.rays(lens, pose, pixels)[1])
    assert (whole.times == 0.5).all()
    monkeypatch.setattr(rays, "CHUNK", 20)
    sizes = []

    def render(some):
        sizes.append(len(some.origins))
        return some.directions, some.times

    directions, times = in_chunks(render, whole)
    assert sizes == [20, 20, 20]
    assert np.array_equal(directions, whole.directions) and times.shape == (48,)
