"""The edge of a rectangle is found in a record, and a shadow or the ground is none."""

import numpy as np
import pytest
from scipy import ndimage

from dyso.spec import Layout
from dyso.validation.edges import straight_step

SIZE = 96
STEPS = 5
LAYOUT = Layout(steps=STEPS, cameras=1, paired=False)


def record(light):
    """A ground with tiles, lit by `light` [T, H, W], and a ball that moves over it."""
    y, x = np.mgrid[:SIZE, :SIZE]
    ground = 120 + 40 * ((x // 12 + y // 12) % 2) + 10 * np.sin(x * y)
    ball = np.stack([np.hypot(x - 30 - 8 * step, y - 40) < 10 for step in range(STEPS)])
    grey = np.where(ball, 60, ground * light)
    noise = np.random.default_rng(0).normal(0, 0.3, grey.shape)
    color = np.repeat(np.rint(grey + noise)[..., None], 3, -1).astype(np.uint8)
    return {"color": color, "instance": ball.astype(np.uint8)[..., None]}


def rectangles(contrast, softness=0.0, turn=0.0):
    """Light that differs by `contrast` around the ball."""
    y, x = np.mgrid[:SIZE, :SIZE] - 45.0
    light = []
    for step in range(STEPS):
        u = x + 15 - 8 * step
        along, across = u + turn * y, y - turn * u
        inside = (np.abs(along) < 19.2) & (np.abs(across) < 20.2)
        light.append(1 - contrast * ndimage.gaussian_filter(inside * 1.0, softness))
    return np.array(light)


@pytest.mark.parametrize("contrast", [0.02, 0.09])
def test_a_rectangle_shows(contrast):
    found = straight_step(record(rectangles(contrast)), LAYOUT)
    assert found == pytest.approx(contrast, abs=0.01)


@pytest.mark.parametrize(
    "light",
    [
        rectangles(0),
        rectangles(0.6),
        rectangles(0.15, softness=3.0),
        rectangles(0.15, turn=0.3),
    ],
    ids=["ground", "dark shadow", "soft shadow", "slanted shadow"],
)
def test_a_ground_and_its_shadows_are_no_edges(light):
    assert straight_step(record(light), LAYOUT) < 0.01


@pytest.mark.parametrize(
    "layout",
    [Layout(steps=1, cameras=5, paired=False), Layout(steps=5, cameras=5, paired=True)],
)
def test_one_view_of_a_camera_says_nothing(layout):
    assert straight_step(record(rectangles(0.09)), layout) is None


def test_objects_that_fill_the_views_say_nothing():
    filled = record(rectangles(0.09))
    filled["instance"][:] = 1
    assert straight_step(filled, LAYOUT) is None
