"""Converts URDF robots to one mesh with joints, in the archives of Kubric.

All links are in their places at the zero position of the joints, in the frame of the
root link. The mesh is a glTF with a node `part_<n>.<k>` for visual k of part n: the
links that move as one. Joints are in the manifest.
"""

from __future__ import annotations

import io
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import trimesh
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from dyso.assets.manifest import MAX_JOINTS, MAX_NAME
from dyso.geometry import transform
from dyso.images import DAMAGED, open_image
from dyso.srgb import to_linear

from .convert import Converted
from .errors import AssetError, describe, quote
from .mesh_limits import MAX_PARTS, MAX_TRIANGLES, check_count
from .pictures import MAX_PIXELS, measure
from .plain_files import plain_file, read_plain
from .rigid_body import solid

MAX_BYTES = 4 << 20
"""Maximum bytes of a URDF."""
MOST = 1e6
"""Maximum of every number in it."""
SMALLEST = 1e-3
"""Sides of the box of a part that shows nothing, as a share of the object's longest."""
_NAME = "visual_geometry.glb"
_MOVING = {"revolute": "revolute", "continuous": "revolute", "prismatic": "prismatic"}
_TYPES = (*_MOVING, "fixed", "floating", "planar")
_Z_TO_Y = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
_GREY = (0.5, 0.5, 0.5, 1.0)
_MESHES = (".obj", ".stl")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Joint:
    """A joint, in the frame of its parent link.

    Attributes:
      name: of the link that it moves.
      parent: the link that it is fixed to.
      pose: [3, 4], the frame of the child in that of the parent, at zero.
      type: `revolute` or `prismatic`; empty if it does not move.
      axis: [3], unit vector in the frame of the child.
      limits: radians or metres.
    """

    name: str
    parent: str
    pose: np.ndarray
    type: str
    axis: np.ndarray
    limits: tuple[float, float]


def convert_urdf(asset_id: str, path: Path, root: Path) -> Converted:
    """Reads a URDF and the OBJ and STL files that it shows.

    Args:
      asset_id: the asset's id, for error messages.
      path: the file.
      root: the folder that must contain every file it refers to.

    Raises:
      AssetError: the file cannot be read, or has nothing to show.
    """
    path, root = path.parent.resolve() / path.name, root.resolve()
    data = read_plain(asset_id, path.resolve(strict=True))
    try:
        robot = _parsed(data)
        links = {_name(each): each for each in robot.iterfind("link")}
        joints = _joints(robot, links)
        order = _order(links, joints)
        visuals = {
            name: [*_Visuals(asset_id, path, root, robot).of(links[name])]
            for name in order
        }
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        text = describe(error)
        if type(error) is not ValueError:
            text = f"{type(error).__name__}: {text}"
        raise AssetError(asset_id, f"{path.name} is no URDF: {text}") from error
    return _Assembly(asset_id, order, joints, visuals).converted()


def _parsed(data: bytes) -> ElementTree.Element:
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    # Entities could make a small file large.
    if b"<!" in data.replace(b"<!--", b""):
        raise ValueError("it has a document type or character data sections")
    try:
        robot = ElementTree.fromstring(data.strip())
    except ElementTree.ParseError as error:
        raise ValueError(describe(error)) from error
    if robot.tag != "robot":
        raise ValueError(f"it is a {quote(robot.tag)}, not a robot")
    return robot


def _name(element: ElementTree.Element) -> str:
    name = element.get("name")
    if not name:
        raise ValueError(f"it has a {element.tag} without a name")
    return name


def _numbers(text: str | None, count: int, default: str) -> np.ndarray:
    values = np.array((text or default).split(), float)
    if values.shape != (count,) or not (abs(values) <= MOST).all():
        raise ValueError(f"expected {count} numbers, got {quote(text)}")
    return values


def _pose(element: ElementTree.Element) -> np.ndarray:
    """Returns the pose [3, 4] of an element's `origin`."""
    origin = element.find("origin")
    place = {} if origin is None else origin.attrib
    roll, pitch, yaw = _numbers(place.get("rpy"), 3, "0 0 0")
    turned = trimesh.transformations.euler_matrix(roll, pitch, yaw, "sxyz")[:3, :3]
    return np.column_stack([turned, _numbers(place.get("xyz"), 3, "0 0 0")])


