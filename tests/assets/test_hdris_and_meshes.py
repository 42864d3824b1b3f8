"""Folders of HDRIs and of meshes become catalogs with licences and authors."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import trimesh

from dyso.assets.converting import Summary, convert
from dyso.assets.items import list_hdris, list_meshes, read_categories
from dyso.assets.manifest import read_catalog
from dyso.spec import UserError
from helpers import hdri_files, trees

NOBODY = {"license": "", "author": ""}
MESHES = {"up": "Y", "categories": None, **NOBODY}


def entries(summary: Summary) -> dict:
    return json.loads(summary.manifest.read_text())["assets"]


def image(summary: Summary, asset_id: str, tmp_path: Path) -> np.ndarray:
    with tarfile.open(summary.manifest.parent / f"{asset_id}.tar.gz") as tar:
        tar.extract("environment.exr", tmp_path, filter="data")
    with OpenEXR.File(str(tmp_path / "environment.exr")) as file:
        return np.asarray(file.channels()["RGB"].pixels)


@pytest.fixture(scope="module")
def hdris(tmp_path_factory) -> Summary:
    source = tmp_path_factory.mktemp("hdris")
    (source / "poly").mkdir()
    pixels = hdri_files.sky()
    hdri_files.write_hdr(source / "poly" / "packed.hdr", pixels)
    hdri_files.write_hdr(source / "flat.hdr", pixels, packed=False)
    hdri_files.write_exr(source / "plain.exr", pixels)
    hdri_files.write_exr(source / "layer.exr", pixels, "View.")
    hdri_files.write_exr(source / "bright.exr", pixels * 1000)
    dark = pixels.copy()
    dark[0, 0] = -1
    hdri_files.write_exr(source / "negative.exr", dark)
    for name, value in {"nan": np.nan, "inf": np.inf}.items():
        bad = pixels.copy()
        bad[3, 3] = value
        hdri_files.write_exr(source / f"bad_{name}.exr", bad)
    hdri_files.write_exr(source / "bad_black.exr", pixels * 0)
    hdri_files.write_exr(source / "bad_shape.exr", pixels[:50])
    hdri_files.write_exr(source / "bad_small.exr", pixels[:16, :32])
    (source / "bad_text.hdr").write_bytes(b"no picture")
    cut = (source / "poly" / "packed.hdr").read_bytes()
    (source / "bad_cut.hdr").write_bytes(cut[: len(cut) // 2])
    sidecar = {
        "authors": {"Greg Zaal": "All"},
        "license": "CC0",
        "url": "https://polyhaven.com/a/packed",
    }
    (source / "poly" / "packed.json").write_text(json.dumps(sidecar))
    (source / "license.txt").write_text("\nAll are CC-BY 4.0.\nMore.\n")
    listing = list_hdris(source, width=64, license="", author="Me")
    out = tmp_path_factory.mktemp("out")
    return convert(listing, out, name="skies", options={}, workers=1)


def test_hdris_are_reduced_and_keep_their_light(hdris, tmp_path) -> None:
    small = hdri_files.sky().reshape(32, 2, 64, 2, 3).mean((1, 3))
    for name in ("poly/packed", "flat", "plain", "layer"):
        found = image(hdris, name, tmp_path)
        assert found.shape == (32, 64, 3) and found.dtype == np.float16
        np.testing.assert_allclose(found, small, rtol=2e-3)
    bright = image(hdris, "bright", tmp_path)
    assert bright.dtype == np.float32 and bright.max() > 1e7
    assert image(hdris, "negative", tmp_path).min() >= 0


def test_hdris_that_cannot_be_used_are_named(hdris) -> None:
    for name, reason in {
        "nan": "not finite",
        "inf": "not finite",
        "black": "is black",
        "shape": "twice as wide as high",
        "small": "at least 64 pixels",
        "text": "cannot be read",
        "cut": "cannot be read",
    }.items():
        assert reason in hdris.broken.pop(f"bad_{name}")
    assert not hdris.broken


def test_licence_and_author_are_those_of_the_nearest_note(hdris) -> None:
    found = entries(hdris)
    packed = found["poly/packed"]
    assert packed["license"] == "CC0"
    assert packed["metadata"]["author"] == "Greg Zaal"
    assert packed["metadata"]["source"] == "https://polyhaven.com/a/packed"
    assert found["plain"]["license"] == "All are CC-BY 4.0."
    assert found["plain"]["metadata"]["author"] == "Me"
    assert found["plain"]["metadata"]["source"] == "plain.exr"
    catalog = read_catalog(str(hdris.manifest), "Texture")
    assert len(catalog.assets) == 6 and all(a.checksum for a in catalog.assets)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    source = tmp_path_factory.mktemp("meshes")
    box = trimesh.creation.box((0.2, 0.8, 0.4))
    colored = trimesh.visual.material.PBRMaterial(baseColorFactor=[255, 0, 0, 255])
    box.visual = trimesh.visual.TextureVisuals(material=colored)
    scene = trimesh.Scene()
    scene.add_geometry(box, transform=trimesh.transformations.scale_matrix(2))
    (source / "tool").mkdir()
    (source / "tool" / "packed.glb").write_bytes(scene.export(file_type="glb"))
    (source / "tool" / "loose").mkdir()
    for name, data in scene.export(file_type="gltf").items():
        target = source / "tool" / "loose" / name.replace("model", "scene")
        target.write_bytes(data)
    shoe = source / "shoe" / "left_shoe"
    (shoe / "meshes").mkdir(parents=True)
    (shoe / "materials" / "textures").mkdir(parents=True)
    (shoe / "materials" / "textures" / "texture.png").write_bytes(trees.png((9, 9, 9)))
    text = trees.obj(box, "m", library="model.mtl")
    (shoe / "meshes" / "model.obj").write_text(text)
    (shoe / "meshes" / "model.mtl").write_text("newmtl m\nmap_Kd texture.png\n")
    (source / "lone.obj").write_text(trees.obj(box))
    (source / "broken.glb").write_bytes(b"glTF nothing")
    outside = {"buffers": [{"uri": "../../secret.bin", "byteLength": 4}]}
    (source / "tool" / "outside.gltf").write_text(json.dumps(outside))
    return source


@pytest.fixture(scope="module")
def meshes(folder, tmp_path_factory) -> Summary:
    listing = list_meshes(folder, **MESHES)
    out = tmp_path_factory.mktemp("out")
    return convert(listing, out, name="things", options={}, workers=1)


def test_meshes_become_assets_of_their_folders_category(meshes) -> None:
    catalog = read_catalog(str(meshes.manifest), "FileBasedObject")
    assert {asset.id: asset.category for asset in catalog.assets} == {
        "lone": "object",
        "shoe/left_shoe": "shoe",
        "tool/loose": "tool",
        "tool/packed": "tool",
    }
    assert set(meshes.broken) == {"broken", "tool/outside"}
    assert "outside its folder" in meshes.broken["tool/outside"]
    sides = {a.id: np.subtract(*a.bounds[::-1]).round(5) for a in catalog.assets}
    # All have z up, whatever their file has.
    for name, size in {"lone": 1, "shoe/left_shoe": 1, "tool/loose": 2}.items():
        np.testing.assert_allclose(sides[name], np.array([0.2, 0.4, 0.8]) * size)
    np.testing.assert_allclose(sides["tool/packed"], sides["tool/loose"])


def test_textures_are_found_where_gso_has_them(meshes) -> None:
    path = meshes.manifest.parent / "shoe" / "left_shoe.tar.gz"
    with tarfile.open(path) as tar:
        assert "texture_0.png" in tar.getnames()


def test_a_gltf_brings_what_it_refers_to(meshes) -> None:
    path = meshes.manifest.parent / "tool" / "loose.tar.gz"
    with tarfile.open(path) as tar:
        names = tar.getnames()
    assert "visual_geometry.gltf" in names
    assert any(name.endswith(".bin") for name in names)


def test_obj_files_with_z_up_are_left_as_they_are(folder, tmp_path) -> None:
    listing = list_meshes(folder, **{**MESHES, "up": "Z"})
    found = convert(listing, tmp_path, name="things", options={}, workers=1)
    catalog = read_catalog(str(found.manifest), "FileBasedObject")
    lone = next(asset for asset in catalog.assets if asset.id == "lone")
    np.testing.assert_allclose(np.subtract(*lone.bounds[::-1]), [0.2, 0.8, 0.4])
    with tarfile.open(tmp_path / "lone.tar.gz") as tar:
        drawn = io.BytesIO(tar.extractfile("visual_geometry.obj").read())
    np.testing.assert_allclose(trimesh.load(drawn, file_type="obj").bounds, lone.bounds)


def test_categories_come_from_a_table(folder, tmp_path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("lone,thing\npacked,hammer\n\n")
    listing = list_meshes(folder, **{**MESHES, "categories": table})
    found = {i.id: i.entry["metadata"]["category"] for i in listing.items}
    assert (found["lone"], found["tool/packed"]) == ("thing", "hammer")
    lvis = tmp_path / "lvis.json"
    lvis.write_text(json.dumps({"mug": ["lone"], "spoon": ["packed", "other"]}))
    assert read_categories(lvis) == {"lone": "mug", "packed": "spoon", "other": "spoon"}
    lvis.write_text("[]")
    with pytest.raises(UserError, match=r"expected a \.csv of id and category"):
        read_categories(lvis)


def test_duplicate_names_and_empty_folders_are_a_one_line_error(tmp_path) -> None:
    with pytest.raises(UserError, match=r"no \.glb, \.gltf, \.obj files"):
        list_meshes(tmp_path, **MESHES)
    for name in ("one.obj", "one.glb"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match="several files would become 'one'"):
        list_meshes(tmp_path, **MESHES)
    with pytest.raises(UserError, match="no such folder"):
        list_hdris(tmp_path / "none", width=64, **NOBODY)
