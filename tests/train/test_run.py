"""Runs: the same losses however often they were stopped."""

import dataclasses
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import UserError
from dyso.train import checkpoints
from dyso.train.data import Scenes
from dyso.train.evaluation import evaluate
from dyso.train.labels import LINE
from dyso.train.metrics import MEASURES
from dyso.train.predict import Predictor
from dyso.train.run import is_video, train
from dyso.train.step import (
    devices_mesh,
    init_state,
    make_step,
    place,
    repeated,
    schedule,
)
from helpers.dataset_writer import write_dataset


def lines(workdir):
    """The metrics that do not depend on the time."""
    timed = ("steps_per_second", "loader_share", "seconds_left")
    text = (workdir / "metrics.jsonl").read_text()
    return [
        {k: v for k, v in json.loads(line).items() if k not in timed}
        for line in text.splitlines()
    ]


def params_of(workdir, config):
    step, params = checkpoints.load_params(workdir, config)
    return step, jax.tree.leaves(params)


@pytest.fixture(scope="module")
def undisturbed(small, trained_on, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole") / "run"
    assert train(small, workdir, scenes(small, trained_on)) == 6
    return workdir


def scenes(config, folder):
    return Scenes(split=Dataset(folder)["train"], config=config)


def test_a_run_leaves_metrics_checkpoints_and_pictures(undisturbed, small):
    found = lines(undisturbed)
    assert [line["step"] for line in found] == [2, 4, 6]
    assert found[-1]["scenes/loss"] < found[0]["scenes/loss"]
    psnr = -10 * np.log10(found[0]["scenes/loss"])
    assert found[0]["scenes/psnr"] == pytest.approx(psnr)
    with Image.open(undisturbed / "samples" / "00000006.png") as image:
        picture = np.asarray(image)
    left = picture.shape[1] - 64 * (3 + 4 + 3 * 4)
    assert picture.shape[0] == LINE + 4 * 64 and left > 40
    for at in range(19):  # every column has a name, and every row
        assert picture[:LINE, left + 64 * at :][:, :64].max() > 150
    for at in range(4):
        assert picture[LINE + 64 * at :][:64, :left].max() > 150
    assert list((undisturbed / "tensorboard").glob("events*"))
    assert params_of(undisturbed, small)[0] == 6
    training = dataclasses.replace(small.training, decay_steps=6)
    config = dataclasses.replace(small, training=training)
    assert checkpoints.load_config(undisturbed) == config


KILLED = """
import os, pickle, signal, sys
from pathlib import Path
from dyso.train import run

config, source, after = pickle.loads(bytes.fromhex(sys.argv[2]))
place, steps = run.place, 0

def counted(*args):
    global steps
    if steps == after:
        os.kill(os.getpid(), signal.SIGKILL)
    steps += 1
    return place(*args)

run.place = counted
run.train(config, Path(sys.argv[1]), source)
"""


@pytest.mark.slow
def test_a_run_killed_at_any_step_goes_on_to_the_bit(
    undisturbed, small, trained_on, tmp_path
):
    """Killed after each of its steps, with a checkpoint every second one."""
    workdir = tmp_path / "run"
    source = scenes(small, trained_on)
    for after in (1, 3, 9):
        data = pickle.dumps((small, source, after)).hex()
        done = subprocess.run(
            [sys.executable, "-c", KILLED, workdir, data],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
    assert done.returncode == 0
    assert lines(workdir) == lines(undisturbed)
    for one, other in zip(
        params_of(workdir, small)[1], params_of(undisturbed, small)[1], strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_same_command_goes_on(command, tmp_path, number):
    workdir = tmp_path / "run"
    process = subprocess.Popen(
        command(workdir, "--training.steps", "100000"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = process.stdout.readline()
    assert first.startswith("step 1/100000, scenes loss 0.")
    # It has started itself again, with large pages, and is the same process.
    environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
    assert b"GLIBC_TUNABLES=glibc.malloc.hugetlb=1" in environment
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    # All that it says there: no library's warnings.
    start, *between, last = err.splitlines()
    assert start.startswith("dyso train: loading JAX and ")
    assert f"{workdir}: a new run" in between
    known = (
        r"  \d+ s|initialising the|compiling the step on scenes|stopping after this|"
        r"decoding the scenes to|.*new"
    )
    assert all(re.match(known, line) for line in between if line), err
    end = re.fullmatch(
        r"stopped at step (\d+); run the same command to resume from step \1", last
    )
    assert end, err
    stopped = int(end[1])
    config = checkpoints.load_config(workdir)
    assert params_of(workdir, config)[0] == stopped >= 1


@pytest.mark.slow
def test_ctrl_c_ends_within_seconds_while_xla_compiles(command, tmp_path):
    deep = ["--model.encoder-layers", "40", "--model.estimator-layers", "20"]
    process = subprocess.Popen(
        command(tmp_path / "run", *deep),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"},
    )
    lines = iter(process.stderr.readline, "")
    assert next(lines).startswith("dyso train: loading JAX and ")
    # Its first program takes minutes; it says that it lives.
    assert next(lines) == "initialising the parameters\n"
    assert re.fullmatch(r"  1\d s\n", next(lines))
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - sent < 10
    assert process.returncode == 130
    assert err.splitlines()[-1] == "stopped at step 0; no step done"


def test_a_damaged_checkpoint_gives_way_to_an_older_one(
    undisturbed, small, trained_on, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed, workdir)
    (workdir / "checkpoints" / "8").mkdir()
    largest = max(
        (workdir / "checkpoints" / "6").rglob("*"), key=lambda path: path.stat().st_size
    )
    flip(largest, 8 * largest.stat().st_size // 2)
    metrics = workdir / "metrics.jsonl"
    metrics.write_text(metrics.read_text()[:-30])
    told = []
    step, _ = checkpoints.load_params(workdir, small, told.append)
    assert step == 4
    assert [line.partition(" (")[0] for line in told] == [
        "checkpoint 8 is damaged",
        "checkpoint 6 is damaged",
    ]
    assert all(line.endswith("): step 4 is used") for line in told)

    told.clear()
    assert train(small, workdir, scenes(small, trained_on), tell=told.append) == 6
    assert any("checkpoint 8 is damaged" in line for line in told)
    assert any("metrics.jsonl: 1 lines cannot be read" in line for line in told)
    assert f"{workdir}: resumes from step 4" in told
    assert lines(workdir) == lines(undisturbed)
    for one, other in zip(
        params_of(workdir, small)[1], params_of(undisturbed, small)[1], strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert sorted(path.name for path in (workdir / "damaged").iterdir()) == ["6", "8"]


def test_where_no_checkpoint_is_whole_nothing_is_begun_anew(
    undisturbed, small, trained_on, tmp_path
):
    shutil.copytree(undisturbed, tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints").glob("*/data/metadata"):
        path.unlink()
    for use in (
        lambda: checkpoints.load_params(tmp_path / "run", small),
        lambda: train(small, tmp_path / "run", scenes(small, trained_on)),
    ):
        with pytest.raises(
            UserError, match=r"no checkpoint is whole .* remove"
        ) as error:
            use()
        assert "\n" not in str(error.value)


def flip(path, bit):
    """Flips one of a file's bits."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


@pytest.mark.slow
def test_a_flipped_bit_is_noticed_or_changes_nothing(undisturbed, small, tmp_path):
    rng = np.random.default_rng(0)
    whole = params_of(undisturbed, small)[1]
    noticed = 0
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed / "checkpoints" / "6", workdir / "checkpoints" / "6")
    files = [path for path in workdir.rglob("*") if path.is_file()]
    sizes = np.array([path.stat().st_size for path in files])
    for _ in range(20):
        # Half of them in any file, half in proportion to the files' sizes.
        weights = rng.choice([sizes / sizes.sum(), (sizes > 0) / (sizes > 0).sum()])
        at = rng.choice(len(files), p=weights)
        bit = int(rng.integers(8 * sizes[at]))
        flip(files[at], bit)
        try:
            step, params = checkpoints.load_params(workdir, small)
        except UserError as error:
            assert "no checkpoint is whole" in str(error)
            noticed += 1
        else:
            assert step == 6
            for one, other in zip(jax.tree.leaves(params), whole, strict=True):
                np.testing.assert_array_equal(one, other)
        flip(files[at], bit)
    assert noticed > 7
    assert params_of(workdir, small)[0] == 6


def test_what_stops_a_run_is_named_with_its_step(small, trained_on, tmp_path, changed):
    config = changed(abort_norm=1e-9)
    with pytest.raises(UserError, match=r"step 1: .* above training\.abort_norm"):
        train(config, tmp_path / "run", scenes(config, trained_on))
    assert not list((tmp_path / "run" / "checkpoints").glob("[0-9]*"))


def test_another_runs_folder_is_refused(undisturbed, changed, trained_on):
    config = changed(seed=5, learning_rate=0.5)
    told = (
        r"training.learning_rate: expected 0.01, got 0.5; "
        r"training.seed: expected 0, got 5"
    )
    with pytest.raises(UserError, match=told):
        train(config, undisturbed, scenes(config, trained_on))


def test_a_run_can_be_lengthened_and_what_changes_no_step_may_differ(
    undisturbed, small, trained_on, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed, workdir)
    training = dataclasses.replace(small.training, steps=12, micro_batch=2)
    config = dataclasses.replace(
        small,
        training=training,
        model=dataclasses.replace(small.model, remat="dots"),
        **{"log_every": 1, "save_every": 1, "keep_every": 4, "evaluate_every": 3},
        **{"evaluate_scenes": 3, "sample_every": 12},
    )
    source = scenes(config, trained_on)
    test = Scenes(split=Dataset(trained_on)["test"], config=config)
    assert train(config, workdir, source, measured_on=test) == 12
    kept = {int(path.name) for path in (workdir / "checkpoints").glob("[0-9]*")}
    assert kept == {4, 8, 10, 11, 12}
    assert checkpoints.load_params(workdir, config, step=8)[0] == 8
    with pytest.raises(
        UserError, match="no checkpoint of step 7; expected one of 4, 8"
    ):
        checkpoints.load_params(workdir, config, step=7)

    found = lines(workdir)
    assert [m["step"] for m in found if "scenes/loss" in m] == [2, 4, *range(6, 13)]
    measured = [line for line in found if "evaluation/psnr" in line]
    assert [line["step"] for line in measured] == [9, 12]
    predictor = Predictor(config, checkpoints.load_params(workdir, config)[1])
    figures = evaluate(predictor, test.split, 3, {"psnr": MEASURES["psnr"]}).figures
    row = next(
        row
        for row in figures["views"]
        if row["camera"] == row["dynamics"] == "matching"
    )
    assert measured[-1]["evaluation/psnr"] == pytest.approx(row["psnr"], rel=1e-4)
    for name in ("R_cam", "R_dyn"):
        expected = figures["contrastiveness"][name]
        assert measured[-1][f"evaluation/{name}"] == pytest.approx(expected, rel=1e-4)

    # The learning rate's decay is still that of the run's beginning.
    begun = checkpoints.load_config(workdir).training
    assert (begun.steps, begun.decay_steps) == (12, 6)
    rate, before = schedule(begun), schedule(small.training)
    assert [float(rate(step)) for step in range(7)] == [
        float(before(step)) for step in range(7)
    ]
    assert float(rate(11)) == pytest.approx(small.training.final_learning_rate)


def test_a_run_on_other_data_is_refused(small, tmp_path):
    data = {"scenes": {"split": "train", "count": 8, "hash": "0123456789abcdef"}}
    checkpoints.begin(tmp_path, small, data)
    checkpoints.begin(tmp_path, small, data)
    for other, told in (
        ({"scenes": data["scenes"] | {"count": 7}}, "expected train 8 .*, got train 7"),
        (data | {"videos": data["scenes"]}, "videos: expected none, got train 8 01234"),
    ):
        with pytest.raises(UserError, match=told) as error:
            checkpoints.begin(tmp_path, small, other)
        assert "\n" not in str(error.value)


def test_a_run_from_before_these_settings_is_resumed(small, tmp_path):
    settings = dataclasses.asdict(small)
    del settings["training"]["decay_steps"], settings["keep_every"]
    settings["model"]["remat"] = False
    (tmp_path / "config.json").write_text(json.dumps(settings))
    training = dataclasses.replace(small.training, steps=60)
    longer = checkpoints.begin(tmp_path, dataclasses.replace(small, training=training))
    assert longer.training.decay_steps == 6


@pytest.fixture(scope="module")
def batch(small, trained_on):
    source = scenes(small, trained_on)
    drawn = [source[index] for index in range(4)]
    return {name: np.stack([each[name] for each in drawn]) for name in drawn[0]}


def test_portions_of_a_batch_give_the_same_step(changed, batch):
    mesh = devices_mesh()
    results = []
    for micro_batch in (0, 2):
        config = changed(micro_batch=micro_batch)
        step = make_step(config, mesh, video=False)
        state = jax.device_put(init_state(config), repeated(mesh))
        state, metrics = step(state, place(batch, mesh), None)
        results.append((metrics["loss"], metrics["gradient_norm"], state.params))
    for whole, *portions in zip(*map(jax.tree.leaves, results), strict=True):
        for portion in portions:
            np.testing.assert_allclose(portion, whole, rtol=2e-4, atol=1e-6)


def test_portions_that_do_not_divide_are_one_line(changed):
    with pytest.raises(UserError, match=r"training\.micro_batch: 4 scenes in portions"):
        make_step(changed(micro_batch=3), devices_mesh(), video=False)


@pytest.mark.parametrize(
    "model, control",
    [
        (
            {"estimator_sees_scene": False, "estimator_attends_to_itself": False},
            "average",
        ),
        (
            {"estimator_gradient": False, "remat": "full", "compute": "bfloat16"},
            "swap",
        ),
    ],
)
def test_every_variant_learns(changed, trained_on, model, control):
    config = changed(model, warmup_steps=0, control=control)
    source, mesh = scenes(config, trained_on), devices_mesh()
    drawn = [source[index] for index in range(4)]
    batch = {name: np.stack([each[name] for each in drawn]) for name in drawn[0]}
    step = make_step(config, mesh, video=False)
    state = jax.device_put(init_state(config), repeated(mesh))
    losses = []
    for _ in range(8):
        state, metrics = step(state, place(batch, mesh), None)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.8 * losses[0]


def test_a_dataset_that_does_not_fit_is_one_line(changed, trained_on):
    for settings, told in (
        ({"inputs": 10}, r"10 of the 3 x 3 that 2 of 5 dynamics steps and 2 of 5"),
        ({"static": True, "inputs": 5, "targets": 3}, "of which the dataset has 5"),
    ):
        with pytest.raises(UserError, match=told):
            scenes(changed(**settings), trained_on)
    with pytest.raises(UserError, match=r"has 16 x 16, .* --model.resolution 16 16"):
        scenes(changed({"resolution": (32, 32)}), trained_on)


@pytest.mark.parametrize("static", [False, True])
def test_videos_are_no_scenes_to_train_on(changed, videos, tmp_path, static):
    folder = write_dataset(tmp_path / "data", videos, synthetic_views)
    run = changed({"resolution": (24, 32)}, static=static, inputs=1, targets=4)
    with pytest.raises(UserError, match="its scenes are videos") as error:
        scenes(run, folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("share, first", [(0.5, [0, 1, 0, 1, 0, 1]), (0, [0] * 6)])
def test_steps_on_videos_are_spread_evenly(share, first):
    assert [is_video(step, share) for step in range(6)] == first
    assert sum(is_video(step, 0.3) for step in range(100)) == 30


def test_poses_are_told_relative_to_the_first_input(changed, trained_on):
    config = changed(
        {"target_poses": "given", "input_poses": True},
        static=True,
        inputs=3,
        targets=2,
        control="none",
    )
    found = scenes(config, trained_on)[0]
    np.testing.assert_allclose(found["extrinsics"][0, :, :3], np.eye(3), atol=1e-6)
    np.testing.assert_allclose(found["extrinsics"][0, :, 3], 0, atol=1e-5)
