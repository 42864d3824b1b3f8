"""Flow and tracks against projected mesh vertices, rays, themselves, and jax."""

import dataclasses
import tarfile
from pathlib import Path

import jax
import numpy as np
import pytest
import trimesh

from dyso import geometry, records
from dyso.reading import flow, tracks, view_of, views_of
from dyso.records.synthetic import synthetic_views
from dyso.sampling import sample_scene
from dyso.spec import Backgrounds, Objects

HEIGHT, WIDTH = 60, 80


def record_of(resolved, index=0):
    scene = sample_scene(resolved, "train", index)
    return records.decode(records.encode(scene, synthetic_views(scene)))


@pytest.fixture(scope="module")
def record(make_resolved):
    return record_of(
        make_resolved(resolution=(HEIGHT, WIDTH), objects=Objects(count=(2, 2))), 5
    )


def pixel_centres():
    return geometry.pixel_grid(HEIGHT, WIDTH, np)


class Meshes:
    """Two starter meshes on a floor, at two steps, before two cameras."""

    def __init__(self, starter):
        rng = np.random.default_rng(3)
        folder = Path(starter.objects.manifest).parent
        self.shapes = [self._floor()]
        for asset in ("duck", "teddy"):
            self.shapes.append(self._load(folder, asset))
        quaternions = rng.normal(size=(2, 2, 4))
        places = np.array([[[0.0, 0.4], [0.3, -0.1]], [[-0.6, -0.8], [-0.9, 0.6]]])
        positions = np.concatenate([places, np.full((2, 2, 1), 0.6)], -1)
        self.poses = geometry.instance_poses(positions, quaternions)
        eyes = np.array([[4.0, 1.0, 1.8], [3.2, -1.5, 1.2]])
        turned = geometry.look_at(eyes, np.array([[0.0, 0.2, 0.5], [0.1, 0, 0.4]]))
        self.to_world = np.concatenate([turned, eyes[..., None]], -1)
        self.intrinsics = geometry.intrinsics(
            np.array(35.0), np.array(32.0), HEIGHT, WIDTH
        )

    @staticmethod
    def _floor():
        corners = [[-9, -9, 0], [9, -9, 0], [9, 9, 0], [-9, 9, 0]]
        return trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], process=False)

    @staticmethod
    def _load(folder, asset):
        with tarfile.open(folder / f"{asset}.tar.gz") as tar:
            file = tar.extractfile("visual_geometry.obj")
            mesh = trimesh.load(file, file_type="obj", force="mesh", process=False)
        low, high = mesh.bounds
        mesh.vertices = (mesh.vertices - (low + high) / 2) / (high - low).max() * 1.5
        return trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)

    def vertices(self, step):
        """World vertices of all shapes, one after the other."""
        return np.concatenate(
            [
                shape.vertices @ pose[:, :3].T + pose[:, 3]
                for shape, pose in zip(self.shapes, self.poses[:, step], strict=True)
            ]
        )

    def at(self, step):
        offsets = np.cumsum([0, *(len(shape.vertices) for shape in self.shapes)])
        faces = [
            shape.faces + offset
            for shape, offset in zip(self.shapes, offsets, strict=False)
        ]
        return trimesh.Trimesh(
            self.vertices(step), np.concatenate(faces), process=False
        )

    def view(self, step, camera):
        """A view by rays; and the face and barycentric coordinates of every pixel."""
        mesh = self.at(step)
        x, y = pixel_centres().reshape(-1, 2).T
        focal = self.intrinsics[0, 0]
        local = np.stack(
            [(x - WIDTH / 2) / focal, (y - HEIGHT / 2) / focal, np.ones_like(x)], -1
        )
        pose = self.to_world[camera]
        directions = local @ pose[:, :3].T
        origins = np.broadcast_to(pose[:, 3], directions.shape)
        where, ray, face = mesh.ray.intersects_location(
            origins, directions, multiple_hits=False
        )
        depth = np.full(HEIGHT * WIDTH, np.inf)
        depth[ray] = np.linalg.norm(where - pose[:, 3], axis=-1)
        faces = np.zeros(HEIGHT * WIDTH, int)
        faces[ray] = face
        weights = np.zeros((HEIGHT * WIDTH, 3))
        weights[ray] = trimesh.triangles.points_to_barycentric(
            mesh.triangles[face], where
        )
        owner = np.repeat(range(3), [len(shape.faces) for shape in self.shapes])
        instance = np.zeros(HEIGHT * WIDTH, np.uint8)
        instance[ray] = owner[face]
        view = geometry.View(
            depth=depth.reshape(HEIGHT, WIDTH),
            instance=instance.reshape(HEIGHT, WIDTH),
            intrinsics=self.intrinsics,
            extrinsics=geometry.invert(pose),
            poses=self.poses[:, step],
        )
        return view, faces, weights


