"""Which cameras see which dynamics steps, and the order of the views."""

from __future__ import annotations

import itertools
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The views of a scene: V of T dynamics steps and C cameras.

    By default every camera sees every step: V = T x C, and view = step * cameras +
    camera. Paired cameras see one step each: camera i sees step i, V = T = C, and view
    = step = camera.
    """

    steps: int
    cameras: int
    paired: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Number of steps, and of cameras that see each; views are in C order."""
        return self.steps, 1 if self.paired else self.cameras

    @property
    def views(self) -> int:
        """The number of views."""
        steps, cameras = self.shape
        return steps * cameras

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Each view's step and camera, in the order of the views."""
        if self.paired:
            return tuple((step, step) for step in range(self.steps))
        return tuple(itertools.product(range(self.steps), range(self.cameras)))

    def view(self, step: int, camera: int) -> int:
        """Returns the view of a camera at a step that the camera sees."""
        return step if self.paired else step * self.cameras + camera

    def steps_of(self, camera: int) -> range:
        """Returns the steps that a camera sees."""
        return range(camera, camera + 1) if self.paired else range(self.steps)
