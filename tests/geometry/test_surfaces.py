"""Surfaces against rays, rigid motion, projected vertices, themselves, and jax."""

import jax
import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from dyso import geometry

HEIGHT, WIDTH = 48, 64
STEPS = 3


class Scene:
    """Two meshes over a floor, at three steps, each seen by its own camera."""

    def __init__(self, seed, deform=0.0):
        rng = np.random.default_rng(seed)
        shapes = [
            trimesh.creation.icosphere(subdivisions=2, radius=0.7),
            trimesh.creation.box((1.0, 0.6, 1.3)),
        ]
        counts = [len(shape.vertices) for shape in shapes]
        offsets = np.array([[[0, -0.9, 1]], [[0, 1, 1]]])
        positions = offsets + rng.uniform(-0.6, 0.6, (2, STEPS, 3))
        self.poses = geometry.instance_poses(
            positions,
            rng.normal(size=(2, STEPS, 4)),
        )
        rest = np.concatenate([shape.vertices for shape in shapes])
        owner = np.repeat([1, 2], counts)
        self.faces = np.concatenate([shapes[0].faces, shapes[1].faces + counts[0]])
        self.owner = owner[self.faces[:, 0]]
        moved = rest + deform * np.sin(
            3 * rest[None, :, ::-1] + rng.uniform(0, 6, (STEPS, 1, 3))
        )
        self.vertices = geometry.transform(self.poses[owner].swapaxes(0, 1), moved)
        eyes = np.stack(
            [
                rng.uniform(4, 5, STEPS),
                rng.uniform(-3, 3, STEPS),
                rng.uniform(1, 3, STEPS),
            ],
            -1,
        )
        turned = geometry.look_at(eyes, np.array([[0.0, 0.0, 0.8]] * STEPS))
        self.extrinsics = geometry.invert(np.concatenate([turned, eyes[..., None]], -1))
        self.intrinsics = geometry.intrinsics(
            np.array(35.0), np.array(32.0), HEIGHT, WIDTH
        )

    def hits(self, step, pixels):
        """Casts rays; returns the face plus one, the weights and the depth of each."""
        origins, directions = geometry.rays(
            self.intrinsics, self.extrinsics[step], pixels
        )
        mesh = trimesh.Trimesh(self.vertices[step], self.faces, process=False)
        where, ray, face = mesh.ray.intersects_location(
            origins, directions, multiple_hits=False
        )
        surface = np.zeros(len(pixels), int)
        weights = np.zeros((len(pixels), 3))
        with np.errstate(divide="ignore"):
            depth = -origins[:, 2] / np.minimum(directions[:, 2], 0)
        depth[~(directions[:, 2] < 0)] = np.inf
        near = np.linalg.norm(where - origins[ray], axis=-1)
        above = near < depth[ray]
        ray, face, where, near = ray[above], face[above], where[above], near[above]
        surface[ray] = face + 1
        depth[ray] = near
        weights[ray] = trimesh.triangles.points_to_barycentric(
            mesh.triangles[face], where
        )
        return surface, weights, depth

    def view(self, step):
        grid = geometry.pixel_grid(HEIGHT, WIDTH, np).reshape(-1, 2)
        surface, weights, depth = self.hits(step, grid)
        owner = np.concatenate([[0], self.owner])
        shape = HEIGHT, WIDTH
        view = geometry.View(
            depth=depth.reshape(shape),
            instance=owner[surface].reshape(shape),
            intrinsics=self.intrinsics,
            extrinsics=self.extrinsics[step],
            poses=self.poses[:, step],
            mesh=geometry.Mesh(
                surface=surface.reshape(shape),
                faces=self.faces,
                vertices=self.vertices[step],
            ),
        )
        return view, weights.reshape(*shape, 3)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_rigid_objects_move_alike_by_their_poses_and_by_their_meshes(seed):
    scene = Scene(seed)
    one, other = scene.view(0)[0], scene.view(1)[0]
    meshed = geometry.flow(one, other)
    posed = geometry.flow(one._replace(mesh=None), other._replace(mesh=None))
    assert (one.instance > 0).sum() > 50
    assert np.allclose(meshed.scene, posed.scene, atol=1e-6)
    assert np.allclose(meshed.optical, posed.optical, atol=1e-4)
    assert (meshed.visible != posed.visible).mean() < 1e-3
    rows, columns = np.nonzero(one.instance)
    views = geometry.View.stack([one, other])
    meshed = geometry.tracks(one, rows, columns, views)
    posed = geometry.tracks(
        one._replace(mesh=None), rows, columns, views._replace(mesh=None)
    )
    assert np.allclose(meshed.points, posed.points, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_the_weights_are_those_of_the_ray_and_constant_along_a_track(seed):
    scene = Scene(seed, deform=0.2)
    view, weights = scene.view(0)
    rows, columns = np.nonzero(view.mesh.surface)
    surface = view.mesh.surface[rows, columns]
    corners = view.mesh.vertices[scene.faces[surface - 1]]
    pixels = np.stack([columns, rows], -1) + 0.5
    found = geometry.barycentric(
        corners,
        *geometry.rays(view.intrinsics, view.extrinsics, pixels),
        view.depth[rows, columns],
    )
    assert np.allclose(found, weights[rows, columns], atol=1e-5)
    # In the other views, the points that are not hidden are those that rays hit there.
    for step in (1, 2):
        points = geometry.surface_points(
            surface, found, scene.faces, scene.vertices[step]
        )
        pixels, distance, _ = geometry.project(
            points, scene.intrinsics, scene.extrinsics[step]
        )
        there, again, depth = scene.hits(step, pixels)
        same = (there == surface) & (abs(depth - distance) < 1e-4)
        assert same.sum() > 20
        assert np.allclose(again[same], found[same], atol=1e-3)


def test_tracks_of_a_deforming_mesh_follow_its_vertices():
    scene = Scene(4, deform=0.2)
    views = geometry.View.stack([scene.view(step)[0] for step in range(STEPS)])
    first = views.at(0)
    rows, columns = np.nonzero(first.instance)
    tracks = geometry.tracks(first, rows, columns, views)
    # In its own view, a track is the centre of its pixel.
    assert abs(tracks.pixels[0] - np.stack([columns, rows], -1) - 0.5).max() < 0.01
    faces = scene.faces[first.mesh.surface[rows, columns] - 1]
    for step in range(STEPS):
        # A point is inside its face at every step, so each track follows the vertices.
        low = scene.vertices[step][faces].min(1) - 1e-9
        high = scene.vertices[step][faces].max(1) + 1e-9
        assert ((tracks.points[step] > low) & (tracks.points[step] < high)).all()
    assert tracks.visible[0].mean() > 0.99
    # Visible points are nearest along their rays, hidden ones are not.
    _, _, depth = scene.hits(1, tracks.pixels[1])
    distance = np.linalg.norm(
        geometry.transform(views.extrinsics[1], tracks.points[1]), axis=-1
    )
    nearest = abs(depth - distance) < 1e-3 * distance
    assert (nearest == tracks.visible[1]).mean() > 0.9
    assert 0.2 < tracks.visible[1].mean() < 0.9


def test_flow_forward_and_back_returns_to_the_pixel():
    scene = Scene(5, deform=0.2)
    one, other = scene.view(0)[0], scene.view(1)[0]
    forward, back = geometry.flow(one, other), geometry.flow(other, one)
    rows, columns = np.nonzero(forward.visible & (one.instance > 0))
    place = np.stack([columns, rows], -1) + 0.5 + forward.optical[rows, columns]
    column, row = np.floor(place).astype(int).T
    # The pixel there has its own centre, so the paths are only neighbours.
    length = np.linalg.norm(forward.optical[rows, columns], axis=-1)
    gap = forward.optical[rows, columns] + back.optical[row, column]
    assert np.median(np.linalg.norm(gap, axis=-1) / length) < 0.25
    assert forward.scene[one.instance == 0].max() == 0
    assert np.linalg.norm(forward.scene[one.instance > 0], axis=-1).min() > 0


@pytest.mark.parametrize("thin", [0.0, 1e-9])
def test_a_face_without_an_area_has_a_point(thin):
    corners = np.array([[1.0, 0, 0], [1, 1, 0], [1, 2, thin]])
    weights = geometry.barycentric(
        corners, np.zeros(3), np.array([1.0, 0, 0]), np.array(1.0)
    )
    assert np.isfinite(weights).all()
    assert np.isclose(weights.sum(), 1)
    assert (weights >= 0).all()


def test_jax_agrees_with_numpy_under_jit():
    scene = Scene(6, deform=0.2)
    one, other = scene.view(0)[0], scene.view(1)[0]
    expected = geometry.flow(one, other)
    actual = jax.jit(geometry.flow)(*jax.tree.map(jax.numpy.asarray, (one, other)))
    assert np.allclose(actual.scene, expected.scene, atol=1e-4)
    assert np.allclose(actual.optical, expected.optical, atol=2e-2)
    views = geometry.View.stack([one, other])
    rows, columns = np.nonzero(one.instance)
    tracks = jax.jit(geometry.tracks)(
        *jax.tree.map(jax.numpy.asarray, (one, rows, columns, views))
    )
    assert np.allclose(
        tracks.points, geometry.tracks(one, rows, columns, views).points, atol=1e-4
    )
