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
from dyso.pipeline.output_layout import OutputLayout
from dyso.pipeline.plan import Part
from dyso.pipeline.shard_report import Failure, ShardReport, to_json
from dyso.render import SCENE_REASONS, UNCERTAIN_REASONS, RenderError, Views
from dyso.sampling import UnseenScene, sample_scene
from dyso.sampling.scene import Scene
from dyso.spec import ResolvedSpec, UserError
from dyso.storage.resumable import RESUME

RENDER_ATTEMPTS = 3
# An uncertain failure is attributed to the scene if it occurs this often in a row. Each
# repetition runs in a fresh process.
REPEATS = 3
# Seconds before each repeated render of a scene whose failure the machine may have
# caused.
PAUSES = (0.0, 1.0, 4.0, 15.0, 30.0)
POLL_SECONDS = 0.1  # between checks for cancellation during a pause
PROGRESS_SECONDS = 5.0  # between two writes of a part's progress
_LOG = logging.getLogger(__name__)
STDERR_LENGTH = 1000  # characters of a worker's standard error that are kept


def make_part(
    part: Part,
    resolved: ResolvedSpec,
    layout: OutputLayout,
    renderer: SceneRenderer,
    check: Callable[[], None] = lambda: None,
) -> ShardReport:
    """Renders a part and writes its file, then its report.

    Args:
      part: the scenes to render.
      resolved: the dataset.
      layout: the output folder.
      renderer: renders one scene after another.
      check: called before every render; an exception that it raises ends the part.
    """
    last_write = -math.inf

    def write_progress(making: float) -> None:
        nonlocal last_write
        if time.monotonic() - last_write < PROGRESS_SECONDS:
            return
        reasons = Counter(failure.reason for failure in maker.failures)
        value = {"rendered": maker.rendered, "failed": reasons, "making": making}
        last_write = time.monotonic()
        # Progress is not essential: if the output fails, writing the part reports it.
        with contextlib.suppress(OSError):
            layout.output.write(layout.part_file(part, "progress"), to_json(value))

    maker = SceneMaker(resolved, renderer, check, write_progress)
    with layout.output.scratch() as scratch:
        file = scratch / "part"
        info = records.write_shard(file, _records(part, maker))
        layout.output.put(file, layout.part_file(part, "array_record"), info.sha256)
    report = ShardReport(
        spec_hash=layout.spec_hash,
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
    layout.output.write(layout.part_file(part, "json"), to_json(asdict(report)))
    with contextlib.suppress(OSError):
        layout.output.remove(layout.part_file(part, "progress"))
    return report


def _records(part: Part, maker: SceneMaker) -> Iterator[bytes]:
    """Yields the records of the scenes that could be rendered, in order."""
    for index in range(part.start, part.stop):
        record = maker.record(part.shard.split, index)
        if record is not None:
            yield record


class SceneMaker:
    """Makes records of scenes; samples scenes that cannot be rendered again.

    Attributes:
      rendered: number of records.
      failures: the last attempts at the scenes that were given up.
      retries: all other attempts that failed.
      repeated: failed renders, by reason, of attempts that a later render completed.
      seconds: wall time of rendering, summed over scenes.
      core_seconds: CPU time of sampling, rendering and encoding.
      objects: the objects in the records, as indices in the object catalog.
      backgrounds: the HDRIs in the records, as indices in the HDRI catalog.
    """

    def __init__(
        self,
        resolved: ResolvedSpec,
        renderer: SceneRenderer,
        check: Callable[[], None] = lambda: None,
        watch: Callable[[float], None] = lambda making: None,
    ):
        """Initializes the counts.

        Args:
          resolved: the dataset.
          renderer: renders one scene after another.
          check: see `make_part`.
          watch: called from time to time with the fraction of the current scene that is
            rendered, and with 0 after every scene.
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
        """Returns a scene's record; None if the scene was added to the failures.

        Raises:
          UserError: no scene can be rendered on this machine, or the machine failed
            repeatedly while it rendered this scene.
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
        """Returns the record of the first successful attempt, and failed attempts."""
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
                self._add_assets(scene)
                return record, failed
            except RenderError as error:
                if error.final:
                    raise UserError(str(error)) from error
                failed.append(_failure(index, scene.attempt, error.reason, error))
                # An unseen scene was not rendered; the spec limits these attempts.
                rendered += error.reason != "unseen"
            except ValueError as error:  # the format cannot store the views
                failed.append(_failure(index, scene.attempt, "record", error))
                rendered += 1
            attempt = scene.attempt + 1
        return None, failed

    def _add_assets(self, scene: Scene) -> None:
        catalogs = self._resolved.objects, self._resolved.backgrounds
        self.objects |= {catalogs[0].index(item.asset_id) for item in scene.objects}
        self.backgrounds.add(catalogs[1].index(scene.background.asset_id))

    def _render(self, scene: Scene) -> bytes:
        """Returns a scene's record; repeats renders that the machine may have failed.

        Raises:
          RenderError: the scene cannot be rendered on any machine.
          ValueError: the format cannot store the views.
          UserError: the machine failed repeatedly.
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
                if (
                    error.final
                    or error.reason in SCENE_REASONS
                    or _blames_scene(failed)
                ):
                    raise
                if len(failed) == 1:
                    _LOG.warning("%s: %s; trying again", name, _one_line(error))
            else:
                self.repeated.update(error.reason for error in failed)
                return record
        raise UserError(
            f"{name}: {_one_line(failed[-1])} (tried {len(failed)} "
            f"times in {time.monotonic() - start:.0f} s); the machine is to blame, not "
            "the scene, which is therefore not sampled again; fix this, then "
            f"{RESUME}"
        ) from failed[-1]

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._check()
            time.sleep(min(left, POLL_SECONDS))

    def _timed_render(self, scene: Scene) -> bytes:
        self._check()
        start = time.monotonic()
        # A worker that fails reports no core-seconds; then one core is assumed.
        spent = None
        try:
            total = scene.layout.views
            views = self._renderer.render(
                scene, lambda count: self._watch(min(1.0, max(0, count) / total))
            )
            spent = views.timings.get("cpu")
            return _encoded(scene, views)
        except RenderError:
            # If the renderer was closed to cancel the job, the scene did not fail.
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
        raise RenderError("machine", "out of memory for the record") from error


def _blames_scene(failed: Sequence[RenderError]) -> bool:
    """Returns whether the last, uncertain failures are attributed to the scene.

    They are attributed to the machine unless the same failure occurs `REPEATS` times in
    a row. Repetition is no proof, so metadata.json lists these failures, and `dyso
    validate` warns about them.
    """
    last = failed[-REPEATS:]
    kinds = {(error.reason, error.kind) for error in last}
    return (
        len(last) == REPEATS
        and len(kinds) == 1
        and failed[-1].reason in UNCERTAIN_REASONS
    )


def _one_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:300]


def _failure(index: int, attempt: int, reason: str, error: Exception) -> Failure:
    asset, stderr = "", ""
    if isinstance(error, RenderError):
        asset = error.asset
        stderr = "" if asset or reason == "unseen" else error.stderr
    return Failure(
        index=index,
        attempt=attempt,
        reason=reason,
        asset=asset,
        message=_one_line(error),
        stderr=stderr[-STDERR_LENGTH:],
    )
