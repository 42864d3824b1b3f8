"""Manifests, specs and JSON of datasets: a UserError, or values within bounds."""

import dataclasses
import json
import math
import os
import re
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dyso.assets import manifest
from dyso.assets.manifest import is_inside, read_catalog
from dyso.reading import Dataset
from dyso.records import RecordError, read_splits
from dyso.records.synthetic import synthetic_views
from dyso.sampling import Scene, UnseenScene, sample_scene
from dyso.spec import LAYERS, Spec, UserError, load_resolved, load_spec, save_resolved
from dyso.spec.json_schema import json_schema
from dyso.validation import Validation
from helpers.dataset_writer import write_dataset
from helpers.hostile_input import DEEP, NAMES, VALUES, damaged, edited

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


@pytest.mark.parametrize("side", [1e-320, 1e-31, 1e31, 1.7e308])
def test_bounds_of_no_size_that_can_be_scaled_are_refused(folder, side) -> None:
    whole = json.loads(json.dumps(MANIFEST))
    whole["assets"]["other"]["kwargs"]["bounds"] = [[-side] * 3, [side, 0, 0]]
    path = folder / "bounds.json"
    path.write_text(json.dumps(whole))
    with pytest.raises(UserError, match="'other': the longest side of its bounds must"):
        read_catalog(str(path), "FileBasedObject")


@given(NAMES)
def test_paths_inside_the_folder_are_accepted(name) -> None:
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


SCHEMA = json_schema()


def numbers(entry=SCHEMA, where=""):
    """Every number of a spec, as (key, its JSON Schema)."""
    if "$ref" in entry:
        entry = SCHEMA["definitions"][entry["$ref"].rpartition("/")[2]]
    kind = entry.get("type")
    if {"number", "integer"} & {*([kind] if isinstance(kind, str) else kind or ())}:
        yield where, entry
    inner = [*entry.get("properties", {}).items()]
    inner += [("*", each) for each in entry.get("patternProperties", {}).values()]
    inner += [("", each) for each in entry.get("anyOf", [])]
    items = entry.get("items", [])
    inner += [("", each) for each in (items if isinstance(items, list) else [items])]
    for key, each in inner:
        yield from numbers(each, f"{where}.{key}" if key else where)


def test_every_number_has_bounds() -> None:
    found = list(numbers())
    assert len(found) > 80
    for where, entry in found:
        assert {"minimum", "exclusiveMinimum"} & entry.keys(), where
        assert {"maximum", "exclusiveMaximum"} & entry.keys(), where


# Larger, these only take longer.
FEW = {"steps": 6, "count": 6, "held_out": 1, "attempts": 3}


@st.composite
def extreme(draw: st.DrawFn, entry=SCHEMA, key: str = ""):
    """A spec whose numbers are at their bounds, or anywhere between."""
    if "$ref" in entry:
        entry = SCHEMA["definitions"][entry["$ref"].rpartition("/")[2]]
    if "enum" in entry:
        return draw(st.sampled_from(entry["enum"]))
    if key in ("name", "version", "catalog", "categories", "assets", "layers", "clips"):
        return entry.get("default", "x")
    if "anyOf" in entry:
        return draw(extreme(draw(st.sampled_from(entry["anyOf"])), key))
    kind = entry["type"]
    match draw(st.sampled_from(kind)) if isinstance(kind, list) else kind:
        case "null" | "string":
            return entry.get("default")
        case "boolean":
            return draw(st.booleans())
        case "array" if isinstance(entry["items"], dict):
            items = extreme(entry["items"], key)
            return draw(st.lists(items, min_size=1, unique=True))
        case "array":
            return sorted(draw(extreme(each, key)) for each in entry["items"])
        case "object" if key == "splits":
            return {"train": 1}
        case "object":
            return {
                name: draw(extreme(each, name))
                for name, each in entry["properties"].items()
                if draw(st.integers(0, 3))
            }
    low = entry.get("minimum", 0)
    high = entry.get("maximum", entry.get("exclusiveMaximum", 1) - 1)
    if "integer" in kind:
        return draw(st.sampled_from([low, min(high, FEW.get(key, high))]))
    return draw(st.sampled_from([float(low), float(high)]) | st.floats(low, high))


CHANGES = "deform", "gait", "articulate", "animate"


@hypothesis.settings(max_examples=40)
@given(extreme(), st.booleans())
def test_every_accepted_spec_can_be_sampled(
    folder, make_resolved, values, easy
) -> None:
    values |= {"name": "x", "splits": {"train": 1}}
    dynamics = values.setdefault("dynamics", {})
    if dynamics.get("motion") == "physics":
        dynamics["contact"] = "free"
    shapes = [key for key in CHANGES if key in dynamics]
    if shapes:  # Most of them together are refused.
        kept = shapes[len(dynamics) % len(shapes)]
        for key in {*shapes} - {kept}:
            del dynamics[key]
        values.setdefault("render", {})["layers"] = [*LAYERS]
    cameras = values.setdefault("cameras", {})
    if cameras.get("paired"):
        cameras |= {"count": dynamics.get("steps", 5), "held_out": 0}
    if easy:  # Or few scenes would be seen.
        values["visibility"] = {"share": 0.0, "share_of_views": 0.0, "attempts": 3}
        values.setdefault("backgrounds", {})["backdrop"] = "environment"
        cameras["min_height"] = least("min_height")
    path = folder / "extreme.yaml"
    path.write_text(yaml.safe_dump(values))
    try:
        spec = load_spec(path)
    except UserError as error:
        # What numbers say of one another.
        reasons = "at least one pattern|must leave|can share dynamics|must have surface"
        assert re.search(reasons, str(error)), error
        hypothesis.reject()
    resolved = dataclasses.replace(make_resolved(assets=3, hdris=2), spec=spec)
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            scene = sample_scene(resolved, "train", 0)
    except UnseenScene:
        hypothesis.event("not seen")
        return
    assert Scene.from_json(scene.to_json()) == scene
    assert all(camera.focal_length > 0 for camera in scene.cameras)


def least(key: str) -> float:
    """Returns the smallest allowed value of a number."""
    [entry] = [each for where, each in numbers() if where.endswith(f".{key}")]
    return entry["minimum"]


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
