"""Hostile and broken assets: each is named, and the worker renders the next scene."""

import base64
import dataclasses
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import threading
import zlib
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from dyso.assets.manifest import read_catalog
from dyso.pipeline.scenes import SceneMaker
from dyso.render import Renderer, RenderError
from dyso.sampling import sample_scene
from dyso.spec import ResolvedSpec
from dyso.storage import open_folder
from helpers import emulators

pytestmark = pytest.mark.slow

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"
FACE = "vt 0 0\nusemtl a\nf 1/1 2/1 3/1\n"
OBJ = (TRIANGLE + FACE).encode()

Files = dict[str, bytes]


def png(width: int, height: int, color: int = 90) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (color,) * 3).save(file, "PNG")
    return file.getvalue()


def png_head(width: int, height: int) -> bytes:
    """A small PNG whose header claims a large size."""
    data = bytearray(png(4, 4))
    data[16:24] = struct.pack(">II", width, height)
    checksum = zlib.crc32(bytes(data[12:29]))
    data[29:33] = struct.pack(">I", checksum)
    return bytes(data)


def exr(folder: Path, *values: float) -> bytes:
    pixels = np.full((8, 16, 3), 0.5, np.float32)
    pixels.ravel()[: len(values)] = values
    header = {"compression": OpenEXR.NO_COMPRESSION, "type": OpenEXR.scanlineimage}
    path = folder / "made.exr"
    OpenEXR.File(header, {"RGB": pixels}).write(str(path))
    return path.read_bytes()


def with_window(data: bytes, side: int) -> bytes:
    """The EXR with another data window."""
    at = data.index(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
    return data[:at] + struct.pack("<4i", 0, 0, side - 1, side - 1) + data[at + 16 :]


def gltf(
    positions=((0, 0, 0), (1, 0, 0), (0, 1, 0)),
    indices=(0, 1, 2),
    count: int | None = None,
    uri: str | None = None,
) -> bytes:
    points = np.array(positions, "<f4").tobytes()
    data = points + np.array(indices, "<u4").tobytes()
    uri = uri or "data:;base64," + base64.b64encode(data).decode()
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"componentType": 5126, "count": count or len(positions), "type": "VEC3"},
            {"bufferView": 1, "componentType": 5125, "count": 3, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteLength": len(points)},
            {"buffer": 0, "byteOffset": len(points), "byteLength": 12},
        ],
        "buffers": [{"uri": uri, "byteLength": len(data)}],
    }
    if count is None:
        document["accessors"][0]["bufferView"] = 0
    return json.dumps(document).encode()


def with_more(**more: object) -> bytes:
    """A glTF with other or further tables; accessors are added to those it has."""
    document = json.loads(gltf())
    document["accessors"] += more.pop("accessors", [])
    return json.dumps(document | more).encode()


def many(count: int, kind: str) -> dict:
    """An accessor of zeros."""
    return {"componentType": 5126, "count": count, "type": kind}


def glb(text: bytes) -> bytes:
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON")
    return head + text


MOVES = [{"samplers": [{"input": 2, "output": 3}], "channels": [
    {"sampler": 0, "target": {"node": 0, "path": "translation"}}
]}]  # fmt: skip
PLACED = {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 2}}}
ONE = {"attributes": {"POSITION": 0}, "indices": 1}
OUT = "../" * 12


# Blender may hang when such a process ends in the ordinary way.
TRAP = """
import os, sys
import bpy
text = bpy.data.texts.new("trap.py")
text.from_string(f"open({sys.argv[1]!r}, 'w').write('ran')")
text.use_module = True
cube = bpy.data.objects.new("cube", bpy.data.meshes.new("cube"))
bpy.context.scene.collection.objects.link(cube)
driver = cube.driver_add("location", 0).driver
driver.type = "SCRIPTED"
driver.expression = f"__import__('pathlib').Path({sys.argv[1]!r}).write_text('ran')"
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[2])
os._exit(0)
"""
OPEN = """
import os, sys
import bpy
bpy.ops.wm.open_mainfile(filepath=sys.argv[1], use_scripts=True)
os._exit(0)
"""


def python(script: str, *arguments: object) -> None:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    subprocess.run(command, check=True, timeout=120, capture_output=True)


