"""Validation of objects with joints finds wrong parts, joints and poses."""

import dataclasses

import numpy as np
import pytest

from dyso import records
from dyso.records.synthetic import synthetic_views
from dyso.sampling import sample_scene
from dyso.spec import (
    LAYERS,
    Articulate,
    Cameras,
    Dynamics,
    Objects,
    ProceduralCatalog,
    Render,
)
from dyso.spec.articulated import JOINTED
from dyso.validation import check_record


@pytest.fixture(scope="module")
def resolved(make_resolved):
    made = make_resolved(
        resolution=(40, 56),
        objects=Objects(count=(2, 2), size=1.2),
        dynamics=Dynamics(
            steps=3, spawn_radius=2.5, articulate=Articulate(change=(0.6, 1.0))
        ),
        cameras=Cameras(count=2),
        render=Render(layers=LAYERS),
    )
    return dataclasses.replace(made, objects=ProceduralCatalog.of(0, 60, JOINTED))


@pytest.fixture(scope="module")
def scene(resolved):
    return sample_scene(resolved, "train", 2)


@pytest.fixture(scope="module")
def views(scene):
    return synthetic_views(scene)


def faults(resolved, scene, views):
    return check_record(records.encode(scene, views), resolved, "train").faults


def changed(scene, **fields):
    """Returns the scene with another articulation of its first object."""
    first, *others = scene.objects
    moved = dataclasses.replace(first.articulation, **fields)
    items = (dataclasses.replace(first, articulation=moved), *others)
    return dataclasses.replace(scene, objects=items)


def test_a_sound_scene_agrees_with_itself(resolved, scene, views):
    finding = check_record(records.encode(scene, views), resolved, "train")
    assert finding.faults == ()
    assert finding.share > 0.99


def test_a_scene_of_objects_without_joints_is_sound(make_resolved, resolved):
    plain = dataclasses.replace(make_resolved(), spec=resolved.spec)
    scene = sample_scene(plain, "train", 0)
    assert scene.articulated and not any(o.articulation.joints for o in scene.objects)
    assert faults(plain, scene, synthetic_views(scene)) == ()


def test_vertices_must_follow_from_the_joints(resolved, scene, views):
    values = scene.objects[0].articulation.values
    other = (tuple(0.9 * value for value in values[0]), *values[1:])
    found = faults(resolved, changed(scene, values=other), views)
    assert found == (
        "mesh/vertices: object 0 at dynamics step 0 does not have the shape of its "
        "scene",
    )


def test_values_beyond_the_limits_are_named(resolved, scene, views):
    joints = scene.objects[0].articulation.joints
    high = max(values[0] for values in scene.objects[0].articulation.values)
    narrow = dataclasses.replace(joints[0], limits=(joints[0].limits[0], high - 0.01))
    found = faults(resolved, changed(scene, joints=(narrow, *joints[1:])), views)
    assert "scene: joint 0 of object 0 is beyond its limits" in found


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda parts: parts + 100, "mesh/part: has parts that do not exist"),
        (lambda parts: parts * 0 + np.arange(len(parts)) % 2, "mesh/part: a vertex is"),
        (lambda parts: parts * 0, "mesh/vertices: object 0 at dynamics step"),
    ],
)
def test_wrong_parts_are_named(resolved, scene, views, change, fault):
    parts = change(views.mesh_part).astype(np.uint8)
    found = faults(resolved, scene, dataclasses.replace(views, mesh_part=parts))
    assert any(line.startswith(fault) for line in found), found


def edited(data, name, change):
    """Returns a record with other numbers in a field."""
    from tensorflow_datasets.proto import tf_example_pb2

    example = tf_example_pb2.Example.FromString(data)
    feature = example.features.feature[name]
    numbers = feature.float_list if feature.float_list.value else feature.int64_list
    numbers.value[:] = change(numbers.value[:])
    return example.SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    ("name", "change", "fault"),
    [
        (
            "joints/values",
            lambda a: [a[0] + 0.01, *a[1:]],
            "joints/values: differs from its scene",
        ),
        (
            "joints/parent",
            lambda a: [5, *a[1:]],
            "joints/parent: differs from its scene",
        ),
        (
            "parts/positions",
            lambda a: [a[0] + 0.01, *a[1:]],
            "parts: the poses of object 0 do not follow from its joints",
        ),
        ("parts/part", lambda a: a[::-1], "parts/part: differs from its scene"),
    ],
)
def test_fields_must_agree_with_the_scene(resolved, scene, views, name, change, fault):
    data = edited(records.encode(scene, views), name, change)
    found = check_record(data, resolved, "train").faults
    assert fault in found


def test_a_scene_must_have_joints_if_the_spec_moves_them(resolved, scene, views):
    items = tuple(dataclasses.replace(i, articulation=None) for i in scene.objects)
    still = dataclasses.replace(scene, objects=items)
    found = faults(resolved, still, views)
    assert "joints/instance: is missing" in found
