"""Camera trajectories: shift, pan, zoom, random, a shell, handheld, and a rig.

`dyso.spec.Patterns` documents the settings of every pattern.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dyso.geometry import azimuth_elevation, quaternion_multiply, quaternion_to_matrix
from dyso.sampling.poses import viewing
from dyso.sampling.smooth_paths import QUICK, SLOW, slow, turns, waves
from dyso.spec import Cameras

# Radians from one azimuth to the next on a spiral that covers a sphere evenly.
GOLDEN = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """The C cameras of a scene, in order; held-out cameras come last.

    Attributes:
      pattern: the pattern's name.
      positions: metres, camera centres.
      quaternions: camera to world.
      focal_lengths: metres.
    """

    pattern: str
    positions: Float[np.ndarray, "C 3"]
    quaternions: Float[np.ndarray, "C 4"]
    focal_lengths: Float[np.ndarray, " C"]


def sample_cameras(rng: np.random.Generator, cameras: Cameras) -> Trajectory:
    """Draws a pattern by weight, and a trajectory of this pattern.

    Noise on the positions does not turn the cameras of `shift`, `pan` and `zoom`. The
    cameras of `random`, `shell` and `rig` look at the target from their noisy
    positions. Cameras of `handheld` have shake in place of this noise.
    """
    trajectory = _sample(rng, cameras)
    if not cameras.held_out or cameras.paired or trajectory.pattern == "rig":
        return trajectory
    middles = (np.arange(cameras.held_out) + 0.5) * cameras.count / cameras.held_out
    last = middles.astype(int)
    order = [*np.setdiff1d(np.arange(cameras.count), last), *last]
    return Trajectory(
        pattern=trajectory.pattern,
        positions=trajectory.positions[order],
        quaternions=trajectory.quaternions[order],
        focal_lengths=trajectory.focal_lengths[order],
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Middle:
    """Values drawn before a pattern places its cameras, the same for all patterns.

    Attributes:
      cameras: the section of the spec.
      target: the point looked at.
      positions: the trajectory's middle; for `shell`, one point per camera.
      quaternions: of cameras at `positions` that look at the target.
      distances: from the target.
      outward: unit vectors from the target.
      steps: from -1/2 to 1/2, or from 1/2 to -1/2.
      focal_length: metres.
    """

    cameras: Cameras
    target: Float[np.ndarray, " 3"]
    positions: Float[np.ndarray, "M 3"]
    quaternions: Float[np.ndarray, "M 4"]
    distances: Float[np.ndarray, " M"]
    outward: Float[np.ndarray, "M 3"]
    steps: Float[np.ndarray, " C"]
    focal_length: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Placement:
    """A pattern's cameras. Arrays may have length 1 in place of C.

    Attributes:
      positions: camera centres.
      quaternions: camera to world; if None, every camera looks at the target from its
        noisy position.
      scale: factor of the focal lengths.
      shaken: whether the positions already include noise.
    """

    positions: Float[np.ndarray, "C 3"]
    quaternions: Float[np.ndarray, "Q 4"] | None = None
    scale: Float[np.ndarray, " S"] | float = 1.0
    shaken: bool = False


def _sample(rng: np.random.Generator, cameras: Cameras) -> Trajectory:
    """Draws a trajectory, with its cameras in the pattern's order."""
    weights = cameras.patterns.weights()
    chances = np.array(list(weights.values()))
    pattern = list(weights)[rng.choice(len(chances), p=chances / chances.sum())]
    target = np.array([0.0, 0.0, cameras.target_height])
    target[:2] += rng.normal(0, cameras.target_noise, 2)
    count = 1 if pattern != "shell" else cameras.count
    outward = _outward(rng, cameras, count)
    distances = rng.uniform(*cameras.distance, count)
    positions = target + distances[:, None] * outward
    noise = rng.normal(0, cameras.position_noise, (cameras.count, 3))
    middle = _Middle(
        cameras=cameras,
        target=target,
        positions=positions,
        quaternions=_towards(positions, target),
        distances=distances,
        outward=outward,
        steps=rng.choice([-1, 1]) * _steps(cameras.count),
        focal_length=cameras.focal_length / 1000,
    )
    placed = _PATTERNS[pattern](rng, middle)
    positions = placed.positions + (0 if placed.shaken else noise)
    quaternions = placed.quaternions
    if quaternions is None:
        quaternions = _towards(positions, target)
    return Trajectory(
        pattern=pattern,
        positions=positions,
        quaternions=np.broadcast_to(quaternions, (cameras.count, 4)),
        focal_lengths=np.full(cameras.count, middle.focal_length) * placed.scale,
    )


def _shift(rng: np.random.Generator, middle: _Middle) -> _Placement:
    right = quaternion_to_matrix(middle.quaternions[0])[:, 0]
    extent = rng.uniform(*middle.cameras.patterns.shift.extent)
    return _Placement(
        positions=middle.positions + middle.steps[:, None] * (right * extent),
        quaternions=middle.quaternions,
    )


def _pan(rng: np.random.Generator, middle: _Middle) -> _Placement:
    yaw, pitch = azimuth_elevation(middle.target - middle.positions)
    arc = np.radians(rng.uniform(*middle.cameras.patterns.pan.arc))
    turned = viewing(yaw + middle.steps * arc, pitch.repeat(len(middle.steps)))
    return _Placement(positions=middle.positions, quaternions=turned)


