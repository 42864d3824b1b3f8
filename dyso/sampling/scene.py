"""`Scene`: everything that decides the pixels of one scene, as plain values.

SI units and radians; quaternions (w, x, y, z); z is up in the world and the floor is
z = 0. Camera axes are OpenCV's: x right, y down, z forward.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, Literal

from dyso.spec import Joint, Layout, Render

if TYPE_CHECKING:
    import pydantic

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Color = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Pose:
    """A rigid transform to the world: X_world = R(quaternion) X_local + position."""

    position: Vector
    quaternion: Quaternion


@dataclass(frozen=True, kw_only=True)
class Material:
    """A procedural material for an object without its own.

    Attributes:
      texture: the procedural pattern that mixes the two colours.
      colors: two scene-linear albedos in [0, 1].
      scale: pattern repeats per object size.
      offset: shifts the pattern in object space, in object sizes.
      roughness: of the principled BSDF, in [0, 1].
      metallic: of the principled BSDF, in [0, 1].
      bump: strength of the bump that follows the pattern, in [0, 1].
    """

    texture: Literal["noise", "marble", "cells", "waves", "checker", "bricks"]
    colors: tuple[Color, Color]
    scale: float
    offset: Vector
    roughness: float
    metallic: float
    bump: float


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How an object differs from its rest shape at one step.

    See `dyso.sampling.deformation` for the meaning of the numbers.

    Attributes:
      bend: radians, towards the two sides of the box that follow the axis.
      twist: radians.
      taper: share of the width.
      squash: logarithm of the change in length.
      lattice: 27 moves in shares of the box's sides, x slowest, z fastest; or none.
    """

    bend: tuple[float, float]
    twist: float
    taper: float
    squash: float
    lattice: tuple[Vector, ...]

    def __post_init__(self) -> None:
        """Checks the number of control points.

        Raises:
          ValueError: there are neither 27 nor none.
        """
        if len(self.lattice) not in (0, 27):
            raise ValueError("a lattice must have 27 control points")


@dataclass(frozen=True, kw_only=True)
class Deformation:
    """How an object changes its shape.

    Attributes:
      axis: the longest side of its bounding box: 0 for x, 1 for y, 2 for z.
      shapes: one per dynamics step.
    """

    axis: Literal[0, 1, 2]
    shapes: tuple[Shape, ...]


@dataclass(frozen=True, kw_only=True)
class GaitStep:
    """Where a creature is in its gait at one step.

    Attributes:
      phase: cycles; the distance adds its own, by the creature's stride.
      distance: metres that it has gone since step 0.
    """

    phase: float
    distance: float


@dataclass(frozen=True, kw_only=True)
class GaitPath:
    """The way that a creature takes; see `dyso.geometry.Path`.

    Attributes:
      start: metres from where it is at step 0 to the first heading.
      spacing: metres.
      headings: radians, relative to that of step 0.
    """

    start: float
    spacing: float
    headings: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Gait:
    """How a creature moves its limbs; see `dyso.geometry.posed`.

    Attributes:
      amplitude: of its natural gait.
      height: metres by which it is above the floor where contact is not by physics.
      steps: one per dynamics step.
      path: None if it does not go ahead.
    """

    amplitude: float
    height: float
    steps: tuple[GaitStep, ...]
    path: GaitPath | None = None


@dataclass(frozen=True, kw_only=True)
class Articulation:
    """How the joints of an object move.

    Attributes:
      joints: in metres, in the object's frame.
      values: of every joint, at every dynamics step: radians if the joint is revolute,
        metres if it is prismatic.
    """

    joints: tuple[Joint, ...]
    values: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        """Checks the joints' parents, and that all joints have values.

        Raises:
          ValueError: a parent is no earlier part, or a step has not one value a joint.
        """
        if any(not 0 <= joint.parent <= i for i, joint in enumerate(self.joints)):
            raise ValueError("a joint's parent must be an earlier part")
        if any(len(values) != len(self.joints) for values in self.values):
            raise ValueError("an articulation must have one value per joint")


@dataclass(frozen=True, kw_only=True)
class Animation:
    """The animation of its file that an object plays.

    Attributes:
      clip: its name; empty if the object has none and is rigid.
      times: seconds of the clip, one per dynamics step.
    """

    clip: str
    times: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class SceneObject:
    """One object.

    The origin of the object's frame is the centre of its mesh's axis-aligned bounding
    box; the mesh is scaled so that the box's longest side is `size`.

    Attributes:
      asset_id: its id in the object catalog.
      category: its category's name.
      category_id: index of the category in the catalog, plus one.
      size: metres.
      poses: object to world, one per dynamics step. The worker computes the exact
        height of contact, settling and, with `physics`, all poses after the first.
      material: replaces the mesh's own material; None keeps it.
      deformation: None for objects that do not deform.
      gait: None for objects without a skeleton.
      articulation: None if no joint moves in the dataset.
      animation: None if no clip is played in the dataset.
    """

    asset_id: str
    category: str
    category_id: int
    size: float
    poses: tuple[Pose, ...]
    material: Material | None
    deformation: Deformation | None = None
    gait: Gait | None = None
    articulation: Articulation | None = None
    animation: Animation | None = None

    @property
    def changes_shape(self) -> bool:
        """Whether its mesh differs from step to step."""
        return self.deformation is not None or self.plays or self.has_skeleton

    @property
    def plays(self) -> bool:
        """Whether it plays a clip of its file."""
        return self.animation is not None and bool(self.animation.clip)

    @property
    def has_skeleton(self) -> bool:
        """Whether bones or joints move its mesh."""
        jointed = self.articulation is not None and bool(self.articulation.joints)
        return self.gait is not None or jointed

    def __post_init__(self) -> None:
        """Checks that what changes the shape has a value for every pose.

        Raises:
          ValueError: there are not.
        """
        if self.gait and len(self.gait.steps) != len(self.poses):
            raise ValueError("a gait must have one step per dynamics step")
        if self.deformation and len(self.deformation.shapes) != len(self.poses):
            raise ValueError("a deformation must have one shape per dynamics step")
        if self.articulation and len(self.articulation.values) != len(self.poses):
            raise ValueError("an articulation must have values for every dynamics step")
        if self.animation and len(self.animation.times) != len(self.poses):
            raise ValueError("an animation must have one time per dynamics step")


