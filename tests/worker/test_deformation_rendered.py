"""Objects that change their shapes, from real renders."""

import dataclasses

import numpy as np
import pytest
import trimesh
from scipy import ndimage

from dyso import geometry, records
from dyso.reading import MOTION_FIELDS, flow, views_of
from dyso.render import Renderer, Views
from dyso.sampling import Scene, sample_scene
from dyso.sampling.deformation import deformed
from dyso.spec import Deform, Dynamics, ResolvedSpec
from dyso.validation import agreement
from dyso.validation.meshes import mesh_faults

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def deforming(starter: ResolvedSpec) -> ResolvedSpec:
    spec = dataclasses.replace(
        starter.spec,
        resolution=(64, 64),
        dynamics=Dynamics(
            steps=2,
            motion="smooth",
            # The pose stays: what changes in the images is the shape.
            travel=(0.0, 0.0),
            turn=(0.0, 0.0),
            deform=Deform(
                motion="jitter",
                bend=(40, 80),
                twist=(40, 90),
                taper=(0.2, 0.5),
                squash=(0.2, 0.4),
                lattice=(0.05, 0.1),
            ),
        ),
    )
    return dataclasses.replace(starter, spec=spec)


@pytest.fixture(scope="module")
def scene(deforming: ResolvedSpec) -> Scene:
    return sample_scene(deforming, "train", 2)


@pytest.fixture(scope="module")
def views(renderer: Renderer, scene: Scene) -> Views:
    return renderer.render(scene)


@pytest.fixture(scope="module")
def record(scene: Scene, views: Views) -> dict:
    return records.decode(records.encode(scene, views))


def test_the_mesh_is_that_of_the_scene_and_stands_on_the_floor(
    deforming: ResolvedSpec, scene: Scene, views: Views, record: dict
) -> None:
    deformation = scene.objects[0].deformation
    for step in range(scene.steps):
        expected = deformed(
            views.mesh_rest.astype(float),
            views.sizes[0] / 2,
            deformation.axis,
            deformation.shapes[step],
        )
        assert abs(views.mesh_vertices[step] - expected).max() < 1e-5
        turned = geometry.quaternion_to_matrix(views.quaternions[0, step])
        lowest = (views.mesh_vertices[step] @ turned.T)[:, 2].min()
        assert views.positions[0, step, 2] + lowest == pytest.approx(0, abs=1e-6)
    assert list(mesh_faults(record, scene, deforming.objects)) == []
    edges = (
        views.mesh_rest[views.mesh_faces]
        - views.mesh_rest[views.mesh_faces[:, [1, 2, 0]]]
    )
    # Long edges are cut, so that the surface can bend.
    assert np.linalg.norm(edges, axis=-1).max() < 0.15 * scene.objects[0].size


def test_the_layers_are_what_rays_hit(scene: Scene, views: Views, record: dict) -> None:
    seen = views_of(record)
    for index in range(4):
        view = seen.at(index)
        mesh = trimesh.Trimesh(view.mesh.vertices, view.mesh.faces, process=False)
        rows, columns = np.nonzero(view.instance)
        pixels = np.stack([columns, rows], -1) + 0.5
        origins, directions = geometry.rays(view.intrinsics, view.extrinsics, pixels)
        face = mesh.ray.intersects_first(origins, directions)
        # A ray through an edge may hit either side, more so after rounding.
        shown = view.mesh.surface[rows, columns] - 1
        assert (face == shown).mean() > 0.98
        points, _ = geometry.follow(view, (rows, columns), view)
        own, distance, _ = geometry.project(points, view.intrinsics, view.extrinsics)
        assert np.quantile(abs(own - pixels).max(-1), 0.99) < 0.01
        gap = abs(distance / view.depth[rows, columns] - 1)
        assert np.quantile(gap, 0.99) < 1e-3
        rest = record["mesh/rest"][view.mesh.faces[shown]]
        weights = geometry.barycentric(
            view.mesh.vertices[view.mesh.faces[shown]],
            origins,
            directions,
            view.depth[rows, columns],
        )
        expected = (weights[..., None] * rest).sum(1) / views.sizes[0] + 0.5
        actual = record["object_coordinates"][index, rows, columns] / 255
        assert np.quantile(abs(actual - expected).max(-1), 0.98) < 0.005


