"""Damaged and malicious records and shards raise a RecordError."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tensorflow_datasets.proto import tf_example_pb2

from dyso import records
from dyso.records import RecordError
from dyso.records.synthetic import synthetic_views
from dyso.sampling import Scene, sample_scene
from dyso.spec import ResolvedSpec, UserError
from dyso.validation.record import check_record
from helpers.hostile_input import Quiet, damaged


@pytest.fixture(scope="module")
def small(make_resolved) -> ResolvedSpec:
    return make_resolved(resolution=(8, 16))


@pytest.fixture(scope="module")
def whole(small) -> bytes:
    scene = sample_scene(small, "train", 0)
    return Quiet(records.encode(scene, synthetic_views(scene)))


def read(data: bytes, small: ResolvedSpec) -> None:
    """Does everything that readers do with a record; only its own errors may occur."""
    for ask in (
        lambda: records.decode(data),
        lambda: records.decode(data, fields=["depth"], views=[0]),
        lambda: records.scene_of(data),
    ):
        try:
            assert isinstance(ask(), dict | Scene)
        except UserError as error:
            assert str(error)
    assert isinstance(check_record(data, small, "train").faults, tuple)


@given(data=st.data())
def test_a_damaged_record_is_read_or_refused(whole, small, data) -> None:
    read(data.draw(st.one_of(damaged(whole), st.binary(max_size=60))), small)


def png(width: int, height: int, extra: bytes = b"") -> bytes:
    """A grey 16-bit PNG's head with a small body."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    head = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    body = zlib.compress(bytes(min((2 * width + 1) * height, 1 << 24)), 9)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + extra
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )


def webp(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "WEBP", lossless=True)
    return file.getvalue()


IMAGES = st.one_of(
    st.sampled_from(
        [
            png(8, 16),
            png(2**31 - 1, 2**31 - 1),
            png(60000, 60000),
            png(0, 0),
            webp(16, 8),
            webp(8192, 8192)[:4000],
            b"",
            b"RIFF",
            b"\x89PNG\r\n\x1a\n",
        ]
    ),
    damaged(png(16, 8)),
    damaged(webp(16, 8)),
)
FLOATS = st.one_of(
    st.floats(width=32), st.sampled_from([0.0, -1.0, 1e-38, 3e38, np.inf, np.nan])
)
INTEGERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-2, 300))


@st.composite
def edited_record(draw: st.DrawFn, whole: bytes) -> bytes:
    """A record with a feature or two that hold something else."""
    example = tf_example_pb2.Example.FromString(whole)
    features = example.features.feature
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(features)))
        kind = draw(st.sampled_from(["bytes", "floats", "integers", "gone", "some"]))
        if kind == "some":
            for part in ("bytes_list", "float_list", "int64_list"):
                values = getattr(features[name], part).value
                if values:
                    at = draw(st.integers(0, len(values) - 1))
                    new = {"bytes_list": IMAGES, "float_list": FLOATS}
                    values[at] = draw(new.get(part, INTEGERS))
                    if draw(st.booleans()):
                        del values[at:]
        elif kind == "gone":
            del features[name]
        else:
            features[name].Clear()
            count = draw(st.sampled_from([0, 1, 24, 25, 26, 75, 1000]))
            if kind == "bytes":
                values = draw(st.lists(IMAGES | st.binary(max_size=20), max_size=8))
                features[name].bytes_list.value.extend(values)
            elif kind == "floats":
                features[name].float_list.value.extend([draw(FLOATS)] * count)
            else:
                features[name].int64_list.value.extend([draw(INTEGERS)] * count)
    return Quiet(example.SerializeToString())


@given(data=st.data())
def test_an_edited_record_is_read_or_refused(whole, small, data) -> None:
    read(data.draw(edited_record(whole)), small)


def with_feature(whole: bytes, name: str, values: list[bytes]) -> bytes:
    example = tf_example_pb2.Example.FromString(whole)
    feature = example.features.feature[name]
    feature.Clear()
    feature.bytes_list.value.extend(values)
    return example.SerializeToString()


@pytest.mark.parametrize("size", [(60000, 60000), (2**31 - 1, 1), (8193, 8)])
def test_an_image_larger_than_any_spec_is_not_decoded(whole, size) -> None:
    data = with_feature(whole, "depth/code", [png(*size)] * 25)
    with pytest.raises(RecordError, match="depth"):
        records.decode(data, fields=["depth"])


def test_many_large_images_are_not_decoded(whole) -> None:
    """Twenty kilobytes that would fill the memory."""
    data = with_feature(whole, "color", [webp(8192, 8192)] * 25)
    assert len(data) < 100_000
    with pytest.raises(RecordError, match="fewer views"):
        records.decode(data, fields=["color"])


def test_one_long_text_is_not_repeated_for_all(whole) -> None:
    data = with_feature(whole, "objects/asset_id", [b"a" * 10**6] + [b""] * 10**5)
    with pytest.raises(RecordError, match="objects/asset_id"):
        records.decode(data, fields=["objects/asset_id"])


def test_an_invalid_scene_is_reported(whole) -> None:
    for text in (b"[" * 100_000, b"{}", b"null", b'{"objects": []}'):
        with pytest.raises(RecordError):
            records.scene_of(with_feature(whole, "scene", [text]))


@pytest.fixture(scope="module")
def shard(tmp_path_factory, whole) -> Path:
    path = tmp_path_factory.mktemp("shards") / "shard"
    records.write_shard(path, [whole[:200], whole[:300], b""])
    return path


@given(data=st.data())
def test_a_damaged_shard_is_read_or_refused(shard, data) -> None:
    path = shard.with_name("damaged")
    content = shard.read_bytes()
    # The most of it is padding.
    head = Quiet(content[:2000])
    text = data.draw(st.one_of(damaged(Quiet(content)), damaged(head)))
    path.write_bytes(text)
    try:
        for record in records.read_shard(path):
            assert isinstance(record, bytes)
    except RecordError as error:
        assert str(path) in str(error)
