"""Animations of glTF files, against Blender and by hand; and damaged ones."""

import base64
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dyso.worker.errors import AssetError
from dyso.worker.gltf_accessors import Accessors
from dyso.worker.gltf_animation import NUMBER, AnimatedMesh, flattened
from dyso.worker.untrusted_gltf import Gltf, read_gltf
from dyso.worker.untrusted_meshes import read_mesh


def read(path: Path) -> Gltf:
    return read_gltf("it", path, path.parent, read_mesh("it", path))


@pytest.mark.parametrize("name", ["arm", "cubic", "face", "nodes", "all"])
def test_vertices_are_where_blender_has_them(animated_files: Path, name: str) -> None:
    gltf = read(animated_files / f"{name}.glb")
    mesh, expected = AnimatedMesh(gltf), np.load(animated_files / f"{name}.npz")
    accessors = Accessors(gltf)
    of_blender = np.empty(mesh.count, int)
    numbers = mesh.numbers()
    for _, shown in mesh.shown:
        for primitive in gltf.document["meshes"][shown]["primitives"]:
            used = next(numbers)
            each = accessors.read(primitive["attributes"]["_ID"], "SCALAR")[:, 0]
            of_blender[used[used >= 0]] = each[used >= 0]
    assert {*mesh.clips, "seconds"} == {*expected}
    for clip in mesh.clips:
        moved = 0.0
        for seconds, points in zip(expected["seconds"], expected[clip], strict=True):
            gap = abs(mesh.vertices(clip, seconds) - points[of_blender]).max()
            # Blender writes a key for each frame, unless curves are cubic; between
            # two frames, its own are curved.
            whole = (seconds * 24) % 1 == 0 or name == "cubic"
            assert gap < (2e-6 if whole else 0.02)
            moved = max(moved, abs(points - expected[clip][0]).max())
        assert moved > 0.4
    if name == "face":
        assert np.array_equal(mesh.vertices(), mesh.vertices("Scene", 0.0))


def buffer(*arrays: Any) -> dict[str, Any]:
    """Returns the part of a glTF with float32 arrays as its accessors."""
    kinds = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
    data, views, accessors = b"", [], []
    for values in arrays:
        values = np.asarray(values, "<f4")
        width = 1 if values.ndim == 1 else values.shape[1]
        views.append(
            {"buffer": 0, "byteOffset": len(data), "byteLength": values.nbytes}
        )
        accessors.append(
            {
                "bufferView": len(views) - 1,
                "componentType": 5126,
                "count": len(values),
                "type": kinds[width],
            }
        )
        data += values.tobytes()
    uri = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    return {
        "asset": {"version": "2.0"},
        "buffers": [{"uri": uri, "byteLength": len(data)}],
        "bufferViews": views,
        "accessors": accessors,
    }


TRIANGLE = [[0, 0, 0], [1, 0, 0], [0, 1, 0]]


def still(*arrays: Any, **more: Any) -> dict[str, Any]:
    """Returns a glTF of a triangle, whose further accessors start with number 1."""
    return {
        **buffer(TRIANGLE, *arrays),
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
        **more,
    }


def clip(path: str, **sampler: Any) -> dict[str, Any]:
    channel = {"sampler": 0, "target": {"node": 0, "path": path}}
    samplers = [{"input": 1, "output": 2, **sampler}]
    return {"animations": [{"channels": [channel], "samplers": samplers}]}


def animated(document: dict[str, Any], folder: Path) -> AnimatedMesh:
    path = folder / "it.gltf"
    path.write_text(json.dumps(document))
    return AnimatedMesh(read(path))


TURN = [[0, 0, 0, 1], [0, np.sqrt(0.5), 0, -np.sqrt(0.5)]]
"""A quarter of a turn about y, the longer way round."""


@pytest.mark.parametrize(
    ("interpolation", "seconds", "degrees"),
    [
        ("LINEAR", 0.5, 0.0),
        ("LINEAR", 1.5, -22.5),
        ("LINEAR", 2.0, -45.0),
        ("LINEAR", 9.0, -90.0),
        ("STEP", 2.9, 0.0),
        ("STEP", 3.0, -90.0),
    ],
)
def test_rotations_turn_evenly_the_shorter_way(
    tmp_path: Path, interpolation: str, seconds: float, degrees: float
) -> None:
    moving = clip("rotation", interpolation=interpolation)
    mesh = animated(still([1.0, 3.0], TURN, **moving), tmp_path)
    assert (mesh.clips["animation_0"].start, mesh.clips["animation_0"].end) == (1, 3)
    point = mesh.vertices("animation_0", seconds)[1]
    angle = np.radians(degrees)
    # About y, x turns to -z, which is y of Blender.
    assert point == pytest.approx([np.cos(angle), np.sin(angle), 0], abs=1e-6)


