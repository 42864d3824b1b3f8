"""Commands as people run them, and the processes that they start."""

import contextlib
import os
import subprocess
import sys
import uuid
from pathlib import Path

from helpers.waiting import SECONDS, wait_for

SPEC = """
name: tiny
splits: {train: 5, test: 1}
resolution: [16, 16]
objects: {held_out: 0.2}
dynamics: {steps: 2}
cameras: {count: 2}
render: {samples: 1, denoise: false}
max_failed: 0.5
"""


class Command:
    """A `dyso` command in a process, with the processes that it starts."""

    def __init__(self, *args, before=(), first="", **environment):
        """Starts it.

        Args:
          args: of the command.
          before: a command that becomes this one, such as `unshare`.
          first: Python to run in it first.
          environment: its variables, in addition to ours.
        """
        self.tag = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [*before, sys.executable, "-c", f"{first}from dyso.cli import main; main()"]
            + [str(arg) for arg in args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment, "DYSO_TEST_TAG": self.tag},
        )

    def workers(self):
        """Returns the ids of its worker processes."""
        parents = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                mine = self.tag.encode() in (folder / "environ").read_bytes()
                worker = b"dyso.worker" in (folder / "cmdline").read_bytes()
                if mine and worker:
                    stat = (folder / "stat").read_text()
                    parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
        # What a worker starts is named as it until it has become another program.
        return [each for each, parent in parents.items() if parent not in parents]

    def wait_for(self, condition, seconds=SECONDS):
        """Waits while it runs until a condition holds and returns its value."""

        def met():
            found = condition()
            ended = not found and self.process.poll() is not None
            assert not ended, self.process.communicate(timeout=5)
            return found

        return wait_for(met, seconds=seconds)

    def end(self, seconds=300):
        """Waits for its end; returns the status and what it wrote."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, out, err

    def wait_for_workers_to_end(self, seconds=30):
        """Waits until none of its worker processes is left."""
        wait_for(lambda: not self.workers(), "its workers end", seconds)


def dyso(*args):
    """Runs a command to its end; returns the status and what it wrote."""
    return Command(*args).end()