def _joints(
    robot: ElementTree.Element, links: dict[str, ElementTree.Element]
) -> dict[str, _Joint]:
    """Returns the joints by the links that they move."""
    if len(links) < len(robot.findall("link")):
        raise ValueError("two links have the same name")
    joints: dict[str, _Joint] = {}
    for element in robot.iterfind("joint"):
        name, kind = _name(element), element.get("type")
        if kind not in _TYPES:
            raise ValueError(f"joint {quote(name)} is of the type {quote(kind)}")
        ends = [element.find("parent"), element.find("child")]
        parent, child = (None if end is None else end.get("link") for end in ends)
        if parent not in links or child not in links:
            raise ValueError(f"joint {quote(name)} is of links that do not exist")
        if child in joints:
            raise ValueError(f"link {quote(child)} has two parents")
        moving = _MOVING.get(kind, "")
        limits = _limits(element, kind) if moving else (0.0, 0.0)
        along = element.find("axis")
        axis = _numbers(None if along is None else along.get("xyz"), 3, "1 0 0")
        length = np.linalg.norm(axis)
        if moving and not length > 0:
            raise ValueError(f"joint {quote(name)} has an axis of length 0")
        joints[child] = _Joint(
            name=child if child.isprintable() and len(child) <= MAX_NAME else "part",
            parent=parent,
            pose=_pose(element),
            type=moving if limits[0] < limits[1] else "",
            axis=axis / max(length, 1e-12),
            limits=limits,
        )
    return joints


def _limits(element: ElementTree.Element, kind: str | None) -> tuple[float, float]:
    limit = element.find("limit")
    given = {} if limit is None else limit.attrib
    low, high = (
        float(_numbers(given.get(side), 1, "0")[0]) for side in ("lower", "upper")
    )
    # More than a turn says no more than any angle.
    whole = kind == "revolute" and high - low > 2 * math.pi
    return (-math.pi, math.pi) if kind == "continuous" or whole else (low, high)


def _order(
    links: dict[str, ElementTree.Element], joints: dict[str, _Joint]
) -> list[str]:
    """Returns the links, each after its parent."""
    roots = [name for name in links if name not in joints]
    if len(roots) != 1:
        raise ValueError(f"it has {len(roots)} links without a parent, not one")
    below: dict[str, list[str]] = {name: [] for name in links}
    for child, joint in joints.items():
        below[joint.parent].append(child)
    order, pending = [], roots
    while pending:
        order.append(pending.pop())
        pending += below[order[-1]][::-1]
    if len(order) < len(links):
        raise ValueError("its joints form a cycle")
    return order


