"""The Beam job: shards -> parts -> rendered parts -> packed shards -> dataset.

The pipeline is linear, so that every runner supports it. Packing begins when all parts
are rendered and the number of failed scenes is within the limit of the spec.
"""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dyso.pipeline.cancellation import new_cancellation, sigterm_as_interrupt
from dyso.pipeline.failures import FailedScenes, check_failures
from dyso.pipeline.output_folder import check_output, is_whole, open_output
from dyso.pipeline.output_layout import METADATA, WORK_FOLDER, OutputLayout
from dyso.pipeline.output_settings import shards_of
from dyso.pipeline.pack import finish
from dyso.pipeline.plan import Part, Shard, part_size
from dyso.pipeline.progress import Progress
from dyso.pipeline.workers import StartRenderer, new_renderer, pooled_renderer
from dyso.render import Device
from dyso.render.resources import require_system_libraries
from dyso.spec import ResolvedSpec, UserError
from dyso.storage import Folder
from dyso.storage.resumable import one_line_errors

# Beam takes seconds to import; what starts no job does without.
if TYPE_CHECKING:
    import apache_beam as beam

    from dyso.pipeline.runners import Runner

POLL_SECONDS = 0.5
STOP_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """A dataset to make.

    Attributes:
      resolved: the dataset's resolved spec.
      output: the folder or bucket to write to.
      scenes_per_shard: maximum number of scenes in a shard; None: the number that the
        output was begun with, or the default.
      scenes_per_part: maximum number of scenes in a part, which a worker renders in one
        task; None: derived from the number of scenes and workers. Records do not
        depend on it.
      timeout: time limit for one scene in seconds; None: see `dyso.render.Renderer`.
      device: the device that Cycles renders on. The pixels of a GPU differ slightly
        from those of a CPU. The `versions` of each record name the device.
      renderer: makes a renderer, given the `cpu` to pin it to or None; None makes
        `dyso.render.Renderer`s. Tests and benchmarks pass a fake renderer to run the
        pipeline without rendering.
    """

    resolved: ResolvedSpec
    output: Folder
    scenes_per_shard: int | None = None
    scenes_per_part: int | None = None
    timeout: float | None = None
    device: Device = "cpu"
    renderer: StartRenderer | None = None

    def __post_init__(self) -> None:
        """Raises UserError if a number is not positive."""
        for name in ("scenes_per_shard", "scenes_per_part", "timeout"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"{name}: must be above 0, got {value}")


def run(
    job: Job, flags: Sequence[str], watch: Callable[[Progress], None] | None = None
) -> dict[str, Any]:
    """Makes a dataset, or its missing shards, and waits until it is complete.

    In the main thread, Ctrl-C and SIGTERM end the worker processes and raise
    KeyboardInterrupt. However a job ends, the same call resumes it.

    Args:
      job: the dataset.
      flags: Beam's options, including the runner.
      watch: called about twice a second, in this thread.

    Returns:
      The dataset's metadata.json: the summary of all shard reports, all failures, and
      each shard's scenes, size and checksum.

    Raises:
      UserError: the output cannot be used, or the job stopped for a reason that the
        user can fix.
    """
    with one_line_errors(job.output):
        if not is_complete(job):
            _make(job, flags, watch or (lambda _: None))
        metadata: dict[str, Any] = json.loads(job.output.read(METADATA))
        return metadata


def _make(job: Job, flags: Sequence[str], watch: Callable[[Progress], None]) -> None:
    from dyso.pipeline.runners import find_runner

    runner = find_runner(flags, job.output)
    if runner.local and job.renderer is None:
        require_system_libraries()
    with open_output(job.resolved, job.output) as layout:
        if is_whole(job.resolved, job.output):
            return  # `open_output` removes the files that the last job left behind.
        shards = shards_of(layout, job.resolved, job.scenes_per_shard)
        reports = dict(zip(shards, layout.shard_reports(shards), strict=True))
        todo = [shard for shard, report in reports.items() if report is None]
        if not todo:
            finish(shards, job.resolved, layout)
            return
        progress = Progress(layout, shards)
        with suppress(OSError):
            progress.write("running")
        try:
            _run_beam(job, runner, layout, todo, progress, watch)
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            # Report the original error, even if nothing can be written.
            with suppress(OSError):
                progress.write("stopped" if stopped else "failed", str(error))
            raise


