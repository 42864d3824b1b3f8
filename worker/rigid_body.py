"""Converts meshes to Kubric's rigid bodies: bounds, convex hull, mass and inertia.

The hull is a file of a converted asset, in the mesh's units and perhaps simplified. It
is there for everyone who simulates the catalog with Kubric. DySO's own simulation does
not read it, since not every catalog has one: `physics` computes one as it simulates.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import trimesh
from scipy.spatial import QhullError

from .errors import AssetError
from .mesh_limits import MAX_SIDE, MAX_TRIANGLES, MIN_SIDE

_THICKNESS = 1e-3
"""Thickness given to a flat mesh, as a share of its longest side."""
_DIRECTIONS = 250
"""Number of directions that approximate the convex hull of a large mesh."""

_URDF = """<robot name="object"><link name="base">
<contact><lateral_friction value="0.5"/></contact>
<inertial><origin xyz="{0} {1} {2}"/><mass value="{mass}"/>
<inertia ixx="{3}" ixy="{4}" ixz="{5}" iyy="{6}" iyz="{7}" izz="{8}"/></inertial>
<visual><geometry><mesh filename="{visual}"/></geometry></visual>
<collision><geometry><mesh filename="collision_geometry.obj"/></geometry></collision>
</link></robot>
"""


@dataclass(frozen=True, kw_only=True)
class Solid:
    """A mesh as a rigid body, in the units and axes of its file.

    Attributes:
      bounds: [2, 3], lower and upper corner.
      faces: number of triangles.
      vertices: number of vertices that belong to a face.
      volume: the mesh's if it is closed, else its convex hull's; above zero.
      hull: the convex hull, thickened if it is flat.
    """

    bounds: np.ndarray
    faces: int
    vertices: int
    volume: float
    hull: trimesh.Trimesh

    @property
    def kwargs(self) -> dict[str, Any]:
        """The manifest's arguments for Kubric; the mass assumes a density of 1."""
        return {
            "bounds": self.bounds.tolist(),
            "mass": self.volume,
            "simulation_filename": "{asset_dir}/object.urdf",
        }

    def files(self, visual: str) -> dict[str, bytes]:
        """Returns the files that PyBullet reads.

        Args:
          visual: the name of the visual mesh.
        """
        hull = self.hull
        inertia = hull.moment_inertia * (self.volume / hull.volume)
        numbers = [*hull.center_mass, *inertia[np.triu_indices(3)]]
        texts = [f"{number:.9g}" for number in numbers]
        urdf = _URDF.format(*texts, mass=f"{self.volume:.9g}", visual=visual)
        lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in hull.vertices]
        lines += [f"f {a} {b} {c}" for a, b, c in hull.faces + 1]
        collision = "\n".join(lines) + "\n"
        return {
            "collision_geometry.obj": collision.encode(),
            "object.urdf": urdf.encode(),
        }


def solid(asset_id: str, vertices: np.ndarray, faces: np.ndarray) -> Solid:
    """Returns the rigid body of a mesh.

    Args:
      asset_id: the asset's id, for error messages.
      vertices: [n, 3].
      faces: [m, 3], vertex indices.

    Raises:
      AssetError: it has no faces or too many, coordinates that are not finite, or no
        size.
    """
    low, high = extent(asset_id, vertices, faces)
    side = (high - low).max()
    if not MIN_SIDE < side < MAX_SIDE or np.abs((low, high)).max() > MAX_SIDE:
        raise AssetError(asset_id, f"has no size between {MIN_SIDE:g} and {MAX_SIDE:g}")
    used, indices = np.unique(faces, return_inverse=True)
    # In units of its size, since the operations below have tolerances.
    points = (vertices[used] - low) / side
    mesh = trimesh.Trimesh(points, indices.reshape(-1, 3), process=True)
    hull = _hull(points)
    # The volume of an open or inverted mesh is meaningless.
    volume = mesh.volume if mesh.is_volume else hull.volume
    hull.apply_scale(side)
    hull.apply_translation(low)
    return Solid(
        bounds=np.array([low, high]),
        faces=len(faces),
        vertices=len(used),
        volume=float(volume * side**3),
        hull=hull,
    )


def extent(
    asset_id: str, vertices: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the corners [3] of the box around a mesh's faces; see `solid`."""
    if not len(faces):
        raise AssetError(asset_id, "has no faces")
    if len(faces) > MAX_TRIANGLES:
        raise AssetError(asset_id, f"has more than {MAX_TRIANGLES} triangles")
    used = vertices[np.unique(faces)]
    if not np.isfinite(used).all():
        raise AssetError(asset_id, "has coordinates that are not finite")
    low, high = used.min(0), used.max(0)
    if not (high - low).max() > 0:
        raise AssetError(asset_id, "has no size")
    return low, high


def _outer(points: np.ndarray) -> np.ndarray:
    """Returns the points that are farthest in one of `_DIRECTIONS` directions."""
    if len(points) <= _DIRECTIONS:
        return points
    # Evenly over the sphere, by the golden angle.
    z = np.linspace(-1, 1, _DIRECTIONS)
    turns = np.arange(_DIRECTIONS) * np.pi * (3 - 5**0.5)
    ring = np.sqrt(1 - z**2)
    directions = np.stack([ring * np.cos(turns), ring * np.sin(turns), z], 1)
    directions = np.concatenate([directions, np.eye(3), -np.eye(3)])
    parts = np.array_split(directions, 16)
    farthest = [(part @ points.T).argmax(1) for part in parts]
    return points[np.unique(np.concatenate(farthest))]


def _hull(points: np.ndarray) -> trimesh.Trimesh:
    """Returns the hull of points whose longest side is 1, thickened if it is flat."""
    points = _outer(points)
    try:
        hull = trimesh.convex.convex_hull(points)
        if hull.volume > _THICKNESS**2:
            return hull
    except QhullError:
        pass
    corners = itertools.product((-_THICKNESS / 2, _THICKNESS / 2), repeat=3)
    thick = points[:, None] + np.array(list(corners))
    return trimesh.convex.convex_hull(thick.reshape(-1, 3))
