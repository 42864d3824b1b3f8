"""Renders the scenes of one part into its file."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from dyso import records
from dyso.pipeline.cancellation import SceneRenderer
from dyso.pipeline.output_layout import Work
from dyso.pipeline.plan import Part
from dyso.pipeline.shard_report import Account, Failure, to_json
from dyso.render import SCENES, UNCERTAIN, RenderError, Views
from dyso.sampling import UnseenScene, sample_scene
from dyso.sampling.scene import Scene
from dyso.spec import ResolvedSpec, UserError

RENDER_ATTEMPTS = 3
# An uncertain failure is the scene's if it comes so often in a row, each time but the
# first in a fresh process.
REPEATS = 3
# Seconds before each further try at a scene that did not fail by its own doing.
PAUSES = (0.0, 1.0, 4.0, 15.0, 30.0)
POLL_SECONDS = 0.1  # between looks, in a pause, at whether to stop
PROGRESS_SECONDS = 5.0  # between notes on a part in the making
_LOG = logging.getLogger(__name__)
STDERR_LENGTH = 1000  # characters of a worker's last words that are kept


def make_part(
    part: Part,
    resolved: ResolvedSpec,
    work: Work,
    renderer: SceneRenderer,
    check: Callable[[], None] = lambda: None,
) -> Account:
    """Renders a part, writes its file, then its account.

    Args:
      part: which scenes.
      resolved: the dataset.
      work: the output folder.
      renderer: renders one scene after another.
      check: called before every render; what it raises ends the part.
    """
    noted = -math.inf

    def note(making: float) -> None:
        """Tells everyone, now and then, where this part is."""
        nonlocal noted
        if time.monotonic() - noted < PROGRESS_SECONDS:
            return
        reasons = Counter(failure.reason for failure in maker.failures)
        value = {"rendered": maker.rendered, "failed": reasons, "making": making}
        noted = time.monotonic()
        # Progress decides nothing: what the part itself needs says what is wrong.
        with contextlib.suppress(OSError):
            work.output.write(work.part_file(part, "progress"), to_json(value))

    maker = SceneMaker(resolved, renderer, check, note)
    with work.output.scratch() as scratch:
        file = scratch / "part"
        info = records.write_shard(file, _records(part, maker))
        work.output.put(file, work.part_file(part, "array_record"), info.sha256)
    account = Account(
        spec_hash=work.spec_hash,
        split=part.shard.split,
        start=part.start,
        stop=part.stop,
        records=info.count,
        bytes=info.bytes,
        sha256=info.sha256,
        seconds=maker.seconds,
        core_seconds=maker.core_seconds,
        failures=tuple(maker.failures),
        retries=tuple(maker.retries),
        objects=tuple(sorted(maker.objects)),
        backgrounds=tuple(sorted(maker.backgrounds)),
        repeated=dict(maker.repeated),
    )
    work.output.write(work.part_file(part, "json"), to_json(asdict(account)))
    with contextlib.suppress(OSError):
        work.output.remove(work.part_file(part, "progress"))
    return account


def _records(part: Part, maker: SceneMaker) -> Iterator[bytes]:
    """Gives the records of the scenes that could be rendered, in order."""
    for index in range(part.start, part.stop):
        record = maker.record(part.shard.split, index)
        if record is not None:
            yield record


class SceneMaker:
    """Makes records of scenes, sampling again those that cannot be rendered.

    Attributes:
      rendered: how many records there are.
      failures: the scenes that were given up, by their last attempts.
      retries: all other attempts that failed.
      repeated: tries that failed, by reason, at attempts that then were rendered.
      seconds: of rendering, summed over scenes.
      core_seconds: of sampling, rendering and encoding.
      objects: what the records show, as indices in the catalog of objects.
      backgrounds: likewise of HDRIs.
    """

    def __init__(
        self,
        resolved: ResolvedSpec,
        renderer: SceneRenderer,
        check: Callable[[], None] = lambda: None,
        watch: Callable[[float], None] = lambda making: None,
    ):
        """Has made nothing yet.

        Args:
          resolved: the dataset.
          renderer: renders one scene after another.
          check: see `make_part`.
          watch: called with the share that there is of the scene in the making, from
            time to time, and with 0 after every scene.
        """
        self._resolved, self._renderer = resolved, renderer
        self._check, self._watch = check, watch
        self.rendered = 0
        self.failures: list[Failure] = []
        self.retries: list[Failure] = []
        self.repeated = Counter[str]()
        self.seconds = self.core_seconds = 0.0
        self.objects, self.backgrounds = set[int](), set[int]()

    def record(self, split: str, index: int) -> bytes | None:
        """Gives a scene's record; None if it is now among the failures.

        Raises:
          UserError: no scene at all can be rendered here, or this machine keeps this
            one from being rendered.
        """
        start = time.thread_time()
        record, failed = self._attempt(split, index)
        if record is None:
            self.failures.append(failed.pop())
        else:
            self.rendered += 1
        self.retries += failed
        self.core_seconds += time.thread_time() - start
        self._watch(0.0)
        return record

    def _attempt(self, split: str, index: int) -> tuple[bytes | None, list[Failure]]:
        """Gives a scene's record, if one of its attempts gave one, and the others."""
        attempt, failed, rendered = 0, list[Failure](), 0
        while rendered < RENDER_ATTEMPTS:
            try:
                scene = sample_scene(self._resolved, split, index, attempt)
            except UnseenScene as error:
                if not failed:
                    failed.append(_failure(index, attempt, "unseen", error))
                break
            try:
                record = self._render(scene)
                self._note(scene)
                return record, failed
            except RenderError as error:
                if error.final:
                    raise UserError(str(error)) from error
                failed.append(_failure(index, scene.attempt, error.reason, error))
                # Of these nothing was rendered, and the spec bounds the attempts.
                rendered += error.reason != "unseen"
            except ValueError as error:  # what the format cannot store
                failed.append(_failure(index, scene.attempt, "record", error))
                rendered += 1
            attempt = scene.attempt + 1
        return None, failed

    def _note(self, scene: Scene) -> None:
        catalogs = self._resolved.objects, self._resolved.backgrounds
        self.objects |= {catalogs[0].index(item.asset_id) for item in scene.objects}
        self.backgrounds.add(catalogs[1].index(scene.background.asset_id))

    def _render(self, scene: Scene) -> bytes:
        """Returns a scene's record, rendered again until the machine lets it be.

        Raises:
          RenderError: the scene cannot be rendered, wherever it is tried.
          ValueError: the format cannot store its views.
          UserError: the machine keeps it from being rendered.
        """
        name = f"{scene.split} scene {scene.index}"
        failed: list[RenderError] = []
        start = time.monotonic()
        for pause in (0.0, *PAUSES):
            self._wait(pause)
            try:
                record = self._timed_render(scene)
            except RenderError as error:
                failed.append(error)
                if error.final or error.reason in SCENES or _is_scenes(failed):
                    raise
                if len(failed) == 1:
                    _LOG.warning("%s: %s; trying again", name, _one_line(error))
            else:
                self.repeated.update(error.reason for error in failed)
                return record
        raise UserError(
            f"{name}: {_one_line(failed[-1])} (tried {len(failed)} "
            f"times in {time.monotonic() - start:.0f} s); the machine is "
            "to blame and not the scene, which is therefore not sampled again; mend "
            "that, then the same command goes on from here"
        ) from failed[-1]

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._check()
            time.sleep(min(left, POLL_SECONDS))

    def _timed_render(self, scene: Scene) -> bytes:
        self._check()
        start = time.monotonic()
        # A worker that fails tells no core-seconds; one core is what it has for sure.
        spent = None
        try:
            total = scene.layout.views
            views = self._renderer.render(
                scene, lambda made: self._watch(min(1.0, max(0, made) / total))
            )
            spent = views.timings.get("cpu")
            return _encoded(scene, views)
        except RenderError:
            # A renderer that was closed to stop the job is no failure of the scene.
            self._check()
            raise
        finally:
            seconds = time.monotonic() - start
            self.seconds += seconds
            self.core_seconds += seconds if spent is None else spent


def _encoded(scene: Scene, views: Views) -> bytes:
    try:
        return records.encode(scene, views)
    except MemoryError as error:
        raise RenderError("machine", "no memory for the record is left") from error


def _is_scenes(failed: Sequence[RenderError]) -> bool:
    """Says whether the last failures, which are uncertain, are the scene's own.

    They are the machine's unless they come again and again in the same way. That does
    not prove it: what they then decide is noted, and `dyso validate` tells of it.
    """
    last = failed[-REPEATS:]
    kinds = {(error.reason, error.kind) for error in last}
    return len(last) == REPEATS and len(kinds) == 1 and failed[-1].reason in UNCERTAIN


def _one_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:300]


def _failure(index: int, attempt: int, reason: str, error: Exception) -> Failure:
    asset, told = "", ""
    if isinstance(error, RenderError):
        asset = error.asset
        told = "" if asset or reason == "unseen" else error.stderr
    return Failure(
        index=index,
        attempt=attempt,
        reason=reason,
        asset=asset,
        message=_one_line(error),
        stderr=told[-STDERR_LENGTH:],
    )
