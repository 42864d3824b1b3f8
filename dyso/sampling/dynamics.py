"""Positions of objects, and their motion between dynamics steps.

Meshes are not known here, so an object is represented by its bounding box, whose lowest
corner touches the floor. The worker replaces these heights by those of exact contact,
or lets physics move the objects (`worker/placement.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from dyso.geometry import (
    Path,
    azimuth_elevation,
    quaternion_from_axis_angle,
    quaternion_multiply,
    quaternion_to_matrix,
)
from dyso.sampling.smooth_paths import slow, turns
from dyso.spec import Dynamics

# Positions tried for an object that must not overlap the earlier ones.
PLACES = 200

# Points by which a path is integrated, headings by which it is kept, and the shortest
# one, metres.
_FINE = 513
_HEADINGS = 257
_SHORT = 0.1

# The corners of the box from -1 to 1.
CORNERS = np.stack(np.meshgrid(*[[-1.0, 1.0]] * 3), axis=-1).reshape(8, 3)


@dataclass(frozen=True, kw_only=True, eq=False)
class Motion:
    """The poses of N objects in T dynamics steps.

    Attributes:
      positions: metres, centres of the objects' bounding boxes.
      quaternions: object to world.
      travels: metres that the objects go in all steps, if they face the way that they
        go.
      paths: their ways, likewise.
    """

    positions: Float[np.ndarray, "N T 3"]
    quaternions: Float[np.ndarray, "N T 4"]
    travels: Float[np.ndarray, " N"] | None = None
    paths: Sequence[Path] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class InitialVelocity:
    """The velocities of N objects at step 0.

    Attributes:
      velocities: metres a second.
      spins: radians a second about the world's axes.
    """

    velocities: Float[np.ndarray, "N 3"]
    spins: Float[np.ndarray, "N 3"]


def sample_motion(
    placement: np.random.Generator,
    motion: np.random.Generator,
    dynamics: Dynamics,
    half: Float[np.ndarray, "N 3"],
    upright: Bool[np.ndarray, " N"],
) -> Motion | None:
    """Draws the poses of every object in every step.

    Step 0's objects do not overlap: side by side for `rest`, `stable` and `free`,
    one above the other for `settle` and `physics`. Later steps move each object
    independently, so objects may overlap there. Later steps of `physics` repeat step 0:
    the worker computes them.

    Args:
      placement: draws step 0.
      motion: draws the steps after it.
      dynamics: the spec's.
      half: metres, half the sides of each object's bounding box.
      upright: which objects have an up (z), with which they rest at step 0.

    Returns:
      The poses, or None if no room was found for an object.
    """
    count = len(half)
    first = _random_rotations(placement, count)
    if dynamics.motion != "physics" and dynamics.contact != "free":
        # A turn about the vertical alone, uniform as the whole turn was.
        turns_only = first[upright] * np.array([1.0, 0.0, 0.0, 1.0])
        turns_only /= np.linalg.norm(turns_only, axis=-1, keepdims=True)
        first[upright] = turns_only
    if dynamics.motion == "physics":
        drops = placement.uniform(*dynamics.drop, count)
        start = _stacked(placement, dynamics.spawn_radius, half, drops)
        return Motion(
            positions=start[:, None].repeat(dynamics.steps, axis=1),
            quaternions=first[:, None].repeat(dynamics.steps, axis=1),
        )
    if dynamics.contact == "settle":
        start = _stacked(placement, dynamics.spawn_radius, half, np.zeros(count))
    else:
        places = _side_by_side(placement, dynamics.spawn_radius, half, first)
        if places is None:
            return None
        start = np.concatenate([places, lying_height(half, first)[:, None]], axis=-1)

    if dynamics.faces_ahead:
        moved = _ahead(motion, dynamics, start, first, 2 * half.max(-1))
    else:
        move = _jittered if dynamics.motion == "jitter" else _smooth
        positions, quaternions = move(motion, dynamics, start, first)
        moved = Motion(positions=positions, quaternions=quaternions)
    if dynamics.contact != "free":
        moved.positions[:, 1:, 2] = lying_height(
            half[:, None], moved.quaternions[:, 1:]
        )
    return moved


def sample_initial_velocity(
    rng: np.random.Generator, dynamics: Dynamics, start: Float[np.ndarray, "N 3"]
) -> InitialVelocity:
    """Draws horizontal velocities towards random places in the disc, and spins.

    Args:
      rng: draws.
      dynamics: the spec's.
      start: metres, the objects' centres.
    """
    count = len(start)
    towards = np.zeros((count, 3))
    towards[:, :2] = _in_disc(rng, dynamics.spawn_radius, count) - start[:, :2]
    azimuth, _ = azimuth_elevation(towards)
    speed = rng.uniform(*dynamics.speed, count)
    velocities = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(count)], axis=-1)
    axes = rng.normal(size=(count, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    spin = np.radians(rng.uniform(*dynamics.spin, count))
    return InitialVelocity(
        velocities=speed[:, None] * velocities, spins=spin[:, None] * axes
    )


def _jittered(
    rng: np.random.Generator,
    dynamics: Dynamics,
    start: Float[np.ndarray, "N 3"],
    first: Float[np.ndarray, "N 4"],
) -> tuple[Float[np.ndarray, "N T 3"], Float[np.ndarray, "N T 4"]]:
    """Draws each later step from the previous step."""
    count, later = len(start), dynamics.steps - 1
    moves = rng.normal(0, dynamics.jitter, (count, later, 3))
    axes = rng.normal(size=(count, later, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    angles = rng.uniform(0, np.radians(dynamics.max_rotation), (count, later))
    turned = quaternion_from_axis_angle(axes, angles)
    rotations = [first]
    for step in range(later):
        rotations.append(quaternion_multiply(turned[:, step], rotations[-1]))
    positions = np.cumsum(np.concatenate([start[:, None], moves], axis=1), axis=1)
    return positions, np.stack(rotations, axis=1)


def _smooth(
    rng: np.random.Generator,
    dynamics: Dynamics,
    start: Float[np.ndarray, "N 3"],
    first: Float[np.ndarray, "N 4"],
) -> tuple[Float[np.ndarray, "N T 3"], Float[np.ndarray, "N T 4"]]:
    """Draws a smooth path and smooth turns for each object."""
    times = np.linspace(-0.5, 0.5, dynamics.steps)
    shape = len(start), dynamics.steps, 3
    moved, turned = np.zeros(shape), np.zeros(shape)
    free = dynamics.contact == "free"
    for n in range(len(start)):
        travel = rng.uniform(*dynamics.travel)
        moved[n, :, : 3 if free else 2] = travel * slow(rng, times, 3 if free else 2)
        turn = np.radians(rng.uniform(*dynamics.turn))
        turned[n, :, 0 if free else 2 :] = turn * slow(rng, times, 3 if free else 1)
    # Step 0 keeps the sampled placement.
    moved -= moved[:, :1]
    turned -= turned[:, :1]
    quaternions = quaternion_multiply(turns(turned), first[:, None])
    return start[:, None] + moved, quaternions


def _ahead(
    rng: np.random.Generator,
    dynamics: Dynamics,
    start: Float[np.ndarray, "N 3"],
    first: Float[np.ndarray, "N 4"],
    lengths: Float[np.ndarray, " N"],
) -> Motion:
    """Draws paths of constant speed whose headings change smoothly.

    The paths go on before and behind by the objects' lengths, metres.
    """
    times = np.linspace(-0.5, 0.5, dynamics.steps)
    fine = np.linspace(-0.5, 0.5, _FINE)
    positions = start[:, None].repeat(dynamics.steps, axis=1)
    turned = np.zeros((len(start), dynamics.steps, 3))
    x, y, _ = np.moveaxis(quaternion_to_matrix(first)[..., 0], -1, 0)
    paths, travels = [], np.zeros(len(start))
    for n, length in enumerate(lengths):
        travel = rng.uniform(*dynamics.travel)
        turn = np.radians(rng.uniform(*dynamics.turn))
        # Of objects that stay, the times stand for a short way.
        way = max(travel, _SHORT)
        gone = np.linspace(-length, way + length, _HEADINGS)
        at = np.concatenate([times, fine, gone / way - 0.5])
        changes = turn * slow(rng, at, 1)[:, 0]
        changes -= changes[len(times)]
        turned[n, :, 2], heading, along = np.split(
            changes, [len(times), len(times) + _FINE]
        )
        heading = heading + np.arctan2(y[n], x[n])
        ways = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
        # The trapezoidal rule.
        moves = travel / (_FINE - 1) * (ways[1:] + ways[:-1]) / 2
        places = np.concatenate([np.zeros((1, 2)), np.cumsum(moves, axis=0)])
        for axis in range(2):
            positions[n, :, axis] += np.interp(times, fine, places[:, axis])
        paths.append(Path(start=gone[0], spacing=gone[1] - gone[0], headings=along))
        travels[n] = travel
    return Motion(
        positions=positions,
        quaternions=quaternion_multiply(turns(turned), first[:, None]),
        travels=travels,
        paths=paths,
    )


def lying_height(
    half: Float[np.ndarray, "*#N 3"], quaternions: Float[np.ndarray, "*#N 4"]
) -> Float[np.ndarray, ...]:
    """Returns the height of a box's centre when its lowest corner touches the floor."""
    return (abs(quaternion_to_matrix(quaternions)[..., 2, :]) * half).sum(-1)


