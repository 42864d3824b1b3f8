from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyso.geometry import quaternion_to_matrix, rotation_angle
from dyso.sampling.dynamics import (
    CORNERS,
    Motion,
    lying_height,
    sample_initial_velocity,
    sample_motion,
)
from dyso.spec import Dynamics

seeds = st.integers(0, 2**32 - 1)
contacts = st.sampled_from(["rest", "settle", "stable", "free"])


def sample(seed: int, dynamics: Dynamics, half: np.ndarray) -> Motion | None:
    placement, motion = np.random.default_rng(seed).spawn(2)
    lying = np.zeros(len(half), bool)
    return sample_motion(placement, motion, dynamics, half, lying)


def boxes(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 1.0, (count, 3))


def lowest(motion: Motion, half: np.ndarray) -> np.ndarray:
    """Returns the height [N, T] of each box's lowest corner, from all eight."""
    corners = (CORNERS * half[:, None])[:, None]
    points = corners @ quaternion_to_matrix(motion.quaternions).swapaxes(-1, -2)
    return (points + motion.positions[:, :, None])[..., 2].min(-1)


@given(seeds, st.floats(0, 180), contacts)
def test_no_step_turns_by_more_than_the_bound(seed, bound, contact):
    dynamics = Dynamics(max_rotation=bound, contact=contact, steps=9)
    motion = sample(seed, dynamics, boxes(seed, 1))
    q = motion.quaternions
    np.testing.assert_allclose(np.linalg.norm(q, axis=-1), 1)
    angles = rotation_angle(q[:, 1:], q[:, :-1])
    assert np.degrees(angles).max() <= bound + 1e-6


def test_turns_are_uniform_up_to_the_bound_about_any_axis():
    dynamics = Dynamics(steps=1000, max_rotation=90.0)
    motion = sample(0, dynamics, boxes(0, 1))
    q = motion.quaternions[0]
    angles = np.degrees(rotation_angle(q[1:], q[:-1]))
    counts, _ = np.histogram(angles, bins=5, range=(0, 90))
    assert counts.sum() == 999
    assert (counts > 150).all()
    turns = quaternion_to_matrix(q[1:]) @ quaternion_to_matrix(q[:-1]).swapaxes(1, 2)
    skew = turns - turns.swapaxes(1, 2)
    axes = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=-1)
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    np.testing.assert_allclose(axes.T @ axes / 999, np.eye(3) / 3, atol=0.06)
    np.testing.assert_allclose(axes.mean(0), 0, atol=0.08)


def test_first_poses_are_uniform():
    q = np.concatenate(
        [sample(s, Dynamics(), boxes(s, 1)).quaternions[:, 0] for s in range(1000)]
    )
    # The images of an axis are uniform on the sphere: no mean, equal variances.
    for axis in np.eye(3):
        turned = quaternion_to_matrix(q) @ axis
        np.testing.assert_allclose(turned.mean(0), 0, atol=0.08)
        np.testing.assert_allclose(turned.T @ turned / 1000, np.eye(3) / 3, atol=0.06)


@given(seeds)
def test_at_rest_the_lowest_corner_touches_the_floor_in_every_step(seed):
    half = boxes(seed, 2)
    motion = sample(seed, Dynamics(spawn_radius=20.0), half)
    np.testing.assert_allclose(lowest(motion, half), 0, atol=1e-12)


@given(seeds)
def test_free_objects_start_on_the_floor_and_move_in_height(seed):
    half = boxes(seed, 2)
    motion = sample(seed, Dynamics(spawn_radius=20.0, contact="free", jitter=0.5), half)
    np.testing.assert_allclose(lowest(motion, half)[:, 0], 0, atol=1e-12)
    assert (np.diff(motion.positions[:, :, 2], axis=1) != 0).all()


@pytest.mark.parametrize(("contact", "axes"), [("rest", 2), ("settle", 2), ("free", 3)])
def test_moves_are_jittered_from_the_step_before(contact, axes):
    dynamics = Dynamics(contact=contact, jitter=0.3, steps=1000)
    moves = np.diff(sample(0, dynamics, boxes(0, 1)).positions[0], axis=0)[1:, :axes]
    np.testing.assert_allclose(moves.std(0), 0.3, rtol=0.1)
    np.testing.assert_allclose(moves.mean(0), 0, atol=0.05)


@given(seeds, contacts)
def test_without_jitter_and_rotation_nothing_moves(seed, contact):
    half = boxes(seed, 1)
    dynamics = Dynamics(contact=contact, jitter=0.0, max_rotation=0.0)
    motion = sample(seed, dynamics, half)
    np.testing.assert_array_equal(motion.quaternions[:, 1:], motion.quaternions[:, :-1])
    settled = motion.positions[:, 1:]
    np.testing.assert_array_equal(settled[:, 1:], settled[:, :-1])
    np.testing.assert_array_equal(
        motion.positions[:, 0, :2], motion.positions[:, 1, :2]
    )


