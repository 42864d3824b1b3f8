"""Renders the view without objects, which is the same in all dynamics steps.

The unshadowed floor and the dome give back the HDRI's own radiance (see `backdrop`),
so the empty view's image, its plate, needs no path tracing: it is looked up in the
HDRI, without noise. `shadows.shade` finds where objects change it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dyso import geometry
from dyso.sampling.scene import Background

FILTER_WIDTH = 3.0  # pixels that Cycles' Blackman-Harris filter spans at width 1.5
SUBPIXELS = 3  # rays per pixel and side; odd, so that one is central
BAND = 64  # rows of pixels that are processed at once
TOLERANCE = 1e-6  # metres above the floor that count as the floor


@dataclass(frozen=True, kw_only=True, eq=False)
class FloorDetail:
    """What is added to the floor near the centre of the dome.

    Attributes:
      pixels: [n, n, 3], factors of the panorama's radiance, 1 at the sides. Columns
        are along x, rows along y.
      reach: metres from the centre to the sides of the square.
    """

    pixels: np.ndarray
    reach: float

    def at(self, points: np.ndarray) -> np.ndarray:
        """Interpolates the factors [n, 3] at points [n, 2] of the floor, as Cycles."""
        side = len(self.pixels)
        places = (points / self.reach + 1) * (side / 2) - 0.5
        first = np.floor(places).astype(int)
        part = (places - first).astype(np.float32)
        low, high = first.clip(0, side - 1), (first + 1).clip(0, side - 1)
        texels = self.pixels.reshape(-1, 3)

        def along(row: np.ndarray) -> np.ndarray:
            a, b = (texels.take(row * side + end[:, 0], 0) for end in (low, high))
            return a + (b - a) * part[:, :1]

        near = along(low[:, 1])
        return near + (along(high[:, 1]) - near) * part[:, 1:]


@dataclass(frozen=True, kw_only=True, eq=False)
class EmptyView:
    """The view of a camera without objects, at the centres of H x W pixels.

    Attributes:
      intrinsics: [3, 3].
      extrinsics: [3, 4], world to camera.
      origin: [3], the camera centre.
      directions: [H, W, 3], unit.
      depth: [H, W], metres to the backdrop; infinity where there is none.
      normal: [H, W, 3], the backdrop's, towards the camera; 0 where there is none.
      on_floor: [H, W], whether the floor is seen.
      plate: [H, W, 3], scene-linear radiance, filtered as Cycles filters pixels.
    """

    intrinsics: np.ndarray
    extrinsics: np.ndarray
    origin: np.ndarray
    directions: np.ndarray
    depth: np.ndarray
    normal: np.ndarray
    on_floor: np.ndarray
    plate: np.ndarray


def empty_view(
    intrinsics: np.ndarray,
    extrinsics: np.ndarray,
    resolution: tuple[int, int],
    background: Background,
    pixels: np.ndarray,
    detail: FloorDetail | None = None,
) -> EmptyView:
    """Casts rays at the backdrop and looks up the plate in the HDRI.

    Args:
      intrinsics: [3, 3].
      extrinsics: [3, 4], world to camera.
      resolution: height and width.
      background: the backdrop.
      pixels: the HDRI's, [h, w, 3].
      detail: of the floor.
    """
    grid = geometry.pixel_grid(*resolution, np)
    origins, directions = geometry.rays(intrinsics, extrinsics, grid)
    origin = origins[0, 0]
    if background.backdrop == "environment":
        depth = np.full(resolution, np.inf)
        normal, on_floor = np.zeros_like(directions), np.zeros(resolution, bool)
    else:
        depth, on_floor = hit_dome(background, origin, directions)
        inward = -(origin + depth[..., None] * directions) / background.dome_radius
        normal = np.where(on_floor[..., None], (0.0, 0.0, 1.0), inward)
    return EmptyView(
        intrinsics=intrinsics,
        extrinsics=extrinsics,
        origin=origin,
        directions=directions,
        depth=depth,
        normal=normal,
        on_floor=on_floor,
        plate=_plate(intrinsics, extrinsics, resolution, background, pixels, detail),
    )


def hit_dome(
    background: Background, origin: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Casts rays from a point [3] inside at the dome.

    Returns:
      Metres to the hit [...], and whether it is on the floor [...].
    """
    with np.errstate(divide="ignore"):
        floor = -origin[2] / directions[..., 2]
    half = np.einsum("...i,i->...", directions, origin)
    outside = (origin**2).sum() - background.dome_radius**2
    sky = -half + np.sqrt(half**2 - outside)
    on_floor = (floor > 0) & (floor < sky)
    return np.where(on_floor, floor, sky), on_floor


