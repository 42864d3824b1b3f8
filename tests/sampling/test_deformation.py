"""Deformations: their geometry, their sampling, and scenes without them."""

import dataclasses
import json

import numpy as np
import pytest

from dyso.sampling import Deformation, Scene, Shape, sample_scene
from dyso.sampling.deformation import deformed, reach, sample_deformation
from dyso.spec import LAYERS, Deform, Dynamics, Render

HALF = np.array([0.5, 0.3, 1.0])
REST = Shape(bend=(0.0, 0.0), twist=0.0, taper=0.0, squash=0.0, lattice=())
ALL = Deform(
    bend=(20, 60),
    twist=(20, 90),
    taper=(0.1, 0.4),
    squash=(0.1, 0.3),
    lattice=(0.02, 0.06),
)


def box(count=9):
    axis = np.linspace(-1, 1, count)
    return np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3) * HALF


def shape(**parameters):
    return dataclasses.replace(REST, **parameters)


def volumes(points, moved, **parameters):
    """Volume of small cubes after a deformation, as shares of their volume before."""
    step = 1e-4
    edges = [
        (deformed(points + step * axis, HALF, 2, shape(**parameters)) - moved) / step
        for axis in np.eye(3)
    ]
    return np.linalg.det(np.stack(edges, -1))


def test_without_parameters_points_stay():
    assert np.array_equal(deformed(box(), HALF, 2, REST), box())
    still = shape(lattice=((0.0, 0.0, 0.0),) * 27)
    assert np.array_equal(deformed(box(), HALF, 2, still), box())


def test_a_bend_makes_an_arc_of_the_same_length():
    line = np.linspace(-1, 1, 1001)[:, None] * [0.0, 0.0, 1.0]
    arc = deformed(line, HALF, 2, shape(bend=(0.6, 0.8)))
    lengths = np.linalg.norm(np.diff(arc, axis=0), axis=-1)
    assert lengths.sum() == pytest.approx(2, rel=1e-6)
    ends = [arc[1] - arc[0], arc[-1] - arc[-2]]
    cosine = np.dot(*ends) / np.prod(np.linalg.norm(ends, axis=-1))
    assert np.arccos(cosine) == pytest.approx(1, abs=2e-3)
    assert arc[-1, :2] == pytest.approx(np.array([0.6, 0.8]) * (1 - np.cos(0.5)) * 2)


def test_a_twist_turns_the_ends_against_one_another():
    moved = deformed(box(), HALF, 2, shape(twist=0.5))
    for z, angle in ((1.0, 0.25), (-1.0, -0.25)):
        end = box()[:, 2] == z
        turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        assert np.allclose(moved[end, :2], box()[end, :2] @ np.transpose(turn))
    assert np.allclose(volumes(box(), moved, twist=0.5), 1, atol=1e-3)


def test_a_taper_widens_one_end():
    moved = deformed(box(), HALF, 2, shape(taper=0.4))
    for z, width in ((1.0, 1.4), (0.0, 1.0), (-1.0, 0.6)):
        end = box()[:, 2] == z
        assert np.allclose(moved[end, :2], width * box()[end, :2])


def test_a_squash_keeps_volumes():
    moved = deformed(box(), HALF, 2, shape(squash=-0.5))
    assert np.ptp(moved[:, 2]) == pytest.approx(2 * np.exp(-0.5))
    assert np.allclose(volumes(box(), moved, squash=-0.5), 1, atol=1e-6)


def test_a_lattice_that_moves_as_a_whole_moves_all_points_alike():
    moved = deformed(box(), HALF, 2, shape(lattice=((0.1, -0.2, 0.3),) * 27))
    assert np.allclose(moved - box(), np.array([0.1, -0.2, 0.3]) * 2 * HALF)
    corner = np.zeros((3, 3, 3, 3))
    corner[2, 0, 2] = 0.1, 0, 0
    moves = tuple(map(tuple, corner.reshape(27, 3).tolist()))
    moved = deformed(box(), HALF, 2, shape(lattice=moves)) - box()
    largest = np.linalg.norm(moved, axis=-1).argmax()
    assert np.array_equal(box()[largest], [0.5, -0.3, 1.0])
    assert moved[largest] == pytest.approx([0.1, 0, 0])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_any_axis_is_as_z(axis):
    parameters = shape(bend=(0.3, -0.2), twist=0.4, taper=0.2, squash=0.1)
    along = deformed(box(), HALF, 2, parameters)
    turned, half = (np.roll(array, axis - 2, -1) for array in (box(), HALF))
    assert np.allclose(
        deformed(turned, half, axis, parameters), np.roll(along, axis - 2, -1)
    )