class _Visuals:
    """What the links of a robot show."""

    def __init__(
        self, asset_id: str, path: Path, root: Path, robot: ElementTree.Element
    ):
        self._asset_id, self._path, self._root = asset_id, path, root
        self._colors = {
            each.get("name"): color
            for each in robot.iter("material")
            if (color := each.find("color")) is not None
        }

    def of(self, link: ElementTree.Element) -> Iterator[trimesh.Trimesh]:
        """Yields the meshes of a link, in its frame."""
        visuals = link.findall("visual")
        check_count(self._asset_id, "primitives", len(visuals), MAX_PARTS["primitives"])
        for visual in visuals:
            geometry = visual.find("geometry")
            if geometry is None or not len(geometry):
                raise ValueError("a visual has no geometry")
            pose = np.vstack([_pose(visual), [0, 0, 0, 1]])
            paint = self._paint(visual)
            for mesh in self._meshes(geometry[0]):
                own = getattr(mesh.visual, "material", None)
                if own is None or own.name == "":
                    mesh.visual = TextureVisuals(material=paint)
                yield mesh.apply_transform(pose)

    def _paint(self, visual: ElementTree.Element) -> PBRMaterial:
        material = visual.find("material")
        color = None if material is None else material.find("color")
        if color is None and material is not None:
            color = self._colors.get(material.get("name"))
        rgba = np.array(_GREY)
        if color is not None:
            rgba = np.clip(_numbers(color.get("rgba"), 4, ""), 0, 1)
        # Masks and depth treat all as surfaces.
        linear = [*to_linear(rgba[:3]).tolist(), 1.0]
        return PBRMaterial(
            name="paint",
            baseColorFactor=linear,
            metallicFactor=0.0,
            roughnessFactor=0.6,
            doubleSided=True,
        )

    def _meshes(self, shape: ElementTree.Element) -> Iterator[trimesh.Trimesh]:
        if shape.tag == "mesh":
            scale = _numbers(shape.get("scale"), 3, "1 1 1")
            for mesh in self._file(shape.get("filename") or ""):
                mesh.apply_scale(scale)
                yield mesh
            return
        created = trimesh.creation
        if shape.tag == "box":
            yield created.box(_numbers(shape.get("size"), 3, ""))
            return
        if shape.tag not in ("cylinder", "sphere", "capsule"):
            raise ValueError(f"a visual is a {quote(shape.tag)}")
        [radius] = _numbers(shape.get("radius"), 1, "")
        if radius <= 0:
            return  # as files have them that mean no more than a point
        if shape.tag == "sphere":
            yield created.icosphere(3, radius)
            return
        [length] = _numbers(shape.get("length"), 1, "")
        made = created.cylinder if shape.tag == "cylinder" else created.capsule
        yield made(radius=radius, height=length)

    def _file(self, name: str) -> list[trimesh.Trimesh]:
        kind = PurePosixPath(name).suffix.lower()
        if kind not in _MESHES:
            raise ValueError(f"{quote(name)} is not OBJ or STL")
        file = self._found(name)
        if file is None:
            raise ValueError(f"there is no file {quote(name)}")
        data = read_plain(self._asset_id, file)
        resolver = _Files(self._asset_id, file.parent, self._root)
        try:
            loaded = trimesh.load_scene(
                io.BytesIO(data), file_type=kind[1:], process=False, resolver=resolver
            )
        except (MemoryError, AssetError):
            raise
        except Exception as error:  # trimesh raises any exception for damaged files.
            raise ValueError(
                f"{quote(name)} cannot be read: {describe(error)}"
            ) from error
        # Neither format has transforms. A copy would lose the normals.
        shown = loaded.geometry.values()
        meshes = [each for each in shown if isinstance(each, trimesh.Trimesh)]
        if not meshes:
            raise ValueError(f"{quote(name)} has no faces")
        if kind == ".stl":
            for mesh in meshes:
                mesh.merge_vertices()
        return meshes

    def _found(self, name: str) -> Path | None:
        """Returns a file that a URDF names; packages are folders above or beside it."""
        inner = PurePosixPath(name.removeprefix("package://").removeprefix("file://"))
        package = inner.relative_to(inner.parts[0]) if len(inner.parts) > 1 else inner
        for folder in (self._path.parent, *self._path.parent.parents):
            if not folder.is_relative_to(self._root):
                break
            for each in (inner, package) if "://" in name else (inner,):
                file = plain_file(self._root, folder / each)
                if file is not None:
                    return file
        return None


class _Files(trimesh.resolvers.Resolver):
    """Resolves the materials and textures of an OBJ to files of its folder."""

    def __init__(self, asset_id: str, folder: Path, root: Path):
        self._asset_id, self._folder, self._root = asset_id, folder, root
        self._left = MAX_PIXELS

    def get(self, name: str) -> bytes:
        file = plain_file(self._root, self._folder / name.strip())
        if file is None:
            raise KeyError(name)
        data = read_plain(self._asset_id, file)
        return data if file.suffix.lower() == ".mtl" else self._picture(name, data)

    def _picture(self, name: str, data: bytes) -> bytes:
        """Returns a PNG or JPEG that can be decoded; trimesh would open any format."""
        self._left -= measure(self._asset_id, io.BytesIO(data), self._left)
        try:
            with open_image(io.BytesIO(data)) as image:
                image.load()
                if image.format in ("PNG", "JPEG"):
                    return data
                converted = io.BytesIO()
                image.convert("RGBA").save(converted, "PNG")
        except DAMAGED as error:
            raise KeyError(name) from error
        return converted.getvalue()

    def keys(self) -> list[str]:
        return []

    def write(self, name: str, data: bytes) -> None:
        raise NotImplementedError

    def namespaced(self, namespace: str) -> Any:
        raise NotImplementedError


