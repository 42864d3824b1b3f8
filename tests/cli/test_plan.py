import json
import re
from pathlib import Path

import pytest

from dyso import cli
from dyso.cli import generate, plan
from dyso.spec import UserError

SPECS = Path(__file__).parents[2] / "specs"
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


def test_without_a_pilot_it_counts(spec, capsys):
    assert plan.main(spec, pilot=0) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert "40 scenes (train 30, test 10) of 6 views, 240 views of 16 x 24" in line
    assert plan.main(spec, pilot=0, json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["scenes"], found["views"]) == (40, 240)
    assert found["estimates"] == {}


def test_the_command_line_sets_keys_of_the_spec(spec, capsys, monkeypatch):
    words = ["dyso", "plan", str(spec), "--pilot", "0"]
    words += ["--set", "splits.train=7", "--set", "resolution=[8, 9]"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 0
    [line] = capsys.readouterr().out.splitlines()
    assert "17 scenes (train 7, test 10)" in line and "of 8 x 9" in line
    monkeypatch.setattr("sys.argv", [*words, "--set", "objects.catalog=none.json"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    where = spec.parent / "none.json"
    assert f"--set objects.catalog: {where}: no such manifest" in line


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (
            "{catalog: none.json, held_out: 0.2}",
            ["5: objects.catalog: FOLDER/none.json: no such manifest; `dyso"],
        ),
        (
            "{catalog: tiny.yaml}",
            ["5: objects.catalog: FOLDER/tiny.yaml: cannot read this manifest: Expect"],
        ),
        (
            "{\n  categories: [boat]}\nbackgrounds: {assets: [hall]}",
            [
                "6: objects.categories: boat: not in the catalog starter_objects",
                "7: backgrounds.assets: hall: not in the catalog starter_hdris, wh",
            ],
        ),
        (
            "{}\nbackgrounds:\n  assets: [interior]\n  held_out: 0.5",
            ["8: backgrounds.held_out: 0.5 leaves a split without assets: 1 to choose"],
        ),
    ],
)
def test_it_reports_the_errors_of_generate(section, said, spec):
    spec.write_text(SPEC.replace("{held_out: 0.2}", section))
    found = []
    for command, options in (
        (plan.main, {"pilot": 0}),
        (generate.main, {"out": str(spec.parent / "data")}),
    ):
        with pytest.raises(UserError) as caught:
            command(spec, **options)
        found.append(str(caught.value))
    assert found[0] == found[1]
    for line, begin in zip(found[0].splitlines(), said, strict=True):
        assert line.startswith(f"{spec}:{begin}".replace("FOLDER", str(spec.parent)))
    assert not (spec.parent / "data").exists()


@pytest.mark.parametrize("name", ["dyso", "msn"])
def test_missing_catalogs_can_be_replaced_on_the_command_line(name, tmp_path, capsys):
    text = (SPECS / f"{name}.yaml").read_text()
    path = tmp_path / f"{name}.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        plan.main(path, pilot=0)
    lines = str(caught.value).splitlines()
    wrong = [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if line.startswith("  catalog: ")
    ]
    for line, number, action in zip(lines, wrong, ["shapenet", "hdris"], strict=True):
        assert line.startswith(f"{path}:{number}: ")
        assert f"`dyso assets {action}` makes one" in line
        assert "or write `catalog: starter`" in line
    path.write_text(re.sub(r"  catalog: .*", "  catalog: starter", text))
    assert plan.main(path, pilot=0) == 0
    assert "views" in capsys.readouterr().out


def test_bad_numbers_are_a_one_line_error(spec):
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
    expected = "unknown from one scene", "hours on 64 cores", "at 0.03 per core-hour"
    assert all(words in said for words in expected)
    assert max(map(len, said.splitlines())) <= 100
