"""The keys of a spec: frozen dataclasses with the unit and meaning of every field.

Lengths are metres, angles degrees, lens sizes millimetres, as people write them in
YAML; `dyso.sampling` converts angles to radians. Values are drawn uniformly from a
range `[low, high]`; a single number stands for both ends. If the papers publish no
value, the default is this project's choice, as marked in `specs/dyso.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from annotated_types import Ge, Le, Len, Lt, Predicate

from dyso import terminal
from dyso.spec.cameras import Cameras
from dyso.spec.dynamics import Dynamics
from dyso.spec.layout import Layout
from dyso.spec.values import (
    MOST_BOXES,
    MOST_PIXELS,
    MOST_SAMPLED,
    MOST_SCENES,
    STRICT,
    CountRange,
    DegreesRange,
    Name,
    PositiveMetres,
    Share,
    Size,
    Split,
    Version,
)


def _countable(value: dict[str, int]) -> bool:
    """At most 1,000,000,000 scenes in all splits together."""
    return sum(value.values()) <= MOST_SCENES


def _image_layers(value: tuple[str, ...]) -> bool:
    """Distinct layers, with color, depth, instance and category among them."""
    return len(set(value)) == len(value) and set(REQUIRED_LAYERS) <= set(value)


def _distinct(value: tuple[str, ...]) -> bool:
    """Distinct names."""
    return len(set(value)) == len(value)


Layer = Literal[
    "color", "depth", "instance", "category", "normal", "object_coordinates", "surface"
]
LAYERS: tuple[str, ...] = get_args(Layer)
REQUIRED_LAYERS: tuple[Layer, ...] = ("color", "depth", "instance", "category")


@dataclass(frozen=True, kw_only=True)
class Procedural:
    """Which objects a procedural catalog has; each is made from its number alone.

    Attributes:
      seed: another seed gives other objects.
      objects: how many different objects; more cost nothing.
    """

    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    objects: Annotated[int, Ge(1), Le(10**9)] = 1_000_000
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Objects:
    """The objects of a scene.

    Attributes:
      catalog: `starter`, `procedural`, or the path or URL of a Kubric asset manifest; a
        relative path starts at the spec's folder.
      procedural: which objects, if the catalog is `procedural`.
      count: minimum and maximum number of objects in a scene.
      size: metres, the longest side of an object's axis-aligned bounding box.
      held_out: share of the objects that `train` never shows; all other splits show
        only these (MultiShapeNet: 0.1).
      categories: use only these categories; empty means all.
    """

    catalog: str = "starter"
    procedural: Procedural = field(default_factory=Procedural)
    count: CountRange = (1, 1)
    size: PositiveMetres = 2.0
    held_out: Annotated[float, Ge(0), Lt(1)] = 0.1
    categories: tuple[str, ...] = ()
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Environments:
    """Which environments a procedural catalog has; each is made from its number alone.

    Attributes:
      seed: another seed gives other environments.
      environments: how many different environments. A machine makes those that its
        scenes show, once.
    """

    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    environments: Annotated[int, Ge(1), Le(10**9)] = 382
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Backgrounds:
    """The surroundings of the objects.

    Attributes:
      catalog: `starter`, `procedural`, or the path or URL of a Kubric manifest of
        HDRIs.
      procedural: which environments, if the catalog is `procedural`.
      held_out: share of the HDRIs that `train` never shows; all other splits show only
        these. With 0, all splits share all HDRIs, as in MultiShapeNet.
      backdrop: `dome` projects the HDRI on a hemisphere with a flat floor, which
        catches shadows; `environment` shows it at infinity, with no floor.
      ground: the dome's floor: `photo` is the HDRI alone, `material` adds to it, near
        the centre, the detail of a material such as asphalt, grass or wood.
      rotation: degrees about the vertical by which the HDRI is turned.
      dome_radius: metres.
      dome_height: metres above the floor from which the HDRI is projected.
      assets: use only the HDRIs of these ids; empty means all.
    """

    catalog: str = "starter"
    procedural: Environments = field(default_factory=Environments)
    held_out: Annotated[float, Ge(0), Lt(1)] = 0.0
    backdrop: Literal["dome", "environment"] = "dome"
    ground: Literal["photo", "material"] = "photo"
    rotation: DegreesRange = (0.0, 360.0)
    dome_radius: PositiveMetres = 25.0
    dome_height: PositiveMetres = 3.0
    assets: tuple[str, ...] = ()
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Visibility:
    """Limits that a sampled scene must meet; otherwise the next attempt is sampled.

    Attributes:
      share: share of the objects' bounding boxes that must be in frame.
      share_of_views: share of the views in which that must hold.
      attempts: maximum number of scenes sampled for one index.
    """

    share: Share = 0.8
    share_of_views: Share = 0.8
    attempts: Annotated[int, Ge(1), Le(10_000)] = 100
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Render:
    """Render settings.

    Attributes:
      samples: paths per pixel where objects or their shadows are visible. All other
        pixels are looked up in the HDRI, without noise. 96 samples with denoising have
        no larger error than 128 without it.
      denoise: run OpenImageDenoise on the path-traced pixels.
      shortcut: path trace only a window around the objects, and look the rest of the
        background up in the HDRI, where both agree; `off` path traces every pixel, for
        two to four times the cost.
      view_transform: Blender's name for the map from scene-linear light to colour.
      auto_exposure: how far the exposure adapts to the HDRI's light: 0 does not adapt,
        1 makes a level grey card equally bright under every HDRI. In between, dark
        places stay darker without going black.
      layers: the layers kept of every view; the first four are required. `normal` is
        in the world frame; `object_coordinates` are NOCS, the position in the object's
        bounding box, in its rest shape; `surface` is the face of the objects' meshes,
        which then are in the record too, at every dynamics step.
    """

    samples: Annotated[int, Ge(1), Le(65_536)] = 32
    denoise: bool = True
    shortcut: bool = True
    view_transform: Literal["Filmic", "Standard", "AgX", "Raw"] = "Filmic"
    auto_exposure: Share = 0.5
    layers: Annotated[tuple[Layer, ...], Predicate(_image_layers)] = REQUIRED_LAYERS
    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The complete description of a dataset.

    Attributes:
      name: the dataset's name.
      version: semantic version of the data.
      description: one paragraph for people; no pixel depends on it.
      seed: seeds every random choice.
      splits: number of scenes in each split.
      resolution: height and width in pixels.
      twins: what scenes 2k and 2k + 1 of a split share, to measure how latents transfer
        from one to the other. `cameras`: pattern, positions, orientations and lenses.
        `dynamics`: the object's positions on the floor, its rotations and changes of
        shape. Nothing else is shared; empty makes all scenes independent.
      max_failed: share of the scenes that may fail to render; above it, the job ends
        with an error. No scene depends on it.
    """

    name: Name
    version: Version = "1.0.0"
    description: str = ""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    splits: Annotated[
        dict[Split, Annotated[int, Ge(1), Le(MOST_SCENES)]],
        Len(1),
        Predicate(_countable),
    ]
    resolution: Size = (128, 128)
    twins: Annotated[
        tuple[Literal["cameras", "dynamics"], ...], Predicate(_distinct)
    ] = ()
    objects: Objects = field(default_factory=Objects)
    backgrounds: Backgrounds = field(default_factory=Backgrounds)
    dynamics: Dynamics = field(default_factory=Dynamics)
    cameras: Cameras = field(default_factory=Cameras)
    visibility: Visibility = field(default_factory=Visibility)
    render: Render = field(default_factory=Render)
    max_failed: Share = 0.05
    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Checks that the sections agree.

        Raises:
          ValueError: they disagree; the message begins with the key.
        """
        steps, count = self.dynamics.steps, self.cameras.count
        held_out = self.cameras.held_out
        if self.cameras.paired and steps + held_out != count:
            more = f" and cameras.held_out {held_out}" if held_out else ""
            raise ValueError(
                f"cameras.paired: needs as many cameras as dynamics steps"
                f"{', and those that are held out' if held_out else ''}, but "
                f"cameras.count is {count} and dynamics.steps {steps}{more}"
            )
        if held_out >= count:
            raise ValueError(
                f"cameras.held_out: must leave cameras to train on, but it is "
                f"{held_out} and cameras.count {count}"
            )
        weights = self.cameras.patterns.weights()
        if (
            held_out
            and self.cameras.paired
            and set(filter(weights.get, weights)) != {"handheld"}
        ):
            raise ValueError(
                "cameras.held_out: must be 0 where cameras are paired, unless handheld "
                "is the only pattern"
            )
        if self.dynamics.motion == "physics" and self.dynamics.contact != "free":
            raise ValueError(
                f"dynamics.contact: must be free where dynamics.motion is physics, "
                f"which decides what touches the floor; got {self.dynamics.contact}"
            )
        for name in ("deform", "gait", "articulate", "animate"):
            changes = getattr(self.dynamics, name).any
            if changes and "surface" not in self.render.layers:
                raise ValueError(
                    f"render.layers: must have surface where dynamics.{name} changes "
                    "shapes, or nothing tells where their points move"
                )
        if self.dynamics.articulate.any and self.dynamics.deform.any:
            raise ValueError(
                "dynamics.deform: must be left out where dynamics.articulate moves "
                "joints, whose parts are rigid"
            )
        if self.dynamics.animate.any and self.dynamics.deform.any:
            raise ValueError(
                "dynamics.deform: must be left out where dynamics.animate plays clips, "
                "which have the shapes"
            )
        if "dynamics" in self.twins and (
            self.objects.count != (1, 1)
            or self.dynamics.motion == "physics"
            or self.dynamics.contact in ("settle", "stable")
        ):
            raise ValueError(
                f"twins: can share dynamics only where objects.count is 1 and no "
                f"physics moves the objects; got objects.count "
                f"{list(self.objects.count)}, dynamics.motion {self.dynamics.motion} "
                f"and dynamics.contact {self.dynamics.contact}"
            )
        self._check_extent()

    def _check_extent(self) -> None:
        """Checks that a scene can be sampled, held in memory and stored.

        Raises:
          ValueError: it is too large; the message begins with the key.
        """
        objects = self.objects.count[1]
        boxes = objects * self.views
        if boxes > MOST_BOXES:
            raise ValueError(
                f"cameras.count: must leave at most {MOST_BOXES:,} views times objects "
                f"in a scene, got {self.views:,} views of up to {objects}"
            )
        attempts = self.visibility.attempts
        if boxes * attempts > MOST_SAMPLED:
            raise ValueError(
                f"visibility.attempts: must leave at most {MOST_SAMPLED:,} attempts "
                f"times views times objects, got {attempts:,} attempts at "
                f"{self.views:,} views of up to {objects}"
            )
        height, width = self.resolution
        if height * width * self.views > MOST_PIXELS:
            raise ValueError(
                f"resolution: must leave at most {MOST_PIXELS:,} pixels in a scene, or "
                f"no record can hold it; got {self.views:,} views of "
                f"{terminal.size(height, width)}"
            )

    @property
    def articulated(self) -> bool:
        """Whether records have joints."""
        return self.dynamics.articulate.any

    @property
    def skeletal(self) -> bool:
        """Whether records have bones."""
        return self.dynamics.gait.any and self.dynamics.gait.bones

    @property
    def animated(self) -> bool:
        """Whether records have clips."""
        return self.dynamics.animate.any

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
