"""Blender opens a clean copy of a mesh, equal in looks, that names no other file."""

import io
import json
import os
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import trimesh
from PIL import Image

import helpers
from dyso.assets import starter
from dyso.worker.errors import AssetError
from dyso.worker.plain_files import plain_file, read_plain
from dyso.worker.untrusted_meshes import clean_copy

BALL = trimesh.creation.icosphere(1, 0.3)
UV = np.random.default_rng(0).random((len(BALL.vertices), 2))


def picture(seed: int, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


def obj(head: str = "mtllib m.mtl\n") -> bytes:
    points = "".join(
        "v {:.6f} {:.6f} {:.6f} 0.1 0.2 0.3\n".format(*v) for v in BALL.vertices
    )
    places = "".join("vt {:.6f} {:.6f}\n".format(*uv) for uv in UV)
    half = len(BALL.faces) // 2
    first, second = (
        "".join("f " + " ".join(f"{i + 1}/{i + 1}" for i in f) + "\n" for f in part)
        for part in (BALL.faces[:half], BALL.faces[half:])
    )
    names = "o it\ng a part\ns 1\nusemtl a\n", "g other\ns off\nusemtl b c\nl 1 2\n"
    return f"{head}# it\n{points}{places}{names[0]}{first}{names[1]}{second}".encode()


MTL = b"""# it
newmtl a
Ka 0 0 0
Kd 0.8 0.7 0.6
Ks 0.3 0.3 0.3
Ns 50
Ni 1.4
illum 2
d 0.9
Tf 1 1 1
map_Kd -s 2 2 1 -clamp on sub/tex ture.png
map_Bump -bm 0.3 bump.png
map_d -o 0.1 0.2 bump.png

newmtl b c
Kd 0 1 0
Pr 0.3
map_Ke -s 2 "bump.png"
newmtl a
Kd 1 0 0
"""
PICTURES = {"sub/tex ture.png": picture(1), "bump.png": picture(2)}


def textured() -> trimesh.Scene:
    image = Image.open(io.BytesIO(picture(3)))
    shown = trimesh.visual.material.PBRMaterial(
        baseColorTexture=image, metallicFactor=0.2, roughnessFactor=0.4
    )
    ball = BALL.copy()
    ball.visual = trimesh.visual.TextureVisuals(uv=UV, material=shown)
    return trimesh.Scene(ball)


def loose() -> dict[str, bytes]:
    files = textured().export(file_type="gltf")
    document = json.loads(files.pop("model.gltf"))
    document["images"] = [{"uri": "sub/tex%20ture.png"}]
    document["buffers"][0]["uri"] = "./gltf_buffer_0.bin"
    return {"m.gltf": json.dumps(document).encode(), **files, **PICTURES}


FILES: dict[str, dict[str, bytes]] = {
    "plain": {"m.obj": obj(""), "m.mtl": MTL, **PICTURES},
    "no_library": {"m.obj": obj("mtllib none.mtl\n")},
    "libraries": {
        "m.obj": obj('mtllib "in/x y.mtl"\nmtllib m.mtl\n'),
        "in/x y.mtl": b'Kd 1 1 1\nnewmtl b c\nKd 0 0 1\nmap_Kd "x/t u.png"\n',
        "in/t u.png": picture(4),
        "m.mtl": MTL,
        **PICTURES,
    },
    "windows": {
        "m.obj": obj().replace(b"\n", b"\r\n"),
        "m.mtl": MTL.replace(b"\n", b"\r\n").replace(b"sub/", b"sub\\"),
        **PICTURES,
    },
    "continued": {"m.obj": obj().replace(b"/1 ", b"/1 \\\n "), "m.mtl": MTL},
    "tabs": {
        "m.obj": b"\xef\xbb\xbf" + obj().replace(b" 0", b"\t0"),
        "m.mtl": MTL.replace(b" 0", b"\t0"),
    },
    "base_name": {
        "m.obj": obj(),
        "m.mtl": b"newmtl a\nmap_Kd C:\\my\\t.jpg\nmap_Ks -s 1st.png\nrefl none.png\n",
        "t.jpg": picture(5, "JPEG"),
        "1st.png": picture(6),
    },
    "glb": {"m.glb": textured().export(file_type="glb")},
    "gltf": loose(),
    "gltf_no_picture": {**loose(), "sub/tex ture.png": b""},
}
STARTER = ("block", "bunny", "domino", "duck", "lego", "shape_000", "table", "wheel")


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> dict[str, list]:
    """What Blender imports from each file and from its copy."""
    base = tmp_path_factory.mktemp("meshes").resolve()
    paths = {}
    for name, files in FILES.items():
        for file, data in files.items():
            target = base / name / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        mesh = base / name / next(iter(files))
        copy = clean_copy(name, mesh, base / name, base / f"{name}_copy")
        paths[name] = (mesh, copy)
    shelf = starter.build()["FileBasedObject"].parent
    for name in STARTER:
        with tarfile.open(shelf / f"{name}.tar.gz") as tar:
            tar.extractall(base / name, filter="data")
        mesh = base / name / "visual_geometry.obj"
        paths[name] = (mesh, clean_copy(name, mesh, base / name, base / f"{name}_copy"))
    script = helpers.FOLDER / "imported_meshes.py"
    command = [
        sys.executable,
        script,
        *(path for both in paths.values() for path in both),
    ]
    done = subprocess.run(command, capture_output=True, check=True, timeout=120)
    lines = [line for line in done.stdout.splitlines() if line.startswith(b"IMPORTED")]
    found = [json.loads(line.removeprefix(b"IMPORTED")) for line in lines]
    return dict(zip(paths, zip(found[::2], found[1::2], strict=True), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", (*FILES, *STARTER))
def test_a_copy_is_imported_as_its_original(imported, name) -> None:
    original, copy = imported[name]
    assert original and original == copy


@pytest.mark.slow
def test_materials_and_pictures_are_compared(imported) -> None:
    text = json.dumps([imported["plain"][0], imported["gltf"][0]])
    assert all(f'"{name}"' in text for name in ("FILE", "a", "b c", "Mapping"))


def test_only_plain_files_inside_are_found(tmp_path) -> None:
    root = (tmp_path / "asset").resolve()
    root.mkdir()
    (root / "file").write_bytes(b"x")
    (tmp_path / "outside").write_bytes(b"x")
    os.mkfifo(root / "pipe")
    (root / "circle").symlink_to("circle")
    (root / "link").symlink_to("file")
    (root / "out").symlink_to("../outside")
    (root / "device").symlink_to("/dev/zero")
    found = {
        name
        for name in (
            "file",
            "pipe",
            "circle",
            "link",
            "out",
            "device",
            "none",
            "file/x",
        )
        if plain_file(root, root / name)
    }
    assert found == {"file", "link"}
    assert plain_file(root, root / ("n" * 5000)) is None
    assert plain_file(root, root / "a\0b") is None
    assert plain_file(root, root / "../outside") is None
    with pytest.raises(AssetError, match="'pipe' is not a plain file"):
        read_plain("it", root / "pipe")
    with pytest.raises(OSError, match="Too many levels"):
        read_plain("it", root / "link")
