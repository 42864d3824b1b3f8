"""A whole fit, stopped and resumed, and its predictions."""

import json

import numpy as np
import pytest
from PIL import Image

from dyso.errors import UserError
from dyso.fit.data import MultiView
from dyso.fit.gaussians import run
from dyso.fit.gaussians.config import Config, Densification, Neighbors, Rates
from dyso.reading import Dataset
from dyso.scoring import held_out_views, queries_of, true_tracks

pytestmark = pytest.mark.slow

CONFIG = Config(
    gaussians=400,
    initial=0.8,
    first_iterations=150,
    iterations=100,
    neighbors=Neighbors(count=8, falloff=20.0),
    rates=Rates(means=1e-3, rotations=4e-3, scales=0.02),
    densification=Densification(start=20, stop=40, every=20, gradient=1e-5),
)


@pytest.fixture(scope="module")
def dataset(multi_view):
    return Dataset(multi_view)


@pytest.fixture(scope="module")
def fit(dataset):
    """Fits scene 0 into a folder; gives the reports and what was said."""

    def give(out, show=lambda done, planned, note: None, config=CONFIG):
        said = []
        reports = run.fit(
            config,
            MultiView.open(dataset["train"], 0),
            out,
            dataset=dataset.resolved.hash,
            method="mine",
            tell=said.append,
            show=show,
        )
        return reports, said

    return give


@pytest.fixture(scope="module")
def whole(fit, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "predictions"
    shown = []
    reports, said = fit(out, lambda *counts, note: shown.append((*counts, note)))
    return out, reports, said, shown


def arrays_of(out):
    files = sorted((out / "scene_0/fit/steps").iterdir())
    return [dict(np.load(file)) for file in files]


def test_held_out_views_come_near_the_truth(whole, dataset):
    out, reports, _, _ = whole
    manifest = json.loads((out / "predictions.json").read_text())
    assert manifest["inputs"] == {"cameras": [0, 1, 2, 3], "steps": [0, 1, 2]}
    views = held_out_views(dataset.resolved.spec)
    names = sorted(file.name for file in (out / "scene_0/color").iterdir())
    assert names == [f"{view:05}.png" for view in views]
    record = dataset["train"].read(0)
    errors, depth_errors = [], []
    for view in views:
        true = record["color"][view] / 255
        image = np.asarray(Image.open(out / f"scene_0/color/{view:05}.png")) / 255
        errors.append(((true - image) ** 2).mean())
        depth = np.load(out / f"scene_0/depth/{view:05}.npz")["depth"]
        true, on_object = record["depth"][view, ..., 0], record["instance"][view] > 0
        depth_errors.append(np.abs(depth / true - 1)[on_object[..., 0]])
    found = -10 * np.log10(np.mean(errors))
    assert found > 17
    assert found == pytest.approx(
        np.mean([each["held_out_psnr"] for each in reports]), abs=0.7
    )
    assert np.median(np.concatenate(depth_errors)) < 0.05


def test_tracks_follow_the_object(whole, dataset):
    out = whole[0]
    queries = queries_of(dataset["train"], 0)
    truth = true_tracks(dataset["train"], 0, queries).points
    found = np.load(out / "scene_0/tracks_3d.npz")["points"]
    assert np.allclose(found[0], queries.point, atol=1e-4)
    moved = np.median(np.linalg.norm(truth[-1] - truth[0], axis=-1))
    error = np.median(np.linalg.norm(truth[-1] - found[-1], axis=-1))
    assert error < 0.5 * moved


def test_progress_says_what_is_compiled_and_how_good_it_is(whole):
    _, _, said, shown = whole
    assert said[0].startswith(
        "time step 0: compiling a gradient step for 400 Gaussians"
    )
    assert any(line.startswith("time step 1: compiling") for line in said)
    assert shown[-1][:2] == (350, 350)
    assert shown[-1][2].startswith("time step 3/3, PSNR ")


def test_attributes_are_frozen_after_step_0(whole):
    first, *later = arrays_of(whole[0])
    assert set(first) == set(run.Gaussians._fields)
    for step in later:
        assert set(step) == {"means", "rotations", "colors"}
    assert len(first["means"]) <= 400


def test_a_stopped_fit_resumes_to_the_same_result(whole, fit, tmp_path):
    def stop(done, planned, note):
        if done >= 280:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, stop)
    assert len(arrays_of(tmp_path)) == 2
    assert not (tmp_path / "scene_0/tracks_3d.npz").exists()
    reports, said = fit(tmp_path)
    assert said[0] == "resuming after time step 1"
    assert [each["step"] for each in reports] == [0, 1, 2]
    for mine, other in zip(arrays_of(tmp_path), arrays_of(whole[0]), strict=True):
        for name, array in other.items():
            assert np.array_equal(mine[name], array)
    for name in ("tracks_3d.npz", "depth/00016.npz"):
        mine, other = (np.load(out / "scene_0" / name) for out in (tmp_path, whole[0]))
        assert all(np.array_equal(mine[key], other[key]) for key in other)


def test_a_finished_fit_does_nothing(whole, fit):
    out, reports, _, _ = whole
    again, said = fit(out)
    assert again == reports
    assert said == ["resuming after time step 2"]


def test_other_settings_need_another_folder(whole, fit):
    other = Config(**{**vars(CONFIG), "iterations": 101})
    with pytest.raises(UserError, match=r"settings\.iterations: expected 101, got 100"):
        fit(whole[0], config=other)


def test_predictions_of_another_method_need_another_folder(whole, dataset):
    with pytest.raises(UserError, match="another method, dataset, split"):
        run.fit(
            CONFIG,
            MultiView.open(dataset["train"], 0),
            whole[0],
            dataset=dataset.resolved.hash,
            method="yours",
            tell=print,
            show=lambda done, planned, note: None,
        )
