"""Objects that change their shapes: their meshes at every dynamics step.

The rest mesh is refined where its edges are long, or they could not bend. At each step,
Blender's mesh gets the deformed vertices, so that Cycles renders what rays are cast at.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import bmesh
import bpy
import numpy as np

from dyso.assets.procedural.model import Made
from dyso.geometry import Rig, quaternion_to_matrix, skinned
from dyso.render.views import MAX_BONE_NAME
from dyso.sampling.articulation import part_poses
from dyso.sampling.deformation import deformed
from dyso.sampling.gaits import pose_at
from dyso.sampling.scene import Deformation, SceneObject

from .errors import AssetError
from .gltf_animation import AnimatedMesh
from .mesh_limits import MAX_TRIANGLES
from .meshes import ObjectMesh, corner_normals

FARTHEST = 1000
"""The most sizes of an object by which a clip moves it from its rest shape."""
REST = "rest"
"""The attribute of Blender's mesh with the positions in the rest shape."""
FINEST = 1 / 16  # of the longest side; longer edges are cut in two
KEPT = 1 << 20  # triangles of an object's meshes at several steps that are kept
MOST_NUMBERS = 1 << 27
"""Vertices times steps of a scene's meshes, or the record would be too large."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Posing:
    """How the vertices of a mesh follow the bones of a creature, or rigid parts.

    Attributes:
      bones: [T, B, 3, 4], from the rest shape to each step, metres.
      weights: [n, B], of each vertex of the mesh for each bone.
      height: metres above the floor, where the object does not touch it.
      parts: [n], the part of each vertex; all 0 if the bones are not parts.
      rig: the skeleton of a creature, in metres.
    """

    bones: np.ndarray
    weights: np.ndarray
    height: float
    parts: np.ndarray
    rig: Rig | None = None

    @classmethod
    def of(cls, item: SceneObject, made: Made | None, mesh: ObjectMesh) -> Posing:
        """Returns it for an object of a scene.

        Args:
          item: has a gait, or joints.
          made: the object as its grammar made it.
          mesh: the object as its importer read it, in its size.

        Raises:
          AssetError: the object has no skeleton or other joints, or other vertices
            than its mesh.
        """
        if made is None or (made.skin is None and made.bodies is None):
            raise AssetError(item.asset_id, "has no skeleton or joints to move")
        expected = made.vertices * item.size
        if expected.shape != mesh.vertices.shape or not np.allclose(
            expected, mesh.vertices, atol=1e-5 * item.size
        ):
            raise AssetError(item.asset_id, "the mesh is not that of its skeleton")
        if item.gait is not None and made.skin is not None:
            rig, gait = made.skin.rig.scaled(item.size), item.gait
            return cls(
                bones=np.stack([pose_at(rig, gait, i) for i in range(len(gait.steps))]),
                weights=made.skin.weights,
                height=gait.height,
                parts=np.zeros(len(expected), int),
                rig=rig,
            )
        assert made.bodies is not None
        return cls.of_parts(item, made.bodies)

    @classmethod
    def of_parts(cls, item: SceneObject, parts: np.ndarray) -> Posing:
        """Returns it for an object with joints.

        Args:
          item: has joints.
          parts: [n], the part of each vertex of its mesh.

        Raises:
          AssetError: it has parts that no joint moves.
        """
        assert item.articulation is not None
        bones = part_poses(item.articulation)
        if parts.max() >= bones.shape[1]:
            raise AssetError(item.asset_id, "has parts that no joint moves")
        return cls(
            bones=bones, weights=np.eye(bones.shape[1])[parts], height=0.0, parts=parts
        )

    def moved(self, rest: np.ndarray, step: int) -> np.ndarray:
        """Returns where vertices [n, 3] of the rest shape are at a step."""
        return np.asarray(skinned(rest, self.weights, self.bones[step]))

    def identity(self, rest: np.ndarray) -> np.ndarray:
        """Returns numbers [n, k], the same for vertices which are always together."""
        return np.concatenate([rest, self.weights], axis=1)


@dataclass(frozen=True, kw_only=True)
class Playing:
    """How the vertices of a mesh follow a clip of its file.

    Attributes:
      shapes: [T, n, 3] float32, metres in the object's frame.
    """

    shapes: np.ndarray
    height: ClassVar[float] = 0.0

    @classmethod
    def of(
        cls,
        item: SceneObject,
        animated: AnimatedMesh,
        numbers: np.ndarray,
        mesh: ObjectMesh,
    ) -> Playing:
        """Returns it for an object of a scene.

        Args:
          item: has an animation.
          animated: the object's file.
          numbers: [n], the number in it of each vertex of the mesh.
          mesh: the object in its rest shape and its size.

        Raises:
          AssetError: it has no such clip; or some vertex goes too far.
        """
        assert item.animation is not None
        rest = animated.vertices()[numbers][np.unique(mesh.triangles)]
        lower, upper = rest.min(0), rest.max(0)
        scale, centre = item.size / (upper - lower).max(), (lower + upper) / 2
        if len(numbers) * len(item.poses) > MOST_NUMBERS:
            raise AssetError(item.asset_id, "has too many vertices to move")
        shapes = np.empty((len(item.poses), len(numbers), 3), np.float32)
        for step, seconds in enumerate(item.animation.times):
            points = animated.vertices(item.animation.clip, seconds)[numbers]
            shape = (points - centre) * scale
            if not abs(shape).max() < FARTHEST * item.size:
                far = f"goes beyond {FARTHEST} times its size"
                raise AssetError(item.asset_id, f"its clip {far} at {seconds:g} s")
            shapes[step] = shape
        return cls(shapes=shapes)

    def moved(self, rest: np.ndarray, step: int) -> np.ndarray:
        """Returns the vertices [n, 3] at a step."""
        return self.shapes[step].astype(float)

    def identity(self, rest: np.ndarray) -> np.ndarray:
        """Returns the number [n, 1] of the first vertex that each is always with."""
        _, first, same = np.unique(rest, axis=0, return_index=True, return_inverse=True)
        with_it = first[same.ravel()]
        apart = (self.shapes != self.shapes[:, with_it]).any((0, 2))
        return np.where(apart, np.arange(len(rest)), with_it)[:, None]

    @property
    def parts(self) -> np.ndarray:
        """All vertices [n] are of part 0."""
        return np.zeros(self.shapes.shape[1], int)


class Body:
    """An object of a scene, rigid or not.

    Attributes:
      rest: the mesh in its rest shape.
    """

    def __init__(
        self,
        blender_object: bpy.types.Object,
        rest: ObjectMesh,
        deformation: Deformation | None,
        posing: Posing | Playing | None = None,
    ):
        """Takes the normalized Blender object and its mesh.

        Args:
          blender_object: its mesh is in the rest shape.
          rest: the same mesh.
          deformation: None for an object that does not deform.
          posing: None for an object without a gait, joints and animation.
        """
        self.rest, self._deformation, self._posing = rest, deformation, posing
        self._data = blender_object.data
        self._kept: OrderedDict[int, ObjectMesh] = OrderedDict()
        self._shown: int | None = None
        if self.deforms:
            attribute = self._data.attributes.new(REST, "FLOAT_VECTOR", "POINT")
            attribute.data.foreach_set("vector", _flat(rest.vertices))

    @property
    def deforms(self) -> bool:
        """Whether the object changes its shape."""
        return self._deformation is not None or self._posing is not None

    @property
    def height(self) -> float:
        """How far the object is above the floor where it does not touch it, metres."""
        return 0.0 if self._posing is None else self._posing.height

    @property
    def identity(self) -> np.ndarray:
        """Numbers [n, k] that are the same for vertices which are always together."""
        if self._posing is None:
            return self.rest.vertices
        return self._posing.identity(self.rest.vertices)

    @property
    def skeleton(self) -> tuple[Rig, np.ndarray] | None:
        """A creature's rig and the poses [T, B, 3, 4] of its bones; None without."""
        if not isinstance(self._posing, Posing) or self._posing.rig is None:
            return None
        return self._posing.rig, self._posing.bones

    @property
    def keeps_heights(self) -> bool:
        """Whether the object's own motion lifts it off the floor."""
        return isinstance(self._posing, Playing)

    @property
    def parts(self) -> np.ndarray:
        """The part [n] of each vertex."""
        if self._posing is None:
            return np.zeros(len(self.rest.vertices), int)
        return self._posing.parts

    def vertices(self, step: int) -> np.ndarray:
        """Returns the vertices [n, 3] in the object's frame, metres."""
        moved = self.rest.vertices
        if self._posing is not None:
            moved = self._posing.moved(moved, step)
        if self._deformation is not None:
            shape = self._deformation.shapes[step]
            half, axis = self.rest.sizes / 2, self._deformation.axis
            moved = deformed(moved, half, axis, shape)
        # As Blender keeps them.
        return moved.astype(np.float32).astype(float)

    def show(self, step: int) -> ObjectMesh:
        """Returns the mesh at a step, and has Blender render it."""
        if not self.deforms:
            return self.rest
        mesh = self._kept.get(step)
        vertices = self.vertices(step) if mesh is None else mesh.vertices
        if self._shown != step:
            self._data.vertices.foreach_set("co", _flat(vertices))
            self._data.update()
            self._shown = step
        if mesh is None:
            mesh = replace(
                self.rest,
                vertices=vertices,
                normals=corner_normals(self._data),
                rest=self.rest.vertices,
            )
            if (len(self._kept) + 1) * len(mesh.triangles) > KEPT and self._kept:
                self._kept.popitem(last=False)
            self._kept[step] = mesh
        return mesh

    def lowest(self, quaternions: np.ndarray) -> np.ndarray:
        """Returns the lowest z [T] at the origin, at every step, rotated by [T, 4]."""
        down = quaternion_to_matrix(quaternions)[:, 2]
        if not self.deforms:
            return (down @ self.rest.points.T).min(-1)
        used = np.unique(self.rest.triangles)
        return np.array(
            [(self.vertices(step)[used] @ z).min() for step, z in enumerate(down)]
        )

    def reach(self, steps: int) -> np.ndarray:
        """Returns the sides [3] of a box around the origin that holds every step."""
        if not self.deforms:
            return self.rest.sizes
        used = np.unique(self.rest.triangles)
        return 2 * np.max(
            [abs(self.vertices(step)[used]).max(0) for step in range(steps)], axis=0
        )


