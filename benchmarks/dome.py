"""The dome as Blender's own geometry and materials, for `stock.py`.

A hemisphere with a flat floor at z = 0, on which the HDRI is projected. Only cameras
see the hemisphere, which glows with the HDRI's radiance; the floor is diffuse, with
the albedo that sends the HDRI's radiance back where the whole sky lights it. The worker
has shortcuts for most of this; here is what they stand for.
"""

from __future__ import annotations

import math

import bpy
import numpy as np

from dyso.sampling import Background

SEGMENTS = 256  # around the vertical
RINGS = 64


def add(background: Background, image: bpy.types.Image, irradiance: np.ndarray) -> None:
    """Adds the floor and the hemisphere to the current Blender scene.

    Args:
      background: the dome's size.
      image: the HDRI.
      irradiance: [3], what the whole sky lays on the floor.
    """
    tree, color = _projected("dome_floor", _disc(background), background, image)
    albedo = tree.nodes.new("ShaderNodeVectorMath")
    albedo.operation = "MULTIPLY"
    albedo.inputs[1].default_value = tuple(math.pi / np.maximum(irradiance, 1e-6))
    diffuse = tree.nodes.new("ShaderNodeBsdfDiffuse")
    tree.links.new(color, albedo.inputs[0])
    tree.links.new(albedo.outputs[0], diffuse.inputs["Color"])
    tree.links.new(diffuse.outputs[0], tree.nodes["Material Output"].inputs["Surface"])

    tree, color = _projected("dome_sky", _hemisphere(background), background, image)
    glow = tree.nodes.new("ShaderNodeEmission")
    tree.links.new(color, glow.inputs["Color"])
    tree.links.new(glow.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    sky = bpy.data.objects["dome_sky"]
    sky.data.materials[0].cycles.emission_sampling = "NONE"
    for kind in ("diffuse", "glossy", "transmission", "volume_scatter", "shadow"):
        setattr(sky, f"visible_{kind}", False)


def _projected(
    name: str, shape: tuple[list, list], background: Background, image: bpy.types.Image
) -> tuple[bpy.types.NodeTree, bpy.types.NodeSocket]:
    """Adds a mesh; returns its material's tree and the socket of the HDRI's colour."""
    vertices, faces = shape
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices, [], faces)
    bpy.context.scene.collection.objects.link(bpy.data.objects.new(name, mesh))
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    mesh.materials.append(material)
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


def _ring(radius: float, height: float) -> list[tuple[float, float, float]]:
    angles = (2 * math.pi * i / SEGMENTS for i in range(SEGMENTS))
    return [(radius * math.cos(a), radius * math.sin(a), height) for a in angles]


def _disc(background: Background) -> tuple[list, list]:
    return _ring(background.dome_radius, 0.0), [tuple(range(SEGMENTS))]


def _hemisphere(background: Background) -> tuple[list, list]:
    """Returns a hemisphere of quads, closed by a fan at the zenith."""
    radius = background.dome_radius
    vertices = [(0.0, 0.0, radius)]
    for ring in range(RINGS):
        angle = math.pi / 2 * ring / RINGS
        vertices += _ring(radius * math.cos(angle), radius * math.sin(angle))
    following = [*range(1, SEGMENTS), 0]
    faces: list[tuple[int, ...]] = []
    for first in range(1, len(vertices) - SEGMENTS, SEGMENTS):
        for s, t in enumerate(following):
            above = first + SEGMENTS
            faces.append((first + s, first + t, above + t, above + s))
    last = len(vertices) - SEGMENTS
    faces += [(last + s, last + t, 0) for s, t in enumerate(following)]
    return vertices, faces
