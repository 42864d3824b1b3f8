"""ShapeNet's folders become a catalog, including all kinds of odd models."""

import dataclasses
import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from dyso.assets.converting import convert
from dyso.assets.items import Listing
from dyso.assets.manifest import read_catalog
from dyso.assets.shapenet import CATEGORIES, list_shapenet
from dyso.spec import Asset, Catalog, UserError
from helpers import trees


def unpacked(summary, asset_id: str) -> dict[str, bytes]:
    with tarfile.open(summary.manifest.parent / f"{asset_id}.tar.gz") as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}


def entry(summary, asset_id: str) -> dict:
    return json.loads(summary.manifest.read_text())["assets"][asset_id]


def mesh(data: bytes) -> trimesh.Trimesh:
    return trimesh.load(io.BytesIO(data), file_type="obj", process=False)


def test_the_55_categories_are_numbered_as_in_the_release() -> None:
    assert len(CATEGORIES) == 55
    assets = tuple(
        Asset(id=f"{synset}/model", category=name)
        for synset, name in CATEGORIES.items()
    )
    catalog = Catalog(name="all", manifest="", assets=assets)
    by_synset = [CATEGORIES[synset] for synset in sorted(CATEGORIES)]
    assert list(catalog.categories()) == by_synset
    assert catalog.category_ids["airplane"] == 1
    assert catalog.category_ids["chair"] == 19
    assert catalog.category_ids["washer"] == 55


def test_every_model_is_an_asset_or_named_with_a_reason(tree, shapenet) -> None:
    models = {f"{p.parent.name}/{p.name}" for p in tree.glob("*/*") if p.is_dir()}
    models = {name for name in models if not name.startswith(trees.OTHER)}
    catalog = read_catalog(str(shapenet.manifest), "FileBasedObject")
    ids = {asset.id for asset in catalog.assets}
    assert ids | shapenet.broken.keys() == models and not ids & shapenet.broken.keys()
    assert {name for name in models if "/bad_" in name} == shapenet.broken.keys()
    assert catalog.categories() == ("car", "chair", "table")
    assert shapenet.ignored.total() == 1 and shapenet.unlicensed == 0
    written = json.loads((shapenet.manifest.parent / "broken.json").read_text())
    assert written == shapenet.broken
    for name, reason in {
        "no_faces": "has no faces",
        "nan": "not finite",
        "no_size": "no size",
        "empty": "has none of models/model_normalized.obj",
    }.items():
        assert reason in shapenet.broken[f"{trees.TABLE}/bad_{name}"]


@pytest.mark.parametrize(
    "name", ["textured", "texture_missing", "texture_broken", "texture_tif"]
)
def test_bounds_have_z_up_and_are_those_of_the_mesh(shapenet, name) -> None:
    asset_id = f"{trees.CAR}/{name}"
    found = entry(shapenet, asset_id)
    np.testing.assert_allclose(
        found["kwargs"]["bounds"], [[-0.1, -0.2, -0.4], [0.1, 0.2, 0.4]], atol=1e-6
    )
    files = unpacked(shapenet, asset_id)
    np.testing.assert_allclose(
        mesh(files["visual_geometry.obj"]).bounds, found["kwargs"]["bounds"], atol=1e-6
    )
    assert found["metadata"]["category_id"] == trees.CAR
    assert found["license"] == "https://shapenet.org/terms"


def test_the_change_of_axes_does_not_mirror(shapenet) -> None:
    files = unpacked(shapenet, f"{trees.CAR}/textured")
    lines = files["visual_geometry.obj"].decode().splitlines()
    normals = [line.split()[1:] for line in lines if line.startswith("vn ")]
    vertices = [line.split()[1:] for line in lines if line.startswith("v ")]
    out = (np.array(normals, float) * np.array(vertices, float)).sum(1)
    assert (out > 0).all()
    both = mesh(files["visual_geometry.obj"])
    both.merge_vertices(merge_tex=True, merge_norm=True)
    assert both.is_volume and both.volume > 0


def test_textures_come_along_under_names_that_are_found(shapenet) -> None:
    files = unpacked(shapenet, f"{trees.CAR}/textured")
    assert b"map_Kd texture_0.png" in files["visual_geometry.mtl"]
    with Image.open(io.BytesIO(files["texture_0.png"])) as image:
        assert image.getpixel((0, 0)) == (220, 20, 20)
    # TIFF, CMYK, and named as on another file system.
    files = unpacked(shapenet, f"{trees.CAR}/texture_tif")
    assert b"map_Kd texture_0.png" in files["visual_geometry.mtl"]
    with Image.open(io.BytesIO(files["texture_0.png"])) as image:
        assert image.format == "PNG" and image.mode == "RGB"


