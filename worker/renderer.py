"""Renders radiance in a window, with Kubric's Blender view on a current bpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import kubric as kb
import numpy as np
import OpenEXR
from kubric.renderer.blender import AttributeSetter, Blender, register_object3d_setters
from kubric.renderer.blender_utils import prepare_blender_object

from dyso.assets.manifest import mesh_kind
from dyso.spec import Render

from .denoiser import denoise
from .errors import AssetError
from .pictures import check_pictures
from .shadows import Window

MAX_BOUNCES = 6


class CyclesView(Blender):
    """Renders the radiance of a Kubric scene's objects and floor with Cycles.

    Kubric's view also renders depth, segmentation and normals, in a second view layer.
    In DySO, these come from rays (see `passes`), and the rest of the background comes
    from the HDRI (see `empty_view`). Cycles therefore renders colour only, and only in
    one window.
    """

    def __init__(self, scene: kb.Scene, settings: Render, scratch: Path):
        """Resets Blender and links it to the scene.

        Args:
          scene: the Kubric scene.
          settings: samples, denoiser and view transform.
          scratch: a folder for rendered images.
        """
        super().__init__(
            scene,
            scratch_dir=scratch,
            adaptive_sampling=False,
            use_denoising=False,  # see `denoiser`
            samples_per_pixel=settings.samples,
            background_transparency=True,
        )
        blender = self.blender_scene
        blender.view_layers.remove(blender.view_layers["AuxOutputs"])
        layer = blender.view_layers[0]
        layer.use_pass_z = False
        self._denoise = layer.cycles.denoising_store_passes = settings.denoise
        blender.use_nodes = False
        blender.view_settings.view_transform = settings.view_transform
        render = blender.render
        render.use_persistent_data = True
        render.dither_intensity = 0.0
        render.use_crop_to_border = True
        cycles = blender.cycles
        cycles.max_bounces = MAX_BOUNCES
        cycles.caustics_reflective = False
        cycles.caustics_refractive = False
        cycles.use_light_tree = False  # the world is the only light

    def radiance(self, window: Window, seed: int) -> np.ndarray:
        """Renders a window of the scene's camera.

        Args:
          window: the pixels to render.
          seed: the seed of the path tracer.

        Returns:
          Scene-linear RGBA [h, w, 4], premultiplied: alpha is 0 where neither objects
          nor the floor are seen.
        """
        width, height = self.scene.resolution
        render = self.blender_scene.render
        render.use_border = window.area < width * height
        # Blender counts rows from below and truncates to whole pixels. Without the
        # added hundredth, rounding loses a row or column at sizes such as 224.
        render.border_min_x = (window.left + 0.01) / width
        render.border_max_x = min(1.0, (window.right + 0.01) / width)
        render.border_min_y = (height - window.bottom + 0.01) / height
        render.border_max_y = min(1.0, (height - window.top + 0.01) / height)
        file = Path(self.scratch_dir) / "view.exr"
        render.filepath = str(file)
        settings = render.image_settings
        settings.file_format = "OPEN_EXR_MULTILAYER"
        settings.color_depth = "32"
        settings.exr_codec = "NONE"
        self.blender_scene.cycles.seed = seed % 2**31
        bpy.ops.render.render(write_still=True)
        with OpenEXR.File(str(file)) as exr:
            layer = f"{self.blender_scene.view_layers[0].name}."
            passes = {
                name.removeprefix(layer): channel.pixels
                for name, channel in exr.channels().items()
            }
        image = passes["Combined"]
        expected = (window.bottom - window.top, window.right - window.left, 4)
        if image.shape != expected:
            raise RuntimeError(f"rendered {image.shape}, not {expected}")
        if self._denoise:
            normal = [passes[f"Denoising Normal.{axis}"] for axis in "XYZ"]
            image[..., :3] = denoise(
                image[..., :3], passes["Denoising Albedo"], np.stack(normal, axis=-1)
            )
        return image

    def add_asset(self, asset: kb.Asset) -> Any:
        """Adds an asset; meshes differ from Kubric's."""
        if isinstance(asset, kb.FileBasedObject):
            return self._add_mesh(asset)
        return super().add_asset(asset)

    @prepare_blender_object
    def _add_mesh(self, asset: kb.FileBasedObject) -> bpy.types.Object:
        path = asset.render_filename
        if not Path(path).is_file():
            raise AssetError(asset.asset_id, f"has no file {Path(path).name}")
        axes = asset.render_import_kwargs
        before = set(bpy.data.objects)
        try:
            kind = mesh_kind(path)
            if kind in (".glb", ".gltf"):
                # The importer turns y up into z up in the mesh data's parents.
                bpy.ops.import_scene.gltf(filepath=path)
            elif kind == ".obj":
                bpy.ops.wm.obj_import(
                    filepath=path,
                    use_split_objects=False,
                    forward_axis=_axis(axes.get("axis_forward", "-Z")),
                    up_axis=_axis(axes.get("axis_up", "Y")),
                )
            else:
                raise AssetError(asset.asset_id, f"{Path(path).name}: not OBJ or glTF")
        except RuntimeError as error:
            raise AssetError(asset.asset_id, f"cannot be read: {error}") from error
        added = [item for item in bpy.data.objects if item not in before]
        blender_object = _joined(asset.asset_id, added)
        check_pictures(asset.asset_id, Path(path).parent, blender_object)
        register_object3d_setters(asset, blender_object)
        asset.observe(AttributeSetter(blender_object, "scale"), "scale")
        return blender_object


def _axis(name: str) -> str:
    """Translates an axis name of the former OBJ importer to today's."""
    return name.replace("-", "NEGATIVE_")


def _joined(asset_id: str, added: list[bpy.types.Object]) -> bpy.types.Object:
    """Makes one mesh object, its transform in the mesh, of all that was imported."""
    meshes = [item for item in added if item.type == "MESH"]
    if not meshes:
        raise AssetError(asset_id, "the file has no mesh")
    for item in added:
        item.select_set(item in meshes)
    bpy.context.view_layer.objects.active = meshes[0]
    if len(meshes) > 1:
        bpy.ops.object.join()
    joined = bpy.context.view_layer.objects.active
    joined.data.transform(joined.matrix_world)
    joined.parent = None
    joined.matrix_world.identity()
    for item in list(bpy.data.objects):
        if item in added and item is not joined and item.type != "MESH":
            bpy.data.objects.remove(item)
    joined.select_set(False)
    return joined