class Shelf:
    """A folder of archives with its two manifests."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.assets: dict[str, dict] = {}

    def add(self, name: str, files: Files | None, **entry: object) -> None:
        """Adds an asset; `files` of None adds no archive."""
        hdri = name.startswith("sky")
        file = next(iter(files or {"m.obj": b""}))
        kwargs = (
            {"filename": f"{{asset_dir}}/{file}"}
            if hdri
            else {
                "render_filename": f"{{asset_dir}}/{file}",
                "bounds": [[0, 0, 0], [1, 1, 0]],
            }
        )
        kind = "Texture" if hdri else "FileBasedObject"
        self.assets[name] = {"asset_type": kind, "kwargs": kwargs} | entry
        if files is not None:
            infos = []
            for inner, data in files.items():
                info = tarfile.TarInfo(inner)
                info.size = len(data)
                infos.append((info, data))
            self.archive(name, *infos)

    def archive(self, name: str, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
        path = self.folder / f"{name}.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for info, data in members:
                tar.addfile(info, io.BytesIO(data))
        return path

    def write(self) -> Path:
        path = self.folder / "manifest.json"
        text = json.dumps({"name": "../../shelf", "assets": self.assets})
        path.write_text(text)
        return path


def entry(kind: bytes, name: str = "extra", **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in fields.items():
        setattr(info, key, value)
    return info


# What is wrong, by the asset's name.
MESHES: dict[str, tuple[Files, str]] = {
    "far": ({"m.obj": OBJ.replace(b"v 1 0 0", b"v 1e38 0 0")}, "no size between"),
    "tiny": ({"m.obj": OBJ.replace(b" 1", b" 1e-40")}, "no size between"),
    "library_outside": (
        {"m.obj": b"mtllib ../../../../../../../../../../dev/zero\n" + OBJ},
        "refers to .* outside",
    ),
    "library_joined": (
        {"m.obj": b"mtllib \\\n../../../../../../../../../../dev/zero\n" + OBJ},
        "refers to .* outside",
    ),
    "texture_outside": (
        {"m.obj": b"mtllib m.mtl\n" + OBJ, "m.mtl": b"newmtl a\nmap_Kd ../../s.png\n"},
        "refers to .*s.png.*outside",
    ),
    "texture_huge": (
        {
            "m.obj": b"mtllib m.mtl\n" + OBJ,
            "m.mtl": b"newmtl a\nmap_Kd t.png\n",
            "t.png": png_head(60000, 60000),
        },
        "too large an image|more than",
    ),
    "texture_no_image": (
        {
            "m.obj": b"mtllib m.mtl\n" + OBJ,
            "m.mtl": b"newmtl a\nmap_Kd t.png\n",
            "t.png": b"not an image",
        },
        "cannot be read as an image",
    ),
    # Blender joins lines over blanks: this is a folder `a   ..`, and leads out of it.
    "library_joined_over_blanks": (
        {"m.obj": b"mtllib a\\ \n../../../x.mtl\n" + OBJ, "a   ../y": b""},
        "refers to .* outside",
    ),
    "texture_absolute": (
        {"m.obj": b"mtllib m.mtl\n" + OBJ, "m.mtl": b"newmtl a\nmap_Kd /dev/zero\n"},
        "refers to '/dev/zero', outside",
    ),
    # Of no suffix, it was looked at as OBJ, and imported as glTF.
    ".gltf": (
        {".gltf": gltf(uri=f"{OUT}etc/passwd")},
        "'.gltf' is not OBJ or glTF; expected .glb, .gltf, .obj",
    ),
    "no_suffix": ({"mesh": OBJ}, "'mesh' is not OBJ or glTF"),
    "glb_as_obj": ({"m.obj": glb(gltf())}, "'m.obj' is a .glb by content"),
    "glb_as_gltf": ({"m.gltf": glb(gltf())}, "'m.gltf' is a .glb by content"),
    "gltf_as_glb": ({"m.glb": gltf()}, "'m.glb' is not a binary glTF"),
    "gltf_image_outside": (
        {"m.gltf": with_more(images=[{"uri": f"{OUT}dev/zero"}])},
        "refers to .* outside",
    ),
    "gltf_image_long": (
        {"m.gltf": with_more(images=[{"uri": "../" + "n" * 5000}])},
        "refers to '../nnn.*[.]{3}, outside its folder",
    ),
    "gltf_buffer_long": ({"m.gltf": gltf(uri="n" * 5000)}, "has no file 'nnn"),
    "gltf_nodes": (
        {"m.gltf": with_more(nodes=[{"mesh": 0}] * 20000)},
        "has 20000 nodes and instances, at most 16384",
    ),
    "gltf_instances": (
        {
            "m.gltf": with_more(
                nodes=[{"mesh": 0, "extensions": PLACED}],
                extensionsUsed=list(PLACED),
                accessors=[many(10**6, "VEC3")],
            )
        },
        "has 1000001 nodes and instances",
    ),
    "gltf_joints": (
        {
            "m.gltf": with_more(
                nodes=[{"mesh": 0, "skin": 0}, {}], skins=[{"joints": [1] * 10**6}]
            )
        },
        "has 1000000 joints, at most 4096",
    ),
    "gltf_joint_matrices": (
        {
            "m.gltf": with_more(
                nodes=[{"mesh": 0, "skin": 0}, {}],
                skins=[{"joints": [1], "inverseBindMatrices": 2}],
                accessors=[many(25 * 10**6, "MAT4")],
            )
        },
        "has 25000000 joints",
    ),
    "gltf_keys": (
        {
            "m.gltf": with_more(
                animations=MOVES,
                accessors=[many(8 * 10**6, "SCALAR"), many(8 * 10**6, "VEC3")],
            )
        },
        "has 8000000 animation keys, at most 1048576",
    ),
    "gltf_targets": (
        {
            "m.gltf": with_more(
                meshes=[{"primitives": [{**ONE, "targets": [{"POSITION": 0}] * 10**5}]}]
            )
        },
        "has 100000 morph targets",
    ),
    "gltf_materials": (
        {"m.gltf": with_more(materials=[{}] * 10**4)},
        "has 10000 materials",
    ),
    "gltf_scenes": ({"m.gltf": with_more(scenes=[{}] * 10**4)}, "has 10000 scenes"),
    "gltf_buffers": (
        {"m.gltf": with_more(buffers=[{"uri": "m.gltf"}] * 10**4)},
        "has 10000 buffers",
    ),
    "gltf_buffer_bytes": (
        {
            "m.gltf": with_more(buffers=[{"uri": "zeros"}] * 1025),
            "zeros": bytes(1 << 20),
        },
        "has 1074790400 bytes of buffers",
    ),
    "obj_materials": (
        {"m.obj": OBJ + b"".join(b"usemtl %d\n" % i for i in range(5000))},
        "has 5001 materials, at most 4096",
    ),
    "obj_libraries": (
        {"m.obj": OBJ + b"".join(b"mtllib %s\n" % (b"./" * i) for i in range(300))},
        "has 301 libraries, at most 256",
    ),
    "obj_library_bytes": (
        {"m.obj": b"mtllib m.mtl\n" + OBJ, "m.mtl": b"# it\n" * (4 << 20)},
        "bytes of materials",
    ),
    "gltf_no_json": ({"m.glb": b"glTF nothing"}, "is no glTF"),
    "gltf_empty": ({"m.gltf": b""}, "is no glTF"),
    "gltf_nested": ({"m.gltf": b"[" * 100000}, "is no glTF"),
    "gltf_nan": (
        {"m.gltf": gltf(((0, 0, 0), (np.nan, 0, 0), (0, 1, 0)))},
        "not finite",
    ),
    "gltf_indices": ({"m.gltf": gltf(indices=(0, 1, 1 << 30))}, "cannot be read|faces"),
    "gltf_flat": ({"m.gltf": gltf(indices=(0, 0, 0))}, "no faces|no size"),
    "gltf_many": ({"m.gltf": gltf(count=10**10)}, "corners"),
    "gltf_outside": (
        {"m.gltf": gltf(uri="%2e%2e/" * 12 + "dev/zero")},
        "refers to .* outside",
    ),
    "gltf_disguised": (
        {"m.gltf": gltf(uri="data:/../" + "../" * 12 + "dev/zero")},
        "refers to .* outside",
    ),
}
SKIES: dict[str, str] = {
    "sky_nan": "not finite",
    "sky_inf": "not finite",
    "sky_black": "black",
    "sky_text": "cannot be read as an image",
    "sky_empty": "cannot be read as an image",
    "sky_cut": "cannot be read",
    "sky_huge_png": "too large an image|more than",
    "sky_huge_exr": "more than",
    "sky_huge_hdr": "more than",
}


@pytest.fixture(scope="module")
def trap(tmp_path_factory) -> tuple[Path, Path]:
    """A .blend file with scripts, and the file that they write."""
    folder = tmp_path_factory.mktemp("trap")
    blend, sprung = folder / "trap.blend", folder / "sprung"
    python(TRAP, sprung, blend)
    sprung.unlink(missing_ok=True)
    return blend, sprung


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, trap) -> Shelf:
    folder = tmp_path_factory.mktemp("shelf")
    shelf = Shelf(folder)
    shelf.add("good", {"m.obj": OBJ})
    shelf.add("good_gltf", {"m.gltf": gltf()})
    shelf.add("good_glb", {"M.GLB": glb(gltf())})
    shelf.add("good_upper", {"M.OBJ": OBJ})
    # Of a name that no file system takes: it is missing, as any other may be.
    long = {"m.mtl": b"newmtl a\nmap_Kd " + b"n" * 5000 + b"\n"}
    text = b"mtllib m.mtl\nmtllib " + b"n" * 5000 + b"\n" + OBJ
    shelf.add("good_long_names", {"m.obj": text, **long})
    os.mkfifo(folder / "pipe")
    piped = b"newmtl a\nmap_Kd %s\n" % os.fsencode(folder / "pipe")
    shelf.add("texture_pipe", {"m.obj": b"mtllib m.mtl\n" + OBJ, "m.mtl": piped})
    picture = {"m.mtl": b"newmtl a\nmap_Kd images/t.png\n", "images/t.png": png(4, 4)}
    shelf.add("good_textured", {"m.obj": b"mtllib m.mtl\n" + OBJ, **picture})
    missing = {"m.mtl": b"newmtl a\nmap_Kd t.png\n"}
    shelf.add("texture_missing", {"in/m.obj": b"mtllib ../m.mtl\n" + OBJ, **missing})
    for name, (files, _) in MESHES.items():
        shelf.add(name, files)
    blend = trap[0].read_bytes()
    shelf.add("blend", {"m.blend": blend})
    shelf.add("blend_as_obj", {"m.obj": blend})
    shelf.add("blend_as_gltf", {"m.glb": blend})
    shelf.add("sky", {"h.png": png(16, 8)})
    good = exr(folder)
    skies = {
        "sky_nan": {"h.exr": exr(folder, np.nan)},
        "sky_inf": {"h.exr": exr(folder, np.inf)},
        "sky_black": {"h.png": png(16, 8, 0)},
        "sky_text": {"h.hdr": b"not an image"},
        "sky_empty": {"h.exr": b""},
        "sky_cut": {"h.exr": good[:200]},
        "sky_huge_png": {"h.png": png_head(60000, 60000)},
        "sky_huge_exr": {"h.exr": with_window(good, 60000)},
        "sky_huge_hdr": {"h.hdr": b"#?RADIANCE\n\n-Y 60000 +X 60000\n" + bytes(99)},
    }
    for name, files in skies.items():
        shelf.add(name, files)
    # What the manifest itself says.
    (folder / "folder.tar.gz").mkdir()
    os.mkfifo(folder / "pipe.tar.gz")
    for name in ("folder", "pipe", "absent"):
        shelf.add(name, None)
    shelf.add("path_outside", {"m.obj": OBJ}, path="../../good.tar.gz")
    shelf.add("path_device", {"m.obj": OBJ}, path="/dev/zero")
    shelf.add("path_list", {"m.obj": OBJ}, path=["good.tar.gz"])
    shelf.add("../../outside", None)
    for name, file in {
        "file_outside": "{asset_dir}/../../s.png",
        "file_absolute": "/etc/passwd",
        "file_missing": "{asset_dir}/n.obj",
        "file_none": None,
        "file_folder": "{asset_dir}/",
    }.items():
        shelf.add(name, {"m.obj": OBJ}, kwargs={"render_filename": file})
    shelf.add("kwargs_list", {"m.obj": OBJ}, kwargs=[])
    axes = {"axis_forward": "Y", "axis_up": "-Y"}
    kwargs = {"render_filename": "{asset_dir}/m.obj", "render_import_kwargs": axes}
    shelf.add("axes", {"m.obj": OBJ}, kwargs=kwargs)
    shelf.add("checksum_wrong", {"m.obj": OBJ}, metadata={"sha256": "0" * 64})
    shelf.add("checksum_path", {"m.obj": OBJ}, metadata={"sha256": "../../evil"})
    shelf.add("bare_name", {"m.obj": OBJ}, kwargs={"render_filename": "m.obj"})
    shelf.add("metadata_list", {"m.obj": OBJ}, metadata=[1])
    shelf.assets["entry_text"] = "text"  # type: ignore[assignment]
    # What Kubric would take from a manifest, and nothing here needs.
    kwargs = {"render_filename": "{asset_dir}/m.obj", "scale": [9, 9, 9], "evil": 1}
    shelf.add("more_kwargs", {"m.obj": OBJ}, kwargs=kwargs)
    content = hashlib.sha256(b"m.obj\0%d\0" % len(OBJ) + OBJ).hexdigest()
    shelf.add("checksum_of_content", {"m.obj": OBJ}, metadata={"sha256": content})
    shelf.add("checksum_of_archive", {"m.obj": OBJ})
    data = (folder / "checksum_of_archive.tar.gz").read_bytes()
    checksum = {"sha256": hashlib.sha256(data).hexdigest()}
    shelf.assets["checksum_of_archive"]["metadata"] = checksum
    (folder / "s.png").write_bytes(png(4, 4))
    shelf.write()
    return shelf


@pytest.fixture(scope="module", autouse=True)
def own_cache(starter, tmp_path_factory):
    """Keeps broken assets out of other tests' caches; has the starter assets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def worker(shelf):
    manifest = shelf.folder / "manifest.json"
    with Renderer(objects=manifest, backgrounds=manifest, timeout=60) as renderer:
        yield renderer


