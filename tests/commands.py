"""Commands as people run them, and the processes that they start."""

import contextlib
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path


def wait_until(condition, seconds=120):
    """Waits until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Command:
    """`dyso ...` as people run it, and the processes that it starts."""

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
        """Gives the ids of its worker processes."""
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

    def wait_for(self, condition, seconds=180):
        """Waits while it runs."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, "it takes too long"
            assert self.process.poll() is None, self.process.communicate(timeout=5)
            time.sleep(0.05)
        return found

    def end(self, seconds=300):
        """Waits for its end; gives the status and what it wrote."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, out, err

    def is_gone(self, seconds=15):
        """Says whether none of its worker processes outlives it for long."""
        deadline = time.monotonic() + seconds
        while self.workers() and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.workers()
