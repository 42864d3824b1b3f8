"""`dyso score` from the command line, and its report in a browser."""

import json

import numpy as np
import pytest

from dyso.cli.score import main
from dyso.reading import Dataset
from dyso.scoring import queries_of
from dyso.spec import Cameras, Dynamics, UserError
from helpers.browser import Browser, find_chromium
from helpers.dataset_writer import write_dataset
from helpers.predictions import change, write_truth


@pytest.fixture(scope="module")
def data(make_resolved, tmp_path_factory):
    from dyso.records.synthetic import synthetic_views

    resolved = make_resolved(
        splits={"test": 2},
        resolution=(24, 32),
        dynamics=Dynamics(steps=3),
        cameras=Cameras(count=3, held_out=1),
    )
    folder = tmp_path_factory.mktemp("scored") / "data"
    return write_dataset(folder, resolved, synthetic_views)


@pytest.fixture(scope="module")
def methods(data, tmp_path_factory):
    """Folders of two methods: the truth; and only wrong depth and 3D tracks."""
    folder, dataset = tmp_path_factory.mktemp("methods"), Dataset(data)
    first = write_truth(folder / "a", dataset, method="truth <a>", scenes=(0, 1))
    second = write_truth(folder / "b", dataset, method="off", scenes=(0, 1))
    for scene in (second / "scene_0", second / "scene_1"):
        for name in ("cameras.npz", "tracks_2d.npz"):
            (scene / name).unlink()
        change(scene / "tracks_3d.npz", points=lambda points: points + 0.01)
        for view in range(9):
            change(scene / f"depth/{view}.npz", depth=lambda depth: 1.5 * depth)
    return first, second


def test_it_prints_and_writes_what_it_measures(data, methods, tmp_path, capsys):
    out = tmp_path / "new/report.html"
    assert main(methods, data=data, out=out) == 0
    lines = capsys.readouterr().out.splitlines()
    table = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert lines[0].split() == ["truth", "<a>", "off"]
    assert table["psnr"] == ["inf", "inf"]
    assert table["depth_abs_rel"] == ["0.0000", "0.5000"]
    assert table["track_3d_mte"] == ["0.0000", "0.0173"]
    assert table["track_2d_aj"] == ["1.000", "-"]
    assert "no lpips: needs weights, given by --lpips" in lines
    figures = json.loads((tmp_path / "new/report.json").read_text())
    first, second = figures["methods"]
    assert first["scores"]["psnr"] == {"mean": "inf", "error": None, "scenes": 2}
    assert second["scores"]["depth_abs_rel"]["mean"] == pytest.approx(0.5)
    assert "camera_ate" not in second["scores"]
    page = out.read_text()
    assert "truth &lt;a&gt;" in page and "truth <a>" not in page
    assert page.count("not measured") == 5 + 5


def test_scenes_can_be_chosen(data, methods, capsys):
    assert main(methods[:1], data=data, scenes="1:") == 0
    assert "psnr" in capsys.readouterr().out
    with pytest.raises(UserError, match="scenes: 2: contains no scene"):
        main(methods[:1], data=data, scenes="2:")


def test_it_writes_the_points_to_track(data, tmp_path, capsys):
    assert main(data=data, queries=tmp_path / "queries") == 0
    assert "the points to track in 2 scenes" in capsys.readouterr().out
    split = Dataset(data)["test"]
    for index in range(2):
        written = np.load(tmp_path / f"queries/scene_{index}.npz")
        expected = vars(queries_of(split, index))
        assert set(written) == set(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(written[name], values)


def test_it_writes_the_points_of_one_camera(data, tmp_path):
    assert main(data=data, queries=tmp_path, query_cameras=(1,), scenes=":1") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["scene_0.npz"]
    assert set(np.load(tmp_path / "scene_0.npz")["camera"]) == {1}


def test_bad_arguments_are_one_line(data, methods, tmp_path):
    for words, said in (
        ({}, "score: name a folder of predictions, or use --queries"),
        ({"out": tmp_path / "report.json"}, r"out: must end in \.html"),
        ({"scenes": "1-2"}, "scenes: must be as in 0:4"),
        ({"lpips": tmp_path / "absent.npz"}, r"absent\.npz: No such file"),
        ({"queries": tmp_path, "split": "train"}, "no split 'train'"),
    ):
        folders = () if not words or "queries" in words else methods[:1]
        with pytest.raises(UserError, match=said):
            main(folders, data=data, **words)
    with pytest.raises(UserError, match="two methods have the name 'off'"):
        main((methods[1], methods[1]), data=data)


def test_the_report_fits_every_window(data, methods, tmp_path):
    program = find_chromium()
    if program is None:
        pytest.skip("needs Chromium: run `apt-get install chromium`")
    out = tmp_path / "report.html"
    main(methods, data=data, out=out)
    with Browser(program, tmp_path / "profile", 1280, 860) as browser:
        browser.open(out)
        for width in (1280, 700, 360):
            browser.resize(width, 860)
            rights = browser.run(
                "[...document.images].map(own => own.getBoundingClientRect().right)"
            )
            # Of each scene: 2 views, a depth map, and tracks.
            assert len(rights) == 2 * (2 * 6 + 6 + 2)
            assert max(rights) <= width
            assert browser.run("document.documentElement.scrollWidth") <= width
        captions = browser.run(
            "[...document.images].map(own => own.nextElementSibling.textContent)"
        )
        assert captions[:6] == [
            "truth",
            "moving pixels",
            "truth <a>",
            "truth <a>: error",
            "off",
            "off: error",
        ]
        tables = browser.run(
            "[...document.querySelectorAll('h2')].map(own => own.textContent)"
        )
        assert tables == [
            "Inputs",
            "Held-out views",
            "Depth of held-out views",
            "Depth of input views",
            "3D tracks",
            "2D tracks",
            "Camera poses",
            "Scene 0",
            "Scene 1",
            "By scene",
        ]
        bold = browser.run(
            "[...document.querySelectorAll('b')].map(own => own.textContent)"
        )
        assert "0.0173" not in bold and "0.0000\xa0±\xa00.0000" in bold
        assert not [entry for entry in browser.log if "error" in str(entry).lower()]