@pytest.fixture(scope="module")
def render(worker, starter: ResolvedSpec):
    def render(object_id: str, hdri: str = "sky"):
        scene = sample_scene(starter, "train", 0)
        item = dataclasses.replace(scene.objects[0], asset_id=object_id)
        background = dataclasses.replace(scene.background, asset_id=hdri)
        cameras = scene.cameras[:1]
        return worker.render(
            dataclasses.replace(
                scene, objects=(item,), background=background, cameras=cameras
            )
        )

    return render


def assert_named(worker, render, message: str, *names: str) -> None:
    """Checks that the error names the asset, and that the worker survives."""
    render("good")
    process = worker._worker
    with pytest.raises(RenderError, match=message) as caught:
        render(*names)
    assert (caught.value.reason, caught.value.asset) == ("asset", names[-1])
    assert worker._worker is process
    assert render("good").color.any()


@pytest.mark.parametrize("name", MESHES)
def test_a_bad_mesh_is_named(worker, render, name) -> None:
    assert_named(worker, render, MESHES[name][1], name)


def test_a_pipe_is_never_opened(worker, render, shelf) -> None:
    """A pipe can be opened for writing only if a process has opened it for reading."""
    opened = threading.Event()

    def write() -> None:
        with (shelf.folder / "pipe").open("wb"):
            opened.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert_named(worker, render, "refers to .*pipe', outside", "texture_pipe")
        assert not opened.is_set()
    finally:
        os.close(os.open(shelf.folder / "pipe", os.O_RDONLY | os.O_NONBLOCK))
        thread.join(10)


