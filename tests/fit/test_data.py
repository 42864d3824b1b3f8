import dataclasses

import numpy as np
import pytest

from dyso.errors import UserError
from dyso.fit.data import Cloud, MultiView, chosen_points, cloud, thinned
from dyso.fit.gaussians import run
from dyso.fit.gaussians.config import Config
from dyso.reading import Dataset

PAIRED = {"cameras": {"paired": True, "count": 3, "held_out": 0}}
ENVIRONMENT = {"backgrounds": {"backdrop": "environment"}}


@pytest.fixture
def split(multi_view):
    return Dataset(multi_view)["train"]


def changed(split, **sections):
    """The split, with other values in sections of its spec."""
    spec = split.spec
    for section, values in sections.items():
        part = dataclasses.replace(getattr(spec, section), **values)
        spec = dataclasses.replace(spec, **{section: part})
    split.spec = spec
    return split


def test_cameras_that_the_spec_holds_out_are_not_trained_on(split):
    scene = MultiView.open(split, 1)
    assert scene.training == (0, 1, 2, 3) and scene.held_out == (4, 5)
    assert scene.view(2, 3) == 15


def test_other_cameras_can_be_held_out(split):
    scene = MultiView.open(split, 0, held_out=[3, 0, 3])
    assert scene.held_out == (0, 3) and scene.training == (1, 2, 4, 5)


def test_without_any_in_the_spec_the_last_camera_is_held_out(split):
    scene = MultiView.open(changed(split, cameras={"held_out": 0}), 0)
    assert scene.held_out == (5,)


@pytest.mark.parametrize(
    "sections, scene, held_out, message",
    [
        ({}, 2, (), "scene: train has 2, numbered from 0; got 2"),
        ({}, -1, (), "scene: train has 2, numbered from 0; got -1"),
        ({}, 0, (6,), "held_out: test has cameras 0 to 5"),
        ({}, 0, range(6), "held_out: leaves none of 6 cameras to train on"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_a_line(
    split, sections, scene, held_out, message
):
    with pytest.raises(UserError, match=message) as refused:
        MultiView.open(changed(split, **sections), scene, held_out)
    assert "\n" not in str(refused.value)


def test_a_video_is_trained_on_its_moving_camera(video):
    scene = MultiView.open(Dataset(video)["videos"], 0)
    assert scene.training == (0,) and scene.held_out == (1,)
    assert scene.view(2, 1) == 5


@pytest.mark.parametrize(
    "sections, message",
    [(PAIRED, "cameras.paired is true"), (ENVIRONMENT, "expected dome")],
)
def test_gaussians_refuse_what_they_cannot_fit(split, sections, message, tmp_path):
    scene = MultiView.open(changed(split, **sections), 0)
    with pytest.raises(UserError, match=message):
        run.fit(
            Config(),
            scene,
            tmp_path,
            dataset="",
            method="",
            tell=print,
            show=lambda done, planned, note: None,
        )
    assert not list(tmp_path.iterdir())


def test_a_step_has_the_views_of_the_record(split):
    scene = MultiView.open(split, 0)
    whole = split.read(0)
    step = scene.read(2)
    assert np.array_equal(step.color, whole["color"][12:])
    assert np.array_equal(step.depth, whole["depth"][12:, ..., 0])
    assert np.array_equal(step.foreground, whole["instance"][12:, ..., 0] == 1)
    assert np.array_equal(step.extrinsics, whole["extrinsics"][12:])


def test_points_lie_on_the_object_and_have_its_colors(split):
    record = split.read(0)
    step = MultiView.open(split, 0).read(1)
    points = cloud(step, (0, 2))
    center = record["objects/positions"][0, 1]
    distances = np.linalg.norm(points.points - center, axis=-1)
    assert points.foreground.sum() == step.foreground[[0, 2]].sum() > 50
    assert np.allclose(distances[points.foreground], 0.6, atol=2e-3)
    assert (distances[~points.foreground] > 0.6).all()
    seen = np.isfinite(step.depth[0])
    first = step.color[0][seen][step.foreground[0][seen]] / 255
    assert np.allclose(points.colors[points.foreground][: len(first)], first)


def test_thinned_points_are_spread_evenly():
    """A square a hundred times as dense in one half."""
    rng = np.random.default_rng(0)
    dense, sparse = rng.uniform(0, 1, (10_000, 3)), rng.uniform(0, 1, (200, 3))
    dense[:, 0] /= 2
    sparse[:, 0] = 0.5 + sparse[:, 0] / 2
    points = np.concatenate([dense, sparse]) * [2, 1, 0]
    whole = Cloud(
        points=points,
        colors=np.zeros((len(points), 3), np.float32),
        foreground=np.ones(len(points), bool),
    )
    few = thinned(whole, 120, np.random.default_rng(1))
    assert 60 < len(few.points) <= 120
    right = int((few.points[:, 0] > 1).sum())
    assert 0.7 < right / (len(few.points) - right) < 1.4


def test_share_of_the_points_on_objects(split):
    whole = cloud(MultiView.open(split, 0).read(0), range(6))
    few = chosen_points(whole, 200, 0.4, np.random.default_rng(0))
    assert len(few.points) == 200
    assert 55 < few.foreground.sum() <= 80
    again = chosen_points(whole, 200, 0.4, np.random.default_rng(0))
    assert np.array_equal(few.points, again.points)
