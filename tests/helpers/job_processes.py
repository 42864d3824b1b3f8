"""What the tests of faults share: datasets, jobs in processes, and their traces."""

import functools
import json
import multiprocessing
import os
import signal
import sys

from dyso import records
from dyso.pipeline import Job, local_flags, run
from dyso.spec import (
    Asset,
    Cameras,
    Catalog,
    Dynamics,
    Render,
    ResolvedSpec,
    Spec,
    UserError,
)
from dyso.storage import open_folder
from helpers.instant_renderer import InstantRenderer


def accounts(folder):
    """Returns the names of finished parts' accounts, with their times."""
    return {
        path: path.stat().st_mtime_ns
        for path in sorted(folder.glob(".work/*/*.json"))
        if path.with_suffix(".array_record").exists()
    }


def shards(folder):
    """Returns the bytes of every shard that metadata.json knows, by name."""
    entries = json.loads((folder / "metadata.json").read_text())["shards"]
    found = {each["file"]: (folder / each["file"]).read_bytes() for each in entries}
    assert set(found) == {path.name for path in folder.glob("*.array_record-*")}
    return found


def files(folder):
    """Returns the names of all files and folders in a dataset."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def scenes(folder):
    """Returns the scenes in a dataset's shards."""
    every = [
        records.scene_of(record)
        for name in shards(folder)
        for record in records.read_shard(folder / name)
    ]
    return [(scene.split, scene.index) for scene in every]


def small(**fields):
    """Returns a dataset of made-up assets, whose scenes cost next to nothing."""
    bounds = ((-0.1, -0.2, 0.0), (0.4, 0.5, 0.4))
    objects = [
        Asset(id=f"o{i}", category=f"c{i % 3}", bounds=bounds) for i in range(20)
    ]
    return ResolvedSpec(
        spec=Spec(
            **{
                "name": "small",
                "splits": {"train": 3, "test": 1},
                "resolution": (8, 8),
                "dynamics": Dynamics(steps=1),
                "cameras": Cameras(count=2),
                "render": Render(samples=1),
                "max_failed": 0.5,
                **fields,
            }
        ),
        objects=Catalog(name="objects", manifest="o.json", assets=tuple(objects)),
        backgrounds=Catalog(
            name="hdris", manifest="h.json", assets=(Asset(id="h0"), Asset(id="h1"))
        ),
    )


def made_at_once(output, log, before=None, gate=None):
    """Makes `small()`, in this process; exits as the command does.

    Args:
      output: the dataset's folder.
      log: gets a line for every scene that is rendered.
      before: called first.
      gate: see `InstantRenderer`.
    """
    if before:
        before()
    job = Job(
        resolved=small(),
        output=open_folder(output),
        renderer=functools.partial(InstantRenderer, log=log, gate=gate),
        scenes_per_part=1,
        scenes_per_shard=2,
    )
    try:
        run(job, local_flags(1))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


@functools.cache
def _processes():
    context = multiprocessing.get_context("forkserver")
    # Imported once, so that a process starts at once.
    context.set_forkserver_preload(
        [
            __name__,
            "apache_beam.runners.portability.fn_api_runner",
            "dyso.pipeline.runners",
            "dyso.pipeline.transforms",
            "dyso.records.features",
            "tensorflow_datasets",
        ]
    )
    return context


class Process:
    """A process that calls a function of a module; its stderr goes to a file."""

    def __init__(self, function, *args, err=os.devnull, **kwargs):
        called = functools.partial(function, *args, **kwargs)
        self._process = _processes().Process(target=_into, args=(str(err), called))
        self._process.start()
        self.pid = self._process.pid

    def end(self, seconds=120):
        """Waits for its end; returns its status, negative for a signal."""
        self._process.join(seconds)
        if self._process.is_alive():
            self._process.kill()
            raise TimeoutError("a process hangs")
        return self._process.exitcode


def _into(err, called):
    descriptor = os.open(err, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 2)
    called()


class AtStep:
    """Ends this process by a signal, just before its n-th change of a folder.

    Changes are files renamed into it, files and folders removed, and folders made; what
    is made in its scratch folders counts for nothing until it is renamed.

    Args:
      folder: the folder.
      number: n, from 1 on; 0 for never.
      sent: the signal.
      log: gets a line for each change.
    """

    def __init__(self, folder, number, sent=signal.SIGKILL, log=None):
        self._folder, self._left, self._sent = str(folder), number, sent
        self._log = log

    def __call__(self):
        sys.addaudithook(self._heard)

    def _heard(self, event, args):
        if event == "os.rename":
            path = args[1]
        elif event in ("os.remove", "os.rmdir", "os.mkdir"):
            path = args[0]
            if not os.path.isabs(path):  # of rmtree, in an open folder
                path = f"{os.readlink(f'/proc/self/fd/{args[-1]}')}/{path}"
        else:
            return
        path = os.fspath(path)
        if path.startswith(self._folder) and ".scratch" not in path:
            if self._log:
                with self._log.open("a") as file:
                    print(event, path.removeprefix(self._folder), file=file)
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._sent)
