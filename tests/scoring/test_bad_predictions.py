"""Bad predictions get one clear line."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from dyso.scoring.predictions import Predictions
from dyso.scoring.scores import scored_scenes
from dyso.spec import UserError
from helpers.predictions import change, scores_of, write_truth


def first_value(value):
    def changed(array):
        array = array.copy()
        array.flat[0] = value
        return array

    return changed


FAULTS = {
    "color/00005.png": [
        (lambda path: path.unlink(), "scene_0/color: lacks view 5, such as 00005.png"),
        (
            lambda path: Image.new("RGB", (24, 32)).save(path),
            "expected 24 x 32 pixels (height x width), got 32 x 24",
        ),
        (
            lambda path: Image.new("L", (32, 24)).save(path),
            "expected 8-bit RGB, got Pillow's mode L",
        ),
        (lambda path: path.write_text("text"), "is not a PNG image"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:-40]),
            "is not a PNG image",
        ),
    ],
    "depth/2.npz": [
        (lambda path: path.unlink(), "scene_0/depth: lacks view 2, such as 00002.npz"),
        (lambda path: path.write_text("text"), "is not an .npz of plain arrays"),
        (
            lambda path: np.savez(path, depth=np.ones((24, 32, 1))),
            "depth: expected shape (24, 32), got (24, 32, 1)",
        ),
        (
            lambda path: change(path, depth=first_value(np.nan)),
            "depth: contains nan, first at [0, 0]",
        ),
        (
            lambda path: change(path, depth=first_value(-1)),
            "depth: has negative values",
        ),
        (
            lambda path: np.savez(path, depth=np.array([{}]), z=np.ones(1)),
            "is not an .npz of plain arrays",
        ),
        (
            lambda path: np.savez(path, disparity=np.ones((24, 32))),
            "expected one array, `depth` or `z`",
        ),
    ],
    "tracks_3d.npz": [
        (
            lambda path: change(path, points=lambda points: points.swapaxes(0, 1)),
            "points: expected shape (3, ",
        ),
        (
            lambda path: change(path, points=first_value(np.inf)),
            "points: contains inf, first at [0, 0, 0]",
        ),
    ],
    "tracks_2d.npz": [
        (
            lambda path: change(path, visible=lambda visible: visible.astype(int)),
            "visible: expected bool, got int64",
        ),
        (lambda path: np.savez(path, pixels=np.ones(2)), "pixels: expected shape (3, "),
    ],
    "cameras.npz": [
        (
            lambda path: change(path, views=lambda views: views + 1),
            "lacks view 0, an input",
        ),
        (
            lambda path: change(path, extrinsics=lambda poses: 2 * poses),
            "the first three columns of view 0 are not a rotation",
        ),
    ],
}


@pytest.mark.parametrize(
    ("name", "fault"), [(name, i) for name in FAULTS for i in range(len(FAULTS[name]))]
)
def test_a_damaged_file_is_named(dataset, perfect, name, fault):
    damage, said = FAULTS[name][fault]
    damage(perfect / "scene_0" / name)
    with pytest.raises(UserError, match=re.escape(said)) as raised:
        scores_of(dataset, perfect)
    assert str(raised.value).startswith(str(perfect / "scene_0" / name.split("/")[0]))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dataset": "0123"}, "is of another dataset: '0123', not "),
        ({"method": ""}, "method: expected a text"),
        ({"cameras": [0]}, "no key 'cameras'; the keys are method, dataset, split"),
        ({"inputs": [0]}, "inputs: expected an object of cameras and steps"),
        ({"inputs": {"cameras": ["0"]}}, "inputs: cameras: expected a list of whole"),
        ({"inputs": {"cameras": [3]}}, "inputs: no camera 3; expected 0 to 2"),
        ({"inputs": {"steps": [-1]}}, "inputs: no step -1; expected 0 to 2"),
        ({"query_cameras": 0}, "query_cameras: expected a list of whole numbers"),
        ({"query_cameras": [9]}, "no camera 9; expected 0 to 2"),
        ({"inputs": {"cameras": [0, 1, 2]}}, "color: no view is held out"),
        ({"split": "train"}, "no split 'train'; the splits are test"),
    ],
)
def test_a_wrong_manifest_is_one_line(dataset, perfect, changed, said):
    path = perfect / "predictions.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(UserError, match=re.escape(said)):
        scores_of(dataset, perfect)


def test_a_missing_or_broken_manifest(dataset, tmp_path):
    with pytest.raises(UserError, match=r"predictions\.json: No such file"):
        Predictions.open(tmp_path, dataset.resolved)
    (tmp_path / "predictions.json").write_text("{")
    with pytest.raises(UserError, match=r"predictions\.json: is not JSON"):
        Predictions.open(tmp_path, dataset.resolved)


def test_methods_with_other_scenes_are_told_apart(dataset, tmp_path):
    both = write_truth(tmp_path / "both", dataset, scenes=(0, 1))
    one = write_truth(tmp_path / "one", dataset, scenes=(1,))
    methods = [Predictions.open(each, dataset.resolved) for each in (both, one)]
    with pytest.raises(UserError, match=r"one: has scenes 1, but .*both has 0, 1"):
        scored_scenes(dataset, methods, None)
    with pytest.raises(UserError, match="one: lacks scene_0"):
        scored_scenes(dataset, methods, range(2))
    assert scored_scenes(dataset, methods, range(1, 2)) == [1]
    (one / "scene_7").mkdir()
    with pytest.raises(UserError, match="scene_7: split 'test' has only 2 scenes"):
        scored_scenes(dataset, [Predictions.open(one, dataset.resolved)], None)
