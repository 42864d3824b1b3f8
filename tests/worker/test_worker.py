"""The worker's pixels and poses, from real renders."""

import dataclasses
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import trimesh

from dyso import geometry
from dyso.render import Renderer, Views
from dyso.sampling import Pose, Scene, sample_scene
from dyso.spec import ResolvedSpec

pytestmark = pytest.mark.slow


def edited(scene: Scene, **background: object) -> Scene:
    return dataclasses.replace(
        scene, background=dataclasses.replace(scene.background, **background)
    )


def posed(scene: Scene, *poses: Pose, asset: str | None = None) -> Scene:
    item = dataclasses.replace(scene.objects[0], poses=poses)
    if asset:
        item = dataclasses.replace(item, asset_id=asset)
    return dataclasses.replace(scene, objects=(item,))


def cameras(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Intrinsics [C, 3, 3] and extrinsics [C, 3, 4], from the documented convention."""
    positions = np.array([c.pose.position for c in scene.cameras])
    quaternions = np.array([c.pose.quaternion for c in scene.cameras])
    extrinsics = geometry.invert(geometry.pose_matrix(positions, quaternions))
    focal = np.array([c.focal_length for c in scene.cameras])
    sensor = np.array([c.sensor_width for c in scene.cameras])
    return geometry.intrinsics(focal, sensor, *scene.resolution), extrinsics


def object_mesh(starter: ResolvedSpec, asset_id: str, size: float) -> trimesh.Trimesh:
    """The asset's mesh in its own frame, read without any of the worker's code."""
    archive = Path(starter.objects.manifest).parent / f"{asset_id}.tar.gz"
    with tarfile.open(archive) as tar:
        file = tar.extractfile("visual_geometry.obj")
        assert file is not None
        mesh = trimesh.load(file, file_type="obj", force="mesh", process=False)
    low, high = mesh.bounds
    mesh.vertices = (mesh.vertices - (low + high) / 2) * (size / (high - low).max())
    return mesh


@pytest.fixture(scope="module")
def scene(starter: ResolvedSpec) -> Scene:
    scene = sample_scene(starter, "train", 1)
    return dataclasses.replace(scene, resolution=(48, 48))


@pytest.fixture(scope="module")
def views(renderer: Renderer, scene: Scene) -> Views:
    return renderer.render(scene)


def test_views_have_the_documented_shapes(views: Views, scene: Scene) -> None:
    shape = (scene.steps, len(scene.cameras), *scene.resolution)
    assert views.color.shape == (*shape, 3) and views.color.dtype == np.uint8
    assert views.depth.shape == shape and views.depth.dtype == np.float32
    assert views.instance.shape == shape and views.instance.dtype == np.uint8
    assert views.normal is not None and views.normal.shape == (*shape, 3)
    assert np.isfinite(views.depth).all()  # the dome is closed
    seen = views.instance == 1
    assert seen.any(axis=(2, 3)).all()
    assert (views.category[seen] == scene.objects[0].category_id).all()
    assert (views.category[~seen] == 0).all()
    assert views.color.std() > 5


def test_paired_cameras_see_what_they_see_at_their_steps_of_a_grid(
    renderer: Renderer, views: Views, scene: Scene
) -> None:
    paired = renderer.render(dataclasses.replace(scene, paired=True))
    assert paired.color.shape == (2, 1, *scene.resolution, 3)
    own = np.arange(2)
    for name in ("depth", "instance", "category", "normal", "object_coordinates"):
        found, expected = getattr(paired, name), getattr(views, name)
        np.testing.assert_array_equal(found[:, 0], expected[own, own])
    # Colour too, but for the noise, whose seed is the view.
    np.testing.assert_array_equal(paired.color[0, 0], views.color[0, 0])
    difference = paired.color[:, 0].astype(float) - views.color[own, own]
    others = paired.color[:, 0].astype(float) - views.color[own, own - 1]
    assert abs(difference).mean() < 0.5 * abs(others).mean()


def test_held_out_cameras_see_every_step_of_a_video(
    renderer: Renderer, views: Views, scene: Scene
) -> None:
    every = (*scene.cameras, scene.cameras[0])
    beside = renderer.render(dataclasses.replace(scene, paired=True, cameras=every))
    assert beside.color.shape == (2, 2, *scene.resolution, 3)
    own = np.arange(2)
    for name in ("depth", "instance", "normal"):
        found, expected = getattr(beside, name), getattr(views, name)
        np.testing.assert_array_equal(found[:, 0], expected[own, own])
        np.testing.assert_array_equal(found[:, 1], expected[:, 0])


def test_normals_are_unit_and_face_the_camera(views: Views, scene: Scene) -> None:
    assert views.normal is not None
    np.testing.assert_allclose(np.linalg.norm(views.normal, axis=-1), 1, atol=1e-5)
    _, directions = geometry.rays(
        *(m[:, None, None] for m in cameras(scene)),
        geometry.pixel_grid(*scene.resolution, np),
    )
    assert ((views.normal * directions).sum(-1) < 1e-6).all()


def test_object_coordinates_are_the_depth_in_the_object_frame(
    views: Views, scene: Scene
) -> None:
    assert views.object_coordinates is not None
    intrinsics, extrinsics = cameras(scene)
    points = geometry.unproject(views.depth.astype(float), intrinsics, extrinsics)
    to_object = geometry.invert(
        geometry.pose_matrix(views.positions[0], views.quaternions[0])
    )
    local = geometry.transform(to_object[:, None, None, None], points)
    seen = views.instance == 1
    expected = (local / np.maximum(views.sizes[0], 1e-9) + 0.5)[seen]
    np.testing.assert_allclose(views.object_coordinates[seen], expected, atol=2e-5)
    assert (views.object_coordinates[~seen] == 0).all()


def test_depth_agrees_with_rays_cast_by_trimesh(
    views: Views, scene: Scene, starter: ResolvedSpec
) -> None:
    described = scene.objects[0]
    mesh = object_mesh(starter, described.asset_id, described.size)
    intrinsics, extrinsics = cameras(scene)
    caster = trimesh.ray.ray_triangle.RayMeshIntersector(mesh)
    checked = 0
    for step in range(scene.steps):
        pose = geometry.pose_matrix(
            views.positions[0, step], views.quaternions[0, step]
        )
        for c in range(len(scene.cameras)):
            rows, columns = np.nonzero(views.instance[step, c])
            pixels = np.stack([columns, rows], -1) + 0.5
            origins, directions = geometry.rays(intrinsics[c], extrinsics[c], pixels)
            inverse = geometry.invert(pose)
            starts = geometry.transform(inverse, origins)
            points, ray, _ = caster.intersects_location(
                starts, directions @ inverse[:, :3].T, multiple_hits=True
            )
            nearest = np.full(len(starts), np.inf)
            np.minimum.at(nearest, ray, np.linalg.norm(points - starts[ray], axis=-1))
            depth = views.depth[step, c, rows, columns]
            agree = np.abs(nearest - depth) < 1e-5 * depth
            assert agree.mean() > 0.99
            checked += len(depth)
    assert checked > 100


def test_lowest_vertex_touches_the_floor_exactly(
    views: Views, scene: Scene, starter: ResolvedSpec
) -> None:
    described = scene.objects[0]
    mesh = object_mesh(starter, described.asset_id, described.size)
    used = mesh.vertices[np.unique(mesh.faces)]
    for position, quaternion in zip(
        views.positions[0], views.quaternions[0], strict=True
    ):
        world = geometry.transform(geometry.pose_matrix(position, quaternion), used)
        assert abs(world[:, 2].min()) < 1e-6
    assert views.sizes[0].max() == pytest.approx(described.size)
    # What needs no mesh is as it was sampled.
    sampled = np.array([pose.position[:2] for pose in described.poses])
    np.testing.assert_allclose(views.positions[0, :, :2], sampled)


def test_color_shows_the_object_where_the_truth_says(
    renderer: Renderer, scene: Scene
) -> None:
    """Cycles' silhouette: what changes when the object goes, with no floor to shade."""
    first = scene.objects[0].poses[0]
    x, y, z = first.position
    gone = dataclasses.replace(first, position=(x, y, z - 500.0))
    empty = posed(edited(scene, backdrop="environment"), first, gone)
    views = renderer.render(dataclasses.replace(empty, contact="free"))
    assert np.isinf(views.depth[1]).all()
    difference = np.abs(views.color[0].astype(int) - views.color[1]).max(-1)
    # Its own seed, so its own noise: the background is a smooth photograph.
    changed, truth = difference > 12, views.instance[0] == 1
    overlap = (changed & truth).sum() / (changed | truth).sum()
    assert overlap > 0.85
    assert np.isfinite(views.depth[0][truth]).all()


def test_same_scene_same_bytes_whatever_the_process_and_its_cpus(
    renderer: Renderer, starter: ResolvedSpec, scene: Scene, views: Views
) -> None:
    with Renderer(
        objects=starter.objects.manifest,
        backgrounds=starter.backgrounds.manifest,
        cpu=0,
    ) as pinned:
        again = pinned.render(scene)
    for name, array in views.arrays().items():
        np.testing.assert_array_equal(array, again.arrays()[name], err_msg=name)


def test_denoised_bytes_do_not_depend_on_the_cpus(
    renderer: Renderer, starter: ResolvedSpec, scene: Scene
) -> None:
    settings = dataclasses.replace(scene.render, denoise=True, samples=4)
    scene = dataclasses.replace(scene, render=settings)
    with Renderer(
        objects=starter.objects.manifest,
        backgrounds=starter.backgrounds.manifest,
        cpu=0,
    ) as pinned:
        one = pinned.render(scene)
    np.testing.assert_array_equal(one.color, renderer.render(scene).color)


def test_settling_brings_the_object_to_rest(renderer: Renderer, scene: Scene) -> None:
    settled = renderer.render(
        posed(
            dataclasses.replace(scene, contact="settle", settle_time=4.0),
            *scene.objects[0].poses,
            asset="cube",
        )
    )
    # A cube that has come to rest lies on a face: one of its axes is vertical.
    up = geometry.quaternion_to_matrix(settled.quaternions[0, 0])[2]
    assert np.abs(up).max() > 0.999
    assert settled.positions[0, 0, 2] == pytest.approx(1.0, abs=2e-3)
    # The turn from step 0 to step 1 is the sampled one.
    sampled = np.array([pose.quaternion for pose in scene.objects[0].poses])
    assert geometry.rotation_angle(*settled.quaternions[0]) == pytest.approx(
        geometry.rotation_angle(*sampled), abs=1e-6
    )


def test_stable_contact_brings_the_object_to_rest_in_every_step(
    renderer: Renderer, scene: Scene
) -> None:
    stable = dataclasses.replace(scene, contact="stable", settle_time=4.0)
    stable = posed(stable, *scene.objects[0].poses, asset="cube")
    views = renderer.render(stable)
    up = geometry.quaternion_to_matrix(views.quaternions[0])[:, 2]
    assert (np.abs(up).max(-1) > 0.999).all()
    np.testing.assert_allclose(views.positions[0, :, 2], 1.0, atol=2e-3)
    # Each step starts from its own sampled pose, and ends near its place.
    sampled = np.array([pose.position for pose in scene.objects[0].poses])
    moved = (views.positions[0] - sampled)[:, :2]
    assert np.linalg.norm(moved, axis=-1).max() < 2.0
    np.testing.assert_array_equal(
        renderer.render(stable).quaternions, views.quaternions
    )


def test_many_objects_hide_one_another(
    starter: ResolvedSpec, make_resolved, renderer: Renderer
) -> None:
    spec = dataclasses.replace(
        starter.spec,
        objects=dataclasses.replace(starter.spec.objects, count=(4, 4)),
        dynamics=dataclasses.replace(
            starter.spec.dynamics, steps=1, contact="settle", spawn_radius=2.5
        ),
        visibility=dataclasses.replace(starter.spec.visibility, share=0.2),
    )
    scene = sample_scene(dataclasses.replace(starter, spec=spec), "train", 0)
    views = renderer.render(scene)
    assert set(np.unique(views.instance)) == {0, 1, 2, 3, 4}
    # Each lies on the floor or on another, so none is far above it.
    assert (views.positions[:, 0, 2] < 6).all() and (views.positions[..., 2] > 0).all()


def test_one_shot(starter: ResolvedSpec, scene: Scene, views: Views, tmp_path) -> None:
    (tmp_path / "scene.json").write_text(scene.to_json())
    command = [sys.executable, "-m", "dyso.worker"]
    command += ["--objects", starter.objects.manifest]
    command += ["--backgrounds", starter.backgrounds.manifest]
    command += ["--scene", str(tmp_path / "scene.json")]
    command += ["--output", str(tmp_path / "views.npz")]
    done = subprocess.run(command, capture_output=True, timeout=120, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"]
    with np.load(tmp_path / "views.npz") as arrays:
        np.testing.assert_array_equal(arrays["color"], views.color)


@pytest.mark.parametrize("resolution", [(224, 100), (8, 8), (101, 173)])
def test_any_resolution(
    renderer: Renderer, scene: Scene, resolution: tuple[int, int]
) -> None:
    views = renderer.render(dataclasses.replace(scene, resolution=resolution))
    assert views.color.shape[2:] == (*resolution, 3)
    assert views.depth.shape[2:] == resolution


def test_views_without_object_or_floor(renderer: Renderer, scene: Scene) -> None:
    """One camera looks up, past all objects, and sees only the sky."""
    up = geometry.quaternion_from_matrix(
        np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    )
    first = scene.cameras[0]
    pose = dataclasses.replace(first.pose, quaternion=tuple(up))
    looking_up = dataclasses.replace(first, pose=pose)
    views = renderer.render(dataclasses.replace(scene, cameras=(looking_up,)))
    assert (views.instance == 0).all()
    assert (views.depth < scene.background.dome_radius * 2).all()
    np.testing.assert_array_equal(views.color[0], views.color[1])


def test_objects_shade_one_another_and_the_floor(
    renderer: Renderer, starter: ResolvedSpec
) -> None:
    """Two objects: the floor between them is darker than without them."""
    spec = dataclasses.replace(
        starter.spec,
        resolution=(48, 48),
        objects=dataclasses.replace(starter.spec.objects, count=(2, 2)),
        dynamics=dataclasses.replace(starter.spec.dynamics, steps=1, spawn_radius=2.0),
        visibility=dataclasses.replace(starter.spec.visibility, share=0.2),
    )
    scene = edited(
        sample_scene(dataclasses.replace(starter, spec=spec), "train", 2),
        asset_id="city",
    )
    far = tuple(
        dataclasses.replace(
            item, poses=(dataclasses.replace(item.poses[0], position=(0, 20.0, 1)),)
        )
        for item in scene.objects
    )
    both = renderer.render(scene)
    none = renderer.render(dataclasses.replace(scene, objects=far))
    floor = (both.instance == 0) & (none.instance == 0) & (both.normal[..., 2] > 0.999)
    lost = none.color[floor].mean() - both.color[floor].mean()
    assert lost > 0.3
