"""Deformations of objects: bend, twist, taper, squash, and a free-form lattice.

A deformation is a function of the position in the object's frame, whose origin is the
centre of its bounding box. The `axis` is the box's longest side, of half length h, and
s = position along it / h, from -1 to 1 in the box. From the rest shape, in this order:

- lattice: 3 x 3 x 3 control points on the box move, and the space between them follows
  by Bernstein polynomials (Sederberg and Parry, 1986);
- squash: lengths along the axis times exp(squash), across it times exp(-squash / 2), so
  that volumes stay;
- taper: lengths across the axis times 1 + taper * s (Barr, 1984);
- twist: turned about the axis by twist * s / 2 (Barr, 1984);
- bend: the axis becomes an arc of a circle of the same length, of this angle (Barr,
  1984), turned such that its middle stays.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

from dyso.sampling.scene import Deformation, Shape, Vector
from dyso.sampling.smooth_paths import SLOW, waves
from dyso.spec import Deform

AXES: tuple[Literal[0, 1, 2], ...] = (0, 1, 2)
DECIMALS = 6
"""Of parameters, which are shares and radians. A scene keeps them as text."""
# Times at which the largest change of a path is measured.
_MOMENTS = np.linspace(-0.5, 0.5, 17)


def deformed(
    points: Float[np.ndarray, "K 3"],
    half: Float[np.ndarray, " 3"],
    axis: int,
    shape: Shape,
) -> Float[np.ndarray, "K 3"]:
    """Returns where points of the rest shape are in a deformed one, metres.

    Args:
      points: metres in the object's frame.
      half: metres, half the sides of the rest shape's bounding box.
      axis: see `Deformation`.
      shape: the deformation.
    """
    # The axis comes last, as z.
    order = [(axis + 1) % 3, (axis + 2) % 3, axis]
    if shape.lattice:
        points = points + _lattice(points, half, np.array(shape.lattice))
    x, y, z = points[:, order].T
    length = max(half[axis], 1e-12)
    narrow = np.exp(-shape.squash / 2)
    x, y, z = x * narrow, y * narrow, z * np.exp(shape.squash)
    # Beyond the box, which the lattice may leave, the taper goes on as at its end.
    width = 1 + shape.taper * np.clip(z / length, -1, 1)
    x, y = x * width, y * width
    turn = shape.twist / 2 * z / length
    x, y = np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y
    x, y, z = _bent(x, y, z, length, shape.bend)
    result = np.empty_like(points)
    result[:, order] = np.stack([x, y, z], axis=-1)
    return result


def _bent(
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    length: float,
    bend: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bends the z axis towards the direction of `bend` in the plane of x and y."""
    angle = float(np.hypot(*bend))
    if angle < 1e-9:
        return x, y, z
    cosine, sine = np.array(bend) / angle
    # Along the direction of the bend, and across it.
    u, v = cosine * x + sine * y, -sine * x + cosine * y
    radius = 2 * length / angle
    turned = z / radius
    u, z = radius - (radius - u) * np.cos(turned), (radius - u) * np.sin(turned)
    return cosine * u - sine * v, sine * u + cosine * v, z


def _lattice(
    points: Float[np.ndarray, "K 3"],
    half: Float[np.ndarray, " 3"],
    moves: Float[np.ndarray, "27 3"],
) -> Float[np.ndarray, "K 3"]:
    """Returns how far points move with 3 x 3 x 3 control points, metres."""
    share = np.clip(points / np.maximum(2 * half, 1e-12) + 0.5, 0, 1)
    basis = np.stack([(1 - share) ** 2, 2 * share * (1 - share), share**2])
    weights = np.einsum("ik,jk,lk->kijl", *(basis[..., a] for a in range(3)))
    return weights.reshape(len(points), 27) @ moves * (2 * half)


def sample_deformation(
    rng: np.random.Generator,
    deform: Deform,
    steps: int,
    half: Float[np.ndarray, " 3"],
) -> Deformation:
    """Draws the deformation of one object in every step.

    The draws do not depend on the object, whose box only decides the axis.

    Args:
      rng: draws.
      deform: the spec's.
      steps: T dynamics steps.
      half: metres, half the sides of the object's bounding box.
    """
    draw = _smooth if deform.motion == "smooth" else _jittered

    def paths(
        most: tuple[float, float], axes: int, count: int = 1
    ) -> Float[np.ndarray, "T {count} {axes}"]:
        """Draws values whose largest change is uniform in a range."""
        change = rng.uniform(*most, count)[:, None]
        return change * draw(rng, steps, count, axes)

    def radians(degrees: tuple[float, float]) -> tuple[float, float]:
        low, high = np.radians(degrees).tolist()
        return low, high

    bend = paths(radians(deform.bend), 2)[:, 0]
    twist = paths(radians(deform.twist), 1)[:, 0, 0]
    taper = paths(deform.taper, 1)[:, 0, 0]
    squash = paths(deform.squash, 1)[:, 0, 0]
    moves = paths(deform.lattice, 3, 27)
    moves = np.round(moves, DECIMALS) + 0.0  # no -0.0, which JSON would keep
    return Deformation(
        axis=AXES[int(half.argmax())],
        shapes=tuple(
            Shape(
                bend=(_rounded(bend[step, 0]), _rounded(bend[step, 1])),
                twist=_rounded(twist[step]),
                taper=_rounded(taper[step]),
                squash=_rounded(squash[step]),
                lattice=tuple(map(_vector, moves[step])) if moves.any() else (),
            )
            for step in range(steps)
        ),
    )


def _smooth(
    rng: np.random.Generator, steps: int, count: int, axes: int
) -> Float[np.ndarray, "{steps} {count} {axes}"]:
    """Draws smooth paths whose largest change is 1, at 0 in the middle of the time."""
    times = np.linspace(-0.5, 0.5, steps)
    every = np.concatenate([times, _MOMENTS, [0.0]])
    path = waves(rng, every, count * axes, *SLOW).reshape(-1, count, axes)
    moments = path[steps:-1]
    change = np.linalg.norm(moments[:, None] - moments, axis=-1).max((0, 1))
    return (path[:steps] - path[-1]) / change[:, None]


def _jittered(
    rng: np.random.Generator, steps: int, count: int, axes: int
) -> Float[np.ndarray, "{steps} {count} {axes}"]:
    """Draws values uniformly in balls of diameter 1, independent of one another."""
    values = rng.normal(size=(steps, count, axes))
    values /= np.linalg.norm(values, axis=-1, keepdims=True)
    return values / 2 * rng.uniform(size=(steps, count, 1)) ** (1 / axes)


def _rounded(value: float) -> float:
    return round(float(value), DECIMALS) + 0.0


def _vector(values: Float[np.ndarray, " 3"]) -> Vector:
    x, y, z = values.tolist()
    return x, y, z


def reach(
    half: Float[np.ndarray, " 3"], deformation: Deformation
) -> Float[np.ndarray, " 3"]:
    """Returns half the sides of a box that holds an object at every step.

    The box is centred at the origin of the object's frame, as that of the rest shape.
    """
    grid = np.linspace(-1, 1, 5)
    points = np.stack(np.meshgrid(grid, grid, grid), axis=-1).reshape(-1, 3) * half
    return np.max(
        [
            abs(deformed(points, half, deformation.axis, shape)).max(0)
            for shape in deformation.shapes
        ],
        axis=0,
    )
