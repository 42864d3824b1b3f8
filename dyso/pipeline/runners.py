"""Beam's runners: what the job must know about each, so that one command fits all."""

from __future__ import annotations

import importlib
import re
import socket
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

from dyso.render.resources import usable_cpus
from dyso.spec import UserError
from dyso.storage.resumable import RESUME

# These run DoFns in threads of this process; the others in processes on any machine.
_LOCAL = ("", "fnapi", "direct", "bundlebaseddirect", "switchingdirect", "prism")
_WITH_JOB_SERVICE = ("portable", "flink", "spark")
_DASK = "apache_beam.runners.dask.dask_runner"
# Assumed number of workers for runners that scale automatically. It decides only the
# size of parts.
_MANY_WORKERS = 128
# Tasks per Dask thread: several, so that one slow task does not stall the job. With
# more than `_MAX_TASKS`, grouping in the scheduler would take longer than rendering.
_TASKS_PER_THREAD, _MIN_TASKS, _MAX_TASKS = 8, 64, 512
_CONNECT_SECONDS = 10
_YEAR = 365 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Runner:
    """A Beam runner.

    Attributes:
      name: `fnapi`, `dask`, `portable`, `flink`, `spark`, `dataflow` and others.
      options: Beam's options for the pipeline.
      workers: number of scenes that it renders at once; a guess if it is unknown.
    """

    name: str
    options: PipelineOptions
    workers: int

    @property
    def local(self) -> bool:
        """Whether the DoFns run in this process, so that only this machine renders."""
        return self.name in _LOCAL

    @property
    def pins(self) -> bool:
        """Whether each worker process is pinned to one CPU."""
        # With fewer workers than half the cores, a worker benefits from several.
        return not self.local or self.workers > len(usable_cpus()) // 2

    @property
    def reshuffles(self) -> bool:
        """Whether Beam's Reshuffle spreads elements; on Dask it does nothing."""
        return self.name != "dask"

    @property
    def keeps_dofns(self) -> bool:
        """Whether a DoFn is reused for several bundles; Dask creates one per task."""
        return self.name != "dask"

    def explain(self, error: BaseException) -> BaseException:
        """Returns the error to show to the user when a pipeline has failed.

        Runners with processes elsewhere report errors as long texts with tracebacks.
        The returned error has one line.
        """
        if self.local or isinstance(error, UserError | OSError | KeyboardInterrupt):
            return error
        # gRPC errors carry the relevant text in `details`.
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
            f"{self.name}: {what}; see the runner's log; fix this, then {RESUME}"
        )


class RunningPipeline:
    """A running pipeline that another thread can cancel, if the runner supports it."""

    def __init__(self) -> None:
        """Initializes without a pipeline."""
        self._lock = threading.Lock()
        self._result: Any = None
        self._cancelled = False

    def wait(self, pipeline: beam.Pipeline) -> None:
        """Runs a pipeline and waits until it ends."""
        result = pipeline.run()
        with self._lock:
            self._result = result
            cancelled = self._cancelled
        try:
            if cancelled:
                result.cancel()
            result.wait_until_finish()
        finally:
            # Dask's client would otherwise keep its connection to the scheduler.
            client = getattr(result, "client", None)
            if client is not None:
                client.close()

    def cancel(self) -> None:
        """Cancels the pipeline on its runner, if the runner supports it."""
        with self._lock:
            self._cancelled, result = True, self._result
        if result is not None:
            # The job ends here in any case; the runner logs its own errors.
            with suppress(Exception):
                result.cancel()


def register_options(flags: Sequence[str]) -> None:
    """Registers the options of the runner that flags name with Beam.

    Raises:
      UserError: the runner's library is not installed.
    """
    if _short_name(_runner_option(flags)) == "dask":
        _import_dask()