@given(seeds, contacts, st.floats(0, 10))
def test_objects_start_in_the_disc(seed, contact, radius):
    motion = sample(
        seed, Dynamics(contact=contact, spawn_radius=radius), boxes(seed, 1)
    )
    assert np.linalg.norm(motion.positions[:, 0, :2], axis=-1).max() <= radius + 1e-12


def test_places_are_uniform_in_the_disc():
    starts = np.concatenate(
        [
            sample(s, Dynamics(spawn_radius=2.0), boxes(s, 1)).positions[:, 0]
            for s in range(800)
        ]
    )
    inner = (np.linalg.norm(starts[:, :2], axis=-1) < 1.0).mean()
    assert inner == pytest.approx(0.25, abs=0.05)


@given(seeds, st.sampled_from(["rest", "free"]))
def test_boxes_side_by_side_do_not_overlap(seed, contact):
    half = boxes(seed, 6)
    motion = sample(seed, Dynamics(spawn_radius=6.0, contact=contact), half)
    corners = (CORNERS * half[:, None]) @ quaternion_to_matrix(
        motion.quaternions[:, 0]
    ).swapaxes(-1, -2)
    radii = np.linalg.norm(corners[..., :2], axis=-1).max(-1)
    check_disjoint(motion.positions[:, 0, :2], radii)


@given(seeds)
def test_stacked_spheres_do_not_overlap_and_are_above_the_floor(seed):
    half = boxes(seed, 32)
    dynamics = Dynamics(steps=1, contact="settle", spawn_radius=4.0)
    motion = sample(seed, dynamics, half)
    starts, radii = motion.positions[:, 0], np.linalg.norm(half, axis=-1)
    check_disjoint(starts, radii)
    assert (starts[:, 2] >= radii - 1e-12).all()


@given(seeds)
def test_stacked_spheres_are_as_low_as_they_can_be(seed):
    half = boxes(seed, 16)
    dynamics = Dynamics(steps=1, contact="settle", spawn_radius=2.0)
    starts = sample(seed, dynamics, half).positions[:, 0]
    radii = np.linalg.norm(half, axis=-1)
    for n in range(16):
        # Anywhere from the floor up to its place, it would touch one before it.
        for height in np.linspace(radii[n], starts[n, 2], 20, endpoint=False):
            if height < starts[n, 2] - 1e-9:
                lower = np.array([*starts[n, :2], height])
                gaps = np.linalg.norm(starts[:n] - lower, axis=-1)
                assert (gaps < radii[:n] + radii[n]).any()


def check_disjoint(centres: np.ndarray, radii: np.ndarray) -> None:
    gaps = np.linalg.norm(centres[:, None] - centres, axis=-1)
    apart = gaps >= radii[:, None] + radii - 1e-9
    assert (apart | np.eye(len(radii), dtype=bool)).all()


def test_objects_that_have_no_room_are_refused():
    half = np.ones((30, 3))
    crowded = Dynamics(spawn_radius=3.0)
    assert sample(0, crowded, half) is None
    assert sample(0, replace(crowded, contact="settle"), half) is not None


def test_a_lying_box_is_as_high_as_its_half_side():
    identity, on_its_side = [1.0, 0, 0, 0], [np.sqrt(0.5), np.sqrt(0.5), 0, 0]
    half = np.broadcast_to([1.0, 2.0, 3.0], (2, 3))
    heights = lying_height(half, np.array([identity, on_its_side]))
    np.testing.assert_allclose(heights, [3, 2])


def smooth(**fields) -> Dynamics:
    return Dynamics(**{"steps": 65, "motion": "smooth", "spawn_radius": 20.0, **fields})


def extents(motion: Motion) -> tuple[float, float]:
    """Returns the largest distance, in metres, and the largest turn, in degrees."""
    places, q = motion.positions[0], motion.quaternions[0]
    gaps = np.linalg.norm(places[:, None] - places, axis=-1)
    return gaps.max(), np.degrees(rotation_angle(q[:, None], q).max())


@given(seeds, contacts)
def test_a_smooth_path_keeps_its_extents(seed, contact):
    dynamics = smooth(contact=contact, travel=(1.0, 2.0), turn=(40.0, 120.0))
    motion = sample(seed, dynamics, boxes(seed, 1))
    travelled = replace(motion, positions=motion.positions.copy())
    if contact != "free":
        travelled.positions[..., 2] = 0  # the floor decides that
    travel, turn = extents(travelled)
    assert 0.99 <= travel <= 2.01
    # About changing axes, turns do not add up.
    assert (20.0 if contact == "free" else 39.6) <= turn <= 120.1
    np.testing.assert_allclose(np.linalg.norm(motion.quaternions, axis=-1), 1)


