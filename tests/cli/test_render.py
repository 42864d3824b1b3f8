"""Renders one scene to files, and records again to identical pixels."""

import dataclasses
import json
import re

import numpy as np
import pytest
from PIL import Image

from dyso.cli import bar
from dyso.cli.render import main
from dyso.geometry import unproject
from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.sampling import sample_scene
from dyso.sampling.scene import Scene
from dyso.spec import REQUIRED_LAYERS, Cameras, Dynamics, Render, UserError
from dyso.visualization.files import write_scene

ALL = (*REQUIRED_LAYERS, "normal", "object_coordinates")


@pytest.fixture(scope="module")
def scene(make_resolved):
    resolved = make_resolved(resolution=(20, 30), render=Render(layers=ALL))
    return sample_scene(resolved, "train", 7)


@pytest.fixture(scope="module")
def views(scene):
    return synthetic_views(scene)


def test_png_keeps_ids_and_depth_to_the_millimetre(scene, views, tmp_path):
    written = write_scene(tmp_path, scene, views, "png")
    assert len(written) == 25 * 6 + 2
    for step, camera in [(0, 0), (3, 1)]:
        images = {
            layer: np.asarray(
                Image.open(tmp_path / layer / f"step{step:02}_camera{camera:02}.png")
            )
            for layer in ALL
        }
        at = step, camera
        assert np.array_equal(images["color"], views.color[at])
        assert np.array_equal(images["instance"], views.instance[at])
        assert np.array_equal(images["category"], views.category[at])
        assert np.abs(images["depth"] / 1000 - views.depth[at]).max() <= 0.0005001
        normal = (images["normal"].astype(float) - 128) / 127
        assert np.abs(normal - views.normal[at]).max() < 0.005


def test_names_sort_as_the_views_do(make_resolved, tmp_path):
    resolved = make_resolved(
        resolution=(8, 8), cameras=Cameras(count=11), dynamics=Dynamics(steps=2)
    )
    scene = sample_scene(resolved, "train", 0)
    written = write_scene(tmp_path, scene, synthetic_views(scene), "png")
    color = [path.name for path in written if path.parent.name == "color"]
    assert color == sorted(color) and color[-1] == "step01_camera10.png"


def test_png_depth_of_nothing_is_zero(scene, views, tmp_path):
    depth = views.depth.copy()
    depth[0, 0, :2, :2] = [[np.inf, 65.6], [65.535, 1.0]]
    write_scene(tmp_path, scene, dataclasses.replace(views, depth=depth), "png")
    image = np.asarray(Image.open(tmp_path / "depth" / "step00_camera00.png"))
    assert image[:2, :2].tolist() == [[0, 0], [65535, 1000]]


def test_exr_keeps_float_depth_and_shows_the_same_colour(scene, views, tmp_path):
    openexr = pytest.importorskip("OpenEXR")
    write_scene(tmp_path, scene, views, "exr")
    with openexr.File(str(tmp_path / "step02_camera04.exr")) as file:
        channels = {name: channel.pixels for name, channel in file.channels().items()}
    assert np.array_equal(channels["Z"], views.depth[2, 4])
    assert np.array_equal(channels["instance"], views.instance[2, 4])
    assert np.array_equal(channels["normal.X"], views.normal[2, 4, ..., 0])
    linear = channels["RGB"]
    encoded = np.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055
    )
    assert np.abs(encoded * 255 - views.color[2, 4]).max() < 0.01


def test_npz_and_poses_are_enough_to_unproject(scene, views, tmp_path):
    write_scene(tmp_path, scene, views, "npz")
    assert Scene.from_json((tmp_path / "scene.json").read_text()) == scene
    poses = json.loads((tmp_path / "poses.json").read_text())
    with np.load(tmp_path / "views.npz") as arrays:
        assert np.array_equal(arrays["depth"], views.depth)
        assert np.allclose(arrays["extrinsics"], poses["extrinsics"])
        points = unproject(
            views.depth[2, 1].astype(float),
            arrays["intrinsics"][1],
            arrays["extrinsics"][1],
        )
    shown = points[views.instance[2, 1] == 1]
    distances = np.linalg.norm(shown - np.array(poses["positions"])[0, 2], axis=-1)
    assert np.allclose(distances, poses["sizes"][0][0] / 2, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"split": "nope"}, "no split 'nope'"),
        ({"index": 8}, "no scene 8 in split 'train', which has 8"),
        ({"resolution": 4}, "resolution: must be 8 to 8192 pixels per side, got 4 x 4"),
        ({"samples": 0}, "samples: must be at least 1, got 0"),
    ],
)
def test_bad_input_is_a_one_line_error_and_writes_nothing(
    starter_spec, tmp_path, options, text
):
    with pytest.raises(UserError, match=text) as error:
        main(starter_spec, out=tmp_path / "out", **options)
    assert len(str(error.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_left_alone(starter_spec, tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(UserError, match="exists already"):
        main(starter_spec, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_datasets_spec_cannot_be_changed(synthetic, tmp_path):
    with pytest.raises(UserError, match=r"^--set seed=3: .* is a dataset, whose spec"):
        main(synthetic, out=tmp_path / "out", set=("seed=3",))


def test_a_dataset_of_other_assets_is_refused(synthetic, tmp_path):
    with pytest.raises(UserError, match="manifest"):
        main(synthetic, out=tmp_path / "out")


@pytest.mark.slow
def test_a_record_rendered_again_gives_the_identical_pixels(rendered, tmp_path):
    out = tmp_path / "again"
    assert main(rendered, out=out, split="test", index=0, format="npz") == 0
    record = Dataset(rendered)["test"][0]
    with np.load(out / "views.npz") as arrays:
        for name in ("color", "instance", "category"):
            found = arrays[name].reshape(record[name].shape)
            assert np.array_equal(found, record[name]), name
        depth = arrays["depth"].reshape(record["depth"].shape)
        assert np.allclose(depth, record["depth"], rtol=1e-4)
        positions = arrays["positions"].astype(np.float32)
        assert np.array_equal(positions, record["objects/positions"])


@pytest.mark.slow
def test_its_scene_json_renders_larger_with_the_same_geometry(
    rendered, starter_spec, tmp_path, monkeypatch, capsys
):
    scene = Dataset(rendered)["train"].scene(1)
    (tmp_path / "scene.json").write_text(scene.to_json())
    out = tmp_path / "large"
    path = tmp_path / "scene.json"
    monkeypatch.setattr(bar, "LINE_SECONDS", 0.0)
    assert main(starter_spec, out=out, scene=path, resolution=192, samples=1) == 0
    views = re.findall(r"(?m)^(\d+)/25 views", capsys.readouterr().err)
    assert views[0] == "0" and views[-1] == "25" and len(views) > 2
    record = Dataset(rendered)["train"][1]
    image = Image.open(out / "depth" / "step01_camera02.png")
    assert image.size == (192, 192)
    # Every pixel of the small view is seen by four of the large one.
    large = np.asarray(image).reshape(96, 2, 96, 2) / 1000
    small = record["depth"][7, ..., 0]
    within = (large.min((1, 3)) <= small + 0.002) & (small <= large.max((1, 3)) + 0.002)
    assert within.mean() > 0.97
    assert Scene.from_json((out / "scene.json").read_text()).resolution == (192, 192)
