"""Kubric's manifests work unchanged, from a disk, a web server and a bucket."""

import json
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest
import trimesh

from dyso.assets.credits import Credit, read_credits
from dyso.assets.manifest import read_catalog, read_manifest
from dyso.assets.starter import write_archive
from dyso.spec import UserError
from dyso.storage import Folder, open_folder, open_readonly, retries, web
from dyso.worker.assets import Assets
from dyso.worker.errors import AssetError, StorageError
from helpers import emulators, hdri_files, trees

SHAPE = "02691156/1021a0914a7207aff927ed529ad90a11"
SHOE = "Olive_Kids_Birdie_Lunch_Box"


def mesh_entry(name: str, category: object, **more: object) -> dict:
    """An entry as Kubric's converters write it."""
    metadata = {"nr_faces": 12, "nr_vertices": 8, "volume": 0.064, **more}
    if category is not None:
        metadata["category"] = category
    return {
        "asset_type": "FileBasedObject",
        "id": name,
        "kwargs": {
            "bounds": [[-0.1, -0.4, -0.2], [0.1, 0.4, 0.2]],
            "mass": 0.064,
            "render_filename": "{asset_dir}/visual_geometry.obj",
            "simulation_filename": "{asset_dir}/object.urdf",
        },
        "license": "CC BY-SA 4.0",
        "metadata": metadata
        if category is None
        else {**metadata, "category": category},
    }


def shapenet() -> dict:
    entry = mesh_entry(SHAPE.partition("/")[2], "airplane", category_id="02691156")
    entry["kwargs"]["render_filename"] = "{asset_dir}/visual_geometry.glb"
    entry["license"] = "https://shapenet.org/terms"
    entry["metadata"]["watertight_mesh_filename"] = "model_watertight.obj"
    return {SHAPE: entry}


def gso() -> dict:
    other = mesh_entry("Thing", "None", description="A\nthing.")
    entry = mesh_entry(SHOE, "Bag", description="", url="https://fuel.example.org/it")
    return {SHOE: entry, "Thing": other}


def kubasic() -> dict:
    cube = mesh_entry("cube", None)
    cube["kwargs"]["render_import_kwargs"] = {"axis_forward": "Y", "axis_up": "Z"}
    inner = "{asset_dir}/dome.blend/Object/dome"
    dome = {
        "asset_type": "FileBasedObject",
        "id": "dome",
        "kwargs": {
            "render_filename": "{asset_dir}/dome.blend",
            "render_import_kwargs": {"filepath": inner, "filename": "dome"},
        },
        "license": "CC BY-SA 4.0",
        "metadata": {},
    }
    return {"cube": cube, "dome": dome}


def hdri_haven() -> dict:
    entry = {
        "asset_type": "Texture",
        "id": "aerodynamics_workshop",
        "kwargs": {"filename": "environment_4k.hdr"},
        "license": "CC0 1.0",
        "metadata": {
            "authors": ["Oliksiy Yakovlyev"],
            "resolution": "4k",
            "coords": None,
            "date_taken": 1622505600,
            "tags": ["hangar"],
            "categories": ["indoor", "artificial light"],
        },
    }
    return {"aerodynamics_workshop": entry}


MANIFESTS = {
    "ShapeNetCore.v2": shapenet(),
    "GSO": gso(),
    "KuBasic": kubasic(),
    "HDRI_haven": hdri_haven(),
}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory) -> Path:
    """The content of Kubric's bucket: archives, in a folder per source."""
    root = tmp_path_factory.mktemp("kubric")
    box = trimesh.creation.box((0.2, 0.8, 0.4))
    hdri_files.write_hdr(root / "sky.hdr", hdri_files.sky())
    for source, assets in MANIFESTS.items():
        for name, entry in assets.items():
            mesh = {
                "visual_geometry.obj": trees.obj(box).encode(),
                "visual_geometry.glb": trimesh.Scene(box).export(file_type="glb"),
                "environment_4k.hdr": (root / "sky.hdr").read_bytes(),
            }
            kwargs = entry["kwargs"]
            file = kwargs.get("filename") or kwargs["render_filename"]
            file = file.rpartition("/")[2]
            target = root / source / f"{name}.tar.gz"
            target.parent.mkdir(parents=True, exist_ok=True)
            if file in mesh:
                write_archive(target, {file: mesh[file]})
    return root


