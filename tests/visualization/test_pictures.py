import dataclasses

import numpy as np
import pytest
from PIL import Image

from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, Dynamics, Objects, Visibility
from dyso.visualization import animation
from dyso.visualization.browsing import prepare
from dyso.visualization.page import page
from dyso.visualization.pictures import picture
from dyso.visualization.scenes import (
    SIDE,
    choose,
    evenly,
    fitted,
    halving,
    load,
    spread,
    tiled,
)
from dyso.visualization.sheets import contact_sheet, overview
from dyso.visualization.top_view import top_view
from helpers.dataset_writer import write_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, make_resolved):
    resolved = make_resolved(
        resolution=(24, 32), splits={"train": 5, "validation": 1, "test": 2}
    )
    folder = tmp_path_factory.mktemp("pictures") / "data"
    return Dataset(write_dataset(folder, resolved, synthetic_views))


def test_depth_goes_from_warm_to_dark_and_nothing_is_grey():
    depth = np.full((1, 10, 100, 1), np.inf, np.float32)
    depth[:, :, :99, 0] = np.geomspace(2, 30, 99)
    shown = picture("depth", depth)
    brightness = shown[0, 0, :99].astype(int).sum(-1)
    assert (np.diff(brightness) <= 0).all()
    assert brightness[0] > 600 > 100 > brightness[98]
    assert (shown[0, 0, 99] == shown[0, 0, 99, 0]).all()


def test_ids_differ_in_colour_and_the_background_has_none():
    ids = np.arange(9, dtype=np.uint8).reshape(1, 1, 9, 1)
    colors = {tuple(color) for color in picture("instance", ids)[0, 0]}
    assert len(colors) == 9


def test_a_contact_sheet_shows_every_view_of_every_layer(dataset):
    scene_view = load(dataset, "train", 2)
    sheet = np.asarray(contact_sheet(scene_view))
    assert list(scene_view.layers) == ["color", "depth", "instance", "category"]
    for images in scene_view.layers.values():
        assert images.shape == (5, 5, 24, 32, 3)
        for image in images.reshape(-1, 24, 32, 3)[[0, 7, 24]]:
            assert contains(sheet, image)


def test_headings_fit_where_the_views_are_narrow(tmp_path, make_resolved):
    resolved = make_resolved(
        resolution=(16, 16),
        splits={"train": 2},
        cameras=Cameras(count=2),
        dynamics=Dynamics(steps=2),
    )
    dataset = Dataset(write_dataset(tmp_path / "data", resolved, synthetic_views))
    scenes = [load(dataset, "train", i) for i in range(2)]
    for image in (contact_sheet(scenes[0]), overview(scenes)):
        sheet = np.asarray(image)
        assert (sheet[:, -20:] == sheet[0, 0]).all()  # The right margin is empty.
        assert (sheet[:70, -60:] != sheet[0, 0]).any() or image.width > 400
    long = dataclasses.replace(scenes[0], split="s" * 5000)
    assert contact_sheet(long).width < 1400


def contains(sheet, image):
    first = (sheet == image[0, 0]).all(-1)
    height, width = image.shape[:2]
    return any(
        np.array_equal(sheet[y : y + height, x : x + width], image)
        for y, x in np.argwhere(first)
    )


def test_the_overview_shows_all_cameras_and_all_steps(dataset):
    scene_views = [load(dataset, "train", 0), load(dataset, "test", 1)]
    sheet = np.asarray(overview(scene_views))
    for scene_view in scene_views:
        for camera in range(5):
            assert contains(sheet, scene_view.layers["color"][0, camera])
        for step in range(1, 5):
            assert contains(sheet, scene_view.layers["color"][step, 2])
        assert contains(sheet, top_view(scene_view.record, 24))


def test_the_top_view_shows_where_cameras_stand_and_look(dataset):
    record = dict(load(dataset, "train", 0).record)
    places = np.array([[4.0, y, 1.0] for y in (-2, -1, 0, 1, 2)])  # a shift along y
    # Cameras that look along -x: right is y, down is -z.
    rotation = np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]])
    extrinsics = [np.column_stack([rotation, -rotation @ place]) for place in places]
    record["extrinsics"] = np.tile(extrinsics, (5, 1, 1))
    record["objects/positions"] = np.zeros_like(record["objects/positions"])
    picture = top_view(record, 200).astype(int)
    colored = np.ptp(picture, axis=-1) > 60
    columns = np.nonzero(colored)[1]
    assert columns.min() > 100  # the cameras stand at the right, the object at the left
    red = picture[..., 0] - picture[..., 2] > 60
    violet = picture[..., 2] - picture[..., 1] > 60
    assert np.nonzero(red)[0].mean() > np.nonzero(violet)[0].mean()  # y is up
    record["extrinsics"] = record["extrinsics"] * np.nan
    assert top_view(record, 50).shape == (50, 50, 3)


def test_the_walk_takes_every_view_once_and_never_jumps(dataset, tmp_path):
    scene_views = [load(dataset, "train", i) for i in range(3)]
    frames = animation.walk(scene_views)
    assert len(frames) == 25
    assert {frame.shape for frame in frames} == {frames[0].shape}
    # Frame 7 is step 1, and the cameras go back: camera 2.
    assert contains(frames[7], scene_views[1].layers["color"][1, 2])
    animation.write_gif(tmp_path / "walk.gif", frames)
    with Image.open(tmp_path / "walk.gif") as film:
        assert (film.n_frames, film.info["loop"]) == (25, 0)
        assert film.info["duration"] == 200
        film.seek(7)
        error = np.abs(np.asarray(film.convert("RGB")).astype(int) - frames[7])
    assert error.mean() < 12
    assert [path.name for path in tmp_path.iterdir()] == ["walk.gif"]