def test_the_colour_shows_the_shape_of_each_step(views: Views) -> None:
    color, seen = views.color.astype(float), views.instance > 0
    for camera in range(2):
        change = abs(color[0, camera] - color[1, camera]).mean(-1)
        first, second = seen[:, camera]
        only_one = first ^ second
        far = ~ndimage.binary_dilation(first | second, iterations=12)
        assert only_one.sum() > 10
        assert far.sum() > 100
        assert change[only_one].mean() > 5 * change[far].mean()


def test_depth_and_surface_of_all_views_agree(record: dict) -> None:
    proof = agreement(record)
    assert not len(proof.failed())
    assert proof.share() > 0.99


def test_flow_forward_and_back_returns(record: dict) -> None:
    forward, back = flow(record, 0, 3), flow(record, 3, 0)
    rows, columns = np.nonzero(forward.visible & (record["instance"][0, ..., 0] > 0))
    there = np.stack([columns, rows], -1) + 0.5 + forward.optical[rows, columns]
    column, row = np.floor(there).astype(int).T
    gap = forward.optical[rows, columns] + back.optical[row, column]
    assert len(rows) > 20
    assert np.median(abs(gap)) < 1


def test_rigid_objects_have_surfaces_whose_flow_is_that_of_their_poses(
    renderer: Renderer, scene: Scene
) -> None:
    rigid = dataclasses.replace(
        scene,
        objects=tuple(
            dataclasses.replace(item, deformation=None) for item in scene.objects
        ),
    )
    views = renderer.render(rigid)
    assert (views.mesh_vertices == views.mesh_rest).all()
    meshed = records.decode(records.encode(rigid, views), fields=MOTION_FIELDS)
    posed = {k: v for k, v in meshed.items() if not k.startswith(("mesh", "surface"))}
    one, other = flow(meshed, 0, 3), flow(posed, 0, 3)
    assert np.quantile(abs(one.optical - other.optical), 0.999) < 0.05
    assert abs(one.scene - other.scene).max() < 0.02
    # Without the layer, nothing else differs.
    layers = tuple(name for name in scene.render.layers if name != "surface")
    without = renderer.render(
        dataclasses.replace(
            rigid, render=dataclasses.replace(scene.render, layers=layers)
        )
    )
    assert without.surface is None and without.mesh_faces is None
    for name in ("color", "depth", "instance", "normal", "object_coordinates"):
        assert np.array_equal(getattr(views, name), getattr(without, name))


@pytest.mark.parametrize("motion", ["physics", "jitter"])
def test_physics_leaves_nothing_below_the_floor(
    renderer: Renderer, deforming: ResolvedSpec, motion: str
) -> None:
    """Physics moves rest shapes; what is then below the floor is lifted."""
    fields = {"contact": "free" if motion == "physics" else "stable", "motion": motion}
    dynamics = dataclasses.replace(
        deforming.spec.dynamics, steps=3, frame_rate=2, **fields
    )
    spec = dataclasses.replace(deforming.spec, resolution=(16, 16), dynamics=dynamics)
    scene = sample_scene(dataclasses.replace(deforming, spec=spec), "train", 2)
    if scene.physics is not None:
        physics = dataclasses.replace(scene.physics, share=0.0, views=0.0)
        scene = dataclasses.replace(scene, physics=physics)
    views = renderer.render(scene)
    turned = geometry.quaternion_to_matrix(views.quaternions[0])
    heights = (views.mesh_vertices @ turned.swapaxes(1, 2))[..., 2].min(1)
    lowest = heights + views.positions[0, :, 2]
    assert lowest.min() > -1e-5
    assert lowest.min() < 0.01
