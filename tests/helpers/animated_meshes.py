"""Writes animated .glb files with Blender, and what Blender shows at some times.

Run as `python animated_meshes.py FOLDER`. Each FOLDER/NAME.glb comes with a NAME.npz of
`seconds` [T] and, by the name of each clip, vertices [T, n, 3], metres in the world
with z up. The exported vertices have the number of Blender's vertex as their attribute
`_ID`.

`arm` is a column that two bones bend, in an armature that is itself moved, turned and
scaled, with two clips; `cubic` has the same with smooth curves between few keys; `face`
is a ball with two shape keys; `nodes` is a box that swells and turns about an empty,
and a still box; `all` has all of these in one clip.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np

FRAMES = 24
"""Frames of all animations, at 24 a second."""


def numbered(item, first: int) -> int:
    """Numbers a mesh's vertices from `first`, and returns the next number."""
    count = len(item.data.vertices)
    attribute = item.data.attributes.new("_ID", "FLOAT", "POINT")
    attribute.data.foreach_set("value", np.arange(first, first + count, dtype=float))
    return first + count


def column(height: float = 2.0, rings: int = 9, corners: int = 6):
    """Adds a mesh along z, and returns its object."""
    angles = np.arange(corners) * 2 * np.pi / corners
    ring = np.stack([0.2 * np.cos(angles), 0.25 * np.sin(angles)], axis=-1)
    heights = np.linspace(0, height, rings)
    points = [(*xy, z) for z in heights for xy in ring]
    faces = [
        (
            corners * r + c,
            corners * r + (c + 1) % corners,
            corners * (r + 1) + (c + 1) % corners,
            corners * (r + 1) + c,
        )
        for r in range(rings - 1)
        for c in range(corners)
    ]
    faces += [tuple(range(corners))[::-1]]
    faces += [tuple(range(corners * (rings - 1), corners * rings))]
    data = bpy.data.meshes.new("column")
    data.from_pydata(points, [], faces)
    item = bpy.data.objects.new("column", data)
    bpy.context.scene.collection.objects.link(item)
    return item


def arm() -> list:
    item = column()
    armature = bpy.data.armatures.new("bones")
    rig = bpy.data.objects.new("rig", armature)
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    low = armature.edit_bones.new("low")
    low.head, low.tail = (0, 0, 0), (0, 0, 1)
    high = armature.edit_bones.new("high")
    high.head, high.tail, high.parent = (0, 0, 1), (0, 0.1, 2), low
    bpy.ops.object.mode_set(mode="OBJECT")
    groups = [item.vertex_groups.new(name=name) for name in ("low", "high")]
    for vertex in item.data.vertices:
        share = float(np.clip(vertex.co.z - 0.5, 0, 1))
        groups[0].add([vertex.index], 1 - share, "REPLACE")
        groups[1].add([vertex.index], share, "REPLACE")
    item.modifiers.new("rig", "ARMATURE").object = rig
    item.parent = rig
    rig.location, rig.scale = (0.5, -0.3, 0.4), (1.5, 1.5, 1.5)
    rig.rotation_euler = (0.2, 0.1, 0.7)
    for name, sign in (("bow", 1), ("sway", -1)):
        rig.animation_data_create().action = bpy.data.actions.new(name)
        for frame, angle in ((0, 0.0), (8, 1.0 * sign), (FRAMES, -0.6)):
            for number, bone in enumerate(rig.pose.bones):
                bone.rotation_mode = "QUATERNION"
                half = angle * (1 + number) / 2
                axis = (1, 0, 0) if sign > 0 else (0, 0, 1)
                bone.rotation_quaternion = (
                    np.cos(half),
                    *(np.sin(half) * np.array(axis)),
                )
                bone.location = (0.1 * angle * number, 0, 0)
                bone.keyframe_insert("rotation_quaternion", frame=frame)
                bone.keyframe_insert("location", frame=frame)
    rig.animation_data.action = bpy.data.actions["bow"]
    return [item]