@pytest.mark.parametrize("name", ["texture_missing", "texture_broken"])
def test_a_missing_texture_leaves_the_colour(shapenet, name) -> None:
    asset_id = f"{trees.CAR}/{name}"
    files = unpacked(shapenet, asset_id)
    assert not [file for file in files if file.startswith("texture")]
    assert b"Kd 1 1 1" in files["visual_geometry.mtl"]
    assert b"map_Kd" not in files["visual_geometry.mtl"]
    assert entry(shapenet, asset_id)["metadata"]["missing_textures"] == 1
    assert shapenet.missing_textures == 2


def test_submeshes_keep_their_materials_and_transparency(shapenet) -> None:
    files = unpacked(shapenet, f"{trees.CHAIR}/submeshes")
    text = files["visual_geometry.obj"].decode()
    used = [line for line in text.splitlines() if line.startswith("usemtl")]
    assert used == ["usemtl a", "usemtl b c", "usemtl d"]
    blocks = files["visual_geometry.mtl"].decode().split("newmtl ")[1:]
    found = {block.splitlines()[0]: block for block in blocks}
    assert "d 0.4" in found["b c"]
    # What would be invisible is shown: masks and depth have it.
    assert "\nd " not in found["a"] and "\nd " not in found["d"]


def test_a_mesh_without_materials_gets_sampled_ones(shapenet) -> None:
    catalog = read_catalog(str(shapenet.manifest), "FileBasedObject")
    textured = {asset.id: asset.textured for asset in catalog.assets}
    assert textured[f"{trees.CHAIR}/submeshes"]
    assert not textured[f"{trees.CHAIR}/no_materials"]


@pytest.mark.parametrize("name", ["huge", "tiny", "far"])
def test_odd_scales_become_plain_ones(shapenet, name) -> None:
    found = entry(shapenet, f"{trees.CHAIR}/{name}")
    low, high = np.array(found["kwargs"]["bounds"])
    np.testing.assert_allclose(high - low, [0.25, 0.5, 1], rtol=1e-6)
    np.testing.assert_allclose(high + low, 0, atol=1e-6)
    files = unpacked(shapenet, f"{trees.CHAIR}/{name}")
    drawn = mesh(files["visual_geometry.obj"]).bounds
    np.testing.assert_allclose(drawn, [low, high], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "volume"), [("inverted", 0.064), ("open", 0.064), ("stray_nan", 0.064)]
)
def test_mass_is_that_of_the_hull_where_the_mesh_encloses_nothing(
    shapenet, name, volume
) -> None:
    found = entry(shapenet, f"{trees.TABLE}/{name}")
    assert found["kwargs"]["mass"] == pytest.approx(volume)


@pytest.mark.parametrize("name", ["inverted", "open", "not_manifold", "flat"])
def test_the_collision_mesh_is_a_solid(shapenet, name) -> None:
    files = unpacked(shapenet, f"{trees.TABLE}/{name}")
    collision = mesh(files["collision_geometry.obj"])
    assert collision.is_volume and collision.volume > 0
    bounds = np.array(entry(shapenet, f"{trees.TABLE}/{name}")["kwargs"]["bounds"])
    np.testing.assert_allclose(collision.bounds, bounds, atol=1e-3)
    urdf = files["object.urdf"].decode()
    assert "collision_geometry.obj" in urdf and 'mass value="-' not in urdf
    assert entry(shapenet, f"{trees.TABLE}/{name}")["kwargs"]["mass"] > 0


def test_unused_vertices_that_are_not_finite_are_removed(shapenet) -> None:
    files = unpacked(shapenet, f"{trees.TABLE}/stray_nan")
    assert b"nan" not in files["visual_geometry.obj"]
    assert b"inf" not in files["visual_geometry.obj"]


