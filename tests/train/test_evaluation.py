"""Reports: what is measured, on which views, and how its latents were obtained."""

import dataclasses
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from dyso import geometry
from dyso.cli import evaluate as command
from dyso.reading import Dataset
from dyso.spec import UserError
from dyso.train import checkpoints
from dyso.train.data import Scenes
from dyso.train.evaluation import evaluate, quick
from dyso.train.evaluation_views import batches, read
from dyso.train.labels import LINE
from dyso.train.latent_sources import choose, crop, main_row, partners, table_rows
from dyso.train.latent_swap import recombine
from dyso.train.metrics import MEASURES, psnr
from dyso.train.pictures import pictures
from dyso.train.poses import estimate_poses
from dyso.train.predict import Predictor
from dyso.train.run import train
from dyso.train.step import init_params


@pytest.fixture(scope="module")
def workdir(small, trained_on, tmp_path_factory):
    """A run of six steps."""
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    scenes = Scenes(split=Dataset(trained_on)["train"], config=small)
    assert train(small, folder, scenes) == 6
    return folder


@pytest.fixture(scope="module")
def predictor(small, workdir):
    return Predictor(small, checkpoints.load_params(workdir, small)[1])


@pytest.fixture
def static(changed):
    """Settings of models of static scenes."""

    def change(model, **training):
        run = {"inputs": 2, "targets": 3, "static": True, "control": "none"}
        return changed(model, **run, **training)

    return change


def few(config, split, count):
    scenes = Scenes(split=split, config=config)
    return batches(lambda index: read(scenes, index), [0], count)


def untrained(config):
    return Predictor(config, init_params(config))


def test_a_report_of_a_small_run(workdir, trained_on, capsys):
    assert command.main(workdir, data=trained_on, scenes=3) == 0
    first = (workdir / "evaluation.json").read_text()
    found = json.loads(first)
    assert found["scenes"] == 3 and found["run"]["step"] == 6
    assert found["data"]["hash"] == Dataset(trained_on).resolved.hash
    assert found["skipped"].keys() == {"lpips"}

    rows = {(row["camera"], row["dynamics"]): row for row in found["views"]}
    assert len(rows) == 9
    for (camera, dynamics), row in rows.items():
        assert row["sees_what_is_scored"] == ("target" in (camera, dynamics))
        assert 0 < row["psnr"] < 40 and -1 <= row["ssim"] <= 1
        assert row["psnr_error"] > 0
    assert rows["matching", "matching"]["how"] == (
        "camera latent from the other target with the same camera; "
        "dynamics latent from the other target with the same dynamics"
    )
    assert found["contrastiveness"]["R_cam"] > 0
    assert found["contrastiveness"]["R_dyn_both_differ"] > 0
    floors = found["floors"]
    assert len(floors) == 7 and all("how" in floor for floor in floors.values())
    assert floors["untrained"]["psnr"] > 0 and floors["untrained"]["R_dyn"] > 0
    assert floors["untrained"]["probes"].keys() == found["probes"].keys()
    assert found["probes"]["camera"]["camera_position"]["r2"] <= 1
    assert len(found["probes"]["dynamics"]) == 8
    for name in ("R_cam", "R_dyn"):
        assert 0 < found["contrastiveness"][f"{name}_median"] < 5
        assert found["contrastiveness"][f"{name}_triples"] == 25 * 4 * 4
        by_pattern = found["contrastiveness"][f"{name}_by_pattern"].values()
        assert sum(own["scenes"] for own in by_pattern) == 3
        mean = sum(own["scenes"] * own[name] for own in by_pattern) / 3
        assert found["contrastiveness"][name] == pytest.approx(mean)
    for name in ("camera", "dynamics"):
        matrix = np.array(found["distances"][name]["matrix"])
        assert matrix.shape == (25, 25)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-5)
        assert found["distances"][name]["same_camera"] > 0
        assert np.shape(found["pca"][name]["components"]) == (8, 8)
        assert sum(found["pca"][name]["explained"]) == pytest.approx(1)
    assert found["distances"]["views"][:2] == [[0, 0], [0, 1]]

    page = (workdir / "evaluation.html").read_text()
    sources = re.findall(r'src="([^"]{0,30})', page)
    assert len(sources) > 3 * (3 + 1 + 9)
    assert all(own.startswith("data:image/webp;base64,") for own in sources)
    assert "http:" not in page and "https:" not in page
    assert "the other target with the same camera" in page
    assert "blind to dynamics" in page and "Linear probes" in page
    said = capsys.readouterr().out
    assert "PSNR" in said and "R_cam" in said and "no LPIPS: needs weights" in said

    sizes = {
        "examples": (8, 3),  # 3 inputs, target, 4 ways to decode it; scenes
        "recombined": (10, 5),
        "components": (7, 6),  # 3 of each latent
        "distances": (8, 4),  # two maps of 4 x 64 pixels
    }
    for name, (columns, rows) in sizes.items():
        with Image.open(workdir / f"{name}.png") as sheet:
            assert 0 < sheet.width - columns * 64 < 150, name
            assert sheet.height == rows * 64 + LINE, name

    again = workdir / "again"
    command.main(workdir, data=trained_on, scenes=3, out=again)
    assert (again / "evaluation.json").read_text() == first


