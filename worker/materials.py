"""Procedural materials for objects without materials."""

from __future__ import annotations

import bpy

from dyso.sampling.scene import Color, Material


def apply(
    material: Material, target: bpy.types.Object, size: float, rest: str | None = None
) -> None:
    """Replaces the object's materials with a sampled one.

    The pattern lies in object space, so that it needs no texture coordinates and moves
    with the object.

    Args:
      material: what was sampled.
      target: the Blender object.
      size: metres, the object's size.
      rest: the mesh's attribute that has the positions in object space, if the vertices
        move.
    """
    created = bpy.data.materials.new(material.texture)
    created.use_nodes = True
    target.data.materials.clear()
    target.data.materials.append(created)
    tree = created.node_tree
    shader = tree.nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = material.roughness
    shader.inputs["Metallic"].default_value = material.metallic
    if rest is None:
        position = tree.nodes.new("ShaderNodeTexCoord").outputs["Object"]
    else:
        attribute = tree.nodes.new("ShaderNodeAttribute")
        attribute.attribute_name = rest
        position = attribute.outputs["Vector"]
    mapping = tree.nodes.new("ShaderNodeMapping")
    mapping.inputs["Scale"].default_value = (material.scale / size,) * 3
    mapping.inputs["Location"].default_value = material.offset
    tree.links.new(position, mapping.inputs["Vector"])
    pattern = _pattern(material.texture, tree)
    tree.links.new(mapping.outputs[0], pattern.node.inputs["Vector"])
    mix = tree.nodes.new("ShaderNodeMix")
    mix.data_type = "RGBA"
    first, second = (s for s in mix.inputs if s.name in "AB" and s.type == "RGBA")
    first.default_value = _rgba(material.colors[0])
    second.default_value = _rgba(material.colors[1])
    tree.links.new(pattern, mix.inputs["Factor"])
    result = next(s for s in mix.outputs if s.type == "RGBA")
    tree.links.new(result, shader.inputs["Base Color"])
    if material.bump > 0:
        bump = tree.nodes.new("ShaderNodeBump")
        bump.inputs["Strength"].default_value = material.bump
        bump.inputs["Distance"].default_value = 0.02 * size
        tree.links.new(pattern, bump.inputs["Height"])
        tree.links.new(bump.outputs[0], shader.inputs["Normal"])


def _pattern(texture: str, tree: bpy.types.NodeTree) -> bpy.types.NodeSocket:
    """Returns the output socket, a factor from 0 to 1, of a new texture node."""
    match texture:
        case "noise":
            node = tree.nodes.new("ShaderNodeTexNoise")
            node.inputs["Detail"].default_value = 4.0
            return node.outputs[0]
        case "marble":
            node = tree.nodes.new("ShaderNodeTexWave")
            node.inputs["Distortion"].default_value = 12.0
            node.inputs["Detail"].default_value = 3.0
            return node.outputs["Fac"]
        case "cells":
            return tree.nodes.new("ShaderNodeTexVoronoi").outputs["Distance"]
        case "waves":
            return tree.nodes.new("ShaderNodeTexWave").outputs["Fac"]
        case "checker":
            return tree.nodes.new("ShaderNodeTexChecker").outputs["Fac"]
        case "bricks":
            return tree.nodes.new("ShaderNodeTexBrick").outputs["Fac"]
    raise ValueError(f"unknown texture {texture!r}")


def _rgba(color: Color) -> tuple[float, float, float, float]:
    return (*color, 1.0)
