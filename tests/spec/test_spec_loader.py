import dataclasses
import json
import re
from pathlib import Path

import pytest
import tensorflow_datasets as tfds
import yaml
from datasets import NamedSplit
from hypothesis import given, settings
from hypothesis import strategies as st

from dyso.files import replacing
from dyso.reading import Dataset
from dyso.records import shard_name
from dyso.records.synthetic import synthetic_views
from dyso.spec import (
    Backgrounds,
    Cameras,
    Dynamics,
    Objects,
    Patterns,
    Render,
    Spec,
    UserError,
    Visibility,
    load_resolved,
    load_spec,
    parse_resolved,
    save_resolved,
)
from dyso.spec.cameras import Zoom
from dyso.spec.renamed import FORMER, rename
from helpers.dataset_writer import write_dataset

SPECS = Path(__file__).parents[2] / "specs"
MINIMAL = "name: a\nsplits: {train: 1}\n"


def errors(tmp_path: Path, text: str | bytes) -> list[str]:
    """Returns the lines of the error, without the path that each opens with."""
    path = tmp_path / "spec.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UserError) as caught:
        load_spec(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


def test_all_errors_come_at_once_with_their_lines(tmp_path):
    text = """\
name: Bad Name
version: 1.0
splits: {train: 5, val: x}
sed: 3
resolution: [128, 4]
objects:
  count: [3, 1]
  size: -1
  held_out: 1.0
  size: 2
cameras:
  distance: [0, 5]
  elevation: [10, 20, 30]
  focal_length: .nan
  patterns:
    zoom: {by: time}
    random: 3
dynamics: {steps: 2.5, contact: glue}
render: {layers: [color, depth]}
"""
    assert errors(tmp_path, text) == [
        "1: name: must be a letter from a to z, then at most 79 such letters, digits "
        'and underscores, got "Bad Name"',
        "2: version: must be a valid string, got 1.0",
        '3: splits.val: must be a valid integer, got "x"',
        "4: sed: unknown key; did you mean 'seed'?",
        "5: resolution.1: must be greater than or equal to 8, got 4",
        "7: objects.count: must be [low, high] with low <= high, got [3, 1]",
        "9: objects.held_out: must be less than 1, got 1.0",
        "10: objects.size: is given twice",
        "12: cameras.distance.0: must be greater than or equal to 0.000001, got 0",
        "13: cameras.elevation: must be two numbers [low, high], or one for both, got "
        "[10, 20, 30]",
        "14: cameras.focal_length: must be a finite number, got NaN",
        "16: cameras.patterns.zoom.by: must be 'position' or 'focal_length', "
        'got "time"',
        "17: cameras.patterns.random: must be a mapping of keys to values, got 3",
        "18: dynamics.steps: must be a valid integer, got 2.5",
        "18: dynamics.contact: must be 'rest', 'settle', 'stable' or 'free', "
        'got "glue"',
        "19: render.layers: must be distinct layers, with color, depth, instance and "
        'category among them, got ["color", "depth"]',
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "1: spec: must be a mapping of keys to values, got null"),
        ("- a", '1: spec: must be a mapping of keys to values, got ["a"]'),
        ("name: a", "1: splits: is required"),
        ("name: a\nsplits: {}", "2: splits: must have at least 1 items"),
        (
            "name: a\nsplits:\n  train: 0",
            "3: splits.train: must be greater than or equal to 1, got 0",
        ),
        (MINIMAL + "objects: null", "3: objects: must be a mapping of keys to values"),
        *(
            (f"name: {name}\nsplits: {{train: 1}}", "1: name: must be a letter from a")
            for name in ("_a", "größe", "a" * 81, "9a", "a-b", '"a\\n"', "\u0915\u094d")
        ),
        ("name: a\nsplits: {_: 1}", "2: splits._: must be a letter from a to z"),
        ("name: a\nsplits: {'train[': 1}", "2: splits.train[: must be a letter"),
        (
            "name: a\nsplits: {train: 1, all: 1}",
            "2: splits.all: must be another name than `all`, which readers take for "
            'all splits together, got "all"',
        ),
        (
            MINIMAL + 'version: "01.2.3"',
            "3: version: must be a version such as 1.0.0, without leading zeros, got "
            '"01.2.3"',
        ),
        (
            "name: a\nsplits: {train: 1_000_000_000, test: 1}",
            "2: splits: must be at most 1,000,000,000 scenes in all splits together",
        ),
        (
            MINIMAL + "cameras: {patterns: {pan: {weight: 1.0e+308}}}",
            "3: cameras.patterns.pan.weight: must be less than or equal to 1000000",
        ),
        (
            MINIMAL + "cameras: {focal_length: 1.0e-9}",
            "3: cameras.focal_length: must be greater than or equal to 0.001, got",
        ),
        (
            MINIMAL + "cameras: {count: 1000}\ndynamics: {steps: 1000}\n"
            "objects: {count: 2}",
            "3: cameras.count: must leave at most 1,000,000 views times objects in a "
            "scene, got 1,000,000 views of up to 2",
        ),
        (
            MINIMAL + "visibility: {attempts: 10_000}\ncameras: {count: 1000}",
            "3: visibility.attempts: must leave at most 20,000,000 attempts times "
            "views times objects, got 10,000 attempts at 5,000 views of up to 1",
        ),
        (
            MINIMAL + "resolution: 8192",
            "3: resolution: must leave at most 1,073,741,824 pixels in a scene, or no "
            "record can hold it; got 25 views of 8192 x 8192",
        ),
        (
            MINIMAL + "resolution: [96]",
            "3: resolution: must be two numbers [height, width], or one for both, got "
            "[96]",
        ),
        (
            MINIMAL + "resolution: 4",
            "3: resolution: must be greater than or equal",
        ),
        (
            MINIMAL + "objects: {count: two}",
            "3: objects.count: must be two numbers [low, high], or one for both, got "
            '"two"',
        ),
        (
            MINIMAL + "objects: {count: 2.5}",
            "3: objects.count: must be a valid int",
        ),
        (
            MINIMAL + "objects: {categories: toy}",
            '3: objects.categories: must be a list, got "toy"; write [toy]',
        ),
        (MINIMAL + "seed: -1", "3: seed: must be greater than or equal to 0, got -1"),
        (MINIMAL + "seed: 2020-01-01", "3: seed: must be a valid integer"),
        (MINIMAL + "seed: true", "3: seed: must be a valid integer, got true"),
        (
            MINIMAL
            + "cameras:\n  patterns:\n"
            + "".join(f"    {p}: {{weight: 0}}\n" for p in Patterns().weights()),
            "4: cameras.patterns: must be at least one pattern with a weight above 0",
        ),
        (
            MINIMAL + "dynamics: {steps: 8}\ncameras:\n  paired: true",
            "5: cameras.paired: needs as many cameras as dynamics steps, but "
            "cameras.count is 5 and dynamics.steps 8",
        ),
        (
            MINIMAL + "dynamics:\n  motion: physics",
            "3: dynamics.contact: must be free where dynamics.motion is physics, which "
            "decides what touches the floor; got rest",
        ),
        (
            MINIMAL + "dynamics: {frame_rate: 25}",
            "3: dynamics.frame_rate: must be a divisor of 240, the physics' steps a "
            "second, got 25",
        ),
        (
            MINIMAL + "dynamics: {frame_rate: 0}",
            "3: dynamics.frame_rate: must be great",
        ),
        (
            MINIMAL + "cameras:\n  count: 3\n  held_out: 3",
            "5: cameras.held_out: must leave cameras to train on, but it is 3 and "
            "cameras.count 3",
        ),
        (
            MINIMAL + "cameras:\n  paired: true\n  held_out: 1",
            "4: cameras.paired: needs as many cameras as dynamics steps, and those "
            "that are held out, but cameras.count is 5 and dynamics.steps 5 and "
            "cameras.held_out 1",
        ),
        (
            MINIMAL + "cameras:\n  paired: true\n  count: 6\n  held_out: 1",
            "6: cameras.held_out: must be 0 where cameras are paired, unless handheld "
            "is the only pattern",
        ),
        (
            MINIMAL + "dynamics: {area: 2}",
            "3: dynamics.area: is now dynamics.spawn_radius",
        ),
        (
            MINIMAL + "visibility:\n  views: 0.5",
            "4: visibility.views: is now visibility.share_of_views",
        ),
        (
            MINIMAL + "cameras: {patterns: {dome: {weight: 1}}}",
            "3: cameras.patterns.dome: is now cameras.patterns.rig",
        ),
        (
            MINIMAL + "cameras: {patterns: [pan, dome]}",
            "3: cameras.patterns: dome is now rig",
        ),
        *(
            (
                MINIMAL + f"cameras: {{patterns: {names}}}",
                "3: cameras.patterns: must be a mapping, or a list of distinct names "
                f"among {', '.join(Patterns().weights())}, got [",
            )
            for names in ("[pan, tilt]", "[pan, pan]", "[[pan], {}]")
        ),
        (
            MINIMAL + "cameras: {patterns: []}",
            "3: cameras.patterns: must be at least one pattern with a weight above 0",
        ),
        (MINIMAL + "1: 2", "3: 1: unknown key"),
        (MINIMAL + "a: b: c", "3: not valid YAML: mapping values are not allowed"),
        (MINIMAL + "---\nname: b", "3: not valid YAML: but found another document"),
        (MINIMAL + "seed: !!python/name:os.getcwd", "3: not valid YAML: could not"),
        (MINIMAL + "objects: &x {}\ndynamics: *x", "4: YAML aliases are not"),
        (MINIMAL + "seed: " + "9" * 5000, " not valid YAML: Exceeds the limit"),
        ("[" * 5000, "1: nested more than 20 deep"),
        (b"name: \xff\xfe", " cannot be read: 'utf-8' codec can't decode"),
        (b"#" * ((1 << 18) + 1), " a spec is at most 262144 bytes"),
    ],
)
def test_one_line_says_what_is_wrong(tmp_path, text, error):
    [line] = errors(tmp_path, text)
    assert line.startswith(error)


