"""The floors: scores of predictors and latents whose content is known."""

import numpy as np
import pytest

from dyso.reading import Dataset
from dyso.train.data import Scenes
from dyso.train.evaluation_views import batches, read, read_with_truth
from dyso.train.floors import floor_figures, scene_floors
from dyso.train.latent_sources import main_row
from dyso.train.metrics import psnr


@pytest.fixture(scope="module")
def source(small, trained_on):
    return Scenes(split=Dataset(trained_on)["test"], config=small)


def test_blind_predictors_see_the_other_views_alone(source):
    batch = read(source, 1)
    found = scene_floors(source, 1, batch, main_row(source.config))
    color = source.split.read(1, fields=["color"])["color"].reshape(5, 5, 16, 16, 3)
    expected = {"dynamics": [], "cameras": []}
    for camera, step, true in zip(
        batch["cameras"], batch["dynamics"], batch["targets"], strict=True
    ):
        assert (color[step, camera] == true).all()
        others = {
            "dynamics": np.delete(color[:, camera], step, axis=0),
            "cameras": np.delete(color[step], camera, axis=0),
        }
        for name, views in others.items():
            mean = views.mean(axis=0) / 255
            expected[name] += [psnr(true[None] / 255, mean[None])[0]]
    for name, values in expected.items():
        score = found[f"floor/mean_of_other_{name}"]
        assert score == pytest.approx(np.mean(values), rel=1e-5)


def test_floors_in_figures(source):
    def read_one(index):
        batch = read_with_truth(source, index)
        return batch | scene_floors(source, index, batch, main_row(source.config))

    [(values, _)] = batches(read_one, [0], 4)
    found = floor_figures(values)
    assert list(found) == [
        "mean_of_other_dynamics",
        "median_of_other_dynamics",
        "mean_of_other_cameras",
        "pixels",
        "oracle_image_position",
        "oracle_pose",
    ]
    assert found["pixels"].keys() > {"R_cam", "R_dyn", "R_dyn_median", "how"}
    assert "R_cam" not in found["oracle_pose"]
    # Where the object is in the image depends on camera and dynamics alike.
    assert 0.1 < found["oracle_image_position"]["R_dyn_median"] < 10


def test_static_models_have_no_floors_of_dynamics(source, changed):
    config = changed({}, inputs=2, targets=3, static=True, control="none")
    static = Scenes(split=source.split, config=config)
    found = scene_floors(static, 0, read(static, 0), main_row(config))
    assert list(found) == ["floor/mean_of_other_cameras"]
