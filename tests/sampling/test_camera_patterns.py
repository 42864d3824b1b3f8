from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyso.geometry import look_at, quaternion_to_matrix
from dyso.sampling.cameras import Trajectory, sample_cameras
from dyso.spec import Cameras, Patterns

SEEDS = range(200)
seeds = st.integers(0, 2**32 - 1)
QUIET = Cameras(position_noise=0.0, target_noise=0.0)
TARGET = np.array([0.0, 0.0, QUIET.target_height])


def only(pattern: str, cameras: Cameras = QUIET, **fields) -> Cameras:
    """Returns cameras of one pattern alone."""
    kinds = {name: getattr(Patterns(), name) for name in Patterns().weights()}
    patterns = {name: replace(kind, weight=0.0) for name, kind in kinds.items()}
    patterns[pattern] = replace(kinds[pattern], weight=1.0, **fields)
    return replace(cameras, patterns=Patterns(**patterns))


def sample(cameras: Cameras, seed: int) -> tuple[Trajectory, np.ndarray]:
    """Returns a trajectory and its rotations, camera to world."""
    trajectory = sample_cameras(np.random.default_rng(seed), cameras)
    assert trajectory.positions.shape == (cameras.count, 3)
    assert trajectory.quaternions.shape == (cameras.count, 4)
    return trajectory, quaternion_to_matrix(trajectory.quaternions)


def check_middle(position: np.ndarray, rotation: np.ndarray, cameras: Cameras) -> None:
    """Checks distance and elevation from the target, and that it is looked at."""
    offset = position - TARGET
    distance = np.linalg.norm(offset)
    low, high = cameras.distance
    assert low - 1e-9 <= distance <= high + 1e-9
    low, high = cameras.elevation
    assert low - 1e-9 <= np.degrees(np.arcsin(offset[2] / distance)) <= high + 1e-9
    np.testing.assert_allclose(rotation, look_at(position, TARGET), atol=1e-12)


@given(seeds)
def test_shift_moves_evenly_along_the_horizontal_axis_of_one_orientation(seed):
    cameras = only("shift", extent=(1.0, 4.0))
    trajectory, rotations = sample(cameras, seed)
    assert (trajectory.quaternions == trajectory.quaternions[0]).all()
    check_middle(trajectory.positions[2], rotations[2], cameras)
    steps = np.diff(trajectory.positions, axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], (4, 3)), atol=1e-12)
    assert 1.0 <= 4 * np.linalg.norm(steps[0]) <= 4.0
    along = steps[0] @ rotations[0]
    np.testing.assert_allclose(along[1:], 0, atol=1e-12)
    assert steps[0][2] == pytest.approx(0, abs=1e-12)


@given(seeds)
def test_pan_turns_evenly_about_the_vertical_from_one_position(seed):
    cameras = only("pan", arc=(8.0, 30.0))
    trajectory, rotations = sample(cameras, seed)
    assert (trajectory.positions == trajectory.positions[0]).all()
    check_middle(trajectory.positions[2], rotations[2], cameras)
    turns = rotations[1:] @ rotations[:-1].swapaxes(1, 2)
    np.testing.assert_allclose(
        turns, np.broadcast_to(turns[0], turns.shape), atol=1e-12
    )
    np.testing.assert_allclose(turns[0] @ [0, 0, 1], [0, 0, 1], atol=1e-12)
    yaw = np.degrees(np.arctan2(turns[0][1, 0], turns[0][0, 0]))
    assert 8.0 <= 4 * abs(yaw) <= 30.0


@given(seeds)
def test_zoom_moves_evenly_along_the_optical_axis(seed):
    cameras = only("zoom", extent=(1.5, 4.5))
    trajectory, rotations = sample(cameras, seed)
    assert (trajectory.quaternions == trajectory.quaternions[0]).all()
    assert (trajectory.focal_lengths == 0.035).all()
    check_middle(trajectory.positions[2], rotations[2], cameras)
    steps = np.diff(trajectory.positions, axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], (4, 3)), atol=1e-12)
    np.testing.assert_allclose((steps[0] @ rotations[0])[:2], 0, atol=1e-12)
    assert 1.5 <= 4 * np.linalg.norm(steps[0]) <= 4.5


