"""The rasterizer against a compositor without tiles, differences and known images.

All tests render as many Gaussians into images of the same size: it is compiled once.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso import geometry
from dyso.fit.gaussians import rasterizer, tiles
from dyso.fit.gaussians.projection import FILTER_VARIANCE, Camera, project
from dyso.fit.gaussians.rasterizer import MOST_ALPHA, render
from dyso.fit.gaussians.tiles import LEAST_ALPHA

SIZE = (36, 52)
COUNT, CHANNELS = 250, 4
CAPACITY = 6000
POSITION = np.array([3.0, -2.0, 1.5])
FRONT = np.array([0.0, -4.0, 0.0])
PIXELS_A_METRE = 30.0 / 32.0 * SIZE[1] / 4  # at the origin, seen from FRONT


def camera(position=POSITION):
    pose = np.concatenate(
        [geometry.look_at(position, np.zeros(3)), position[:, None]], axis=1
    )
    lens = geometry.intrinsics(np.array(30.0), np.array(32.0), *SIZE)
    return Camera(
        jnp.asarray(lens, jnp.float32), jnp.asarray(geometry.invert(pose), jnp.float32)
    )


def cloud():
    """Gaussians in a cube of 2 m; the arguments of `render` before the camera."""
    rng = np.random.default_rng(0)
    arrays = (
        rng.uniform(-1, 1, (COUNT, 3)),
        rng.normal(size=(COUNT, 4)),
        np.exp(rng.normal(np.log(0.08), 0.6, (COUNT, 3))),
        rng.uniform(0.02, 1.0, COUNT),
        rng.uniform(0, 1, (COUNT, CHANNELS)),
    )
    return tuple(jnp.asarray(array, jnp.float32) for array in arrays)


def few(*gaussians):
    """Round Gaussians (mean, scale, opacity, value); the others have no opacity."""
    means, scales = np.zeros((COUNT, 3)), np.ones((COUNT, 3))
    opacities, values = np.zeros(COUNT), np.zeros((COUNT, CHANNELS))
    for i, (mean, scale, opacity, value) in enumerate(gaussians):
        means[i], scales[i], opacities[i], values[i, : len(value)] = (
            *(mean, scale, opacity, value),
        )
    upright = np.tile([1.0, 0, 0, 0], (COUNT, 1))
    arrays = (means, upright, scales, opacities, values)
    return tuple(jnp.asarray(array, jnp.float32) for array in arrays)


@jax.jit
def rendered(gaussians, seen_by):
    result = render(*gaussians, seen_by, size=SIZE, capacity=CAPACITY)
    return jnp.concatenate([result.image, result.opacity[..., None]], axis=-1)


@jax.jit
def composited(gaussians, seen_by):
    """The same image, all Gaussians at all pixels, in the order of their distance."""
    splats, values = project(*gaussians[:4], seen_by, SIZE), gaussians[4]
    x, y = jnp.meshgrid(jnp.arange(SIZE[1]) + 0.5, jnp.arange(SIZE[0]) + 0.5)

    def add(carry, splat):
        image, kept = carry
        center, (xx, xy, yy), opacity, value = splat
        dx, dy = x - center[0], y - center[1]
        power = (yy * dx**2 - 2 * xy * dx * dy + xx * dy**2) / (xx * yy - xy**2)
        alpha = jnp.minimum(opacity * jnp.exp(-power / 2), MOST_ALPHA)
        alpha = jnp.where(alpha < LEAST_ALPHA, 0.0, alpha)
        value = jnp.append(value, 1.0)
        return (image + (kept * alpha)[..., None] * value, kept * (1 - alpha)), None

    order = jnp.argsort(splats.distances)
    rows = (splats.centers, splats.covariances, splats.opacities, values)
    empty = jnp.zeros((*SIZE, CHANNELS + 1)), jnp.ones(SIZE)
    return jax.lax.scan(add, empty, tuple(row[order] for row in rows))[0][0]


@pytest.fixture(scope="module", autouse=True)
def small_batches():
    """Several of them in an image."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rasterizer, "BATCH", 32)
        yield


@pytest.fixture(scope="module")
def weights():
    """A different weight for each value of the image."""
    shape = (*SIZE, CHANNELS + 1)
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def gradient_of(image_of, weights):
    return jax.jit(jax.grad(lambda g, c: (image_of(g, c) * weights).sum()))


@pytest.fixture(scope="module")
def gradient(weights):
    return gradient_of(rendered, weights)


def test_image_is_that_of_compositing_everything_everywhere():
    gaussians, seen_by = cloud(), camera()
    found = rendered(gaussians, seen_by)
    splats = project(*gaussians[:4], seen_by, SIZE)
    layout = tiles.assign(splats, SIZE, CAPACITY)
    # Several chunks in a tile, several batches, and tiles that the image ends in.
    assert int(jnp.diff(layout.first).max()) > 2
    assert int(layout.first[-1]) > rasterizer.BATCH
    assert SIZE[0] % tiles.TILE
    assert int(layout.dropped) == 0
    assert np.allclose(found, composited(gaussians, seen_by), atol=2e-6)


def test_gradients_are_those_of_compositing_everything_everywhere(gradient, weights):
    found = gradient(cloud(), camera())
    expected = gradient_of(composited, weights)(cloud(), camera())
    for mine, other in zip(found, expected, strict=True):
        most = float(jnp.abs(other).max())
        assert most > 1
        assert np.allclose(mine, other, rtol=1e-4, atol=1e-5 * most)


