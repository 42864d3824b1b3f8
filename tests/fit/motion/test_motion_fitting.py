"""A whole fit of a video, stopped and resumed, and its predictions."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from dyso.errors import UserError
from dyso.fit.motion import run
from dyso.fit.motion.config import Cameras, Config, Depth, Grid
from dyso.fit.motion.video import Video
from dyso.reading import Dataset
from dyso.scoring.poses import pose_errors
from dyso.scoring.predictions import ScenePredictions

pytestmark = pytest.mark.slow

CONFIG = Config(
    iterations=150,
    rays=128,
    coarse=12,
    fine=10,
    grid=Grid(cells=(16, 12, 16), levels=1, channels=4, hidden=8),
    depth=Depth(weight=1.0, draws=2),
    cameras=Cameras(rotation=1.0, translation=1.0),
)


@pytest.fixture(scope="module")
def read(video):
    return Video.read(Dataset(video)["videos"], 0)


@pytest.fixture(scope="module")
def fit(read):
    """Fits the video into a folder; gives the report and what was said."""

    def give(out, show=lambda done, planned, note: None, config=CONFIG):
        said = []
        report = run.fit(
            config,
            read,
            out,
            dataset="0123456789abcdef",
            method="mine",
            tell=said.append,
            show=show,
        )
        return report, said

    return give


@pytest.fixture(scope="module")
def whole(fit, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "predictions"
    shown = []
    report, said = fit(out, lambda *counts, note: shown.append((*counts, note)))
    return out, report, said, shown


def test_predictions_are_those_that_are_scored(whole, read):
    out = whole[0]
    manifest = json.loads((out / "predictions.json").read_text())
    assert manifest["inputs"] == {"cameras": [0], "steps": [0, 1, 2, 3]}
    found = ScenePredictions(folder=out / "scene_0", resolution=(12, 16))
    assert found.views("color") == {1, 3, 5, 7}
    assert found.views("depth") == set(range(8))
    assert found.cameras([0, 2, 4, 6]).shape == (4, 3, 4)


def test_views_and_depth_come_near_the_truth(whole, read):
    out, report, _, _ = whole
    errors, off = [], []
    for step in range(4):
        image = np.asarray(Image.open(out / f"scene_0/color/{2 * step + 1:05}.png"))
        true = read.held_out.color[step, 0] / 255
        errors.append(-10 * np.log10(((image / 255 - true) ** 2).mean()))
        depth = np.load(out / f"scene_0/depth/{2 * step:05}.npz")["depth"]
        off.append(np.abs(depth / read.frames.depth[step] - 1))
    assert np.median(off) < 0.06
    assert report["held_out_psnr"] == pytest.approx(np.mean(errors), abs=0.1)
    assert report["psnr"] > 20
    assert report["unimodal"] > 0.3


def test_poses_begin_perturbed_and_are_learned(whole, read):
    out, report, _, _ = whole
    started = np.asarray(run.target_of(read, CONFIG).extrinsics)
    learned = np.load(out / "scene_0/cameras.npz")["extrinsics"]
    assert abs(learned - started).max() > 1e-3
    for name, poses in (("start", started), ("end", learned)):
        errors = pose_errors(read.frames.extrinsics, poses)
        for kind in ("rotation", "translation"):
            expected = pytest.approx(errors[f"{kind}_aligned"], abs=1e-4)
            assert report[f"{kind}_{name}"] == expected
    assert 0.5 < report["rotation_start"] < 3


def test_rendering_weights_are_kept_and_drawn(whole, read):
    folder = whole[0] / "scene_0/fit"
    kept = np.load(folder / "weights.npz")
    assert kept["weights"].shape == (16, 128)
    assert ((kept["weights"] >= 0) & (kept["weights"] <= 1)).all()
    with Image.open(folder / "weights.png") as image:
        assert image.size == (16 * 4, 12 * 4 + 128 * 2)


def test_a_stopped_fit_resumes_to_the_same_result(whole, fit, tmp_path):
    def stop(done, planned, note):
        assert note.startswith("PSNR of rays ")
        if done >= 120:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, stop)
    report, said = fit(tmp_path)
    assert said[0] == "resuming after iteration 100"
    expected = {key: each for key, each in whole[1].items() if key != "seconds"}
    assert {**report, "seconds": 0} == {**expected, "seconds": 0}
    files = [each.name for each in (tmp_path / "scene_0/fit").glob("*.npz")]
    assert sorted(files) == ["000150.npz", "weights.npz"]


def test_a_finished_fit_does_nothing(whole, fit):
    out, report, _, _ = whole
    assert fit(out) == (report, [])


def test_other_settings_need_another_folder(whole, fit):
    other = dataclasses.replace(CONFIG, iterations=151)
    with pytest.raises(UserError, match=r"settings\.iterations: expected 151, got 150"):
        fit(whole[0], config=other)
