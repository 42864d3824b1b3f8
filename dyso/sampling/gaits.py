"""The gait of a creature in every step, and the pose of its skeleton."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

from dyso import spec
from dyso.geometry import Path, Rig, posed
from dyso.sampling.scene import Gait, GaitPath, GaitStep

DECIMALS = 6
"""Of cycles, metres and radians. A scene keeps them as text."""
# Share of an object's longest side by which limbs may leave its bounding box.
_REACH = np.array([0.18, 0.18, 0.06])


def sample_gait(
    rng: np.random.Generator,
    gait: spec.Gait,
    kind: Literal["swim", "walk"],
    steps: int,
    travel: float | None,
    path: Path | None,
) -> Gait:
    """Draws the gait of one creature. The draws do not depend on the creature.

    Args:
      rng: draws.
      gait: the spec's.
      kind: a swimmer is above the floor.
      steps: T dynamics steps.
      travel: metres that it goes in all steps; None if it does not go ahead.
      path: its way.
    """
    amplitude, height = rng.uniform(*gait.amplitude), rng.uniform(*gait.height)
    cycles, start = rng.uniform(*gait.cycles), rng.uniform()
    phases = rng.uniform(size=steps)
    if gait.motion == "smooth":
        still = cycles * np.linspace(0, 1, steps) if travel is None else 0.0
        phases = start + still + np.zeros(steps)
    else:
        travel = path = None
    gone = np.linspace(0, travel or 0.0, steps)
    return Gait(
        amplitude=_rounded(amplitude),
        height=_rounded(height) if kind == "swim" else 0.0,
        steps=tuple(
            GaitStep(phase=_rounded(phase), distance=_rounded(distance))
            for phase, distance in zip(phases, gone, strict=True)
        ),
        path=None if path is None else _kept(path),
    )


def _kept(path: Path) -> GaitPath:
    return GaitPath(
        start=_rounded(path.start),
        spacing=_rounded(path.spacing),
        headings=tuple(map(_rounded, path.headings)),
    )


def _rounded(value: float) -> float:
    return round(float(value), DECIMALS) + 0.0


def pose_at(rig: Rig, gait: Gait, step: int) -> Float[np.ndarray, "B 3 4"]:
    """Returns the transforms of a rig's bones from the rest shape to a step's pose.

    Args:
      rig: in metres.
      gait: the creature's.
      step: the dynamics step.
    """
    at = gait.steps[step]
    phase = at.phase + at.distance / rig.stride_at(gait.amplitude)
    if gait.path is None:
        return posed(rig, phase, gait.amplitude)
    path = Path(
        start=gait.path.start,
        spacing=gait.path.spacing,
        headings=np.array(gait.path.headings),
    )
    return posed(rig, phase, gait.amplitude, path, at.distance)


def reach(half: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    """Returns half the sides of a box that holds a creature in any pose, about."""
    return half + _REACH * 2 * half.max()