@pytest.mark.parametrize("name", SKIES)
def test_a_bad_hdri_is_named(worker, render, name) -> None:
    assert_named(worker, render, SKIES[name], "good", name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "is not a file|there is no"),
        ("pipe", "is not a file|there is no"),
        ("absent", "there is no absent.tar.gz"),
        ("path_outside", "outside the data folder"),
        ("path_device", "outside the data folder"),
        ("path_list", "outside the data folder"),
        ("../../outside", "outside the data folder"),
        ("file_outside", "outside its folder"),
        ("file_absolute", "outside its folder"),
        ("file_missing", "has no file 'n.obj'"),
        ("file_none", "not a name such as"),
        ("file_folder", "has no file"),
        ("kwargs_list", "has no kwargs"),
        ("entry_text", "has no kwargs"),
        ("axes", "not two axes"),
        ("checksum_wrong", "sha256 is not the manifest's"),
        ("checksum_path", "sha256 is .*, not one"),
    ],
)
def test_paths_in_a_manifest_stay_in_its_folder(worker, render, name, message) -> None:
    assert_named(worker, render, message, name)


@pytest.mark.parametrize("name", ["blend", "blend_as_obj", "blend_as_gltf"])
def test_no_script_of_a_blend_file_ever_runs(worker, render, trap, name) -> None:
    assert_named(worker, render, "not OBJ|no mesh|no faces|is not a binary glTF", name)
    assert not trap[1].exists()


