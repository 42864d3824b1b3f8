"""The settings of a HexPlane.

"HexPlane: A Fast Representation for Dynamic Scenes" (Cao and Johnson, CVPR 2023), with
the levels, background, occupancy grid and marching that MAV3D ("Text-To-4D Dynamic
Scene Generation", Singer et al., ICML 2023) has. Both papers' cameras and scenes differ
from those of this project, so that rates and weights are this project's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from dyso.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The planes, and the network that decodes their features.

    Attributes:
      coarsest: cells along each axis of space at the first level.
      finest: the same at the last level; between, they grow by the same factor.
      levels: number of levels. All have a cell for each dynamics step.
      channels: features of each plane at each level.
      layers: layers of the network, without the last one.
      hidden: width of the network.
      margin: half of the inner cube's width over the largest distance of objects from
        its centre. Space outside is contracted into the outer half of the cells.
    """

    coarsest: int = 16
    finest: int = 2048
    levels: int = 7
    channels: int = 8
    layers: int = 5
    hidden: int = 128
    margin: float = 1.1

    @property
    def cells(self) -> tuple[int, ...]:
        """Cells along each axis of space, of each level."""
        growth = self.finest / self.coarsest
        last = max(self.levels - 1, 1)
        return tuple(
            round(self.coarsest * growth ** (level / last))
            for level in range(self.levels)
        )


@dataclass(frozen=True, kw_only=True)
class Background:
    """The network of the colour where a ray meets nothing, by the ray's direction.

    Attributes:
      layers: layers of the network, without the last one.
      hidden: width of the network.
      frequencies: frequencies of sines and cosines of the direction, each twice the one
        before.
    """

    layers: int = 3
    hidden: int = 64
    frequencies: int = 4


@dataclass(frozen=True, kw_only=True)
class Marching:
    """The points at which a ray looks the field up.

    Attributes:
      candidates: points of a ray that the occupancy grid is asked about.
      points: occupied ones at which the field is looked up; evenly spread ones if more
        are occupied.
    """

    candidates: int = 512
    points: int = 128


@dataclass(frozen=True, kw_only=True)
class Occupancy:
    """The grid of the largest density in each cell at any time, by a moving average.

    Attributes:
      cells: cells along each axis.
      every: iterations between two updates.
      samples: random cells that an update looks up, at random times.
      decay: factor of a cell's density at each update.
      least: opacity across a cell from which on it is occupied.
    """

    cells: int = 128
    every: int = 16
    samples: int = 131_072
    decay: float = 0.95
    least: float = 0.01


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Learning rates of Adam at the start; they fall by 10 exponentially.

    Attributes:
      planes: of features.
      networks: of weights.
      background: of the background's weights.
    """

    planes: float = 0.02
    networks: float = 0.005
    background: float = 0.005


@dataclass(frozen=True, kw_only=True)
class Config:
    """A fit.

    Attributes:
      iterations: gradient steps.
      rays: rays of each step, from random pixels of the training cameras at all steps.
      smooth: weight of the planes' total variation.
      held_out: numbers of the cameras that are not trained on; none takes those that
        the spec holds out, or else the last camera. In a video, the moving camera is
        number 0, and none takes all others.
      seed: seed of the field and the rays.
      grid: planes and network.
      background: the colour behind the field.
      marching: points along rays.
      occupancy: which cells are empty.
      rates: learning rates.
    """

    iterations: int = 30_000
    rays: int = 8192
    smooth: float = 0.0003
    held_out: tuple[int, ...] = ()
    seed: int = 0
    grid: Grid = field(default_factory=Grid)
    background: Background = field(default_factory=Background)
    marching: Marching = field(default_factory=Marching)
    occupancy: Occupancy = field(default_factory=Occupancy)
    rates: Rates = field(default_factory=Rates)

    def __post_init__(self) -> None:
        """Checks the bounds.

        Raises:
          UserError: a setting is out of them.
        """
        for name in ("iterations", "rays"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: must be at least 1")
        for part in ("grid", "background", "marching", "occupancy"):
            for name, value in vars(getattr(self, part)).items():
                if isinstance(value, int) and value < 1:
                    raise UserError(f"{part}.{name}: must be at least 1")
        if not 2 <= self.grid.coarsest <= self.grid.finest:
            raise UserError("grid.coarsest: must be at least 2 and at most grid.finest")
        if self.grid.margin <= 0:
            raise UserError("grid.margin: must be above 0")
        if self.marching.points > self.marching.candidates:
            raise UserError("marching.points: must be at most marching.candidates")
        if not 0 <= self.occupancy.decay < 1:
            raise UserError("occupancy.decay: must be at least 0 and below 1")
        # A fit begins as a fog of a density of 1 per unit of the cube, 2 units wide.
        fog = 1 - math.exp(-2 / self.occupancy.cells)
        if not 0 <= self.occupancy.least < fog:
            raise UserError(
                "occupancy.least: must be at least 0 and below the opacity of a cell "
                f"at the start, {fog:.4f} with {self.occupancy.cells} cells"
            )
