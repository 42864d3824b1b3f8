"""COCO's files, read back by pycocotools."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from dyso import geometry
from dyso.export.coco import CORNERS, annotations_of
from dyso.reading import amodal_boxes, visible_fractions
from dyso.spec import Cameras, Dynamics, Objects

# numpy deprecates what pycocotools calls.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

VIEWS = 6


@pytest.fixture(scope="module")
def coco(exported):
    return COCO(exported("coco") / "annotations" / "instances_train.json")


def test_images_are_those_of_the_views(coco, exported, dataset):
    assert coco.getImgIds() == list(range(5 * VIEWS))
    for image in coco.loadImgs(coco.getImgIds()):
        scene, view = divmod(image["id"], VIEWS)
        path = exported("coco") / "images" / "train" / image["file_name"]
        color = dataset["train"].read(scene, fields=["color"])["color"][view]
        np.testing.assert_array_equal(np.asarray(Image.open(path)), color)
        assert color.shape[:2] == (image["height"], image["width"])


def test_masks_boxes_and_categories(coco, dataset):
    count = 0
    for scene, record in enumerate(dataset["train"]):
        fractions, whole = visible_fractions(record), amodal_boxes(record)
        for view in range(VIEWS):
            instance = record["instance"][view, ..., 0]
            own = coco.loadAnns(coco.getAnnIds(imgIds=scene * VIEWS + view))
            numbers = [entry["id"] % 256 for entry in own]
            assert numbers == np.unique(instance[instance > 0]).tolist()
            for number, entry in zip(numbers, own, strict=True):
                mask = instance == number
                np.testing.assert_array_equal(coco.annToMask(entry), mask)
                assert entry["area"] == mask.sum() and entry["iscrowd"] == 0
                rows, columns = np.nonzero(mask)
                x, y, width, height = entry["bbox"]
                assert (x, y) == (columns.min(), rows.min())
                assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
                category = coco.loadCats(entry["category_id"])[0]["name"]
                assert category == record["objects/category"][number - 1]
                x, y, width, height = entry["amodal_bbox"]
                box = whole[number - 1, view]
                assert abs(np.array([x, y, x + width, y + height]) - box).max() < 0.01
                fraction = fractions[number - 1, view]
                assert entry["visible_fraction"] == pytest.approx(fraction, abs=1e-4)
                count += 1
    assert count == len(coco.anns) > 20


def test_keypoints_are_the_corners_of_the_boxes(coco, dataset):
    """Corners of the object's own axes, as pixel indices: the first is (0, 0)."""
    flags = set()
    for entry in coco.anns.values():
        scene, view = divmod(entry["image_id"], VIEWS)
        record, number = dataset["train"][scene], entry["id"] % 256 - 1
        pose = geometry.pose_matrix(
            record["objects/positions"][number, view // 3].astype(float),
            record["objects/quaternions"][number, view // 3].astype(float),
        )
        names = coco.loadCats(entry["category_id"])[0]["keypoints"]
        assert tuple(names) == CORNERS
        assert entry["num_keypoints"] == sum(np.array(entry["keypoints"][2::3]) > 0)
        points = np.array(entry["keypoints"]).reshape(8, 3)
        for name, (x, y, flag) in zip(names, points, strict=True):
            ends = [int(end) for end in name.removeprefix("corner_")]
            local = (np.array(ends) - 0.5) * record["objects/sizes"][number]
            pixel, distance, z = geometry.project(
                pose[:, :3] @ local + pose[:, 3],
                record["intrinsics"][view],
                record["extrinsics"][view],
            )
            assert z > 0 and abs(pixel - 0.5 - (x, y)).max() < 0.01
            flags.add(flag)
            if flag == 2:
                depth = record["depth"][view, round(y), round(x), 0]
                assert distance < 1.01 * depth
    # A sphere's box has corners that the sphere hides and others that it does not.
    assert flags == {1, 2}
    skeleton = coco.loadCats(1)[0]["skeleton"]
    assert len(skeleton) == 12
    for a, b in skeleton:
        ends = zip(CORNERS[a - 1], CORNERS[b - 1], strict=True)
        assert sum(p != q for p, q in ends) == 1


def test_the_truth_scores_full_marks_as_detections(coco, tmp_path):
    found = [
        {"score": 0.9, **{k: entry[k] for k in ("image_id", "category_id", "bbox")}}
        for entry in coco.anns.values()
    ]
    path = tmp_path / "found.json"
    path.write_text(json.dumps(found))
    evaluation = COCOeval(coco, coco.loadRes(str(path)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == 1


def test_corners_behind_the_camera_have_no_label(make_split, tmp_path):
    """A large object that reaches behind cameras close to it."""
    split = make_split(
        objects=Objects(count=(1, 1), size=6.0),
        dynamics=Dynamics(steps=1),
        cameras=Cameras(count=3),
    )
    record = dict(split[0])
    record["objects/sizes"] = record["objects/sizes"] * 20
    behind = 0
    for entry in annotations_of(record, range(3)):
        points = np.array(entry["keypoints"]).reshape(8, 3)
        behind += (points[:, 2] == 0).sum()
        assert not points[points[:, 2] == 0].any()
        assert entry["num_keypoints"] == (points[:, 2] > 0).sum()
        assert np.isfinite(entry["amodal_bbox"]).all()
    assert behind
