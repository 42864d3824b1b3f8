"""Which views a method has seen, and which are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dyso.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The views whose colours a method has seen: some cameras at some dynamics steps.

    Attributes:
      cameras: numbers in view = dynamics step * cameras + camera; None means all that
        the spec does not hold out.
      steps: dynamics steps; None means all.
    """

    cameras: tuple[int, ...] | None = None
    steps: tuple[int, ...] | None = None

    def views(self, spec: Spec) -> list[int]:
        """Returns the views, in order.

        Raises:
          ValueError: there is no such camera or step; the message names it.
        """
        steps, cameras = spec.layout.shape
        default = range(cameras - spec.cameras.held_out)
        chosen_cameras = _chosen("camera", self.cameras, default, cameras)
        chosen_steps = _chosen("step", self.steps, range(steps), steps)
        return [
            step * cameras + camera
            for step in chosen_steps
            for camera in chosen_cameras
        ]


def _chosen(
    name: str, numbers: Sequence[int] | None, default: range, count: int
) -> list[int]:
    if numbers is None:
        return list(default)
    wrong = [number for number in numbers if not 0 <= number < count]
    if wrong:
        raise ValueError(f"inputs: no {name} {wrong[0]}; expected 0 to {count - 1}")
    return sorted(set(numbers))


def held_out_views(spec: Spec, *inputs: Inputs) -> list[int]:
    """Returns the views that none of the inputs contains, in order.

    Args:
      spec: the dataset's spec.
      inputs: of one method or of several; none stands for the default, all cameras
        that the spec does not hold out.

    Raises:
      ValueError: the inputs name a camera or step that does not exist.
    """
    seen = {view for each in inputs or (Inputs(),) for view in each.views(spec)}
    return [view for view in range(spec.views) if view not in seen]