def refine(blender_object: bpy.types.Object, asset_id: str) -> None:
    """Cuts edges until none is longer than `FINEST` of the mesh's longest side.

    Raises:
      AssetError: the mesh has too many triangles.
    """
    mesh = bmesh.new()
    try:
        mesh.from_mesh(blender_object.data)
        places = np.array([vertex.co for vertex in mesh.verts])
        if not len(places) or not np.isfinite(places).all():
            return  # `normalize` reports it
        longest = FINEST * np.ptp(places, axis=0).max()
        while edges := [e for e in mesh.edges if e.calc_length() > longest]:
            # A cut of an edge adds at most two triangles to each of its faces.
            if len(mesh.faces) + 4 * len(edges) > MAX_TRIANGLES:
                raise AssetError(asset_id, "the mesh has too many triangles to deform")
            bmesh.ops.subdivide_edges(mesh, edges=edges, cuts=1, use_grid_fill=True)
        mesh.to_mesh(blender_object.data)
    finally:
        mesh.free()


def scene_mesh(bodies: list[Body], steps: int) -> dict[str, np.ndarray]:
    """Returns the meshes of all objects as one, as `Views` has them.

    Vertices at the same place of the rest shape of an object become one, if they
    follow the same bones.

    Raises:
      AssetError: there are more than `MOST_NUMBERS` vertices in all steps.
    """
    faces, instance, rest, vertices, parts = [], [], [], [], []
    count = 0
    for number, body in enumerate(bodies, start=1):
        triangles = body.rest.triangles
        used, corners = np.unique(triangles, return_inverse=True)
        _, first, same = np.unique(
            body.identity[used], axis=0, return_index=True, return_inverse=True
        )
        # In the mesh's own order, whose neighbours are near, which compresses better.
        order = np.argsort(first)
        place = np.empty(len(order), int)
        place[order] = np.arange(len(order))
        kept = used[first[order]]
        faces.append(place[same.ravel()][corners.reshape(-1, 3)] + count)
        instance.append(np.full(len(kept), number))
        parts.append(body.parts[triangles[:, 0]])
        rest.append(body.rest.vertices[kept])
        if (count + len(kept)) * steps > MOST_NUMBERS:
            raise AssetError("", "the scene's meshes have too many vertices to keep")
        vertices.append([body.vertices(step)[kept] for step in range(steps)])
        count += len(kept)
    return {
        "mesh_faces": np.concatenate(faces).astype(np.int32),
        "mesh_instance": np.concatenate(instance).astype(np.uint8),
        "mesh_rest": np.concatenate(rest).astype(np.float32),
        "mesh_vertices": np.concatenate(vertices, axis=1).astype(np.float32),
        "mesh_part": np.concatenate(parts).astype(np.uint8),
    }


def scene_bones(bodies: list[Body], steps: int) -> dict[str, np.ndarray]:
    """Returns the bones of all creatures, as `Views` has them."""
    known = [
        (number, *body.skeleton)
        for number, body in enumerate(bodies, start=1)
        if body.skeleton is not None
    ]
    names = [name for _, rig, _ in known for name in rig.names]
    return {
        "bone_instance": np.repeat(
            np.array([number for number, *_ in known], np.uint8),
            np.array([len(rig.names) for _, rig, _ in known], int),
        ),
        "bone_name": np.array(names, f"<U{MAX_BONE_NAME}"),
        "bone_parent": np.array(
            [parent for _, rig, _ in known for parent in rig.parents], np.int32
        ),
        "bone_joint": np.concatenate(
            [np.zeros((0, 3)), *(rig.joints for _, rig, _ in known)]
        ).astype(np.float32),
        "bone_poses": np.concatenate(
            [
                np.zeros((0, steps, 3, 4)),
                *(poses.swapaxes(0, 1) for *_, poses in known),
            ]
        ).astype(np.float32),
    }


def _flat(vertices: np.ndarray) -> Any:
    return vertices.astype(np.float32).ravel()
