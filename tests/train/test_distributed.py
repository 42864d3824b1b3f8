"""One run on several hosts: here, processes that find one another over TCP."""

import json
import re
import signal
import socket
import subprocess
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

from dyso.reading import Dataset
from dyso.spec import UserError
from dyso.train import checkpoints
from dyso.train.data import Scenes
from dyso.train.run import train
from dyso.train.step import join

# Enough that the run is not over when the signal, asked for each second, is seen.
STEPS = 100


def losses(workdir):
    text = (workdir / "metrics.jsonl").read_text()
    metrics = map(json.loads, text.splitlines())
    return [line["scenes/loss"] for line in metrics if "scenes/loss" in line]


@contextmanager
def two_processes(start):
    """Gives two processes of one run, of which the first has made a step.

    Args:
      start: the command without what each adds to it.
    """
    with ExitStack() as stack:
        # Kept, so that nobody else is given the port; the run binds to it as well.
        port = stack.enter_context(socket.socket())
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        port.bind(("localhost", 0))
        address = f"localhost:{port.getsockname()[1]}"
        both = [
            subprocess.Popen(
                [*start, "--distributed", f"{address},{number},2"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(2)
        ]
        for process in both:
            stack.enter_context(process)
            stack.callback(process.kill)
        lines = iter(both[0].stdout.readline, "")
        assert any(re.match(r"step 1/\d+, scenes loss 0\.", line) for line in lines)
        yield both


@pytest.mark.slow
def test_two_processes_train_as_one_and_stop_together(command, trained_on, tmp_path):
    two, one = tmp_path / "two", tmp_path / "one"
    with two_processes(command(two, "--training.steps", str(STEPS))) as both:
        both[1].send_signal(signal.SIGTERM)
        ends = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [130, 130], ends
    stops = {err.splitlines()[-1] for _, err in ends}
    assert len(stops) == 1 and "run the same command to resume" in stops.pop()
    assert "step" not in ends[1][0]  # the first one reports
    config = checkpoints.load_config(two)
    assert 1 <= checkpoints.load_params(two, config)[0] < STEPS

    source = Scenes(split=Dataset(trained_on)["train"], config=config)
    for workdir in (two, one):
        assert train(config, workdir, source) == STEPS
    np.testing.assert_allclose(losses(two), losses(one), rtol=1e-4)


@pytest.mark.slow
def test_the_first_says_in_a_line_that_another_is_gone(command, tmp_path):
    with two_processes(command(tmp_path, "--training.steps", "100000")) as both:
        both[1].kill()
        _, err = both[0].communicate(timeout=60)
    assert both[0].returncode == 1, err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("distributed: the run lost one of its proc")
    assert err.endswith("on all hosts to resume from the last checkpoint\n")


@pytest.mark.parametrize("run", ["", "host,0,2", "host:1,2,2", "host:1,0", "host:1"])
def test_who_takes_part_is_checked(run):
    with pytest.raises(UserError, match="expected `auto` or HOST:PORT,NUMBER"):
        join(run)
