"""Converts radiance to display colour (tone mapping): exposure and view transform."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np

from dyso.images import open_image

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of linear sRGB (Rec. 709)
# The radiance of a white card on the floor that looks well exposed through Filmic.
NORMAL_WHITE = 1.5


def exposure(irradiance: np.ndarray, adaptation: float) -> float:
    """Returns the exposure in stops for a floor lit by `irradiance` [3].

    Args:
      irradiance: see `backdrop.floor_irradiance`.
      adaptation: `dyso.spec.Render.auto_exposure`.
    """
    white = float(irradiance @ LUMINANCE) / math.pi
    return adaptation * math.log2(NORMAL_WHITE / max(white, 1e-6))


def display(radiance: np.ndarray, scene: bpy.types.Scene, scratch: Path) -> np.ndarray:
    """Converts radiance to display colour with a scene's view settings.

    Args:
      radiance: scene-linear [H, W, 3].
      scene: Blender's scene, with exposure and view transform.
      scratch: a folder for the image, which Blender converts only when it saves it.

    Returns:
      sRGB uint8 [H, W, 3].
    """
    height, width = radiance.shape[:2]
    values = np.ones((height, width, 4), np.float32)
    values[..., :3] = radiance[::-1]
    image = bpy.data.images.new("display", width, height, float_buffer=True)
    image.pixels.foreach_set(values.ravel())
    settings = scene.render.image_settings
    settings.file_format = "PNG"
    settings.color_mode = "RGB"
    settings.color_depth = "8"
    settings.compression = 0
    file = scratch / "display.png"
    image.save_render(str(file), scene=scene)
    bpy.data.images.remove(image)
    with open_image(file, ("PNG",)) as shown:
        return np.asarray(shown)
