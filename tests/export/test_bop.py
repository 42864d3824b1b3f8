"""BOP's folders, read by the rules of the bop_toolkit."""

import json

import numpy as np
import pytest
from PIL import Image

from dyso import geometry
from dyso.export import Export
from dyso.reading import Dataset, visible_fractions
from dyso.records.synthetic import synthetic_views
from dyso.spec import Backgrounds
from helpers.dataset_writer import write_dataset
from helpers.exported_scenes import known_points

HEIGHT, WIDTH, VIEWS = 24, 32, 6


@pytest.fixture(scope="module")
def scene(exported):
    return exported("bop") / "train" / "000003"


@pytest.fixture(scope="module")
def record(dataset):
    return dataset["train"][3]


def load(path):
    """Reads as `inout.load_json(keys_to_int=True)` and `load_scene_*` do."""

    def numbers(content):
        return {int(k) if k.isdigit() else k: v for k, v in content.items()}

    content = json.loads(path.read_text(), object_hook=numbers)
    for entries in content.values():
        for entry in entries if isinstance(entries, list) else [entries]:
            for name, value in entry.items():
                if name.startswith(("cam_R", "cam_K")):
                    entry[name] = np.array(value).reshape(3, 3)
                if name.startswith("cam_t"):
                    entry[name] = np.array(value).reshape(3, 1)
    return content


def project(points, intrinsics, rotation, translation):
    """As `misc.project_pts`, whose pixels have their centres at integers; mm."""
    local = intrinsics @ (rotation @ points.T + translation)
    return (local[:2] / local[2]).T


def test_cameras_project_known_points(scene, record):
    cameras = load(scene / "scene_camera.json")
    assert list(cameras) == list(range(VIEWS))
    for view, camera in cameras.items():
        points, pixels = known_points(record, view)
        pose = camera["cam_R_w2c"], camera["cam_t_w2c"]
        found = project(points * 1000, camera["cam_K"], *pose)
        assert abs(found - (pixels - 0.5)).max() < 0.01


def test_poses_of_objects_put_their_surfaces_on_their_pixels(scene, record, own):
    cameras, truth = load(scene / "scene_camera.json"), load(scene / "scene_gt.json")
    models = load(scene / "models_info.json")
    for view in range(VIEWS):
        matrix = cameras[view]["cam_K"]
        assert len(truth[view]) == len(record["objects/sizes"])
        for number, entry in enumerate(truth[view]):
            asset = own.objects.assets[entry["obj_id"] - 1]
            assert asset.id == record["objects/asset_id"][number]
            model = models[entry["obj_id"]]
            assert model["asset_id"] == asset.id
            size = record["objects/sizes"][number]
            np.testing.assert_allclose([model[f"size_{a}"] for a in "xyz"], size * 1000)
            # A point of the model, in mm, and the same in the world, in m.
            local = size * [0.1, -0.2, 0.3]
            pose = geometry.pose_matrix(
                record["objects/positions"][number, view // 3].astype(float),
                record["objects/quaternions"][number, view // 3].astype(float),
            )
            pixel, _, _ = geometry.project(
                pose[:, :3] @ local + pose[:, 3],
                record["intrinsics"][view],
                record["extrinsics"][view],
            )
            found = project(
                local[None] * 1000, matrix, entry["cam_R_m2c"], entry["cam_t_m2c"]
            )
            assert abs(found[0] - (pixel - 0.5)).max() < 0.01


def test_depth_is_the_distance_to_what_the_pixels_show(scene, record):
    """By `misc.depth_im_to_dist_im`: to half a unit of depth along each ray."""
    for view, camera in load(scene / "scene_camera.json").items():
        image = Image.open(scene / "depth" / f"{view:06}.png")
        depth = np.asarray(image).astype(np.float32) * camera["depth_scale"]
        x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
        matrix = camera["cam_K"]
        x = (x - matrix[0, 2]) / matrix[0, 0]
        y = (y - matrix[1, 2]) / matrix[1, 1]
        distance = np.sqrt(x**2 + y**2 + 1) * depth
        off = abs(distance - record["depth"][view, ..., 0] * 1000)
        assert (off <= np.sqrt(x**2 + y**2 + 1) * camera["depth_scale"]).all()
        assert 0.1 <= camera["depth_scale"] < 1
        color = np.asarray(Image.open(scene / "rgb" / f"{view:06}.png"))
        np.testing.assert_array_equal(color, record["color"][view])


def test_masks_and_their_facts(scene, record):
    infos = load(scene / "scene_gt_info.json")
    fractions = visible_fractions(record)
    hidden = 0
    for view in range(VIEWS):
        valid = np.asarray(Image.open(scene / "depth" / f"{view:06}.png")) > 0
        for number, info in enumerate(infos[view]):
            whole, visible = (
                np.asarray(Image.open(scene / kind / f"{view:06}_{number:06}.png"))
                for kind in ("mask", "mask_visib")
            )
            assert {*np.unique(whole)} | {*np.unique(visible)} <= {0, 255}
            seen = record["instance"][view, ..., 0] == number + 1
            np.testing.assert_array_equal(visible > 0, seen)
            assert (whole[seen] == 255).all()
            hidden += (whole > 0).sum() - seen.sum()
            assert info["px_count_visib"] == seen.sum() <= info["px_count_all"]
            assert info["px_count_valid"] == (valid & (whole > 0)).sum()
            assert info["visib_fract"] == pytest.approx(fractions[number, view])
            rows, columns = np.nonzero(seen)
            x, y, width, height = info["bbox_visib"]
            if not len(rows):
                assert (x, y, width, height) == (-1, -1, -1, -1) == (*info["bbox_obj"],)
                continue
            assert (x, y) == (columns.min(), rows.min())
            assert (x + width, y + height) == (columns.max(), rows.max())
            left, top, width, height = info["bbox_obj"]
            rows, columns = np.nonzero(whole)
            assert left <= columns.min() and columns.max() <= left + width
            assert top <= rows.min() and rows.max() <= top + height
    assert hidden > 0


def test_pixels_at_infinity_have_no_depth(make_resolved, tmp_path):
    resolved = make_resolved(
        splits={"train": 1},
        resolution=(HEIGHT, WIDTH),
        backgrounds=Backgrounds(backdrop="environment"),
    )
    data = write_dataset(tmp_path / "data", resolved, synthetic_views)
    Export.of(data, format="bop", out=tmp_path / "out").run(1, lambda: None)
    depth = Dataset(data)["train"][0]["depth"]
    infinite = 0
    for view in range(len(depth)):
        path = tmp_path / "out" / "train" / "000000" / "depth" / f"{view:06}.png"
        empty = np.asarray(Image.open(path)) == 0
        np.testing.assert_array_equal(empty, np.isinf(depth[view, ..., 0]))
        infinite += empty.sum()
    assert infinite
