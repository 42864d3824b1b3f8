"""Which cameras see which dynamics steps, and the order of the views."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The views of a scene: V of T dynamics steps and C cameras.

    By default every camera sees every step: V = T x C, and view = step * cameras +
    camera. Paired cameras see one step each: camera i sees step i, V = T = C, and view
    = step = camera. If there are more cameras than steps, the H others see every step:
    V = T x (1 + H), and each step's view of the paired camera comes first.
    """

    steps: int
    cameras: int
    paired: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Number of steps, and of cameras that see each; views are in C order."""
        return self.steps, self.cameras - self._alone

    @property
    def views(self) -> int:
        """The number of views."""
        steps, cameras = self.shape
        return steps * cameras

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Each view's step and camera, in the order of the views."""
        steps, cameras = self.shape
        return tuple(
            (step, self._camera(step, place))
            for step in range(steps)
            for place in range(cameras)
        )

    def view(self, step: int, camera: int) -> int:
        """Returns the view of a camera at a step that the camera sees."""
        return step * self.shape[1] + max(camera - self._alone, 0)

    def steps_of(self, camera: int) -> range:
        """Returns the steps that a camera sees."""
        if self.paired and camera < self.steps:
            return range(camera, camera + 1)
        return range(self.steps)

    @property
    def _alone(self) -> int:
        """How many cameras fewer see a step than there are."""
        return self.steps - 1 if self.paired else 0

    def _camera(self, step: int, place: int) -> int:
        """Returns the camera of the view at a place among those of a step."""
        if self.paired and place == 0:
            return step
        return place + self._alone
