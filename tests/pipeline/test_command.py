import dataclasses
from pathlib import Path

import pytest

from dyso.pipeline.command import load, local_flags, main
from dyso.records.synthetic import synthetic_views
from dyso.render import image_bytes, resources
from dyso.render.client import scene_seconds
from dyso.sampling import sample_scene
from dyso.spec import REQUIRED_LAYERS, Render, UserError

ROOT = Path(__file__).parents[2]
SPEC = "name: tiny\nsplits: {train: 50, test: 3}\n"


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC)
    return path


@pytest.mark.parametrize(
    "option", ["--scenes_per_prat=3", "--direct_num_worker=2", "extra"]
)
def test_misspelt_options_are_errors(spec, tmp_path, option, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--spec", str(spec), "--output", str(tmp_path / "data"), option])
    assert caught.value.code == 2
    assert f"unrecognized arguments: {option}" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_bad_input_is_a_one_line_error_and_a_status(tmp_path, capsys):
    argv = ["--spec", str(tmp_path / "none.yaml"), "--output", str(tmp_path / "data")]
    assert main(argv) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "none.yaml" in line
    assert not (tmp_path / "data").exists()


def test_a_limited_dataset_is_its_own_and_has_the_same_scenes(spec):
    whole, limited = load(spec), load(spec, 10)
    assert limited.spec.splits == {"train": 10, "test": 3}
    assert limited.hash != whole.hash
    scene = sample_scene(limited, "train", 7)
    assert sample_scene(whole, "train", 7) == dataclasses.replace(
        scene, spec_hash=whole.hash
    )
    with pytest.raises(UserError, match="limit: must be at least 1, got 0"):
        load(spec, 0)


def test_the_job_takes_keys_of_the_spec(spec, tmp_path, capsys):
    argv = ["--spec", str(spec), "--output", str(tmp_path / "data")]
    assert main([*argv, "--set", "seed=3", "--set", "splits.train=many"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert '--set splits.train: must be a valid integer, got "many"' in line
    other = load(spec, overrides=["seed=3", "splits.train=60"])
    assert (other.spec.seed, other.spec.splits) == (3, {"train": 60, "test": 3})
    assert other.hash != load(spec).hash


def test_workers_are_counted_from_one():
    assert "--direct_num_workers=3" in local_flags(3)
    with pytest.raises(UserError, match="workers: must be at least 1, got 0"):
        local_flags(0)


def test_workers_are_as_many_as_memory_is_there_for(spec, monkeypatch):
    monkeypatch.setattr(resources, "usable_cpus", lambda: range(16))
    monkeypatch.setattr(resources, "usable_memory", lambda: 24_000_000_000)
    large = load(ROOT / "specs" / "panoptic.yaml").spec
    assert "--direct_num_workers=16" in local_flags(None, load(spec).spec)
    assert "--direct_num_workers=2" in local_flags(None, large)
    assert "--direct_num_workers=16" in local_flags(16, large)
    monkeypatch.setattr(resources, "usable_memory", lambda: 0)
    assert "--direct_num_workers=1" in local_flags(None, large)


def test_a_scene_may_take_many_times_what_it_should(spec):
    small, large = load(spec), load(ROOT / "specs" / "panoptic.yaml")
    assert scene_seconds(sample_scene(small, "train", 0)) == 600
    # It took 46 minutes.
    assert scene_seconds(sample_scene(large, "scenes", 0)) > 6 * 46 * 60


@pytest.mark.parametrize("layers", [(), ("normal",), ("normal", "object_coordinates")])
def test_the_bytes_of_views_are_known_before_they_are_there(make_resolved, layers):
    resolved = make_resolved(render=Render(layers=REQUIRED_LAYERS + layers))
    views = synthetic_views(sample_scene(resolved, "train", 0))
    images = [x for x in views.arrays().values() if x.dtype != "float64"]
    assert image_bytes(resolved.spec) == sum(image.nbytes for image in images)


def test_options_may_be_spelt_as_those_of_dyso():
    from dyso.pipeline.command import _parser

    spelt = [
        ["--spec=s", "--out=o", "--scenes-per-part=3", "--scenes-per-shard=4"],
        ["--spec=s", "--output=o", "--scenes_per_part=3", "--scenes_per_shard=4"],
    ]
    ours, beams = (_parser(beam=False).parse_known_args(words) for words in spelt)
    assert ours == beams and ours[1] == []
