"""What a spec may say: frozen dataclasses, with every field's unit and meaning.

Lengths are metres, angles degrees, lens sizes millimetres, as people write them in
YAML; `dyso.sampling` turns angles into radians. A range is `[low, high]` and is drawn
from uniformly. Where the papers publish no figure, the default is this project's
choice, and `specs/dyso.yaml` says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Len, Lt, Predicate

from dyso.spec.layout import Layout

# pydantic reads this on stdlib dataclasses: unknown keys and NaN are errors.
STRICT = {"extra": "forbid", "allow_inf_nan": False, "strict": True}


def _ordered(value: tuple[float, float]) -> bool:
    """[low, high] with low <= high."""
    return value[0] <= value[1]


def _positive(value: tuple[float, float]) -> bool:
    """[low, high] with both above 0."""
    return min(value) > 0


def _safe_name(value: str) -> bool:
    """A lower-case name of letters, digits and underscores."""
    return value.isidentifier() and value == value.lower()


def _semantic(value: str) -> bool:
    """A version such as 1.0.0."""
    return re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9}){2}", value) is not None


def _has_scenes(value: dict[str, int]) -> bool:
    """At least one split, and every split with at least one scene."""
    return bool(value) and min(value.values()) >= 1


def _image_layers(value: tuple[str, ...]) -> bool:
    """Distinct layers, with color, depth, instance and category among them."""
    return len(set(value)) == len(value) and set(REQUIRED_LAYERS) <= set(value)


NonNegative = Annotated[float, Ge(0)]
Positive = Annotated[float, Gt(0)]
Share = Annotated[float, Ge(0), Le(1)]
Elevation = Annotated[float, Ge(-90), Le(90)]
PositiveRange = Annotated[
    tuple[float, float], Predicate(_ordered), Predicate(_positive)
]
NonNegativeRange = Annotated[tuple[NonNegative, NonNegative], Predicate(_ordered)]
Name = Annotated[str, Predicate(_safe_name)]
Layer = Literal[
    "color", "depth", "instance", "category", "normal", "object_coordinates"
]
REQUIRED_LAYERS: tuple[Layer, ...] = ("color", "depth", "instance", "category")


@dataclass(frozen=True, kw_only=True)
class Objects:
    """Which objects a scene shows.

    Attributes:
      catalog: `starter`, or the path or URL of a Kubric asset manifest; a relative
        path starts at the spec's folder.
      count: fewest and most objects in a scene.
      size: metres, the longest side of an object's axis-aligned bounding box.
      held_out: share of the objects that `train` never shows; every other split
        shows only those (MultiShapeNet: 0.1).
      categories: use these categories alone; empty means all.
    """

    catalog: str = "starter"
    count: Annotated[
        tuple[Annotated[int, Ge(1)], Annotated[int, Le(254)]], Predicate(_ordered)
    ] = (1, 1)
    size: Positive = 2.0
    held_out: Annotated[float, Ge(0), Lt(1)] = 0.1
    categories: tuple[str, ...] = ()
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Backgrounds:
    """What surrounds the objects.

    Attributes:
      catalog: `starter`, or the path or URL of a Kubric manifest of HDRIs.
      held_out: share of the HDRIs kept from `train` for the other splits; 0 lets all
        splits share all of them, as MultiShapeNet does.
      backdrop: `dome` projects the HDRI on a hemisphere with a flat floor, which
        catches shadows; `environment` leaves it at infinity, with no floor.
      dome_radius: metres.
      dome_height: metres above the floor from which the HDRI is projected.
    """

    catalog: str = "starter"
    held_out: Annotated[float, Ge(0), Lt(1)] = 0.0
    backdrop: Literal["dome", "environment"] = "dome"
    dome_radius: Positive = 25.0
    dome_height: Positive = 3.0
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Dynamics:
    """Where objects lie and how they move from one dynamics step to the next.

    Attributes:
      steps: dynamics steps in a scene (DySO: 5).
      area: metres, radius of the disc on the floor that objects start in.
      contact: `rest`, in every step the lowest vertex touches the floor; `settle`,
        physics lets step 0 come to rest, later steps are as in `rest`; `free`, later
        steps move in height as well and may hover or sink.
      motion: `jitter`, each later step moves and turns at random from the one before
        (DySO); `smooth`, the steps are moments of one smooth path.
      jitter: metres, standard deviation of the step-to-step move along each axis, for
        `jitter`.
      max_rotation: degrees; each later step turns by an angle uniform in
        [0, max_rotation] about a random axis (DySO: 90), for `jitter`.
      travel: metres, the largest distance between two places of the path, for `smooth`.
      turn: degrees, the path's largest turn between two moments, for `smooth`: about
        the vertical, so that what touches the floor stays there; where contact is
        `free`, about changing axes.
      settle_time: seconds of physics for `settle`.
    """

    steps: Annotated[int, Ge(1), Le(1000)] = 5
    area: NonNegative = 1.0
    contact: Literal["rest", "settle", "free"] = "rest"
    motion: Literal["jitter", "smooth"] = "jitter"
    jitter: NonNegative = 0.4
    max_rotation: Annotated[float, Ge(0), Le(180)] = 90.0
    travel: NonNegativeRange = (0.5, 2.0)
    turn: NonNegativeRange = (0.0, 120.0)
    settle_time: Annotated[float, Gt(0), Le(60)] = 4.0
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Shift:
    """Positions evenly along the camera's horizontal axis, one orientation.

    Attributes:
      extent: metres from the first position to the last.
    """

    weight: NonNegative = 1.0
    extent: PositiveRange = (1.0, 3.0)
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Pan:
    """One position; yaw evenly over an arc about the vertical.

    Attributes:
      arc: degrees from the first yaw to the last.
    """

    weight: NonNegative = 1.0
    arc: PositiveRange = (8.0, 30.0)
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Zoom:
    """One orientation, moving along the optical axis or changing the focal length.

    Attributes:
      extent: metres from the first position to the last, for `by: position`.
      by: `position`, or `focal_length` from one position.
      factor: largest over smallest focal length, for `by: focal_length`.
    """

    weight: NonNegative = 1.0
    extent: PositiveRange = (1.0, 3.0)
    by: Literal["position", "focal_length"] = "position"
    factor: PositiveRange = (1.3, 2.0)
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Random:
    """Points uniform in a ball around a fixed point, all looking at one target.

    Attributes:
      radius: metres, the ball's radius.
    """

    weight: NonNegative = 1.0
    radius: PositiveRange = (0.5, 2.0)
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Shell:
    """Independent points on the half-sphere shell, all looking at one target.

    Their distances and elevations are those of `cameras`.
    """

    weight: NonNegative = 0.0
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Handheld:
    """A camera in hand: a slow smooth path, loosely held on the target, that shakes.

    Attributes:
      drift: metres, the largest distance between two places of the slow path.
      wander: degrees, standard deviation of the slow turns away from the target.
      shake: metres, standard deviation of the quick moves along each axis; it takes
        the place of `position_noise`.
      tremble: degrees, standard deviation of the quick turns about each axis.
    """

    weight: NonNegative = 0.0
    drift: NonNegativeRange = (0.3, 1.5)
    wander: NonNegative = 2.0
    shake: NonNegative = 0.005
    tremble: NonNegative = 0.3
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Patterns:
    """The camera patterns, drawn by weight (DySO names the first four)."""

    shift: Shift = Shift()
    pan: Pan = Pan()
    zoom: Zoom = Zoom()
    random: Random = Random()
    shell: Shell = Shell()
    handheld: Handheld = Handheld()
    __pydantic_config__ = STRICT

    def weights(self) -> dict[str, float]:
        """Gives each pattern's weight by its name, in the order of the fields."""
        return {
            "shift": self.shift.weight,
            "pan": self.pan.weight,
            "zoom": self.zoom.weight,
            "random": self.random.weight,
            "shell": self.shell.weight,
            "handheld": self.handheld.weight,
        }