@given(seeds)
def test_zoom_by_focal_length_stays_where_it_is(seed):
    cameras = only("zoom", by="focal_length", factor=(1.3, 2.0))
    trajectory, rotations = sample(cameras, seed)
    assert (trajectory.positions == trajectory.positions[0]).all()
    assert (trajectory.quaternions == trajectory.quaternions[0]).all()
    check_middle(trajectory.positions[2], rotations[2], cameras)
    ratios = trajectory.focal_lengths[1:] / trajectory.focal_lengths[:-1]
    np.testing.assert_allclose(ratios, ratios[0])
    assert 1.3 <= max(ratios[0], 1 / ratios[0]) ** 4 <= 2.0
    assert trajectory.focal_lengths[2] == pytest.approx(0.035)


@given(seeds)
def test_random_cameras_lie_in_a_ball_and_look_at_the_target(seed):
    cameras = only("random", replace(QUIET, count=8), radius=(0.5, 0.5))
    trajectory, rotations = sample(cameras, seed)
    gaps = trajectory.positions[:, None] - trajectory.positions
    assert 0 < np.linalg.norm(gaps, axis=-1).max() <= 1.0
    distances = np.linalg.norm(trajectory.positions - TARGET, axis=-1)
    assert (distances >= QUIET.distance[0] - 0.5).all()
    assert (distances <= QUIET.distance[1] + 0.5).all()
    np.testing.assert_allclose(
        rotations, look_at(trajectory.positions, TARGET), atol=1e-12
    )


@given(seeds)
def test_shell_cameras_are_independent_and_look_at_the_target(seed):
    cameras = only("shell", replace(QUIET, count=10, elevation=(0.0, 90.0)))
    trajectory, rotations = sample(cameras, seed)
    for position, rotation in zip(trajectory.positions, rotations, strict=True):
        check_middle(position, rotation, cameras)
    assert len({tuple(position) for position in trajectory.positions}) == 10


def test_a_shell_spans_its_radii_elevations_and_azimuths():
    cameras = only("shell", replace(QUIET, count=1000, elevation=(0.0, 90.0)))
    offsets = sample(cameras, 0)[0].positions - TARGET
    distances = np.linalg.norm(offsets, axis=-1)
    elevations = np.degrees(np.arcsin(offsets[:, 2] / distances))
    azimuths = np.degrees(np.arctan2(offsets[:, 1], offsets[:, 0]))
    for values, low, high in (
        (distances, *QUIET.distance),
        (elevations, 0, 90),
        (azimuths, -180, 180),
    ):
        counts, _ = np.histogram(values, bins=4, range=(low, high))
        assert counts.sum() == 1000
        assert (counts > 200).all()


def test_random_cameras_fill_the_ball():
    # Uniform in volume: the ball of half the radius holds an eighth.
    cameras = only("random", replace(QUIET, count=1000), radius=(2.0, 2.0))
    positions = sample(cameras, 0)[0].positions
    centre = positions.mean(0)
    inner = (np.linalg.norm(positions - centre, axis=-1) < 1.0).mean()
    assert inner == pytest.approx(1 / 8, abs=0.03)


@pytest.mark.parametrize("pattern", ["shift", "pan", "zoom"])
def test_noise_moves_positions_and_turns_nothing(pattern):
    quiet = only(pattern)
    noise = []
    for seed in SEEDS:
        still, _ = sample(quiet, seed)
        noisy, _ = sample(replace(quiet, position_noise=0.05), seed)
        np.testing.assert_array_equal(noisy.quaternions, still.quaternions)
        noise.append(noisy.positions - still.positions)
    assert np.std(noise) == pytest.approx(0.05, rel=0.1)
    assert np.mean(noise) == pytest.approx(0, abs=0.005)


