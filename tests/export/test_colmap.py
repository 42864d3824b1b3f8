"""COLMAP's models, read by pycolmap."""

import numpy as np
import pycolmap
import pytest
from made import write_dataset
from PIL import Image
from scenes import files, known_points, written

from dyso.export import colmap
from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, Dynamics, Objects, UserError

STEPS, CAMERAS = 2, 4


@pytest.fixture(scope="module")
def split(make_resolved, tmp_path_factory):
    resolved = make_resolved(
        splits={"train": 1},
        resolution=(24, 32),
        objects=Objects(count=(2, 2)),
        dynamics=Dynamics(steps=STEPS),
        cameras=Cameras(count=CAMERAS, held_out=1),
    )
    folder = tmp_path_factory.mktemp("dataset") / "data"
    return Dataset(write_dataset(folder, resolved, synthetic_views))["train"]


@pytest.fixture(scope="module")
def folder(split, tmp_path_factory):
    return written("colmap", split, tmp_path_factory.mktemp("out") / "scene")


def model_of(folder, step):
    return pycolmap.Reconstruction(folder / f"step_{step:03}" / "sparse" / "0")


def test_known_points_land_on_their_pixels(split, folder):
    record = split[0]
    for step in range(STEPS):
        model = model_of(folder, step)
        assert model.num_reg_images() == CAMERAS
        for camera in range(CAMERAS):
            image = model.find_image_with_name(f"cam_{camera:03}.png")
            assert image.camera.model == pycolmap.CameraModelId.PINHOLE
            assert (image.camera.width, image.camera.height) == (32, 24)
            points, pixels = known_points(record, step * CAMERAS + camera)
            for point, pixel in zip(points, pixels, strict=True):
                assert abs(image.project_point(point) - pixel).max() < 0.01


def test_images_are_those_of_the_step(split, folder):
    record = split[0]
    for step in range(STEPS):
        for image in model_of(folder, step).images.values():
            view = step * CAMERAS + int(image.name[4:7])
            path = folder / f"step_{step:03}" / "images" / image.name
            color = np.asarray(Image.open(path))
            np.testing.assert_array_equal(color, record["color"][view])


def test_points_are_on_the_surface_and_in_every_image_of_their_track(split, folder):
    record = split[0]
    for step in range(STEPS):
        model = model_of(folder, step)
        assert model.num_points3D() > 500
        lengths = []
        near = []
        for point in model.points3D.values():
            lengths.append(point.track.length())
            for element in point.track.elements:
                image = model.images[element.image_id]
                pixel = image.points2D[element.point2D_idx]
                assert pixel.has_point3D()
                assert abs(image.project_point(point.xyz) - pixel.xy).max() < 0.01
            centres = record["objects/positions"][:, step]
            radii = record["objects/sizes"][:, 0] / 2
            off = abs(np.linalg.norm(point.xyz - centres, axis=-1) - radii).min()
            dome = abs(np.linalg.norm(point.xyz) - 25)
            near.append(min(off, abs(point.xyz[2]), dome))
        assert min(lengths) == 2 and max(lengths) == CAMERAS
        assert len(set(map(tuple, (p.color for p in model.points3D.values())))) > 100
        assert max(near) < 5e-3
        for image in model.images.values():
            assert image.num_points3D == image.num_points2D() > 100


def test_colours_are_of_the_pixels(split, folder):
    record, model = split[0], model_of(folder, 1)
    for point in model.points3D.values():
        near = []
        for element in point.track.elements:
            image = model.images[element.image_id]
            x, y = image.points2D[element.point2D_idx].xy
            view = CAMERAS + int(image.name[4:7])
            near.append(record["color"][view, int(y), int(x)])
        # One of the images is where the point was taken.
        assert any((color == point.color).all() for color in near)


def test_held_out_cameras_are_named(folder):
    names = (folder / "step_001" / "sparse" / "0" / "test.txt").read_text()
    assert names.split() == ["cam_003.png"]


def test_it_is_the_same_again(split, folder, tmp_path):
    assert files(written("colmap", split, tmp_path / "again")) == files(folder)


def test_one_camera_is_refused(videos):
    with pytest.raises(UserError, match=r"cameras\.paired is true"):
        colmap.check(videos.spec)
