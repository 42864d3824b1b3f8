"""The settings of a fit of a monocular video.

"Dynamic View Synthesis from Small Camera Motion Videos" (Sun et al., TVCG 2025;
arXiv 2506.23153) is cited as DDR, after its distribution-based depth regularisation.
Its field is another one, so that the values here are this project's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from dyso.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The static and the dynamic part of the field; see `dyso.fit.motion.field`.

    Attributes:
      cells: along the image's width, its height, and the distance.
      levels: each has half of the cells of the one before, also over time.
      channels: features of each plane.
      hidden: width of the network that decodes the features.
      margin: the grid's width over the image's; beyond, its edge is repeated.
    """

    cells: tuple[int, int, int] = (96, 64, 64)
    levels: int = 2
    channels: int = 8
    hidden: int = 32
    margin: float = 1.05


@dataclass(frozen=True, kw_only=True)
class Depth:
    """Depth regularisation, and how the depth that supervises is degraded.

    The degraded inverse depth is blur(1 / D) (1 + noise n) / scale + shift / median(D),
    with a normal n in each pixel of each frame.

    Attributes:
      loss: none; expectation, the error of the mean distance along a ray; ddr, the mean
        error of distances that are drawn from the rendering weights, and no density
        before the surface.
      weight: weight of the loss.
      empty: weight of the density before the surface, for ddr.
      before: how far before the surface that is, in s from 0 (near) to 1 (far).
      temperature: of the Gumbel-softmax, for ddr.
      draws: distances drawn from each ray, for ddr.
      scale: of distances; 1 is exact.
      shift: of inverse distances, as a share of the inverse median distance.
      blur: standard deviation in pixels.
      noise: standard deviation, as a share of the inverse distance.
    """

    loss: Literal["none", "expectation", "ddr"] = "ddr"
    weight: float = 0.1
    empty: float = 0.01
    before: float = 0.05
    temperature: float = 0.5
    draws: int = 8
    scale: float = 1.0
    shift: float = 0.0
    blur: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Cameras:
    """The poses of the video's frames.

    Attributes:
      learn: whether poses are learned along with the field.
      rotation: degrees, standard deviation by which each axis of the exact poses is
        perturbed at the start.
      translation: the same of positions, in percent of the median distance.
    """

    learn: bool = True
    rotation: float = 0.0
    translation: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Learning rates of Adam at the start; they fall by 10 exponentially.

    Attributes:
      planes: of features.
      networks: of weights.
      cameras: of radians and metres.
    """

    planes: float = 0.02
    networks: float = 0.005
    cameras: float = 0.0005


@dataclass(frozen=True, kw_only=True)
class Config:
    """A fit.

    Attributes:
      iterations: gradient steps.
      rays: rays of each step, from random pixels of all frames.
      coarse: intervals of a ray at which densities are looked up, without gradients.
      fine: intervals that are rendered; they are short where density was found. 0
        renders the coarse ones.
      smooth: weight of the planes' total variation.
      static: weight of the dynamic part's share of the rendered rays.
      seed: seed of the field, the rays, and of perturbed poses and degraded depth.
      grid: the field.
      depth: depth regularisation.
      cameras: poses of the frames.
      rates: learning rates.
    """

    iterations: int = 30_000
    rays: int = 4096
    coarse: int = 64
    fine: int = 64
    smooth: float = 0.0003
    static: float = 0.001
    seed: int = 0
    grid: Grid = field(default_factory=Grid)
    depth: Depth = field(default_factory=Depth)
    cameras: Cameras = field(default_factory=Cameras)
    rates: Rates = field(default_factory=Rates)

    def __post_init__(self) -> None:
        """Checks the bounds.

        Raises:
          UserError: a setting is out of them.
        """
        for name in ("iterations", "rays", "coarse"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: must be at least 1")
        if self.fine < 0:
            raise UserError("fine: must not be negative")
        least = 2**self.grid.levels
        if self.grid.levels < 1 or min(self.grid.cells) < least:
            raise UserError(
                "grid: must have at least 1 level, and 2 cells along each axis of the "
                "last level"
            )
        if self.depth.temperature <= 0 or self.depth.scale <= 0:
            raise UserError("depth.temperature and depth.scale: must be above 0")
        if self.depth.draws < 1:
            raise UserError("depth.draws: must be at least 1")
