import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

from dyso.geometry import (
    azimuth_elevation,
    intrinsics,
    invert,
    look_at,
    pixel_grid,
    pose_matrix,
    project,
    rays,
    transform,
    unproject,
)

seeds = st.integers(0, 2**32 - 1)
HEIGHT, WIDTH = 6, 8


def random_cameras(seed: int, count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Intrinsics and extrinsics of cameras with any pose and focal length."""
    rng = np.random.default_rng(seed)
    poses = pose_matrix(rng.normal(size=(count, 3)) * 5, rng.normal(size=(count, 4)))
    focal = rng.uniform(0.01, 0.1, count)
    return intrinsics(focal, 0.032, HEIGHT, WIDTH), invert(poses)


def test_known_camera_sees_known_pixels():
    # 4 m from the origin along -y, looking along +y: right is +x, down is -z.
    position = np.array([0.0, -4.0, 0.0])
    rotation = look_at(position, np.zeros(3))
    np.testing.assert_allclose(rotation, [[1, 0, 0], [0, 0, 1], [0, -1, 0]], atol=1e-15)
    extrinsics = invert(np.concatenate([rotation, position[:, None]], axis=1))
    k = intrinsics(0.05, 0.025, HEIGHT, WIDTH)
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 0, 0.5], [0, 3, 0], [0, -8, 0]])
    pixels, depth, z = project(points, k, extrinsics)
    # 16 pixels of focal length over 4 m make 4 pixels a metre.
    np.testing.assert_allclose(pixels[:4], [[4, 3], [8, 3], [4, 1], [4, 3]], atol=1e-12)
    np.testing.assert_allclose(depth, [4, np.sqrt(17), np.sqrt(16.25), 7, 4])
    np.testing.assert_allclose(z, [4, 4, 4, 7, -4])


def test_the_horizontal_axis_of_look_at_is_horizontal():
    rng = np.random.default_rng(0)
    position, target = rng.normal(size=(2, 50, 3))
    rotation = look_at(position, target)
    np.testing.assert_allclose(rotation[:, 2, 0], 0, atol=1e-15)
    assert (rotation[:, 2, 1] < 0).all()
    np.testing.assert_allclose(np.linalg.det(rotation), 1)


def test_pixel_centres_are_at_half_integers():
    grid = pixel_grid(HEIGHT, WIDTH, np)
    assert grid.shape == (HEIGHT, WIDTH, 2)
    np.testing.assert_array_equal(grid[0, 0], [0.5, 0.5])
    np.testing.assert_array_equal(grid[2, 5], [5.5, 2.5])
    np.testing.assert_array_equal(grid[-1, -1], [WIDTH - 0.5, HEIGHT - 0.5])


@given(seeds)
def test_inverse_undoes_a_transform(seed):
    rng = np.random.default_rng(seed)
    matrix = pose_matrix(rng.normal(size=(5, 3)), rng.normal(size=(5, 4)))
    points = rng.normal(size=(5, 3))
    np.testing.assert_allclose(
        transform(invert(matrix), transform(matrix, points)), points, atol=1e-12
    )
    np.testing.assert_allclose(invert(invert(matrix)), matrix, atol=1e-12)


@given(seeds)
def test_unprojected_pixels_project_onto_themselves(seed):
    k, extrinsics = random_cameras(seed)
    depth = np.random.default_rng(seed).uniform(0.5, 20, (len(k), HEIGHT, WIDTH))
    points = unproject(depth, k, extrinsics)
    pixels, back, z = project(points, k[:, None, None], extrinsics[:, None, None])
    grid = np.broadcast_to(pixel_grid(HEIGHT, WIDTH, np), pixels.shape)
    np.testing.assert_allclose(pixels, grid, atol=1e-9)
    np.testing.assert_allclose(back, depth)
    assert (z > 0).all()


@given(seeds)
def test_rays_are_of_unit_length_and_start_at_the_camera(seed):
    k, extrinsics = random_cameras(seed)
    pixels = np.random.default_rng(seed).uniform(0, HEIGHT, (len(k), 2))
    origins, directions = rays(k, extrinsics, pixels)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1)
    np.testing.assert_allclose(transform(extrinsics, origins), 0, atol=1e-12)
    seen, _, _ = project(origins + 3 * directions, k, extrinsics)
    np.testing.assert_allclose(seen, pixels, atol=1e-9)


def test_azimuth_and_elevation_give_the_direction_back():
    directions = np.random.default_rng(0).normal(size=(4, 50, 3))
    azimuth, elevation = azimuth_elevation(directions)
    flat = np.cos(elevation)
    units = [flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)]
    lengths = np.linalg.norm(directions, axis=-1, keepdims=True)
    np.testing.assert_allclose(
        np.stack(units, axis=-1), directions / lengths, atol=1e-14
    )


def test_angles_do_not_depend_on_where_arrays_lie_in_memory():
    # Too large for the heap, so that all that the heap gives lies between the two.
    far, near = np.zeros(2**23), np.zeros(3)
    apart = as_strided(far, (2, 3), (near.ctypes.data - far.ctypes.data, 8))
    for directions in np.random.default_rng(0).normal(size=(100, 2, 3)):
        apart[:] = directions
        for angles, expected in zip(
            azimuth_elevation(apart), azimuth_elevation(directions), strict=True
        ):
            np.testing.assert_array_equal(angles, expected)
