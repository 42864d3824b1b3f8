"""Assets that cannot be used end a scene with their name and a reason."""

import dataclasses
import json
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dyso.render import Renderer, RenderError
from dyso.sampling import sample_scene
from dyso.spec import ResolvedSpec

pytestmark = pytest.mark.slow

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
MESHES = {
    "flat": TRIANGLE,
    "no_faces": "v 0 0 0\nv 1 0 0\nv 0 1 0\n",
    "not_finite": TRIANGLE.replace("v 1", "v nan"),
    "no_size": "v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n",
    "not_a_mesh": "\x00\x01 this is not a mesh",
}


def archive(path: Path, **files: bytes) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name.replace("__", "."))
            info.size = len(data)
            tar.addfile(info, BytesIO(data))


@pytest.fixture(scope="module")
def manifests(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("assets")
    objects = {}
    for name, mesh in MESHES.items():
        archive(folder / f"{name}.tar.gz", data__json=b"{}", m__obj=mesh.encode())
        objects[name] = {
            "asset_type": "FileBasedObject",
            "kwargs": {"render_filename": "{asset_dir}/m.obj"},
            "metadata": {},
        }
    (folder / "truncated.tar.gz").write_bytes(
        (folder / "flat.tar.gz").read_bytes()[:60]
    )
    archive(folder / "escapes.tar.gz", data__json=b"{}", **{"../../evil": b"x"})
    for name in ("truncated", "escapes", "absent"):
        objects[name] = objects["flat"]
    image = BytesIO()
    Image.fromarray(np.full((8, 16, 3), 90, np.uint8)).save(image, "PNG")
    archive(folder / "grey.tar.gz", data__json=b"{}", h__png=image.getvalue())
    image = BytesIO()
    odd = np.zeros((501, 1003, 3), np.uint8)
    odd[300:, :, 0] = 200  # red, and below the horizon alone
    Image.fromarray(odd).save(image, "PNG")
    archive(folder / "odd.tar.gz", data__json=b"{}", h__png=image.getvalue())
    archive(folder / "broken.tar.gz", data__json=b"{}", h__png=b"not an image")
    hdris = {
        name: {
            "asset_type": "Texture",
            "kwargs": {"filename": "{asset_dir}/h.png"},
            "metadata": {},
        }
        for name in ("grey", "odd", "broken")
    }
    for name, assets in (("objects", objects), ("hdris", hdris)):
        text = json.dumps({"name": name, "assets": assets})
        (folder / f"{name}.json").write_text(text)
    return folder / "objects.json", folder / "hdris.json"


@pytest.fixture(scope="module")
def worker(manifests):
    with Renderer(objects=manifests[0], backgrounds=manifests[1]) as renderer:
        yield renderer


@pytest.fixture(scope="module")
def render(worker, starter: ResolvedSpec):
    def render(object_id: str, hdri: str = "grey"):
        scene = sample_scene(starter, "train", 0)
        item = dataclasses.replace(scene.objects[0], asset_id=object_id)
        background = dataclasses.replace(scene.background, asset_id=hdri)
        return worker.render(
            dataclasses.replace(scene, objects=(item,), background=background)
        )

    return render


def test_a_flat_mesh_renders(render) -> None:
    views = render("flat")
    assert (views.instance == 1).any()
    assert views.sizes[0].min() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("object_id", "message"),
    [
        ("no_faces", "has no faces"),
        ("not_finite", "not finite"),
        ("no_size", "no size"),
        ("not_a_mesh", "no mesh|cannot be read|no faces"),
        ("truncated", "not a complete .tar.gz"),
        ("escapes", "outside its folder"),
        ("absent", "there is no absent.tar.gz"),
        ("unheard_of", "not in the manifest"),
    ],
)
def test_a_bad_object_is_named(render, manifests, object_id, message) -> None:
    with pytest.raises(RenderError, match=message) as caught:
        render(object_id)
    assert (caught.value.reason, caught.value.asset) == ("asset", object_id)
    assert not list(manifests[0].parent.rglob("evil"))


def test_a_bad_hdri_is_named(render) -> None:
    with pytest.raises(RenderError) as caught:
        render("flat", hdri="broken")
    assert (caught.value.reason, caught.value.asset) == ("asset", "broken")


def test_the_worker_survives_a_bad_asset(render) -> None:
    with pytest.raises(RenderError):
        render("no_faces")
    assert render("flat").color.any()


def test_an_odd_hdri_renders(render) -> None:
    views = render("flat", hdri="odd")
    floor = (views.instance == 0) & (views.normal[..., 2] > 0.999)
    assert np.isfinite(views.depth).all()
    # No light from above: whatever the floor shows is no brighter than the picture.
    assert views.color[floor][:, 1:].max() < 60
