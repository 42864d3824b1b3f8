"""Builds an object from parts with materials, and writes it as OBJ, MTL and PNG."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dyso.assets.procedural.draw import Draw
from dyso.assets.procedural.materials import FAMILIES, described
from dyso.assets.procedural.rigging import Bones, Chain, Skin
from dyso.assets.procedural.shapes import Part

CREASE = 40.0
"""Degrees between faces, above which an edge is sharp."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """A mesh with its materials.

    Attributes:
      vertices: [n, 3], which fill the declared box.
      faces: [m, 3], vertex indices.
      normals: [m, 3, 3], at the faces' corners.
      uv: [m, 3, 2].
      materials: [m], indices.
      families: each material's family.
      draws: each material's stream of random numbers.
      skin: the skeleton, if it has one.
      bodies: [n], of an object with joints: the part of each vertex.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    materials: np.ndarray
    families: tuple[str, ...]
    draws: tuple[Draw, ...]
    skin: Skin | None = None
    bodies: np.ndarray | None = None

    def files(self) -> dict[str, bytes]:
        """Returns the files that an importer reads."""
        text, textures = [], {}
        for index, (family, draw) in enumerate(
            zip(self.families, self.draws, strict=True)
        ):
            lines, pictures = described(f"m{index}", FAMILIES[family](draw))
            text += lines
            for name, picture in pictures.items():
                file = io.BytesIO()
                Image.fromarray(picture).save(file, "PNG", compress_level=1)
                textures[name] = file.getvalue()
        mtl = "\n".join(text) + "\n"
        return {
            "visual_geometry.obj": self._obj().encode(),
            "visual_geometry.mtl": mtl.encode(),
            **textures,
        }

    def _obj(self) -> str:
        lines = ["mtllib visual_geometry.mtl\n"]
        for key, values, form in (
            ("v", self.vertices, "%.6f %.6f %.6f"),
            ("vt", self.uv.reshape(-1, 2), "%.5f %.5f"),
            ("vn", self.normals.reshape(-1, 3), "%.4f %.4f %.4f"),
        ):
            lines.append(
                f"{key} {form}\n" * len(values) % tuple(values.ravel().tolist())
            )
        corner = np.arange(1, 3 * len(self.faces) + 1).reshape(-1, 3)
        for index in range(len(self.families)):
            used = self.materials == index
            a = np.repeat(corner[used], 2, 1)
            table = np.empty((len(a), 9), int)
            table[:, 0::3] = self.faces[used] + 1
            table[:, 1::3], table[:, 2::3] = corner[used], corner[used]
            lines.append(f"usemtl m{index}\n")
            line = "f %d/%d/%d %d/%d/%d %d/%d/%d\n"
            lines.append(line * len(table) % tuple(table.ravel().tolist()))
        return "".join(lines)


