"""The prompts and the table of `benchmarks/text_to_4d.py`."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "text_to_4d.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("text_to_4d", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)
        spec.loader.exec_module(module)
    return module


def test_prompts_are_frequent_captions_of_all_categories_in_many_colors(bench):
    captions = [
        *["a red box turning"] * 5,
        *["a red vase turning"] * 4,
        *["a red box standing still"] * 3,
        *["a blue vase moving to the left"] * 9,
        *["a blue vase standing still"] * 2,
        *["a green box turning", "a red and green vase moving along a curve"],
    ]
    found = bench.prompts_of(captions, ("box", "vase"))
    # Another colour than the box's, though it is rarer, and without a direction.
    assert found == [
        *("a red box turning", "a blue vase standing still"),
        *("a green box turning", "a red vase turning"),
    ]


def test_a_table_has_means_of_what_was_measured(bench, capsys):
    rows = {
        "whole": [
            {"retrieval": 1.0, "change": 0.1, "agreement": float("nan")},
            {"retrieval": 0.0, "change": 0.3, "agreement": 0.5},
        ],
        "static": [],
    }
    means = bench.averages(rows)
    assert means["whole"] == pytest.approx(
        {"retrieval": 0.5, "change": 0.2, "agreement": 0.5}
    )
    assert means["static"] == {} and not np.isnan(means["whole"]["agreement"])
    bench.show(rows)
    head, line, whole, static = capsys.readouterr().out.splitlines()
    assert {row.count("|") for row in (head, line, whole, static)} == {11}
    assert whole.startswith("| text to 4D | 2 | 0.500 |")


def test_a_fit_that_fails_says_why_and_ends_the_benchmark(bench, tmp_path, capfd):
    with pytest.raises(SystemExit) as end:
        bench.fit_all(
            tmp_path / "none", tmp_path / "scenes", ["a red car"], {"one": ""}
        )
    assert end.value.code == 2
    *_, last = capfd.readouterr().err.splitlines()
    assert last.startswith(f"{tmp_path}/none")
