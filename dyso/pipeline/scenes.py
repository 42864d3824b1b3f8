"""Renders the scenes of one part into its file."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict

from dyso import records
from dyso.pipeline.account import Account, Failure, to_json
from dyso.pipeline.plan import Part
from dyso.pipeline.session import SceneRenderer
from dyso.pipeline.work import Work
from dyso.render import RenderError, Views
from dyso.sampling import UnseenScene, sample_scene
from dyso.sampling.scene import Scene
from dyso.spec import ResolvedSpec, UserError

RENDER_ATTEMPTS = 3
PROGRESS_SECONDS = 5.0  # between notes on a part in the making
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
        work.output.write(work.part_file(part, "progress"), to_json(value))
        noted = time.monotonic()

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
    )
    work.output.write(work.part_file(part, "json"), to_json(asdict(account)))
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
        self.seconds = self.core_seconds = 0.0
        self.objects, self.backgrounds = set[int](), set[int]()

    def record(self, split: str, index: int) -> bytes | None:
        """Gives a scene's record; None if it is now among the failures.

        Raises:
          UserError: no scene at all can be rendered here.
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
                record = records.encode(scene, self._render(scene))
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

    def _render(self, scene: Scene) -> Views:
        try:
            return self._timed_render(scene)
        except RenderError as error:
            if error.reason not in ("crash", "timeout", "memory"):
                raise
        # These may be the machine's doing (memory, load, a kill) and not the scene's.
        # Sampling again at once would make the data depend on that.
        return self._timed_render(scene)

    def _timed_render(self, scene: Scene) -> Views:
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
            return views
        except RenderError:
            # A renderer that was closed to stop the job is no failure of the scene.
            self._check()
            raise
        finally:
            seconds = time.monotonic() - start
            self.seconds += seconds
            self.core_seconds += seconds if spent is None else spent


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
        message=(str(error).splitlines() or [""])[0][:300],
        stderr=told[-STDERR_LENGTH:],
    )