@pytest.mark.parametrize("pattern", ["random", "shell"])
def test_noisy_cameras_still_look_at_the_target(pattern):
    for seed in SEEDS:
        trajectory, rotations = sample(
            only(pattern, replace(QUIET, position_noise=0.5)), seed
        )
        np.testing.assert_allclose(
            rotations, look_at(trajectory.positions, TARGET), atol=1e-12
        )


@pytest.mark.parametrize("pattern", ["shift", "pan", "zoom"])
def test_trajectories_go_both_ways(pattern):
    signs = set()
    for seed in range(20):
        trajectory, rotations = sample(only(pattern), seed)
        if pattern == "pan":
            way = (rotations[-1] @ rotations[0].T)[1, 0]
        else:
            axis = rotations[0][:, 0 if pattern == "shift" else 2]
            way = (trajectory.positions[-1] - trajectory.positions[0]) @ axis
        signs.add(np.sign(way))
    assert signs == {-1.0, 1.0}


@pytest.mark.parametrize("pattern", Patterns().weights())
def test_a_single_camera_is_the_middle_of_its_trajectory(pattern):
    cameras = only(pattern, replace(QUIET, count=1))
    trajectory, rotations = sample(cameras, 0)
    if pattern not in ("random", "handheld"):
        check_middle(trajectory.positions[0], rotations[0], cameras)


@pytest.mark.parametrize("pattern", sorted(set(Patterns().weights()) - {"handheld"}))
@pytest.mark.parametrize("elevation", [90.0, -90.0])
def test_cameras_straight_above_or_below_the_target_are_upright_too(pattern, elevation):
    cameras = only(pattern, replace(QUIET, elevation=(elevation, elevation)))
    _, rotations = sample(cameras, 0)
    np.testing.assert_allclose(rotations[:, 2, 0], 0, atol=1e-12)
    if pattern != "random":
        np.testing.assert_allclose(rotations[:, 2, 2], -np.sign(elevation), atol=1e-12)


def test_patterns_are_drawn_by_weight():
    weights = {"shift": 3.0, "pan": 0.0, "zoom": 0.0, "random": 1.0}
    patterns = Patterns(
        **{
            name: replace(getattr(Patterns(), name), weight=w)
            for name, w in weights.items()
        }
    )
    cameras = replace(QUIET, patterns=patterns)
    drawn = [sample(cameras, seed)[0].pattern for seed in range(400)]
    assert set(drawn) == {"shift", "random"}
    assert drawn.count("shift") / 400 == pytest.approx(0.75, abs=0.08)


def handheld(**fields) -> Cameras:
    calm = {"drift": (0.0, 0.0), "wander": 0.0, "shake": 0.0, "tremble": 0.0}
    return only("handheld", replace(QUIET, count=65), **calm | fields)


@given(seeds)
def test_a_calm_hand_drifts_slowly_and_looks_at_the_target(seed):
    trajectory, rotations = sample(handheld(drift=(1.0, 2.0)), seed)
    places = trajectory.positions
    gaps = np.linalg.norm(places[:, None] - places, axis=-1)
    assert 0.99 <= gaps.max() <= 2.01
    moves = np.diff(places, axis=0)
    assert np.linalg.norm(moves, axis=-1).max() < 0.4
    assert abs(np.diff(moves, axis=0)).max() < 0.06
    check_middle(places[32], rotations[32], QUIET)
    np.testing.assert_allclose(rotations, look_at(places, TARGET), atol=1e-12)
    assert (trajectory.focal_lengths == 0.035).all()


