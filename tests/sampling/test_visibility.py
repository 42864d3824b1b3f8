from dataclasses import replace

import numpy as np
import pytest

from dyso.sampling.cameras import Trajectory
from dyso.sampling.dynamics import Motion
from dyso.sampling.poses import viewing
from dyso.sampling.visibility import VisibilityLimits, seen_shares
from dyso.spec import Cameras, Dynamics, Spec

SPEC = Spec(
    name="a",
    splits={"train": 1},
    resolution=(64, 64),
    dynamics=Dynamics(steps=1),
    cameras=Cameras(count=1),
)
HALF = np.ones((1, 3))
UPRIGHT = np.array([[[1.0, 0.0, 0.0, 0.0]]])


def share(yaw: float, *, spec: Spec = SPEC, focal_length: float = 0.032) -> float:
    """Returns how much is seen of a box 10 m along x from a camera at the origin."""
    trajectory = Trajectory(
        pattern="pan",
        positions=np.zeros((1, 3)),
        quaternions=viewing(np.array([yaw]), np.zeros(1)),
        focal_lengths=np.array([focal_length]),
    )
    motion = Motion(positions=np.array([[[10.0, 0.0, 0.0]]]), quaternions=UPRIGHT)
    [seen] = seen_shares(VisibilityLimits.of_spec(spec), trajectory, motion, HALF)
    return seen


def test_boxes_in_front_of_the_camera_are_visible():
    assert share(0.0) == 1


@pytest.mark.parametrize("yaw", [np.pi / 2, np.pi])
def test_boxes_beside_or_behind_the_camera_are_not_visible(yaw):
    assert share(yaw) == 0


def test_the_edge_of_the_frame_cuts_the_box():
    # The sensor is as wide as the lens is long: the frame ends at half over one.
    edge = np.arctan(0.5)
    assert 0.3 < share(edge) < 0.7
    assert share(edge + 0.2) == 0
    assert share(edge - 0.2) == 1


def test_a_long_lens_sees_a_part():
    # 1 m to each side at 10 m: parts at two thirds of it are out of frame, the
    # middle of each axis is in.
    assert share(0.0, focal_length=0.32) == pytest.approx(3 / 27)


def test_a_wide_image_is_cut_above_and_below():
    wide = replace(SPEC, resolution=(8, 256))
    assert share(0.0, spec=wide) == pytest.approx(9 / 27)


@pytest.mark.parametrize("paired", [False, True])
def test_each_view_has_its_own_camera_and_step(paired):
    spec = replace(
        SPEC,
        dynamics=Dynamics(steps=2),
        cameras=Cameras(count=2, paired=paired),
    )
    # The first camera looks along x, where the box is at first, the second back.
    trajectory = Trajectory(
        pattern="pan",
        positions=np.zeros((2, 3)),
        quaternions=viewing(np.array([0.0, np.pi]), np.zeros(2)),
        focal_lengths=np.full(2, 0.032),
    )
    centres = np.array([[[10.0, 0.0, 0.0], [-10.0, 0.0, 0.0]]])
    motion = Motion(positions=centres, quaternions=UPRIGHT.repeat(2, axis=1))
    shares = seen_shares(VisibilityLimits.of_spec(spec), trajectory, motion, HALF)
    assert shares.tolist() == ([1, 1] if paired else [1, 0, 0, 1])
