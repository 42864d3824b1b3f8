"""Batches of views: inputs, targets, and which of them share a camera or a step.

A batch is a dictionary of numpy arrays, with V inputs and T targets:

    inputs      [B, V, H, W, 3] uint8       targets     [B, T, H, W, 3] uint8
    cameras     [B, T] int32                dynamics    [B, T] int32
    intrinsics  [B, V + T, 3, 3] float32    extrinsics  [B, V + T, 3, 4] float32

The last two are for models with given poses alone. Extrinsics are relative to the first
input view, as latents are. Where the dataset is in memory (`dyso.train.memory`), inputs
are [B, V] and targets [B, T] int32, the numbers of pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from dyso import geometry, terminal
from dyso.errors import UserError
from dyso.train.config import Config

if TYPE_CHECKING:
    from dyso.spec import Spec

Batch = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """The views of a scene that the model sees, and those that it renders.

    Attributes:
      inputs: [V], view indices.
      targets: [T], view indices.
    """

    inputs: Int[np.ndarray, " V"]
    targets: Int[np.ndarray, " T"]


def arrange_swap(
    rng: np.random.Generator, steps: int, cameras: int, inputs: int
) -> Arrangement:
    """Draws four targets, of two cameras in two dynamics steps, and inputs of others.

    No input shares its camera or its dynamics with a target (DyST, section 3.1).

    Args:
      rng: draws.
      steps: dynamics steps of the scene, at least 3.
      cameras: of the scene, at least 3.
      inputs: how many; at most `(steps - 2) * (cameras - 2)`.
    """
    order, looks = rng.permutation(steps), rng.permutation(cameras)
    targets = (np.sort(order[:2])[:, None] * cameras + np.sort(looks[:2])).ravel()
    rest = (order[2:, None] * cameras + looks[2:]).ravel()
    return Arrangement(
        inputs=rng.choice(rest, inputs, replace=False), targets=rng.permutation(targets)
    )


def arrange_freely(
    rng: np.random.Generator, views: Int[np.ndarray, " N"], inputs: int, targets: int
) -> Arrangement:
    """Draws inputs and targets that share no view.

    Args:
      rng: draws.
      views: indices to draw from, at least `inputs + targets`.
      inputs: how many.
      targets: how many.
    """
    drawn = rng.choice(views, inputs + targets, replace=False)
    return Arrangement(inputs=drawn[:inputs], targets=drawn[inputs:])


@runtime_checkable
class ViewReader(Protocol):
    """A `dyso.reading.Split`, or what stands in for one; its length is the scenes'."""

    @property
    def spec(self) -> Spec:
        """The dataset's."""

    def __len__(self) -> int: ...

    def read(
        self,
        index: SupportsIndex,
        *,
        fields: Iterable[str] | None = None,
        views: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        """Returns fields and views of a scene, as `dyso.reading.Split.read` does."""


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """Arranged scenes of a dataset, for `dyso.reading.loader`.

    Attributes:
      split: the scenes.
      config: the run.
    """

    split: ViewReader
    config: Config

    def __post_init__(self) -> None:
        """Checks that the dataset has the views that the run needs.

        Raises:
          UserError: it has too few views, or views of another size.
        """
        spec, training = self.split.spec, self.config.training
        if spec.resolution != self.config.model.resolution:
            height, width = spec.resolution
            expected = terminal.size(*self.config.model.resolution)
            raise UserError(
                f"model.resolution: the dataset {spec.name} has "
                f"{terminal.size(height, width)}, the model {expected}: train with "
                f"--model.resolution {height} {width}, or take a dataset of {expected}"
            )
        if spec.cameras.paired:
            raise UserError(
                f"{spec.name}: its scenes are videos, one camera a dynamics step "
                "(cameras.paired); training needs several cameras at every step"
            )
        steps, cameras = spec.dynamics.steps, spec.cameras.count
        if training.static:
            if cameras < training.inputs + training.targets:
                raise UserError(
                    f"training.inputs and targets: {training.inputs} and "
                    f"{training.targets} views of one dynamics step, of which the "
                    f"dataset has {cameras}"
                )
        elif (
            training.targets != 4 or (steps - 2) * (cameras - 2) < training.inputs
        ) or min(steps, cameras) < 3:
            raise UserError(
                "training: swapped latents need 4 targets and inputs of other cameras "
                f"and dynamics: {training.inputs} of the {max(steps - 2, 0)} x "
                f"{max(cameras - 2, 0)} that 2 of {steps} dynamics steps and 2 of "
                f"{cameras} cameras leave"
            )

    @property
    def fields(self) -> list[str]:
        """What is read of the dataset's records."""
        given = self.config.model.target_poses == "given"
        return ["color", *(("intrinsics", "extrinsics") if given else ())]

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: SupportsIndex) -> Batch:
        """Reads a scene; the seed and the index determine what is drawn."""
        index = index.__index__()
        seed = [self.config.training.seed, index]
        return self.draw(index, np.random.default_rng(seed))

    def draw(self, index: int, rng: np.random.Generator) -> Batch:
        """Reads a scene, arranged as `rng` draws."""
        return self.read(index, self.arrange(rng), rng)

    def arrange(self, rng: np.random.Generator) -> Arrangement:
        """Draws inputs and targets as the run's settings say."""
        spec, training = self.split.spec, self.config.training
        steps, cameras = spec.dynamics.steps, spec.cameras.count
        if not training.static:
            return arrange_swap(rng, steps, cameras, training.inputs)
        views = rng.integers(steps) * cameras + np.arange(cameras)
        return arrange_freely(rng, views, training.inputs, training.targets)

    def read(
        self, index: int, arrangement: Arrangement, rng: np.random.Generator
    ) -> Batch:
        """Reads a scene in a given arrangement; `rng` draws the noise of poses."""
        views = np.concatenate([arrangement.inputs, arrangement.targets])
        record = self.split.read(index, fields=self.fields, views=views.tolist())
        count, cameras = len(arrangement.inputs), self.split.spec.cameras.count
        batch = {
            "inputs": record["color"][:count],
            "targets": record["color"][count:],
            "cameras": (arrangement.targets % cameras).astype(np.int32),
            "dynamics": (arrangement.targets // cameras).astype(np.int32),
        }
        if "extrinsics" in self.fields:
            noise = rng.normal(size=(len(views), 3)) * self.config.training.pose_noise
            if self.config.training.noisy_poses == "inputs":
                noise[count:] = 0
            batch["intrinsics"] = record["intrinsics"]
            batch["extrinsics"] = relative(record["extrinsics"], noise)
        return batch


def look_up(batch: dict[str, Any], pictures: Any) -> dict[str, Any]:
    """Returns a batch with the pictures that its numbers stand for.

    Args:
      batch: of numpy or JAX arrays.
      pictures: [N, H, W, 3] uint8; None returns the batch as it is.
    """
    if pictures is None:
        return batch
    names = batch.keys() & {"inputs", "targets", "grid"}
    return batch | {name: pictures[batch[name]] for name in names}


def relative(
    extrinsics: Float[np.ndarray, "N 3 4"], noise: Float[np.ndarray, "N 3"]
) -> Float[np.ndarray, "N 3 4"]:
    """Returns extrinsics relative to the frame of the first view's camera.

    Args:
      extrinsics: world to camera.
      noise: metres, added to the camera positions, except the first.
    """
    places = geometry.invert(extrinsics.astype(np.float64))
    places[1:, :, 3] += noise[1:]
    first = geometry.invert(places[0])
    rotations = np.einsum("ij,njk->nik", first[:, :3], places[:, :, :3])
    positions = geometry.transform(first, places[:, :, 3])
    together = np.concatenate([rotations, positions[..., None]], axis=-1)
    return geometry.invert(together).astype(np.float32)