def write(root: Path, source: str, data_dir: str | None) -> str:
    manifest = {"name": source, "version": "1.0", "assets": MANIFESTS[source]}
    if data_dir:
        manifest["data_dir"] = data_dir
    (root / source / f"{source}.json").write_text(json.dumps(manifest))
    return f"{source}/{source}.json"


@pytest.mark.parametrize("source", MANIFESTS)
@pytest.mark.parametrize("where", ["local", "http"])
@pytest.mark.parametrize("beside", [True, False])
def test_kubrics_manifests_work_unchanged(bucket, serve, source, where, beside) -> None:
    base = serve(bucket) if where == "http" else str(bucket)
    name = write(bucket, source, None if beside else f"{base}/{source}")
    location = f"{base}/{name}"
    kind = "Texture" if source == "HDRI_haven" else "FileBasedObject"
    catalog = read_catalog(location, kind)
    usable = MANIFESTS[source].keys() - {"dome"}
    assert {asset.id for asset in catalog.assets} == usable
    assert catalog.name == source
    assets = Assets.open(location)
    for asset in catalog.assets:
        assets.verify(asset.id)
        assets.prefetch(asset.id)


def test_categories_and_bounds_are_those_of_the_manifest(bucket) -> None:
    catalogs = {
        source: read_catalog(str(bucket / write(bucket, source, None)), kind)
        for source, kind in (("ShapeNetCore.v2", "FileBasedObject"),
                             ("GSO", "FileBasedObject"),
                             ("KuBasic", "FileBasedObject"))
    }  # fmt: skip
    assert catalogs["ShapeNetCore.v2"].categories() == ("airplane",)
    assert catalogs["GSO"].categories() == ("Bag", "None")
    # glTF has y up, as the bounds beside it; OBJ files are as their bounds.
    assert catalogs["ShapeNetCore.v2"].assets[0].bounds == (
        (-0.1, -0.2, -0.4),
        (0.1, 0.2, 0.4),
    )
    assert catalogs["KuBasic"].assets[0].bounds == (
        (-0.1, -0.4, -0.2),
        (0.1, 0.4, 0.2),
    )


def test_kubrics_manifests_credit_the_authors(bucket) -> None:
    found = {}
    for source, assets in MANIFESTS.items():
        location = str(bucket / write(bucket, source, None))
        found |= read_credits(location, [*assets, "of none"])
    assert found["aerodynamics_workshop"] == Credit(
        license="CC0 1.0", author="Oliksiy Yakovlyev"
    )
    assert found[SHOE] == Credit(
        source="https://fuel.example.org/it", license="CC BY-SA 4.0"
    )
    assert "of none" not in found


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_manifests_may_be_in_buckets(bucket, servers, monkeypatch, scheme) -> None:
    emulators.speak_to(monkeypatch, scheme, servers(scheme))
    folder = open_folder(f"{scheme}://{emulators.BUCKET}/kubric")
    name = write(bucket, "GSO", f"{folder}/GSO")
    for file in (name, f"GSO/{SHOE}.tar.gz"):
        folder.write(file, (bucket / file).read_bytes())
    location = f"{folder}/{name}"
    assert len(read_catalog(location, "FileBasedObject").assets) == 2
    Assets.open(location).verify(SHOE)


