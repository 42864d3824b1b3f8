"""Learning curves: every run and measure is drawn, to scale."""

import itertools
import json
import re
from xml.etree import ElementTree

import pytest

from dyso.cli import curves as command
from dyso.errors import UserError
from dyso.train.log import Log
from dyso.train.presets import PRESETS


def run(folder, values):
    """A run of 40 steps, which logs every step and evaluates at every tenth."""
    folder.mkdir()
    lines = [{"step": step, "scenes/psnr": 10 + step / 10} for step in range(1, 41)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text)
    config = PRESETS["dyst-tiny"].config
    with Log(folder, 40, config, lambda metrics: None, lambda line: None) as log:
        for step, value in zip((10, 20, 30, 40), values, strict=True):
            measured = {"psnr": 10 * value, "R_cam": value, "R_dyn_median": value}
            log.write_evaluation(step, measured)
    return folder


def test_curves_of_two_runs(tmp_path, capsys):
    runs = [run(tmp_path / "a<b", [4, 3, 2, 1]), run(tmp_path / "c", [2, 2, 2, 2])]
    out = tmp_path / "new" / "curves.svg"
    assert command.main(runs, out=out) == 0
    assert capsys.readouterr().out == f"{out}\n"
    drawn = ElementTree.fromstring(out.read_text())
    space = "{http://www.w3.org/2000/svg}"
    texts = [element.text for element in drawn.iter(f"{space}text")]
    assert {"a<b", "c", "R_cam (dashed: median)", "0.04k"} <= set(texts)
    lines = [
        [tuple(map(float, pair.split(","))) for pair in element.get("points").split()]
        for element in drawn.iter(f"{space}polyline")
        if element.get("points")
    ]
    # PSNR in training, 10 lines a point; then three measures.
    assert [len(line) for line in lines] == [4] * 8
    falling, level = lines[4], lines[5]  # R_cam
    heights = [y for _, y in falling]
    steps = [after - before for before, after in itertools.pairwise(heights)]
    assert steps == pytest.approx([steps[0]] * 3, abs=0.2) and steps[0] > 0
    assert [y for _, y in level] == pytest.approx([falling[2][1]] * 4)
    assert [x for x, _ in falling] == [x for x, _ in level]
    assert len(re.findall("stroke-dasharray", out.read_text())) == 4


def test_a_folder_without_metrics_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"metrics\.jsonl: No such file"):
        command.main([tmp_path], out=tmp_path / "c.svg")
    (tmp_path / "metrics.jsonl").write_text("{")
    with pytest.raises(UserError, match="not the metrics of a run"):
        command.main([tmp_path], out=tmp_path / "c.svg")
