"""Checks of a record's meshes: against its images, its poses and its `Scene`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dyso.reading import surface_faces, world_vertices
from dyso.sampling.deformation import deformed
from dyso.sampling.scene import Scene

_SHAPE_ERROR = 5e-4
"""Of an object's size: rounding of the rest shape, stretched, and of the vertices."""
_FLOOR_ERROR = 1e-4
"""Of an object's size: rounding of the vertices and of the position."""


def mesh_faults(record: dict[str, Any], scene: Scene) -> Iterator[str]:
    """Yields what is wrong with the meshes of a record that has `surface`.

    Args:
      record: a decoded record whose arrays have the right shapes.
      scene: its scene.
    """
    faces, owner = record["mesh/faces"], record["mesh/instance"]
    count = len(scene.objects)
    if not len(owner) or sorted(set(owner.tolist())) != list(range(1, count + 1)):
        yield f"mesh/instance: is not of the {count} objects"
        return
    if not len(faces) or faces.min() < 0 or faces.max() >= len(owner):
        yield "mesh/faces: has vertices that do not exist"
        return
    of_face = np.concatenate([[0], owner[faces[:, 0]]])
    if (owner[faces] != of_face[1:, None]).any():
        yield "mesh/faces: a face has vertices of several objects"
        return
    surface = surface_faces(record)
    if surface.max() > len(faces):
        yield f"surface: shows face {surface.max()}, but there are {len(faces)}"
        return
    wrong = of_face[surface] != record["instance"][..., 0]
    if wrong.any():
        view = int(np.argmax(wrong.any((1, 2))))
        yield f"surface: disagrees with instance in view {view}"
    yield from _shapes(record, scene)


def _shapes(record: dict[str, Any], scene: Scene) -> Iterator[str]:
    """Compares the vertices with the rest shape, its deformation and the floor."""
    world = world_vertices(record)
    for i, item in enumerate(scene.objects):
        own = record["mesh/instance"] == i + 1
        rest = record["mesh/rest"][own].astype(np.float64)
        sides = record["objects/sizes"][i].astype(np.float64)
        if abs(abs(rest).max(0) - sides / 2).max() > _SHAPE_ERROR * item.size:
            yield f"mesh/rest: object {i} is not in its box"
        for step in range(scene.steps):
            expected = rest
            if item.deformation is not None:
                shape = item.deformation.shapes[step]
                expected = deformed(rest, sides / 2, item.deformation.axis, shape)
            gap = abs(record["mesh/vertices"][step, own] - expected).max()
            if not gap <= _SHAPE_ERROR * item.size:
                yield (
                    f"mesh/vertices: object {i} at dynamics step {step} does not have "
                    "the shape of its scene"
                )
            lowest = world[step, own, 2].min()
            free = scene.contact == "free" and scene.physics is None
            if item.deformation is None or free:
                continue
            if not lowest >= -_FLOOR_ERROR * item.size:
                yield (
                    f"mesh/vertices: object {i} at dynamics step {step} is "
                    f"{-lowest:.3g} m below the floor"
                )
