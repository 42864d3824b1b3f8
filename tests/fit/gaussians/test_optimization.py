import numpy as np
import pytest

from dyso import geometry
from dyso.fit.data import Step
from dyso.fit.gaussians.optimization import scene_radius


def step_of(*positions):
    """Cameras at these positions, which look at the origin."""
    poses = [
        np.concatenate([geometry.look_at(p, np.zeros(3)), p[:, None]], axis=1)
        for p in map(np.array, positions)
    ]
    count = len(poses)
    return Step(
        color=np.zeros((count, 2, 2, 3), np.uint8),
        depth=np.zeros((count, 2, 2), np.float32),
        foreground=np.zeros((count, 2, 2), bool),
        intrinsics=np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)),
        extrinsics=np.stack([geometry.invert(p) for p in poses]).astype(np.float32),
    )


def test_radius_is_that_of_the_training_cameras_around_the_scene():
    step = step_of([4.0, 0, 1], [-4.0, 0, 1], [0, 4.0, 1], [0, -4.0, 1], [9.0, 9, 1])
    assert scene_radius(step, (0, 1, 2, 3)) == pytest.approx(4.4, rel=1e-5)


@pytest.mark.parametrize("cameras", [(0,), (0, 1)])
def test_radius_of_cameras_that_stand_together_is_half_their_distance(cameras):
    step = step_of([6.0, 0.1, 0], [6.0, -0.1, 0])
    assert scene_radius(step, cameras) == pytest.approx(3.0, rel=1e-3)
