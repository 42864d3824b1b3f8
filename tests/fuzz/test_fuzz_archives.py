"""Untrusted archives, meshes and images raise an AssetError or do no harm."""

import contextlib
import gzip
import io
import json
import re
import shutil
import tarfile
import time
import zlib
from pathlib import Path

import hypothesis
import numpy as np
import OpenEXR
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dyso.worker import archives
from dyso.worker.archives import MAX_BYTES, MAX_DEPTH, unpack
from dyso.worker.errors import AssetError
from dyso.worker.pictures import MAX_PIXELS, measure
from dyso.worker.untrusted_meshes import clean_copy
from helpers.hostile_input import DEEP, NAMES, VALUES, damaged, edited

KINDS = [
    tarfile.REGTYPE,
    tarfile.AREGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
    tarfile.CONTTYPE,
    tarfile.GNUTYPE_SPARSE,
    b"?",
]


def made(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    return info, data


PLAIN = made(
    member("thing", kind=tarfile.DIRTYPE),
    member("thing/data.json", b"{}"),
    member("thing/" + "long" * 40 + ".obj", b"v 0 0 0\n" * 99),
)


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        return draw(damaged(PLAIN))
    members = []
    for _ in range(draw(st.integers(0, 5))):
        names = st.one_of(NAMES, st.sampled_from(["a", "a/b", "a/b/c", "link/x"]))
        info, data = member(
            draw(names),
            draw(st.binary(max_size=40)),
            draw(st.sampled_from(KINDS)),
            draw(NAMES),
        )
        info.pax_headers = draw(
            st.sampled_from(
                [
                    {},
                    {"size": "-1"},
                    {"size": str(10**18)},
                    {"path": "../../x"},
                    {"linkpath": "/etc/passwd"},
                    {"GNU.sparse.realsize": str(10**15), "GNU.sparse.map": "0,1"},
                    {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
                ]
            )
        )
        members.append((info, data))
    try:
        whole = made(*members)
    except (ValueError, OSError, OverflowError):  # what even tarfile does not write
        hypothesis.reject()
    return draw(st.one_of(st.just(whole), damaged(whole)))


@st.composite
def zipped(draw: st.DrawFn) -> bytes:
    data = gzip.compress(draw(tars()), 1, mtime=0)
    return draw(st.one_of(st.just(data), st.just(data), damaged(data)))


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("base") / "deep" / "er"


def unpacked(base: Path, data: bytes, checksum: str = "") -> list[str]:
    """Unpacks, and returns what is there; fails on all that must not be."""
    shutil.rmtree(base.parent, ignore_errors=True)
    base.mkdir(parents=True)
    (base / "archive").write_bytes(data)
    try:
        unpack("it", base / "archive", base / "folder", checksum)
    finally:
        outside = {path.name for path in base.iterdir()} - {"archive", "folder"}
        assert outside == set()
        assert {path.name for path in base.parent.iterdir()} == {"er"}
        found = list((base / "folder").rglob("*"))
        assert all(
            not path.is_symlink() and (path.is_dir() or path.is_file())
            for path in found
        )
    return sorted(path.relative_to(base / "folder").as_posix() for path in found)


@given(zipped())
def test_an_archive_unpacks_inside_or_is_refused(base, data) -> None:
    try:
        unpacked(base, data)
    except AssetError as error:
        assert error.asset == "it"


def test_a_good_archive_unpacks(base) -> None:
    found = unpacked(base, gzip.compress(PLAIN))
    assert found[:2] == ["thing", "thing/data.json"] and len(found) == 3


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (member("../x", b"x"), "outside"),
        (member("/tmp/x", b"x"), "outside"),
        (member("a/../../x", b"x"), "outside"),
        (member("/".join("a" * (MAX_DEPTH + 1)), b"x"), "outside"),
        (member("x", kind=tarfile.SYMTYPE, link="/etc"), "not a plain file"),
        (member("x", kind=tarfile.LNKTYPE, link="thing"), "not a plain file"),
        (member("x", kind=tarfile.CHRTYPE), "not a plain file"),
        (member("x", kind=tarfile.BLKTYPE), "not a plain file"),
        (member("x", kind=tarfile.FIFOTYPE), "not a plain file"),
        (member("thing", b"not a folder"), "complete"),
    ],
)
def test_only_regular_files_inside_the_folder_are_accepted(base, bad, message) -> None:
    with pytest.raises(AssetError, match=message):
        unpacked(base, gzip.compress(made(member("thing/a", b"a"), bad)))