def test_shake_and_tremble_are_quick_small_and_as_large_as_they_say():
    shaken, turned = [], []
    for seed in SEEDS:
        still, looks = sample(handheld(), seed)
        assert np.ptp(still.positions, axis=0).max() == 0
        moving, rotations = sample(handheld(shake=0.02, tremble=0.5), seed)
        shaken.append(moving.positions - still.positions)
        small = looks.swapaxes(1, 2) @ rotations
        turned.append(np.degrees([small[:, 2, 1], small[:, 0, 2], small[:, 1, 0]]))
    assert np.std(shaken) == pytest.approx(0.02, rel=0.1)
    assert np.std(turned) == pytest.approx(0.5, rel=0.1)
    for values, axis in ((np.array(shaken), 1), (np.array(turned), 2)):
        # Correlated from frame to frame, and no more after some of them.
        first = values.take(range(64), axis) * values.take(range(1, 65), axis)
        later = values.take(range(20), axis) * values.take(range(45, 65), axis)
        assert first.mean() > 0.3 * values.var()
        assert abs(later.mean()) < 0.15 * values.var()


def test_a_hand_wanders_from_the_target_slowly():
    angles = []
    for seed in SEEDS:
        trajectory, rotations = sample(handheld(wander=2.0), seed)
        ahead = look_at(trajectory.positions, TARGET)
        small = ahead.swapaxes(1, 2) @ rotations
        angles.append(np.degrees([small[:, 2, 1], small[:, 0, 2], small[:, 1, 0]]))
    assert np.std(angles) == pytest.approx(2.0, rel=0.15)
    assert abs(np.diff(angles, axis=-1)).max() < 1.0


def test_noise_on_positions_is_not_for_a_hand():
    for seed in SEEDS:
        quiet = sample(only("handheld"), seed)[0].positions
        noisy = sample(only("handheld", replace(QUIET, position_noise=0.5)), seed)
        np.testing.assert_array_equal(noisy[0].positions, quiet)


PANOPTIC = replace(QUIET, count=31, held_out=4, elevation=(10.0, 70.0))


@given(seeds)
def test_rigs_of_all_scenes_differ_only_in_their_turn(seed):
    cameras = only("rig", replace(PANOPTIC, distance=(5.0, 5.0)))
    trajectory, rotations = sample(cameras, seed)
    for position, rotation in zip(trajectory.positions, rotations, strict=True):
        check_middle(position, rotation, cameras)
    first, turned = (sample(cameras, s)[0].positions - TARGET for s in (0, seed))
    assert trajectory.pattern == "rig"
    np.testing.assert_allclose(first @ first.T, turned @ turned.T, atol=1e-9)
    np.testing.assert_allclose(first[:, 2], turned[:, 2], atol=1e-12)


def test_scenes_turn_and_size_their_rigs_at_random():
    found = [sample(only("rig", PANOPTIC), s)[0].positions - TARGET for s in range(400)]
    azimuths = [np.arctan2(rig[0, 1], rig[0, 0]) for rig in found]
    radii = [np.linalg.norm(rig, axis=-1) for rig in found]
    assert np.ptp(radii, axis=1).max() < 1e-9
    for values, low, high in (
        (azimuths, -np.pi, np.pi),
        (np.array(radii)[:, 0], *PANOPTIC.distance),
    ):
        counts, _ = np.histogram(values, bins=4, range=(low, high))
        assert counts.sum() == 400 and (counts > 70).all()


@pytest.mark.parametrize("count", [12, 31, 100])
def test_a_rig_is_spread_evenly_over_its_band(count):
    cameras = only("rig", replace(PANOPTIC, count=count))
    offsets = sample(cameras, 0)[0].positions - TARGET
    directions = offsets / np.linalg.norm(offsets, axis=-1, keepdims=True)
    cosines = directions @ directions.T - 2 * np.eye(count)
    nearest = np.arccos(cosines.max(1))
    # Even spacing of as many on as large an area, and none is far from that.
    area = 2 * np.pi * np.diff(np.sin(np.radians(PANOPTIC.elevation)))[0]
    assert nearest.min() > 0.75 * np.sqrt(area / count)
    assert nearest.max() < 1.6 * np.sqrt(area / count)