def test_public_buckets_of_google_need_no_account(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none"))
    folder = open_readonly("gs://kubric-public/assets/GSO")
    assert str(folder) == "https://storage.googleapis.com/kubric-public/assets/GSO"


@pytest.fixture
def hasty(monkeypatch) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(retries, "RETRY_SECONDS", 1.0)
    monkeypatch.setattr(retries, "SILENCE_SECONDS", 1.0)


Do = Callable[[SimpleHTTPRequestHandler], None]


def faulty(do: Do, times: int = 99, path: str = ".tar.gz") -> type:
    """A server that fails on the first requests for a path."""
    left = [times]

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith(path) and left[0]:
                left[0] -= 1
                return do(self)
            super().do_GET()

    return Handler


def answer(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Do:
    def do(handler: SimpleHTTPRequestHandler) -> None:
        handler.send_response(status)
        for key, value in (
            {"Content-Length": f"{len(body)}"} | (headers or {})
        ).items():
            handler.send_header(key, value)
        handler.end_headers()
        handler.wfile.write(body)

    return do


def test_a_server_may_fail_for_a_while(bucket, serve, hasty, monkeypatch) -> None:
    monkeypatch.setattr(retries, "RETRY_SECONDS", 60.0)
    write(bucket, "GSO", None)
    for do in (answer(503), answer(200, {"Content-Length": "999"}, b"short")):
        location = f"{serve(bucket, faulty(do, times=2))}/GSO/GSO.json"
        Assets.open(location).verify(SHOE)


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (answer(503), StorageError, r"says 503.*tried"),
        (answer(403), StorageError, "no access"),
        (answer(404), StorageError, "no such file"),
        (answer(200, {"Content-Length": f"{2 << 30}"}), StorageError, "more than"),
        (answer(200, {}, b"no archive"), AssetError, "is not a complete"),
        (answer(302, {"Location": "/GSO/GSO.json"}), AssetError, "is not a complete"),
        (answer(302, {"Location": "file:///etc/passwd"}), StorageError, "file"),
        (lambda handler: handler.close_connection, StorageError, "tried"),
    ],
)
def test_a_server_that_fails_is_named(bucket, serve, hasty, do, error, message) -> None:
    write(bucket, "GSO", None)
    location = f"{serve(bucket, faulty(do))}/GSO/GSO.json"
    with pytest.raises(error, match=f"(?s){message}"):
        Assets.open(location).verify(SHOE)


def test_a_server_that_falls_silent_is_not_waited_for(bucket, serve, hasty) -> None:
    write(bucket, "GSO", None)

    def silent(handler: SimpleHTTPRequestHandler) -> None:
        answer(200, {"Content-Length": "100"}, b"some")(handler)
        handler.rfile.read(1)  # Until the other side hangs up.

    location = f"{serve(bucket, faulty(silent))}/GSO/GSO.json"
    with pytest.raises(StorageError, match=r"(?i)timed out|damaged|too slow"):
        Assets.open(location).verify(SHOE)


def test_a_missing_asset_is_the_assets_fault(bucket, serve) -> None:
    write(bucket, "GSO", None)
    (bucket / "GSO" / "Thing.tar.gz").rename(bucket / "GSO" / "moved")
    try:
        with pytest.raises(AssetError, match=r"there is no Thing\.tar\.gz"):
            Assets.open(f"{serve(bucket)}/GSO/GSO.json").verify("Thing")
    finally:
        (bucket / "GSO" / "moved").rename(bucket / "GSO" / "Thing.tar.gz")


def test_unreadable_manifests_are_a_one_line_error(bucket, serve, hasty) -> None:
    base = serve(bucket)
    with pytest.raises(UserError, match="cannot read this manifest: there is no such"):
        read_manifest(f"{base}/none.json")
    with pytest.raises(UserError, match="cannot read this manifest"):
        read_manifest("http://127.0.0.1:9/manifest.json")
    with pytest.raises(UserError, match="cannot read this manifest"):
        read_manifest(f"{base}/sky.hdr")


def test_the_web_is_for_reading_alone() -> None:
    source = open_readonly("https://example.org/data")
    assert isinstance(source, web.WebFolder) and not isinstance(source, Folder)
    with pytest.raises(UserError, match="must be a folder on a disk"):
        open_folder("https://example.org/data")
