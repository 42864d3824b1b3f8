"""A whole scene from a text, stopped and resumed."""

import dataclasses
import shutil

import numpy as np
import pytest
import trimesh
from PIL import Image

from dyso.errors import UserError
from dyso.fit.distillation import run
from dyso.fit.distillation.config import Bias
from dyso.train import checkpoints
from dyso.train.prior.config import Config as PriorConfig
from dyso.train.prior.config import Network
from dyso.train.prior.run import init_state
from helpers.small_distillation import SMALL

pytestmark = pytest.mark.slow

CONFIG = dataclasses.replace(
    SMALL, static=2, dynamic=2, sample_every=2, bias=Bias(end=0.5)
)


def make_prior(folder, **changes):
    """Returns the folder of a prior that was not trained."""
    model = Network(
        resolution=(8, 8),
        frames=3,
        channels=(4, 8),
        blocks=1,
        layers=1,
        heads=2,
        text_layers=1,
        tokens=4,
        words=("a", "car", "red"),
        compute="float32",
    )
    config = PriorConfig(model=dataclasses.replace(model, **changes))
    config = checkpoints.begin(folder, config)
    with checkpoints.manager(folder) as manager:
        checkpoints.save(manager, init_state(config), {})
    return folder


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    return make_prior(tmp_path_factory.mktemp("prior") / "run")


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    """A prior of super-resolution to 16 x 16 pixels."""
    folder = tmp_path_factory.mktemp("prior") / "large"
    return make_prior(folder, resolution=(16, 16), patch=4, upsampling=2)


@pytest.fixture(scope="module")
def fit(prior):
    def give(
        out,
        text="a red car",
        config=CONFIG,
        show=lambda *counts, note: None,
        **options,
    ):
        said = []
        report = run.fit(
            text, prior, config, out, tell=said.append, show=show, **options
        )
        return report, said

    return give


def stop(*_, **__):
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def whole(fit, tmp_path_factory):
    """A scene whose fit was stopped after a checkpoint, and resumed."""
    out = tmp_path_factory.mktemp("scene") / "scene"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dyso.fit.iterations.SAVED_EVERY", 3)
        # Progress is shown before the last checkpoint.
        with pytest.raises(KeyboardInterrupt):
            fit(out, show=stop)
    return out, *fit(out)


def test_a_scene_is_shown_and_exported(whole):
    out, report, _ = whole
    assert 0 < report["opacity"] < 1
    names = sorted(path.name for path in (out / "samples").iterdir())
    assert names == ["000002.png", "000004.png"]
    with Image.open(out / "turn.gif") as film:
        assert film.n_frames > 1 and film.size == (128, 128)
    meshes = sorted((out / "meshes").iterdir())
    assert meshes[0].name == "animation.glb" and len(meshes) == 17
    mesh = trimesh.load(meshes[1], force="mesh")
    # The density is largest at the centre.
    assert np.abs(mesh.vertices).max() <= 1
    assert np.abs(mesh.vertices.mean(0)).max() < 0.2


def test_a_stopped_fit_resumes_to_the_same_scene(whole, fit, tmp_path, monkeypatch):
    out, _, said = whole
    assert said[1] == "resuming after iteration 3"
    notes = []
    # Everything but the pictures and meshes of the end, which the state decides.
    monkeypatch.setattr(run, "_write_result", stop)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, show=lambda *counts, note: notes.append((counts, note)))
    ((counts, note),) = notes
    assert counts == (4, 4) and note.startswith("error of the noise")
    with np.load(out / "000004.npz") as mine, np.load(tmp_path / "000004.npz") as other:
        assert mine.files == other.files
        for name in mine.files:
            assert np.array_equal(mine[name], other[name])
    sample = "samples/000002.png"
    assert (out / sample).read_bytes() == (tmp_path / sample).read_bytes()


def test_a_finished_fit_does_nothing_and_is_loaded_as_it_ended(whole, fit, tmp_path):
    out, report, _ = whole
    assert fit(out) == (report, [])
    text, config, state = run.load(out)
    assert (text, config) == ("a red car", CONFIG)
    with np.load(out / "000004.npz") as file:
        assert np.array_equal(file["arr_0"], state.field.levels[0][0])
    with pytest.raises(UserError, match="no scene of `dyso fit text-to-4d`"):
        run.load(tmp_path)
    (tmp_path / "journal.jsonl").write_bytes(
        (out / "journal.jsonl").read_bytes().splitlines(keepends=True)[0]
    )
    with pytest.raises(UserError, match="is not finished"):
        run.load(tmp_path)


def test_other_texts_and_unknown_words_are_refused(whole, fit, tmp_path):
    with pytest.raises(UserError, match="text: expected a car, got a red car"):
        fit(whole[0], text="a car")
    with pytest.raises(UserError, match="does not know zebra"):
        fit(tmp_path, text="a zebra")
    other = dataclasses.replace(CONFIG, guidance=3.0)
    with pytest.raises(UserError, match=r"settings\.guidance: expected 3\.0"):
        fit(whole[0], config=other)


def test_a_third_stage_at_a_higher_resolution(fit, prior, larger, tmp_path):
    config = dataclasses.replace(CONFIG, static=1, dynamic=0, super_steps=1)
    out = tmp_path / "scene"
    report, said = fit(out, config=config, super_resolution=larger)
    assert 0 < report["opacity"] < 1 and "1 iterations at 16 x 16 pixels" in said
    assert run.load(out)[1] == config
    with pytest.raises(UserError, match="--super-resolution PRIOR and --super-steps N"):
        fit(tmp_path, super_resolution=larger)
    with pytest.raises(UserError, match="--super-resolution PRIOR and --super-steps N"):
        fit(tmp_path, config=config)
    with pytest.raises(UserError, match="is no prior of super-resolution"):
        fit(tmp_path, config=config, super_resolution=prior)
    other = shutil.copytree(larger, tmp_path / "other")
    settings = (larger / "config.json").read_text()
    settings = settings.replace('"upsampling": 2', '"upsampling": 4')
    (other / "config.json").write_text(settings)
    expected = "3 frames of 4 x 4 pixels, but the other prior has 3 of 8 x 8"
    with pytest.raises(UserError, match=expected):
        fit(tmp_path, config=config, super_resolution=other)