def test_figures_are_those_of_swapped_and_of_own_latents(small, trained_on):
    split, params = Dataset(trained_on)["test"], init_params(small)
    # So that latents differ, and what is decoded depends on them.
    params["estimator"] = jax.tree.map(lambda own: 3 * own, params["estimator"])
    params["decoder"]["query_latents"]["kernel"] *= 10
    predictor = Predictor(small, params)
    found = evaluate(predictor, split, 4, {"psnr": MEASURES["psnr"]})
    by_source = {
        (row["camera"], row["dynamics"]): row["psnr"] for row in found.figures["views"]
    }
    scenes = Scenes(split=split, config=small)
    [(batch, _)] = batches(lambda index: read(scenes, index), [0], 4)
    scene = predictor.encode(batch["inputs"])
    decoded, true = found.recombinations[0]
    assert decoded.shape == true.shape == (5, 5, 16, 16, 3)
    views = batch["grid"][0].reshape(5, 5, 16, 16, 3)
    np.testing.assert_allclose(true, views / 255, atol=1e-6)
    grid = predictor.estimate(batch["grid"], scene)
    # Camera 3 and step 2: from the first step's view, and from the first camera's.
    mixed = {"camera": grid["camera"][:1, 15:16], "dynamics": grid["dynamics"][:1, 2:3]}
    expected = predictor.decode(mixed, scene[:1])[0, 0]
    np.testing.assert_allclose(decoded[3, 2], expected, atol=1e-5)
    own = jax.tree.map(jnp.asarray, predictor.estimate(batch["targets"], scene))
    values = {}
    for control in ("swap", "none"):
        ids = jnp.asarray(batch["cameras"]), jnp.asarray(batch["dynamics"])
        chosen = recombine(own, *ids, control, jnp.full(len(ids[0]), True))
        image = predictor.decode(chosen, scene)
        true = batch["targets"].reshape(-1, 16, 16, 3) / 255
        values[control] = psnr(true, image.reshape(true.shape)).mean()
    assert by_source["matching", "matching"] == pytest.approx(values["swap"], abs=1e-4)
    assert by_source["target", "target"] == pytest.approx(values["none"], abs=1e-4)
    assert abs(values["swap"] - values["none"]) > 1e-3


def test_quick_figures_are_those_of_the_report(predictor, static, trained_on):
    split = Dataset(trained_on)["test"]
    report = evaluate(predictor, split, 3, {"psnr": MEASURES["psnr"]}).figures
    found = quick(predictor, few(predictor.config, split, 3))
    assert list(found) == ["psnr", "R_cam", "R_dyn", "R_cam_median", "R_dyn_median"]
    [row] = [
        row
        for row in report["views"]
        if (row["camera"], row["dynamics"]) == ("matching", "matching")
    ]
    assert found.pop("psnr") == pytest.approx(row["psnr"])
    for name, value in found.items():
        assert value == pytest.approx(report["contrastiveness"][name])
    config = static({"dynamics_latent": 0, "estimator_half": True})
    assert list(quick(untrained(config), few(config, split, 2))) == ["psnr"]
    scored = evaluate(untrained(config), split, 2, {"psnr": MEASURES["psnr"]}).figures
    floors = scored["floors"]
    assert list(floors) == ["untrained", "mean_of_other_cameras"]
    assert floors["untrained"]["psnr"] == pytest.approx(scored["views"][0]["psnr"])
    assert main_row(config).right is False


def test_latents_come_from_where_a_row_says(small):
    ids = {
        "cameras": np.array([[3, 1, 3, 1], [0, 0, 2, 2]]),
        "dynamics": np.array([[2, 2, 4, 4], [1, 0, 1, 0]]),
    }
    tags = np.stack([ids["cameras"], ids["dynamics"]], axis=-1)
    for row in table_rows(small):
        chosen = choose({"camera": tags, "dynamics": tags}, ids, row)
        for place, (name, source) in enumerate(row.latents.items()):
            same = chosen[name] == tags
            assert (same[..., place] == (source != "other")).all()
            assert (same[..., 1 - place] == (source == "target")).all()
    opposite = partners(ids, "camera")["opposite"][..., None]
    other = np.take_along_axis(tags, opposite, axis=1)
    assert (other[..., 0] != tags[..., 0]).all()
    assert (other[..., 1] == tags[..., 1]).all()


