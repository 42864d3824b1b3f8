"""The section `dynamics` of a spec: start positions and motion of objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le

from dyso.spec.values import (
    LEAST,
    MOST_FACTOR,
    STRICT,
    DegreesRange,
    FactorRange,
    FrameRate,
    Metres,
    MetresRange,
    ShareRange,
    SpeedRange,
)


@dataclass(frozen=True, kw_only=True)
class Deform:
    """How objects change their shapes. Each key is the largest change between steps.

    All act along the longest side of an object's bounding box, in the order lattice,
    squash, taper, twist, bend; at 0 they do nothing.

    Attributes:
      motion: `smooth`: shapes change smoothly from step to step, around the rest shape.
        `jitter`: each step has a random shape of its own.
      bend: degrees between the two ends. Thick objects fold at more than about 90.
      twist: degrees between the two ends, about the longest side.
      taper: how much wider one end becomes, and the other narrower; share of the width.
      squash: logarithm of the change in length; volumes stay.
      lattice: share of the bounding box's sides by which each of 3 x 3 x 3 control
        points moves. Shapes may fold at more than about 0.1.
    """

    motion: Literal["smooth", "jitter"] = "smooth"
    bend: DegreesRange = (0.0, 0.0)
    twist: DegreesRange = (0.0, 0.0)
    taper: ShareRange = (0.0, 0.0)
    squash: ShareRange = (0.0, 0.0)
    lattice: ShareRange = (0.0, 0.0)
    __pydantic_config__ = STRICT

    @property
    def any(self) -> bool:
        """Whether objects change their shapes."""
        ranges = self.bend, self.twist, self.taper, self.squash, self.lattice
        return max(high for _, high in ranges) > 0


@dataclass(frozen=True, kw_only=True)
class Gait:
    """How creatures walk, swim and crawl: objects of categories with skeletons.

    Where dynamics.motion is smooth and contact not free, all objects face the way that
    they go: `travel` is the length of their path, `turn` the largest change of their
    heading. They go at a constant speed, and the phase follows the distance, so feet
    stay where they stand.

    Attributes:
      amplitude: of steps and waves: 1 is a creature's natural gait; 0 is for none.
      motion: `smooth`: the gait goes on from step to step. `jitter`: each step has a
        random phase.
      cycles: of the gait in all steps, where no distance decides the phase.
      height: metres above the floor at which fish swim.
      bones: whether records have the bones of creatures, where they are at each step.
    """

    amplitude: ShareRange = (0.0, 0.0)
    motion: Literal["smooth", "jitter"] = "smooth"
    cycles: FactorRange = (0.5, 2.0)
    height: MetresRange = (0.2, 0.8)
    bones: bool = False
    __pydantic_config__ = STRICT

    @property
    def any(self) -> bool:
        """Whether creatures move their limbs."""
        return self.amplitude[1] > 0


@dataclass(frozen=True, kw_only=True)
class Articulate:
    """How the joints of objects move: doors, drawers, wheels, arms, blades, links.

    Attributes:
      motion: `smooth`: joints move smoothly from step to step. `jitter`: each step has
        random values of its own.
      change: the largest change of a joint between two steps, as a share of the range
        between its limits; 0 moves nothing.
    """

    motion: Literal["smooth", "jitter"] = "smooth"
    change: ShareRange = (0.0, 0.0)
    __pydantic_config__ = STRICT

    @property
    def any(self) -> bool:
        """Whether joints move."""
        return self.change[1] > 0


@dataclass(frozen=True, kw_only=True)
class Animate:
    """How objects play the animations of their files; see `dyso assets meshes`.

    Each object plays one of its clips that are named, from step to step. An object that
    only turns about the vertical keeps the heights of the clip, whose lowest point in
    all steps touches the floor; one that tips over touches it at every step.

    Attributes:
      clips: names of clips, in which `*` stands for any text; `["*"]` is for all. An
        object without such a clip is rigid; empty plays none.
      motion: `smooth`: time goes on evenly from step to step. `jitter`: each step shows
        a random moment of the clip.
      start: the moment of step 0, as a share of the clip, for `smooth`.
      span: how much of the clip passes from the first step to the last: 1 is as long as
        the clip, for `smooth`.
      frame_rate: steps per second of the clip, for `smooth`; 0 leaves it to `span`.
      repeat: play a clip again after its end; otherwise the object stays as it is then.
    """

    clips: tuple[str, ...] = ()
    motion: Literal["smooth", "jitter"] = "smooth"
    start: ShareRange = (0.0, 1.0)
    span: FactorRange = (1.0, 1.0)
    frame_rate: Annotated[float, Ge(0), Le(MOST_FACTOR)] = 0.0
    repeat: bool = True
    __pydantic_config__ = STRICT

    @property
    def any(self) -> bool:
        """Whether objects play clips."""
        return bool(self.clips)


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
      deform: how objects change their shapes; needs the layer `surface`. They touch the
        floor in their changed shapes. Physics moves them in their rest shapes, and then
        lifts out of the floor what is below it.
      gait: how creatures walk, swim and crawl; needs the layer `surface`. As for
        deform, they touch the floor at every step, and physics moves rest shapes.
      articulate: how the joints of objects move: of the categories with joints, such as
        `cabinet`; needs the layer `surface`. Floor and physics are as for deform. Parts
        may pass through one another.
      animate: how objects play the animations of their files; needs the layer
        `surface`. Physics is as for deform.
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
    deform: Deform = field(default_factory=Deform)
    gait: Gait = field(default_factory=Gait)
    articulate: Articulate = field(default_factory=Articulate)
    animate: Animate = field(default_factory=Animate)
    __pydantic_config__ = STRICT

    @property
    def changes_shapes(self) -> bool:
        """Whether the meshes of objects differ from step to step."""
        ways = self.deform, self.gait, self.articulate, self.animate
        return any(way.any for way in ways)

    @property
    def faces_ahead(self) -> bool:
        """Whether objects face the way that they go, at a constant speed."""
        smooth = self.motion == "smooth" and self.contact != "free"
        return self.gait.any and smooth
