"""Gaits: their sampling, the paths that creatures take, and scenes without them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dyso import geometry
from dyso.assets import resolve
from dyso.geometry import quaternion_to_matrix
from dyso.sampling import Scene, sample_scene
from dyso.spec import (
    LAYERS,
    Dynamics,
    Gait,
    Objects,
    Render,
    Spec,
    UserError,
    Visibility,
)


def resolved(categories=("quadruped",), twins=(), **dynamics):
    dynamics = {"steps": 25, "motion": "smooth", "gait": Gait(amplitude=(0.5, 1.0))} | (
        dynamics
    )
    return resolve(
        Spec(
            name="walks",
            splits={"train": 10},
            twins=twins,
            objects=Objects(
                catalog="procedural", categories=categories, held_out=0.0, size=1.0
            ),
            dynamics=Dynamics(**dynamics),
            visibility=Visibility(share_of_views=0.0),
            render=Render(layers=LAYERS),
        ),
        Path(),
    )


def path_of(item):
    positions = np.array([pose.position for pose in item.poses])
    turns = quaternion_to_matrix(np.array([pose.quaternion for pose in item.poses]))
    return positions, turns


def test_a_creature_faces_the_way_that_it_goes_at_a_constant_speed():
    curved = 0.0
    for index in range(10):
        [item] = sample_scene(resolved(turn=(90, 90)), "train", index).objects
        positions, turns = path_of(item)
        moves = np.diff(positions[:, :2], axis=0)
        speeds = np.linalg.norm(moves, axis=-1)
        gone = np.array([step.distance for step in item.gait.steps])
        assert gone[0] == 0 and 0.5 <= gone[-1] <= 2
        # Chords are a little shorter than the arcs.
        assert np.allclose(speeds, gone[-1] / 24, rtol=0.02)
        ways = turns[:-1, :2, 0] + turns[1:, :2, 0]
        along = (moves * ways).sum(-1) / speeds / np.linalg.norm(ways, axis=-1)
        assert along.min() > 0.999
        assert np.allclose(turns[:, 2, 2], 1)
        angles = np.unwrap(np.arctan2(turns[:, 1, 0], turns[:, 0, 0]))
        kept = item.gait.path
        path = geometry.Path(
            start=kept.start, spacing=kept.spacing, headings=np.array(kept.headings)
        )
        assert np.allclose(path.heading(gone), angles - angles[0], atol=3e-3)
        assert kept.start <= -1 and kept.spacing * 256 >= gone[-1] + 2
        curved = max(curved, np.ptp(angles))
        assert np.ptp(angles) < np.pi / 2 + 1e-3
    assert curved > 1.2


def test_the_phase_follows_the_distance_or_else_the_time():
    [item] = sample_scene(resolved(), "train", 0).objects
    assert len({step.phase for step in item.gait.steps}) == 1
    assert 0.5 <= item.gait.amplitude <= 1
    for other in ({"contact": "free"}, {"motion": "jitter"}):
        [item] = sample_scene(resolved(**other), "train", 0).objects
        phases = np.array([step.phase for step in item.gait.steps])
        assert {step.distance for step in item.gait.steps} == {0}
        assert 0.5 <= phases[-1] - phases[0] <= 2
        assert np.allclose(np.diff(phases), (phases[-1] - phases[0]) / 24, atol=1e-5)


def test_jittered_gaits_have_a_phase_of_their_own_at_each_step():
    gait = Gait(amplitude=(1.0, 1.0), motion="jitter")
    [item] = sample_scene(resolved(gait=gait), "train", 0).objects
    phases = np.array([step.phase for step in item.gait.steps])
    assert {step.distance for step in item.gait.steps} == {0}
    assert np.ptp(phases) > 0.5 and (np.diff(phases) < 0).any()


def test_fish_are_above_the_floor_and_others_are_rigid_without_skeletons():
    [item] = sample_scene(resolved(("fish",)), "train", 0).objects
    assert 0.2 <= item.gait.height <= 0.8
    mixed = resolved(("car", "fish", "snake"))
    for index in range(12):
        [item] = sample_scene(mixed, "train", index).objects
        assert (item.gait is None) == (item.category == "car")
        assert item.gait is None or (item.gait.height > 0) == (item.category == "fish")


def test_scenes_carry_their_gaits_through_json():
    scene = sample_scene(resolved(), "train", 3)
    assert Scene.from_json(scene.to_json()) == scene
    assert sample_scene(resolved(), "train", 3) == scene
    still = sample_scene(resolved(gait=Gait()), "train", 3)
    assert still.objects[0].gait is None and "gait" not in still.to_json()
    with pytest.raises(ValueError, match="one step per dynamics step"):
        item = scene.objects[0]
        dataclasses.replace(item, poses=item.poses[:3])


def test_twins_of_equal_dynamics_go_alike_whatever_they_are():
    twins = resolved(("fish", "quadruped", "table"), twins=("dynamics",))
    for index in (0, 2, 4):
        pair = [sample_scene(twins, "train", index + i).objects[0] for i in (0, 1)]
        (one, first), (two, second) = map(path_of, pair)
        assert np.allclose(one[:, :2], two[:, :2]) and np.allclose(first, second)


def test_mistakes_are_reported():
    with pytest.raises(ValueError, match=r"surface where dynamics.gait changes"):
        dataclasses.replace(resolved().spec, render=Render())
    with pytest.raises(UserError, match=r"dynamics.gait: .* none of the objects has a"):
        resolved(("car",))
