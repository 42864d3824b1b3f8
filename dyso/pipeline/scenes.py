"""Renders the scenes of one part into its file."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from dyso import records
from dyso.pipeline.account import Account, Failure, write_account, write_json
from dyso.pipeline.plan import Part
from dyso.pipeline.session import SceneRenderer
from dyso.pipeline.work import Work
from dyso.render import RenderError, Views
from dyso.sampling import UnseenScene, sample_scene
from dyso.sampling.scene import Scene
from dyso.spec import ResolvedSpec, UserError

RENDER_ATTEMPTS = 3


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
    maker = SceneMaker(resolved, renderer, check)
    path = work.part_file(part, "array_record")
    progress = work.part_file(part, "progress")
    path.parent.mkdir(exist_ok=True)
    info = records.write_shard(path, _records(part, maker, progress))
    account = Account(
        spec_hash=work.spec_hash,
        split=part.shard.split,
        start=part.start,
        stop=part.stop,
        records=info.count,
        bytes=info.bytes,
        sha256=info.sha256,
        resampled=maker.resampled,
        seconds=maker.seconds,
        failures=tuple(maker.failures),
    )
    write_account(work.part_file(part, "json"), account)
    progress.unlink(missing_ok=True)
    return account


def _records(part: Part, maker: SceneMaker, progress: Path) -> Iterator[bytes]:
    """Gives the records of the scenes that could be rendered, in order."""
    rendered = 0
    for index in range(part.start, part.stop):
        record = maker.record(part.shard.split, index)
        if record is not None:
            rendered += 1
            yield record
        reasons = Counter(failure.reason for failure in maker.failures)
        write_json(progress, {"rendered": rendered, "failed": reasons})


class SceneMaker:
    """Makes records of scenes, sampling again those that cannot be rendered.

    Attributes:
      failures: the scenes that were given up.
      resampled: scenes made under another attempt than the first one rendered.
      seconds: of rendering, summed over scenes.
    """

    def __init__(
        self,
        resolved: ResolvedSpec,
        renderer: SceneRenderer,
        check: Callable[[], None] = lambda: None,
    ):
        """See `make_part`."""
        self._resolved, self._renderer, self._check = resolved, renderer, check
        self.failures: list[Failure] = []
        self.resampled = 0
        self.seconds = 0.0

    def record(self, split: str, index: int) -> bytes | None:
        """Gives a scene's record; None if it is now among the failures.

        Raises:
          UserError: no scene at all can be rendered here.
        """
        attempt, failure = 0, None
        for count in range(RENDER_ATTEMPTS):
            try:
                scene = sample_scene(self._resolved, split, index, attempt)
            except UnseenScene as error:
                failure = failure or _failure(index, attempt, "unseen", "", error)
                break
            try:
                record = records.encode(scene, self._render(scene))
            except RenderError as error:
                if error.final:
                    raise UserError(str(error)) from error
                failure = _failure(
                    index, scene.attempt, error.reason, error.asset, error
                )
            except ValueError as error:  # what the format cannot store
                failure = _failure(index, scene.attempt, "record", "", error)
            else:
                self.resampled += count > 0
                return record
            attempt = scene.attempt + 1
        assert failure is not None
        self.failures.append(failure)
        return None

    def _render(self, scene: Scene) -> Views:
        try:
            return self._timed_render(scene)
        except RenderError as error:
            if error.reason not in ("crash", "timeout"):
                raise
        # These may be the machine's doing (memory, load, a kill) and not the scene's.
        # Sampling again at once would make the data depend on that.
        return self._timed_render(scene)

    def _timed_render(self, scene: Scene) -> Views:
        self._check()
        start = time.monotonic()
        try:
            return self._renderer.render(scene)
        except RenderError:
            # A renderer that was closed to stop the job is no failure of the scene.
            self._check()
            raise
        finally:
            self.seconds += time.monotonic() - start


def _failure(
    index: int, attempt: int, reason: str, asset: str, error: Exception
) -> Failure:
    message = (str(error).splitlines() or [""])[0][:300]
    return Failure(
        index=index, attempt=attempt, reason=reason, asset=asset, message=message
    )