class Model:
    """An object to which a grammar adds parts and materials.

    Attributes:
      body: of an object with joints, the number of the part that surfaces are added to.
    """

    def __init__(self, sides: Sequence[float], draw: Draw):
        """See the attributes.

        Args:
          sides: the sides of the box, which stands on z = 0 about the z axis.
          draw: random numbers for shapes; each material has a separate stream.
        """
        self.w, self.d, self.h = sides
        self.draw = draw
        self.bones = Bones()
        self.body = 0
        self.parts: list[tuple[Part, int]] = []
        self._bodies: list[int] = []
        self._follows: dict[int, int | Chain] = {}
        self._families: list[str] = []
        self._draws: list[Draw] = []

    def material(self, *families: str) -> int:
        """Returns a new material of one of the families."""
        index = len(self._families)
        draw = self.draw.named(f"material {index}")
        self._families.append(draw.pick(families))
        self._draws.append(draw)
        return index

    def add(self, material: int, *parts: Part) -> None:
        """Adds parts of one material."""
        self.parts += [(part, material) for part in parts]
        self._bodies += [self.body] * len(parts)

    def skin(self, material: int, follows: int | Chain, *parts: Part) -> None:
        """Adds parts of one material that follow a bone, or bones along a line."""
        for part in parts:
            self._follows[len(self.parts)] = follows
            self.add(material, part)

    def mirrored(self, material: int, *parts: Part) -> None:
        """Adds parts and their mirror images in the plane y = 0."""
        self.add(material, *parts, *(part.scaled(1, -1, 1) for part in parts))

    def made(self) -> Made:
        """Returns the mesh, scaled to fill the box."""
        vertices, faces, uv, start = [], [], [], 0
        offsets = self.draw.named("uv").rng.random((len(self.parts), 6, 2))
        for (part, _), offset in zip(self.parts, offsets, strict=True):
            vertices.append(part.vertices)
            faces.append(part.faces + start)
            start += len(part.vertices)
            if part.uv is None:
                uv.append(_projected(part, offset))
            else:
                uv.append(part.uv + offset[0])
        points, triangles = np.concatenate(vertices), np.concatenate(faces)
        corners = np.concatenate(uv)
        which = np.repeat(
            [material for _, material in self.parts], [len(f) for f in faces]
        )
        low, high = points.min(0), points.max(0)
        half = np.array([self.w, self.d, self.h]) / 2

        def place(points: np.ndarray) -> np.ndarray:
            share = (points - low) / (high - low)
            return np.asarray(np.round(share * half - (1 - share) * half, 6) + 0.0)

        points = place(points)
        keep = _area(points, triangles) > 0
        triangles, corners, which = triangles[keep], corners[keep], which[keep]
        used = np.unique(which)
        return Made(
            vertices=points,
            faces=triangles,
            normals=np.round(_normals(points, triangles), 4) + 0.0,
            uv=np.round(corners, 5) + 0.0,
            materials=np.searchsorted(used, which),
            families=tuple(self._families[i] for i in used),
            draws=tuple(self._draws[i] for i in used),
            skin=self._skin(place) if len(self.bones) else None,
            bodies=np.repeat(self._bodies, [len(v) for v in vertices])
            if self.body
            else None,
        )

    def _skin(self, place: Callable[[np.ndarray], np.ndarray]) -> Skin:
        weights = []
        for number, (part, _) in enumerate(self.parts):
            follows = self._follows[number]
            each = np.zeros((len(part.vertices), len(self.bones)))
            if isinstance(follows, Chain):
                each[:, list(follows.bones)] = follows.weights(part.vertices)
            else:
                each[:, follows] = 1
            weights.append(each)
        return Skin(rig=self.bones.rig(place), weights=np.concatenate(weights))


def _cross(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (points[faces[:, i]] for i in range(3))
    return np.cross(b - a, c - a)


def _area(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Returns the triangles' areas [m]; 0 where two corners are one point."""
    cross = _cross(points, faces)
    return np.sqrt((cross**2).sum(1)) / 2


def _projected(part: Part, offsets: np.ndarray) -> np.ndarray:
    """Returns uv [m, 3, 2] as seen from the side that each face looks to.

    Letters are the right way round from there, and no two sides show the same.
    """
    normals = _cross(part.vertices, part.faces)
    axis = np.abs(normals).argmax(1)
    positive = np.take_along_axis(normals, axis[:, None], 1)[:, 0] > 0
    points = part.vertices[part.faces]
    sign = np.where(positive, 1.0, -1.0)[:, None]
    x, y, z = (points[..., i] for i in range(3))
    u = np.where(
        axis[:, None] == 0, y * sign, np.where(axis[:, None] == 1, -x * sign, x * sign)
    )
    v = np.where(axis[:, None] == 2, y, z)
    return np.stack([u, v], -1) + offsets[2 * axis + positive][:, None]


def _normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Returns normals [m, 3, 3] at corners, smooth over edges below CREASE.

    A corner's normal is the mean of the normals of all faces at its vertex whose angle
    to the corner's face is below CREASE, weighted by their areas.
    """
    cross = _cross(points, faces)
    length = np.sqrt((cross**2).sum(1, keepdims=True))
    unit = cross / length
    corner = faces.ravel()
    order = np.argsort(corner, kind="stable")
    counts = np.bincount(corner, minlength=len(points))
    starts = np.cumsum(counts) - counts
    vertex = corner[order]
    times = counts[vertex]
    first = np.repeat(order, times)
    place = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    second = order[np.repeat(starts[vertex], times) + place]
    f, g = first // 3, second // 3
    near = (unit[f] * unit[g]).sum(1) > np.cos(np.radians(CREASE))
    f, g, first = f[near], g[near], first[near]
    sums = [np.bincount(first, cross[g, i], 3 * len(faces)) for i in range(3)]
    total = np.stack(sums, 1).astype(float)
    total /= np.sqrt((total**2).sum(1, keepdims=True))
    return total.reshape(-1, 3, 3)