def test_one_number_stands_for_two(tmp_path, make_resolved):
    path, specs = tmp_path / "spec.yaml", []
    for count, size, distance in ("2", "96", "5"), ("[2, 2]", "[96, 96]", "[5.0, 5]"):
        path.write_text(
            f"{MINIMAL}resolution: {size}\nobjects: {{count: {count}}}\n"
            f"cameras: {{distance: {distance}}}\n"
        )
        specs.append(load_spec(path))
    assert specs[0].objects.count == (2, 2) and specs[0].cameras.distance == (5.0, 5.0)
    hashes = {
        dataclasses.replace(make_resolved(), spec=spec).hash: type(
            spec.cameras.distance[0]
        )
        for spec in specs
    }
    assert list(hashes.values()) == [float]


def test_a_list_of_patterns_draws_these_and_no_other(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(MINIMAL + "cameras: {patterns: [zoom, rig]}")
    patterns = load_spec(path).cameras.patterns
    chosen = {name for name, weight in patterns.weights().items() if weight == 1.0}
    assert chosen == {"zoom", "rig"} and sum(patterns.weights().values()) == 2.0
    assert patterns.zoom == Zoom()


@settings(max_examples=50)
@given(st.just("all") | st.from_regex(r"[\w\-]{1,81}") | st.from_regex("[a-z_0-9]+"))
def test_readers_accept_every_valid_name(tmp_path_factory, name):
    path = tmp_path_factory.getbasetemp() / "names.yaml"
    path.write_text(yaml.safe_dump({"name": name, "splits": {name: 1}}))
    try:
        load_spec(path)
    except UserError:
        return
    assert tfds.core.naming.is_valid_dataset_and_class_name(name)
    assert re.fullmatch(r"\w{1,200}", name) and name == str(NamedSplit(name))
    assert tfds.core.splits.AbstractSplit.from_spec(name).split_name == name


# tfds calls what protobuf has deprecated.
@pytest.mark.filterwarnings("ignore:label:DeprecationWarning")
def test_the_longest_names_fit_a_file_system(tmp_path, make_resolved):
    name, split = "n" * 80, "s" * 80
    path = tmp_path / "spec.yaml"
    path.write_text(f"name: {name}\nsplits: {{{split}: 1}}\nresolution: 16\n")
    resolved = dataclasses.replace(make_resolved(), spec=load_spec(path))
    folder = write_dataset(tmp_path / "data", resolved, synthetic_views)
    assert len(Dataset(folder)[split]) == 1
    assert len(tfds.builder_from_directory(folder).as_data_source(split)) == 1
    # A shard is never of less than one scene, and may be written beside itself.
    last = shard_name(name, split, 10**9 - 1, 10**9)
    with replacing(tmp_path / last) as temporary:
        temporary.write_bytes(b"")


def test_a_small_file_of_nested_aliases_does_not_grow(tmp_path):
    levels = ["a0: &a0 [x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    [line] = errors(tmp_path, "\n".join(levels))
    assert line == "2: YAML aliases are not supported"


def test_overrides_take_the_place_of_the_files_keys(tmp_path, make_resolved):
    path, written = tmp_path / "spec.yaml", tmp_path / "written.yaml"
    path.write_text(MINIMAL + "objects: {count: [1, 2], size: 1.5}\n")
    overrides = [
        "splits.train=1_000",
        "splits.test=3",
        "objects.count=[2, 3]",
        "render.layers=[color, depth, instance, category, normal]",
        "cameras.patterns={zoom: {by: focal_length}}",
        "cameras.patterns.pan.arc=9",
        "seed=1",
        "seed=2",
        "description=a=b",
    ]
    written.write_text(
        "name: a\nsplits: {train: 1000, test: 3}\nseed: 2\ndescription: a=b\n"
        "objects: {count: [2, 3], size: 1.5}\n"
        "render: {layers: [color, depth, instance, category, normal]}\n"
        "cameras: {patterns: {zoom: {by: focal_length}, pan: {arc: 9}}}\n"
    )
    spec = load_spec(path, overrides)
    assert spec == load_spec(written) != load_spec(path)
    hashes = [
        dataclasses.replace(make_resolved(), spec=each).hash
        for each in (spec, load_spec(path))
    ]
    assert len(set(hashes)) == 2


@pytest.mark.parametrize(
    ("override", "error"),
    [
        ("objects.size=-1", "objects.size: must be greater than or equal to 0.000001"),
        ("objects={size: -1}", "objects.size: must be greater than or equal to"),
        ("objects.sze=1", "objects.sze: unknown key; did you mean 'size'?"),
        ("dynamics.area=1", "dynamics.area: is now dynamics.spawn_radius"),
        ("splits.test=", "splits.test: must be a valid integer, got null"),
        ("cameras.held_out=5", "cameras.held_out: must leave cameras to train on"),
        ("seed=[1", "seed:1: not valid YAML: expected"),
        ("seed=&x [*x]", "seed:1: YAML aliases are not supported"),
        ("seed=" + "[" * 50, "seed:1: nested more than 20 deep"),
        ("seed.x=1", "seed.x: seed is 7, not a mapping with keys to set"),
        ("splits.train.x=1", "splits.train.x: splits.train is 1, not a mapping"),
        ("seed", '"seed": must be KEY=VALUE, such as splits.train=100'),
        ("=1", '"=1": must be KEY=VALUE'),
        ("objects.=1", '"objects.=1": must be KEY=VALUE'),
    ],
)
def test_an_error_of_an_override_names_it(tmp_path, override, error):
    path = tmp_path / "spec.yaml"
    path.write_text(MINIMAL + "seed: 7\nobjects:\n  size: 2\n")
    with pytest.raises(UserError) as caught:
        load_spec(path, [override])
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"--set {error}")


def test_errors_of_the_file_keep_their_lines_beside_overrides(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(MINIMAL + "seed: -1\nobjects: {size: -1, count: 0}\n")
    with pytest.raises(UserError) as caught:
        load_spec(path, ["objects.count=-3"])
    one, two, three = str(caught.value).splitlines()
    assert one.startswith("--set objects.count") and "got -3" in one
    assert two.startswith(f"{path}:3: seed:")
    assert three.startswith(f"{path}:4: objects.size:")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(UserError, match=f"^{path}: cannot be read: "):
            load_spec(path)


def test_defaults_of_the_file_are_those_of_the_code(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(MINIMAL)
    assert load_spec(path) == Spec(name="a", splits={"train": 1})
    path.write_text(
        MINIMAL + "objects: {}\nbackgrounds: {}\ndynamics: {}\nvisibility: {}\n"
        "render: {}\ncameras: {patterns: {shift: {}, pan: {}, shell: {}}}\n"
    )
    assert load_spec(path) == Spec(name="a", splits={"train": 1})


def test_any_spec_can_be_written_as_yaml_and_read_back(tmp_path):
    spec = Spec(
        name="other",
        version="2.0.1",
        description="all but the defaults",
        seed=2**63 - 1,
        splits={"train": 7, "extra": 10**9 - 7},
        resolution=(64, 8192),
        objects=Objects(count=(2, 254), size=1.0, held_out=0.0, categories=("a", "b")),
        backgrounds=Backgrounds(held_out=0.5, backdrop="environment"),
        dynamics=Dynamics(steps=1, contact="free", jitter=0.0),
        cameras=Cameras(count=1, elevation=(-90.0, 90.0)),
        visibility=Visibility(share=0.0, share_of_views=1.0, attempts=1),
        render=Render(denoise=False, layers=("depth", "category", "instance", "color")),
    )
    data = yaml.safe_load(yaml.safe_dump(_lists(dataclasses.asdict(spec))))
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(data))
    assert load_spec(path) == spec


def _lists(value):
    if isinstance(value, dict):
        return {key: _lists(inner) for key, inner in value.items()}
    return list(map(_lists, value)) if isinstance(value, tuple) else value


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_specs_of_the_project_are_valid(path):
    assert path.stem.replace("-", "_") in load_spec(path).name


def test_the_papers_spec_writes_out_the_defaults():
    spec = load_spec(SPECS / "dyso.yaml")
    assert spec == Spec(
        name="dyso",
        description=spec.description,
        splits={"train": 1_000_000, "validation": 100_000, "test": 10_000},
        objects=Objects(catalog="ShapeNetCore.v2.json"),
        backgrounds=Backgrounds(catalog="HDRI_haven.json"),
    )


def test_a_resolved_spec_reads_back_equal(tmp_path, resolved):
    path = tmp_path / "spec.json"
    path.write_bytes(save_resolved(resolved))
    again = load_resolved(path)
    assert again == resolved
    assert again.hash == resolved.hash


def test_a_resolved_spec_with_former_keys_is_read(resolved):
    data = json.loads(save_resolved(resolved))
    rename(data["spec"], FORMER)
    text = json.dumps(data)
    assert '"area"' in text and '"spawn_radius"' not in text
    assert parse_resolved(text.encode(), "spec.json") == resolved


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"spec": 3}', "\x00"])
def test_invalid_resolved_specs_are_refused(tmp_path, text):
    path = tmp_path / "spec.json"
    path.write_text(text)
    with pytest.raises(UserError, match="not a resolved spec"):
        load_resolved(path)
    with pytest.raises(UserError, match="cannot be read"):
        load_resolved(tmp_path / "none.json")


def test_joints_move_only_where_the_surface_is_kept_and_nothing_deforms(tmp_path):
    layers = "render: {layers: [color, depth, instance, category, surface]}\n"
    moves = "dynamics: {articulate: {change: 0.5}}\n"
    [line] = errors(tmp_path, MINIMAL + moves)
    assert "render.layers: must have surface where dynamics.articulate changes" in line
    both = "dynamics: {articulate: {change: 0.5}, deform: {bend: 30}}\n"
    [line] = errors(tmp_path, MINIMAL + both + layers)
    assert "dynamics.deform: must be left out where dynamics.articulate moves" in line
    path = tmp_path / "spec.yaml"
    path.write_text(MINIMAL + moves + layers)
    assert load_spec(path).dynamics.articulate.change == (0.5, 0.5)


def test_shapes_change_only_where_the_surface_is_kept(tmp_path):
    deform = "dynamics:\n  deform: {bend: 30}\n"
    [line] = errors(tmp_path, MINIMAL + deform)
    assert "render.layers: must have surface where dynamics.deform changes" in line
    layers = "render: {layers: [color, depth, instance, category, surface]}\n"
    path = tmp_path / "spec.yaml"
    path.write_text(MINIMAL + deform + layers)
    assert load_spec(path).dynamics.deform.bend == (30, 30)
    # At 0, nothing deforms.
    path.write_text(MINIMAL + "dynamics:\n  deform: {bend: 0, motion: jitter}\n")
    assert not load_spec(path).dynamics.deform.any
    [line] = errors(tmp_path, MINIMAL + "dynamics:\n  deform: {taper: 1.5}\n")
    assert "dynamics.deform.taper" in line