def _random_rotations(
    rng: np.random.Generator, count: int
) -> Float[np.ndarray, "{count} 4"]:
    """Draws rotations uniformly."""
    q = rng.normal(size=(count, 4))
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def _in_disc(
    rng: np.random.Generator, radius: float, count: int
) -> Float[np.ndarray, "{count} 2"]:
    """Draws points uniformly in a disc."""
    angle = rng.uniform(0, 2 * np.pi, count)
    distance = radius * np.sqrt(rng.uniform(size=count))
    return distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _side_by_side(
    rng: np.random.Generator,
    spawn_radius: float,
    half: Float[np.ndarray, "N 3"],
    quaternions: Float[np.ndarray, "N 4"],
) -> Float[np.ndarray, "N 2"] | None:
    """Draws places on the floor such that the boxes' bounding circles are disjoint."""
    corners = CORNERS * half[:, None]
    flat = corners @ quaternion_to_matrix(quaternions)[:, :2].swapaxes(1, 2)
    radii = np.linalg.norm(flat, axis=-1).max(-1)
    places = np.zeros((len(half), 2))
    for n in range(len(half)):
        tries = _in_disc(rng, spawn_radius, PLACES if n else 1)
        gaps = np.linalg.norm(tries[:, None] - places[:n], axis=-1)
        free = np.flatnonzero((gaps > radii[:n] + radii[n]).all(-1))
        if not len(free):
            return None
        places[n] = tries[free[0]]
    return places


def _stacked(
    rng: np.random.Generator,
    spawn_radius: float,
    half: Float[np.ndarray, "N 3"],
    drops: Float[np.ndarray, " N"],
) -> Float[np.ndarray, "N 3"]:
    """Draws positions above the disc, each as low as the bounding spheres allow.

    Args:
      rng: draws.
      spawn_radius: metres, the disc's radius.
      half: metres, half the sides of the bounding boxes.
      drops: metres, minimum heights of the spheres above the floor.
    """
    radii = np.linalg.norm(half, axis=-1)
    positions = np.zeros((len(half), 3))
    positions[:, :2] = _in_disc(rng, spawn_radius, len(half))
    for n, radius in enumerate(radii):
        reach = radii[:n] + radius
        gaps = np.linalg.norm(positions[:n, :2] - positions[n, :2], axis=-1)
        near = gaps < reach
        rise = np.sqrt(reach[near] ** 2 - gaps[near] ** 2)
        middles = positions[:n, 2][near]
        height = radius + drops[n]
        for low, high in sorted(zip(middles - rise, middles + rise, strict=True)):
            if low < height < high:
                height = high
        positions[n, 2] = height
    return positions
