"""Plays the animations of a glTF: skins, morph targets and moving nodes.

A vertex is, as the glTF 2.0 specification has it: its position, plus its displacements
by morph targets times their weights; then moved by its skin's joints (linear blend
skinning, in which the node's own transform has no part), or by its node.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dyso.assets.manifest import MAX_CLIPS, MAX_NAME, MAX_SECONDS
from dyso.geometry import quaternion_to_matrix, transform

from .errors import AssetError, describe, quote
from .gltf_accessors import Accessors, entry
from .mesh_limits import MAX_PARTS, check_count
from .untrusted_gltf import MALFORMED, Gltf

BOX_MOMENTS, BOX_VERTICES = 33, 1 << 26
"""Moments at which a clip's bounding box is measured, and vertices of all together."""
MAX_VERTICES = 1 << 24
"""Maximum vertices of one; as many are numbered by float32."""

NUMBER = "_NUMBER"
"""The attribute of a flattened glTF's vertices with their numbers."""
NUMBERS = "numbers.bin"
"""The file of a flattened glTF with these."""

_Y_TO_Z = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
_WIDTHS = {"translation": 3, "rotation": 4, "scale": 3}
_FACES = 4, 5, 6  # the modes of primitives that have faces
_SLERP = 0.9995  # between rotations that are nearer, turns are linear


@dataclass(frozen=True, kw_only=True)
class Channel:
    """How an animation changes one property of a node.

    Attributes:
      node: the node.
      path: the property: `translation`, `rotation`, `scale` or `weights`.
      interpolation: between two keys.
      times: [k] seconds, increasing.
      values: [k, 3, width]: tangent into each key, value, and tangent out of it; all
        three are the value where the interpolation is not cubic.
    """

    node: int
    path: Literal["translation", "rotation", "scale", "weights"]
    interpolation: Literal["LINEAR", "STEP", "CUBICSPLINE"]
    times: np.ndarray
    values: np.ndarray

    def at(self, seconds: float) -> np.ndarray:
        """Returns the value [width] at a time; before and after all keys, the next."""
        after = int(np.searchsorted(self.times, seconds, side="right"))
        if after == 0 or after == len(self.times):
            value = self.values[min(after, len(self.times) - 1), 1]
        else:
            value = self._between(after - 1, seconds)
        if self.path == "rotation":
            value = value / max(np.linalg.norm(value), 1e-12)
        return value

    def _between(self, key: int, seconds: float) -> np.ndarray:
        start, end = self.times[key : key + 2]
        length = end - start
        share = (seconds - start) / length
        (_, a, out), (into, b, _) = self.values[key : key + 2]
        if self.interpolation == "STEP":
            return np.asarray(a)
        if self.interpolation == "CUBICSPLINE":
            two, three = share**2, share**3
            return np.asarray(
                (2 * three - 3 * two + 1) * a
                + length * (three - 2 * two + share) * out
                + (3 * two - 2 * three) * b
                + length * (three - two) * into
            )
        if self.path == "rotation":
            return _slerp(a, b, share)
        return np.asarray(a + share * (b - a))


