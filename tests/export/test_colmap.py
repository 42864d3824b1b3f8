"""COLMAP's models, read by pycolmap."""

import numpy as np
import pycolmap
import pytest
from PIL import Image

from dyso.export import colmap
from dyso.spec import Cameras, Dynamics, UserError
from helpers.exported_scenes import files, known_points, written

STEPS, CAMERAS = 2, 4


@pytest.fixture(scope="module")
def split(make_split):
    return make_split(
        dynamics=Dynamics(steps=STEPS),
        cameras=Cameras(count=CAMERAS, held_out=1),
    )


@pytest.fixture(scope="module")
def folder(split, tmp_path_factory):
    return written("colmap", split, tmp_path_factory.mktemp("out") / "scene")


@pytest.fixture(scope="module")
def video_folder(video, tmp_path_factory):
    return written("colmap", video, tmp_path_factory.mktemp("out") / "scene")


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


def test_errors_are_pixels(folder, video_folder):
    # By the reader's own count; -1 would be "unknown".
    for path in (folder / "step_001", video_folder):
        model = pycolmap.Reconstruction(path / "sparse" / "0")
        errors = np.array([point.error for point in model.points3D.values()])
        assert (errors >= 0).all() and errors.max() < 0.01
        again = model.compute_mean_reprojection_error()
        assert errors.mean() == pytest.approx(again, abs=1e-3)


def test_a_video_is_one_model_of_what_is_static(video, video_folder):
    record = video[0]
    model = pycolmap.Reconstruction(video_folder / "sparse" / "0")
    names = sorted(image.name for image in model.images.values())
    assert names == [f"step_{frame:03}.png" for frame in range(7)]
    assert sorted(p.name for p in (video_folder / "images").iterdir()) == names
    for frame, name in enumerate(names):
        color = np.asarray(Image.open(video_folder / "images" / name))
        np.testing.assert_array_equal(color, record["color"][frame])
        image = model.find_image_with_name(name)
        points, pixels = known_points(record, frame)
        for point, pixel in zip(points, pixels, strict=True):
            assert abs(image.project_point(point) - pixel).max() < 0.01
    assert (record["instance"] > 0).any()
    assert model.num_points3D() > 500
    for point in model.points3D.values():
        # The sphere moves; the floor and the dome stay.
        dome = abs(np.linalg.norm(point.xyz) - 25)
        assert min(abs(point.xyz[2]), dome) < 5e-3
        for element in point.track.elements:
            x, y = model.images[element.image_id].points2D[element.point2D_idx].xy
            frame = int(model.images[element.image_id].name[5:8])
            assert record["instance"][frame, int(y), int(x), 0] == 0


def test_it_is_the_same_again(split, folder, tmp_path):
    assert files(written("colmap", split, tmp_path / "again")) == files(folder)


def test_one_place_is_refused(make_resolved):
    with pytest.raises(UserError, match=r"needs parallax.*cameras\.count is 1"):
        colmap.check(make_resolved(cameras=Cameras(count=1)).spec)
