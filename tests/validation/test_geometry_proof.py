import dataclasses

import numpy as np
import pytest

from dyso import records
from dyso.geometry import quaternion_from_axis_angle, quaternion_multiply
from dyso.reading import MOTION_FIELDS
from dyso.records.synthetic import synthetic_views
from dyso.sampling import sample_scene
from dyso.spec import Objects
from dyso.validation import REQUIRED, agreement


@pytest.fixture(scope="module")
def scene(make_resolved):
    resolved = make_resolved(resolution=(64, 80), objects=Objects(count=(2, 2)))
    return sample_scene(resolved, "train", 5)


@pytest.fixture(scope="module")
def record(scene):
    data = records.encode(scene, synthetic_views(scene))
    return records.decode(data, fields=MOTION_FIELDS)


def test_nearly_all_visible_points_of_a_sound_scene_agree(record):
    found = agreement(record)
    assert found.shares().shape == (3,)
    assert (found.shares() > 0.995).all()
    # It says something of every instance, and of every pair of views.
    assert ((found.agreed + found.wrong).sum((1, 2)) > 10_000).all()
    between = (found.agreed + found.wrong).sum(0)
    assert (between[~np.eye(25, dtype=bool)] > 0).all()
    assert (np.diagonal(between) == 0).all()


def test_an_object_in_front_hides_and_is_no_disagreement(record):
    found = agreement(record)
    assert found.hidden[0].sum() > 1000
    assert found.hidden[1:].sum() > 1000


def with_changed(record, name, change):
    values = record[name].copy()
    change(values)
    return {**record, name: values}


def moved(values):
    values[0, 2, 1] += 0.15


def turned(values):
    axis, angle = np.array([0.6, 0.0, 0.8]), np.array(0.2)
    turn = quaternion_from_axis_angle(axis, angle)
    values[0, 3] = quaternion_multiply(turn, values[0, 3])


def scaled(values):
    values[7] *= 1.01


def swapped(values):
    values[[3, 11]] = values[[11, 3]]


def shifted(values):
    values[9, 0, 3] += 0.3


def zoomed(values):
    values[:5, [0, 1], [0, 1]] *= 1.05


def relabeled(values):
    values[...] = np.choose(values, [0, 2, 1])
    values[:5] = np.choose(values[:5], [0, 2, 1])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("objects/positions", moved),
        ("depth", scaled),
        ("depth", swapped),
        ("instance", swapped),
        ("instance", relabeled),
        ("extrinsics", shifted),
        ("intrinsics", zoomed),
    ],
)
def test_wrong_geometry_disagrees(record, name, change):
    found = agreement(with_changed(record, name, change))
    assert found.shares().min() < REQUIRED
    assert len(found.failed()) > 0


def test_a_wrong_turn_of_an_object_with_flat_sides_disagrees(make_resolved):
    # The floor stands in for an object with flat sides: it is all of instance 1.
    scene = sample_scene(make_resolved(resolution=(64, 64)), "train", 1)
    still = dataclasses.replace(
        scene.objects[0], poses=scene.objects[0].poses[:1] * scene.steps
    )
    scene = dataclasses.replace(scene, objects=(still,))
    record = records.decode(records.encode(scene, synthetic_views(scene)))
    record["instance"] = np.ones_like(record["instance"])
    assert agreement(record).shares()[1] > 0.99
    wrong = with_changed(record, "objects/quaternions", turned)
    assert agreement(wrong).shares()[1] < REQUIRED


def test_views_without_depth_are_no_disagreement(record):
    empty = {**record, "depth": np.full_like(record["depth"], np.inf)}
    found = agreement(empty)
    assert found.agreed.sum() == found.wrong.sum() == found.hidden.sum() == 0
    assert (found.shares() == 1).all()


def test_a_few_stray_points_of_a_hardly_visible_object_are_tolerated(record):
    sound = agreement(record)
    stray = np.zeros_like(sound.wrong)
    stray[1, 3, 4] = 20
    few = dataclasses.replace(sound, agreed=stray, wrong=stray)
    assert few.shares()[1] == 0.5
    assert len(few.failed()) == 0
    many = dataclasses.replace(sound, agreed=2 * stray, wrong=2 * stray)
    assert many.failed().tolist() == [1]
    # 97 % is enough of 4000 points, and too little of 40,000.
    nearly = dataclasses.replace(sound, agreed=194 * stray, wrong=6 * stray)
    assert len(nearly.failed()) == 0
    nearly = dataclasses.replace(sound, agreed=1940 * stray, wrong=60 * stray)
    assert nearly.failed().tolist() == [1]


def test_videos_are_proved_frame_by_frame(videos):
    spec = dataclasses.replace(videos.spec, resolution=(64, 80))
    scene = sample_scene(dataclasses.replace(videos, spec=spec), "train", 0)
    record = records.decode(records.encode(scene, synthetic_views(scene)))
    sound = agreement(record)
    assert sound.agreed.shape == (2, 7, 7)
    assert (sound.shares() > 0.995).all()

    def late(values):
        values[0, 1:] = values[0, :-1].copy()

    wrong = with_changed(record, "objects/positions", late)
    assert agreement(wrong).failed().tolist() == [1]

    def swapped(values):
        values[[2, 6]] = values[[6, 2]]

    wrong = with_changed(record, "extrinsics", swapped)
    assert 0 in agreement(wrong).failed()
