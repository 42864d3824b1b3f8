"""Compares `dyso.worker.denoiser` with Cycles' own use of OpenImageDenoise.

Prints the image's range, the largest difference between the two, and the largest
between a first and a second call, with an image of another size in between.
"""

import tempfile
from pathlib import Path

import bpy
import numpy as np
import OpenEXR

from dyso.worker.denoiser import denoise

scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.render.resolution_x, scene.render.resolution_y = 60, 44
scene.cycles.samples = 4
scene.cycles.use_denoising = True
scene.cycles.denoiser = "OPENIMAGEDENOISE"
scene.cycles.denoising_prefilter = "NONE"
scene.cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
scene.view_layers[0].cycles.denoising_store_passes = True
settings = scene.render.image_settings
settings.file_format, settings.color_depth = "OPEN_EXR_MULTILAYER", "32"
with tempfile.TemporaryDirectory() as folder:
    scene.render.filepath = str(Path(folder) / "view.exr")
    bpy.ops.render.render(write_still=True)
    with OpenEXR.File(scene.render.filepath) as file:
        passes = {
            name.partition(".")[2]: channel.pixels
            for name, channel in file.channels().items()
        }
normal = np.stack([passes[f"Denoising Normal.{axis}"] for axis in "XYZ"], axis=-1)
images = passes["Noisy Image"][..., :3], passes["Denoising Albedo"], normal
expected = passes["Combined"][..., :3]
first = denoise(*images)
denoise(*(image[:30, :40] for image in images))
again = denoise(*images)
differences = abs(first - expected).max(), abs(first - again).max()
print("denoised", np.ptp(expected), *differences)
