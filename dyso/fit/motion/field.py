"""The field of a video: a static and a dynamic part, and how they are blended.

Neural Scene Flow Fields (Li et al., CVPR 2021) and its followers, RoDynRF and DDR among
them, represent a video by a static field and one of time, and blend both by a share
that is learned. Here both parts are factorised grids (`dyso.fit.grids`): the static
one does not vary over time, and the dynamic one is conditioned on time. There is no
scene flow.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dyso import geometry
from dyso.fit import grids, networks
from dyso.fit.grids import HexPlane
from dyso.fit.motion.config import Grid
from dyso.fit.networks import Network
from dyso.fit.volume import Bounds, density_of


class Part(NamedTuple):
    """A grid of several levels, and the network that decodes its features."""

    levels: tuple[HexPlane, ...]
    network: Network


class Field(NamedTuple):
    """The network of the dynamic part also has the blending as an output."""

    static: Part
    dynamic: Part


class Frustum(NamedTuple):
    """The region of a field: what a reference camera sees between two distances.

    Attributes:
      extrinsics: [3, 4], world to the reference camera.
      slopes: [2], the largest x / z and y / z.
      bounds: distances from the reference camera.
    """

    extrinsics: Float[Array, "3 4"]
    slopes: Float[Array, " 2"]
    bounds: Bounds

    def cube(self, points: Float[Array, "N 3"]) -> Float[Array, "N 3"]:
        """Maps points in the world to [-1, 1]^3: across, down, and by inverse depth."""
        local = geometry.transform(self.extrinsics, points)
        distance = jnp.linalg.norm(local, axis=-1, keepdims=True)
        slopes = local[:, :2] / jnp.maximum(local[:, 2:], 1e-3) / self.slopes
        return jnp.concatenate(
            [slopes, 2 * self.bounds.coordinate(distance) - 1], axis=-1
        )


class Samples(NamedTuple):
    """What a field has at points.

    Attributes:
      density: per unit of s, see `dyso.fit.volume`.
      color: in [0, 1].
      dynamic: share of the density that is the dynamic part's.
    """

    density: Float[Array, "*N"]
    color: Float[Array, "*N 3"]
    dynamic: Float[Array, "*N"]


def initial(key: Array, grid: Grid, steps: int) -> Field:
    """Returns a thin fog.

    Args:
      key: of the features and weights.
      grid: the settings.
      steps: frames of the video.
    """
    first, second = jax.random.split(key)
    return Field(
        static=_part(first, grid, steps=1, outputs=4),
        dynamic=_part(second, grid, steps=steps, outputs=5),
    )


def evaluate(field: Field, points: Float[Array, "N 3"], time: Array) -> Samples:
    """Returns the blended density and colour.

    With the dynamic part's share b: sigma = (1 - b) sigma_static + b sigma_dynamic, and
    the colours are weighted by these terms (as NSFF, eq. 9, with b for 1 - b).

    Args:
      field: the parameters.
      points: in [-1, 1]^3.
      time: [N], from -1 for the first frame to 1 for the last.
    """
    points = jnp.concatenate([points, time[:, None]], axis=-1)
    static = _decode(field.static, points)
    dynamic = _decode(field.dynamic, points)
    share = jax.nn.sigmoid(dynamic[:, 4])
    still, moving = (
        (1 - share) * density_of(static[:, 0]),
        share * density_of(dynamic[:, 0]),
    )
    density = still + moving
    dynamic_share = moving / density
    colors = [jax.nn.sigmoid(each[:, 1:4]) for each in (static, dynamic)]
    color = colors[0] + dynamic_share[:, None] * (colors[1] - colors[0])
    return Samples(density=density, color=color, dynamic=dynamic_share)


def total_variation(field: Field) -> Float[Array, ""]:
    """Returns the sum over all planes, see `grids.total_variation`."""
    levels = field.static.levels + field.dynamic.levels
    return sum((grids.total_variation(each) for each in levels), jnp.zeros(()))


def _part(key: Array, grid: Grid, steps: int, outputs: int) -> Part:
    keys = jax.random.split(key, grid.levels + 2)
    levels = []
    for level in range(grid.levels):
        x, y, z = (cells >> level for cells in grid.cells)
        cells = (x, y, z, max(steps >> level, 1))
        levels.append(grids.initial(keys[level], cells, grid.channels))
    inputs = 3 * grid.channels * grid.levels
    network = networks.initial(keys[-2:], (inputs, grid.hidden, outputs))
    return Part(levels=tuple(levels), network=network)


def _decode(part: Part, points: Float[Array, "N 4"]) -> Float[Array, "N D"]:
    return networks.apply(part.network, grids.features(part.levels, points))
