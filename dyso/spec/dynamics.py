"""The section `dynamics` of a spec: start positions and motion of objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from dyso.spec.values import (
    LEAST,
    STRICT,
    DegreesRange,
    FrameRate,
    Metres,
    MetresRange,
    SpeedRange,
)


@dataclass(frozen=True, kw_only=True)
class Dynamics:
    """Positions of objects, and their motion between dynamics steps.

    Attributes:
      steps: dynamics steps in a scene (official release: 5).
      spawn_radius: metres, radius of the disc on the floor in which objects start.
      contact: `rest`: the lowest vertex touches the floor in every step. `settle`: in
        step 0 the objects have come to rest by physics, later steps are as in `rest`.
        `stable`: in every step physics lets the moved and turned objects come to rest,
        so they lie on a side instead of balancing on a vertex. `free`: later steps also
        move vertically, so objects may hover or sink.
      motion: `jitter`: each later step moves and turns at random from the previous one
        (official release). `smooth`: the steps sample one smooth path. `physics`: the
        objects are thrown, fall, collide and come to rest; requires contact `free`.
      jitter: metres, standard deviation of the step-to-step move along each axis, for
        `jitter`.
      max_rotation: degrees; each later step turns by an angle uniform in
        [0, max_rotation] about a random axis (official release: 90), for `jitter`.
      travel: metres, the largest distance between two positions of the path, for
        `smooth`.
      turn: degrees, the largest turn between two steps, for `smooth`: about the
        vertical, or about changing axes if contact is `free`.
      drop: metres between the floor and an object's bounding sphere at step 0, for
        `physics`; more if another object is below.
      speed: metres per second at step 0, horizontally towards a random point in the
        disc of `spawn_radius`, for `physics`.
      spin: degrees per second at step 0, about a random axis, for `physics`.
      frame_rate: dynamics steps per second, for `physics`.
      settle_time: seconds of physics for `settle`, and for each step of `stable`.
    """

    steps: Annotated[int, Ge(1), Le(1000)] = 5
    spawn_radius: Metres = 1.0
    contact: Literal["rest", "settle", "stable", "free"] = "rest"
    motion: Literal["jitter", "smooth", "physics"] = "jitter"
    jitter: Metres = 0.4
    max_rotation: Annotated[float, Ge(0), Le(180)] = 90.0
    travel: MetresRange = (0.5, 2.0)
    turn: DegreesRange = (0.0, 120.0)
    drop: MetresRange = (0.0, 1.0)
    speed: SpeedRange = (0.0, 2.0)
    spin: DegreesRange = (0.0, 180.0)
    frame_rate: FrameRate = 30
    settle_time: Annotated[float, Ge(LEAST), Le(60)] = 4.0
    __pydantic_config__ = STRICT
