"""Statistics and the picture of rendering weights."""

import numpy as np
import pytest

from dyso.fit.motion.rendering_weights import picture, statistics


def ray(**runs):
    weights = np.zeros(100)
    for name, (first, last, total) in runs.items():
        assert name
        weights[first:last] = total / (last - first)
    return weights


def test_unimodal_rays_have_their_weight_near_the_median():
    thin = ray(a=(40, 45, 0.3))
    specks = ray(a=(40, 45, 0.93), b=(80, 82, 0.07))
    two = ray(a=(10, 15, 0.4), b=(60, 65, 0.2))
    fog = ray(a=(0, 100, 0.5))
    for each, expected in ((thin, 1), (specks, 1), (two, 0), (fog, 0)):
        assert statistics(each[None])["unimodal"] == expected
    assert statistics(np.stack([thin, fog]))["unimodal"] == 0.5
    assert statistics(np.zeros((3, 100)))["unimodal"] == 0


def test_the_spread_is_the_mean_distance_from_the_median():
    found = statistics(
        np.stack([ray(a=(40, 41, 0.3)), ray(a=(20, 21, 1), b=(60, 61, 1))])
    )
    assert found["spread"] == pytest.approx((0 + 0.2) / 2, abs=1e-6)


def test_the_picture_is_bright_where_the_weight_is():
    weights = np.zeros((6, 20))
    weights[2, 5] = 1.0
    frame = np.full((4, 6, 3), 50, np.uint8)
    image = np.asarray(picture(weights, np.full(6, 0.99), frame, 1, scale=2))
    assert image.shape == (4 * 2 + 20, 6 * 2, 3)
    assert (image[7 - 4] == (0, 220, 120)).all()
    rays = image[8:]
    assert (rays[0] == (0, 220, 120)).all()
    assert (rays[19 - 5, 4:6] == 255).all()
    assert rays[1:].sum() == 2 * 3 * 255