def test_gradients_are_finite_differences(weights):
    """In double precision, with steps so small that no edge passes a pixel."""
    with jax.experimental.enable_x64():
        gaussians = [jnp.asarray(array, jnp.float64) for array in cloud()]
        seen_by = Camera(*(jnp.asarray(array, jnp.float64) for array in camera()))
        loss = jax.jit(
            jax.value_and_grad(lambda g: (rendered(g, seen_by) * weights).sum())
        )
        slopes = loss(gaussians)[1]
        rng = np.random.default_rng(2)
        for i, array in enumerate(gaussians):
            direction = rng.normal(size=array.shape)
            ahead, behind = (
                loss([*gaussians[:i], array + h * direction, *gaussians[i + 1 :]])[0]
                for h in (1e-7, -1e-7)
            )
            expected = float((slopes[i] * direction).sum())
            assert abs(expected) > 0.1
            assert float(ahead - behind) / 2e-7 == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.5])
def test_sum_of_a_gaussian_does_not_depend_on_where_it_is_in_a_pixel(shift):
    """Its integral is opacity * 2 pi * variance, that of before the pixel filter."""
    scale, opacity = 0.02, 0.9
    point = (shift / PIXELS_A_METRE, 0, 0)
    found = rendered(few((point, scale, opacity, [1.0])), camera(FRONT))
    deviation = scale * PIXELS_A_METRE
    assert deviation < 0.25  # far smaller than a pixel
    expected = opacity * 2 * np.pi * deviation**2
    # What is below LEAST_ALPHA is cut off.
    assert float(found[..., 0].sum()) == pytest.approx(expected, rel=0.05)


def test_values_of_a_large_gaussian():
    found = rendered(few(((0, 0, 0), 0.3, 0.5, [0.25])), camera(FRONT))[..., 0]
    variance = (0.3 * PIXELS_A_METRE) ** 2
    filtered = variance + FILTER_VARIANCE
    row, column = SIZE[0] // 2, SIZE[1] // 2  # of the pixel right below the middle
    for right in (0, 3, 6):
        square = (right + 0.5) ** 2 + 0.5**2
        alpha = 0.5 * variance / filtered * np.exp(-square / 2 / filtered)
        value = float(found[row, column + right])
        assert value == pytest.approx(0.25 * alpha, rel=1e-4)


def test_nearer_gaussian_hides_the_farther_in_any_order():
    near = ((0, -1.0, 0), 0.3, 0.98, [1.0, 0.0])
    far = ((0, 1.0, 0), 0.3, 0.98, [0.0, 1.0])
    images = [
        rendered(few(*pair), camera(FRONT)) for pair in ((near, far), (far, near))
    ]
    assert np.allclose(*images, atol=1e-6)
    red, blue = images[0][SIZE[0] // 2, SIZE[1] // 2, :2]
    alone = rendered(few(far), camera(FRONT))[SIZE[0] // 2, SIZE[1] // 2, 1]
    assert red > 0.9
    assert float(blue) == pytest.approx(float(alone) * (1 - float(red)), rel=1e-3)


def test_center_is_where_the_projects_cameras_project_it():
    seen_by = camera()
    x, y = np.meshgrid(np.arange(SIZE[1]) + 0.5, np.arange(SIZE[0]) + 0.5)
    for point in np.random.default_rng(3).uniform(-0.6, 0.6, (6, 3)):
        found = rendered(few((point, 0.1, 0.9, [1.0])), seen_by)[..., 0]
        mean = np.array([(found * x).sum(), (found * y).sum()]) / found.sum()
        pixel, _, _ = geometry.project(
            point, np.asarray(seen_by.intrinsics), np.asarray(seen_by.extrinsics)
        )
        assert np.allclose(mean, pixel, atol=0.01)


def test_gaussians_behind_the_camera_or_without_opacity_are_not_drawn(gradient):
    for gaussians in (few((2 * POSITION, 0.5, 0.9, [1.0])), few()):
        assert float(jnp.abs(rendered(gaussians, camera())).max()) == 0
        slopes = gradient(gaussians, camera())
        assert all(bool(jnp.isfinite(each).all()) for each in slopes)


def test_what_does_not_fit_is_counted_and_is_the_farthest():
    splats = project(*cloud()[:4], camera(), SIZE)
    whole = tiles.assign(splats, SIZE, CAPACITY)
    entries = int((whole.gaussians < COUNT).sum())
    assert entries == int(tiles.count_entries(splats, SIZE))
    layout = tiles.assign(splats, SIZE, 200)
    assert int(layout.dropped) == entries - 200
    kept = np.unique(layout.gaussians)[:-1]
    others = np.setdiff1d(np.unique(whole.gaussians)[:-1], kept)
    assert splats.distances[kept].max() <= splats.distances[others].min()


def test_number_of_chunks_is_in_proportion_to_the_entries():
    splats = project(*cloud()[:4], camera(), SIZE)
    layout = tiles.assign(splats, SIZE, CAPACITY)
    present = np.asarray(layout.gaussians) < COUNT
    used = int(layout.first[-1])
    assert present.any(1).sum() == used
    # Each tile's last chunk may have room left, and no other chunk.
    assert (present.sum(1) == tiles.CHUNK).sum() >= used - len(layout.first) + 1
    assert used < len(layout.tiles)