def _has_weight(value: Patterns) -> bool:
    """At least one pattern with a weight above 0."""
    return sum(value.weights().values()) > 0


@dataclass(frozen=True, kw_only=True)
class Cameras:
    """The cameras, and which dynamics steps they see.

    The middle of a trajectory is a point at a random azimuth, `distance` and
    `elevation` from the target, and looks at the target.

    Attributes:
      count: cameras in a scene (DySO: 5).
      paired: camera i sees dynamics step i alone, as one moving camera does, so `count`
        must be `dynamics.steps`; otherwise every camera sees every step.
      focal_length: millimetres (MultiShapeNet: 35).
      sensor_width: millimetres (MultiShapeNet: 32).
      distance: metres from the target (MultiShapeNet: 8 to 12).
      elevation: degrees above the target.
      target_height: metres above the floor of the point looked at.
      target_noise: metres, standard deviation of the target along x and y.
      position_noise: metres, standard deviation added to every position.
      min_height: metres above the floor that no camera goes below.
    """

    count: Annotated[int, Ge(1), Le(1000)] = 5
    paired: bool = False
    focal_length: Positive = 35.0
    sensor_width: Positive = 32.0
    distance: PositiveRange = (4.5, 7.0)
    elevation: Annotated[tuple[Elevation, Elevation], Predicate(_ordered)] = (
        12.0,
        45.0,
    )
    target_height: NonNegative = 0.7
    target_noise: NonNegative = 0.3
    position_noise: NonNegative = 0.05
    min_height: Positive = 0.3
    patterns: Annotated[Patterns, Predicate(_has_weight)] = Patterns()
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Visibility:
    """When a sampled scene counts as seen; otherwise the next attempt is sampled.

    Attributes:
      share: of the objects' bounding boxes that must be in frame ...
      views: ... in at least this share of the views.
      attempts: how many scenes may be sampled under one index.
    """

    share: Share = 0.8
    views: Share = 0.8
    attempts: Annotated[int, Ge(1), Le(10_000)] = 100
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Render:
    """How a scene becomes pixels.

    Attributes:
      samples: paths a pixel, where objects are; what lies beyond their reach is
        looked up without noise. 96 gives no larger an error than 128 without
        denoising.
      denoise: run OpenImageDenoise on what was path traced.
      view_transform: Blender's name for the map from scene-linear light to colour.
      auto_exposure: how far the exposure follows the HDRI's light, as a camera's
        does: 0 leaves it as it is, 1 makes a level grey card equally bright under
        every HDRI. In between, dark places stay darker without going black.
      layers: what is kept of every view. The first four are always there; `normal`
        is in the world frame; `object_coordinates` are NOCS, the position in the
        object's bounding box.
    """

    samples: Annotated[int, Ge(1), Le(65_536)] = 32
    denoise: bool = True
    view_transform: Literal["Filmic", "Standard", "AgX", "Raw"] = "Filmic"
    auto_exposure: Share = 0.5
    layers: Annotated[tuple[Layer, ...], Predicate(_image_layers)] = REQUIRED_LAYERS
    __pydantic_config__ = STRICT