@pytest.mark.parametrize("motion", ["smooth", "jitter"])
def test_the_range_bounds_the_change_between_steps(motion):
    deform = dataclasses.replace(ALL, motion=motion)
    changes = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        shapes = sample_deformation(rng, deform, 9, HALF).shapes
        bends = np.array([each.bend for each in shapes])
        changes.append(np.linalg.norm(bends[:, None] - bends, axis=-1).max())
    assert np.radians(60) * 1.02 > max(changes) > np.radians(40)
    assert np.radians(10) < min(changes)


def test_smooth_shapes_change_little_from_step_to_step():
    rng = np.random.default_rng(0)
    shapes = sample_deformation(rng, ALL, 101, HALF).shapes
    twists = np.array([each.twist for each in shapes])
    assert abs(np.diff(twists)).max() < 0.1 * np.ptp(twists)
    # In the middle of the time, the shape is that of rest.
    assert shapes[50] == dataclasses.replace(REST, lattice=((0.0, 0.0, 0.0),) * 27)


def test_the_reach_holds_the_deformed_box():
    deformation = sample_deformation(np.random.default_rng(2), ALL, 5, HALF)
    assert deformation.axis == 2
    held = reach(HALF, deformation)
    for each in deformation.shapes:
        assert (abs(deformed(box(5), HALF, 2, each)) <= held + 1e-9).all()
    assert (held > HALF).any()


@pytest.fixture(scope="module")
def deforming(make_resolved):
    return make_resolved(
        dynamics=Dynamics(steps=3, deform=ALL), render=Render(layers=LAYERS)
    )


def test_scenes_carry_their_shapes_through_json(deforming):
    scene = sample_scene(deforming, "train", 4)
    assert len(scene.objects[0].deformation.shapes) == 3
    assert Scene.from_json(scene.to_json()) == scene
    assert sample_scene(deforming, "train", 4) == scene
    other = sample_scene(deforming, "train", 5)
    assert other.objects[0].deformation != scene.objects[0].deformation


def test_a_scene_without_shapes_has_the_json_it_always_had(resolved):
    scene = sample_scene(resolved, "train", 4)
    assert scene.objects[0].deformation is None
    values = json.loads(scene.to_json())
    assert set(values["objects"][0]) == {
        "asset_id",
        "category",
        "category_id",
        "size",
        "poses",
        "material",
    }


def test_deformation_changes_no_other_draw(deforming, make_resolved):
    """Where both are accepted at the first attempt, all else is the same."""
    rigid = make_resolved(dynamics=Dynamics(steps=3), render=Render(layers=LAYERS))
    for index in range(20):
        scene, other = (sample_scene(r, "train", index) for r in (deforming, rigid))
        if scene.attempt == other.attempt == 0:
            break
    assert scene.cameras == other.cameras
    assert scene.background == other.background
    assert [p.position[:2] for p in scene.objects[0].poses] == [
        p.position[:2] for p in other.objects[0].poses
    ]


def test_twins_of_equal_dynamics_change_their_shapes_alike(make_resolved):
    twins = make_resolved(
        twins=("dynamics",),
        dynamics=Dynamics(steps=3, deform=ALL),
        render=Render(layers=LAYERS),
    )
    pair = [sample_scene(twins, "train", index) for index in (2, 3)]
    shapes = [scene.objects[0].deformation.shapes for scene in pair]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("count", [1, 28])
def test_impossible_shapes_are_refused(count):
    with pytest.raises(ValueError, match="27 control points"):
        shape(lattice=((0.0, 0.0, 0.0),) * count)


def test_a_deformation_has_a_shape_for_every_pose(deforming):
    item = sample_scene(deforming, "train", 0).objects[0]
    with pytest.raises(ValueError, match="one shape per dynamics step"):
        dataclasses.replace(item, deformation=Deformation(axis=0, shapes=(REST,)))
