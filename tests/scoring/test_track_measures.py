"""Measures of tracks, depth and cameras on numbers that can be checked by hand."""

import numpy as np
import pytest

from dyso import geometry
from dyso.scoring import depths, tracks
from dyso.scoring.alignment import align
from dyso.scoring.poses import pose_errors


def test_tap_vid_by_its_definition():
    # Three frames after the query's, two points; thresholds are 1, 2, 4, 8, 16.
    distance = np.array([[99, 99], [0.5, 3], [3, 20], [5, 0]])
    true = np.array([[1, 1], [1, 1], [1, 1], [0, 1]], bool)
    predicted = np.array([[0, 0], [1, 1], [1, 1], [1, 0]], bool)
    found = tracks.tap_vid(distance, true, predicted)
    # Of 6 points, 5 are visible; 4 visibilities are right.
    assert found["oa"] == pytest.approx(4 / 6)
    # Distances of visible points: 0.5, 3, 3, 20, 0. Nearer than each threshold:
    assert found["delta"] == pytest.approx(np.mean([2, 2, 4, 4, 4]) / 5)
    # True positives, not counting the last point, which is predicted as hidden:
    positives = np.array([1, 1, 3, 3, 3])
    # 5 are predicted as visible; those that are no true positives are false ones.
    assert found["aj"] == pytest.approx(np.mean(positives / (5 + 5 - positives)))


def test_a_distance_equal_to_the_threshold_is_not_within_it():
    distance, seen = np.array([[0.0], [1.0]]), np.ones((2, 1), bool)
    assert tracks.tap_vid(distance, seen, seen)["delta"] == pytest.approx(4 / 5)


def test_tap_vid_of_points_that_are_never_visible_is_their_occlusion():
    distance, hidden = np.zeros((3, 2)), np.zeros((3, 2), bool)
    assert tracks.tap_vid(distance, hidden, ~hidden) == {"oa": 0.0}


def test_medians_and_survival():
    distance = np.array([[90.0, 90], [1, 2], [60, 3], [3, 4], [4, 70]])
    counted = np.ones_like(distance, bool)
    medians = tracks.median_errors(distance, counted)
    np.testing.assert_allclose(medians, [3.5, 3.5])
    # The first is lost at the second of four steps, the second at the last.
    assert tracks.survival(distance, counted, 50) == pytest.approx((1 / 4 + 3 / 4) / 2)
    counted[2, 0] = False  # not visible there
    assert tracks.survival(distance, counted, 50) == pytest.approx((1 + 3 / 4) / 2)
    counted[:, 1] = False
    medians = tracks.median_errors(distance, counted)
    np.testing.assert_allclose(medians, [3, np.nan])
    metres = np.array([[9.0], [0.03], [0.5]])
    assert tracks.share_within(metres, 0.01) == pytest.approx(
        np.mean([0, 0, 1, 1, 1]) / 2
    )


def test_depth_by_hand():
    true, guess = np.array([1.0, 2, 4, 8]), np.array([1.2, 1.5, 4, 0])
    error = depths.absolute_relative(true, guess)
    np.testing.assert_allclose(error, [0.2, 0.25, 0, 1])
    np.testing.assert_array_equal(depths.within_delta(true, guess), [1, 0, 1, 0])
    assert depths.median_scale(true, guess) == pytest.approx(3 / 1.35)
    assert depths.median_scale(true, 0 * guess) == 1


def turned(degrees, axis=(0.0, 0.0, 1.0)):
    quaternion = geometry.quaternion_from_axis_angle(
        np.array(axis), np.radians(degrees)
    )
    return geometry.quaternion_to_matrix(quaternion)


def test_poses_by_hand():
    rng = np.random.default_rng(0)
    axes = np.stack([turned(angle, (0.6, 0.0, 0.8)) for angle in (0, 40, 80, 200)])
    centres = rng.normal(size=(4, 3))
    true = geometry.invert(np.concatenate([axes, centres[..., None]], axis=-1))
    # Two cameras turn by 10 degrees in opposite directions; all centres shift.
    off = np.stack([turned(angle) for angle in (10, -10, 0, 0)]) @ axes
    shifted = centres + np.array([0.3, 0.4, 0])
    guess = geometry.invert(np.concatenate([off, shifted[..., None]], axis=-1))
    found = pose_errors(true, guess)
    assert found["rotation"] == pytest.approx(5)
    assert found["translation"] == pytest.approx(0.5)
    assert found["rotation_aligned"] == pytest.approx(5)
    assert found["translation_aligned"] == pytest.approx(0, abs=1e-9)
    assert found["ate"] == pytest.approx(0, abs=1e-9)


def test_cameras_that_hardly_move_are_aligned_by_their_orientation():
    rng = np.random.default_rng(1)
    centres = 0.01 * rng.normal(size=(20, 3))
    poses = np.concatenate(
        [np.tile(np.eye(3), (20, 1, 1)), centres[..., None]], axis=-1
    )
    noisy = poses.copy()
    noisy[..., 3] += 0.01 * rng.normal(size=(20, 3))
    found = pose_errors(geometry.invert(poses), geometry.invert(noisy))
    assert found["rotation_aligned"] == pytest.approx(0, abs=1e-6)
    assert 0.005 < found["ate"] < 0.02


def test_alignment_never_mirrors_and_survives_a_single_place():
    rng = np.random.default_rng(2)
    points = rng.normal(size=(9, 3))
    fit = align(points, points * [1, 1, -1])
    assert np.linalg.det(fit.rotation) == pytest.approx(1)
    one = np.ones((4, 3))
    np.testing.assert_allclose(align(one, 2 * one).apply(one), 2 * one)
