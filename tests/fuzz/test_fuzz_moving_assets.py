"""Animated glTF files and URDF robots, damaged at random, raise one kind of error."""

import json
import struct
from pathlib import Path

import hypothesis
import pybullet_data
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyso.worker.convert_urdf import convert_urdf
from dyso.worker.errors import AssetError
from dyso.worker.gltf_animation import AnimatedMesh, flattened
from dyso.worker.untrusted_gltf import read_gltf
from helpers.hostile_input import damaged, edited

# Fixtures are shared by all examples: nothing of them is changed.
SETTINGS = hypothesis.settings(
    max_examples=150,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
DATA = Path(pybullet_data.getDataPath())
ROBOT = (DATA / "r2d2.urdf").read_bytes()


def parsed(data: bytes) -> tuple[dict, bytes]:
    length = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def joined(text: bytes, chunk: bytes) -> bytes:
    return b"".join(
        (
            struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(chunk)),
            struct.pack("<I4s", len(text), b"JSON") + text,
            struct.pack("<I4s", len(chunk), b"BIN\0") + chunk,
        )
    )


@SETTINGS
@given(st.sampled_from(["arm", "cubic", "face", "nodes"]), st.data())
def test_damaged_animations(animated_files: Path, tmp_path: Path, name, data) -> None:
    document, chunk = parsed((animated_files / f"{name}.glb").read_bytes())
    text = data.draw(edited(document) | st.just(json.dumps(document).encode()))
    path = tmp_path / "it.glb"
    path.write_bytes(joined(text, data.draw(st.just(chunk) | damaged(chunk))))
    try:
        gltf = read_gltf("it", path, tmp_path, path.read_bytes())
        mesh = AnimatedMesh(gltf)
        mesh.boxes()
        flattened(gltf, mesh)
    except AssetError as error:
        assert "\n" not in str(error) and len(str(error)) < 310


# trimesh warns of shapes without an area, which damaged scales make.
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@SETTINGS
@given(damaged(ROBOT))
def test_damaged_robots(tmp_path: Path, text: bytes) -> None:
    for mesh in DATA.glob("l_finger*.stl"):
        if not (tmp_path / mesh.name).exists():
            (tmp_path / mesh.name).write_bytes(mesh.read_bytes())
    path = tmp_path / "it.urdf"
    path.write_bytes(text)
    try:
        convert_urdf("it", path, tmp_path)
    except AssetError as error:
        assert "\n" not in str(error) and len(str(error)) < 310