Pixels = Annotated[int, Ge(8), Le(8192)]


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A dataset, named and described whole.

    Attributes:
      name: the dataset's name.
      version: semantic version of the data.
      description: one paragraph for people; no pixel depends on it.
      seed: everything random follows from it.
      splits: scenes in each split.
      resolution: height and width in pixels.
      max_failed: share of the scenes that may fail to render; above it, the job ends
        with an error. No scene depends on it.
    """

    name: Name
    version: Annotated[str, Predicate(_semantic)] = "1.0.0"
    description: str = ""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    splits: Annotated[
        dict[Name, Annotated[int, Le(2**40)]], Len(1), Predicate(_has_scenes)
    ]
    resolution: tuple[Pixels, Pixels] = (128, 128)
    objects: Objects = field(default_factory=Objects)
    backgrounds: Backgrounds = field(default_factory=Backgrounds)
    dynamics: Dynamics = field(default_factory=Dynamics)
    cameras: Cameras = field(default_factory=Cameras)
    visibility: Visibility = field(default_factory=Visibility)
    render: Render = field(default_factory=Render)
    max_failed: Share = 0.05
    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Checks what sections say of one another.

        Raises:
          ValueError: they disagree; it begins with the key.
        """
        steps, count = self.dynamics.steps, self.cameras.count
        if self.cameras.paired and steps != count:
            raise ValueError(
                f"cameras.paired: needs as many cameras as dynamics steps, but "
                f"cameras.count is {count} and dynamics.steps {steps}"
            )

    @property
    def layout(self) -> Layout:
        """Which cameras see which dynamics steps."""
        return Layout(
            steps=self.dynamics.steps,
            cameras=self.cameras.count,
            paired=self.cameras.paired,
        )

    @property
    def views(self) -> int:
        """Views in a scene."""
        return self.layout.views
