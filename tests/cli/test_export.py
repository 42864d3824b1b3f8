import pytest
from commands import Command

from dyso.cli.export import main
from dyso.export import FORMATS, format_named
from dyso.reading import Dataset
from dyso.spec import UserError


def test_help_teaches_the_formats():
    status, out, _ = Command("export", "--help").end(60)
    assert status == 0
    for name in FORMATS:
        assert f"{name} {format_named(name).ABOUT}" in " ".join(out.split())


def test_it_exports_and_goes_on(synthetic, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(synthetic, format="nerfstudio", out=out, split="test", workers=1) == 0
    assert capsys.readouterr().out.startswith(f"{out}: 2 scenes as nerfstudio, ")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.json")}
    (out / "test" / "scene_1").rename(tmp_path / "away")
    assert main(synthetic, format="nerfstudio", out=out, workers=1) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{out}: 6 scenes (1 were there) as nerfstudio, ")
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.json")}
    kept = {path: time for path, time in before.items() if "scene_1" not in str(path)}
    assert kept.items() < after.items()
    folders = sorted(str(path.relative_to(out)) for path in out.glob("*/scene_*"))
    assert folders == [
        *(f"test/scene_{i}" for i in range(2)),
        *(f"train/scene_{i}" for i in range(4)),
    ]


def test_what_readers_do_is_said_at_the_end(synthetic, tmp_path, capsys):
    main(synthetic, format="dynerf", out=tmp_path / "out", scenes=":1")
    spec = Dataset(synthetic).resolved.spec
    said = [f"note: {note}" for note in format_named("dynerf").notes(spec)]
    assert said and capsys.readouterr().err.splitlines()[-len(said) :] == said


def test_part_of_a_split_keeps_its_numbers(synthetic, tmp_path):
    main(synthetic, format="nerfstudio", out=tmp_path, split="train", scenes="2:3")
    assert [path.name for path in (tmp_path / "train").iterdir()] == ["scene_2"]


def test_bad_input_is_one_line_and_writes_nothing(synthetic, tmp_path):
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
    with pytest.raises(UserError, match=r"out: File exists; .* another folder"):
        main(synthetic, format="parquet", out=out)