def directions_to_sky(
    background: Background, origin: np.ndarray, directions: np.ndarray
) -> np.ndarray:
    """Returns the directions [..., 3] in which the HDRI is seen along rays [..., 3]."""
    if background.backdrop == "environment":
        return directions
    depth, _ = hit_dome(background, origin, directions)
    return depth[..., None] * directions + (origin - [0, 0, background.dome_height])


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
    azimuth, elevation = geometry.azimuth_elevation(directions)
    column = (0.5 - (azimuth + rotation) / (2 * math.pi)) * width - 0.5
    row = (0.5 - elevation / math.pi) * height - 0.5
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    across, down = (
        part[..., None].astype(pixels.dtype) for part in (column - left, row - top)
    )
    columns = left % width, (left + 1) % width
    # `take` along one axis is ten times faster than indexing two.
    texels = pixels.reshape(-1, 3)

    def along(row: np.ndarray) -> np.ndarray:
        start = row.clip(0, height - 1) * width
        first, second = (texels.take(start + column, 0) for column in columns)
        return first + (second - first) * across

    upper = along(top)
    return upper + (along(top + 1) - upper) * down


def floor_weights(height: int) -> np.ndarray:
    """Returns the relative weights [h] of an HDRI's rows for light on a level floor.

    The weight is the cosine to the floor, 0 from below, times the row's length on the
    sphere.
    """
    polar = (np.arange(height) + 0.5) / height * math.pi
    return np.clip(np.cos(polar), 0, None) * np.sin(polar)


def _plate(
    intrinsics: np.ndarray,
    extrinsics: np.ndarray,
    resolution: tuple[int, int],
    background: Background,
    pixels: np.ndarray,
    detail: FloorDetail | None,
) -> np.ndarray:
    """Returns the radiance [H, W, 3] of an empty view; see `empty_view`."""
    height, width = resolution
    # The central ray of a pixel goes through its centre. Pixels, whose filters
    # overlap, therefore share rays with their neighbours.
    reach = math.ceil(FILTER_WIDTH * SUBPIXELS / 2) - 1
    taps = np.arange(-reach, reach + 1)
    weights = blackman_harris(taps / (FILTER_WIDTH * SUBPIXELS) + 0.5)
    weights /= weights.sum()
    across = (np.arange(-reach, width * SUBPIXELS + reach) + 0.5) / SUBPIXELS
    image = np.zeros((height, width, 3), np.float32)
    for top in range(0, height, BAND):
        rows = min(BAND, height - top)
        down = (np.arange(-reach, rows * SUBPIXELS + reach) + 0.5) / SUBPIXELS + top
        grid = np.stack(np.meshgrid(across, down), axis=-1)
        origins, directions = geometry.rays(intrinsics, extrinsics, grid)
        seen = directions_to_sky(background, origins[0, 0], directions)
        fine = look_up(pixels, background.rotation, seen)
        if detail:
            near = (np.abs(seen[..., :2]) < detail.reach).all(-1)
            near &= seen[..., 2] < TOLERANCE - background.dome_height
            fine[near] *= detail.at(seen[near][:, :2])
        first = SUBPIXELS // 2
        low = sum(
            w * fine[first + i :: SUBPIXELS][:rows] for i, w in enumerate(weights)
        )
        image[top : top + rows] = sum(
            w * low[:, first + i :: SUBPIXELS][:, :width] for i, w in enumerate(weights)
        )
    return image


def blackman_harris(x: np.ndarray) -> np.ndarray:
    """Returns the window's weights for x from 0 to 1 (Harris, 1978)."""
    terms = zip((0.35875, -0.48829, 0.14128, -0.01168), range(4), strict=True)
    return np.sum([a * np.cos(2 * math.pi * k * x) for a, k in terms], axis=0)