@pytest.fixture(scope="module")
def meshes(starter):
    return Meshes(starter)


@pytest.mark.parametrize(("step", "camera"), [(0, 1), (1, 0), (1, 1)])
def test_flow_goes_where_the_vertices_of_the_meshes_go(meshes, step, camera):
    source, faces, weights = meshes.view(0, 0)
    target, _, _ = meshes.view(step, camera)
    assert np.bincount(source.instance.ravel()).min() > 150
    found = geometry.flow(source, target)
    hit = np.isfinite(source.depth).ravel()

    corners = meshes.vertices(step)[meshes.at(step).faces[faces]]
    moved = (corners * weights[..., None]).sum(1)
    before = meshes.vertices(0)[meshes.at(0).faces[faces]]
    still = (before * weights[..., None]).sum(1)
    np.testing.assert_allclose(
        found.scene.reshape(-1, 3)[hit], (moved - still)[hit], atol=1e-5
    )
    pose = meshes.to_world[camera]
    local = (moved - pose[:, 3]) @ pose[:, :3]
    focal = meshes.intrinsics[0, 0]
    pixels = local[:, :2] / local[:, 2:] * focal + [WIDTH / 2, HEIGHT / 2]
    in_front = hit & (local[:, 2] > 0.1)
    there = (pixel_centres() + found.optical).reshape(-1, 2)
    np.testing.assert_allclose(there[in_front], pixels[in_front], atol=1e-3)

    # The truth about occlusion: a ray from the camera to the point is not stopped.
    mesh = meshes.at(step)
    directions = moved - pose[:, 3]
    where, ray, _ = mesh.ray.intersects_location(
        np.broadcast_to(pose[:, 3], directions.shape), directions, multiple_hits=False
    )
    reached = np.full(len(moved), np.inf)
    reached[ray] = np.linalg.norm(where - pose[:, 3], axis=-1)
    free = reached > np.linalg.norm(directions, axis=-1) * (1 - 1e-4)
    inside = found.in_frame.ravel() & hit
    agree = free == found.visible.ravel()
    assert (inside & ~free).sum() > 100
    assert agree[inside].mean() > 0.96, agree[inside].mean()
    assert {0, 1} <= set(source.instance[found.visible])


def interpolated(image, pixels):
    """Bilinear values [P, C] of an image [H, W, C] at (x, y) [P, 2]."""
    x, y = (pixels - 0.5).T
    column, row = np.floor([x, y]).astype(int)
    right, down = (x - column)[:, None], (y - row)[:, None]
    above = image[row, column] * (1 - right) + image[row, column + 1] * right
    below = image[row + 1, column] * (1 - right) + image[row + 1, column + 1] * right
    return above * (1 - down) + below * down


