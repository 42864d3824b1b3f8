"""The scripts of docs/examples run on a small dataset and print what is true of it."""

import csv
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh

from dyso.cli import score
from dyso.records.synthetic import synthetic_views
from helpers.dataset_writer import write_dataset
from helpers.manual import ROOT

EXAMPLES = ROOT / "docs/examples"
pytestmark = pytest.mark.slow


@pytest.fixture
def example(place, monkeypatch, capsys):
    """A function that runs a script on the dataset and returns what it printed."""

    def run(name, *args):
        monkeypatch.setattr(sys, "argv", [name, "data/demo", *map(str, args)])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_every_script_is_on_the_page_and_tested():
    page = (ROOT / "docs/examples.md").read_text()
    here = {path.stem for path in EXAMPLES.glob("*.py")}
    assert set(re.findall(r"examples/(\w+)\.py", page)) == here
    tested = {name.removeprefix("test_") for name in globals()}
    assert here <= tested


def test_training_loop(example):
    out = example("training_loop")
    assert out.count("(2, 5, 96, 96, 3)") == 4
    assert out.endswith("a new loader continues with the same batch\n")


def test_pytorch_training(example):
    pytest.importorskip("torch")
    out = example("pytorch_training")
    assert out.count("(2, 7, 96, 96, 3)") == out.count("epoch") >= 4
    assert len(set(re.findall(r"views (.*)", out))) > 2


def test_point_cloud(example, tmp_path):
    out = tmp_path / "points.ply"
    assert example("point_cloud", out).startswith(f"{out}: ")
    cloud = trimesh.load(out)
    # On or above the floor, and no longer than the object, which is 2 m.
    assert len(cloud.vertices) > 100 and cloud.vertices[:, 2].min() > -0.01
    assert np.linalg.norm(cloud.extents) < 2 * np.sqrt(3)


def test_flow_between_views(example):
    [(before, after)] = re.findall(
        r"colours: ([\d.]+) before warping, ([\d.]+) after",
        example("flow_between_views"),
    )
    assert float(after) < float(before) / 2


def test_camera_paths(example):
    out = example("camera_paths")
    assert len(re.findall(r"^scene_\d: (\w+), path", out, re.MULTILINE)) == 4
    assert out.count("  at [") == 20


def test_transfer(make_resolved, tmp_path, monkeypatch, capsys):
    twins = make_resolved(
        splits={"test": 4}, resolution=(16, 16), twins=("cameras", "dynamics")
    )
    data = write_dataset(tmp_path / "data", twins, synthetic_views)
    script, tasks = EXAMPLES / "transfer.py", tmp_path / "tasks"
    monkeypatch.setattr(sys, "argv", [str(script), str(data), str(tasks)])
    runpy.run_path(str(script), run_name="__main__")
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert len(rows) == 8 and {row["pairs"] for row in rows} == {"2"}
    scores = {(r["camera"], r["dynamics"]): float(r["psnr"]) for r in rows}
    assert scores["target", "target"] == 100
    assert scores["own", "own"] == scores["own", "twin"] > scores["unrelated", "own"]
    assert sorted(path.name for path in tasks.glob("*.npz")) == [
        f"{number:04}.npz" for number in range(4)
    ]


def test_write_predictions(example, tmp_path, capsys):
    assert example("write_predictions", tmp_path).endswith(": 1 scenes\n")
    score.main((tmp_path,), data=Path("data/demo"))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    scores = {line[0]: float(line[1]) for line in lines[1:] if len(line) == 2}
    assert 10 < scores["psnr"] < 35 and 0 < scores["depth_abs_rel"] < 0.5
    assert scores["track_3d_mte"] > 0 and 0 < scores["track_2d_aj"] < 0.9


def test_tensorflow_input(place):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "tensorflow_input.py"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(2, 3, 96, 96, 3) (2, 4, 96, 96, 3)") == 2
