"""Beam's engines: what the job must know of each so that one command runs on it."""

from __future__ import annotations

import importlib
import re
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DebugOptions,
    DirectOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
    WorkerOptions,
)
from apache_beam.runners.runner import create_runner

from dyso.render.system import usable_cpus
from dyso.spec import UserError

# Renders in this process's threads; the others in processes on any machine.
_LOCAL = ("", "fnapi", "direct", "bundlebaseddirect", "switchingdirect", "prism")
_SPOKEN_TO = ("portable", "flink", "spark")  # through a job service
_DASK = "apache_beam.runners.dask.dask_runner"
# What an engine that grows by itself may run: decides the size of parts alone.
_MANY_WORKERS = 128
# Of a Dask worker's thread, so that the slow ones hold up nobody; above the most, the
# scheduler would have more to do with grouping than the workers with rendering.
_TASKS_PER_THREAD, _FEWEST_TASKS, _MOST_TASKS = 8, 64, 512
_CONNECT_SECONDS = 10
_YEAR = 365 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An engine to run a pipeline on.

    Attributes:
      name: `fnapi`, `dask`, `portable`, `flink`, `spark`, `dataflow` and others.
      options: Beam's, to build the pipeline with.
      workers: how many scenes it renders at once; a guess where it does not tell.
    """

    name: str
    options: PipelineOptions
    workers: int

    @property
    def local(self) -> bool:
        """Whether this process renders, and its machine alone."""
        return self.name in _LOCAL

    @property
    def pins(self) -> bool:
        """Whether each worker process has a CPU of its own."""
        # With fewer workers than half the cores, one worker does well on several.
        return not self.local or self.workers > len(usable_cpus()) // 2

    @property
    def reshuffles(self) -> bool:
        """Whether Beam's Reshuffle spreads elements; on Dask it does nothing."""
        return self.name != "dask"

    @property
    def keeps_dofns(self) -> bool:
        """Whether a DoFn outlives a bundle; Dask makes one for each of its tasks."""
        return self.name != "dask"

    def explain(self, error: BaseException) -> BaseException:
        """Gives what to tell a user when a pipeline ended with an error.

        Engines of other processes tell errors as text, in pages of their own frames.
        """
        if self.local or isinstance(error, UserError | OSError | KeyboardInterrupt):
            return error
        # Of a call over the network, what there is to know is one of many lines.
        details = getattr(error, "details", None)
        text = str(details() if callable(details) else error)
        ours = re.findall(r"^(?:\S+\.)?UserError: (.*)$", text, re.MULTILINE)
        system = re.findall(r"^(?:\S+\.)?\w+Error: \[Errno \d+\] (.*)$", text, re.M)
        lines = ours or system or [line for line in text.splitlines() if line.strip()]
        last = re.sub(r" \[while running '.*?'\]$", "", lines[-1]) if lines else ""
        if ours:
            return UserError(last)
        what = last.strip() or type(error).__name__
        return UserError(
            f"{self.name}: {what}; its own log says more; mend that, then the same "
            "command goes on from here"
        )


