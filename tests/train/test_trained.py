"""Trained models: runs, files of weights, and what comes with the package."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from dyso.cli import weights as command
from dyso.reading import Dataset
from dyso.spec import UserError
from dyso.train import checkpoints, trained
from dyso.train.data import Scenes
from dyso.train.evaluation import quick
from dyso.train.evaluation_views import BATCH, batches, read_with_truth
from dyso.train.floors import floor_figures, scene_floors
from dyso.train.latent_sources import main_row
from dyso.train.predict import Predictor
from dyso.train.step import init_state


@pytest.fixture(scope="module")
def workdir(small, tmp_path_factory):
    """A run that has saved its first parameters as step 0."""
    folder = tmp_path_factory.mktemp("weights") / "run"
    checkpoints.begin(folder, small)
    with checkpoints.manager(folder) as manager:
        checkpoints.save(manager, init_state(small), {})
    return folder


def test_a_file_has_a_runs_settings_and_rounded_parameters(workdir, tmp_path, capsys):
    file = tmp_path / "new" / "model.npz"
    assert command.main(workdir, out=file) == 0
    assert f"{file}  step 0" in capsys.readouterr().out
    run, small = trained.load(workdir), trained.load(file)
    assert (small.name, small.step, small.scenes) == ("model", 0, None)
    assert small.config == run.config
    assert jax.tree.structure(small.params) == jax.tree.structure(run.params)
    pairs = map(jax.tree.leaves, (small.params, run.params))
    for one, other in zip(*pairs, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=2**-11, atol=1e-7)
    command.main(file, out=tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == file.read_bytes()
    with pytest.raises(UserError, match="has step 0 alone, got 3"):
        trained.load(file, step=3)


def test_other_files_are_one_line(workdir, tmp_path):
    with pytest.raises(UserError, match="absent: does not exist; expected the folder"):
        trained.load(tmp_path / "absent")
    text = tmp_path / "text.npz"
    text.write_text("no weights")
    with pytest.raises(UserError, match=r"text\.npz: not a file of `dyso weights`"):
        trained.load(text)
    file = tmp_path / "model.npz"
    trained.save(file, trained.load(workdir))
    arrays = dict(np.load(file))
    missing = {name: own for name, own in arrays.items() if "decoder" not in name}
    np.savez(file, **missing)
    with pytest.raises(UserError, match="not a file of `dyso weights`"):
        trained.load(file)
    settings = json.loads(str(arrays["config"]))
    settings["model"]["width"] = 32
    np.savez(file, **arrays | {"config": np.array(json.dumps(settings))})
    with pytest.raises(UserError, match="expected shape"):
        trained.load(file)


@pytest.mark.parametrize("name", trained.shipped())
def test_a_model_of_the_package_separates_scenes_that_it_was_not_trained_on(name):
    model = trained.load(Path(name))
    test = Dataset(model.scenes)["test"][:BATCH]
    scenes = Scenes(split=test, config=model.config)
    truth = [read_with_truth(scenes, index) for index in range(len(test))]
    found = quick(
        Predictor(model.config, model.params),
        batches(truth.__getitem__, range(0, len(test), BATCH), len(test)),
    )
    row = main_row(model.config)
    both = [
        one | scene_floors(scenes, index, one, row) for index, one in enumerate(truth)
    ]
    images = {"inputs", "targets", "grid"}
    floors = floor_figures(
        {k: np.stack([one[k] for one in both]) for k in both[0] if k not in images}
    )
    assert found["psnr"] > floors["mean_of_other_dynamics"]["psnr"]
    assert found["psnr"] > floors["mean_of_other_cameras"]["psnr"]
    assert found["R_cam_median"] < floors["pixels"]["R_cam_median"] / 2
    assert found["R_dyn_median"] < floors["pixels"]["R_dyn_median"] / 2


def test_a_folder_of_a_models_name_goes_first(workdir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = trained.shipped()[0]
    workdir.rename(tmp_path / name)
    assert trained.load(Path(name)).scenes is None
