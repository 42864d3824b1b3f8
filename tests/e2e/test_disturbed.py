"""Sixty real scenes while everything fails that may fail: the same bytes."""

import functools
import json
import os
import signal
import threading

import numpy as np
import pytest

from dyso.assets import resolve
from dyso.pipeline import Job, local_flags, run
from dyso.render import Renderer
from dyso.spec import Cameras, Dynamics, Render, Spec
from dyso.storage import open_folder
from helpers.job_processes import Process, accounts, files, scenes, shards

SEED = 4
TIMEOUT = 12.0  # seconds for a scene whose worker is stopped
# What happens, each to a scene of its own.
FAULTS = [
    *[("worker", signal.SIGKILL)] * 3,
    *[("worker", signal.SIGSEGV)] * 2,
    *[("worker", signal.SIGSTOP)] * 2,
    *[("job", signal.SIGKILL)] * 2,
    ("job", signal.SIGTERM),
]


@pytest.fixture(scope="module")
def resolved(tmp_path_factory):
    spec = Spec(
        name="disturbed",
        splits={"train": 54, "test": 6},
        resolution=(16, 16),
        dynamics=Dynamics(steps=1),
        cameras=Cameras(count=2),
        render=Render(samples=1, denoise=False),
        max_failed=0.5,
    )
    return resolve(spec, tmp_path_factory.mktemp("spec"))


class Disturbed(Renderer):
    """A real worker's client; faults happen in the middle of some scenes, once each.

    Args:
      faults: {(split, index): (whom, signal, seconds after the scene's begin)}.
      done: a folder for notes of what has happened.
      cpu: as the pipeline passes it.
      options: of the `Renderer`.
    """

    def __init__(self, *, faults, done, cpu=None, **options):
        super().__init__(cpu=cpu, **options)
        self._faults, self._done = faults, done

    def render(self, scene, watch=None):
        harm = self._faults.get((scene.split, scene.index))
        note = self._done / f"{scene.split}-{scene.index}"
        self._timeout = 120.0
        if harm is None or note.exists():
            return super().render(scene)
        whom, sent, delay = harm
        if sent == signal.SIGSTOP:
            self._timeout = TIMEOUT
        over = threading.Event()  # the scene is

        def strike():
            while not over.wait(delay):
                worker = self._worker
                if whom == "job" or worker is not None:
                    note.touch()
                    pid = os.getpid() if whom == "job" else worker._process.pid
                    os.kill(pid, sent)
                    return

        thread = threading.Thread(target=strike, daemon=True)
        thread.start()
        try:
            return super().render(scene)
        finally:
            over.set()
            thread.join(10)


def make(resolved, output, done, faults):
    """Runs the job with two workers, in this process."""
    renderer = functools.partial(
        Disturbed,
        faults=faults,
        done=done,
        objects=resolved.objects.manifest,
        backgrounds=resolved.backgrounds.manifest,
    )
    job = Job(
        resolved=resolved,
        output=open_folder(output),
        renderer=renderer,
        scenes_per_part=4,
        scenes_per_shard=32,
    )
    run(job, local_flags(2))


def chosen(resolved):
    """Returns the faults by scene, at random from the seed."""
    rng = np.random.default_rng(SEED)
    every = [(s, i) for s, n in resolved.spec.splits.items() for i in range(n)]
    picked = rng.choice(len(every), len(FAULTS), replace=False)
    return {
        every[where]: (*fault, float(rng.uniform(0, 0.06)))
        for where, fault in zip(picked, FAULTS, strict=True)
    }


@pytest.mark.slow
def test_a_disturbed_job_makes_the_same_bytes(resolved, tmp_path):
    whole, data, done = tmp_path / "whole", tmp_path / "data", tmp_path / "done"
    done.mkdir()
    assert Process(make, resolved, whole, done, {}).end(seconds=600) == 0

    faults, kept = chosen(resolved), {}
    for _ in range(len(FAULTS) + 1):
        err = tmp_path / "err"
        status = Process(make, resolved, data, done, faults, err=err).end(seconds=600)
        if status == 0:
            break
        assert status in (1, -signal.SIGKILL), err.read_text()
        # What was done before is still as it was.
        now = accounts(data)
        assert kept.items() <= now.items()
        kept = now
    assert status == 0
    # Some scenes are over before it happens.
    assert len(list(done.iterdir())) >= len(FAULTS) * 2 / 3

    assert shards(data) == shards(whole)
    assert files(data) == files(whole)
    metadata = json.loads((data / "metadata.json").read_text())
    assert metadata["rendered"] + sum(metadata["failed"].values()) == 60
    assert metadata["planned"] == 60 and len(scenes(data)) == metadata["rendered"]
