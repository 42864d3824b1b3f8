"""The Beam job: shards -> parts -> rendered parts -> packed shards -> dataset.

Linear, so that every engine runs it. Packing begins when all parts are there and few
enough scenes have failed.
"""

from __future__ import annotations

import functools
import json
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from dyso.pipeline.cancellation import new_session
from dyso.pipeline.output_layout import (
    FOLDER,
    METADATA,
    Work,
    check_output,
    is_whole,
    open_work,
    shards_of,
)
from dyso.pipeline.pack import Failed, check_failures, finish
from dyso.pipeline.plan import Part, Shard, part_size
from dyso.pipeline.progress import Progress
from dyso.pipeline.runners import Engine, Running, find_engine
from dyso.pipeline.transforms import CheckFailures, Finish, PackShard, RenderPart
from dyso.pipeline.workers import StartRenderer, lent, started
from dyso.render import Device
from dyso.render.system import require_system_libraries
from dyso.spec import ResolvedSpec, UserError
from dyso.storage import Folder

POLL_SECONDS = 0.5
STOP_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """A dataset to make.

    Attributes:
      resolved: the dataset.
      output: the folder or bucket it goes to.
      scenes_per_shard: most scenes in a shard; None takes what the folder was begun
        with, or the default.
      scenes_per_part: most scenes that a worker does in one go; None lets the number
        of scenes and workers decide. No record depends on it.
      timeout: seconds that one scene may take; None: see `dyso.render.Renderer`.
      device: what Cycles renders with. Pixels of a GPU differ slightly from those of
        a CPU; each record's `versions` say what rendered it.
      renderer: makes a renderer, given the `cpu` to pin it to or None; None makes
        `dyso.render.Renderer`s. Another one measures the pipeline alone.
    """

    resolved: ResolvedSpec
    output: Folder
    scenes_per_shard: int | None = None
    scenes_per_part: int | None = None
    timeout: float | None = None
    device: Device = "cpu"
    renderer: StartRenderer | None = None

    def __post_init__(self) -> None:
        """Checks the numbers."""
        for name in ("scenes_per_shard", "scenes_per_part", "timeout"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"{name}: must be above 0, got {value}")


def run(
    job: Job, flags: Sequence[str], watch: Callable[[Progress], None] | None = None
) -> dict[str, Any]:
    """Makes a dataset, or what is missing of it, and waits for it.

    Ctrl-C and SIGTERM, in the main thread, end the worker processes and raise
    KeyboardInterrupt. However a job ends, the same call goes on from there.

    Args:
      job: the dataset.
      flags: Beam's options, the runner among them.
      watch: called about twice a second, in this thread.

    Returns:
      The dataset's metadata.json: `summarize`d accounts, all failures, and each
      shard's scenes, size and checksum.

    Raises:
      UserError: the output cannot be used, or what a user can mend stopped the job.
    """
    try:
        if not is_complete(job):
            _make(job, flags, watch or (lambda _: None))
        found: dict[str, Any] = json.loads(job.output.read(METADATA))
        return found
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else error
        raise UserError(
            f"{what}; mend that, then the same command goes on from here"
        ) from error


def _make(job: Job, flags: Sequence[str], watch: Callable[[Progress], None]) -> None:
    engine = find_engine(flags, job.output)
    if engine.local and job.renderer is None:
        require_system_libraries()
    with open_work(job.resolved, job.output) as work:
        if is_whole(job.resolved, job.output):
            return  # `open_work` removes what the last job could not any more
        shards = shards_of(work, job.resolved, job.scenes_per_shard)
        accounts = dict(zip(shards, work.shard_accounts(shards), strict=True))
        todo = [shard for shard, account in accounts.items() if account is None]
        if not todo:
            finish(shards, job.resolved, work)
            return
        progress = Progress(work, shards)
        with suppress(OSError):
            progress.write("running")
        try:
            _run_beam(job, engine, work, todo, progress, watch)
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            # What is to be told is the error, even where nothing can be written.
            with suppress(OSError):
                progress.write("stopped" if stopped else "failed", str(error))
            raise


def is_complete(job: Job) -> bool:
    """Says whether nothing is left to do.

    Raises:
      UserError: the output holds something else.
    """
    check_output(job.resolved, job.output)
    return is_whole(job.resolved, job.output) and FOLDER not in job.output.entries()


def _run_beam(
    job: Job,
    engine: Engine,
    work: Work,
    todo: Sequence[Shard],
    progress: Progress,
    watch: Callable[[Progress], None],
) -> None:
    running = Running()
    errors: list[BaseException] = []
    # Not Thread.join: when Ctrl-C interrupts that, the thread counts as ended.
    ended = threading.Event()
    with new_session() as (key, session), _sigterm_as_interrupt():

        def wait() -> None:
            try:
                running.wait(build(job, engine, work, todo, key, progress.failed()))
            except BaseException as error:
                errors.append(error)
            finally:
                ended.set()

        threading.Thread(target=wait, name="beam", daemon=True).start()
        try:
            while not ended.is_set() and not session.stopped:
                # What cannot be counted, noted or shown just now decides nothing.
                with suppress(OSError):
                    progress.read()
                check_failures(progress.failed(), job.resolved, work)
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
                session.stop()
                ended.wait(0.1)
        with suppress(OSError):
            watch(progress)
    error = session.error or next(map(engine.explain, errors), None)
    if error is not None:
        raise error


def build(
    job: Job,
    engine: Engine,
    work: Work,
    shards: Sequence[Shard],
    session: str = "",
    failed: Sequence[Failed] = (),
) -> beam.Pipeline:
    """Builds the pipeline that makes these shards and finishes the dataset.

    Args:
      job: the dataset.
      engine: what to run it on.
      work: the output folder.
      shards: to make.
      session: key of the session, if the job is watched in this process.
      failed: what failed in what is there.
    """
    scenes = sum(shard.stop - shard.start for shard in shards)
    per_part = job.scenes_per_part or part_size(scenes, engine.workers)
    start = functools.partial(
        started if engine.keeps_dofns else lent,
        pin=engine.pins,
        timeout=job.timeout,
        device=job.device,
        renderer=job.renderer,
    )
    render = RenderPart(work, session, start=start)
    pipeline = beam.Pipeline(options=engine.options)
    parts: beam.PCollection[Part]
    if engine.reshuffles:
        parts = (
            pipeline
            | "Shards" >> beam.Create(list(shards), reshuffle=False)
            | "Parts" >> beam.FlatMap(work.parts, per_part)
            | "Spread" >> beam.Reshuffle()
        )
    else:
        every = [part for shard in shards for part in work.parts(shard, per_part)]
        parts = pipeline | "Parts" >> beam.Create(every, reshuffle=False)
    rendered: beam.PCollection[tuple[None, tuple[Shard, Failed]]] = (
        parts | "Render" >> beam.ParDo(render)
    )
    whole: beam.PCollection[tuple[str, Iterable[Shard]]] = (
        rendered
        | "AllParts" >> beam.GroupByKey()
        | "CheckFailures" >> beam.ParDo(CheckFailures(work, session, failed))
        # Not a Reshuffle, which does nothing on Dask.
        | "SpreadShards" >> beam.GroupByKey()
    )
    _: beam.PCollection[str] = (
        whole
        | "Pack" >> beam.ParDo(PackShard(work, session))
        | "AllShards" >> beam.GroupByKey()
        | "Finish" >> beam.ParDo(Finish(work, session))
    )
    return pipeline


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Has SIGTERM raise KeyboardInterrupt in the main thread, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
