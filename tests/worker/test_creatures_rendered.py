"""Creatures that walk and swim, from real renders."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dyso import geometry, records
from dyso.assets import procedural, resolve
from dyso.geometry import posed, skinned
from dyso.reading import views_of, world_vertices
from dyso.render import Renderer, Views
from dyso.sampling import Scene, sample_scene
from dyso.spec import Dynamics, Gait, Objects, ResolvedSpec
from dyso.validation import agreement
from dyso.validation.meshes import mesh_faults

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def walking(starter: ResolvedSpec) -> ResolvedSpec:
    spec = dataclasses.replace(
        starter.spec,
        resolution=(64, 64),
        objects=Objects(catalog="procedural", categories=("quadruped", "fish")),
        dynamics=Dynamics(
            steps=3,
            motion="smooth",
            travel=(0.3, 0.3),
            turn=(30.0, 30.0),
            gait=Gait(amplitude=(1.0, 1.0), bones=True),
        ),
    )
    return resolve(spec, Path())


@pytest.fixture(scope="module", params=["quadruped", "fish"])
def scene(walking: ResolvedSpec, request: pytest.FixtureRequest) -> Scene:
    scenes = (sample_scene(walking, "train", index) for index in range(100))
    return next(s for s in scenes if s.objects[0].category == request.param)


@pytest.fixture(scope="module")
def worker(walking: ResolvedSpec) -> Iterator[Renderer]:
    with Renderer(
        objects=walking.objects.manifest,
        backgrounds=walking.backgrounds.manifest,
        timeout=120,
    ) as started:
        yield started


@pytest.fixture(scope="module")
def views(worker: Renderer, scene: Scene) -> Views:
    return worker.render(scene)


@pytest.fixture(scope="module")
def record(scene: Scene, views: Views) -> dict:
    return records.decode(records.encode(scene, views))


def test_the_mesh_is_the_skinned_creature_on_its_floor(
    walking: ResolvedSpec, scene: Scene, views: Views, record: dict
) -> None:
    [item] = scene.objects
    made = procedural.make(walking.objects, walking.objects.index(item.asset_id))
    rig = made.skin.rig.scaled(item.size)
    places = made.vertices * item.size
    used = np.array([abs(places - each).max(-1).argmin() for each in views.mesh_rest])
    for step, at in enumerate(item.gait.steps):
        kept = item.gait.path
        path = geometry.Path(
            start=kept.start, spacing=kept.spacing, headings=np.array(kept.headings)
        )
        phase = at.phase + at.distance / rig.stride
        bones = posed(rig, phase, 1.0, path, at.distance)
        expected = skinned(places, made.skin.weights, bones)[used]
        gap = abs(views.mesh_vertices[step] - expected).max(-1)
        # Where vertices share a place at rest, another one may be meant.
        assert np.mean(gap < 1e-5) > 0.99
    lowest = world_vertices(record)[..., 2].min(1)
    assert np.allclose(lowest, item.gait.height, atol=1e-4 * item.size)
    assert list(mesh_faults(record, scene, walking.objects)) == []


def test_bones_are_where_their_joints_are_in_the_world(
    walking: ResolvedSpec, scene: Scene, record: dict
) -> None:
    [item] = scene.objects
    made = procedural.make(walking.objects, walking.objects.index(item.asset_id))
    assert record["bones/name"].tolist() == [*made.skin.rig.names]
    assert record["bones/parent"].tolist() == [*made.skin.rig.parents]
    assert {*record["bones/instance"].tolist()} == {1}
    positions = record["bones/positions"]
    # A child's joint stays where it is in its parent, unless a wave moves it.
    moved = {wave.bone for wave in made.skin.rig.waves if wave.moves}
    for bone, parent in enumerate(made.skin.rig.parents):
        if parent >= 0 and bone not in moved:
            length = np.linalg.norm(positions[bone] - positions[parent], axis=-1)
            assert np.ptp(length) < 1e-4
            turn = geometry.quaternion_to_matrix(record["bones/quaternions"][parent])
            offset = (positions[bone] - positions[parent])[:, None] @ turn
            assert abs(offset - offset[0]).max() < 1e-4
    # Bones are in the body: each joint is near some vertex.
    world = world_vertices(record)
    for step in range(scene.steps):
        gaps = np.linalg.norm(positions[:, step, None] - world[step], axis=-1)
        assert gaps.min(1).max() < 0.25 * item.size
    wrong = dict(record)
    wrong["bones/positions"] = record["bones/positions"] + np.float32(0.01)
    found = list(mesh_faults(wrong, scene, walking.objects))
    assert len(found) == 3 and "do not follow from its gait" in found[0]


def test_validation_tells_another_gait(
    walking: ResolvedSpec, scene: Scene, record: dict
) -> None:
    [item] = scene.objects
    steps = list(item.gait.steps)
    steps[1] = dataclasses.replace(steps[1], phase=steps[1].phase + 0.1)
    gait = dataclasses.replace(item.gait, steps=tuple(steps))
    other = dataclasses.replace(scene, objects=(dataclasses.replace(item, gait=gait),))
    bones, fault = mesh_faults(record, other, walking.objects)
    assert "object 0 at dynamics step 1 do not follow from its gait" in bones
    assert "object 0 at dynamics step 1 does not have the shape" in fault


def test_depth_and_surface_of_all_views_agree(record: dict) -> None:
    proof = agreement(record)
    assert not len(proof.failed())
    assert proof.share() > 0.99


def test_a_tracked_point_keeps_its_place_in_its_face(record: dict) -> None:
    seen = views_of(record)
    view = seen.at(0)
    rows, columns = np.nonzero(view.instance)
    _, moved = geometry.follow(view, (rows, columns), seen)
    corners = view.mesh.faces[view.mesh.surface[rows, columns] - 1]
    shares = []
    for step in range(len(moved)):
        first, one, two = np.moveaxis(seen.mesh.vertices[step][corners], 1, 0)
        sides = np.stack([one - first, two - first], axis=-1)
        solved = np.linalg.pinv(sides) @ (moved[step] - first)[..., None]
        shares.append(solved[..., 0])
    assert len(rows) > 50
    assert abs(np.array(shares) - shares[0]).max() < 1e-6
    assert abs(moved - moved[0]).max() > 0.02
