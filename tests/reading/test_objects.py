"""Boxes, silhouettes and velocities, against spheres and boxes of known geometry."""

import numpy as np
import pytest

from dyso import geometry
from dyso.reading import (
    Dataset,
    amodal_boxes,
    box_corner_pixels,
    box_corners,
    boxes,
    silhouettes,
    surfaces,
    velocities,
    views_of,
    visible_fractions,
)
from dyso.reading.objects import spacings
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, Dynamics, Objects
from helpers.dataset_writer import write_dataset

HEIGHT, WIDTH, OBJECTS, CAMERAS, STEPS = 60, 80, 4, 4, 3


@pytest.fixture(scope="module")
def split(make_resolved, tmp_path_factory):
    """Four spheres of up to 1 m that hide one another."""
    resolved = make_resolved(
        splits={"train": 1},
        resolution=(HEIGHT, WIDTH),
        dynamics=Dynamics(steps=STEPS),
        cameras=Cameras(count=CAMERAS),
        objects=Objects(count=(OBJECTS, OBJECTS), size=1.0),
    )
    folder = tmp_path_factory.mktemp("dataset") / "data"
    return Dataset(write_dataset(folder, resolved, synthetic_views))["train"]


@pytest.fixture(scope="module")
def record(split):
    return split[0]


def posed(position, quaternion, size=(2.0, 4.0, 6.0)):
    """A record of one object and one camera at the origin, which looks along z."""
    steps = len(position)
    return {
        "objects/sizes": np.array([size], np.float32),
        "objects/positions": np.array([position], np.float32),
        "objects/quaternions": np.array([quaternion], np.float32),
        "intrinsics": np.array([[[10, 0, 4], [0, 10, 3], [0, 0, 1]]] * steps, float),
        "extrinsics": np.array([np.eye(3, 4)] * steps, np.float32),
    }


def test_corners_of_a_turned_box():
    # A quarter turn about z takes x to y, and y to -x.
    half = np.sqrt(0.5)
    found = box_corners(posed([[10, 20, 30]], [[half, 0, 0, half]]))
    assert found.shape == (1, 1, 8, 3)
    np.testing.assert_allclose(found[0, 0, 0], [12, 19, 27], atol=1e-5)  # - - -
    np.testing.assert_allclose(found[0, 0, 4], [12, 21, 27], atol=1e-5)  # + - -
    np.testing.assert_allclose(found[0, 0, 2], [8, 19, 27], atol=1e-5)  # - + -
    np.testing.assert_allclose(found[0, 0, 1], [12, 19, 33], atol=1e-5)  # - - +


