"""Converts folders to catalogs with the commands, and renders a spec that uses them."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from dyso import assets
from dyso.cli.assets import hdris, prefetch, shapenet, show, verify
from dyso.render import Renderer
from dyso.sampling import sample_scene
from dyso.spec import Backgrounds, Objects, Spec, UserError
from helpers import hdri_files, trees

SPEC = """name: mine
splits: {train: 1}
resolution: [32, 32]
dynamics: {steps: 1}
cameras: {count: 1}
objects: {catalog: OBJECTS, held_out: 0.0}
backgrounds: {catalog: HDRIS, held_out: 0.0}
render: {samples: 4, denoise: false}
"""


@pytest.mark.slow
def test_shapenet_and_hdris_are_rendered(tree, tmp_path, serve, capsys) -> None:
    hdri_files.write_hdr(tmp_path / "in" / "sky.hdr", hdri_files.sky() * 0 + 0.5)
    out, skies = tmp_path / "objects", tmp_path / "skies"
    assert shapenet(source=tree, out=out) == 0
    assert hdris(source=tmp_path / "in", out=skies, license="CC0") == 0
    base = serve(skies)
    text = SPEC.replace("OBJECTS", "objects/manifest.json")
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("HDRIS", f"{base}/manifest.json"))
    resolved = assets.load(path)
    assert show(str(path)) == 0 and verify(str(path), workers=1) == 0
    assert prefetch(str(path), workers=1) == 0
    assert "category   2 chair: 5" in capsys.readouterr().out
    # What the cache has by its checksum is not asked for again.
    (skies / "sky.tar.gz").unlink()
    scene = sample_scene(resolved, "train", 0)
    pose = dataclasses.replace(scene.objects[0].poses[0], quaternion=(1, 0, 0, 0))

    with Renderer(
        objects=resolved.objects.manifest,
        backgrounds=resolved.backgrounds.manifest,
        timeout=120,
    ) as renderer:

        def seen(asset_id: str) -> tuple[np.ndarray, np.ndarray]:
            """Returns the mean colour of an object, and its sides."""
            shown = dataclasses.replace(
                scene.objects[0], asset_id=asset_id, poses=(pose,), material=None
            )
            views = renderer.render(dataclasses.replace(scene, objects=(shown,)))
            mask = views.instance[0, 0] == 1
            assert mask.sum() > 20
            return views.color[0, 0][mask].mean(0), views.sizes[0]

        for name in ("textured", "texture_tif"):
            (red, green, blue), sides = seen(f"{trees.CAR}/{name}")
            assert red > 2 * max(green, blue)
            # y was up.
            np.testing.assert_allclose(sides, [0.5, 1, 2], rtol=1e-4)
        (red, green, blue), _ = seen(f"{trees.CAR}/texture_missing")
        assert max(red, green, blue) < 1.2 * min(red, green, blue)
        for name in ("huge", "tiny", "far"):
            (red, green, _), sides = seen(f"{trees.CHAIR}/{name}")
            assert red > 2 * green
            np.testing.assert_allclose(sides, [0.5, 1, 2], rtol=1e-3)
        seen(f"{trees.TABLE}/stray_nan")


@pytest.fixture(autouse=True)
def _folder(tmp_path) -> None:
    (tmp_path / "in").mkdir()


def test_broken_assets_are_reported_with_reasons(tmp_path, capsys) -> None:
    tree = trees.Tree(tmp_path / "tree")
    tree.v2(trees.CAR, "good", trees.box(1, 1, 1))
    for number in range(3):
        tree.v2(trees.CAR, f"bad{number}", "v 0 0 0\n")
    assert shapenet(source=tree.root, out=tmp_path / "out", workers=1) == 0
    said = capsys.readouterr().out
    assert "1 assets of 1 categories" in said and "1 made now" in said
    assert f"3 broken, see {tmp_path}/out/broken.json:" in said
    assert f"  3 has no faces: {trees.CAR}/bad0 ..." in said


def test_verify_names_changed_assets(tmp_path, capsys) -> None:
    tree = trees.Tree(tmp_path / "tree")
    for name in ("one", "two", "three"):
        tree.v2(trees.CAR, name, trees.box(1, 1, 1))
    out = tmp_path / "out"
    assert shapenet(source=tree.root, out=out, workers=1) == 0
    manifest = str(out / "manifest.json")
    assert verify(manifest, workers=1) == 0
    (out / trees.CAR / "one.tar.gz").unlink()
    other = (out / trees.CAR / "three.tar.gz").read_bytes()
    (out / trees.CAR / "two.tar.gz").write_bytes(other)
    capsys.readouterr()
    assert verify(manifest, workers=1) == 1
    said = capsys.readouterr().out
    assert f"{trees.CAR}/one: there is no {trees.CAR}/one.tar.gz" in said
    assert f"{trees.CAR}/two: its sha256 is not the manifest's" in said
    assert "3 assets, 2 broken" in said


def test_starter_assets_credit_their_authors(capsys) -> None:
    from dyso.assets import starter

    assert show("starter") == 0
    said = capsys.readouterr().out
    assert "licence CC0 1.0: 8" in said and "licence zlib" in said
    assert "not known" not in said
    for manifest in starter.build().values():
        for entry in json.loads(Path(manifest).read_text())["assets"].values():
            assert entry["license"] and entry["metadata"]["author"]
            assert entry["metadata"]["source"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"objects": Objects(categories=("animal", "boat"))},
            r"objects.categories: boat: not in the catalog starter_objects, which has "
            r"animal, furniture, .*vehicle",
        ),
        (
            {"backgrounds": Backgrounds(assets=("hall", "interior"))},
            r"backgrounds.assets: hall: not in the catalog starter_hdris, which has "
            r"city, .*sunset",
        ),
    ],
)
def test_assets_missing_in_the_catalog_are_named(fields, told, tmp_path) -> None:
    with pytest.raises(UserError, match=f"^{told}$"):
        assets.resolve(Spec(name="a", splits={"train": 1}, **fields), tmp_path)
