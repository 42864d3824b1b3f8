"""The HDRI as the light source, and the floor onto which it is projected.

The dome is a hemisphere with a flat floor at z = 0. The HDRI is projected onto it from
a point above the centre, and the world lights the scene with the same HDRI. The floor
is diffuse. Its albedo is chosen so that under the whole sky it reflects the radiance of
the HDRI. An unshadowed floor therefore looks like the photograph, and shadows and
bounced light fall on it as on a real floor. The rest of the background is transparent
in Cycles; `empty_view` looks it up in the HDRI and adds it.
"""

from __future__ import annotations

import math

import bpy
import numpy as np

from dyso.sampling.scene import Background

from .empty_view import FloorDetail, floor_weights
from .errors import AssetError
from .pictures import MAX_HDRI_PIXELS, measure

LIGHT_WIDTH = 512  # pixels around the horizon that light is sampled from


def load_hdri(asset_id: str, path: str) -> tuple[bpy.types.Image, np.ndarray]:
    """Reads an HDRI; returns the image and its radiance [H, W, 3] (see `radiance`).

    Raises:
      AssetError: it cannot be read, is too large, or has values that are not finite
        or all zero.
    """
    with open(path, "rb") as file:
        measure(asset_id, file, MAX_HDRI_PIXELS)
    try:
        image = bpy.data.images.load(path, check_existing=True)
    except RuntimeError as error:
        raise AssetError(asset_id, f"cannot be read: {error}") from error
    if 0 in image.size:
        raise AssetError(asset_id, "cannot be read as an image")
    pixels = radiance(image)
    if not np.isfinite(pixels).all():
        raise AssetError(asset_id, "has pixels that are not finite")
    if not pixels.max() > 0:
        raise AssetError(asset_id, "is black")
    return image, pixels


def radiance(image: bpy.types.Image) -> np.ndarray:
    """Returns the scene-linear radiance [H, W, 3], the first row at the zenith."""
    width, height = image.size
    values = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(values)
    pixels = values.reshape(height, width, image.channels)[::-1, :, :3]
    return np.ascontiguousarray(pixels)


def floor_irradiance(pixels: np.ndarray) -> np.ndarray:
    """Returns the irradiance [3] of a level floor under the sky.

    Args:
      pixels: [H, W, 3], equirectangular radiance, the first row at the zenith.
    """
    height, width = pixels.shape[:2]
    weight = floor_weights(height)
    area = (math.pi / height) * (2 * math.pi / width)
    return np.einsum("h,hwc->c", weight * area, pixels)