def _slerp(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """Returns a rotation [4] between two, along the shorter way."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    cosine = float(a @ b)
    if cosine < 0:
        b, cosine = -b, -cosine
    if cosine > _SLERP:
        return np.asarray(a + share * (b - a))
    angle = np.arccos(cosine)
    return np.asarray(
        (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    )


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One animation of a glTF.

    Attributes:
      name: its name, unique in the file.
      start: seconds, the first of its keys.
      end: seconds, the last of its keys.
      channels: what it changes.
    """

    name: str
    start: float
    end: float
    channels: tuple[Channel, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """A primitive, as one node shows it.

    Attributes:
      node: the node.
      skin: its skin; None if the node moves it.
      rows: [n], the vertices that it uses of its accessors.
      total: the vertices in its accessors.
      faces: whether it has faces.
      positions: [n, 3].
      targets: [m, n, 3], displacements.
      joints: [n, k], of the skin.
      weights: [n, k], which sum to 1.
    """

    node: int
    skin: int | None
    rows: np.ndarray
    total: int
    faces: bool
    positions: np.ndarray
    targets: np.ndarray
    joints: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class _Nodes:
    """The nodes' own transforms, relative to their parents, and weights of morphs.

    Attributes:
      translations: [N, 3].
      rotations: [N, 4], (x, y, z, w) as in the file.
      scales: [N, 3].
      matrices: [N, 3, 4] of the nodes that `fixed` names; such cannot be animated.
      fixed: [N], which nodes have a matrix.
      weights: of the morph targets of each node's mesh.
    """

    translations: np.ndarray
    rotations: np.ndarray
    scales: np.ndarray
    matrices: np.ndarray
    fixed: np.ndarray
    weights: list[np.ndarray]


class AnimatedMesh:
    """The mesh that a glTF shows, and what its animations make of it.

    Attributes:
      clips: the animations, by their names.
      shown: pairs of a node and its mesh, in the order of the vertices.
      count: the number of vertices: those that the primitives of `shown` use.
    """

    @np.errstate(all="ignore")  # damaged files may hold any number
    def __init__(self, gltf: Gltf):
        """Reads what moves.

        Args:
          gltf: a glTF that `read_gltf` has checked.

        Raises:
          AssetError: it cannot be animated, or what moves it is damaged.
          OSError: a buffer cannot be read.
        """
        self._asset_id, self._document = gltf.asset_id, gltf.document
        self._accessors = Accessors(gltf)
        try:
            self._levels = self._hierarchy()
            self.shown = list(self._shown())
            self._nodes = self._rest_nodes()
            self._skins = [*map(self._skin, range(self._length("skins")))]
            self._parts = list(self._read_parts())
            self.clips = {clip.name: clip for clip in self._clips()}
        except MALFORMED as error:
            text = describe(error)
            if type(error) is not ValueError:
                text = f"{type(error).__name__}: {text}"
            raise self._fault(text) from error
        self.count = sum(len(part.positions) for part in self._parts)

    def _fault(self, text: str) -> AssetError:
        return AssetError(self._asset_id, f"cannot be animated: {text}")

    def _length(self, kind: str) -> int:
        return len(self._document.get(kind, ()))

    def vertices(self, clip: str | None = None, seconds: float = 0.0) -> np.ndarray:
        """Returns the vertices [count, 3] at a time, in the file's units, with z up.

        Args:
          clip: a clip's name; None for the rest shape, in which the file shows the mesh
            without any animation.
          seconds: the time; before and after the clip, its first and last pose.

        Raises:
          AssetError: there is no such clip, or a coordinate is not finite.
        """
        if clip is not None and clip not in self.clips:
            raise self._fault(f"it has no clip {quote(clip)}")
        nodes = self._nodes
        translations, rotations = nodes.translations.copy(), nodes.rotations.copy()
        scales, weights = nodes.scales.copy(), list(nodes.weights)
        changed: dict[str, Any] = {
            "translation": translations,
            "rotation": rotations,
            "scale": scales,
            "weights": weights,
        }
        for channel in self.clips[clip].channels if clip is not None else ():
            changed[channel.path][channel.node] = channel.at(seconds)
        with np.errstate(all="ignore"):
            local = np.empty((len(translations), 3, 4))
            turned = quaternion_to_matrix(rotations[:, [3, 0, 1, 2]])
            local[:, :, :3] = turned * scales[:, None]
            local[:, :, 3] = translations
            local[nodes.fixed] = nodes.matrices[nodes.fixed]
            world = self._world(local)
            moved = [
                self._moved(part, world, weights[part.node]) for part in self._parts
            ]
            vertices = np.concatenate([np.zeros((0, 3)), *moved]) @ _Y_TO_Z.T
        if not np.isfinite(vertices).all():
            what = "its rest shape" if clip is None else f"its clip {quote(clip)}"
            raise self._fault(f"{what} has coordinates that are not finite")
        return vertices

    def boxes(self) -> tuple[list[list[float]], list[dict[str, Any]]]:
        """Returns the bounding boxes of the rest shape and of all clips that move it.

        Returns:
          Lower and upper corner of the rest shape, in the file's units and axes. For
          each clip its name, start and end, and bounds, likewise.

        Raises:
          AssetError: see `vertices`; or it has no faces.
        """
        faces = self.of_faces
        if not faces.any():
            raise self._fault("it has no faces")
        rest = self.vertices()[faces]
        most = BOX_VERTICES // (len(rest) * max(len(self.clips), 1))
        moments = min(max(most, 2), BOX_MOMENTS)
        clips = []
        for clip in self.clips.values():
            low, high, moves = rest, rest, False
            for number, seconds in enumerate(
                np.linspace(clip.start, clip.end, moments).tolist()
            ):
                points = self.vertices(clip.name, seconds)[faces]
                moves = moves or bool((points != rest).any())
                corners = points.min(0), points.max(0)
                low, high = (
                    corners
                    if number == 0
                    else (np.minimum(low, corners[0]), np.maximum(high, corners[1]))
                )
            if moves:
                times = {"name": clip.name, "start": clip.start, "end": clip.end}
                clips.append(times | {"bounds": _y_up(low, high)})
        return _y_up(rest.min(0), rest.max(0)), clips

    def numbers(self) -> Iterator[np.ndarray]:
        """Yields the vertices' numbers, -1 if unused, of each primitive of `shown`."""
        count = 0
        for part in self._parts:
            numbers = np.full(part.total, -1)
            numbers[part.rows] = count + np.arange(len(part.rows))
            count += len(part.rows)
            yield numbers

    def parts(self) -> np.ndarray:
        """Returns the part [count] of each vertex: node `part_2.0` is of part 2.

        Raises:
          AssetError: a node has another name.
        """
        nodes = self._document.get("nodes", ())
        numbers = []
        for part in self._parts:
            name = str(nodes[part.node].get("name"))
            match = re.fullmatch(r"part_(\d{1,3})\.\d+", name)
            if match is None:
                raise self._fault(f"its node {quote(name)} names no part")
            numbers.append(int(match[1]))
        return np.repeat(numbers, [len(part.rows) for part in self._parts])

    @property
    def of_faces(self) -> np.ndarray:
        """Which vertices [n] belong to primitives with faces."""
        faces = np.array([part.faces for part in self._parts], bool)
        return np.repeat(faces, [len(part.rows) for part in self._parts])

    def _world(self, local: np.ndarray) -> np.ndarray:
        """Returns the transforms [N, 3, 4] of nodes to the world."""
        world = local.copy()
        for level, parents in self._levels:
            world[level, :, :3] = world[parents, :, :3] @ local[level, :, :3]
            world[level, :, 3] = transform(world[parents], local[level, :, 3])
        return world

    def _moved(self, part: _Part, world: np.ndarray, weights: np.ndarray) -> np.ndarray:
        points = part.positions
        if len(part.targets):
            points = points + np.tensordot(weights, part.targets, 1)
        if part.skin is None:
            return np.asarray(transform(world[part.node], points))
        nodes, bound = self._skins[part.skin]
        bones = np.empty_like(bound)
        bones[:, :, :3] = world[nodes][:, :, :3] @ bound[:, :, :3]
        bones[:, :, 3] = transform(world[nodes], bound[:, :, 3])
        blended = np.zeros((len(points), 3, 4))
        for joints, shares in zip(part.joints.T, part.weights.T, strict=True):
            blended += shares[:, None, None] * bones[joints]
        return np.asarray(transform(blended, points))

    def _hierarchy(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Returns the nodes below the roots, level by level, each with its parent."""
        parents = np.full(self._length("nodes"), -1)
        for number, node in enumerate(self._document.get("nodes", ())):
            for child in node.get("children", ()):
                entry(self._document, "nodes", child)
                if parents[child] >= 0:
                    raise ValueError(f"node {child} has two parents")
                parents[child] = number
        reached, level, levels = parents < 0, np.flatnonzero(parents < 0), []
        order = np.argsort(parents, kind="stable")
        starts = np.searchsorted(parents[order], np.arange(len(parents) + 1))
        while len(level):
            below = [order[starts[node] : starts[node + 1]] for node in level]
            level = np.concatenate(below)
            reached[level] = True
            if len(level):
                levels.append((level, parents[level]))
        if not reached.all():
            raise ValueError("its nodes form a cycle")
        return levels

    def _shown(self) -> Iterator[tuple[int, int]]:
        """Yields the nodes with meshes of the scene, and their meshes."""
        scenes, nodes = self._length("scenes"), self._document.get("nodes", ())
        if scenes:
            scene = entry(self._document, "scenes", self._document.get("scene", 0))
            pending = list(scene.get("nodes", ()))[::-1]
        else:
            below = {child for node in nodes for child in node.get("children", ())}
            pending = [i for i in range(len(nodes)) if i not in below][::-1]
        seen = set()
        primitives = 0
        while pending:
            number = pending.pop()
            node = entry(self._document, "nodes", number)
            if number in seen:
                raise ValueError(f"its scene has node {number} twice")
            seen.add(number)
            pending += list(node.get("children", ()))[::-1]
            if "mesh" not in node:
                continue
            if "EXT_mesh_gpu_instancing" in node.get("extensions", {}):
                raise ValueError(f"node {number} shows many copies of its mesh")
            mesh = entry(self._document, "meshes", node["mesh"])
            primitives += len(mesh["primitives"])
            check_count(
                self._asset_id, "primitives", primitives, MAX_PARTS["primitives"]
            )
            yield number, node["mesh"]

    def _rest_nodes(self) -> _Nodes:
        nodes = self._document.get("nodes", ())
        count = len(nodes)
        rest = _Nodes(
            translations=np.zeros((count, 3)),
            rotations=np.tile([0.0, 0, 0, 1], (count, 1)),
            scales=np.ones((count, 3)),
            matrices=np.zeros((count, 3, 4)),
            fixed=np.array(["matrix" in node for node in nodes], bool),
            weights=[np.zeros(0)] * count,
        )
        for i, node in enumerate(nodes):
            for name, values in (
                ("translation", rest.translations),
                ("rotation", rest.rotations),
                ("scale", rest.scales),
            ):
                if name in node:
                    values[i] = _numbers(node[name], len(values[i]))
            if rest.fixed[i]:
                rest.matrices[i] = _numbers(node["matrix"], 16).reshape(4, 4).T[:3]
        for i, mesh in self.shown:
            described = self._document["meshes"][mesh]
            targets = self._targets(mesh)
            given = (
                nodes[i].get("weights") or described.get("weights") or [0.0] * targets
            )
            rest.weights[i] = _numbers(given, targets)
        for name, values in vars(rest).items():
            if not all(np.isfinite(each).all() for each in values):
                raise ValueError(f"its nodes have {name} that are not finite")
        if not (rest.rotations != 0).any(1).all():
            raise ValueError("its nodes have rotations of length 0")
        return rest

    def _targets(self, mesh: int) -> int:
        """Returns the number of morph targets of a mesh, equal in all primitives."""
        primitives = self._document["meshes"][mesh]["primitives"]
        counts = {len(primitive.get("targets", ())) for primitive in primitives}
        if len(counts) > 1:
            raise ValueError(f"mesh {mesh} has primitives with other morph targets")
        return max(counts, default=0)

    def _skin(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a skin's joints [J] and inverse bind matrices [J, 3, 4]."""
        skin = entry(self._document, "skins", number)
        joints = skin["joints"]
        for joint in joints:
            entry(self._document, "nodes", joint)
        bound = np.tile(np.eye(3, 4), (len(joints), 1, 1))
        if "inverseBindMatrices" in skin:
            values = self._accessors.read(skin["inverseBindMatrices"], "MAT4")
            if len(values) < len(joints):
                raise ValueError(
                    f"skin {number} has {len(joints)} joints and {len(values)} matrices"
                )
            matrices = values[: len(joints)].astype(float).reshape(-1, 4, 4)
            bound = matrices.swapaxes(1, 2)[:, :3]
        if not np.isfinite(bound).all():
            raise ValueError(f"skin {number} has matrices that are not finite")
        return np.array(joints, int), bound

    def _read_parts(self) -> Iterator[_Part]:
        kept: dict[tuple[int, int | None], list[_Part]] = {}
        count = 0
        for node, mesh in self.shown:
            skin = self._document["nodes"][node].get("skin")
            if skin is not None:
                entry(self._document, "skins", skin)
            if (mesh, skin) not in kept:
                kept[mesh, skin] = [
                    self._part(node, mesh, skin, primitive)
                    for primitive in self._document["meshes"][mesh]["primitives"]
                ]
            for part in kept[mesh, skin]:
                count += len(part.positions)
                check_count(self._asset_id, "vertices", count, MAX_VERTICES)
                yield _Part(**vars(part) | {"node": node})

    def _part(
        self, node: int, mesh: int, skin: int | None, primitive: dict[str, Any]
    ) -> _Part:
        if "KHR_draco_mesh_compression" in primitive.get("extensions", {}):
            raise ValueError("its meshes are compressed")
        attributes = primitive["attributes"]
        positions = self._accessors.read(attributes["POSITION"], "VEC3").astype(float)
        count = len(positions)
        rows = np.arange(count)
        if "indices" in primitive:
            rows = np.unique(self._accessors.read(primitive["indices"], "SCALAR"))
        targets = [
            self._displacements(target, count)[rows]
            for target in primitive.get("targets", ())
        ]
        joints, weights = np.zeros((len(rows), 0), int), np.zeros((len(rows), 0))
        if skin is not None:
            joints, weights = self._influences(mesh, skin, attributes, count)
            joints, weights = joints[rows], weights[rows]
        for values in (positions[rows], *targets):
            if not np.isfinite(values).all():
                raise ValueError(f"mesh {mesh} has coordinates that are not finite")
        return _Part(
            node=node,
            skin=skin,
            rows=rows,
            total=count,
            faces=primitive.get("mode", 4) in _FACES,
            positions=positions[rows],
            targets=np.array(targets).reshape(-1, len(rows), 3),
            joints=joints,
            weights=weights,
        )

    def _displacements(self, target: dict[str, Any], count: int) -> np.ndarray:
        if "POSITION" not in target:
            return np.zeros((count, 3), np.float32)
        values = self._accessors.read(target["POSITION"], "VEC3")
        if len(values) != count:
            raise ValueError("a morph target has another number of vertices")
        return values.astype(np.float32)

    def _influences(
        self, mesh: int, skin: int, attributes: dict[str, Any], count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the joints [n, k] that vertices follow, and their weights [n, k]."""
        joints: list[np.ndarray] = []
        weights: list[np.ndarray] = []
        while f"JOINTS_{len(joints)}" in attributes:
            name = len(joints)
            joints.append(self._accessors.read(attributes[f"JOINTS_{name}"], "VEC4"))
            weights.append(self._accessors.read(attributes[f"WEIGHTS_{name}"], "VEC4"))
            if not len(joints[-1]) == len(weights[-1]) == count:
                raise ValueError(f"mesh {mesh} has weights of other vertices")
        if not joints:
            raise ValueError(f"mesh {mesh} has a skin, but no weights")
        followed = np.concatenate(joints, axis=1).astype(int)
        shares = np.concatenate(weights, axis=1).astype(float)
        if not (np.isfinite(shares).all() and (shares >= 0).all()):
            raise ValueError(f"mesh {mesh} has weights below 0 or not finite")
        followed[shares == 0] = 0
        if followed.max(initial=0) >= len(self._skins[skin][0]):
            raise ValueError(f"mesh {mesh} follows joints that skin {skin} lacks")
        total = shares.sum(1, keepdims=True)
        if not (total > 0).all():
            raise ValueError(f"mesh {mesh} has vertices without weights")
        # Columns that nothing follows would only take time.
        used = (shares > 0).any(0)
        return followed[:, used], (shares / total)[:, used]

    def _clips(self) -> Iterator[Clip]:
        animations = self._document.get("animations", ())
        check_count(self._asset_id, "animations", len(animations), MAX_CLIPS)
        names: set[str] = set()
        for number, animation in enumerate(animations):
            name = base = _name(animation.get("name"), number)
            while name in names:
                number += 1
                name = f"{base}_{number}"
            names.add(name)
            channels = tuple(self._channels(name, animation))
            if channels:
                yield Clip(
                    name=name,
                    start=min(float(each.times[0]) for each in channels),
                    end=max(float(each.times[-1]) for each in channels),
                    channels=channels,
                )

    def _channels(self, name: str, animation: dict[str, Any]) -> Iterator[Channel]:
        samplers, where = animation["samplers"], f"clip {quote(name)}"
        changed = set()
        for described in animation["channels"]:
            target = described["target"]
            node, path = target.get("node"), target["path"]
            if node is None or path not in (*_WIDTHS, "weights"):
                continue  # as the specification says of extensions
            entry(self._document, "nodes", node)
            if (node, path) in changed:
                raise ValueError(f"{where} changes node {node}'s {path} twice")
            changed.add((node, path))
            if path != "weights" and self._nodes.fixed[node]:
                raise ValueError(f"{where} moves node {node}, which has a matrix")
            if path == "weights" and not len(self._nodes.weights[node]):
                continue  # of a mesh that is not shown
            number = described["sampler"]
            if type(number) is not int or not 0 <= number < len(samplers):
                raise ValueError(f"{where} has no sampler {number!r:.20}")
            yield self._channel(where, node, path, samplers[number])

    def _channel(
        self, where: str, node: int, path: Any, sampler: dict[str, Any]
    ) -> Channel:
        interpolation = sampler.get("interpolation", "LINEAR")
        if interpolation not in ("LINEAR", "STEP", "CUBICSPLINE"):
            raise ValueError(f"{where} has the interpolation {quote(interpolation)}")
        times = self._accessors.read(sampler["input"], "SCALAR")[:, 0].astype(float)
        width = _WIDTHS.get(path) or len(self._nodes.weights[node])
        kind = {3: "VEC3", 4: "VEC4"}[width] if path != "weights" else "SCALAR"
        values = self._accessors.read(sampler["output"], kind).astype(float)
        tangents = 3 if interpolation == "CUBICSPLINE" else 1
        if not len(times) or values.size != len(times) * tangents * width:
            raise ValueError(
                f"{where} has {len(times)} times and {values.size} values of node "
                f"{node}'s {path}"
            )
        if not (np.isfinite(times).all() and np.isfinite(values).all()):
            raise ValueError(f"{where} has keyframes that are not finite")
        if abs(times).max() > MAX_SECONDS:
            raise ValueError(f"{where} has times beyond {MAX_SECONDS:g} s")
        if not (np.diff(times) > 0).all():
            raise ValueError(f"{where} has times that do not increase, of node {node}")
        values = np.broadcast_to(
            values.reshape(len(times), tangents, width), (len(times), 3, width)
        )
        if path == "rotation" and not (values[:, 1] != 0).any(1).all():
            raise ValueError(f"{where} has rotations of length 0")
        return Channel(
            node=node,
            path=path,
            interpolation=interpolation,
            times=times,
            values=values,
        )


def _y_up(low: np.ndarray, high: np.ndarray) -> list[list[float]]:
    """Returns a box in the file's axes: y is the z of Blender, z its -y."""
    corners = np.array([low, high]) @ _Y_TO_Z
    return [corners.min(0).tolist(), corners.max(0).tolist()]


def _numbers(values: Any, count: int) -> np.ndarray:
    if not isinstance(values, Sequence) or len(values) != count:
        raise ValueError(f"expected {count} numbers, got {quote(values)}")
    return np.array(values, float)


def _name(name: Any, number: int) -> str:
    """Returns an animation's name if it can be printed, or one by its number."""
    if isinstance(name, str) and name.isprintable() and 0 < len(name) <= MAX_NAME - 8:
        return name
    return f"animation_{number}"


def flattened(gltf: Gltf, mesh: AnimatedMesh) -> tuple[dict[str, Any], bytes]:
    """Returns the document of a still glTF of the same looks, and a buffer for it.

    Each node of `mesh.shown` is a root without a transform. The vertices have their
    numbers as their attribute `NUMBER`, so that they are known after the import.

    Args:
      gltf: the glTF.
      mesh: of it.

    Returns:
      The document, whose last buffer is to be written to the file `NUMBERS`.
    """
    document = {
        key: value
        for key, value in gltf.document.items()
        if key not in ("animations", "skins", "nodes", "scenes", "scene", "meshes")
    }
    numbers = [each.astype("<f4") for each in mesh.numbers()]
    data = b"".join(each.tobytes() for each in numbers)
    lists = {name: [*document.get(name, ())] for name in ("accessors", "bufferViews")}
    accessors, views = lists["accessors"], lists["bufferViews"]
    buffers = [*document.get("buffers", ()), {"uri": NUMBERS, "byteLength": len(data)}]
    start, left = 0, iter(numbers)
    meshes = []
    for _, shown in mesh.shown:
        primitives = []
        for primitive in gltf.document["meshes"][shown]["primitives"]:
            count = len(next(left))
            view = {"byteOffset": start, "byteLength": 4 * count}
            views.append({"buffer": len(buffers) - 1, **view})
            start += 4 * count
            accessor = {"componentType": 5126, "count": count, "type": "SCALAR"}
            accessors.append({"bufferView": len(views) - 1, **accessor})
            attributes = {
                name: value
                for name, value in primitive["attributes"].items()
                if not name.startswith(("_", "JOINTS_", "WEIGHTS_"))
            }
            attributes[NUMBER] = len(accessors) - 1
            kept = {key: each for key, each in primitive.items() if key != "targets"}
            primitives.append(kept | {"attributes": attributes})
        meshes.append({"primitives": primitives})
    roots = [*range(len(meshes))]
    shown_alone = {
        "buffers": buffers,
        "meshes": meshes,
        "nodes": [{"mesh": number} for number in roots],
        "scenes": [{"nodes": roots}],
        "scene": 0,
    }
    return document | lists | shown_alone, data
