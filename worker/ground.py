"""Paints the dome's floor near its centre with more detail than a panorama has.

A panorama has few pixels for the floor: taken from 3 m, with 2048 around the horizon,
one covers a centimetre below the camera, and about three at 5 m. Objects on the floor
are sharp, and look cut out. With `backgrounds.ground: material`, the floor near the
centre is multiplied by a picture with pixels half as large as the views'. Its values
are about 1 and fade to 1 with the distance, so that colours agree.

An environment that was made from numbers has its own ground, which is painted again in
detail and fits the panorama. A photograph is kept, and gets a fine grain that it is too
coarse to show: of grass where it is green, of stone or sand elsewhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import ndimage

from dyso.assets.environments import surfaces
from dyso.assets.environments.functions import Noise, step
from dyso.assets.environments.panorama import EYE
from dyso.assets.procedural.draw import Draw
from dyso.sampling.scene import Background, Camera

from .empty_view import FloorDetail

REACH = 7.0  # metres from the centre within which a photograph's floor is painted
FULL, NONE = 0.4, 0.95  # shares of the reach between which the picture fades
COARSE = 0.03  # metres between the points at which coarse values are computed
GRAIN = 0.15  # metres, standard deviation of the average that a grain varies about
SIDE = 2048  # the most pixels of the picture's side
BAND = 128  # rows that are painted at once
BRIGHTER = 4.0  # the most that detail brightens or darkens


def pixel_size(cameras: tuple[Camera, ...], width: int) -> float:
    """Returns the metres at the dome's centre that half a pixel of the views shows."""
    sizes = [
        math.dist(camera.pose.position, (0, 0, 0))
        * camera.sensor_width
        / camera.focal_length
        / width
        for camera in cameras
    ]
    return float(np.median(sizes)) / 2


def floor_detail(
    background: Background,
    pixels: np.ndarray,
    made: tuple[surfaces.Ground, float] | None,
    pixel: float,
) -> FloorDetail:
    """Paints the floor.

    Args:
      background: the dome, with a `ground_seed`.
      pixels: the HDRI's, [h, w, 3].
      made: the ground of an environment made from numbers, and how far it reaches.
      pixel: metres, see `pixel_size`.
    """
    material, reach = made or (_grain(background, pixels), REACH)
    side = min(SIDE, max(64, math.ceil(2 * reach / pixel)))
    # Where the ground is that the panorama shows, which was taken from EYE.
    scale = EYE / background.dome_height
    wide = reach * scale
    average = _average(material, wide, background, len(pixels))
    if not made:
        sigma = GRAIN / COARSE
        average = ndimage.gaussian_filter(average, (sigma, sigma, 0))
    picture = np.ones((side, side, 3), np.float32)
    for top in range(0, side, BAND):
        rows = np.arange(top, min(top + BAND, side))
        x, y = _places(rows, side, wide, background)
        share = 1 - step(np.sqrt(x * x + y * y) / wide, FULL, NONE)
        painted = np.flatnonzero(share)
        x, y, share = x[painted], y[painted], share[painted, None]
        fine = material(x, y, np.full_like(x, 2 * wide / side))
        rough = _enlarged(average, rows, side).reshape(-1, 3)[painted]
        detail = fine / np.maximum(rough, 0.01)
        band = picture[rows[0] : rows[-1] + 1].reshape(-1, 3)
        band[painted] += share * (detail.clip(1 / BRIGHTER, BRIGHTER) - 1)
    return FloorDetail(pixels=picture, reach=reach)


def _average(
    material: surfaces.Ground, wide: float, background: Background, height: int
) -> np.ndarray:
    """Returns a square of a material [n, n, 3] as coarse as a panorama shows it.

    Args:
      material: of the ground.
      wide: metres from the centre to the sides of the square.
      background: the dome.
      height: of the panorama, in pixels.
    """
    side = math.ceil(2 * wide / COARSE)
    x, y = _places(np.arange(side), side, wide, background)
    away = np.sqrt(x * x + y * y + EYE * EYE)
    shown = np.pi / height * away * np.sqrt(away / EYE)
    values = material(x, y, np.maximum(shown, COARSE).astype(np.float32))
    return values.reshape(side, side, 3)


def _places(
    rows: np.ndarray, side: int, wide: float, background: Background
) -> tuple[np.ndarray, np.ndarray]:
    """Returns x and y [rows * side] of a square's pixels, turned as the HDRI is."""
    along, across = (
        ((numbers + 0.5) / side * 2 - 1) * wide for numbers in (np.arange(side), rows)
    )
    x, y = (axis.ravel() for axis in np.meshgrid(along, across))
    c, s = math.cos(background.rotation), math.sin(background.rotation)
    return (c * x - s * y).astype(np.float32), (s * x + c * y).astype(np.float32)


def _grain(background: Background, pixels: np.ndarray) -> surfaces.Ground:
    """Returns the grain for a photograph's floor: of grass, or of stone."""
    below = pixels[int(0.7 * len(pixels)) :].reshape(-1, 3)
    red, green, blue = np.median(below, axis=0).tolist()
    draw = Draw((background.ground_seed or 0,), "ground")
    noise, strength = Noise(draw, "grain"), draw.real(0.25, 0.55)
    blades = surfaces.grass(draw.named("grass"))

    def grass(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        return np.repeat(blades(x, y, pixel).mean(-1, keepdims=True), 3, axis=-1)

    def stone(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        fine = noise.layers(x * 7, y * 7, 6, 0.95, pixel * 7) - 0.5
        grit = step(noise.smooth(x * 60, y * 60), 0.55, 0.8) - 0.3
        grit = grit * np.clip(1.5 - 55 * pixel, 0, 1)
        value = 1 + strength * (1.6 * fine + 0.5 * grit)
        return np.repeat(value[:, None].astype(np.float32), 3, axis=-1)

    return grass if green > max(1.03 * red, 1.1 * blue) else stone


def _enlarged(values: np.ndarray, rows: np.ndarray, side: int) -> np.ndarray:
    """Interpolates rows [r, side, 3] of a picture [n, n, 3] enlarged to a side."""
    for axis, wanted in ((0, rows), (1, np.arange(side))):
        count = values.shape[axis]
        at = ((wanted + 0.5) / side * count - 0.5).clip(0, count - 1)
        first = at.astype(int).clip(0, count - 2)
        shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
        part = (at - first).astype(np.float32).reshape(shape)
        low, high = values.take(first, axis), values.take(first + 1, axis)
        values = low + (high - low) * part
    return values
