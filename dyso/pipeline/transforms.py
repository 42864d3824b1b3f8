"""The job's Beam transforms, which run where the engine wants them to.

What passes between them are names and counts: pixels go from a worker process into a
part's file, and from parts' files into a shard's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack

import apache_beam as beam
from apache_beam.metrics import Metrics

from dyso.pipeline.cancellation import SceneRenderer, Session, find_session
from dyso.pipeline.output_layout import SPEC, Work, begun_shards, check_versions
from dyso.pipeline.pack import Failed, check_failures, finish, pack_shard
from dyso.pipeline.plan import Part, Shard
from dyso.pipeline.scenes import make_part
from dyso.pipeline.shard_report import Account
from dyso.spec import ResolvedSpec, UserError, parse_resolved
from dyso.storage import Folder


@functools.lru_cache(maxsize=2)
def _resolved(output: Folder, spec_hash: str) -> ResolvedSpec:
    """Reads the spec where the job put it, once a process: catalogs may be large."""
    resolved = parse_resolved(output.read(SPEC), f"{output}/{SPEC}")
    if resolved.hash != spec_hash:
        raise UserError(f"{output}: holds the data of another spec now")
    return resolved


class RenderPart(beam.DoFn):
    """Renders parts that are not there yet, each thread with its own worker process."""

    def __init__(
        self,
        work: Work,
        session: str,
        *,
        start: Callable[[ResolvedSpec], AbstractContextManager[SceneRenderer]],
    ):
        """Starts nothing yet.

        Args:
          work: the output folder.
          session: key of the session in the process that started the job.
          start: gives a renderer of a dataset's scenes.
        """
        self._work, self._key, self._start = work, session, start
        self._session: Session | None = None
        self._renderer: SceneRenderer | None = None
        self._stack: ExitStack | None = None

    def setup(self) -> None:
        """Finds the session."""
        self._stack = ExitStack()
        self._session = find_session(self._key)

    def process(self, part: Part) -> Iterable[tuple[None, tuple[Shard, Failed]]]:
        """Gives the part's shard, and what failed, when the part is there."""
        assert self._session is not None
        try:
            with self._session.guarding():
                self._session.check()
                account = self._work.part_account(part)
                if account is None:
                    account = self._make(part, self._session)
                    _count(account)
                name = self._work.part_file(part, "json")
                yield None, (part.shard, Failed.of(name, account))
        except BaseException:
            self.teardown()  # Not every engine does.
            raise

    def teardown(self) -> None:
        """Ends the worker process."""
        if self._stack is not None:
            self._stack.close()

    def _make(self, part: Part, session: Session) -> Account:
        resolved = _resolved(self._work.output, self._work.spec_hash)
        if self._renderer is None:
            check_versions(self._work)
            assert self._stack is not None
            self._renderer = self._stack.enter_context(self._start(resolved))
            session.add(self._renderer)
        return make_part(part, resolved, self._work, self._renderer, session.check)


def _count(account: Account) -> None:
    """Adds a part to the engine's counters."""
    Metrics.counter("dyso", "scenes_rendered").inc(account.records)
    for reason, count in account.reasons.items():
        Metrics.counter("dyso", f"scenes_failed_{reason}").inc(count)
    Metrics.counter("dyso", "bytes").inc(account.bytes)
    Metrics.counter("dyso", "render_milliseconds").inc(round(account.seconds * 1000))
    Metrics.counter("dyso", "core_milliseconds").inc(round(account.core_seconds * 1000))


class CheckFailures(beam.DoFn):
    """Lets a job go on of which few enough scenes have failed."""

    def __init__(self, work: Work, session: str, failed: Sequence[Failed]):
        """See `RenderPart`.

        Args:
          work: the output folder.
          session: key of the session.
          failed: what failed in what was there before.
        """
        self._work, self._key, self._failed = work, session, failed

    def process(
        self, keyed: tuple[None, Iterable[tuple[Shard, Failed]]]
    ) -> Iterable[tuple[str, Shard]]:
        """Gives the shards to pack, when all parts are there."""
        with find_session(self._key).guarding():
            failed = {each.account: each for each in self._failed}
            shards = set()
            for shard, of_part in keyed[1]:
                shards.add(shard)
                failed[of_part.account] = of_part
            resolved = _resolved(self._work.output, self._work.spec_hash)
            check_failures(failed.values(), resolved, self._work)
            for shard in sorted(shards, key=lambda shard: shard.name):
                yield shard.name, shard


class PackShard(beam.DoFn):
    """Packs a shard whose parts are all there."""

    def __init__(self, work: Work, session: str):
        """See `RenderPart`."""
        self._work, self._key = work, session

    def process(self, keyed: tuple[str, Iterable[Shard]]) -> Iterable[tuple[None, str]]:
        """Gives the shard's name when the shard is there."""
        name, (shard, *_) = keyed
        session = find_session(self._key)
        with session.guarding():
            session.check()
            pack_shard(shard, self._work)
            yield None, name


class Finish(beam.DoFn):
    """Finishes the dataset when all shards are there."""

    def __init__(self, work: Work, session: str):
        """See `RenderPart`."""
        self._work, self._key = work, session

    def process(self, keyed: tuple[None, Iterable[str]]) -> Iterable[str]:
        """Gives the dataset's folder."""
        with find_session(self._key).guarding():
            resolved = _resolved(self._work.output, self._work.spec_hash)
            finish(begun_shards(self._work, resolved), resolved, self._work)
            yield str(self._work.output)