def face() -> list:
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=2, radius=0.5)
    item = bpy.context.object
    item.location = (-1.5, 0, 0.5)
    item.shape_key_add(name="Basis")
    keys = item.data.shape_keys
    for name, factor in (("wide", (1.6, 1.0, 0.8)), ("tall", (0.7, 0.7, 2.0))):
        block = item.shape_key_add(name=name)
        for vertex in item.data.vertices:
            block.data[vertex.index].co = np.array(vertex.co) * factor
    keys.animation_data_create().action = bpy.data.actions.new("talk")
    for frame, wide, tall in ((0, 0.0, 0.0), (10, 1.0, 0.3), (FRAMES, 0.2, 1.0)):
        for name, value in (("wide", wide), ("tall", tall)):
            keys.key_blocks[name].value = value
            keys.key_blocks[name].keyframe_insert("value", frame=frame)
    return [item]


def nodes() -> list:
    still = column(height=0.3, rings=2)
    still.location = (0, 2, 0)
    bpy.ops.object.empty_add()
    hub = bpy.context.object
    hub.location = (0, 1, 0.5)
    hub.animation_data_create().action = bpy.data.actions.new("spin")
    item = column(height=0.5, rings=2, corners=4)
    item.parent, item.location = hub, (0.8, 0, 0)
    item.animation_data_create().action = bpy.data.actions.new("swell")
    for frame, angle, size in ((0, 0.0, 1.0), (12, 2.0, 1.5), (FRAMES, 5.0, 0.6)):
        hub.rotation_euler = (0.3, 0, angle)
        hub.keyframe_insert("rotation_euler", frame=frame)
        item.scale = (size, 1, 1 / size)
        item.keyframe_insert("scale", frame=frame)
    return [still, item]


def shown(items: list, frame: float) -> np.ndarray:
    bpy.context.scene.frame_set(int(frame), subframe=frame % 1)
    graph = bpy.context.evaluated_depsgraph_get()
    points = []
    for item in items:
        evaluated = item.evaluated_get(graph)
        data = evaluated.to_mesh()
        local = np.empty(3 * len(data.vertices), np.float32)
        data.vertices.foreach_get("co", local)
        matrix = np.array(evaluated.matrix_world)
        points.append(local.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
        evaluated.to_mesh_clear()
    return np.concatenate(points)


def write(folder: Path, name: str, *parts: Callable[[], list], **options) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = 24, 0, FRAMES
    items = [item for part in parts for item in part()]
    first = 0
    for number, item in enumerate(items):
        first = numbered(item, first)
        material = bpy.data.materials.new(f"paint {number}")
        material.use_nodes = True
        paint = [(0.8, 0.1, 0.1, 1), (0.1, 0.3, 0.8, 1), (0.9, 0.7, 0.1, 1)][number % 3]
        shader = material.node_tree.nodes["Principled BSDF"]
        shader.inputs["Base Color"].default_value = paint
        item.data.materials.append(material)
    frames = np.array([0, 3, 8, 11.5, 17, FRAMES])
    clips = {"Scene": [shown(items, frame) for frame in frames]}
    if parts == (arm,):
        clips = {}
        for clip in ("sway", "bow"):
            bpy.data.objects["rig"].animation_data.action = bpy.data.actions[clip]
            clips[clip] = [shown(items, frame) for frame in frames]
    np.savez(folder / f"{name}.npz", seconds=frames / 24, **clips)
    scene.frame_set(0)
    bpy.ops.export_scene.gltf(
        filepath=str(folder / f"{name}.glb"),
        export_format="GLB",
        export_attributes=True,
        export_animation_mode="ACTIONS" if parts == (arm,) else "SCENE",
        export_anim_scene_split_object=False,
        export_optimize_animation_size=False,
        **options,
    )


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    write(target, "arm", arm)
    write(target, "cubic", arm, export_force_sampling=False)
    write(target, "face", face)
    write(target, "nodes", nodes)
    write(target, "all", arm, face, nodes)
    print("WRITTEN", flush=True)
    # Blender may hang when such a process ends in the ordinary way.
    os._exit(0)
