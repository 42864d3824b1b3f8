"""A whole fit of a HexPlane, stopped and resumed, and its predictions."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from dyso.errors import UserError
from dyso.fit.data import MultiView
from dyso.fit.hexplane import run
from dyso.fit.hexplane.config import Background, Config, Grid, Marching, Occupancy
from dyso.reading import Dataset
from dyso.scoring import held_out_views
from dyso.scoring.predictions import ScenePredictions

pytestmark = pytest.mark.slow

CONFIG = Config(
    iterations=150,
    rays=192,
    grid=Grid(coarsest=12, finest=24, levels=2, channels=3, layers=1, hidden=12),
    background=Background(layers=1, hidden=8),
    marching=Marching(candidates=48, points=24),
    occupancy=Occupancy(cells=24, samples=4096, every=4, decay=0.8, least=0.06),
)


@pytest.fixture(scope="module")
def dataset(multi_view):
    return Dataset(multi_view)


@pytest.fixture(scope="module")
def fit(dataset):
    """Fits scene 0 into a folder; gives the report and what was said."""

    def give(out, show=lambda done, planned, note: None, config=CONFIG):
        said = []
        report = run.fit(
            config,
            MultiView.open(dataset["train"], 0),
            out,
            dataset=dataset.resolved.hash,
            method="mine",
            tell=said.append,
            show=show,
        )
        return report, said

    return give


@pytest.fixture(scope="module")
def whole(fit, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "predictions"
    report, said = fit(out)
    return out, report, said


def test_held_out_views_come_near_the_truth(whole, dataset):
    out, report, _ = whole
    manifest = json.loads((out / "predictions.json").read_text())
    assert manifest["inputs"] == {"cameras": [0, 1, 2, 3], "steps": [0, 1, 2]}
    views = held_out_views(dataset.resolved.spec)
    found = ScenePredictions(folder=out / "scene_0", resolution=(24, 32))
    assert found.views("color") == found.views("depth") == set(views)
    record = dataset["train"].read(0)
    on_object = record["instance"][..., 0] > 0
    trained = [view for view in range(18) if view not in views]
    mean = record["color"][trained][on_object[trained]].mean(0) / 255
    scores, errors, floors, depth_errors = [], [], [], []
    for view in views:
        seen, true = on_object[view], record["color"][view] / 255
        image = np.asarray(Image.open(out / f"scene_0/color/{view:05}.png")) / 255
        scores.append(-10 * np.log10(((true - image) ** 2).mean()))
        errors.append(((true - image)[seen] ** 2).mean())
        floors.append(((true - mean)[seen] ** 2).mean())
        depth = np.load(out / f"scene_0/depth/{view:05}.npz")["depth"]
        depth_errors.append(np.abs(depth / record["depth"][view, ..., 0] - 1)[seen])
    # Four cameras do not show the ground that the others see, but the object.
    assert np.mean(errors) < 0.75 * np.mean(floors)
    assert np.mean(scores) == pytest.approx(report["held_out_psnr"], abs=0.1)
    assert report["psnr"] > 21
    assert np.median(np.concatenate(depth_errors)) < 0.15
    assert 0 < report["occupied"] < 1


def test_a_stopped_fit_resumes_to_the_same_result(whole, fit, tmp_path):
    def stop(done, planned, note):
        assert note.startswith("PSNR of rays ") and planned == 150
        if done >= 120:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, stop)
    report, said = fit(tmp_path)
    assert said[0] == "resuming after iteration 100"
    assert {**report, "seconds": 0} == {**whole[1], "seconds": 0}
    name = "scene_0/depth/00016.npz"
    mine, other = (np.load(out / name)["depth"] for out in (tmp_path, whole[0]))
    assert np.array_equal(mine, other)


def test_a_finished_fit_does_nothing(whole, fit):
    out, report, _ = whole
    assert fit(out) == (report, [])


def test_other_settings_need_another_folder(whole, fit):
    other = dataclasses.replace(CONFIG, rays=191)
    with pytest.raises(UserError, match=r"settings\.rays: expected 191, got 192"):
        fit(whole[0], config=other)


def test_a_video_has_the_depth_of_its_frames(video, tmp_path):
    data = Dataset(video)
    run.fit(
        dataclasses.replace(CONFIG, iterations=3),
        MultiView.open(data["videos"], 1),
        tmp_path,
        dataset=data.resolved.hash,
        method="mine",
        tell=lambda line: None,
        show=lambda done, planned, note: None,
    )
    found = ScenePredictions(folder=tmp_path / "scene_1", resolution=(12, 16))
    assert found.views("color") == {1, 3, 5, 7}
    assert found.views("depth") == set(range(8))