def contents(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != "journal.jsonl")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_stopped_job_resumes_to_the_same_bytes(tree, shapenet, tmp_path) -> None:
    listing = list_shapenet(tree)

    def stop(done: int, planned: int, broken: int) -> None:
        if done >= 5:
            raise KeyboardInterrupt

    def job(**options):
        return convert(
            listing, tmp_path, name="ShapeNetCore", options={}, workers=1, **options
        )

    with pytest.raises(KeyboardInterrupt):
        job(say=stop)
    done = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.tar.gz")}
    assert 0 < len(done) < shapenet.assets
    # Killed while it wrote a line.
    with (tmp_path / "journal.jsonl").open("a") as journal:
        journal.write('{"id": "cut')
    found = job()
    assert found.made == shapenet.assets - len(done)
    assert contents(tmp_path) == contents(shapenet.manifest.parent)
    assert {p: p.stat().st_mtime_ns for p in done} == done
    assert job().made == 0
    # What is lost is made again, and nothing else.
    next(iter(done)).unlink()
    assert job().made == 1
    assert contents(tmp_path) == contents(shapenet.manifest.parent)


def test_changed_files_are_converted_again(tmp_path) -> None:
    tree = trees.Tree(tmp_path / "tree")
    folder = tree.v2(trees.CAR, "one", trees.box(1, 1, 1))
    tree.v2(trees.CAR, "bad", "v 0 0 0\n")
    out = tmp_path / "out"

    def job():
        return convert(list_shapenet(tree.root), out, name="n", options={}, workers=1)

    assert set(job().broken) == {f"{trees.CAR}/bad"}
    for mesh_file in (folder, tree.root / trees.CAR / "bad"):
        path = mesh_file / "models" / "model_normalized.obj"
        path.write_text(trees.obj(trees.box(1, 2, 1)))
        os.utime(path, ns=(1, 1))
    found = job()
    assert (found.made, found.broken) == (2, {})
    assert entry(found, f"{trees.CAR}/one")["kwargs"]["mass"] == pytest.approx(2)


def test_zip_files_and_version_1_give_the_same_assets(tmp_path) -> None:
    tree = trees.Tree(tmp_path / "tree")
    picture = "newmtl a\nKd 1 1 1\nmap_Kd ../images/texture0.png\n"
    red = {"texture0.png": trees.png((220, 20, 20))}
    tree.v2(trees.CAR, "two", trees.box(1, 2, 3), "a", mtl=picture, images=red)
    tree.v1(trees.CHAIR, "one", trees.box(1, 2, 3))
    zips = trees.zipped(tree.root, tmp_path / "zips")
    found = []
    for source in (tree.root, zips):
        out = tmp_path / f"out-{source.name}"
        listing = list_shapenet(source)
        found.append(convert(listing, out, name="n", options={}, workers=1))
    assert not found[0].broken
    assert contents(tmp_path / "out-tree") == contents(tmp_path / "out-zips")
    assert "texture_0.png" in unpacked(found[1], f"{trees.CAR}/two")
    source = entry(found[1], f"{trees.CHAIR}/one")["metadata"]["source"]
    assert source == f"ShapeNetCore.v1 {trees.CHAIR}/one"


def test_a_model_that_takes_too_long_is_broken_and_the_others_are_made(
    tree, tmp_path
) -> None:
    items = [i for i in list_shapenet(tree).items if i.id.startswith(trees.CAR)]
    pipe = tmp_path / "pipe.zip"
    os.mkfifo(pipe)
    request = {**items[0].request, "zip": str(pipe)}
    items[0] = dataclasses.replace(items[0], request=request)
    listing = Listing(items=items)
    found = convert(
        listing, tmp_path / "out", name="n", options={}, workers=1, timeout=20
    )
    assert found.broken == {items[0].id: "not done in 20 s"}
    assert found.assets == len(items) - 1


def test_other_options_and_other_folders_are_refused(shapenet, tree, tmp_path) -> None:
    listing = list_shapenet(tree)
    with pytest.raises(UserError, match="up: expected Z, got none"):
        convert(listing, shapenet.manifest.parent, name="n", options={"up": "Z"})
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(UserError, match="did not make"):
        convert(listing, tmp_path, name="n", options={})


def test_a_folder_without_models_is_a_one_line_error(tmp_path) -> None:
    with pytest.raises(UserError, match="no models in it; expected SYNSET/MODEL"):
        list_shapenet(tmp_path)
    with pytest.raises(UserError, match="No such file"):
        list_shapenet(tmp_path / "none")
    (tmp_path / f"{trees.CAR}.zip").write_bytes(b"no zip")
    with pytest.raises(UserError, match="cannot be read"):
        list_shapenet(tmp_path)