@dataclass(frozen=True, kw_only=True)
class Camera:
    """One pinhole camera; `pose` maps camera axes to the world.

    Attributes:
      pose: camera to world.
      focal_length: metres.
      sensor_width: metres.
    """

    pose: Pose
    focal_length: float
    sensor_width: float


@dataclass(frozen=True, kw_only=True)
class Background:
    """The HDRI, which lights the scene and, on its backdrop, surrounds it.

    Attributes:
      asset_id: its id in the background catalog.
      rotation: radians about the vertical.
      backdrop: `dome` or `environment`, see `dyso.spec.Backgrounds`.
      dome_radius: metres.
      dome_height: metres.
      ground_seed: of the material that is added to the dome's floor near the centre;
        None adds none.
    """

    asset_id: str
    rotation: float
    backdrop: Literal["dome", "environment"]
    dome_radius: float
    dome_height: float
    ground_seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Physics:
    """Initial velocities of objects that are moved by physics.

    Attributes:
      frame_rate: dynamics steps per second.
      velocities: metres per second at step 0, one for each object.
      spins: radians per second about the world's axes at step 0, one for each object.
      share: share of the objects' bounding boxes that must be in frame.
      views: share of the views in which that must hold, or the scene is not rendered.
    """

    frame_rate: int
    velocities: tuple[Vector, ...]
    spins: tuple[Vector, ...]
    share: float
    views: float


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One scene of a dataset.

    Attributes:
      dataset: the spec's name.
      spec_hash: the dataset's identity.
      split: the split's name.
      index: the scene's index in its split.
      attempt: how often it was sampled again before it was accepted.
      resolution: height and width in pixels.
      objects: instance id = position in this tuple plus one; 0 is background.
      contact: see `dyso.spec.Dynamics`.
      settle_time: seconds of physics if contact is `settle` or `stable`.
      physics: moves the objects; None if their poses are sampled.
      pattern: the camera pattern's name.
      cameras: in the order of the trajectory; held-out cameras come last.
      paired: camera i sees only dynamics step i, and cameras beyond the steps see
        every step; otherwise all see every step.
      skeletal: whether the record has the bones of creatures, also if there are none.
      background: the surroundings of the objects.
      render: samples, denoiser, view transform and layers.
      render_seed: seeds the path tracer, in [0, 2**31).
    """

    dataset: str
    spec_hash: str
    split: str
    index: int
    attempt: int
    resolution: tuple[int, int]
    objects: tuple[SceneObject, ...]
    contact: Literal["rest", "settle", "stable", "free"]
    settle_time: float
    physics: Physics | None = None
    pattern: str
    cameras: tuple[Camera, ...]
    paired: bool = False
    skeletal: bool = False
    background: Background
    render: Render
    render_seed: int

    def __post_init__(self) -> None:
        """Checks that all numbers are finite and that paired cameras have their steps.

        Raises:
          ValueError: a number is not finite, or a paired camera lacks its step.
        """
        if not all(map(math.isfinite, _floats(self))):
            raise ValueError("a scene's numbers must be finite")
        steps = {len(item.poses) for item in self.objects}
        if self.paired and max(steps, default=0) > len(self.cameras):
            raise ValueError(
                "paired cameras must be at least as many as the dynamics steps"
            )

    @property
    def steps(self) -> int:
        """Dynamics steps in the scene."""
        return len(self.objects[0].poses)

    @property
    def articulated(self) -> bool:
        """Whether the record has joints."""
        return any(item.articulation is not None for item in self.objects)

    @property
    def animated(self) -> bool:
        """Whether the record has clips."""
        return any(item.animation is not None for item in self.objects)

    @property
    def layout(self) -> Layout:
        """Which cameras see which dynamics steps."""
        return Layout(steps=self.steps, cameras=len(self.cameras), paired=self.paired)

    @property
    def name(self) -> str:
        """`scene_<index>`, as readers of the official release parse it."""
        return f"scene_{self.index}"

    def to_json(self) -> str:
        """Returns one line of JSON that `from_json` reads back exactly."""
        values = asdict(self)
        # Left out at their defaults: earlier scenes lack these fields.
        for name in ("paired", "physics", "skeletal"):
            if not values[name]:
                del values[name]
        for item in values["objects"]:
            for name in ("deformation", "gait", "articulation", "animation"):
                if item[name] is None:
                    del item[name]
        if values["render"]["shortcut"]:
            del values["render"]["shortcut"]
        if values["background"]["ground_seed"] is None:
            del values["background"]["ground_seed"]
        return json.dumps(values, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Scene:
        """Parses the result of `to_json`.

        Raises:
          ValueError: the text is not a scene.
        """
        return _parser().validate_json(text)


@functools.cache
def _parser() -> pydantic.TypeAdapter[Scene]:
    """Returns what parses scenes, which takes far longer to make than to run."""
    import pydantic

    return pydantic.TypeAdapter(Scene)


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from _floats(each)
    elif is_dataclass(value):
        for each in vars(value).values():
            yield from _floats(each)