def test_the_trap_springs_where_scripts_are_allowed(trap, tmp_path) -> None:
    python(OPEN, trap[0])
    assert trap[1].exists()
    trap[1].unlink()


@pytest.mark.parametrize(
    "name",
    [
        "good_gltf",
        "good_glb",
        "good_upper",
        "good_textured",
        "good_long_names",
        "texture_missing",
        "bare_name",
    ],
)
def test_valid_assets_render(render, name) -> None:
    assert (render(name).instance == 1).any()


@pytest.mark.parametrize(
    "name", ["checksum_of_content", "checksum_of_archive", "metadata_list"]
)
def test_a_checksum_that_holds_is_taken(render, name) -> None:
    assert render(name).color.any()


def test_only_the_mesh_is_taken_from_a_manifest(render) -> None:
    np.testing.assert_array_equal(
        render("more_kwargs").instance, render("good").instance
    )


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_assets_come_from_a_bucket(
    shelf, starter, servers, monkeypatch, scheme
) -> None:
    emulators.speak_to(monkeypatch, scheme, servers(scheme))
    bucket = open_folder(f"{scheme}://{emulators.BUCKET}/assets")
    names = ("good", "sky", "texture_huge")
    entries = {name: shelf.assets[name] for name in (*names, "absent")}
    for name in names:
        data = (shelf.folder / f"{name}.tar.gz").read_bytes()
        bucket.write(f"{name}.tar.gz", data)
    manifest = {"name": "in a bucket", "assets": entries}
    bucket.write("manifest.json", json.dumps(manifest).encode())
    bucket.write(
        "gone.json", json.dumps(manifest | {"data_dir": f"{scheme}://none"}).encode()
    )
    location = f"{bucket}/manifest.json"
    assert len(read_catalog(location, "FileBasedObject").assets) == 3
    scene = sample_scene(starter, "train", 0)
    background = dataclasses.replace(scene.background, asset_id="sky")

    def of(name: str):
        item = dataclasses.replace(scene.objects[0], asset_id=name)
        return dataclasses.replace(scene, objects=(item,), background=background)

    with Renderer(objects=location, backgrounds=location, timeout=60) as renderer:
        assert (renderer.render(of("good")).instance == 1).any()
        bucket.remove("good.tar.gz")
        # It is in the cache only if it is asked for by its checksum.
        for name in ("absent", "texture_huge", "good"):
            with pytest.raises(RenderError) as caught:
                renderer.render(of(name))
            assert (caught.value.reason, caught.value.asset) == ("asset", name)
    # A bucket that fails says nothing of the asset.
    gone = f"{bucket}/gone.json"
    with Renderer(objects=gone, backgrounds=gone, timeout=60) as renderer:
        with pytest.raises(RenderError) as caught:
            renderer.render(of("good"))
        assert (caught.value.reason, caught.value.asset) == ("storage", "")