def light(pixels: np.ndarray, rotation: float) -> np.ndarray:
    """Returns an HDRI rotated about the vertical axis and reduced for sampling light.

    Args:
      pixels: [H, W, 3], equirectangular radiance.
      rotation: radians.

    Returns:
      [h, w, 3], averages over areas, at most LIGHT_WIDTH wide and half as high.
    """
    height, width = pixels.shape[:2]
    columns = min(width, LIGHT_WIDTH)
    rows = min(height, LIGHT_WIDTH // 2)
    turn = rotation / (2 * math.pi) * width
    around = _averages(pixels.swapaxes(0, 1), np.linspace(0, width, columns + 1) - turn)
    return _averages(around.swapaxes(0, 1), np.linspace(0, height, rows + 1))


def _averages(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Averages values [n, ...], periodic with one per unit of length, between edges."""
    sums = np.cumsum(values, axis=0, dtype=float)
    sums = np.concatenate([np.zeros_like(sums[:1]), sums])
    turns, place = np.divmod(edges, len(values))
    below = place.astype(int)
    shape = (-1, *(1,) * (values.ndim - 1))
    part = (place - below).reshape(shape) * values[below % len(values)]
    integral = turns.reshape(shape) * sums[-1] + sums[below] + part
    return np.diff(integral, axis=0) / np.diff(edges).reshape(shape)


def set_world(light: np.ndarray, world: bpy.types.World) -> None:
    """Lights the scene.

    Args:
      light: [H, W, 3], see `light`.
      world: Blender's world.
    """
    height, width = light.shape[:2]
    image = bpy.data.images.new("light", width, height, float_buffer=True)
    values = np.ones((height, width, 4), np.float32)
    values[..., :3] = light[::-1]
    image.pixels.foreach_set(values.ravel())
    image.update()
    world.use_nodes = True
    tree = world.node_tree
    tree.nodes.clear()
    texture = tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = image
    shader = tree.nodes.new("ShaderNodeBackground")
    output = tree.nodes.new("ShaderNodeOutputWorld")
    tree.links.new(texture.outputs["Color"], shader.inputs["Color"])
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    # Cycles samples light from a map with one value per pixel. Without interpolation,
    # the light has the same values, and a small sun is sampled in proportion to its
    # brightness; interpolated, its rim would be undersampled and cause speckles. The
    # map that Cycles chooses is larger and takes longer to build than a view to render.
    texture.interpolation = "Closest"
    world.cycles.sampling_method = "MANUAL"
    world.cycles.sample_map_resolution = width


def add_floor(
    background: Background,
    image: bpy.types.Image,
    irradiance: np.ndarray,
    detail: FloorDetail | None = None,
) -> None:
    """Adds the dome's floor to the current Blender scene.

    Args:
      background: the dome's size.
      image: the HDRI.
      irradiance: [3], see `floor_irradiance`.
      detail: of the floor.
    """
    mesh = bpy.data.meshes.new("floor")
    mesh.from_pydata(*_disc(background.dome_radius))
    floor = bpy.data.objects.new("floor", mesh)
    bpy.context.scene.collection.objects.link(floor)
    material = bpy.data.materials.new("floor")
    material.use_nodes = True
    mesh.materials.append(material)
    tree = material.node_tree
    tree.nodes.remove(tree.nodes["Principled BSDF"])
    position = tree.nodes.new("ShaderNodeNewGeometry")
    offset = tree.nodes.new("ShaderNodeVectorMath")
    offset.operation = "SUBTRACT"
    offset.inputs[1].default_value = (0.0, 0.0, background.dome_height)
    tree.links.new(position.outputs["Position"], offset.inputs[0])
    mapping = tree.nodes.new("ShaderNodeMapping")
    mapping.inputs["Rotation"].default_value = (0.0, 0.0, background.rotation)
    texture = tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = image
    tree.links.new(offset.outputs[0], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs[0], texture.inputs["Vector"])
    albedo = tree.nodes.new("ShaderNodeVectorMath")
    albedo.operation = "MULTIPLY"
    albedo.inputs[1].default_value = tuple(math.pi / np.maximum(irradiance, 1e-6))
    diffuse = tree.nodes.new("ShaderNodeBsdfDiffuse")
    radiance = texture.outputs["Color"]
    if detail:
        radiance = _paint(detail, radiance, position.outputs["Position"], tree)
    tree.links.new(radiance, albedo.inputs[0])
    tree.links.new(albedo.outputs[0], diffuse.inputs["Color"])
    tree.links.new(diffuse.outputs[0], tree.nodes["Material Output"].inputs["Surface"])


def _paint(
    detail: FloorDetail,
    panorama: bpy.types.NodeSocket,
    position: bpy.types.NodeSocket,
    tree: bpy.types.NodeTree,
) -> bpy.types.NodeSocket:
    """Multiplies the panorama by the detail; returns the socket of the radiance."""
    side = len(detail.pixels)
    image = bpy.data.images.new("floor_detail", side, side, float_buffer=True)
    values = np.ones((side, side, 4), np.float32)
    values[..., :3] = detail.pixels
    image.pixels.foreach_set(values.ravel())
    image.update()
    place = tree.nodes.new("ShaderNodeVectorMath")
    place.operation = "MULTIPLY_ADD"
    place.inputs[1].default_value = (0.5 / detail.reach,) * 3
    place.inputs[2].default_value = (0.5,) * 3
    tree.links.new(position, place.inputs[0])
    picture = tree.nodes.new("ShaderNodeTexImage")
    picture.image, picture.extension = image, "EXTEND"
    tree.links.new(place.outputs[0], picture.inputs["Vector"])
    product = tree.nodes.new("ShaderNodeVectorMath")
    product.operation = "MULTIPLY"
    tree.links.new(panorama, product.inputs[0])
    tree.links.new(picture.outputs["Color"], product.inputs[1])
    return product.outputs[0]


def _disc(radius: float) -> tuple[list, list, list]:
    """Returns the vertices, edges and one face of a disc on the floor."""
    angles = (2 * math.pi * i / 256 for i in range(256))
    ring = [(radius * math.cos(a), radius * math.sin(a), 0.0) for a in angles]
    return ring, [], [tuple(range(len(ring)))]