def test_a_header_may_not_ask_for_all_memory(base) -> None:
    info, _ = member("x")
    info.pax_headers = {"comment": "a" * (9 << 20)}
    with pytest.raises(AssetError, match="headers of more than"):
        unpacked(base, gzip.compress(made((info, b""))))


@pytest.mark.parametrize(
    "records",
    [
        b"1" * (1 << 20),
        b"2 " * (1 << 19),
        b"9" * 400 + b" size=1\n",
        b"16 comment=%s\n" % (b"1" * 400),
        b"1000020 comment=%s\n" % (b"1" * 1000003),
        b"0 a=b\n",
        b"8 size=5",
    ],
)
def test_an_extended_header_takes_no_time(base, records) -> None:
    """Some of these had `tarfile` busy for hours, at 1 kB when compressed."""
    header, _ = member("x", records, tarfile.XHDTYPE)
    data = made((header, records), member("m.obj", b"v 0 0 0\n"))
    start = time.monotonic()
    with pytest.raises(AssetError, match=r"is not a complete \.tar\.gz"):
        unpacked(base, gzip.compress(data))
    assert time.monotonic() - start < 5


def test_a_file_may_look_like_an_extended_header(base) -> None:
    data = bytearray(b"1" * 512)
    data[156:157] = b"x"
    plain = made(member("a", bytes(data)), member("b", bytes(data)), member("c", b"c"))
    assert unpacked(base, gzip.compress(plain)) == ["a", "b", "c"]
    assert (base / "folder" / "b").read_bytes() == data


@pytest.mark.parametrize("name", ["n" * 300, "n" * 5000, "a/" + "n" * 300 + "/b"])
def test_a_long_name_is_the_archives_fault(base, name) -> None:
    with pytest.raises(AssetError, match="File name too long") as caught:
        unpacked(base, gzip.compress(made(member(name, b"x"))))
    assert len(str(caught.value)) < 310