class Running:
    """A pipeline that runs, as far as its engine lets it be stopped from outside."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._lock = threading.Lock()
        self._result: Any = None
        self._cancelled = False

    def wait(self, pipeline: beam.Pipeline) -> None:
        """Runs a pipeline and waits for its end."""
        result = pipeline.run()
        with self._lock:
            self._result = result
            cancelled = self._cancelled
        try:
            if cancelled:
                result.cancel()
            result.wait_until_finish()
        finally:
            # Dask's, which would go on talking to its scheduler.
            client = getattr(result, "client", None)
            if client is not None:
                client.close()

    def cancel(self) -> None:
        """Ends the pipeline on its engine, if that can be done."""
        with self._lock:
            self._cancelled, result = True, self._result
        if result is not None:
            # Whatever happens, the job ends here; the engine's own log tells of it.
            with suppress(Exception):
                result.cancel()


def register_options(flags: Sequence[str]) -> None:
    """Has Beam know the options of the engine that flags name.

    Raises:
      UserError: the engine's library is not installed.
    """
    if _name(_runner(flags)) == "dask":
        _import_dask()


def find_engine(flags: Sequence[str], output: object) -> Engine:
    """Makes an engine ready, and asks it how much it renders at once.

    Args:
      flags: Beam's options, the runner among them.
      output: where the dataset goes.

    Raises:
      UserError: there is no such engine, it does not answer, or its options would
        not do.
    """
    register_options(flags)
    options = PipelineOptions(list(flags))
    standard = options.view_as(StandardOptions)
    name = _name(standard.runner or "")
    if name == "dask":
        return _dask(flags)
    try:
        create_runner(standard.runner or "FnApiRunner")
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"--runner: {error}") from error
    if name in _LOCAL:
        threads = options.view_as(DirectOptions).direct_num_workers
        return Engine(name=name, options=options, workers=threads or len(usable_cpus()))
    if name in _SPOKEN_TO:
        _check_job_service(options)
    if name == "dataflow":
        _check_dataflow(options, output)
    return Engine(name=name, options=options, workers=_MANY_WORKERS)


def abandoned() -> bool:
    """Says whether this thread works for a Dask job that was cancelled or is gone.

    Dask takes back the tasks of such a job, but cannot interrupt one that runs.
    """
    dask = sys.modules.get("distributed.worker")
    if dask is None:
        return False
    try:
        worker = dask.get_worker()
    except ValueError:  # This is no task.
        return False
    task = worker.state.tasks.get(getattr(dask.thread_state, "key", None))
    return task is not None and task.state == "cancelled"


def _runner(flags: Sequence[str]) -> str:
    found = ""
    for flag, following in zip(flags, [*flags[1:], ""], strict=True):
        name, equals, value = flag.partition("=")
        if name == "--runner":
            found = value if equals else following
    return found


def _name(runner: str) -> str:
    return runner.rpartition(".")[2].lower().removesuffix("runner")


def _import_dask() -> Any:
    try:
        importlib.import_module("distributed")
    except ImportError as error:
        raise UserError(
            "--runner=DaskRunner: Dask is not installed: pip install 'dyso[dask]'"
        ) from error
    return importlib.import_module(_DASK)


def _dask(flags: Sequence[str]) -> Engine:
    runner = _import_dask()
    options = PipelineOptions(list(flags))
    dask = options.view_as(runner.DaskOptions)
    if dask.address or dask.scheduler_file:
        threads = _dask_threads(runner, dask)
    else:
        threads = len(usable_cpus())
    if dask.npartitions is None and dask.partition_size is None:
        wanted = max(_FEWEST_TASKS, threads * _TASKS_PER_THREAD)
        flags = [*flags, f"--dask_npartitions={min(wanted, _MOST_TASKS)}"]
        options = PipelineOptions(list(flags))
    # Beam does not know its own runner by its short name.
    options.view_as(StandardOptions).runner = f"{_DASK}.DaskRunner"
    return Engine(name="dask", options=options, workers=max(1, threads))


def _dask_threads(runner: Any, dask: Any) -> int:
    given = dask.get_all_options(drop_default=True, current_only=True)
    given = {k: v for k, v in given.items() if "partition" not in k}
    try:
        with runner.ddist.Client(
            **{"timeout": _CONNECT_SECONDS, **given}, set_as_default=False
        ) as client:
            return sum(client.nthreads().values())
    except (OSError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{dask.address or dask.scheduler_file}: no Dask scheduler answers there: "
            f"{reason}; start one with `dask scheduler`"
        ) from error


def _check_job_service(options: PipelineOptions) -> None:
    portable = options.view_as(PortableOptions)
    endpoint = portable.job_endpoint
    if not endpoint or endpoint == "embed":
        return
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise UserError(
            f"--job_endpoint={endpoint}: no job service answers there: {error}"
        ) from error
    # Beam's own job service takes this for the time that a whole job may last.
    default = PipelineOptions([]).view_as(PortableOptions).job_server_timeout
    if portable.job_server_timeout == default:
        portable.job_server_timeout = _YEAR


def _check_dataflow(options: PipelineOptions, output: object) -> None:
    if ":/" not in str(output):
        raise UserError(
            f"{output}: Dataflow's workers see no folder of this machine; name a "
            "gs:// address"
        )
    if not options.view_as(WorkerOptions).sdk_container_image:
        raise UserError(
            "--sdk_container_image: is missing; it names the worker image, since "
            "Dataflow's own has neither this program nor Blender"
        )
    debug = options.view_as(DebugOptions)
    if not debug.number_of_worker_harness_threads:
        raise UserError(
            "--number_of_worker_harness_threads: is missing; it must be the number of "
            "--machine_type's vCPUs, since each thread has a worker process of its own"
        )
    # One process a machine, with all its threads: only so do they share out the CPUs,
    # and keep one copy of the program in memory.
    if not debug.lookup_experiment("use_multiple_sdk_containers"):
        debug.add_experiment("no_use_multiple_sdk_containers")
