"""Real clusters and job services on this machine, for tests."""

import os
import pickle
import signal
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import dyso
import helpers
from dyso.spec import UserError
from helpers.instant_renderer import InstantRenderer
from helpers.waiting import SECONDS, wait_for

MARK = "DYSO_TEST_ENGINE"


class Noting(InstantRenderer):
    """Notes every start and scene, each with its process, in a file.

    Args:
      note: the file.
      broken: what scene 5 of train raises: `user`, `disk` or `bug`.
      hangs: the process that ends no scene.
      options: see `InstantRenderer`.
    """

    def __init__(self, *, note, broken="", hangs=0, **options):
        super().__init__(**options)
        self.note, self.broken, self.hangs = note, broken, hangs
        self._write("start")

    def render(self, scene, watch=None):
        if scene.index == 5 and self.broken == "user":
            raise UserError("worker: not so, got so; do it so")
        if scene.index == 5 and self.broken == "disk":
            raise OSError(28, "No space left on device", "part")
        if scene.index == 5 and self.broken == "bug":
            raise KeyError("one\nof ours")
        # Before it is made, so that a test can end the process in the middle of it.
        self._write(scene.index)
        if os.getpid() == self.hangs:
            time.sleep(SECONDS)
        return super().render(scene)

    def _write(self, what):
        with open(self.note, "a") as file:
            file.write(f"{os.getpid()} {what}\n")


def notes(path):
    """Returns what `Noting` noted: pairs of process id and index or `start`."""
    text = Path(path).read_text() if Path(path).exists() else ""
    pairs = [line.split() for line in text.splitlines()]
    return [(int(pid), what if what == "start" else int(what)) for pid, what in pairs]


class Processes:
    """Processes with a mark that all they start inherits."""

    def __init__(self, folder):
        self.folder, self.mark, self.started = Path(folder), uuid.uuid4().hex, []

    def start(self, *arguments, log):
        """Starts `python` with arguments; its output goes to a file of the folder."""
        paths = [helpers.FOLDER.parent, Path(dyso.__file__).parent.parent]
        path = os.pathsep.join([*map(str, paths), os.environ.get("PYTHONPATH", "")])
        with (self.folder / log).open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=self.folder,
                env={**os.environ, MARK: self.mark, "PYTHONPATH": path},
            )
        self.started.append(process)
        return process

    def find(self, words=""):
        """Returns the ids of living processes with the mark and these words."""
        found, mark = [], f"{MARK}={self.mark}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                own = mark in (folder / "environ").read_bytes()
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # gone, or not ours
                continue
            if own and words in line:
                found.append(int(folder.name))
        return found

    def launch(self, job, flags, log="launcher.log"):
        """Starts a process that runs a job, as the command line does."""
        path = self.folder / f"{log}.pickle"
        path.write_bytes(pickle.dumps((job, flags)))
        # Not as a script: classes are found by their module's name on every machine.
        code = f"from {__name__} import main; main()"
        return self.start("-c", code, path, log=log)

    def end(self):
        """Kills everything with the mark."""
        for pid in self.find():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for process in self.started:
            process.wait(SECONDS)


@contextmanager
def processes(folder):
    """Returns `Processes`, and ends them."""
    own = Processes(folder)
    try:
        yield own
    finally:
        own.end()


class Dask:
    """A scheduler, and workers of one thread each.

    Attributes:
      flags: Beam's options to run there.
      workers: their processes.
    """

    def __init__(self, own, workers=2):
        self.own, self.workers = own, []
        file = own.folder / "scheduler.json"
        own.start(
            *("-m", "distributed.cli.dask_scheduler", "--no-dashboard"),
            *("--host", "127.0.0.1", "--port", "0", "--scheduler-file", file),
            log="scheduler.log",
        )
        wait_for(file.exists, "the scheduler is there")
        self.file = file
        self.flags = ["--runner=DaskRunner", f"--dask_scheduler_file={file}"]
        for _ in range(workers):
            self.add()
        for number in range(workers):
            self.wait_for_worker(number)

    def wait_for_worker(self, number):
        """Waits until the scheduler knows a worker."""
        log = self.own.folder / f"worker-{number}.log"
        wait_for(lambda: "Registered to" in log.read_text(), "the worker is there")

    def add(self):
        """Starts one more worker, which comes to the scheduler by itself."""
        worker = self.own.start(
            *("-m", "distributed.cli.dask_worker", "--no-nanny", "--no-dashboard"),
            *("--nthreads", "1", "--scheduler-file", self.file),
            log=f"worker-{len(self.workers)}.log",
        )
        self.workers.append(worker)
        return worker


def job_service(own):
    """Starts Beam's job service; returns Beam's options to run there."""
    file = own.folder / "port"
    own.start(
        *("-m", "apache_beam.runners.portability.local_job_service_main"),
        *("--port_file", file),
        log="service.log",
    )
    port = wait_for(lambda: file.exists() and file.read_text(), "the service is there")
    return ["--runner=PortableRunner", f"--job_endpoint=localhost:{port}"]


def main():
    """Runs the job of a file."""
    from dyso.pipeline import run

    job, flags = pickle.loads(Path(sys.argv[1]).read_bytes())
    try:
        run(job, flags)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