def test_nothing_is_left_outside_the_scratch_folder(render, shelf) -> None:
    """The name of the manifest is untrusted, too."""
    render("good")
    beside = {path.name for path in shelf.folder.parent.iterdir()}
    assert not [name for name in beside if name.startswith("shelf") and "-" in name]


def test_a_scene_with_a_bad_asset_is_made_under_the_next_attempt(
    shelf, starter: ResolvedSpec, tmp_path
) -> None:
    """Half of the objects are broken: all scenes are made, and these are named."""
    few = Shelf(shelf.folder)
    names = ("good", "gltf_nan", "texture_huge", "absent")
    few.assets = {name: shelf.assets[name] for name in names}
    for hdri in ("sky", "sky_nan"):
        few.assets[hdri] = shelf.assets[hdri]
    path = shelf.folder / "few.json"
    path.write_text(json.dumps({"name": "few", "assets": few.assets}))
    spec = dataclasses.replace(
        starter.spec,
        splits={"train": 8},
        objects=dataclasses.replace(starter.spec.objects, held_out=0.0),
    )
    resolved = dataclasses.replace(
        starter,
        spec=spec,
        objects=read_catalog(str(path), "FileBasedObject"),
        backgrounds=read_catalog(str(path), "Texture"),
    )
    with Renderer(objects=path, backgrounds=path, timeout=60) as renderer:
        maker = SceneMaker(resolved, renderer)
        made = [maker.record("train", index) for index in range(8)]
        assert renderer._worker is not None
        assert renderer._worker.served >= 8 + len(maker.retries)
    bad = {"gltf_nan", "texture_huge", "absent", "sky_nan"}
    failed = [*maker.failures, *maker.retries]
    assert {failure.asset for failure in failed} <= bad
    assert {failure.reason for failure in failed} == {"asset"}
    assert made.count(None) == len(maker.failures)
    assert sum(record is not None for record in made) >= 3
    assert len(maker.retries) >= 3
