import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dyso.cli import export
from dyso.cli.export import main
from dyso.export import FORMATS, format_named
from dyso.reading import Dataset
from dyso.spec import UserError
from helpers.commands import Command


def test_help_teaches_the_formats():
    status, out, _ = Command("export", "--help").end(60)
    assert status == 0
    for name in FORMATS:
        assert f"{name} {format_named(name).ABOUT}" in " ".join(out.split())


def test_it_exports_and_resumes(synthetic, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(synthetic, format="nerfstudio", out=out, split="test", workers=1) == 0
    assert capsys.readouterr().out.startswith(
        f"{out}: 2 scenes (test 2) as nerfstudio, "
    )
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/*/**/*.json")}
    (out / "test" / "scene_1").rename(tmp_path / "away")
    assert main(synthetic, format="nerfstudio", out=out, workers=1) == 0
    said = capsys.readouterr().out
    counts = "train 4, test 2, 1 of them before"
    assert said.startswith(f"{out}: 6 scenes ({counts}) as nerfstudio, ")
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.json")}
    kept = {path: time for path, time in before.items() if "scene_1" not in str(path)}
    assert kept.items() < after.items()
    folders = sorted(str(path.relative_to(out)) for path in out.glob("*/scene_*"))
    assert folders == [
        *(f"test/scene_{i}" for i in range(2)),
        *(f"train/scene_{i}" for i in range(4)),
    ]


def test_limitations_of_readers_are_printed_at_the_end(synthetic, tmp_path, capsys):
    main(synthetic, format="dynerf", out=tmp_path / "out", scenes=":1")
    spec = Dataset(synthetic).resolved.spec
    said = [f"note: {note}" for note in format_named("dynerf").notes(spec)]
    assert said and capsys.readouterr().err.splitlines()[-len(said) :] == said


def test_a_range_is_of_each_split_and_the_output_says_so(synthetic, tmp_path, capsys):
    main(synthetic, format="nerfstudio", out=tmp_path / "both", scenes="0:2")
    assert ": 4 scenes (train 2, test 2) as" in capsys.readouterr().out
    out = tmp_path / "one"
    main(synthetic, format="nerfstudio", out=out, scenes="0:2", split="test")
    assert ": 2 scenes (test 2) as" in capsys.readouterr().out
    text = " ".join(Command("export", "--help").end(60)[1].split())
    assert "of each split; with --split, of that split only" in text


READ = {
    "parquet": "train",
    "webdataset": "scene.json",
    "coco": "description: ",
    "tapvid": "_scene_0_cam_000': (256, ",
    "tapvid3d": "256, 3)",
}


@pytest.mark.parametrize("format", READ)
def test_the_next_line_reads_the_export(synthetic, tmp_path, capsys, format):
    main(synthetic, format=format, out=tmp_path / "it's", scenes=":1")
    command = capsys.readouterr().out.splitlines()[-1].removeprefix("next: python ")
    environment = os.environ | {"HF_HOME": str(tmp_path)}
    line = f"{shlex.quote(sys.executable)} {command}"
    done = subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert READ[format] in done.stdout


@pytest.mark.parametrize("format", ["nerfstudio", "colmap", "d3dgs", "dynerf"])
def test_the_next_line_names_existing_files(synthetic, tmp_path, capsys, format):
    main(synthetic, format=format, out=tmp_path / "out", scenes="1:2", workers=1)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("next: ")
    paths = [Path(word) for word in shlex.split(last) if word.startswith("/")]
    assert paths and all(path.exists() for path in paths)


def test_every_format_has_a_next_line():
    assert {*export._PYTHON, *export._SHELL} == set(FORMATS)


def test_part_of_a_split_keeps_its_numbers(synthetic, tmp_path):
    main(synthetic, format="nerfstudio", out=tmp_path, split="train", scenes="2:3")
    assert [path.name for path in (tmp_path / "train").iterdir()] == ["scene_2"]


def test_bad_input_is_a_one_line_error_and_writes_nothing(synthetic, tmp_path):
    out = tmp_path / "out"

    def refused(why, **options):
        with pytest.raises(UserError, match=why) as raised:
            main(synthetic, out=out, **{"format": "parquet", **options})
        assert "\n" not in str(raised.value)
        assert not out.exists()

    refused("no format 'obj'; the formats are sunds, multi_shapenet, ", format="obj")
    refused("no split 'val'; the splits are train, test", split="val")
    refused(r"7: contains no scene; .*: train 4, test 2", scenes="7:")
    refused("workers: must be at least 1, got 0", workers=0)
    refused("cameras.paired", format="nsff")
    out.write_text("a file")
    with pytest.raises(UserError, match=r"out: Not a directory;"):
        main(synthetic, format="parquet", out=out)