class _Assembly:
    """Puts the links of a robot together."""

    def __init__(
        self,
        asset_id: str,
        order: list[str],
        joints: dict[str, _Joint],
        visuals: dict[str, list[trimesh.Trimesh]],
    ):
        self._asset_id, self._joints, self._visuals = asset_id, joints, visuals
        shown = {name for name in order if visuals[name]}
        for name in reversed(order):
            if name in shown and name in joints:
                shown.add(joints[name].parent)
        # Links that carry nothing which is shown would be parts that nobody sees.
        self._order = [name for name in order if name in shown]
        if not self._order:
            raise AssetError(asset_id, "shows nothing")

    def converted(self) -> Converted:
        """Returns the content of the archive."""
        poses: dict[str, np.ndarray] = {}
        part_of: dict[str, int] = {}
        moving: list[tuple[_Joint, int, np.ndarray]] = []
        parts: list[list[trimesh.Trimesh]] = [[]]
        for name in self._order:
            joint = self._joints.get(name)
            if joint is None:
                poses[name], part_of[name] = np.eye(3, 4), 0
            else:
                above, pose = poses[joint.parent], joint.pose
                placed = transform(above, pose[:, 3])
                poses[name] = np.column_stack([above[:, :3] @ pose[:, :3], placed])
                part_of[name] = part_of[joint.parent]
                if joint.type:
                    moving.append((joint, part_of[joint.parent], poses[name]))
                    part_of[name] = len(moving)
                    parts.append([])
            world = np.vstack([_Z_TO_Y @ poses[name], [0, 0, 0, 1]])
            for mesh in self._visuals[name]:
                parts[part_of[name]].append(mesh.apply_transform(world))
        check_count(self._asset_id, "joints", len(moving), MAX_JOINTS)
        return self._archive(parts, moving)

    def _archive(
        self,
        parts: list[list[trimesh.Trimesh]],
        moving: list[tuple[_Joint, int, np.ndarray]],
    ) -> Converted:
        scene, triangles = trimesh.Scene(), 0
        for number, meshes in enumerate(parts):
            for k, mesh in enumerate(meshes):
                triangles += len(mesh.faces)
                check_count(self._asset_id, "triangles", triangles, MAX_TRIANGLES)
                name = f"part_{number}.{k}"
                scene.add_geometry(mesh, geom_name=name, node_name=name)
        whole = scene.to_geometry()
        body = solid(
            self._asset_id, np.asarray(whole.vertices), np.asarray(whole.faces)
        )
        least = SMALLEST * np.ptp(body.bounds, axis=0).max()
        files = {_NAME: scene.export(file_type="glb")}
        metadata: dict[str, Any] = {
            "nr_faces": body.faces,
            "nr_vertices": body.vertices,
            "textured": True,
            "volume": body.volume,
        }
        if moving:
            metadata["joints"] = [
                self._described(joint, parent, pose, parts[number], least)
                for number, (joint, parent, pose) in enumerate(moving, start=1)
            ]
        return Converted(
            files=body.files(_NAME) | files,
            kwargs={**body.kwargs, "render_filename": f"{{asset_dir}}/{_NAME}"},
            metadata=metadata,
        )

    def _described(
        self,
        joint: _Joint,
        parent: int,
        pose: np.ndarray,
        meshes: list[trimesh.Trimesh],
        least: float,
    ) -> dict[str, Any]:
        """Returns a joint for the manifest, in the file's axes, of which y is up."""
        origin = _Z_TO_Y @ pose[:, 3]
        corners = [corner for mesh in meshes for corner in mesh.bounds]
        held = np.array(corners or [origin - least / 2, origin + least / 2])
        return {
            "name": joint.name,
            "type": joint.type,
            "parent": parent,
            "axis": (_Z_TO_Y @ pose[:, :3] @ joint.axis).tolist(),
            "origin": origin.tolist(),
            "limits": [*joint.limits],
            "bounds": [held.min(0).tolist(), held.max(0).tolist()],
        }
