import functools
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from dyso.cli import status
from dyso.pipeline import Job, local_flags, run
from dyso.pipeline.output_folder import open_output
from dyso.pipeline.output_settings import shards_of
from dyso.spec import Render, UserError
from dyso.storage import open_folder
from helpers.instant_renderer import InstantRenderer
from helpers.waiting import wait_for


@pytest.fixture
def small(make_resolved):
    return make_resolved(
        splits={"train": 4}, resolution=(8, 8), render=Render(samples=1)
    )


def test_a_job_is_seen_from_another_process_until_it_is_complete(
    small, tmp_path, capsys
):
    output = tmp_path / "data"
    renderer = functools.partial(InstantRenderer, gate=tmp_path)
    job = Job(resolved=small, output=open_folder(output), renderer=renderer)
    thread = threading.Thread(target=run, args=(job, local_flags(1)))
    thread.start()
    try:
        wait_for((output / ".work" / "progress.json").exists)
        command = [sys.executable, "-c", "from dyso.cli import main; main()"]
        seen = subprocess.run(
            [*command, "status", output], capture_output=True, text=True, timeout=60
        )
        assert seen.returncode == 0, seen.stderr
        first, second, by = seen.stdout.splitlines()
        assert first == f"{output}: running"
        assert second == "0 of 4 scenes (0.0%), 0 failed, 0.00 GB"
        assert by.startswith(f"process {os.getpid()} on {socket.gethostname()}, ")
    finally:
        (tmp_path / "go").touch()
        thread.join(60)
    assert status.main(str(output)) == 0
    assert f"{output}: complete\n4 of 4 scenes (100.0%), 0 failed" in (
        capsys.readouterr().out
    )


def test_a_job_without_updates_is_reported_as_silent(small, tmp_path, capsys):
    output = tmp_path / "data"
    with open_output(small, open_folder(output)) as work:
        shards_of(work, small)
        state = {"state": "running", "message": "", "planned": 4, "rendered": 1}
        state |= {"failed": {"crash": 1}, "bytes": 10**9, "core_seconds_a_scene": 5.25}
        state |= {"scenes_a_minute": 2.0, "seconds_left": 60, "host": "far", "pid": 7}
        for age, expected in ((10, 0), (1000, 1)):
            text = json.dumps({**state, "updated": time.time() - age})
            work.output.write(".work/progress.json", text.encode())
            assert status.main(str(output)) == expected
    alive, silent = capsys.readouterr().out.split(f"{output}: ")[1:]
    assert alive.startswith("running\n2 of 4 scenes (50.0%), 1 (1 crash) failed, 1.00")
    assert "5.25 core-seconds per scene, 2.0 scenes per minute, 0:01:00 left" in alive
    assert silent.startswith("silent\n")
    assert "process 7 on far, last update 0:16:40 ago" in silent
    assert "run the same command to resume" in silent


def test_a_folder_without_a_job_is_a_one_line_error(tmp_path):
    with pytest.raises(UserError, match="no job of dyso has written here"):
        status.main(str(tmp_path))
