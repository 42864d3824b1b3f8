"""One scene of a dataset, as methods that fit a scene read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from dyso import geometry
from dyso.errors import UserError
from dyso.fit.predictions import begin
from dyso.reading import Split

FIELDS = ("color", "depth", "instance", "intrinsics", "extrinsics")


def check_scene(split: Split, scene: int) -> None:
    """Raises a UserError if the split has no such scene."""
    if not 0 <= scene < len(split):
        raise UserError(
            f"scene: {split.name} has {len(split)}, numbered from 0; got {scene}"
        )


@dataclass(frozen=True, kw_only=True)
class Step:
    """All cameras' views of one dynamics step.

    Attributes:
      color: [C, H, W, 3], sRGB.
      depth: [C, H, W], metres, Euclidean.
      foreground: [C, H, W], whether an object is seen.
      intrinsics: [C, 3, 3].
      extrinsics: [C, 3, 4], world to camera.
    """

    color: UInt8[np.ndarray, "C H W 3"]
    depth: Float32[np.ndarray, "C H W"]
    foreground: Bool[np.ndarray, "C H W"]
    intrinsics: Float32[np.ndarray, "C 3 3"]
    extrinsics: Float32[np.ndarray, "C 3 4"]


@dataclass(frozen=True, kw_only=True)
class MultiView:
    """A scene that cameras see at each dynamics step.

    In a video of one moving camera (`cameras.paired`), it is camera 0.

    Attributes:
      split: that the scene is in.
      scene: its position in the split.
      held_out: numbers of the cameras that are not trained on.
    """

    split: Split
    scene: int
    held_out: tuple[int, ...]

    @classmethod
    def open(cls, split: Split, scene: int, held_out: Sequence[int] = ()) -> MultiView:
        """Returns a scene, without reading its views.

        Args:
          split: that the scene is in.
          scene: its position in the split.
          held_out: numbers of cameras; none takes those that the spec holds out, or
            else the last camera. In a video the moving camera is number 0, and none
            takes all others.

        Raises:
          UserError: there is no such scene or camera, or no camera is left to train on.
        """
        spec, name = split.spec, split.spec.name
        check_scene(split, scene)
        count = spec.layout.shape[1]
        chosen = tuple(sorted(set(held_out)))
        if not chosen:
            paired = spec.cameras.paired
            chosen = tuple(range(1, count) if paired else spec.cameras.testing)
        if not all(0 <= camera < count for camera in chosen):
            raise UserError(f"held_out: {name} has cameras 0 to {count - 1}")
        if len(chosen) == count:
            raise UserError(f"held_out: leaves none of {count} cameras to train on")
        return cls(split=split, scene=scene, held_out=chosen)

    @property
    def about(self) -> str:
        """A line about the scene."""
        held_out = " ".join(map(str, self.held_out)) or "none"
        return (
            f"scene {self.scene} of {self.split.name}: {self.steps} time steps, "
            f"{len(self.training)} training cameras, held out: {held_out}"
        )

    def begin(
        self, out: Path, *, method: str, dataset: str, settings: dict[str, Any]
    ) -> tuple[Path, dict[str, Any]]:
        """Begins the predictions of a fit, see `dyso.fit.predictions.begin`."""
        return begin(
            out,
            method=method,
            dataset=dataset,
            split=self.split.name,
            scene=self.scene,
            cameras=self.training,
            steps=self.steps,
            settings=settings,
        )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the views."""
        return self.split.spec.resolution

    @property
    def steps(self) -> int:
        """Number of dynamics steps."""
        return self.split.spec.dynamics.steps

    @property
    def cameras(self) -> int:
        """Number of all cameras."""
        return self.split.spec.layout.shape[1]

    @property
    def training(self) -> tuple[int, ...]:
        """Numbers of the cameras that are trained on."""
        return tuple(c for c in range(self.cameras) if c not in self.held_out)

    def view(self, step: int, camera: int) -> int:
        """Returns the number of a view in the record."""
        return step * self.cameras + camera

    def read(self, step: int) -> Step:
        """Reads the views of one dynamics step.

        Raises:
          RecordError: the scene is damaged.
        """
        views = [self.view(step, camera) for camera in range(self.cameras)]
        record = self.split.read(self.scene, fields=FIELDS, views=views)
        return Step(
            color=record["color"],
            depth=record["depth"][..., 0],
            foreground=record["instance"][..., 0] > 0,
            intrinsics=record["intrinsics"],
            extrinsics=record["extrinsics"],
        )


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Points on the surfaces of a scene.

    Attributes:
      points: [P, 3], metres in the world.
      colors: [P, 3], in [0, 1].
      foreground: [P], whether the point is on an object.
    """

    points: Float64[np.ndarray, "P 3"]
    colors: Float32[np.ndarray, "P 3"]
    foreground: Bool[np.ndarray, " P"]


def cloud(step: Step, cameras: Sequence[int]) -> Cloud:
    """Returns the points that all pixels of some cameras show, by exact depth."""
    parts: dict[str, list[Any]] = {"points": [], "colors": [], "foreground": []}
    for camera in cameras:
        depth = step.depth[camera].astype(np.float64)
        seen = np.isfinite(depth)
        points = geometry.unproject(
            np.where(seen, depth, 0),
            step.intrinsics[camera].astype(np.float64),
            step.extrinsics[camera].astype(np.float64),
        )
        parts["points"].append(points[seen])
        parts["colors"].append(step.color[camera][seen].astype(np.float32) / 255)
        parts["foreground"].append(step.foreground[camera][seen])
    return Cloud(**{name: np.concatenate(each) for name, each in parts.items()})


def thinned(whole: Cloud, count: int, rng: np.random.Generator) -> Cloud:
    """Returns at most `count` points, spread evenly over the surfaces.

    It keeps one point in each cube of a grid, a random one, and finds the cubes' size
    by bisection.
    """
    order = rng.permutation(len(whole.points))
    points = whole.points[order]
    low, high = 1e-4, float(np.ptp(points, axis=0).max()) + 1e-3
    kept = np.arange(len(points))
    if len(points) > count:
        for _ in range(30):
            middle = float(np.sqrt(low * high))
            cells = np.floor(points / middle).astype(np.int64)
            found = np.unique(cells, axis=0, return_index=True)[1]
            if len(found) > count:
                low = middle
            else:
                high, kept = middle, found
    return _part(whole, order[kept])


def chosen_points(
    whole: Cloud, count: int, foreground: float, rng: np.random.Generator
) -> Cloud:
    """Returns about `count` points, with a given share on objects.

    Points on objects are spread evenly over their surfaces; those of the background are
    drawn at random, so that they are as dense as the pixels that show it.
    """
    on_objects = _part(whole, whole.foreground)
    others = _part(whole, ~whole.foreground)
    near = on_objects
    if len(on_objects.points):
        near = thinned(on_objects, max(round(count * foreground), 1), rng)
    left = min(count - len(near.points), len(others.points))
    far = _part(others, rng.choice(len(others.points), left, replace=False))
    return Cloud(
        points=np.concatenate([near.points, far.points]),
        colors=np.concatenate([near.colors, far.colors]),
        foreground=np.concatenate([near.foreground, far.foreground]),
    )


def _part(whole: Cloud, chosen: Any) -> Cloud:
    return Cloud(
        points=whole.points[chosen],
        colors=whole.colors[chosen],
        foreground=whole.foreground[chosen],
    )
