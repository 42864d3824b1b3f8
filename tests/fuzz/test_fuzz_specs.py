"""Manifests, specs and a dataset's JSON: a UserError, or values within bounds."""

import dataclasses
import json
import math
import os
from pathlib import Path

import pytest
import yaml
from hostile import DEEP, NAMES, VALUES, damaged, edited
from hypothesis import given
from hypothesis import strategies as st
from made import write_dataset

from dyso.assets import manifest
from dyso.assets.manifest import is_inside, read_catalog
from dyso.reading import Dataset
from dyso.records import RecordError, read_splits
from dyso.records.synthetic import synthetic_views
from dyso.spec import Spec, UserError, load_resolved, load_spec, save_resolved
from dyso.validation import Validation

SPECS = Path(__file__).parents[2] / "specs"

MANIFEST = {
    "name": "things",
    "data_dir": "gs://bucket/things",
    "assets": {
        "a/thing": {
            "asset_type": "FileBasedObject",
            "path": "",
            "kwargs": {
                "bounds": [[0, 0, 0], [1, 2, 3]],
                "render_filename": "{asset_dir}/visual_geometry.obj",
            },
            "metadata": {"category": "toy", "textured": True, "sha256": "0" * 64},
        },
        "other": {
            "asset_type": "FileBasedObject",
            "kwargs": {"bounds": [[0, 0, 0], [1, 2, 3]]},
        },
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def one_line(error: Exception) -> None:
    assert str(error) and len(str(error)) < 2000


@given(
    st.one_of(
        edited(MANIFEST),
        edited(MANIFEST),
        damaged(json.dumps(MANIFEST).encode()),
        DEEP,
        st.binary(max_size=40),
    )
)
def test_a_manifest_is_read_or_refused(folder, data) -> None:
    path = folder / "manifest.json"
    path.write_bytes(data)
    try:
        catalog = read_catalog(str(path), "FileBasedObject")
    except UserError as error:
        one_line(error)
        return
    assert catalog.name.isprintable()
    for asset in catalog.assets:
        assert is_inside(asset.id) and asset.id.isprintable()
        assert asset.category.isprintable() and len(asset.checksum) in (0, 64)
        assert all(math.isfinite(x) for corner in asset.bounds for x in corner)


@given(NAMES)
def test_what_is_inside_stays_inside(name) -> None:
    if is_inside(name):
        top = Path("/a/b")
        path = Path(os.path.normpath(top / name))
        assert path.is_relative_to(top)


def test_a_manifest_is_bounded(folder, monkeypatch) -> None:
    monkeypatch.setattr(manifest, "MAX_BYTES", 100)
    (folder / "large.json").write_text(json.dumps(MANIFEST))
    with pytest.raises(UserError, match="at most 100 bytes"):
        read_catalog(str(folder / "large.json"), "FileBasedObject")
    with pytest.raises(UserError, match="at most 100 bytes"):
        read_catalog("/dev/zero", "FileBasedObject")


BOMBS = [
    b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n",
    b"a: &a {b: *a}\n",
    b"[" * 50_000,
    b"- " * 50_000,
    b"{a: " * 20_000,
    b"? " * 20_000,
    b"name: !!python/object/apply:os.system ['true']\n",
    b"name: !!python/name:os.system\n",
    b"name: !!binary aGFsbG8=\n",
    b"seed: " + b"9" * 100_000 + b"\n",
    b"seed: 0x" + b"f" * 100_000 + b"\n",
    b"seed: " + b"59:" * 20_000 + b"0\n",
    b"seed: 1e999999\n",
    b"splits: {train: .inf}\n",
    b"version: 1.0.\xc2\xb2\n",
    b"version: 1.0." + b"9" * 5000 + b"\n",
    b"name: 2001-99-99\n",
    b"name: 2001-01-01T99:99:99Z\n",
    b"<<: [1]\n",
    b"{[1]: 2, {a: b}: 3}\n",
    b"--- a\n--- b\n",
    b"2001-01-01: 1\n",
    b"%YAML 9.9\n---\n",
    b"%TAG ! tag:x,2000:\n--- !a b\n",
    b"\x00",
    b"\xff\xfe",
    b"",
    b"a: |\n" + b" " * 1000,
    b"x" * ((1 << 18) + 1),
]


@pytest.mark.parametrize("text", BOMBS, ids=lambda text: repr(text[:20]))
def test_a_spec_that_would_do_harm_is_refused(folder, text) -> None:
    path = folder / "bomb.yaml"
    if text.startswith(b"version"):
        text = b"name: a\nsplits: {train: 1}\n" + text
    path.write_bytes(text)
    with pytest.raises(UserError):
        load_spec(path)


WORDS = """
a 1 -1 1.5 .inf .nan true ~ '' 2001-01-01 0x1f 1_0 1:30 !!str !!set !!python/none *a &a
<< <<: name: splits: {train:1} | > ? - # --- ... [ ] { } : , objects: count: [1,2]
"""
YAML = st.recursive(
    st.sampled_from(WORDS.split()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=8).map(gap.join) for gap in (" ", "\n", "\n  ")
    ),
)


@given(data=st.data())
def test_a_spec_is_read_or_refused(folder, data) -> None:
    whole = (SPECS / "dyso.yaml").read_bytes()
    values = st.sampled_from([yaml.safe_load(whole)]).flatmap(edited)
    text = data.draw(
        st.one_of(
            damaged(whole),
            values,
            values,
            YAML.map(lambda text: text.encode()),
            st.binary(max_size=40),
        )
    )
    path = folder / "spec.yaml"
    path.write_bytes(text)
    try:
        assert isinstance(load_spec(path), Spec)
    except UserError as error:
        assert str(error).startswith(str(path))


@pytest.fixture(scope="module")
def dataset(folder, make_resolved) -> Path:
    resolved = make_resolved(
        assets=3, hdris=2, resolution=(16, 16), splits={"train": 2, "test": 1}
    )
    return write_dataset(folder / "data", resolved, synthetic_views)


@given(data=st.data())
def test_a_spec_json_is_read_or_refused(folder, make_resolved, data) -> None:
    whole = dataclasses.asdict(make_resolved(assets=2, hdris=2))
    text = data.draw(
        st.one_of(edited(whole), damaged(json.dumps(whole).encode()), DEEP)
    )
    path = folder / "spec.json"
    path.write_bytes(text)
    try:
        resolved = load_resolved(path)
    except UserError as error:
        one_line(error)
        return
    assert len(resolved.hash) == 16
    assert load_resolved_again(path, save_resolved(resolved)) == resolved


def load_resolved_again(path: Path, text: bytes):
    path.write_bytes(text)
    return load_resolved(path)


@pytest.mark.parametrize("name", ["spec.json", "dataset_info.json", "metadata.json"])
@given(data=st.data())
def test_a_folder_is_opened_or_refused(dataset, folder, name, data) -> None:
    whole = (dataset / name).read_bytes()
    own = folder / f"own-{name}"
    if not own.exists():
        own.mkdir()
        for file in filter(Path.is_file, dataset.iterdir()):
            (own / file.name).write_bytes(file.read_bytes())
    values = edited(json.loads(whole))
    text = data.draw(st.one_of(values, values, damaged(whole), DEEP))
    (own / name).write_bytes(text)
    try:
        opened = Dataset(own)
        for split in opened.splits.values():
            assert 0 <= len(split) < 2**62
        validation = Validation(own)
        list(validation.check_folder())
        for shard in validation.shards:
            assert shard.path.parent == own
            list(validation.check_shard(shard))
    except UserError as error:
        one_line(error)


@given(VALUES, NAMES)
def test_splits_lie_in_their_folder(folder, value, name) -> None:
    split = {"name": name, "shardLengths": value}
    info = {"name": name, "splits": [split]}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    try:
        splits = read_splits(folder)
    except RecordError:
        return
    for shards in splits.values():
        assert all(path.parent == folder and count >= 0 for path, count in shards)
