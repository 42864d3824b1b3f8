"""The HDRI as light and as what surrounds the objects.

The dome is a hemisphere with a flat floor at z = 0, on which the HDRI is projected
from a point above the centre. The world lights the scene with the same HDRI. Only
cameras see the hemisphere, which glows with the HDRI's own radiance. The floor is
diffuse, with the albedo that, lit by the whole sky, sends back the HDRI's own
radiance: so an unshadowed floor looks like the photograph, and shadows and bounced
light fall on it as on a real one.
"""

from __future__ import annotations

import math

import bpy
import numpy as np

from dyso.sampling.scene import Background

from .errors import AssetError

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of linear sRGB (Rec. 709)
# The radiance of a white card on the floor that looks well exposed through Filmic.
NORMAL_WHITE = 1.5


def load_hdri(asset_id: str, path: str) -> bpy.types.Image:
    """Opens an HDRI.

    Raises:
      AssetError: it cannot be read, or has values that are not finite or all zero.
    """
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
    return image


def radiance(image: bpy.types.Image) -> np.ndarray:
    """Gives the scene-linear radiance [H, W, 3], the first row at the zenith."""
    width, height = image.size
    values = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(height, width, image.channels)[::-1, :, :3]


def floor_irradiance(pixels: np.ndarray) -> np.ndarray:
    """Gives the irradiance [3] that the sky lays on a level floor.

    Args:
      pixels: [H, W, 3], equirectangular radiance, the first row at the zenith.
    """
    height, width = pixels.shape[:2]
    polar = (np.arange(height) + 0.5) / height * math.pi
    weight = np.clip(np.cos(polar), 0, None) * np.sin(polar)
    area = (math.pi / height) * (2 * math.pi / width)
    return np.einsum("h,hwc->c", weight * area, pixels.astype(np.float64))


def exposure(irradiance: np.ndarray, adaptation: float) -> float:
    """Gives the exposure in stops for a floor lit by `irradiance` [3].

    Args:
      irradiance: see `floor_irradiance`.
      adaptation: `dyso.spec.Render.auto_exposure`.
    """
    white = float(irradiance @ LUMINANCE) / math.pi
    return adaptation * math.log2(NORMAL_WHITE / max(white, 1e-6))


def add_dome(
    background: Background, image: bpy.types.Image, irradiance: np.ndarray
) -> None:
    """Adds the floor and the hemisphere to the current Blender scene.

    Args:
      background: the dome's size.
      image: the HDRI.
      irradiance: [3], see `floor_irradiance`.
    """
    radius = background.dome_radius

    floor = _new_object("dome_floor", *_disc(radius))
    tree, color = _projected(floor, background, image)
    albedo = tree.nodes.new("ShaderNodeVectorMath")
    albedo.operation = "MULTIPLY"
    albedo.inputs[1].default_value = tuple(math.pi / np.maximum(irradiance, 1e-6))
    diffuse = tree.nodes.new("ShaderNodeBsdfDiffuse")
    tree.links.new(color, albedo.inputs[0])
    tree.links.new(albedo.outputs[0], diffuse.inputs["Color"])
    tree.links.new(diffuse.outputs[0], tree.nodes["Material Output"].inputs["Surface"])

    sky = _new_object("dome_sky", *_hemisphere(radius))
    tree, color = _projected(sky, background, image)
    glow = tree.nodes.new("ShaderNodeEmission")
    tree.links.new(color, glow.inputs["Color"])
    tree.links.new(glow.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    sky.data.materials[0].cycles.emission_sampling = "NONE"
    for kind in ("diffuse", "glossy", "transmission", "volume_scatter", "shadow"):
        setattr(sky, f"visible_{kind}", False)


def _projected(
    target: bpy.types.Object, background: Background, image: bpy.types.Image
) -> tuple[bpy.types.NodeTree, bpy.types.NodeSocket]:
    """Gives a new material's tree and its socket with the HDRI's projected colour."""
    material = bpy.data.materials.new(target.name)
    material.use_nodes = True
    target.data.materials.append(material)
    tree = material.node_tree
    tree.nodes.remove(tree.nodes["Principled BSDF"])
    geometry = tree.nodes.new("ShaderNodeNewGeometry")
    offset = tree.nodes.new("ShaderNodeVectorMath")
    offset.operation = "SUBTRACT"
    offset.inputs[1].default_value = (0.0, 0.0, background.dome_height)
    mapping = tree.nodes.new("ShaderNodeMapping")
    mapping.inputs["Rotation"].default_value = (0.0, 0.0, background.rotation)
    environment = tree.nodes.new("ShaderNodeTexEnvironment")
    environment.image = image
    tree.links.new(geometry.outputs["Position"], offset.inputs[0])
    tree.links.new(offset.outputs[0], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs[0], environment.inputs["Vector"])
    return tree, environment.outputs["Color"]


def _new_object(name: str, vertices: list, faces: list) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices, [], faces)
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    return item


def _disc(radius: float) -> tuple[list, list]:
    ring = [(radius * x, radius * y, 0.0) for x, y in _circle(256)]
    return ring, [tuple(range(len(ring)))]


def _hemisphere(
    radius: float, segments: int = 256, rings: int = 64
) -> tuple[list, list]:
    """Gives a hemisphere of quads, closed by a fan at the zenith."""
    vertices = [
        (radius * x * math.cos(e), radius * y * math.cos(e), radius * math.sin(e))
        for e in (math.pi / 2 * i / rings for i in range(rings))
        for x, y in _circle(segments)
    ] + [(0.0, 0.0, radius)]
    faces: list[tuple[int, ...]] = [
        (
            r * segments + s,
            r * segments + t,
            (r + 1) * segments + t,
            (r + 1) * segments + s,
        )
        for r in range(rings - 1)
        for s, t in ((s, (s + 1) % segments) for s in range(segments))
    ]
    last = (rings - 1) * segments
    top = len(vertices) - 1
    faces += [(last + s, last + (s + 1) % segments, top) for s in range(segments)]
    return vertices, faces


def _circle(segments: int) -> list[tuple[float, float]]:
    angles = (2 * math.pi * i / segments for i in range(segments))
    return [(math.cos(a), math.sin(a)) for a in angles]
