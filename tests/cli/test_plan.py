import json

import pytest

from dyso.cli import plan
from dyso.spec import UserError

SPEC = """
name: tiny
splits: {train: 30, test: 10}
resolution: [16, 24]
objects: {held_out: 0.2}
dynamics: {steps: 2}
cameras: {count: 3}
render: {samples: 1, denoise: false}
"""


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC)
    return path


def test_without_a_pilot_it_counts_and_needs_no_assets(tmp_path, capsys):
    spec = tmp_path / "tiny.yaml"
    spec.write_text(SPEC.replace("{held_out: 0.2}", "{catalog: /none/objects.json}"))
    assert plan.main(spec, pilot=0) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert "40 scenes (train 30, test 10) of 6 views, 240 views of 16 x 24" in line
    assert plan.main(spec, pilot=0, json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["scenes"], found["views"]) == (40, 240)
    assert found["estimates"] == {}


def test_bad_numbers_are_one_line(spec):
    for option, value, said in [
        ("pilot", -1, "pilot: must be at least 0, got -1"),
        ("cores", 0, "cores: must be at least 1, got 0"),
        ("price", -0.5, "price: must be above 0, got -0.5"),
        ("price", float("nan"), "price: must be above 0, got nan"),
        ("timeout", 0, "timeout: must be above 0, got 0"),
    ]:
        with pytest.raises(UserError) as caught:
            plan.main(spec, **{option: value})
        assert str(caught.value) == said


@pytest.mark.slow
def test_the_numbers_of_a_real_pilot_agree_with_each_other(spec, capsys):
    assert plan.main(spec, pilot=4, cores=8, price=0.25, json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pilot"]["scenes"] == 4 and found["pilot"]["failed"] == {}
    mean = {name: value["mean"] for name, value in found["estimates"].items()}
    assert mean["dataset_bytes"] == pytest.approx(40 * mean["record_bytes"])
    assert mean["record_bytes"] == pytest.approx(6 * mean["view_bytes"])
    hours = 40 * mean["scene_core_seconds"] / 3600
    assert mean["core_hours"] == pytest.approx(hours)
    assert mean["wall_hours"] == pytest.approx(hours / 8)
    assert mean["price"] == pytest.approx(hours / 4)
    # Six views of a few thousand paths: the start is there by its share alone.
    assert 0.05 < mean["scene_core_seconds"] < 5
    assert 2_000 < mean["record_bytes"] < 100_000
    for value in found["estimates"].values():
        assert 0 <= value["low"] < value["mean"] < value["high"]


@pytest.mark.slow
def test_it_prints_a_table(spec, capsys):
    assert plan.main(spec, pilot=1, cores=64, price=0.03) == 0
    said = capsys.readouterr().out
    for words in ("unknown from one scene", "hours on 64 cores", "at 0.03 a core-hour"):
        assert words in said
    assert max(map(len, said.splitlines())) <= 100