def _zoom(rng: np.random.Generator, middle: _Middle) -> _Placement:
    zoom = middle.cameras.patterns.zoom
    if zoom.by == "focal_length":
        return _Placement(
            positions=middle.positions,
            quaternions=middle.quaternions,
            scale=rng.uniform(*zoom.factor) ** middle.steps,
        )
    forward = quaternion_to_matrix(middle.quaternions[0])[:, 2]
    extent = rng.uniform(*zoom.extent)
    return _Placement(
        positions=middle.positions + middle.steps[:, None] * (forward * extent),
        quaternions=middle.quaternions,
    )


def _random(rng: np.random.Generator, middle: _Middle) -> _Placement:
    radius = rng.uniform(*middle.cameras.patterns.random.radius)
    ball = _in_ball(rng, len(middle.steps))
    return _Placement(positions=middle.positions + radius * ball)


def _shell(rng: np.random.Generator, middle: _Middle) -> _Placement:
    return _Placement(positions=middle.positions)


def _rig(rng: np.random.Generator, middle: _Middle) -> _Placement:
    azimuth, _ = azimuth_elevation(middle.outward[0])
    directions = _rig_directions(middle.cameras, float(azimuth))
    return _Placement(positions=middle.target + middle.distances * directions)


def _handheld(rng: np.random.Generator, middle: _Middle) -> _Placement:
    """Draws a slow path, turns away from the target, and shake."""
    handheld = middle.cameras.patterns.handheld
    position, target = middle.positions[0], middle.target
    beside = middle.cameras.held_out if middle.cameras.paired else 0
    count = len(middle.steps) - beside
    times, frames = _steps(count), np.arange(count)
    drifts = handheld.drift
    if handheld.baseline is not None:
        distance = float(np.linalg.norm(position - target))
        low, high = handheld.baseline
        drifts = low / 100 * distance, high / 100 * distance
    reach = rng.uniform(*drifts)
    drift = reach * slow(rng, times, 3)
    off = np.radians(handheld.wander) * waves(rng, times, 3, *SLOW)
    off += np.radians(handheld.tremble) * waves(rng, frames, 3, *QUICK)
    # Aimed from the slow path: the shake also moves the camera off the target.
    quaternions = quaternion_multiply(_towards(position + drift, target), turns(off))
    moved = drift + handheld.shake * waves(rng, frames, 3, *QUICK)
    if handheld.baseline is not None:
        extent = np.linalg.norm(moved[:, None] - moved, axis=-1).max()
        moved *= reach / extent if extent else 1.0
    positions = position + moved
    if beside:
        still = position + _circle(rng, middle, beside)
        positions = np.concatenate([positions, still])
        quaternions = np.concatenate([quaternions, _towards(still, target)])
    return _Placement(positions=positions, quaternions=quaternions, shaken=True)


def _circle(
    rng: np.random.Generator, middle: _Middle, count: int
) -> Float[np.ndarray, "{count} 3"]:
    """Draws offsets on a circle across the line of sight, evenly spaced."""
    low, high = middle.cameras.patterns.handheld.beside
    radius = rng.uniform(low, high) / 100 * middle.distances[0]
    angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(count) / count
    right, down, _ = quaternion_to_matrix(middle.quaternions[0]).T
    offsets: Float[np.ndarray, "{count} 3"] = radius * (
        np.cos(angles)[:, None] * right + np.sin(angles)[:, None] * down
    )
    return offsets


_PATTERNS: dict[str, Callable[[np.random.Generator, _Middle], _Placement]] = {
    "shift": _shift,
    "pan": _pan,
    "zoom": _zoom,
    "random": _random,
    "shell": _shell,
    "handheld": _handheld,
    "rig": _rig,
}
"""The function of each pattern, by its field in `dyso.spec.Patterns`."""


def _rig_directions(cameras: Cameras, azimuth: float) -> Float[np.ndarray, "C 3"]:
    """Returns unit vectors from the target to the rig's cameras, held-out ones last.

    The held-out cameras are the nearest to `held_out` points spread evenly themselves.
    """
    directions = _spiral(cameras.count, cameras.elevation, azimuth)
    left, last = list(range(cameras.count)), []
    for direction in _spiral(cameras.held_out, cameras.elevation, azimuth):
        last.append(max(left, key=lambda i: float(directions[i] @ direction)))
        left.remove(last[-1])
    return directions[left + last]


def _spiral(
    count: int, elevation: tuple[float, float], azimuth: float
) -> Float[np.ndarray, "{count} 3"]:
    """Spreads unit vectors evenly over a band of elevations (a Fibonacci lattice)."""
    low, high = np.sin(np.radians(elevation))
    height = low + (np.arange(count) + 0.5) / max(count, 1) * (high - low)
    flat = np.sqrt(1 - height**2)
    turn = azimuth + GOLDEN * np.arange(count)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=-1)


def _steps(count: int) -> Float[np.ndarray, " {count}"]:
    """Returns even steps from -1/2 to 1/2; the middle for a single camera."""
    return np.linspace(-0.5, 0.5, count) if count > 1 else np.zeros(1)


def _outward(
    rng: np.random.Generator, cameras: Cameras, count: int
) -> Float[np.ndarray, "{count} 3"]:
    """Draws unit vectors from the target to cameras."""
    low, high = np.radians(cameras.azimuth)
    azimuth = rng.uniform(low, high, count)
    elevation = np.radians(rng.uniform(*cameras.elevation, count))
    flat = np.cos(elevation)
    return np.stack(
        [flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], axis=-1
    )


def _in_ball(rng: np.random.Generator, count: int) -> Float[np.ndarray, "{count} 3"]:
    """Draws points uniformly in the unit ball."""
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return directions * rng.uniform(size=(count, 1)) ** (1 / 3)


def _towards(
    positions: Float[np.ndarray, "C 3"], target: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "C 4"]:
    return viewing(*azimuth_elevation(target - positions))
