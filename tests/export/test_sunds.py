"""Exports as sunds, read by the sunds package like the official release."""

import dataclasses

import numpy as np
import pytest

from dyso import geometry
from dyso.export import Export, sunds
from dyso.export.sunds import frame_features
from dyso.reading import Dataset
from dyso.spec import Dynamics, Objects, UserError

# tfds, TensorFlow and sunds warn of their own parts.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
]

NAME = "kubric/msn_ms_v4.3a"


@pytest.fixture(scope="module")
def package():
    return pytest.importorskip("sunds")


@pytest.fixture
def builder(package, exported):
    return package.builder(NAME, data_dir=exported("sunds"))


def official(package, views, size, **images):
    """Returns the features of the official release, built with sunds."""
    camera = package.specs.camera_spec(img_shape=size, **images)
    names = [f"camera_{view}" for view in range(views)]
    frame = package.specs.frame_spec(cameras=dict.fromkeys(names, camera))
    del frame["timestamp"]
    return frame


def test_the_features_are_the_official_ones(package, builder):
    import tensorflow_datasets as tfds

    images = dict.fromkeys(("color_image", "instance_image", "depth_image"), True)
    frame = official(package, 6, (24, 32), category_image=55, **images)
    assert repr(builder.frame_builder.info.features) == repr(
        tfds.features.FeaturesDict(frame)
    )
    scene = package.specs.scene_spec(frames=official(package, 6, (24, 32)))
    assert repr(builder.scene_builder.info.features) == repr(
        tfds.features.FeaturesDict(scene)
    )


def test_stacked_rays_and_depth_meet_the_scene(package, builder, dataset):
    task = package.tasks.Nerf(
        yield_mode="stacked",
        additional_camera_specs={"depth_image", "instance_image", "category_image"},
    )
    examples = list(builder.as_dataset(split="train", task=task).as_numpy_iterator())
    assert len(examples) == 5
    for example, record in zip(examples, dataset["train"], strict=True):
        assert int(example["scene_name"][6:]) == record["index"]
        views = [int(name[7:]) for name in example["camera_name"]]
        assert sorted(views) == list(range(6))
        for name in ("color", "depth", "category"):
            assert np.array_equal(example[f"{name}_image"], record[name][views])
        # The official release's readers take 1 for the background.
        assert np.array_equal(example["instance_image"], record["instance"][views] + 1)
        points = (
            example["ray_origins"] + example["ray_directions"] * example["depth_image"]
        ).astype(np.float64)
        pixels, _, z = geometry.project(
            points,
            record["intrinsics"][views, None, None].astype(np.float64),
            record["extrinsics"][views, None, None].astype(np.float64),
        )
        assert (z > 0).all()
        assert np.abs(pixels - geometry.pixel_grid(24, 32, np)).max() < 0.01
        # What the cameras have no part in: the spheres' surfaces in the world.
        for i, size in enumerate(record["objects/sizes"][:, 0]):
            for k, view in enumerate(views):
                centre = record["objects/positions"][i, view // 3]
                seen = points[k][record["instance"][view, ..., 0] == i + 1]
                radii = np.linalg.norm(seen - centre, axis=-1)
                assert np.abs(radii - size / 2).max(initial=0) < 2e-3


def test_a_known_point_lands_where_sunds_projects_it(package, builder, dataset):
    import tensorflow as tf
    from sunds.core import tf_geometry

    [example, *_] = builder.frame_builder.as_dataset(split="val")
    record = dataset["validation"][0]
    point = record["objects/positions"][0, 1]
    for view in (3, 4, 5):
        camera = example["cameras"][f"camera_{view}"]
        frame = tf_geometry.Isometry(**example["pose"]).inverse() * tf.constant(point)
        local = tf_geometry.Isometry(**camera["extrinsics"]) * frame
        lens = camera["intrinsics"]
        pinhole = tf_geometry.PinholeCamera(
            K=lens["K"],
            image_width=lens["image_width"],
            image_height=lens["image_height"],
        )
        found = pinhole.project(local).numpy()
        expected, _, _ = geometry.project(
            point.astype(np.float64),
            record["intrinsics"][view].astype(np.float64),
            record["extrinsics"][view].astype(np.float64),
        )
        assert np.abs(found - expected).max() < 0.01


def test_the_scenes_box_holds_the_objects(package, builder, dataset):
    for example, record in zip(
        builder.scene_builder.as_dataset(split="train").as_numpy_iterator(),
        dataset["train"],
        strict=True,
    ):
        low, high = (example["scene_box"][f"{end}_corner"] for end in ("min", "max"))
        positions = record["objects/positions"].reshape(-1, 3)
        radius = record["objects/sizes"].max() / 2
        assert (low <= positions.min(0)).all() and (high >= positions.max(0)).all()
        assert (low >= positions.min(0) - radius * 3**0.5 - 1e-5).all()
        assert (high <= positions.max(0) + radius * 3**0.5 + 1e-5).all()
    task = package.tasks.Nerf(yield_mode="image", normalize_rays=True)
    [image, *_] = builder.as_dataset(split="val", task=task).take(1)
    assert np.isfinite(image["ray_origins"]).all()


def test_classes_are_the_official_55_or_more(own):
    def classes(count):
        assets = tuple(
            dataclasses.replace(own.objects.assets[0], id=f"{i}", category=f"{i}")
            for i in range(count)
        )
        objects = dataclasses.replace(own.objects, assets=assets)
        features = frame_features(dataclasses.replace(own, objects=objects), range(6))
        return features["cameras"]["camera_0"]["category_image"].num_classes

    assert [classes(count) for count in (7, 55, 56, 200)] == [55, 55, 57, 201]


def test_two_splits_of_one_official_name_are_refused(make_resolved, tmp_path):
    from dyso.records.synthetic import synthetic_views
    from helpers.dataset_writer import write_dataset

    own = make_resolved(splits={"val": 1, "validation": 1}, resolution=(8, 8))
    source = write_dataset(tmp_path / "data", own, synthetic_views)
    assert len(Dataset(source).splits) == 2
    with pytest.raises(UserError, match="'val' and 'validation'"):
        Export.of(source, format="sunds", out=tmp_path / "out")


def test_more_objects_than_numbers_are_refused(make_resolved):
    sunds.check(make_resolved(objects=Objects(count=(1, 254))).spec)
    with pytest.raises(UserError, match=r"254 objects.*\[1, 255\]"):
        sunds.check(make_resolved(objects=Objects(count=(1, 255))).spec)


def test_a_note_keeps_readers_of_still_scenes_away(own, make_resolved):
    [note] = sunds.notes(own.spec)
    assert "multi_shapenet" in note
    assert not sunds.notes(make_resolved(dynamics=Dynamics(steps=1)).spec)
