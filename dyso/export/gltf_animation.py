"""One .glb of a scene whose objects change their shapes, which plays in viewers.

The meshes are the record's: morph targets hold the shapes of the dynamics steps, and
the animation `scene` plays them with the poses of objects and cameras. Vertices have
the colours that the images show of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from dyso import geometry
from dyso.export.cameras import opengl_pose
from dyso.glb import Glb
from dyso.reading import views_of, world_vertices
from dyso.spec import Spec
from dyso.srgb import to_linear

FIELDS = (
    *("color", "depth", "instance", "intrinsics", "extrinsics"),
    *("objects/positions", "objects/quaternions"),
    *("surface", "mesh/faces", "mesh/instance", "mesh/vertices"),
)
"""The fields of a record that `animated_glb` needs."""
NEAR = 0.01
"""Metres, the cameras' near plane."""
STEP_RATE = 8.0
"""Dynamics steps per second, where the spec has no rate."""
_MATERIAL = {
    "name": "colors",
    "doubleSided": True,
    "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.8},
}


def animated_glb(record: Mapping[str, Any], spec: Spec) -> bytes:
    """Returns a scene as a binary glTF.

    Args:
      record: with `FIELDS`, of all views.
      spec: the dataset's.
    """
    glb = Glb()
    glb.tree["materials"].append(_MATERIAL)
    steps, cameras = spec.layout.shape
    rate = spec.dynamics.animate.frame_rate or STEP_RATE
    if spec.dynamics.motion == "physics":
        rate = spec.dynamics.frame_rate
    times = glb.numbers(np.arange(steps) / rate, bounds=True)
    colors = vertex_colors(record)
    for number, (positions, quaternions) in enumerate(
        zip(record["objects/positions"], record["objects/quaternions"], strict=True)
    ):
        node = _add_object(glb, record, number, colors, times)
        _place(glb, node, positions, quaternions, times)
    for camera in range(cameras):
        views = range(camera, steps * cameras, cameras)
        node = _add_camera(glb, record, views, camera, spec.resolution)
        poses = np.stack([opengl_pose(record["extrinsics"][view]) for view in views])
        turned = geometry.quaternion_from_matrix(poses[:, :3, :3])
        _place(glb, node, poses[:, :3, 3], turned, times)
    return glb.written()


def vertex_colors(record: Mapping[str, Any]) -> Float[np.ndarray, "K 3"]:
    """Returns the mean linear colours that the views show of vertices.

    A vertex that no view shows has the mean of its object's others.
    """
    seen, owner = views_of(record), record["mesh/instance"]
    world = world_vertices(record)
    steps, views = len(world), len(seen.depth)
    size = seen.depth.shape[:0:-1]
    total, count = np.zeros((len(owner), 3)), np.zeros(len(owner))
    for view in range(views):
        points = world[view * steps // views]
        pixels, expected, z = geometry.project(
            points, seen.intrinsics[view], seen.extrinsics[view]
        )
        inside = np.flatnonzero((z > 0) & ((pixels >= 0) & (pixels < size)).all(-1))
        shown, _, _ = geometry.visibility_of(
            seen.depth,
            seen.instance,
            np.full(len(inside), view),
            pixels[inside],
            expected[inside],
            owner[inside].astype(int),
        )
        own = inside[shown]
        column, row = np.floor(pixels[own]).astype(int).T
        total[own] += to_linear(record["color"][view, row, column] / 255)
        count[own] += 1
    colors = np.full((len(owner), 3), 0.5)
    for number in np.unique(owner):
        mine = owner == number
        known = mine & (count > 0)
        if known.any():
            colors[mine] = (total[known] / count[known, None]).mean(0)
            colors[known] = total[known] / count[known, None]
    return colors


def _add_object(
    glb: Glb,
    record: Mapping[str, Any],
    number: int,
    colors: Float[np.ndarray, "K 3"],
    times: int,
) -> int:
    """Adds an object's mesh with its shapes, and returns its node."""
    owner, faces = record["mesh/instance"], record["mesh/faces"]
    own = np.flatnonzero(owner == number + 1)
    place = np.zeros(len(owner), int)
    place[own] = np.arange(len(own))
    first, *others = record["mesh/vertices"][:, own].astype(np.float64)
    # Of the same shape in all steps, an object needs no targets.
    moving = any((shape != first).any() for shape in others)
    primitive: dict[str, Any] = {
        "attributes": {
            "POSITION": glb.numbers(first, bounds=True),
            "COLOR_0": glb.numbers(colors[own]),
        },
        "indices": glb.numbers(place[faces[owner[faces[:, 0]] == number + 1]].ravel()),
        "material": 0,
    }
    if moving:
        primitive["targets"] = [
            {"POSITION": glb.numbers(shape - first, bounds=True)} for shape in others
        ]
    glb.tree["meshes"].append({"primitives": [primitive]})
    node = glb.node(name=f"object_{number:03}", mesh=len(glb.tree["meshes"]) - 1)
    if moving:
        weights = np.eye(len(others) + 1)[:, 1:]
        glb.moves(node, "weights", times, weights.ravel())
    return node


def _add_camera(
    glb: Glb,
    record: Mapping[str, Any],
    views: Sequence[int],
    number: int,
    resolution: tuple[int, int],
) -> int:
    height, width = resolution
    focal_length = float(record["intrinsics"][views[0], 1, 1])
    lens = {
        "yfov": 2 * float(np.arctan(height / 2 / focal_length)),
        "aspectRatio": width / height,
        "znear": NEAR,
    }
    glb.tree["cameras"].append({"type": "perspective", "perspective": lens})
    return glb.node(name=f"camera_{number:03}", camera=len(glb.tree["cameras"]) - 1)


def _place(
    glb: Glb,
    node: int,
    positions: Float[np.ndarray, "T 3"],
    quaternions: Float[np.ndarray, "T 4"],
    times: int,
) -> None:
    """Gives a node its poses: quaternions (w, x, y, z)."""
    turned = quaternions[:, [1, 2, 3, 0]].astype(np.float64)
    turned /= np.linalg.norm(turned, axis=-1, keepdims=True)
    glb.tree["nodes"][node] |= {
        "translation": positions[0].tolist(),
        "rotation": turned[0].tolist(),
    }
    if len(positions) > 1:
        glb.moves(node, "translation", times, positions)
        glb.moves(node, "rotation", times, turned)