def test_corners_are_seen_at_their_pixels(record):
    pixels, z = box_corner_pixels(record)
    assert pixels.shape == (OBJECTS, STEPS * CAMERAS, 8, 2)
    assert z.shape == (OBJECTS, STEPS * CAMERAS, 8)
    corners = box_corners(record)
    for number, view in np.ndindex(OBJECTS, STEPS * CAMERAS):
        matrix = record["intrinsics"][view] @ record["extrinsics"][view]
        world = corners[number, view // CAMERAS]
        image = np.concatenate([world, np.ones((8, 1))], 1) @ matrix.T
        expected = image[:, :2] / image[:, 2:]
        assert abs(pixels[number, view] - expected).max() < 0.01
        np.testing.assert_allclose(z[number, view], image[:, 2], rtol=1e-4)


def test_boxes_are_tight_around_the_visible_pixels():
    instance = np.zeros((2, 5, 7, 1), np.uint8)
    instance[0, 1:3, 2:6] = 1
    instance[0, 4, 0] = 2
    found = boxes({"instance": instance, "objects/sizes": np.ones((3, 3))})
    assert found.shape == (3, 2, 4)
    assert found[0, 0].tolist() == [2, 1, 6, 3]
    assert found[1, 0].tolist() == [0, 4, 1, 5]
    assert not found[2].any() and not found[:, 1].any()


def test_amodal_boxes_hold_the_boxes_and_the_hidden_spheres(record):
    found = amodal_boxes(record)
    pixels, z = box_corner_pixels(record)
    front = (z > 0.01).all(-1)
    assert front.mean() > 0.9
    np.testing.assert_allclose(found[..., :2][front], pixels.min(-2)[front])
    np.testing.assert_allclose(found[..., 2:][front], pixels.max(-2)[front])
    for number, view in np.ndindex(found.shape[:2]):
        rows, columns = np.nonzero(sphere(record, number, view))
        low, high = found[number, view, :2], found[number, view, 2:]
        if len(rows):
            assert (low <= [columns.min() + 0.5, rows.min() + 0.5]).all()
            assert (high >= [columns.max() + 0.5, rows.max() + 0.5]).all()


def test_an_amodal_box_is_cut_off_behind_the_camera():
    still = [[1, 0, 0, 0]] * 3
    record = posed([[0, 0, 9], [0, 0, 2], [0, 0, -9]], still)
    before, around, behind = amodal_boxes(record)[0]
    # The nearest face, of 2 x 4 m, is 6 m away.
    np.testing.assert_allclose(before, [4 - 10 / 6, 3 - 20 / 6, 4 + 10 / 6, 3 + 20 / 6])
    # From 1 m behind the camera on, the box fills all of the image.
    assert (around[:2] < -1000).all() and (around[2:] > 1000).all()
    assert np.isfinite(around).all() and not behind.any()


def test_velocities_of_a_spinning_object():
    t = np.arange(4)
    turned = [[np.cos(0.15 * s), 0, 0, -np.sin(0.15 * s)] for s in t]  # 0.3 rad a step
    moved = np.stack([t**2, 2.0 * t, 0 * t], -1)
    record = posed(moved, turned)
    linear, angular = velocities(record)
    np.testing.assert_allclose(linear[0, :, 0], [1, 2, 4, 5], atol=1e-6)
    np.testing.assert_allclose(linear[0, :, 1:], [[2, 0]] * 4, atol=1e-6)
    np.testing.assert_allclose(angular[0], [[0, 0, -0.3]] * 4, atol=1e-6)
    per_second = velocities(record, rate=12)
    np.testing.assert_allclose(per_second.linear, 12 * linear)
    np.testing.assert_allclose(per_second.angular, 12 * angular)


def test_a_scene_of_one_step_is_at_rest():
    found = velocities(posed([[1, 2, 3]], [[1, 0, 0, 0]]))
    assert found.linear.shape == found.angular.shape == (1, 1, 3)
    assert not found.linear.any() and not found.angular.any()


def sphere(record, number, view, margin=0):
    """Returns the pixels whose centres' rays hit a sphere, hidden or not."""
    views = views_of(record)
    size = HEIGHT + 2 * margin, WIDTH + 2 * margin
    origins, directions = geometry.rays(
        views.intrinsics[view],
        views.extrinsics[view],
        geometry.pixel_grid(*size, np) - margin,
    )
    to = views.poses[view, number + 1, :, 3] - origins
    along = (to * directions).sum(-1)
    missed = (to**2).sum(-1) - along**2
    return (along > 0) & (missed < (record["objects/sizes"][number, 0] / 2) ** 2)


def test_silhouettes_and_fractions_of_spheres(record):
    """Whole spheres are found, although others hide parts of them in most views."""
    masks = np.stack(list(silhouettes(record)), 1)
    assert masks.shape == (OBJECTS, STEPS * CAMERAS, HEIGHT, WIDTH)
    fractions = visible_fractions(record)
    common, either, errors, hidden = 0, 0, [], 0
    for number, view in np.ndindex(fractions.shape):
        seen = record["instance"][view, ..., 0] == number + 1
        assert masks[number, view][seen].all()
        true = sphere(record, number, view)
        common += (masks[number, view] & true).sum()
        either += (masks[number, view] | true).sum()
        whole = sphere(record, number, view, margin=WIDTH).sum()
        if whole > 100:
            errors.append(fractions[number, view] - seen.sum() / whole)
            hidden += seen.sum() < 0.9 * whole
    assert hidden > 5
    assert common / either > 0.94
    assert abs(np.mean(errors)) < 0.02 and np.max(np.abs(errors)) < 0.1


def test_parts_of_a_record_have_the_surfaces_of_the_whole(split, record):
    spacing = spacings(record)
    whole = surfaces(record)
    fields = ("depth", "instance", "intrinsics", "extrinsics", "objects/sizes")
    fields += ("objects/positions", "objects/quaternions")
    parts, expected = [], list(silhouettes(record, margin=7))
    for step in range(STEPS):
        views = range(step * CAMERAS, (step + 1) * CAMERAS)
        part = split.read(0, fields=fields, views=views)
        steps = [step] * CAMERAS
        parts.append(surfaces(part, steps, spacing))
        found = list(silhouettes(part, steps, whole, margin=7))
        np.testing.assert_array_equal(found, [expected[view] for view in views])
        np.testing.assert_array_equal(
            visible_fractions(part, steps, whole), visible_fractions(record)[:, views]
        )
    for number, points in enumerate(whole):
        together = np.concatenate([part[number] for part in parts])
        assert set(map(tuple, points)) <= set(map(tuple, together))
        # On the sphere, to the rounding of depth and to the chords between pixels.
        radius = record["objects/sizes"][number, 0] / 2
        off = np.linalg.norm(points, axis=-1) - radius
        assert abs(np.median(off)) < 0.01 * radius and abs(off).max() < 0.2 * radius
