"""Files that cannot be used are listed as broken, and the rest is converted."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import trimesh

from dyso.assets.converting import convert
from dyso.assets.shapenet import list_shapenet
from helpers import trees

BOX = trees.box(0.2, 0.8, 0.4)
TEXT = trees.obj(BOX, "a", library="m.mtl")
LONG = "n" * 5000


def dyso(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [Path(sys.executable).with_name("dyso"), "assets", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def broken(folder: Path, out: str) -> dict[str, str]:
    return json.loads((folder / out / "broken.json").read_text())


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A folder `meshes` of good meshes and bad ones."""
    base = tmp_path_factory.mktemp("faults")
    folder = base / "meshes"
    for name, data in {
        "good/plain.obj": TEXT,
        "good/m.mtl": "newmtl a\nKd 1 0 0\n",
        "long_library/m.obj": TEXT.replace("m.mtl", LONG),
        "long_texture/m.obj": TEXT,
        "long_texture/m.mtl": f"newmtl a\nmap_Kd {LONG}\nmap_Ks m.obj/x.png\n",
        "file_as_folder/m.obj": TEXT.replace("m.mtl", "m.obj/m.mtl"),
        "bad/uri.gltf": json.dumps({"buffers": [{"uri": LONG, "byteLength": 4}]}),
        "bad/inside_file.gltf": json.dumps({"buffers": [{"uri": "uri.gltf/x"}]}),
        f"bad/{'n' * 250}.obj": TEXT,
        "bad/line\nfeed.obj": TEXT,
        "bad/not_glb.glb": "{}",
        "bad/is_glb.obj": "glTF",
        "other/a.stl": "solid",
        "other/b.STL": "solid",
        "other/c.ply": "ply",
        "other/.hidden.ply": "ply",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(data)
    (folder / "good" / "packed.GLB").write_bytes(
        trimesh.Scene(BOX).export(file_type="glb")
    )
    secret = base / "secret.bin"
    secret.write_bytes(bytes(99))
    (folder / "bad" / "link.bin").symlink_to(secret)
    linked = {"buffers": [{"uri": "link.bin", "byteLength": 36}]}
    (folder / "bad" / "linked.gltf").write_text(json.dumps(linked))
    os.mkfifo(folder / "bad" / "pipe.bin")
    piped = {"buffers": [{"uri": "pipe.bin", "byteLength": 36}]}
    (folder / "bad" / "piped.gltf").write_text(json.dumps(piped))
    return base


def test_a_relative_source_is_converted_except_for_broken_files(source) -> None:
    done = dyso(source, "meshes", "--source", "meshes", "--out", "made")
    assert done.returncode == 0, done.stderr
    assert "skipped 3 files: .stl (2), .ply (1); supported: .glb, .gltf, .obj" in (
        done.stdout
    )
    made = json.loads((source / "made" / "manifest.json").read_text())["assets"]
    assert set(made) == {
        "file_as_folder/m",
        "good/packed",
        "good/plain",
        "long_library/m",
        "long_texture/m",
    }
    assert made["long_texture/m"]["metadata"]["missing_textures"] == 2
    for name, reason in {
        "bad/uri": "has no file 'nnn",
        "bad/inside_file": "has no file 'uri.gltf/x'",
        "bad/linked": "has no file 'link.bin'",
        "bad/piped": "has no file 'pipe.bin'",
        f"bad/{'n' * 250}": "has more than 255 bytes; rename it",
        "bad/line\nfeed": "printable characters; rename the file",
        "bad/not_glb": "'not_glb.glb' is not a binary glTF",
        "bad/is_glb": "'is_glb.obj' is a .glb by content",
    }.items():
        assert reason in broken(source, "made").pop(name)
    assert len(broken(source, "made")) == 8
    assert max(map(len, broken(source, "made").values())) < 200
    assert max(map(len, done.stdout.splitlines())) < 400


def test_a_folder_of_other_formats_is_a_one_line_error(source) -> None:
    done = dyso(source, "meshes", "--source", "meshes/other", "--out", "none")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith(
        "no .glb, .gltf, .obj files in it; skipped 3 files: .stl (2), .ply (1)"
    )


def test_a_zip_with_impossible_names_is_unpacked_without_these(tmp_path) -> None:
    (tmp_path / "zips").mkdir()
    models = {
        "good": {"model.obj": TEXT},
        "long": {"model.obj": TEXT, "n" * 300: ""},
        "m" * 300: {"model.obj": TEXT},
        "folder": {"model.obj": TEXT, "a": "", "a/b": ""},
        "mesh": {"model.obj/b": "", "model.obj": TEXT},
    }
    with zipfile.ZipFile(tmp_path / "zips" / f"{trees.CAR}.zip", "w") as file:
        for model, files in models.items():
            for name, data in files.items():
                file.writestr(f"{trees.CAR}/{model}/{name}", data)
    out = tmp_path / "out"
    found = convert(
        list_shapenet(tmp_path / "zips"), out, name="n", options={}, workers=1
    )
    assert found.assets == 1
    reasons = {name.partition("/")[2]: why for name, why in found.broken.items()}
    assert set(reasons) == set(models) - {"good"}
    assert "File name too long" in reasons["long"]
    assert "printable characters" in reasons["m" * 300]
    for name in ("folder", "mesh"):
        assert "cannot be read: " in reasons[name]


def test_a_synset_that_is_a_file_is_ignored(tmp_path) -> None:
    tree = trees.Tree(tmp_path)
    tree.v1(trees.CAR, "good", BOX)
    (tmp_path / trees.TABLE).write_bytes(b"")
    assert [item.id for item in list_shapenet(tmp_path).items] == [f"{trees.CAR}/good"]