def test_sparse_normalized_and_shared_numbers(tmp_path: Path) -> None:
    """Morph targets as exporters write them, and a node that two others move."""
    document = still([0.0, 1.0], [0.0, 1.0], [[0, 0, 5.0]], **clip("weights"))
    places = {"bufferView": 4, "componentType": 5121}
    values = {"bufferView": 3}
    sparse = {"count": 1, "indices": places, "values": values}
    target = {"componentType": 5126, "count": 3, "type": "VEC3", "sparse": sparse}
    extra = base64.b64encode(bytes([2])).decode()
    document["accessors"].append(target)
    document["buffers"].append(
        {"uri": f"data:application/octet-stream;base64,{extra}", "byteLength": 1}
    )
    document["bufferViews"].append({"buffer": 1, "byteLength": 1})
    [primitive] = document["meshes"][0]["primitives"]
    primitive["targets"] = [{"POSITION": 4}]
    document["nodes"] = [
        {"mesh": 0, "translation": [0, 0, 1]},
        {"children": [0], "scale": [2, 2, 2]},
        {"children": [1], "matrix": np.diag([1, -1, 1, 1]).ravel().tolist()},
    ]
    document["scenes"] = [{"nodes": [2]}]
    mesh = animated(document, tmp_path)
    x, y, z = mesh.vertices("animation_0", 0.5)[2]
    # (0, 1, 0 + 0.5 * 5), one farther, doubled, y mirrored; then with z up.
    assert (x, y, z) == pytest.approx((0, -7, -2))


def test_a_flattened_file_knows_its_vertices(animated_files: Path) -> None:
    gltf = read(animated_files / "all.glb")
    mesh = AnimatedMesh(gltf)
    document, data = flattened(gltf, mesh)
    assert [*np.frombuffer(data, "<f4")] == [*range(mesh.count)]
    assert "skins" not in document and "animations" not in document
    for entry in document["meshes"]:
        for primitive in entry["primitives"]:
            names = {*primitive["attributes"]}
            assert {"POSITION", "NORMAL", NUMBER} <= names
            assert not any(name.startswith(("JOINTS", "_ID")) for name in names)
            assert "targets" not in primitive


KEYS = [0.0, 1.0]
MOVES = [[0, 0, 0], [1, 1, 1]]
IDENTITY = tuple(np.eye(4).ravel())


def skinned(
    weights: Any = ((1, 0, 0, 0),) * 3,
    followed: int = 0,
    matrices: Any = (IDENTITY,),
    joints: Any = (0,),
) -> dict[str, Any]:
    document = still(KEYS, MOVES, weights, matrices, **clip("translation"))
    packed = base64.b64encode(struct.pack("<12B", *[followed, 0, 0, 0] * 3)).decode()
    uri = f"data:application/octet-stream;base64,{packed}"
    document["buffers"].append({"uri": uri, "byteLength": 12})
    document["bufferViews"].append({"buffer": 1, "byteLength": 12})
    document["accessors"].append(
        {"bufferView": 5, "componentType": 5121, "count": 3, "type": "VEC4"}
    )
    [primitive] = document["meshes"][0]["primitives"]
    primitive["attributes"] |= {"JOINTS_0": 5, "WEIGHTS_0": 3}
    document["skins"] = [{"joints": [*joints], "inverseBindMatrices": 4}]
    document["nodes"] = [{"children": [1]}, {"mesh": 0, "skin": 0}]
    return document


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    document = still(KEYS, MOVES, **clip("translation"))
    change(document)
    return document


def twice(document: dict[str, Any]) -> None:
    [animation] = document["animations"]
    animation["channels"] *= 2


