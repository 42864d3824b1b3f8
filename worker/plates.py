"""What a view shows without its objects.

The unshadowed floor and the dome give back the HDRI's own radiance (see `backdrop`),
so the empty view, its plate, needs no path tracing: it is looked up in the HDRI,
without noise. Where objects change it, `shade` says.
"""

from __future__ import annotations

import math

import numpy as np

from dyso import geometry
from dyso.sampling.scene import Background

FILTER_WIDTH = 3.0  # pixels that Cycles' Blackman-Harris filter spans at width 1.5
SUBPIXELS = 3  # rays a pixel, along each side; odd, so that one is in the middle
BAND = 64  # rows of pixels that are looked up at once


def directions_to_sky(
    background: Background, origins: np.ndarray, directions: np.ndarray
) -> np.ndarray:
    """Gives the directions [..., 3] in which the HDRI is seen along rays [..., 3]."""
    if background.backdrop == "environment":
        return directions
    depth, _ = hit_dome(background, origins, directions)
    points = origins + depth[..., None] * directions
    return points - [0.0, 0.0, background.dome_height]


def hit_dome(
    background: Background, origins: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Casts rays from inside at the dome.

    Returns:
      Metres to the hit [...], and whether it is on the floor [...].
    """
    with np.errstate(divide="ignore"):
        floor = -origins[..., 2] / directions[..., 2]
    half = (origins * directions).sum(-1)
    outside = (origins**2).sum(-1) - background.dome_radius**2
    sky = -half + np.sqrt(half**2 - outside)
    on_floor = (floor > 0) & (floor < sky)
    return np.where(on_floor, floor, sky), on_floor


def look_up(pixels: np.ndarray, rotation: float, directions: np.ndarray) -> np.ndarray:
    """Interpolates an HDRI as Cycles' environment texture does.

    Args:
      pixels: [h, w, 3], equirectangular, the first row at the zenith.
      rotation: radians about the vertical.
      directions: [..., 3], of any length.

    Returns:
      Radiance [..., 3].
    """
    height, width = pixels.shape[:2]
    x, y, z = np.moveaxis(directions, -1, 0)
    azimuth = np.arctan2(y, x) + rotation
    column = (0.5 - azimuth / (2 * math.pi)) * width - 0.5
    row = (0.5 - np.arctan2(z, np.hypot(x, y)) / math.pi) * height - 0.5
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    across, down = (column - left)[..., None], (row - top)[..., None]
    columns = left % width, (left + 1) % width
    rows = top.clip(0, height - 1), (top + 1).clip(0, height - 1)
    upper, lower = (
        pixels[r, columns[0]] * (1 - across) + pixels[r, columns[1]] * across
        for r in rows
    )
    return upper * (1 - down) + lower * down


def floor_weights(height: int) -> np.ndarray:
    """Gives how much the rows [h] of an HDRI count on a level floor, but for a factor.

    That is the cosine to the floor, 0 from below, times the row's length on the sphere.
    """
    polar = (np.arange(height) + 0.5) / height * math.pi
    return np.clip(np.cos(polar), 0, None) * np.sin(polar)


def plate(
    intrinsics: np.ndarray,
    extrinsics: np.ndarray,
    resolution: tuple[int, int],
    background: Background,
    pixels: np.ndarray,
) -> np.ndarray:
    """Gives the scene-linear radiance [H, W, 3] of a view without objects.

    Args:
      intrinsics: [3, 3].
      extrinsics: [3, 4], world to camera.
      resolution: height and width.
      background: the backdrop.
      pixels: the HDRI's, [h, w, 3].
    """
    height, width = resolution
    # The middle one of a pixel's rays goes through its centre, so that pixels, whose
    # filters overlap, share rays with their neighbours.
    reach = math.ceil(FILTER_WIDTH * SUBPIXELS / 2) - 1
    taps = np.arange(-reach, reach + 1)
    weights = blackman_harris(taps / (FILTER_WIDTH * SUBPIXELS) + 0.5)
    weights /= weights.sum()
    across = (np.arange(-reach, width * SUBPIXELS + reach) + 0.5) / SUBPIXELS
    image = np.zeros((height, width, 3))
    for top in range(0, height, BAND):
        rows = min(BAND, height - top)
        down = (np.arange(-reach, rows * SUBPIXELS + reach) + 0.5) / SUBPIXELS + top
        grid = np.stack(np.meshgrid(across, down), axis=-1)
        rays = geometry.rays(intrinsics, extrinsics, grid)
        seen = directions_to_sky(background, *rays)
        fine = look_up(pixels, background.rotation, seen)
        first = SUBPIXELS // 2
        narrow = sum(
            w * fine[:, first + i :: SUBPIXELS][:, :width]
            for i, w in enumerate(weights)
        )
        image[top : top + rows] = sum(
            w * narrow[first + i :: SUBPIXELS][:rows] for i, w in enumerate(weights)
        )
    return image


def blackman_harris(x: np.ndarray) -> np.ndarray:
    """Gives the window's weights for x from 0 to 1 (Harris, 1978)."""
    terms = zip((0.35875, -0.48829, 0.14128, -0.01168), range(4), strict=True)
    return np.sum([a * np.cos(2 * math.pi * k * x) for a, k in terms], axis=0)
