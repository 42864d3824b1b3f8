"""The views that evaluations use: the same for every model that takes as many."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from dyso.train.data import Batch, Scenes, relative
from dyso.train.view_geometry import view_geometry

VIEWS_SEED = 2310
"""Decides, with a scene's index, which of its views are inputs and which targets."""

BATCH = 4
GRID = 5
"""Cameras and dynamics steps of the latents' distance matrices, at most."""


def read(scenes: Scenes, index: int) -> Batch:
    """Reads a scene as evaluations arrange it.

    Target poses are true even if the run's poses are noisy (RUST, section 4.1).

    Returns:
      What `Scenes.read` returns, and: `grid`, [G, H, W, 3] uint8, the views of the
      distance matrices; `grid_cameras` and `grid_dynamics`, [G], their cameras and
      dynamics steps; `views`, [V + T], the indices of the inputs and targets.
    """
    rng = np.random.default_rng([VIEWS_SEED, index])
    config, split = scenes.config, scenes.split
    arrangement = scenes.arrange(rng)
    exact = dataclasses.replace(
        config, training=dataclasses.replace(config.training, pose_noise=0.0)
    )
    batch = dataclasses.replace(scenes, config=exact).read(index, arrangement, rng)
    if "extrinsics" in batch:
        noise = rng.normal(size=(len(batch["extrinsics"]), 3))
        noise[len(batch["inputs"]) :] = 0
        batch["extrinsics"] = relative(
            batch["extrinsics"], noise * config.training.pose_noise
        )
    cameras, steps = grid_of(scenes, batch)
    views = (steps * split.spec.cameras.count + cameras).tolist()
    return batch | {
        "grid": split.read(index, fields=["color"], views=views)["color"],
        "grid_cameras": cameras,
        "grid_dynamics": steps,
        "views": np.concatenate([arrangement.inputs, arrangement.targets]),
    }


def read_with_truth(scenes: Scenes, index: int) -> Batch:
    """Reads a scene as `read` does, and its ground truth.

    Returns:
      What `read` returns, and: `pattern`, the name of the camera pattern;
      `geometry/NAME`, [G, n], the quantity NAME of `view_geometry` for each view of the
      grid and the scene's first object.
    """
    batch, split = read(scenes, index), scenes.split
    found = split.read(index, fields=["camera_pattern"], views=[0])
    views = batch["grid_dynamics"] * split.spec.cameras.count + batch["grid_cameras"]
    truth = view_geometry(split, index, int(batch["views"][0]), views.tolist())
    return batch | {
        "pattern": np.array(found["camera_pattern"]),
        **{f"geometry/{name}": values[:, 0] for name, values in truth.items()},
    }


def grid_of(scenes: Scenes, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Returns the cameras and dynamics steps of the grid's views, camera by camera.

    They are the first `GRID` of either; for static models all cameras at the step of
    the targets.
    """
    spec = scenes.split.spec
    if scenes.config.training.static:
        cameras = np.arange(spec.cameras.count)
        return cameras, np.full_like(cameras, batch["dynamics"][0])
    steps, count = min(spec.dynamics.steps, GRID), min(spec.cameras.count, GRID)
    return np.repeat(np.arange(count), steps), np.tile(np.arange(steps), count)


def batches(
    read_one: Callable[[int], Batch], starts: Iterable[int], count: int
) -> Iterator[tuple[Batch, int]]:
    """Yields batches of `BATCH` scenes, and how many scenes of each are new.

    Args:
      read_one: reads a scene by its index.
      starts: the index of each batch's first scene.
      count: number of scenes; the last batch is filled up by repeating its last scene,
        so that all batches have one shape.
    """
    for start in starts:
        every = [read_one(index) for index in range(start, min(start + BATCH, count))]
        size = len(every)
        every += every[-1:] * (BATCH - size)
        yield {name: np.stack([one[name] for one in every]) for name in every[0]}, size