def test_the_film_has_the_same_frames(dataset, tmp_path):
    av = pytest.importorskip("av")
    frames = animation.walk([load(dataset, "train", 0)])
    odd = [frame[:-1, :-1] for frame in frames]
    animation.write_mp4(tmp_path / "walk.mp4", odd)
    with av.open(str(tmp_path / "walk.mp4")) as film:
        decoded = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(decoded) == 25
    height, width = odd[0].shape[:2]
    error = np.abs(decoded[7][:height, :width].astype(int) - odd[7])
    assert error.mean() < 12


@pytest.fixture(scope="module")
def clips(tmp_path_factory, videos):
    folder = tmp_path_factory.mktemp("clips") / "data"
    return Dataset(write_dataset(folder, videos, synthetic_views))


def test_a_video_is_shown_as_its_frames_in_time(clips, tmp_path):
    scene_views = [load(clips, "train", i) for i in range(3)]
    frames = clips["train"][1]["color"]
    assert np.array_equal(scene_views[1].layers["color"][:, 0], frames)
    sheet = np.asarray(contact_sheet(scene_views[1]))
    assert all(contains(sheet, frame) for frame in frames)
    assert all(contains(np.asarray(overview(scene_views)), frame) for frame in frames)
    film = animation.walk(scene_views)
    assert len(film) == 7
    assert all(map(contains, film, frames))
    animation.write_gif(tmp_path / "walk.gif", film, animation.VIDEO_RATE)
    with Image.open(tmp_path / "walk.gif") as gif:
        assert (gif.n_frames, gif.info["duration"]) == (7, 100)
    text = page(
        clips.resolved, {"train": 3}, [prepare(clips, "train", 0, tmp_path / "page")]
    )
    assert "7 frames of 32" in text


def test_static_scenes_of_many_objects_are_shown_too(tmp_path, make_resolved):
    resolved = make_resolved(
        resolution=(16, 16),
        splits={"train": 1},
        objects=Objects(count=(12, 12)),
        cameras=Cameras(count=10, distance=(14.0, 16.0)),
        dynamics=Dynamics(steps=1, spawn_radius=5.0),
        visibility=Visibility(share=0.0),
    )
    dataset = Dataset(write_dataset(tmp_path / "data", resolved, synthetic_views))
    scene_view = load(dataset, "train", 0)
    assert "and 9 more" in scene_view.title
    assert contact_sheet(scene_view).width > 10 * 16
    assert overview([scene_view]).width > 10 * 16
    assert len(animation.walk([scene_view])) == 10


def test_large_views_are_scaled_down_and_ids_are_not_mixed():
    images = np.zeros((2, 4 * SIDE, 2 * SIDE, 3), np.uint8)
    images[:, ::2] = 200
    small = fitted(images, SIDE)
    assert small.shape == (2, SIDE, SIDE // 2, 3)
    assert (small == 100).all()
    assert set(np.unique(fitted(images, SIDE, smooth=False))) <= {0, 200}
    assert fitted(small, SIDE) is small


def test_tiles_lie_row_by_row():
    images = np.arange(6, dtype=np.uint8).reshape(2, 3, 1, 1, 1).repeat(3, -1)
    assert tiled(images)[..., 0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tiled(images, gap=1).shape == (3, 5, 3)


def test_every_split_is_chosen_from(dataset):
    assert choose(dataset, 4) == [
        ("train", 0),
        ("train", 4),
        ("validation", 0),
        ("test", 0),
    ]
    assert len(set(choose(dataset, 100))) == 8
    assert len(set(spread(dataset, 100))) == 8
    assert [split for split, _ in spread(dataset, 4)] == [
        "train",
        "train",
        "train",
        "test",
    ]
    assert evenly(5, 10) == (0, 1, 2, 3, 4)
    assert evenly(1000, 10)[0] == 0 and evenly(1000, 10)[-1] == 999


def test_more_scenes_are_the_same_and_others_between_them():
    for count in (1, 2, 5, 1000, 1_000_000):
        before = []
        for most in (1, 2, 7, 24, 200):
            chosen = halving(count, most)
            assert len(set(chosen)) == min(most, count)
            assert chosen == sorted(chosen) and 0 <= chosen[0] <= chosen[-1] < count
            assert set(before) <= set(chosen)
            before = chosen
        gaps = np.diff([*before, count])
        assert gaps.max() <= max(1, 4 * count / len(before))


def test_a_scene_is_prepared_whatever_is_there(dataset, tmp_path):
    entry = prepare(dataset, "train", 1, tmp_path)
    record = dataset["train"][1]
    assert (entry.split, entry.index) == ("train", 1)
    assert entry.pattern == record["camera_pattern"]
    assert entry.hdri == record["background/asset_id"]
    assert entry.categories == tuple(record["objects/category"])
    own = tmp_path / "train-00001"
    assert {path.name for path in own.iterdir()} == {
        "scene.js",
        "thumb.webp",
        *(f"{layer}.webp" for layer in ("color", "depth", "instance", "category")),
    }
    with Image.open(own / "depth.webp") as image:
        assert (image.format, image.size) == ("WEBP", (160, 120))
    with Image.open(own / "instance.webp") as image:
        expected = tiled(load(dataset, "train", 1).layers["instance"])
        assert np.array_equal(np.asarray(image.convert("RGB")), expected)

    # What a stranger planted goes, though its first line is what was written.
    script, picture = own / "scene.js", own / "depth.webp"
    made = script.read_bytes(), picture.read_bytes()
    script.write_bytes(made[0] + b"fetch('https://example.org');\n")
    picture.write_bytes(b"<script>")
    assert prepare(dataset, "train", 1, tmp_path) == entry
    assert (script.read_bytes(), picture.read_bytes()) == made