@pytest.mark.parametrize(("source", "target"), [(0, 1), (3, 23), (12, 2), (24, 0)])
def test_forth_and_back_is_where_it_began(record, source, target):
    forth, back = flow(record, source, target), flow(record, target, source)
    there = pixel_centres() + forth.optical
    margin = ((there > 1) & (there < np.array([WIDTH, HEIGHT]) - 1)).all(-1)
    chosen = forth.visible & margin
    # Between four pixels of one surface, which the way back sees too.
    instance = record["instance"][target]
    corners = (
        np.concatenate([instance[..., :1] == i for i in (0, 1, 2)], -1)
        & back.visible[..., None]
    )
    surface = interpolated(corners.astype(float), there[chosen])
    own = record["instance"][source][chosen][:, 0]
    whole = surface[np.arange(len(own)), own] == 1
    assert whole.sum() > 800
    returned = forth.optical[chosen] + interpolated(back.optical, there[chosen])
    error = np.linalg.norm(returned, axis=-1)
    # What interpolation leaves: of a plane nearly nothing, of a ball that turns more.
    assert np.quantile(error[whole & (own == 0)], 0.9) < 0.005
    curved = error[whole & (own > 0)]
    assert len(curved) > 400
    assert np.median(curved) < 0.1
    if source // 5 == target // 5:
        assert np.quantile(curved, 0.99) < 0.02
    scene = forth.scene[chosen] + interpolated(back.scene, there[chosen])
    assert np.median(abs(scene[whole & (own > 0)])) < 0.005


def test_a_view_is_at_rest_in_itself(record):
    found = flow(record, 7, 7)
    # Poses are stored as float32.
    assert abs(found.optical).max() < 1e-4
    assert abs(found.scene).max() < 1e-6
    assert found.in_frame.all() and found.visible.all()


def test_the_background_moves_with_the_camera_alone_and_objects_by_themselves(record):
    background = record["instance"][0, ..., 0] == 0
    other_step, other_camera = flow(record, 0, 5), flow(record, 0, 1)
    assert abs(other_step.optical[background]).max() < 1e-4
    assert abs(other_step.scene[background]).max() < 1e-9
    assert np.linalg.norm(other_step.scene[~background], axis=-1).min() > 1e-3
    assert abs(other_camera.scene).max() < 1e-6
    assert np.linalg.norm(other_camera.optical, axis=-1).mean() > 1


def test_points_that_an_object_comes_to_cover_are_hidden(record):
    # Step 0 and 1 of one camera: the background's pixels stay, objects cover some.
    found = flow(record, 0, 5)
    before, after = record["instance"][[0, 5], ..., 0]
    covered = (before == 0) & (after != 0)
    assert covered.sum() > 20
    assert not found.visible[covered].any()
    assert found.in_frame[covered].all()
    assert found.visible[(before == 0) & (after == 0)].all()


@pytest.mark.parametrize(
    ("distance", "shows", "expected"),
    [
        (2.0, 9, "seen"),
        (2.1, 9, "wrong"),  # all that is around is farther
        (1.9, 3, "unresolved"),  # a thin part whose depth changes along it
        (2.1, 0, "wrong"),
        (3.5, 3, "hidden"),
    ],
)
def test_what_a_view_shows_of_a_point(distance, shows, expected):
    """A view of 3 x 3 pixels, so many of which show the point's instance at 2 m."""
    instance = np.zeros((1, 3, 3), int)
    instance.flat[:shows] = 1
    depth = np.where(instance == 1, 2.0, 3.0)
    if expected == "wrong" and shows == 9:
        depth += np.linspace(0.2, 0.3, 9).reshape(3, 3)
    found = geometry.visibility_of(
        depth, instance, np.array(0), np.array([1.5, 1.5]), np.array(distance), 1
    )
    names = ["seen", "hidden", "unresolved"]
    assert [name for name, is_so in zip(names, found, strict=True) if is_so] == (
        [] if expected == "wrong" else [expected]
    )


