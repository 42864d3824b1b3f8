import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dyso import records
from dyso.cli import generate
from dyso.spec import UserError
from helpers.commands import SPEC, Command, dyso

ROOT = Path(__file__).parents[2]


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC)
    return path


def finished_parts(out):
    return list(out.glob(".work/*/*.json"))


def all_records(out):
    return {
        split: [r for path, _ in shards for r in records.read_shard(path)]
        for split, shards in records.read_splits(out).items()
    }


@pytest.mark.slow
def test_a_stopped_and_resumed_job_makes_the_same_dataset(spec, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    status, out, err = dyso("generate", spec, "--out", whole, "--workers", 1)
    assert status == 0, err
    assert "6 of 6 scenes rendered, 0 failed" in out
    assert f"next: dyso preview {whole}" in out
    assert re.search(r"^0/6 scenes .* elapsed, starting Blender, 0 failed$", err, re.M)
    assert re.search(r"6/6 scenes .* 100%, .* elapsed, .* left, [\d.]+/", err)
    assert " 0.0/" not in err

    # Killed outright: nothing of ours can run, and still no worker stays.
    run = Command(
        "generate", spec, "--out", broken, "--workers", 2, "--scenes-per-part", 1
    )
    run.wait_for(lambda: len(finished_parts(broken)) >= 1)
    assert run.workers()
    run.process.kill()
    run.end()
    run.wait_for_workers_to_end()
    assert not list(broken.glob("*.array_record*"))

    # Told to end: prompt, and it says how to go on.
    kept = {path: path.stat().st_mtime_ns for path in finished_parts(broken)}
    run = Command(
        "generate", spec, "--out", broken, "--workers", 2, "--scenes-per-part", 2
    )
    run.wait_for(run.workers)
    run.process.send_signal(signal.SIGTERM)
    start = time.monotonic()
    status, out, err = run.end()
    assert time.monotonic() - start < 10
    assert status == 130 and "run the same command to resume" in err
    assert not run.workers()
    assert kept == {path: path.stat().st_mtime_ns for path in kept}

    # The Beam entry is the same job.
    command = [sys.executable, ROOT / "beam_pipeline.py", "--spec", spec]
    done = subprocess.run(
        [*command, "--output", broken], capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    assert "6 of 6 scenes, 0 failed" in done.stdout
    assert all_records(broken) == all_records(whole)
    assert sorted(p.name for p in broken.iterdir()) == sorted(
        p.name for p in whole.iterdir()
    )


@pytest.mark.slow
def test_ctrl_c_ends_at_once_and_says_how_to_resume(spec, tmp_path):
    run = Command("generate", spec, "--out", tmp_path / "data")
    run.wait_for(run.workers)
    run.process.send_signal(signal.SIGINT)
    status, _, err = run.end(seconds=15)
    assert status == 130
    assert "run the same command to resume" in err and "Traceback" not in err
    assert not run.workers()


def test_bad_input_is_reported_before_anything_is_written(spec, tmp_path):
    spec.write_text(SPEC.replace("steps: 2", "steps: two"))
    with pytest.raises(UserError, match=r"tiny.yaml:6: dynamics.steps"):
        generate.main(spec, out=tmp_path / "data")
    spec.write_text(SPEC)
    for option in ("workers", "limit", "scenes_per_part", "scenes_per_shard"):
        with pytest.raises(UserError, match=f"{option}: must be"):
            generate.main(spec, out=tmp_path / "data", **{option: 0})
    assert not (tmp_path / "data").exists()
