"""Validation of deforming objects finds wrong meshes, surfaces and shapes."""

import dataclasses

import numpy as np
import pytest

from dyso import records
from dyso.records.synthetic import synthetic_views
from dyso.sampling import sample_scene
from dyso.spec import LAYERS, Cameras, Deform, Dynamics, Objects, Render
from dyso.validation import agreement, check_record

DEFORM = Deform(bend=(50, 70), twist=(60, 90), squash=(0.3, 0.4))


@pytest.fixture(scope="module")
def resolved(make_resolved):
    return make_resolved(
        resolution=(40, 56),
        objects=Objects(count=(2, 2), size=1.2),
        dynamics=Dynamics(steps=3, spawn_radius=2.0, deform=DEFORM),
        cameras=Cameras(count=3),
        render=Render(layers=LAYERS),
    )


@pytest.fixture(scope="module")
def scene(resolved):
    return sample_scene(resolved, "train", 2)


@pytest.fixture(scope="module")
def views(scene):
    return synthetic_views(scene)


def faults(resolved, scene, views):
    return check_record(records.encode(scene, views), resolved, "train").faults


def test_a_sound_scene_agrees_with_itself(resolved, scene, views):
    finding = check_record(records.encode(scene, views), resolved, "train")
    assert finding.faults == ()
    assert finding.share > 0.99


def test_the_proof_needs_the_surface(scene, views):
    record = records.decode(records.encode(scene, views))
    assert not len(agreement(record).failed())
    del record["surface"]
    assert agreement(record).shares()[1:].min() < 0.97


def changed(views, **arrays):
    return dataclasses.replace(views, **arrays)


def test_wrong_meshes_are_named(resolved, scene, views):
    vertices = views.mesh_vertices.copy()
    vertices[1, :12] *= 1.01
    found = faults(resolved, scene, changed(views, mesh_vertices=vertices))
    place = "mesh/vertices: object 0 at dynamics step 1 "
    assert f"{place}does not have the shape of its scene" in found
    rest = views.mesh_rest * np.float32([1, 1, 1.1])
    found = faults(resolved, scene, changed(views, mesh_rest=rest))
    assert "mesh/rest: object 0 is not in its box" in found
    lower = views.positions.copy()
    lower[1, 2, 2] -= 0.1
    found = faults(resolved, scene, changed(views, positions=lower))
    assert any("object 1 at dynamics step 2 is 0.1 m below" in fault for fault in found)


@pytest.mark.parametrize(
    ("name", "change", "fault"),
    [
        ("mesh_faces", lambda a: a + 1, "mesh/faces: has vertices that do not exist"),
        (
            "mesh_instance",
            lambda a: a * 0 + 1,
            "mesh/instance: is not of the 2 objects",
        ),
        ("mesh_faces", lambda a: a[::-1].T[::-1].T % 24, "surface: disagrees with"),
        ("surface", lambda a: a * 3, "surface: shows face"),
        ("surface", lambda a: a * 0, "surface: disagrees with instance in view"),
    ],
)
def test_wrong_surfaces_are_named(resolved, scene, views, name, change, fault):
    array = np.ascontiguousarray(change(getattr(views, name)))
    found = faults(resolved, scene, changed(views, **{name: array}))
    assert any(line.startswith(fault) for line in found), found


def test_a_wrong_face_breaks_the_proof(resolved, scene, views):
    # The right objects, but other faces of theirs.
    surface = views.surface
    other = np.where(surface > 20, 21 + (surface - 21 + 7) % 20, (surface + 6) % 20 + 1)
    other = np.where(surface > 0, other, 0).astype(np.int32)
    found = faults(resolved, scene, changed(views, surface=other))
    assert any(line.startswith("geometry: ") for line in found)


def test_a_scene_must_deform_if_the_spec_does(resolved, scene, views):
    stiff = dataclasses.replace(
        scene,
        objects=tuple(
            dataclasses.replace(item, deformation=None) for item in scene.objects
        ),
    )
    found = faults(resolved, stiff, views)
    assert "scene: deformation: is False, but the spec has True" in found