def find_runner(flags: Sequence[str], output: object) -> Runner:
    """Returns the runner that flags name, with its number of workers.

    Args:
      flags: Beam's options, including the runner.
      output: where the dataset goes.

    Raises:
      UserError: there is no such runner, it does not answer, or its options do not
        work for this job.
    """
    register_options(flags)
    options = PipelineOptions(list(flags))
    standard = options.view_as(StandardOptions)
    name = _short_name(standard.runner or "")
    if name == "dask":
        return _dask_runner(flags)
    try:
        create_runner(standard.runner or "FnApiRunner")
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"--runner: {error}") from error
    if name in _LOCAL:
        threads = options.view_as(DirectOptions).direct_num_workers
        return Runner(name=name, options=options, workers=threads or len(usable_cpus()))
    if name in _WITH_JOB_SERVICE:
        _check_job_service(options)
    if name == "dataflow":
        _check_dataflow(options, output)
    return Runner(name=name, options=options, workers=_MANY_WORKERS)


def _runner_option(flags: Sequence[str]) -> str:
    """Returns the value of the last `--runner` option, or an empty string."""
    runner = ""
    for flag, following in zip(flags, [*flags[1:], ""], strict=True):
        name, equals, value = flag.partition("=")
        if name == "--runner":
            runner = value if equals else following
    return runner


def _short_name(runner: str) -> str:
    return runner.rpartition(".")[2].lower().removesuffix("runner")


def _import_dask() -> Any:
    try:
        importlib.import_module("distributed")
    except ImportError as error:
        raise UserError(
            "--runner=DaskRunner: Dask is not installed: pip install 'dyso[dask]'"
        ) from error
    return importlib.import_module(_DASK)


def _dask_runner(flags: Sequence[str]) -> Runner:
    module = _import_dask()
    options = PipelineOptions(list(flags))
    dask = options.view_as(module.DaskOptions)
    if dask.address or dask.scheduler_file:
        threads = _dask_threads(module, dask)
    else:
        threads = len(usable_cpus())
    if dask.npartitions is None and dask.partition_size is None:
        tasks = max(_MIN_TASKS, threads * _TASKS_PER_THREAD)
        flags = [*flags, f"--dask_npartitions={min(tasks, _MAX_TASKS)}"]
        options = PipelineOptions(list(flags))
    # Beam does not find its Dask runner by the short name.
    options.view_as(StandardOptions).runner = f"{_DASK}.DaskRunner"
    return Runner(name="dask", options=options, workers=max(1, threads))


def _dask_threads(module: Any, dask: Any) -> int:
    """Asks the Dask scheduler for its number of threads."""
    client_options = {
        name: value
        for name, value in dask.get_all_options(
            drop_default=True, current_only=True
        ).items()
        if "partition" not in name
    }
    try:
        with module.ddist.Client(
            **{"timeout": _CONNECT_SECONDS, **client_options}, set_as_default=False
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
    # Beam's own job service takes this as the time limit of the whole job.
    default = PipelineOptions([]).view_as(PortableOptions).job_server_timeout
    if portable.job_server_timeout == default:
        portable.job_server_timeout = _YEAR


def _check_dataflow(options: PipelineOptions, output: object) -> None:
    if ":/" not in str(output):
        raise UserError(
            f"{output}: Dataflow's workers cannot access a folder of this machine; use "
            "a gs:// address"
        )
    if not options.view_as(WorkerOptions).sdk_container_image:
        raise UserError(
            "--sdk_container_image: is missing; it must name the worker image, since "
            "Dataflow's default image has neither DySO nor Blender"
        )
    debug = options.view_as(DebugOptions)
    if not debug.number_of_worker_harness_threads:
        raise UserError(
            "--number_of_worker_harness_threads: is missing; it must be the number of "
            "--machine_type's vCPUs, since each thread starts one worker process"
        )
    # One SDK process per machine with all its threads. Only then do the threads divide
    # the machine's CPUs among themselves and share one copy of the program in memory.
    if not debug.lookup_experiment("use_multiple_sdk_containers"):
        debug.add_experiment("no_use_multiple_sdk_containers")
