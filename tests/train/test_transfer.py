"""Transfer between twins: which scenes, which views, whose latents, which figures."""

import csv
import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from dyso import records
from dyso.cli import evaluate as command
from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.sampling import sample_scene
from dyso.spec import UserError
from dyso.train.data import Scenes
from dyso.train.metrics import psnr
from dyso.train.predict import Predictor
from dyso.train.presets import PRESETS
from dyso.train.run import train
from dyso.train.step import init_params
from dyso.train.transfer import COLUMNS, _latent, measure_transfer, rows_of
from dyso.train.transfer_views import pairs_of, read_with_others, shared_factors
from helpers.dataset_writer import write_dataset

BOTH = frozenset({"camera", "dynamics"})


@pytest.fixture(scope="module")
def resolved(make_resolved):
    return make_resolved(
        splits={"test": 8}, resolution=(16, 16), twins=("cameras", "dynamics")
    )


@pytest.fixture(scope="module")
def twins(resolved, tmp_path_factory):
    """The folder of a dataset of four pairs of twins."""
    folder = tmp_path_factory.mktemp("twins") / "data"
    return write_dataset(folder, resolved, synthetic_views)


@pytest.fixture(scope="module")
def predictor(small):
    params = init_params(small)
    params["decoder"]["query_latents"]["kernel"] *= 10  # so that latents matter
    return Predictor(small, params)


def test_twins_are_found_by_their_records(twins, trained_on):
    split = Dataset(twins)["test"]
    assert pairs_of(split) == [(0, 1), (2, 3), (4, 5), (6, 7)]
    assert shared_factors(split) == BOTH
    with pytest.raises(UserError, match="its scenes are independent"):
        pairs_of(Dataset(trained_on)["test"])


def test_a_twin_that_is_missing_or_was_sampled_again_is_left_out(resolved, tmp_path):
    again = sample_scene(resolved, "test", 4, attempt=50)

    def change(split, encoded):
        encoded[4] = records.encode(again, synthetic_views(again))
        return [*encoded[:1], *encoded[2:]]

    folder = write_dataset(tmp_path / "data", resolved, synthetic_views, change)
    assert pairs_of(Dataset(folder)["test"]) == [(1, 2), (5, 6)]


def test_scenes_of_a_task_are_arranged_alike(twins):
    split = Dataset(twins)["test"]
    for place in range(8):
        task = read_with_others(split, pairs_of(split), place, 3)
        assert task["own/inputs"].shape == (3, 16, 16, 3)
        for name in ("cameras", "dynamics"):
            assert (task[f"own/{name}"] == task[f"twin/{name}"]).all()
            assert (task[f"own/{name}"] == task[f"unrelated/{name}"]).all()
        own, twin, other = (
            {k: task[f"{o}/{k}"] for k in ("camera_position", "object_position")}
            for o in ("own", "twin", "unrelated")
        )
        # What is shared is the same relative to the first input, and the pictures are
        # not: the twins' objects differ, and so do the heights of their centres.
        np.testing.assert_allclose(
            own["camera_position"], twin["camera_position"], atol=1e-4
        )
        assert np.abs(own["object_position"] - twin["object_position"]).max() < 2
        assert np.abs(own["camera_position"] - other["camera_position"]).max() > 0.01
        assert (task["own/targets"] != task["twin/targets"]).any()


def test_other_frameworks_need_no_jax():
    script = "import sys, dyso.train.transfer_views; print('jax' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "False\n", done.stderr


def test_rows_name_what_twins_share():
    names = [(row.camera, row.dynamics) for row in rows_of(BOTH)]
    assert names == [
        ("target", "target"),
        ("own", "own"),
        ("twin", "own"),
        ("own", "twin"),
        ("twin", "twin"),
        ("unrelated", "own"),
        ("own", "unrelated"),
        ("unrelated", "unrelated"),
    ]
    assert [row.dynamics for row in rows_of(frozenset({"camera"}))][2:] == ["own"] * 2


def test_latents_come_from_the_view_that_shares_one_thing_alone():
    ids = {"cameras": np.array([[3, 1, 3, 1]]), "dynamics": np.array([[2, 2, 4, 4]])}
    tags = np.stack([ids["cameras"], ids["dynamics"]], axis=-1)
    estimated = {
        origin: dict.fromkeys(("camera", "dynamics"), 10 * number + tags)
        for number, origin in enumerate(("own", "twin", "unrelated"))
    }
    for number, origin in enumerate(("own", "twin", "unrelated")):
        for place, name in enumerate(("camera", "dynamics")):
            found = _latent(estimated, ids, name, origin) - 10 * number
            assert (found[..., place] == tags[..., place]).all()
            assert (found[..., 1 - place] != tags[..., 1 - place]).all()
    assert (_latent(estimated, ids, "camera", "target") == tags).all()


def test_figures_of_transfer(twins, predictor):
    split = Dataset(twins)["test"]
    found = measure_transfer(predictor, split, 4)
    assert (found["pairs"], found["left_out"]) == (4, 0)
    rows = {(row["camera"], row["dynamics"]): row for row in found["model"]["rows"]}
    assert len(rows) == 8
    scores = []
    for place in range(8):
        task = read_with_others(split, pairs_of(split), place, 3)
        scene = predictor.encode(task["own/inputs"][None])
        twin = predictor.encode(task["twin/inputs"][None])
        other = predictor.estimate(task["twin/targets"][None], twin)
        latents = predictor.estimate(task["own/targets"][None], scene)
        ids = {name: task[f"own/{name}"][None] for name in ("cameras", "dynamics")}
        every = jax.device_get({"own": latents, "twin": other})
        chosen = {
            "camera": _latent(every, ids, "camera", "twin"),
            "dynamics": _latent(every, ids, "dynamics", "own"),
        }
        image = predictor.decode(chosen, scene)[0]
        scores.append(psnr(task["own/targets"] / np.float32(255), image).mean())
    assert rows["twin", "own"]["psnr"] == pytest.approx(np.mean(scores), rel=1e-5)
    assert rows["twin", "own"]["psnr"] != rows["own", "own"]["psnr"]
    for table in (found["model"], found["untrained"]):
        for row in (*table["rows"], table["true_pictures"], table["constant"]):
            assert row["camera_position_rmse"] > 0 < row["object_position_rmse_error"]
    assert len(found["untrained"]["rows"]) == 8


def test_the_command_writes_json_and_the_table(twins, trained_on, small, tmp_path):
    workdir = tmp_path / "run"
    train(small, workdir, Scenes(split=Dataset(trained_on)["train"], config=small))
    assert command.main(workdir, data=twins, scenes=6, transfer=True) == 0
    found = json.loads((workdir / "transfer.json").read_text())
    assert found["pairs"] == 3 and found["run"]["step"] == 6
    with (workdir / "transfer.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS) and len(rows) == 16
    assert rows[8]["model"] == "run untrained" and float(rows[8]["psnr"]) > 0
    with pytest.raises(UserError, match="its scenes are independent"):
        command.main(workdir, data=trained_on, transfer=True)


def test_models_without_both_latents_are_refused(twins, predictor):
    static = Predictor(PRESETS["rust"].config, None)
    with pytest.raises(UserError, match="needs a model with camera and dynamics"):
        measure_transfer(static, Dataset(twins)["test"], 4)
    with pytest.raises(UserError, match="needs at least 3 pairs of twins"):
        measure_transfer(predictor, Dataset(twins)["test"][:4], 4)
    with pytest.raises(UserError, match="needs at least 3 pairs"):
        measure_transfer(predictor, Dataset(twins)["test"], 2)