def test_files_are_counted(base, monkeypatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILES", 20)
    many = made(*(member(f"{i}") for i in range(21)))
    with pytest.raises(AssetError, match="more than"):
        unpacked(base, gzip.compress(many))


def test_a_wrong_checksum_is_refused(base) -> None:
    with pytest.raises(AssetError, match="sha256"):
        unpacked(base, gzip.compress(PLAIN), "0" * 64)


@pytest.mark.slow
def test_a_bomb_is_stopped_while_it_unpacks(base) -> None:
    packer = zlib.compressobj(1, wbits=31)
    parts = [packer.compress(bytes(1 << 24)) for _ in range((MAX_BYTES >> 24) + 1)]
    data = b"".join([*parts, packer.flush()])
    assert len(data) < 20 << 20
    with pytest.raises(AssetError, match="more than"):
        unpacked(base, data)


def test_copying_stops_at_the_bound() -> None:
    with (
        open("/dev/zero", "rb") as endless,
        open("/dev/null", "wb") as nothing,
        pytest.raises(AssetError, match="more than"),
    ):
        archives.copy("it", endless, nothing)


GLTF = {
    "asset": {"version": "2.0"},
    "nodes": [{"mesh": 0, "extensions": {"EXT_mesh_gpu_instancing": {}}}],
    "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 0}]}],
    "accessors": [{"bufferView": 0, "componentType": 5126, "count": 1}],
    "bufferViews": [{"buffer": 0, "byteLength": 12}],
    "buffers": [{"uri": "data:;base64,AAAAAAAAAAAAAAAA", "byteLength": 12}],
    "images": [{"uri": "t.png"}],
}


@given(
    st.one_of(
        edited(GLTF),
        DEEP,
        st.binary(max_size=60),
        damaged(json.dumps(GLTF).encode()),
        damaged(b"glTF\2\0\0\0\x40\0\0\0\2\0\0\0JSON{}\0\0\0\0BIN\0"),
    )
)
def test_a_gltf_passes_or_is_refused(base, data) -> None:
    name = "m.glb" if data[:4] == b"glTF" else "m.gltf"
    with contextlib.suppress(AssetError):
        assert_clean(copied(base, name, data), base)


@given(
    NAMES,
    st.sampled_from(["mtllib", " mtllib", "map_Kd", "bump -bm 1", "refl -clamp on"]),
    st.sampled_from([b"\n", b" ", b"\\\n", b"\r\n", b"\\\r\n", b"\\ \n", b"\\\t\n"]),
)
def test_an_obj_names_nothing_outside(base, name, key, gap) -> None:
    said = key.encode() + gap + name.encode(errors="surrogatepass") + b"\n"
    files = (
        {"m.obj": b"v 0 0 0\n" + said + b"v 0 0 0\n"}
        if "mtllib" in key
        else {"m.obj": b"mtllib m.mtl\n", "m.mtl": b"newmtl a\n" + said}
    )
    with contextlib.suppress(AssetError):
        assert_clean(copied(base, "m.obj", files["m.obj"], files.get("m.mtl")), base)


def copied(base: Path, name: str, data: bytes, library: bytes | None = None) -> Path:
    """The folder of an asset's clean copy; the asset lies in a folder of its own."""
    shutil.rmtree(base, ignore_errors=True)
    (base / "asset").mkdir(parents=True)
    (base / "asset" / name).write_bytes(data)
    (base / "asset" / "t.png").write_bytes(b"picture")
    if library is not None:
        (base / "asset" / "m.mtl").write_bytes(library)
    root = (base / "asset").resolve()
    return clean_copy("it", root / name, root, base / "copy").parent


_NAMED = re.compile(rb"(?m)^ *(?:mtllib|map_|refl|bump|norm|disp).* (.*)")


def assert_clean(copy: Path, base: Path) -> None:
    """Checks that the copy names only files beside it that belong to the asset."""
    for path in copy.iterdir():
        if path.is_symlink():
            assert path.resolve().is_relative_to((base / "asset").resolve())
        elif path.suffix in (".obj", ".mtl"):
            for name in _NAMED.findall(path.read_bytes()):
                assert re.fullmatch(rb"file_\d+", name)
        elif path.suffix == ".gltf":
            document = json.loads(path.read_bytes())
            entries = [*document.get("buffers", ()), *document.get("images", ())]
            for uri in filter(None, (entry.get("uri") for entry in entries)):
                assert uri.startswith("data:") or re.fullmatch(r"file_\d+", uri)


def images() -> dict[str, bytes]:
    found = {}
    for form in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "TGA"):
        file = io.BytesIO()
        Image.new("RGB", (8, 4), (9, 99, 200)).save(file, form)
        found[form] = file.getvalue()
    found["HDR"] = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 4 +X 8\n" + bytes(128)
    return found


@pytest.fixture(scope="module")
def openexr(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("exr") / "a.exr"
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"RGB": np.ones((4, 8, 3), np.float32)}).write(str(path))
    return path.read_bytes()


def assert_bounded(data: bytes) -> None:
    try:
        assert 0 <= measure("it", io.BytesIO(data), MAX_PIXELS) <= MAX_PIXELS
    except AssetError as error:
        assert error.asset == "it"


@pytest.mark.parametrize("form", images())
@given(data=st.data())
def test_an_image_is_measured_or_refused(form, data) -> None:
    whole = images()[form]
    assert measure("it", io.BytesIO(whole), 32) == 32
    assert_bounded(data.draw(damaged(whole)))


@given(data=st.data())
def test_an_exr_is_measured_or_refused(openexr, data) -> None:
    assert measure("it", io.BytesIO(openexr), 32) == 32
    head = len(openexr) if data.draw(st.booleans()) else 300
    assert_bounded(data.draw(damaged(openexr[:head])) + openexr[head:])


@given(VALUES)
def test_any_bytes_are_measured_or_refused(value) -> None:
    assert_bounded(repr(value).encode(errors="replace"))