def test_the_infinite_moves_as_a_direction(make_resolved):
    record = record_of(
        make_resolved(
            resolution=(HEIGHT, WIDTH), backgrounds=Backgrounds(backdrop="environment")
        )
    )
    sky = ~np.isfinite(record["depth"][0, ..., 0])
    assert sky.sum() > 500
    found = flow(record, 0, 3)
    k, [a, b] = record["intrinsics"][0], record["extrinsics"][[0, 3]]
    pixels = np.concatenate([pixel_centres()[sky], np.ones((sky.sum(), 1))], -1)
    expected = pixels @ (k @ b[:, :3] @ a[:, :3].T @ np.linalg.inv(k)).T
    expected = expected[:, :2] / expected[:, 2:]
    there = pixel_centres() + found.optical
    np.testing.assert_allclose(there[sky], expected, atol=1e-3)
    assert abs(found.scene[sky]).max() == 0
    # It is seen where the other view shows the sky, and hidden by the object.
    inside = sky & found.in_frame
    column, row = np.floor(there[inside]).astype(int).T
    shows = record["instance"][3, row, column, 0]
    np.testing.assert_array_equal(found.visible[inside], shows == 0)


def test_points_behind_the_camera_are_not_in_frame_and_finite(record):
    views = views_of(record)
    ahead = view_of(views, 0)
    half_turn = np.diag([-1.0, 1.0, -1.0])
    behind = ahead._replace(extrinsics=half_turn @ ahead.extrinsics)
    found = geometry.flow(ahead, behind)
    assert not found.in_frame.any() and not found.visible.any()
    assert (found.optical == 0).all()
    assert all(np.isfinite(array).all() for array in found)


def test_tracks_are_flow_at_every_view(record):
    rows, columns = np.mgrid[3:HEIGHT:7, 2:WIDTH:7].reshape(2, -1)
    found = tracks(record, 8, rows, columns)
    assert found.points.shape == (25, len(rows), 3)
    assert found.visible[8].all()
    centres = np.stack([columns, rows], -1) + 0.5
    np.testing.assert_allclose(found.pixels[8], centres, atol=1e-4)
    for target in (0, 9, 21):
        own = flow(record, 8, target)
        np.testing.assert_array_equal(found.visible[target], own.visible[rows, columns])
        np.testing.assert_allclose(
            found.points[target] - found.points[8], own.scene[rows, columns], atol=1e-9
        )
        seen = found.visible[target]
        np.testing.assert_allclose(
            (found.pixels[target] - centres)[seen],
            own.optical[rows, columns][seen],
            atol=1e-9,
        )


def test_some_views_of_a_record_serve_as_all_do(record):
    chosen = [3, 17]
    part = {
        name: value[chosen] if len(value) == 25 else value
        for name, value in record.items()
        if name in ("depth", "instance", "intrinsics", "extrinsics")
        or (name.startswith("objects/") and "/p" not in name.replace("/positions", ""))
    }
    views = views_of(part, steps=[0, 3])
    own = geometry.flow(view_of(views, 0), view_of(views, 1))
    for a, b in zip(own, flow(record, 3, 17), strict=True):
        np.testing.assert_array_equal(a, b)


def test_videos_flow_from_frame_to_frame(videos):
    spec = dataclasses.replace(videos.spec, resolution=(HEIGHT, WIDTH))
    record = record_of(dataclasses.replace(videos, spec=spec))
    found = flow(record, 2, 3)
    assert found.visible.mean() > 0.9
    assert np.linalg.norm(
        found.scene[record["instance"][2, ..., 0] == 1], axis=-1
    ).any()


def test_numpy_and_jax_agree(record):
    views = views_of(record)
    source, target = view_of(views, 3), view_of(views, 14)
    rows, columns = np.mgrid[3:HEIGHT:9, 2:WIDTH:9].reshape(2, -1)

    def single(view):
        floats = jax.tree.map(lambda array: np.asarray(array, np.float32), view)
        return floats._replace(instance=view.instance)

    moved = jax.jit(geometry.flow)(single(source), single(target))
    followed = jax.jit(geometry.tracks)(single(source), rows, columns, single(views))
    here = [
        *geometry.flow(source, target),
        *geometry.tracks(source, rows, columns, views),
    ]
    for ours, theirs in zip(here, [*moved, *followed], strict=True):
        assert isinstance(theirs, jax.Array)
        if ours.dtype == bool:
            assert (ours == theirs).mean() > 0.999
        else:
            np.testing.assert_allclose(ours, theirs, atol=5e-3, rtol=1e-4)
