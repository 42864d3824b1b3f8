"""The job's Beam transforms, which may run on any machine of the runner.

Their elements are only names and counts. Pixels go from a worker process into the file
of a part, and from the files of parts into the file of a shard.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack

import apache_beam as beam
from apache_beam.metrics import Metrics

from dyso.pipeline.cancellation import Cancellation, SceneRenderer, find_cancellation
from dyso.pipeline.failures import FailedScenes, check_failures
from dyso.pipeline.output_layout import SPEC, OutputLayout
from dyso.pipeline.output_settings import begun_shards, check_versions
from dyso.pipeline.pack import finish, pack_shard
from dyso.pipeline.plan import Part, Shard
from dyso.pipeline.scenes import make_part
from dyso.pipeline.shard_report import ShardReport
from dyso.spec import ResolvedSpec, UserError, parse_resolved
from dyso.storage import Folder


@functools.lru_cache(maxsize=2)
def _resolved(output: Folder, spec_hash: str) -> ResolvedSpec:
    """Reads the spec from the output, once per process, since catalogs may be large."""
    resolved = parse_resolved(output.read(SPEC), f"{output}/{SPEC}")
    if resolved.hash != spec_hash:
        raise UserError(
            f"{output}: now holds the data of another spec; choose another folder"
        )
    return resolved


class RenderPart(beam.DoFn):
    """Renders the missing parts; each thread has its own worker process."""

    def __init__(
        self,
        layout: OutputLayout,
        key: str,
        *,
        start: Callable[[ResolvedSpec], AbstractContextManager[SceneRenderer]],
    ):
        """Stores the arguments; the worker process starts with the first part.

        Args:
          layout: the output folder.
          key: key of the `Cancellation` in the process that started the job.
          start: returns a context manager that yields a renderer for a dataset.
        """
        self._layout, self._key, self._start = layout, key, start
        self._cancellation: Cancellation | None = None
        self._renderer: SceneRenderer | None = None
        self._stack: ExitStack | None = None

    def setup(self) -> None:
        """Looks up the `Cancellation` of this process."""
        self._stack = ExitStack()
        self._cancellation = find_cancellation(self._key)

    def process(self, part: Part) -> Iterable[tuple[None, tuple[Shard, FailedScenes]]]:
        """Yields the part's shard and its failures once the part is finished."""
        assert self._cancellation is not None
        try:
            with self._cancellation.cancel_on_error():
                self._cancellation.check()
                report = self._layout.part_report(part)
                if report is None:
                    report = self._make(part, self._cancellation)
                    _count(report)
                name = self._layout.part_file(part, "json")
                yield None, (part.shard, FailedScenes.of(name, report))
        except BaseException:
            self.teardown()  # Some runners do not call it after an error.
            raise

    def teardown(self) -> None:
        """Ends the worker process."""
        if self._stack is not None:
            self._stack.close()

    def _make(self, part: Part, cancellation: Cancellation) -> ShardReport:
        resolved = _resolved(self._layout.output, self._layout.spec_hash)
        if self._renderer is None:
            check_versions(self._layout)
            assert self._stack is not None
            self._renderer = self._stack.enter_context(self._start(resolved))
            cancellation.add(self._renderer)
        return make_part(
            part, resolved, self._layout, self._renderer, cancellation.check
        )


def _count(report: ShardReport) -> None:
    """Adds a part to Beam's counters."""
    Metrics.counter("dyso", "scenes_rendered").inc(report.records)
    for reason, count in report.reasons.items():
        Metrics.counter("dyso", f"scenes_failed_{reason}").inc(count)
    Metrics.counter("dyso", "bytes").inc(report.bytes)
    Metrics.counter("dyso", "render_milliseconds").inc(round(report.seconds * 1000))
    Metrics.counter("dyso", "core_milliseconds").inc(round(report.core_seconds * 1000))


class CheckFailures(beam.DoFn):
    """Stops the job once all parts are done if too many scenes have failed."""

    def __init__(self, layout: OutputLayout, key: str, failed: Sequence[FailedScenes]):
        """See `RenderPart`.

        Args:
          layout: the output folder.
          key: key of the `Cancellation`.
          failed: failures in the parts and shards that existed before this run.
        """
        self._layout, self._key, self._failed = layout, key, failed

    def process(
        self, keyed: tuple[None, Iterable[tuple[Shard, FailedScenes]]]
    ) -> Iterable[tuple[str, Shard]]:
        """Yields the shards to pack once all parts are finished."""
        with find_cancellation(self._key).cancel_on_error():
            failed = {each.report: each for each in self._failed}
            shards = set()
            for shard, of_part in keyed[1]:
                shards.add(shard)
                failed[of_part.report] = of_part
            resolved = _resolved(self._layout.output, self._layout.spec_hash)
            check_failures(failed.values(), resolved, self._layout)
            for shard in sorted(shards, key=lambda shard: shard.name):
                yield shard.name, shard


class PackShard(beam.DoFn):
    """Packs a shard whose parts are all finished."""

    def __init__(self, layout: OutputLayout, key: str):
        """See `RenderPart`."""
        self._layout, self._key = layout, key

    def process(self, keyed: tuple[str, Iterable[Shard]]) -> Iterable[tuple[None, str]]:
        """Yields the shard's name once the shard is written."""
        name, (shard, *_) = keyed
        cancellation = find_cancellation(self._key)
        with cancellation.cancel_on_error():
            cancellation.check()
            pack_shard(shard, self._layout)
            yield None, name


class Finish(beam.DoFn):
    """Finishes the dataset once all shards are written."""

    def __init__(self, layout: OutputLayout, key: str):
        """See `RenderPart`."""
        self._layout, self._key = layout, key

    def process(self, keyed: tuple[None, Iterable[str]]) -> Iterable[str]:
        """Yields the dataset's folder."""
        with find_cancellation(self._key).cancel_on_error():
            resolved = _resolved(self._layout.output, self._layout.spec_hash)
            finish(begun_shards(self._layout, resolved), resolved, self._layout)
            yield str(self._layout.output)
