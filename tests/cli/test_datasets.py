"""Behaviour that all commands share that open a dataset."""

import pytest

from dyso import terminal
from dyso.cli import evaluate, export, preview, render, show, stats, status, validate
from dyso.cli import train as training
from dyso.reading import Dataset
from dyso.spec import UserError
from helpers.commands import Command


@pytest.mark.parametrize(
    "open_it",
    [
        lambda path, out: evaluate.main(path, data=path),
        lambda path, out: export.main(path, format="colmap", out=out),
        lambda path, out: preview.main(path, out=out),
        lambda path, out: render.main(path, out=out),
        lambda path, out: show.main(path),
        lambda path, out: stats.main(path),
        lambda path, out: status.main(str(path)),
        lambda path, out: training.select(["dyst"])[1](data=path, workdir=out),
        lambda path, out: validate.main(path),
    ],
)
def test_a_missing_folder_is_reported_as_missing(open_it, tmp_path):
    with pytest.raises(UserError, match=r"nothing: does not exist") as raised:
        open_it(tmp_path / "nothing", tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_the_first_split_is_the_default(synthetic, starter_spec, tmp_path, capsys):
    first = next(iter(Dataset(synthetic).splits))
    assert show.main(synthetic) == 0
    assert f"of split {first}" in capsys.readouterr().out
    video = starter_spec.parent / "video.yaml"
    with pytest.raises(UserError, match="no scene 1000 in split 'videos'"):
        render.main(video, out=tmp_path / "b", index=1000)


def test_sizes_are_height_first(synthetic):
    assert terminal.size(128, 128) == "128 x 128"
    status, out, _ = Command("show", synthetic).end(60)
    assert status == 0 and "24 x 32 (height x width)" in out