@pytest.mark.parametrize(("count", "held_out"), [(31, 4), (12, 3), (60, 8)])
def test_held_out_cameras_of_a_rig_are_spread_among_the_others(count, held_out):
    cameras = only("rig", replace(PANOPTIC, count=count, held_out=held_out))
    offsets = sample(cameras, 0)[0].positions - TARGET
    directions = offsets / np.linalg.norm(offsets, axis=-1, keepdims=True)
    last = directions[-held_out:]
    between = np.arccos((last @ last.T - 2 * np.eye(held_out)).max(1))
    area = 2 * np.pi * np.diff(np.sin(np.radians(PANOPTIC.elevation)))[0]
    assert between.min() > 0.6 * np.sqrt(area / held_out)
    # Each has neighbours to learn from.
    near = np.arccos((last @ directions[:-held_out].T).max(1))
    assert near.max() < 1.6 * np.sqrt(area / count)
    # The cameras are those of the rig where none is held out.
    whole = sample(replace(cameras, held_out=0), 0)[0].positions
    assert_same_places(whole, offsets + TARGET)


@pytest.mark.parametrize("pattern", ["shift", "pan", "zoom", "random", "shell"])
def test_held_out_cameras_of_a_path_are_spread_along_it(pattern):
    cameras = only(pattern, replace(QUIET, count=10))
    path, _ = sample(cameras, 3)
    held, _ = sample(replace(cameras, held_out=3), 3)
    order = [0, 2, 3, 4, 6, 7, 9, 1, 5, 8]
    np.testing.assert_array_equal(held.positions, path.positions[order])
    np.testing.assert_array_equal(held.quaternions, path.quaternions[order])
    np.testing.assert_array_equal(held.focal_lengths, path.focal_lengths[order])


def assert_same_places(one: np.ndarray, other: np.ndarray) -> None:
    np.testing.assert_allclose(*(np.sort(p.round(9), axis=0) for p in (one, other)))


@given(seeds, st.floats(0.1, 20.0))
def test_a_baseline_is_that_percent_of_the_distance(seed, percent):
    fields = {"shake": 0.01, "wander": 1.0, "tremble": 0.2}
    cameras = handheld(**fields, baseline=(percent, percent))
    middle = sample(handheld(), seed)[0].positions[0]
    moved = sample(cameras, seed)[0].positions - middle
    wanted = percent / 100 * np.linalg.norm(middle - TARGET)
    assert largest_gap(moved) == pytest.approx(wanted, rel=1e-9)
    # It is the path of a drift as large, with its shake, made larger or smaller.
    drifting = handheld(**fields, drift=(wanted, wanted))
    drifted = sample(drifting, seed)[0].positions - middle
    np.testing.assert_allclose(
        moved, drifted * wanted / largest_gap(drifted), rtol=0, atol=1e-9 * wanted
    )


def largest_gap(places: np.ndarray) -> float:
    return float(np.linalg.norm(places[:, None] - places, axis=-1).max())


def test_a_baseline_takes_the_place_of_drift_alone():
    drifting = sample(handheld(drift=(0.2, 0.2), wander=2.0), 0)[0]
    distance = np.linalg.norm(sample(handheld(), 0)[0].positions[0] - TARGET)
    percent = 100 * 0.2 / distance
    based = sample(handheld(baseline=(percent, percent), wander=2.0), 0)[0]
    np.testing.assert_allclose(based.positions, drifting.positions, atol=0.005)
    np.testing.assert_allclose(based.quaternions, drifting.quaternions, atol=1e-9)
    for fields in ({"shake": 0.01}, {}):
        none = sample(handheld(baseline=(0.0, 0.0), **fields), 0)[0].positions
        assert np.ptp(none, axis=0).max() < 1e-12


@pytest.mark.parametrize("pattern", ["shift", "pan", "zoom", "handheld"])
def test_azimuth_keeps_the_middle_of_a_trajectory_on_one_side(pattern):
    cameras = only(pattern, replace(QUIET, count=1, azimuth=(30.0, 50.0)))
    for seed in range(50):
        place = sample_cameras(np.random.default_rng(seed), cameras).positions[0]
        azimuth = np.degrees(np.arctan2(place[1], place[0]))
        assert 29.99 < azimuth < 50.01
