"""Which cameras see which dynamics steps, and in which order the views are."""

from __future__ import annotations

import itertools
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The views of a scene: V of T dynamics steps and C cameras.

    Every camera sees every step, V = T x C, and view = step * cameras + camera. Or they
    are paired: camera i sees step i alone, V = T = C, and view = step = camera.
    """

    steps: int
    cameras: int
    paired: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Steps, and the cameras that see each; in C order these are the views."""
        return self.steps, 1 if self.paired else self.cameras

    @property
    def views(self) -> int:
        """How many views there are."""
        steps, cameras = self.shape
        return steps * cameras

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Each view's step and camera, in the order of the views."""
        if self.paired:
            return tuple((step, step) for step in range(self.steps))
        return tuple(itertools.product(range(self.steps), range(self.cameras)))

    def view(self, step: int, camera: int) -> int:
        """Gives the view in which a camera sees a step that it does see."""
        return step if self.paired else step * self.cameras + camera

    def steps_of(self, camera: int) -> range:
        """Gives the steps that a camera sees."""
        return range(camera, camera + 1) if self.paired else range(self.steps)
