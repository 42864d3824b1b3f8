"""Articulations: their sampling, their reach, and scenes without them."""

import dataclasses
import math

import numpy as np
import pytest

from dyso import geometry
from dyso.sampling import Articulation, Scene, sample_scene
from dyso.sampling.articulation import (
    in_scene,
    part_poses,
    posed,
    reach,
    sample_articulation,
)
from dyso.spec import LAYERS, Articulate, Dynamics, Joint, ProceduralCatalog, Render
from dyso.spec.articulated import JOINTED

CATALOG = ProceduralCatalog.of(0, 600, JOINTED)
CABINET, CART, CHAIN, LAMP, PLIERS, SCISSORS = map(CATALOG.asset, range(6))
ALL = Articulate(change=(0.2, 0.8))


def hinge(**fields):
    return Joint(
        **{
            "name": "door",
            "type": "revolute",
            "parent": 0,
            "axis": (0.0, 0.0, 1.0),
            "origin": (0.0, 0.0, 0.0),
            "limits": (0.0, 1.0),
            "bounds": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
            **fields,
        }
    )


def test_joints_are_scaled_to_the_size_of_the_object():
    door = hinge(origin=(3.0, 0.0, 5.0))
    drawer = hinge(type="prismatic", limits=(0.0, 2.0))
    asset = dataclasses.replace(
        CART, bounds=((1.0, 0.0, 0.0), (5.0, 2.0, 10.0)), joints=(door, drawer)
    )
    door, drawer = in_scene(asset, 2.0)
    # The box's centre (3, 1, 5) is the origin, and 10 are 2 metres.
    assert door.origin == (0.0, -0.2, 0.0)
    assert door.limits == (0.0, 1.0)
    assert drawer.limits == (0.0, 0.4)
    assert door.bounds == ((-0.6, -0.2, -1.0), (-0.4, 0.0, -0.8))


@pytest.mark.parametrize("motion", ["smooth", "jitter"])
def test_values_stay_in_the_limits_and_change_as_much_as_asked(motion):
    joints = in_scene(LAMP, 2.0)
    articulate = dataclasses.replace(ALL, motion=motion)
    changes = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        values = np.array(sample_articulation(rng, articulate, 9, joints).values)
        low, high = np.array([joint.limits for joint in joints]).T
        assert ((values >= low) & (values <= high)).all()
        changes.append(np.ptp(values, axis=0) / (high - low))
    assert 0.7 < np.max(changes) <= 0.8 + 1e-6
    # All of the range between the limits is used, and every joint moves.
    assert np.min(changes) > (0.05 if motion == "smooth" else 0.08)


def test_smooth_values_change_little_from_step_to_step():
    joints = in_scene(CHAIN, 2.0)
    values = np.array(
        sample_articulation(np.random.default_rng(0), ALL, 101, joints).values
    )
    assert (abs(np.diff(values, axis=0)).max(0) < 0.1 * np.ptp(values, axis=0)).all()
    assert len(np.unique(np.round(np.ptp(values, axis=0), 4))) == len(joints)


@pytest.mark.parametrize("asset", [CABINET, CART, LAMP, SCISSORS], ids=lambda a: a.id)
def test_the_reach_holds_every_part_at_every_step(asset):
    joints = in_scene(asset, 2.0)
    moved = sample_articulation(np.random.default_rng(1), ALL, 5, joints)
    half = np.array(asset.bounds[1]) * 2
    held = reach(half, moved)
    assert (held >= half).all()
    poses = part_poses(moved)
    rng = np.random.default_rng(2)
    for part, joint in enumerate(joints, start=1):
        points = rng.uniform(*joint.bounds, (50, 3))
        for step in range(5):
            parts = np.full(50, part)
            assert (abs(posed(points, parts, poses[step])) <= held + 1e-9).all()
    if asset is CABINET:
        assert (held > half).any()  # its drawers come out


def test_a_door_opens_outwards():
    """Towards +x, where the front is."""
    doors = [joint for joint in CABINET.joints if joint.name == "door"]
    assert doors
    for door in doors:
        opened = Articulation(joints=(door,), values=((1.5,),))
        middle = np.mean(door.bounds, axis=0)
        moved = geometry.transform(part_poses(opened)[0, 1], middle)
        assert moved[0] > middle[0] + 0.05


@pytest.fixture(scope="module")
def articulated(make_resolved):
    resolved = make_resolved(
        dynamics=Dynamics(steps=3, articulate=ALL), render=Render(layers=LAYERS)
    )
    return dataclasses.replace(resolved, objects=CATALOG)


def test_scenes_carry_their_joints_through_json(articulated):
    scene = sample_scene(articulated, "train", 4)
    moved = scene.objects[0].articulation
    assert scene.articulated and len(moved.values) == 3 and moved.joints
    assert Scene.from_json(scene.to_json()) == scene
    assert sample_scene(articulated, "train", 4) == scene
    other = sample_scene(articulated, "train", 5)
    assert other.objects[0].articulation != moved


def test_articulation_changes_no_other_draw(articulated):
    spec = dataclasses.replace(articulated.spec, dynamics=Dynamics(steps=3))
    rigid = dataclasses.replace(articulated, spec=spec)
    for index in range(40):
        scene, other = (
            sample_scene(each, "train", index) for each in (articulated, rigid)
        )
        if scene.attempt == other.attempt == 0:
            break
    assert not other.articulated and "articulation" not in other.to_json()
    assert scene.cameras == other.cameras
    assert scene.background == other.background
    assert [p.position[:2] for p in scene.objects[0].poses] == [
        p.position[:2] for p in other.objects[0].poses
    ]


def test_objects_without_joints_may_be_among_them(make_resolved):
    resolved = make_resolved(
        dynamics=Dynamics(steps=2, articulate=ALL), render=Render(layers=LAYERS)
    )
    scene = sample_scene(resolved, "train", 0)
    assert scene.objects[0].articulation == Articulation(joints=(), values=((), ()))


def test_impossible_articulations_are_refused(articulated):
    with pytest.raises(ValueError, match="an earlier part"):
        Articulation(joints=(hinge(parent=1),), values=())
    with pytest.raises(ValueError, match="one value per joint"):
        Articulation(joints=(hinge(),), values=((0.0, 1.0),))
    item = sample_scene(articulated, "train", 0).objects[0]
    with pytest.raises(ValueError, match="every dynamics step"):
        still = Articulation(joints=(), values=((),))
        dataclasses.replace(item, articulation=still)
    values = item.articulation.values
    broken = ((math.nan, *values[0][1:]), *values[1:])
    scene = sample_scene(articulated, "train", 0)
    with pytest.raises(ValueError, match="finite"):
        moved = dataclasses.replace(item.articulation, values=broken)
        items = (dataclasses.replace(item, articulation=moved),)
        dataclasses.replace(scene, objects=items)
