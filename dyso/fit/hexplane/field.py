"""The field: planes of several resolutions, a network, and a background.

The density and the colour do not depend on the direction. The background's colour
depends on the direction alone, as in MAV3D.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dyso.fit import grids, networks
from dyso.fit.grids import Fusion, HexPlane
from dyso.fit.hexplane.config import Background, Grid
from dyso.fit.networks import Network
from dyso.fit.volume import Bounds, density_of

AXES = tuple(itertools.chain(*grids.PAIRS))
"""The axes of each plane of a level; 3 is time."""


class Field(NamedTuple):
    """What is learned.

    Attributes:
      levels: planes, from the coarsest on.
      network: of features to a density and a colour.
      background: of directions to a colour.
    """

    levels: tuple[HexPlane, ...]
    network: Network
    background: Network


class Region(NamedTuple):
    """Space as the planes have it: an inner cube, and all else contracted around it.

    Attributes:
      center: [3], of the inner cube, metres.
      radius: half of its width, metres.
      bounds: distances from cameras between which rays are marched.
    """

    center: Float[Array, 3]
    radius: Float[Array, ""]
    bounds: Bounds

    def cube(self, points: Float[Array, "*N 3"]) -> Float[Array, "*N 3"]:
        """Maps points in the world to [-1, 1]^3, and the inner cube to its half.

        With x in radii from the centre, and |x| its largest coordinate: x outside of
        the inner cube becomes (2 - 1 / |x|) x / |x|, as in mip-NeRF 360 (Barron et al.,
        CVPR 2022, eq. 10), which has the Euclidean norm; cubes suit planes.
        """
        scaled = (points - self.center) / self.radius
        size = jnp.maximum(jnp.abs(scaled).max(-1, keepdims=True), 1.0)
        return (2 - 1 / size) * (scaled / size) / 2


def initial(
    key: Array,
    grid: Grid,
    background: Background,
    steps: int,
    fusion: Fusion = "product",
) -> Field:
    """Returns a thin fog.

    Args:
      key: of the features and weights.
      grid: the settings of the planes and their network.
      background: those of the background.
      steps: dynamics steps.
      fusion: of complementary planes.
    """
    planes, network, behind = jax.random.split(key, 3)
    keys = jax.random.split(planes, grid.levels)
    levels = tuple(
        grids.initial(part, (cells, cells, cells, steps), grid.channels, fusion)
        for part, cells in zip(keys, grid.cells, strict=True)
    )
    inputs = 3 * grid.channels * grid.levels
    return Field(
        levels=levels,
        network=networks.initial(
            jax.random.split(network, grid.layers + 1),
            (inputs, *[grid.hidden] * grid.layers, 4),
        ),
        background=networks.initial(
            jax.random.split(behind, background.layers + 1),
            (
                3 + 6 * background.frequencies,
                *[background.hidden] * background.layers,
                3,
            ),
        ),
    )


def evaluate(
    field: Field,
    points: Float[Array, "N 3"],
    times: Float[Array, " N"],
    fusion: Fusion = "product",
) -> tuple[Float[Array, " N"], Float[Array, "N 3"]]:
    """Returns densities per unit of the cube, and colours in [0, 1].

    Args:
      field: the parameters.
      points: in [-1, 1]^3.
      times: from -1 for the first step to 1 for the last.
      fusion: of complementary planes.
    """
    places = jnp.concatenate([points, times[:, None]], axis=-1)
    features = grids.features(field.levels, places, fusion)
    decoded = networks.apply(field.network, features)
    return density_of(decoded[:, 0]), jax.nn.sigmoid(decoded[:, 1:])


def behind(field: Field, directions: Float[Array, "N 3"]) -> Float[Array, "N 3"]:
    """Returns the background's colours in [0, 1], in unit directions."""
    first = field.background[0].weights
    frequencies = 2.0 ** jnp.arange((len(first) - 3) // 6)
    angles = (directions[:, None] * frequencies[:, None]).reshape(len(directions), -1)
    inputs = jnp.concatenate([directions, jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return jax.nn.sigmoid(networks.apply(field.background, inputs))


def total_variation(field: Field) -> Float[Array, ""]:
    """Returns the sum over all planes, see `grids.total_variation`."""
    return sum((grids.total_variation(each) for each in field.levels), jnp.zeros(()))
