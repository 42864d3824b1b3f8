"""The settings of a fit; the defaults are those of Dynamic 3D Gaussians.

"Dynamic 3D Gaussians: Tracking by Persistent Dynamic View Synthesis" (Luiten et al.,
3DV 2024); values that the paper leaves out are from its authors' code.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dyso.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Weights of the losses.

    Attributes:
      image: 0.8 L1 + 0.2 (1 - SSIM) of the colours.
      segmentation: the same of the foreground's and the background's share.
      rigid: short-term local rigidity: neighbours' offsets, turned back by the
        Gaussian's rotation since the step before, are those of the step before.
      rotation: neighbours turn alike.
      isometry: distances to neighbours stay those of step 0.
      floor: metres of the foreground below the floor.
      background: the background stays where it was at step 0.
      color: colours stay those of the step before.
      ssim: share of 1 - SSIM in the first two.
    """

    image: float = 1.0
    segmentation: float = 3.0
    rigid: float = 4.0
    rotation: float = 4.0
    isometry: float = 2.0
    floor: float = 2.0
    background: float = 20.0
    color: float = 0.01
    ssim: float = 0.2


@dataclass(frozen=True, kw_only=True)
class Neighbors:
    """The foreground Gaussians that L_rigid, L_rot and L_iso compare.

    Attributes:
      count: nearest ones at step 0.
      falloff: per square metre; a neighbour at distance d weighs exp(-falloff d^2).
    """

    count: int = 20
    falloff: float = 2000.0


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Learning rates of Adam.

    Attributes:
      means: times the scene's radius, that of the training cameras' positions.
      colors: of values in [0, 1].
      rotations: of unit quaternions.
      opacities: of logits.
      scales: of logarithms.
      gains: of each camera's brightness and offset.
    """

    means: float = 1.6e-4
    colors: float = 2.5e-3
    rotations: float = 1e-3
    opacities: float = 0.05
    scales: float = 1e-3
    gains: float = 1e-4


@dataclass(frozen=True, kw_only=True)
class Densification:
    """How Gaussians are added and removed at step 0, in slots of a fixed number.

    Attributes:
      start: the first iteration.
      stop: the last iteration.
      every: iterations between two times.
      gradient: a Gaussian is copied or split whose mean gradient with respect to its
        position in the image is larger, in units of half the image. Where slots are
        short, those of the largest gradients come first.
      small: of the scene's radius; Gaussians up to this size are copied, larger ones
        are split in two.
      large: of the scene's radius; larger Gaussians on objects are removed, from
        iteration `large_from` on.
      large_from: see `large`.
      opacity: a Gaussian of a lower opacity is removed.
      last_opacity: the same, at iteration `stop`.
      reset: every how many iterations all opacities fall to 0.01; 0 for never.
    """

    start: int = 500
    stop: int = 5_000
    every: int = 100
    gradient: float = 2e-4
    small: float = 0.01
    large: float = 0.1
    large_from: int = 3_000
    opacity: float = 0.005
    last_opacity: float = 0.25
    reset: int = 3_000


@dataclass(frozen=True, kw_only=True)
class Config:
    """A fit.

    Attributes:
      gaussians: slots, the most Gaussians.
      initial: share of the slots that the first point cloud fills.
      foreground: share of the first points that lie on objects.
      first_iterations: gradient steps at time step 0, each on one camera.
      iterations: the same, at each later time step.
      held_out: numbers of the cameras that are not trained on; none takes those that
        the spec holds out, or else the last camera.
      seed: seed of the first points and of the order of the cameras.
      losses: weights of the losses.
      neighbors: neighbours of the Gaussians on objects.
      rates: learning rates.
      densification: how Gaussians are added and removed at step 0.
    """

    gaussians: int = 200_000
    initial: float = 0.6
    foreground: float = 0.5
    first_iterations: int = 10_000
    iterations: int = 2_000
    held_out: tuple[int, ...] = ()
    seed: int = 0
    losses: Losses = field(default_factory=Losses)
    neighbors: Neighbors = field(default_factory=Neighbors)
    rates: Rates = field(default_factory=Rates)
    densification: Densification = field(default_factory=Densification)

    def __post_init__(self) -> None:
        """Checks the bounds.

        Raises:
          UserError: a setting is out of them.
        """
        for name in ("initial", "foreground"):
            if not 0 < getattr(self, name) <= 1:
                raise UserError(f"{name}: must be above 0 and at most 1")
        for name in ("gaussians", "first_iterations", "iterations"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: must be at least 1")
        if self.neighbors.count < 1 or self.densification.every < 1:
            raise UserError(
                "neighbors.count and densification.every: must be at least 1"
            )