def is_complete(job: Job) -> bool:
    """Returns whether the dataset is complete and no temporary files are left.

    Raises:
      UserError: the output holds something other than this dataset.
    """
    check_output(job.resolved, job.output)
    complete = is_whole(job.resolved, job.output)
    return complete and WORK_FOLDER not in job.output.entries()


def _run_beam(
    job: Job,
    runner: Runner,
    layout: OutputLayout,
    todo: Sequence[Shard],
    progress: Progress,
    watch: Callable[[Progress], None],
) -> None:
    from dyso.pipeline.runners import RunningPipeline

    running = RunningPipeline()
    errors: list[BaseException] = []
    # An event, because Thread.join treats the thread as ended after Ctrl-C.
    ended = threading.Event()
    with new_cancellation() as (key, cancellation), sigterm_as_interrupt():

        def wait() -> None:
            try:
                running.wait(build(job, runner, layout, todo, key, progress.failed()))
            except BaseException as error:
                errors.append(error)
            finally:
                ended.set()

        threading.Thread(target=wait, name="beam", daemon=True).start()
        try:
            while not ended.is_set() and not cancellation.cancelled:
                # An error in reading or showing progress must not stop the job.
                with suppress(OSError):
                    progress.read()
                check_failures(progress.failed(), job.resolved, layout)
                with suppress(OSError):
                    progress.write("running")
                with suppress(OSError):
                    watch(progress)
                ended.wait(POLL_SECONDS)
        finally:
            deadline = time.monotonic() + STOP_SECONDS
            if not ended.is_set():
                threading.Thread(target=running.cancel, daemon=True).start()
            while not ended.is_set() and time.monotonic() < deadline:
                cancellation.cancel()
                ended.wait(0.1)
        with suppress(OSError):
            progress.read(now=True)  # so that the last report is complete
            watch(progress)
    error = cancellation.error or next(map(runner.explain, errors), None)
    if error is not None:
        raise error


def build(
    job: Job,
    runner: Runner,
    layout: OutputLayout,
    shards: Sequence[Shard],
    cancellation_key: str = "",
    failed: Sequence[FailedScenes] = (),
) -> beam.Pipeline:
    """Builds the pipeline that makes shards and finishes the dataset.

    Args:
      job: the dataset.
      runner: the runner that will execute the pipeline.
      layout: the output folder.
      shards: the shards to make.
      cancellation_key: key of the `Cancellation`, if the job waits in this process.
      failed: failures in the parts and shards that exist already.
    """
    import apache_beam as beam

    from dyso.pipeline.transforms import CheckFailures, Finish, PackShard, RenderPart

    scenes = sum(shard.stop - shard.start for shard in shards)
    per_part = job.scenes_per_part or part_size(scenes, runner.workers)
    start = functools.partial(
        new_renderer if runner.keeps_dofns else pooled_renderer,
        pin=runner.pins,
        timeout=job.timeout,
        device=job.device,
        renderer=job.renderer,
    )
    render = RenderPart(layout, cancellation_key, start=start)
    pipeline = beam.Pipeline(options=runner.options)
    parts: beam.PCollection[Part]
    if runner.reshuffles:
        parts = (
            pipeline
            | "Shards" >> beam.Create(list(shards), reshuffle=False)
            | "Parts" >> beam.FlatMap(layout.parts, per_part)
            | "Spread" >> beam.Reshuffle()
        )
    else:
        all_parts = [part for shard in shards for part in layout.parts(shard, per_part)]
        parts = pipeline | "Parts" >> beam.Create(all_parts, reshuffle=False)
    rendered: beam.PCollection[tuple[None, tuple[Shard, FailedScenes]]] = (
        parts | "Render" >> beam.ParDo(render)
    )
    whole: beam.PCollection[tuple[str, Iterable[Shard]]] = (
        rendered
        | "AllParts" >> beam.GroupByKey()
        | "CheckFailures" >> beam.ParDo(CheckFailures(layout, cancellation_key, failed))
        # GroupByKey, because Reshuffle does nothing on Dask.
        | "SpreadShards" >> beam.GroupByKey()
    )
    _: beam.PCollection[str] = (
        whole
        | "Pack" >> beam.ParDo(PackShard(layout, cancellation_key))
        | "AllShards" >> beam.GroupByKey()
        | "Finish" >> beam.ParDo(Finish(layout, cancellation_key))
    )
    return pipeline
