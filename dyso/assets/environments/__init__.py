"""Environments made from numbers: panoramas of high dynamic range.

    make(catalog, number) -> radiance [HEIGHT, WIDTH, 3]

A panorama is equirectangular and seen from 3 m above the ground, `dome_height`'s
default. It is a function of (generator version, seed, number) alone, to the bit: what
is computed for pixels uses sums, products, quotients and square roots, which every
processor rounds the same way, and never a mathematical library (see `functions`).
"""

from __future__ import annotations

import numpy as np

from dyso.assets.environments import surfaces
from dyso.assets.environments.indoor import INDOOR
from dyso.assets.environments.outdoor import OUTDOOR
from dyso.assets.environments.panorama import Panorama
from dyso.assets.procedural.draw import Draw
from dyso.spec import ProceduralEnvironments

HEIGHT, WIDTH = 1024, 2048
_SCENES = {**OUTDOOR, **INDOOR}


def make(
    catalog: ProceduralEnvironments, number: int, height: int = HEIGHT
) -> np.ndarray:
    """Makes an environment of a catalog.

    Args:
      catalog: the catalog.
      number: the environment's number.
      height: in pixels; catalogs have HEIGHT.

    Returns:
      Scene-linear radiance float16 [height, 2 height, 3], the first row at the zenith.
    """
    draw = Draw((catalog.generator, catalog.seed, number), "environment")
    panorama = Panorama(height)
    _SCENES[catalog.kind(number)](panorama, draw)
    return panorama.radiance()


def ground(
    catalog: ProceduralEnvironments, number: int
) -> tuple[surfaces.Ground, float]:
    """Returns what an environment's ground is painted with, without painting it.

    Also returns the metres around the centre in which nothing stands on it.
    """
    draw = Draw((catalog.generator, catalog.seed, number), "environment")
    panorama = Panorama(0)
    _SCENES[catalog.kind(number)](panorama, draw)
    assert panorama.ground is not None
    return panorama.ground