@given(seeds, contacts)
def test_a_smooth_path_has_no_jumps(seed, contact):
    dynamics = smooth(contact=contact, travel=(1.0, 1.0), turn=(90.0, 90.0))
    motion = sample(seed, dynamics, boxes(seed, 1))
    # A settling object starts above the floor.
    first = 1 if contact == "settle" else 0
    moves = np.diff(motion.positions[0, first:], axis=0)
    q = motion.quaternions[0]
    assert np.linalg.norm(moves, axis=-1).max() < 0.2
    assert abs(np.diff(moves, axis=0)).max() < 0.03
    assert np.degrees(rotation_angle(q[1:], q[:-1])).max() < 18


@given(seeds)
def test_smooth_motion_at_rest_turns_about_the_vertical_and_stays_on_the_floor(seed):
    half = boxes(seed, 3)
    motion = sample(seed, smooth(), half)
    np.testing.assert_allclose(lowest(motion, half), 0, atol=1e-12)
    # The same corner touches the floor all the time.
    assert np.ptp(motion.positions[..., 2], axis=1).max() < 1e-12
    ups = quaternion_to_matrix(motion.quaternions)[..., 2, :]
    np.testing.assert_allclose(ups, np.broadcast_to(ups[:, :1], ups.shape), atol=1e-12)


def test_each_object_goes_its_own_smooth_way():
    moved = sample(0, smooth(travel=(1.0, 1.0)), boxes(0, 2)).positions
    one, two = moved - moved[:, :1]
    assert abs(one - two).max() > 0.2


@given(seeds, contacts)
def test_smooth_objects_start_as_jittered_ones_do(seed, contact):
    half = boxes(seed, 2)
    moving = sample(seed, smooth(contact=contact), half)
    jittered = sample(seed, smooth(contact=contact, motion="jitter"), half)
    np.testing.assert_allclose(moving.positions[:, 0], jittered.positions[:, 0])
    np.testing.assert_allclose(moving.quaternions[:, 0], jittered.quaternions[:, 0])


def test_a_smooth_path_of_no_extent_stands_still():
    dynamics = smooth(travel=(0.0, 0.0), turn=(0.0, 0.0), contact="free")
    motion = sample(0, dynamics, boxes(0, 1))
    for poses in (motion.positions[0], motion.quaternions[0]):
        np.testing.assert_array_equal(poses, np.broadcast_to(poses[0], poses.shape))


def falling(**fields) -> Dynamics:
    return Dynamics(**{"motion": "physics", "contact": "free", **fields})


@given(seeds)
def test_falling_objects_start_apart_and_above_the_floor(seed):
    half = boxes(seed, 8)
    motion = sample(seed, falling(spawn_radius=2.0, drop=(0.5, 1.0)), half)
    starts, radii = motion.positions[:, 0], np.linalg.norm(half, axis=-1)
    check_disjoint(starts, radii)
    assert (starts[:, 2] >= radii + 0.5 - 1e-12).all()
    assert np.linalg.norm(starts[:, :2], axis=-1).max() <= 2.0
    # The highest of one that has nothing below it.
    alone = sample(
        seed, falling(spawn_radius=2.0, drop=(0.5, 1.0)), half[:1]
    ).positions[0, 0]
    assert alone[2] <= radii[0] + 1.0


@given(seeds)
def test_how_many_steps_there_are_changes_no_start(seed):
    half = boxes(seed, 3)
    few, many = (sample(seed, falling(steps=steps), half) for steps in (1, 7))
    for poses in (many.positions, many.quaternions):
        np.testing.assert_array_equal(poses, np.broadcast_to(poses[:, :1], poses.shape))
    np.testing.assert_array_equal(few.positions, many.positions[:, :1])
    np.testing.assert_array_equal(few.quaternions, many.quaternions[:, :1])


@given(seeds)
def test_objects_are_thrown_level_and_into_the_disc(seed):
    dynamics = falling(spawn_radius=1.5, speed=(1.0, 3.0), spin=(90.0, 180.0))
    start = sample(seed, dynamics, boxes(seed, 5)).positions[:, 0]
    initial = sample_initial_velocity(np.random.default_rng(seed), dynamics, start)
    speeds = np.linalg.norm(initial.velocities, axis=-1)
    assert ((speeds >= 1.0) & (speeds <= 3.0)).all()
    np.testing.assert_array_equal(initial.velocities[:, 2], 0)
    spins = np.degrees(np.linalg.norm(initial.spins, axis=-1))
    assert ((spins >= 90 - 1e-9) & (spins <= 180 + 1e-9)).all()
    # Where it starts on the disc's edge, the way goes in.
    edge = np.array([[1.5, 0.0, 1.0]])
    inward = sample_initial_velocity(np.random.default_rng(seed), dynamics, edge)
    assert inward.velocities[0, 0] < 0


def test_without_speed_and_spin_objects_are_let_go():
    dynamics = falling(spawn_radius=0.0, speed=(0.0, 0.0), spin=(0.0, 0.0))
    initial = sample_initial_velocity(
        np.random.default_rng(0), dynamics, np.zeros((3, 3))
    )
    assert not initial.velocities.any() and not initial.spins.any()