def test_every_model_is_measured_on_the_same_views(small, changed, trained_on):
    split = Dataset(trained_on)["test"]
    wide = changed({"camera_latent": 3}, seed=7, control="none")
    for index in range(4):
        one, other = (
            read(Scenes(split=split, config=config), index) for config in (small, wide)
        )
        for name, own in one.items():
            np.testing.assert_array_equal(own, other[name])
    assert not np.array_equal(one["grid"][0], one["grid"][-1])


def test_batches_are_full_and_give_every_scene_once():
    read_one = lambda index: {"index": np.array(index)}  # noqa: E731
    found = list(batches(read_one, range(0, 6, 4), 6))
    assert [batch["index"].tolist() for batch, _ in found] == [
        [0, 1, 2, 3],
        [4, 5, 5, 5],
    ]
    assert [new for _, new in found] == [4, 2]


def test_static_models_are_scored_on_the_half_they_do_not_see(static, trained_on):
    config = static({"dynamics_latent": 0, "estimator_half": True})
    left, right = table_rows(config)
    assert (left.seen, right.seen) == (False, True)
    assert "left half of the target" in left.how

    predictor, split = untrained(config), Dataset(trained_on)["test"]
    evaluation = evaluate(predictor, split, 2, MEASURES)
    found = evaluation.figures
    drawn = pictures(found, evaluation)
    assert drawn.keys() == {"examples", "distances", "components"}
    assert 0 < drawn["examples"].width - 5 * 64 < 100  # 2 inputs, target, by each half
    assert [row["scored"] for row in found["views"]] == ["right half"] * 2
    assert found["skipped"]["ssim"].startswith("needs 11 pixels")
    assert found["contrastiveness"] == {}
    assert np.shape(found["distances"]["camera"]["matrix"]) == (5, 5)
    images = np.arange(2 * 16 * 16 * 3).reshape(1, 2, 16, 16, 3)
    np.testing.assert_array_equal(crop(images, left), images[0, :, :, 8:])


@pytest.mark.slow
def test_a_head_learns_the_poses_of_the_scenes_that_it_sees(static, trained_on):
    config = static({"dynamics_latent": 0, "estimator_half": True})
    split = Dataset(trained_on)["train"]
    predictor = untrained(config)
    some, more = (
        estimate_poses(predictor, split, split, 8, steps) for steps in (2, 150)
    )
    assert more["mse"] < 0.8 * some["mse"]
    assert more["scenes"] == more["training_scenes"] == 8
    assert "left halves" in more["how"]


def test_posed_models_are_told_true_target_poses(static, trained_on):
    model = {"input_poses": True, "target_poses": "given"}
    exact, noisy = (static(model, pose_noise=noise) for noise in (0.0, 0.1))
    split = Dataset(trained_on)["test"]
    one, other = (
        read(Scenes(split=split, config=config), 1)["extrinsics"]
        for config in (exact, noisy)
    )
    np.testing.assert_allclose(other[[0, 2, 3, 4]], one[[0, 2, 3, 4]], atol=1e-5)
    moved = geometry.invert(other[1])[:, 3] - geometry.invert(one[1])[:, 3]
    assert 0.01 < np.linalg.norm(moved) < 1

    evaluation = evaluate(untrained(exact), split, 2, {"psnr": MEASURES["psnr"]})
    found = evaluation.figures
    assert pictures(found, evaluation).keys() == {"examples"}
    assert [row["scored"] for row in found["views"]] == ["whole", "right half"]
    assert found["views"][0]["how"] == "the target's true pose; no latents"
    assert not found["distances"] and not found["pca"]


def test_other_datasets_are_refused(workdir, predictor, trained_on, tmp_path):
    with pytest.raises(UserError, match="no split"):
        command.main(workdir, data=trained_on, split="dev")
    with pytest.raises(UserError, match="no run of `dyso train`"):
        command.main(tmp_path, data=trained_on)
    model = dataclasses.replace(predictor.config.model, resolution=(32, 32))
    large = Predictor(dataclasses.replace(predictor.config, model=model), None)
    with pytest.raises(UserError, match="has 16 x 16, the model 32 x 32"):
        evaluate(large, Dataset(trained_on)["test"], 2, MEASURES)
