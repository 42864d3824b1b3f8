import shutil

import pytest

from dyso.cli.validate import main
from dyso.spec import UserError


def test_a_sound_dataset_passes_with_a_summary(synthetic, capsys):
    assert main(synthetic) == 0
    said = capsys.readouterr().out
    assert f"{synthetic}: no problems: 2 shards, 6 of 6 scenes" in said
    assert "required: 99 %" in said


def test_problems_are_listed_and_the_status_is_1(synthetic, tmp_path, capsys):
    folder = shutil.copytree(synthetic, tmp_path / "data")
    [train] = folder.glob("*-train.*")
    [test] = folder.glob("*-test.*")
    train.unlink()
    data = bytearray(test.read_bytes())
    data[len(data) // 3] ^= 1
    test.write_bytes(data)
    assert main(folder, scenes=0) == 1
    missing, damaged, summary, advice = capsys.readouterr().out.splitlines()
    assert missing.startswith(f"{train.name}: is missing")
    assert damaged == f"{test.name}: its checksum is not the one in metadata.json"
    assert summary.startswith(f"{folder}: 2 problems in 2 shards, 0 of 6 scenes")
    assert advice.startswith(f"to remake only these shards: rm -- {test}; then run the")


def test_a_folder_that_is_not_a_dataset_is_a_one_line_error(tmp_path):
    with pytest.raises(UserError, match=r"spec\.json"):
        main(tmp_path)
    with pytest.raises(UserError, match="scenes: must be at least 0, got -1"):
        main(tmp_path, scenes=-1)


@pytest.mark.slow
def test_real_renders_prove_their_geometry(rendered, capsys):
    assert main(rendered) == 0
    said = capsys.readouterr().out
    assert "3 of 3 scenes" in said
    assert "no straight step in the brightness" in said
