"""Objects with joints, from real renders."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import trimesh

from dyso import geometry, records
from dyso.assets import manifests, resolve
from dyso.reading import flow, parts, views_of, world_vertices
from dyso.render import Renderer, Views
from dyso.sampling import Scene, sample_scene
from dyso.sampling.articulation import part_poses, posed
from dyso.spec import (
    REQUIRED_LAYERS,
    Articulate,
    Cameras,
    Dynamics,
    Objects,
    Render,
    ResolvedSpec,
    Spec,
)
from dyso.spec.articulated import JOINTED
from dyso.validation import check_record

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def articulated() -> ResolvedSpec:
    return resolve(
        Spec(
            name="made",
            splits={"train": 100},
            resolution=(64, 64),
            objects=Objects(catalog="procedural", categories=JOINTED),
            dynamics=Dynamics(
                steps=3,
                motion="smooth",
                travel=(0.0, 0.5),
                articulate=Articulate(change=(0.6, 1.0)),
            ),
            cameras=Cameras(count=2),
            render=Render(
                samples=2, denoise=False, layers=(*REQUIRED_LAYERS, "surface")
            ),
        ),
        Path(),
    )


@pytest.fixture(scope="module")
def worker(articulated, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        objects, backgrounds = manifests(articulated)
        with Renderer(
            objects=objects, backgrounds=backgrounds, timeout=300
        ) as renderer:
            yield renderer


@pytest.fixture(scope="module")
def scenes(articulated) -> dict[str, Scene]:
    """A scene of every category."""
    found = {}
    for index in range(60):
        scene = sample_scene(articulated, "train", index)
        found.setdefault(scene.objects[0].category, scene)
    assert len(found) == len(JOINTED)
    return found


@pytest.fixture(scope="module")
def rendered(worker, scenes) -> dict[str, Views]:
    return {category: worker.render(scene) for category, scene in scenes.items()}


def test_every_category_is_sound(articulated, scenes, rendered) -> None:
    """The mesh is that of the joints, stands on the floor, and views agree."""
    for category, scene in scenes.items():
        views = rendered[category]
        record = records.encode(scene, views)
        finding = check_record(record, articulated, "train")
        assert finding.faults == (), category
        moved = scene.objects[0].articulation
        of_vertex = np.zeros(len(views.mesh_rest), int)
        of_vertex[views.mesh_faces] = views.mesh_part[:, None]
        assert set(of_vertex) == set(range(len(moved.joints) + 1))
        for step, poses in enumerate(part_poses(moved)):
            expected = posed(views.mesh_rest.astype(float), of_vertex, poses)
            assert abs(views.mesh_vertices[step] - expected).max() < 1e-5
            turned = geometry.quaternion_to_matrix(views.quaternions[0, step])
            lowest = (views.mesh_vertices[step] @ turned.T)[:, 2].min()
            assert views.positions[0, step, 2] + lowest == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("category", ["desk_lamp", "cart"])
def test_pixels_show_the_parts_that_rays_hit(category, scenes, rendered) -> None:
    record = records.decode(records.encode(scenes[category], rendered[category]))
    seen, shown = views_of(record), parts(record)
    for index in range(6):
        view = seen.at(index)
        mesh = trimesh.Trimesh(view.mesh.vertices, view.mesh.faces, process=False)
        rows, columns = np.nonzero(view.instance)
        pixels = np.stack([columns, rows], -1) + 0.5
        rays = geometry.rays(view.intrinsics, view.extrinsics, pixels)
        face = mesh.ray.intersects_first(*rays)
        same = record["mesh/part"][face] + 1 == shown[index, rows, columns]
        assert same[face >= 0].mean() > 0.99
    assert len(np.unique(shown)) >= 4


def test_flow_forward_and_back_returns(scenes, rendered) -> None:
    record = records.decode(records.encode(scenes["cart"], rendered["cart"]))
    forward, back = flow(record, 0, 3), flow(record, 3, 0)
    rows, columns = np.nonzero(forward.visible & (record["instance"][0, ..., 0] > 0))
    there = np.stack([columns, rows], -1) + 0.5 + forward.optical[rows, columns]
    column, row = np.floor(there).astype(int).T
    gap = forward.optical[rows, columns] + back.optical[row, column]
    assert len(rows) > 20
    assert np.median(abs(gap)) < 1


def test_a_record_renders_again_to_the_same_bytes(worker, scenes, rendered) -> None:
    data = records.encode(scenes["scissors"], rendered["scissors"])
    scene = records.scene_of(data)
    assert records.encode(scene, worker.render(scene)) == data


def test_the_rest_shape_is_that_of_the_rigid_object(worker, scenes, rendered) -> None:
    """The same object without joints that move is the mesh at rest."""
    scene = scenes["cabinet"]
    rigid = dataclasses.replace(
        scene,
        objects=tuple(
            dataclasses.replace(item, articulation=None) for item in scene.objects
        ),
    )
    views = worker.render(rigid)
    assert views.mesh_part is None
    lower, upper = views.mesh_rest.min(0), views.mesh_rest.max(0)
    rest = rendered["cabinet"].mesh_rest
    assert np.allclose([lower, upper], [rest.min(0), rest.max(0)])


def test_physics_leaves_nothing_below_the_floor(worker, articulated) -> None:
    dynamics = dataclasses.replace(
        articulated.spec.dynamics, contact="stable", motion="jitter"
    )
    spec = dataclasses.replace(articulated.spec, resolution=(16, 16), dynamics=dynamics)
    scene = sample_scene(dataclasses.replace(articulated, spec=spec), "train", 3)
    views = worker.render(scene)
    record = records.decode(records.encode(scene, views))
    heights = world_vertices(record)[..., 2].min(1)
    assert (heights > -1e-4 * scene.objects[0].size).all()
