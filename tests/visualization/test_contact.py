"""A contact shadow is found where there is one, and a pattern is none."""

import numpy as np
import pytest

from dyso import geometry
from dyso.visualization.contact import has_contact_shadow

SIZE = 128


def record(shadow: float, pattern: float = 0.0, object_at=(0.0, 0.0)):
    """A view from above at an angle of a floor with a disc of an object on it."""
    position = np.array([5.0, 0.0, 4.0])
    rotation = geometry.look_at(position, np.zeros(3))
    extrinsics = geometry.invert(np.column_stack([rotation, position]))
    intrinsics = geometry.intrinsics(0.035, 0.032, SIZE, SIZE)
    grid = geometry.pixel_grid(SIZE, SIZE, np)
    origins, directions = geometry.rays(intrinsics, extrinsics, grid)
    depth = -origins[..., 2] / directions[..., 2]
    x, y = (origins[..., i] + depth * directions[..., i] for i in range(2))
    x, y = x - object_at[0], y - object_at[1]
    instance = np.hypot(x, y) < 0.6
    light = 0.5 + pattern * (np.floor(x / 0.3) % 2 - 0.5)
    light = np.where((np.abs(x) < 0.6) & (y > 0) & (y < 2), light * (1 - shadow), light)
    color = np.repeat((255 * light ** (1 / 2.2))[..., None], 3, -1).astype(np.uint8)
    return {
        "color": color[None],
        "depth": depth[None, ..., None],
        "instance": instance.astype(np.uint8)[None, ..., None],
        "intrinsics": intrinsics[None],
        "extrinsics": extrinsics[None],
        "objects/positions": np.array([[[*object_at, 0.5]]]),
        "objects/sizes": np.array([[1.2, 1.2, 1.0]]),
    }


@pytest.mark.parametrize(
    ("shadow", "pattern", "expected"),
    [(0.5, 0.0, True), (0.5, 0.3, True), (0.0, 0.0, False), (0.1, 0.3, False)],
)
def test_a_shadow_is_told_from_a_pattern(shadow, pattern, expected):
    assert has_contact_shadow(record(shadow, pattern), [0]) is expected


def test_an_object_out_of_sight_says_nothing():
    assert has_contact_shadow(record(0.5, object_at=(40.0, 0.0)), [0]) is None
