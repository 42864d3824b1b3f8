"""`dyso show` and `dyso preview` of ingested videos."""

import json

import pytest
from PIL import Image

from dyso.cli import preview, show
from dyso.spec import UserError
from dyso.videos import Options, ingest
from helpers.video_files import film, numbered


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Three clips of 10 to 12 frames."""
    films = tmp_path_factory.mktemp("films")
    for i in range(3):
        film(films / f"film{i}.mp4", numbered(10 + i))
    out = tmp_path_factory.mktemp("clips") / "out"
    ingest(films, out, Options(resolution=(16, 24)), workers=1)
    return out


def test_a_clip_is_shown(clips, capsys):
    assert show.main(clips, index=1) == 0
    text = capsys.readouterr().out
    assert "film1.mp4" in text and "16 x 24 (height x width)" in text
    assert show.main(clips, index=-1, json=True) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["frames"]) == ("film2.mp4", len(shown["times"]))
    with pytest.raises(UserError, match="range"):
        show.main(clips, index=3)


def test_pictures_of_clips(clips, tmp_path, capsys):
    assert preview.main(clips, out=tmp_path) == 0
    assert "contact sheet of 3 clips" in capsys.readouterr().out
    with Image.open(tmp_path / "overview.png") as sheet:
        width, height = sheet.size
    assert width > 10 * 24 and height > 3 * 16
    with Image.open(tmp_path / "walk.gif") as film:
        assert film.n_frames > 5
    assert preview.main(clips) == 0
    assert (clips / "preview" / "walk.gif").exists()
