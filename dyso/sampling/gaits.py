"""The gait of a creature in every step, and the pose of its skeleton."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

from dyso import spec
from dyso.geometry import Rig, posed
from dyso.sampling.scene import Gait, GaitStep

DECIMALS = 6
"""Of cycles, metres and radians per metre. A scene keeps them as text."""
# Share of an object's longest side by which limbs may leave its bounding box.
_REACH = np.array([0.18, 0.18, 0.06])


def sample_gait(
    rng: np.random.Generator,
    gait: spec.Gait,
    kind: Literal["swim", "walk"],
    distances: Float[np.ndarray, " T"] | None,
    curvatures: Float[np.ndarray, " T"],
) -> Gait:
    """Draws the gait of one creature. The draws do not depend on the creature.

    Args:
      rng: draws.
      gait: the spec's.
      kind: a swimmer is above the floor.
      distances: metres that it has gone at each step; None if it does not go ahead.
      curvatures: radians per metre, of its path at each step.
    """
    steps = len(curvatures)
    amplitude, height = rng.uniform(*gait.amplitude), rng.uniform(*gait.height)
    cycles, start = rng.uniform(*gait.cycles), rng.uniform()
    phases = rng.uniform(size=steps)
    if gait.motion == "smooth":
        still = cycles * np.linspace(0, 1, steps) if distances is None else 0.0
        phases = start + still + np.zeros(steps)
    gone = np.zeros(steps)
    if distances is not None and gait.motion == "smooth":
        gone = distances
    return Gait(
        amplitude=_rounded(amplitude),
        height=_rounded(height) if kind == "swim" else 0.0,
        steps=tuple(
            GaitStep(
                phase=_rounded(phase),
                distance=_rounded(distance),
                curvature=_rounded(curvature),
            )
            for phase, distance, curvature in zip(phases, gone, curvatures, strict=True)
        ),
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
    return posed(rig, phase, gait.amplitude, at.curvature)


def reach(half: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    """Returns half the sides of a box that holds a creature in any pose, about."""
    return half + _REACH * 2 * half.max()
