"""A renderer that returns at once: made-up pixels, failures on demand."""

import os
import time
from pathlib import Path

from dyso.records.synthetic import synthetic_views
from dyso.render import RenderError, Views
from dyso.sampling import Scene
from helpers.waiting import wait_for


class InstantRenderer:
    """Stands in for worker processes where the pipeline itself is under test.

    Args:
      cpu: as the pipeline passes it.
      failing: {(split, index): attempts that fail}, with this reason.
      reason: see `RenderError`.
      once: a folder; a crash is noted there and happens once for each scene.
      seconds: that a scene takes.
      log: a file that gets a line for each scene.
      gate: a folder; a scene makes a file `waits` in it and waits for a file `go`.
    """

    def __init__(
        self,
        *,
        cpu=None,
        failing=None,
        reason="asset",
        once=None,
        seconds=0.0,
        log=os.devnull,
        gate=None,
    ):
        self.failing, self.reason = failing or {}, reason
        self.once, self.seconds = once and Path(once), seconds
        self.log, self.gate = log, gate

    def render(self, scene: Scene, watch: object = None) -> Views:
        time.sleep(self.seconds)
        if self.gate is not None:
            (self.gate / "waits").touch()
            wait_for((self.gate / "go").exists)
        with open(self.log, "a") as log:
            log.write(f"{scene.split} {scene.index} {scene.attempt}\n")
        attempts = self.failing.get((scene.split, scene.index), ())
        if scene.attempt in attempts:
            note = self.once and self.once / f"{scene.split}-{scene.index}"
            if not note or not note.exists():
                if note:
                    note.touch()
                raise RenderError(self.reason, "it broke\nbadly", asset="object_1")
        return synthetic_views(scene)

    def close(self) -> None:
        pass