DAMAGED: dict[str, tuple[dict[str, Any], str]] = {
    "keys_nan": (
        still([0, np.nan], MOVES, **clip("translation")),
        "clip 'animation_0' has keyframes that are not finite",
    ),
    "values_inf": (
        still(KEYS, [[0, 0, 0], [0, np.inf, 0]], **clip("translation")),
        "clip 'animation_0' has keyframes that are not finite",
    ),
    "times_back": (
        still([1, 0], MOVES, **clip("translation")),
        "clip 'animation_0' has times that do not increase, of node 0",
    ),
    "times_equal": (
        still([1, 1], MOVES, **clip("translation")),
        "clip 'animation_0' has times that do not increase, of node 0",
    ),
    "times_huge": (
        still([0, 1e20], MOVES, **clip("translation")),
        "clip 'animation_0' has times beyond 1e+06 s",
    ),
    "few_values": (
        still(KEYS, MOVES[:1], **clip("translation")),
        "clip 'animation_0' has 2 times and 3 values of node 0's translation",
    ),
    "cubic_without_tangents": (
        still(KEYS, MOVES, **clip("translation", interpolation="CUBICSPLINE")),
        "clip 'animation_0' has 2 times and 6 values of node 0's translation",
    ),
    "interpolation": (
        still(KEYS, MOVES, **clip("translation", interpolation="BEZIER")),
        "clip 'animation_0' has the interpolation 'BEZIER'",
    ),
    "no_rotation": (
        still(KEYS, [[0, 0, 0, 0]] * 2, **clip("rotation")),
        "clip 'animation_0' has rotations of length 0",
    ),
    "other_type": (
        still(KEYS, MOVES, **clip("rotation")),
        "accessor 2 is not VEC4",
    ),
    "no_sampler": (
        changed(lambda it: it["animations"][0].update(samplers=[])),
        "IndexError: list index out of range",
    ),
    "no_node": (
        changed(lambda it: it.update(nodes=[])),
        "has 0 nodes, but refers to 0",
    ),
    "channel_twice": (changed(twice), "changes node 0's translation twice"),
    "matrix": (
        changed(lambda it: it["nodes"][0].update(matrix=np.eye(4).ravel().tolist())),
        "clip 'animation_0' moves node 0, which has a matrix",
    ),
    "cycle": (
        changed(lambda it: it.update(nodes=[{"mesh": 0, "children": [0]}])),
        "its nodes form a cycle",
    ),
    "long_cycle": (
        changed(
            lambda it: it.update(
                nodes=[{"mesh": 0}, {"children": [2]}, {"children": [1]}]
            )
        ),
        "its nodes form a cycle",
    ),
    "two_parents": (
        changed(
            lambda it: it.update(
                nodes=[{"mesh": 0}, {"children": [0]}, {"children": [0]}]
            )
        ),
        "node 0 has two parents",
    ),
    "child": (
        changed(lambda it: it["nodes"][0].update(children=[-1])),
        "has 1 nodes, but refers to -1",
    ),
    "far": (
        changed(lambda it: it["nodes"][0].update(scale=[1e308, 1e308, 1e308]))
        | {
            "nodes": [
                {"children": [1], "scale": [1e308] * 3},
                {"mesh": 0} | {"scale": [1e308] * 3},
            ]
        },
        "coordinates that are not finite",
    ),
    "animations": (
        changed(lambda it: it.update(animations=it["animations"] * 2000)),
        "has 2000 animations, at most 1024",
    ),
    "instances": (
        changed(
            lambda it: it["nodes"][0].update(
                extensions={"EXT_mesh_gpu_instancing": {"attributes": {}}}
            )
        ),
        "node 0 shows many copies of its mesh",
    ),
    "compressed": (
        changed(
            lambda it: it["meshes"][0]["primitives"][0].update(
                extensions={"KHR_draco_mesh_compression": {}}
            )
        ),
        "its meshes are compressed",
    ),
    "compressed_keys": (
        changed(
            lambda it: it["bufferViews"][1].update(
                extensions={"EXT_meshopt_compression": {}}
            )
        ),
        "its buffers are compressed",
    ),
    "joints_missing": (skinned(joints=(9,)), "has 2 nodes, but refers to 9"),
    "joint_followed": (
        skinned(followed=3),
        "mesh 0 follows joints that skin 0 lacks",
    ),
    "weights_negative": (
        skinned(weights=[[1, -1, 1, 0]] * 3),
        "mesh 0 has weights below 0 or not finite",
    ),
    "weights_none": (
        skinned(weights=[[0, 0, 0, 0]] * 3),
        "mesh 0 has vertices without weights",
    ),
    "weights_short": (
        skinned(weights=[[1, 0, 0, 0]] * 2),
        "mesh 0 has weights of other vertices",
    ),
    "matrices_few": (
        skinned(joints=(0, 1)),
        "skin 0 has 2 joints and 1 matrices",
    ),
    "matrices_nan": (
        skinned(matrices=[np.full(16, np.nan)]),
        "skin 0 has matrices that are not finite",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_animation_has_one_clear_line(tmp_path: Path, name: str) -> None:
    document, expected = DAMAGED[name]
    with pytest.raises(AssetError) as caught:
        animated(document, tmp_path).boxes()
    message = str(caught.value)
    assert message.startswith("it: ") and "\n" not in message and len(message) < 310
    assert expected in message


def test_a_sound_skin_follows_its_joint(tmp_path: Path) -> None:
    mesh = animated(skinned(weights=[[0.2, 0.2, 0, 0]] * 3), tmp_path)
    # Moved by (1, 1, 1) at the end; with z up, that is (1, -1, 1).
    moved = mesh.vertices("animation_0", 1.0) - mesh.vertices()
    assert moved == pytest.approx(np.tile([1.0, -1.0, 1.0], (3, 1)))
    rest, [described] = mesh.boxes()
    assert rest == [[0, 0, 0], [1, 1, 0]]
    assert described["bounds"] == [[0, 0, 0], [2, 2, 1]]
