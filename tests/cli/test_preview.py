import re
import shutil

import pytest
import tensorflow_datasets as tfds
from PIL import Image

from dyso.cli.preview import main
from dyso.spec import UserError


def test_it_writes_sheets_animation_and_page_and_names_them(
    synthetic, tmp_path, capsys
):
    out = tmp_path / "looks"
    assert main(synthetic, out=out, scenes=3) == 0
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert written >= {
        "index.html",
        "overview.png",
        "walk.gif",
        "tracks.gif",
        "sheets/train-00000.png",
        "sheets/train-00002.png",
        "scenes/train-00002/scene.js",
        "scenes/test-00000/color.webp",
        "sheets/test-00000.png",
    }
    assert not [name for name in written if "tmp" in name]
    for name in written:
        if name.endswith((".png", ".gif")):
            with Image.open(out / name) as image:
                image.load()
                assert min(image.size) >= 24
    said = capsys.readouterr().out
    assert str(out / "index.html") in said
    assert f"next: dyso show {synthetic} --split train --index 0" in said


def test_a_page_holds_part_of_a_dataset_and_more_scenes_add_to_it(
    synthetic, tmp_path, capsys
):
    out = tmp_path / "looks"
    main(synthetic, out=out, scenes=2)
    said = capsys.readouterr().out
    assert "2 of 6 scenes; --scenes N shows more" in said
    first = {path: path.read_bytes() for path in (out / "scenes").rglob("*.*")}
    assert {path.parent.name for path in first} == {"train-00000", "test-00000"}
    planted = out / "scenes" / "train-00000" / "scene.js"
    planted.write_bytes(first[planted].partition(b"\n")[0] + b"\nalert(1);\n")
    main(synthetic, out=out, scenes=200)
    assert "a page to browse all scenes" in capsys.readouterr().out
    assert len(list((out / "scenes").iterdir())) == 6
    for path, content in first.items():
        assert path.read_bytes() == content
    page = (out / "index.html").read_text()
    assert "data:" not in page and "base64" not in page


# tfds itself asks protobuf in a way that newer versions of it warn of.
@pytest.mark.filterwarnings("ignore:label.. is deprecated:DeprecationWarning")
def test_the_pictures_do_not_disturb_the_dataset(synthetic):
    assert main(synthetic, scenes=1) == 0
    assert (synthetic / "preview" / "index.html").is_file()
    source = tfds.builder_from_directory(synthetic).as_data_source(split="train")
    assert len(source) == 4


def test_impossible_options_are_a_one_line_error_and_leave_nothing(synthetic, tmp_path):
    with pytest.raises(UserError, match="scenes: must be at least 1, got 0"):
        main(synthetic, out=tmp_path / "a", scenes=0)
    with pytest.raises(UserError, match="not a finished dataset"):
        main(tmp_path, out=tmp_path / "a")
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written.*--out"):
        main(synthetic, out=tmp_path / "file" / "b")


@pytest.mark.parametrize(
    "link",
    ["preview", "preview/sheets", "preview/scenes", "preview/scenes/train-00000"],
)
def test_links_in_a_dataset_cannot_redirect_pictures(synthetic, tmp_path, link):
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    shutil.copytree(synthetic, data, ignore=shutil.ignore_patterns("preview"))
    elsewhere.mkdir()
    (data / link).parent.mkdir(parents=True, exist_ok=True)
    (data / link).symlink_to(elsewhere)
    told = f"{data / link}: cannot be written: is a symbolic link"
    with pytest.raises(UserError, match=re.escape(told)):
        main(data, scenes=1)
    assert list(elsewhere.iterdir()) == []
