"""How a scene that was made from a text moves, and whether its views agree.

A scene is seen by `CAMERAS` cameras that stand still around it. A fit's own cameras are
random.

- `change`: mean absolute difference of colours, in [0, 1], from one frame to the next;
- `displacement`: the largest distance between the centres of the scene at two times, in
  radii of the scene. The centre is that of cells, weighted by their opacities;
- `agreement`: see `depth_agreement`, of the depths from a camera and from one that is
  `NEIGHBOUR` degrees further on;
- `opaque`: share of pixels whose opacity is above `OPAQUE`, which show a point;
- `detail`: see `detail`, of frames of twice the resolution.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from dyso import geometry
from dyso.fit.distillation import cameras, rendering
from dyso.fit.distillation.config import Config
from dyso.fit.distillation.rendering import views
from dyso.fit.hexplane.optimization import State
from dyso.train.prior.diffusion import enlarged

CAMERAS, TIMES = 6, 16
NEIGHBOUR = 15.0
TOLERANCE = 0.02
"""Of the distance to the camera: 0.05 radii in the middle of the default distances."""
OPAQUE = 0.5
DEPTH_TIMES, DEPTH_SIZE = 4, (64, 64)
_CELLS = 32


def measure(
    state: State,
    config: Config,
    count: int,
    size: tuple[int, int],
    frames: int = TIMES,
) -> tuple[Float[np.ndarray, "C T H W 3"], dict[str, float]]:
    """Returns what the cameras see, in [0, 1], and all figures by their names.

    Args:
      state: the scene.
      config: of the fit.
      count: iterations that the state has gone through.
      size: height and width of the frames.
      frames: times from the first to the last.
    """
    sides = np.linspace(0, 2 * np.pi, CAMERAS, endpoint=False)
    times = np.linspace(-1, 1, frames, dtype=np.float32)
    _, seen = views(
        state, config, count, np.repeat(sides, frames), np.tile(times, CAMERAS), size
    )
    films = np.asarray(seen.color).reshape(CAMERAS, frames, *size, 3)
    twice = (2 * size[0], 2 * size[1])
    _, large = views(state, config, count, sides, np.zeros(CAMERAS), twice)

    chosen = np.linspace(-1, 1, DEPTH_TIMES, dtype=np.float32)
    pairs = np.stack([sides, sides + np.deg2rad(NEIGHBOUR)], axis=-1)
    azimuth = np.repeat(pairs, len(chosen), axis=0)  # Side and time, then the pair.
    poses, seen = views(
        state,
        config,
        count,
        azimuth.ravel(),
        np.tile(np.repeat(chosen, 2), CAMERAS),
        DEPTH_SIZE,
    )
    depth = np.where(seen.opacity > OPAQUE, seen.distance, np.inf)
    lens = cameras.lens(config.cameras, DEPTH_SIZE)
    extrinsics = np.asarray(poses).reshape(-1, 2, 3, 4)
    agrees = [
        depth_agreement(two, np.isfinite(two[0]), lens, pose)
        for two, pose in zip(depth.reshape(-1, 2, *DEPTH_SIZE), extrinsics, strict=True)
    ]
    points = np.concatenate(agrees)
    return films, {
        "change": change(films),
        "displacement": displacement(centres(state, config, count, times)),
        "agreement": float(points.mean()) if len(points) else float("nan"),
        "opaque": float(np.isfinite(depth).mean()),
        "detail": detail(np.asarray(large.color)),
    }


def change(films: Float[np.ndarray, "*C T H W 3"]) -> float:
    """Returns the mean absolute difference of frames from the next ones."""
    return float(np.abs(np.diff(films, axis=-4)).mean())


def detail(frames: Float[np.ndarray, "N H W 3"]) -> float:
    """Returns what frames have beyond half of their resolution.

    It is the mean absolute difference from the averages over 2 x 2 pixels, enlarged.
    """
    return float(np.abs(frames - np.asarray(enlarged(frames, 2))).mean())


def displacement(centres: Float[np.ndarray, "T 3"]) -> float:
    """Returns the largest distance between two of some points."""
    return float(np.linalg.norm(centres[:, None] - centres, axis=-1).max())


def centres(
    state: State, config: Config, count: int, times: Float[np.ndarray, " T"]
) -> Float[np.ndarray, "T 3"]:
    """Returns the centres of a scene at some times, in radii; see the module."""
    axis = (np.arange(_CELLS) + 0.5) / _CELLS - 0.5  # The inner cube.
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    points = points.reshape(-1, 3).astype(np.float32)
    evaluate = rendering.biased(config, rendering.sigma_at(config, count))
    found = []
    for time in times:
        density, _ = evaluate(
            state.field, jnp.asarray(points), jnp.full(len(points), time)
        )
        opacity = -np.expm1(-np.asarray(density, np.float64) / _CELLS)
        total = max(opacity.sum(), 1e-12)
        found.append((opacity[:, None] * 2 * points).sum(0) / total)
    return np.stack(found)


def depth_agreement(
    depth: Float[np.ndarray, "2 H W"],
    points: np.ndarray,
    intrinsics: Float[np.ndarray, "3 3"],
    extrinsics: Float[np.ndarray, "2 3 4"],
    tolerance: float = TOLERANCE,
) -> np.ndarray:
    """Returns whether another camera sees points where the first one does.

    A point agrees if one of the 3 x 3 pixels around it in the other image has its
    distance, give or take `tolerance`. What something hides there does not agree.

    Args:
      depth: distances to both cameras; infinite where nothing is seen.
      points: [H, W], which pixels of the first image to take.
      intrinsics: of both.
      extrinsics: of both.
      tolerance: share of the distance.

    Returns:
      [N], bool, of the points that lie in the other image.
    """
    height, width = points.shape
    row, column = np.nonzero(points)
    pixels = np.stack([column, row], axis=-1) + 0.5
    origins, directions = geometry.rays(intrinsics, extrinsics[0], pixels)
    world = origins + depth[0][points][:, None] * directions
    at, distance, z = geometry.project(world, intrinsics, extrinsics[1])
    inside = (z > 0) & ((at >= 0) & (at < (width, height))).all(-1)
    column, row = np.floor(at[inside]).astype(int).T[..., None]
    down, right = np.indices((3, 3)).reshape(2, 9) - 1
    nearby = depth[
        1,
        np.clip(row + down, 0, height - 1),
        np.clip(column + right, 0, width - 1),
    ]
    off = np.abs(nearby - distance[inside, None]).min(-1)
    return off <= tolerance * distance[inside]
