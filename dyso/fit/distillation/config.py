"""The settings of text to 4D.

"Text-To-4D Dynamic Scene Generation" (MAV3D, Singer et al., ICML 2023), whose prior is
large and was not released. Here it is a run of `dyso train video-prior`, whose cameras
and motion are those of this project's scenes; values that depend on it are this
project's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dyso.errors import UserError
from dyso.fit.grids import Fusion
from dyso.fit.hexplane.config import Background, Grid, Marching, Occupancy, Rates


@dataclass(frozen=True, kw_only=True)
class Cameras:
    """Random cameras that look at the centre of the scene, whose radius is 1.

    Attributes:
      distance: from the centre.
      elevation: degrees.
      view: degrees that the image's width spans.
      turn: degrees, the most by which the azimuth changes during a video; 0 for cameras
        that stand still.
      rise: the same of the elevation.
    """

    distance: tuple[float, float] = (2.2, 2.8)
    elevation: tuple[float, float] = (10.0, 45.0)
    view: float = 50.0
    turn: float = 30.0
    rise: float = 10.0


@dataclass(frozen=True, kw_only=True)
class Bias:
    """What is added to densities (in logarithms) so that the object is at the centre.

    strength exp(-r^2 / (2 sigma^2)) - offset, at the distance r from the centre.

    Attributes:
      strength: 0 for no bias.
      offset: makes space emptier at the start.
      start: sigma at the first iteration, in radii of the scene.
      end: sigma from the middle of the iterations on.
    """

    strength: float = 6.0
    offset: float = 3.0
    start: float = 0.2
    end: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Config:
    """A fit.

    Attributes:
      static: gradient steps of the first stage: single images of a scene that does not
        move, by SDS. The planes of time are not changed.
      dynamic: gradient steps of the second stage: videos, by SDS-T.
      super_steps: gradient steps of the third stage: videos of higher resolution, by
        SDS-T and a prior of super-resolution. 0 leaves it out.
      guidance: scale of classifier-free guidance; distillation needs more than
        sampling.
      levels: the lowest and the highest level of the noise, from 0 (none) to 1 (nothing
        else).
      slowest: the smallest share of the motion that a video shows, at `rate` divided by
        the share; with 1, every video shows the whole motion.
      rate: frames per second at which the whole motion fills a video.
      smooth: weight of the planes' total variation.
      opacity: weight of the entropy of the rays' opacities.
      seed: seed of the field, the cameras and the noise.
      sample_every: iterations between two pictures.
      cameras: random cameras.
      bias: a bias of the density towards the centre.
      fusion: how the features of complementary planes are combined, as in MAV3D or,
        with `product`, as in HexPlane.
      grid: planes and network.
      background: the colour behind the field.
      marching: points along rays.
      occupancy: which cells are empty.
      rates: learning rates.
    """

    static: int = 5_000
    dynamic: int = 5_000
    super_steps: int = 0
    guidance: float = 50.0
    levels: tuple[float, float] = (0.02, 0.98)
    slowest: float = 1.0
    rate: float = 24.0
    smooth: float = 0.001
    opacity: float = 0.001
    seed: int = 0
    sample_every: int = 500
    cameras: Cameras = field(default_factory=Cameras)
    bias: Bias = field(default_factory=Bias)
    fusion: Fusion = "sum"
    grid: Grid = field(default_factory=Grid)
    background: Background = field(default_factory=Background)
    marching: Marching = field(default_factory=Marching)
    occupancy: Occupancy = field(default_factory=Occupancy)
    rates: Rates = field(default_factory=Rates)

    @property
    def iterations(self) -> int:
        """Of all stages."""
        return self.static + self.dynamic + self.super_steps

    def __post_init__(self) -> None:
        """Checks the bounds.

        Raises:
          UserError: a setting is out of them.
        """
        stages = (self.static, self.dynamic, self.super_steps)
        if min(stages) < 0 or not self.iterations:
            raise UserError(
                "static, dynamic and super_steps: must not be negative, nor all of "
                "them 0"
            )
        if not 0 < self.slowest <= 1:
            raise UserError("slowest: must be above 0 and at most 1")
        if not 0 < self.levels[0] <= self.levels[1] < 1:
            raise UserError("levels: must be between 0 and 1, the lower one first")
        if not 1 < self.cameras.distance[0] <= self.cameras.distance[1]:
            raise UserError(
                "cameras.distance: must be above 1, the scene's radius, the lower first"
            )
        if min(self.bias.start, self.bias.end) <= 0:
            raise UserError("bias.start and bias.end: must be above 0")
