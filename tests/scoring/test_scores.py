"""Scores of predictions that are the truth, and of some that are wrong by a bit."""

import json

import numpy as np
import pytest
from PIL import Image

from dyso import geometry
from dyso.reading import MOTION_FIELDS, motion_masks
from dyso.scoring import SCORES, Inputs, held_out_views, queries_of, true_tracks
from dyso.spec import UserError
from helpers.predictions import change, scores_of, write_truth

BEST = {score.name: 1 if score.higher else 0 for score in SCORES}
BEST |= {"psnr": np.inf, "psnr_moving": np.inf}


def means(figures, method=0):
    found = figures["methods"][method]["scores"]
    return {name: float(value["mean"]) for name, value in found.items()}


def test_the_truth_scores_perfectly(dataset, rendered, tmp_path):
    for name, data, scenes in (("made", dataset, (0, 1)), ("real", rendered, (0,))):
        folder = write_truth(tmp_path / name, data, scenes=scenes)
        figures = scores_of(data, folder)
        found = means(figures)
        assert set(found) == set(BEST) - {"lpips"}
        for key, value in found.items():
            assert value == pytest.approx(BEST[key], abs=1e-9), key
        assert figures["scenes"] == list(scenes)
        assert figures["held_out_views"] == [2, 5, 8]
        json.dumps(figures, allow_nan=False)


def test_images_off_by_some_levels(dataset, perfect):
    levels = {2: 1, 5: 2, 8: 4}  # by view
    record = dataset["test"][0]
    moving = motion_masks(record)
    assert 20 < moving[2].sum() < moving[2].size / 2
    errors = []
    for view, off in levels.items():
        # Half of the levels are added, half subtracted, and none is clipped.
        true = record["color"][view].astype(int)
        wrong = np.where(true < 128, true + off, true - off).astype(np.uint8)
        wrong = np.where(moving[view][..., None], wrong, record["color"][view])
        path = perfect / f"scene_0/color/{view:05}.png"
        Image.fromarray(wrong).save(path)
        errors.append(np.full(moving[view].sum(), (off / 255) ** 2))
    found = means(scores_of(dataset, perfect))
    pixels = moving[0].size
    each = [-10 * np.log10(error.sum() / pixels) for error in errors]
    assert found["psnr"] == pytest.approx(np.mean(each))
    together = np.concatenate(errors).mean()
    assert found["psnr_moving"] == pytest.approx(-10 * np.log10(together))
    assert 0.9 < found["ssim_moving"] < found["ssim"] < 1


def test_ssim_is_the_formula_of_its_paper_and_lpips_is_what_is_given(dataset, perfect):
    from skimage.filters import gaussian

    record = dataset["test"][0]
    expected = []
    for view in (2, 5, 8):
        path = perfect / f"scene_0/color/{view:05}.png"
        true = record["color"][view] / 255
        Image.fromarray(record["color"][view][::-1]).save(path)
        other = true[::-1]

        def blur(image):
            return gaussian(image, 1.5, truncate=3.5, channel_axis=-1, mode="reflect")

        mu, nu = blur(true), blur(other)
        variances = blur(true**2) - mu**2 + blur(other**2) - nu**2
        both = blur(true * other) - mu * nu
        a, b = 0.01**2, 0.03**2
        values = (2 * mu * nu + a) * (2 * both + b)
        values /= (mu**2 + nu**2 + a) * (variances + b)
        expected.append(values[5:-5, 5:-5].mean())
    figures = scores_of(
        dataset, perfect, lpips=lambda true, guess: abs(true - guess).mean((1, 2, 3))
    )
    found = means(figures)
    assert found["ssim"] == pytest.approx(np.mean(expected), abs=1e-9)
    flipped = record["color"][2:9:3] / 255
    assert found["lpips"] == pytest.approx(abs(flipped - flipped[:, ::-1]).mean())
    assert "lpips" not in figures["not_measured"]


def test_depth_that_is_scaled_and_depth_along_the_axis(dataset, perfect):
    depths = perfect / "scene_0/depth"
    for view in range(9):
        factor = 1.3 if view == 2 else 1.1
        change(depths / f"{view}.npz", depth=lambda depth, by=factor: by * depth)
    found = means(scores_of(dataset, perfect))
    assert found["depth_abs_rel"] == pytest.approx((0.3 + 0.1 + 0.1) / 3)
    assert found["depth_delta"] == pytest.approx(2 / 3)
    assert found["input_depth_abs_rel"] == pytest.approx(0.1)
    assert found["depth_abs_rel_scaled"] == pytest.approx(0, abs=1e-6)
    assert found["depth_delta_scaled"] == 1
    record = dataset["test"][0]
    for view in range(9):
        points = geometry.unproject(
            record["depth"][view, ..., 0],
            record["intrinsics"][view],
            record["extrinsics"][view],
        )
        local = geometry.transform(record["extrinsics"][view], points)
        np.savez(depths / f"{view}.npz", z=local[..., 2])
    found = means(scores_of(dataset, perfect))
    assert found["depth_abs_rel"] < 1e-5 and found["input_depth_abs_rel"] < 1e-5


def test_tracks_that_stay_where_they_begin(dataset, perfect):
    split = dataset["test"]
    queries = queries_of(split, 0)
    true = true_tracks(split, 0, queries)
    still = np.broadcast_to(queries.point, true.points.shape)
    np.savez(perfect / "scene_0/tracks_3d.npz", points=still)
    found = means(scores_of(dataset, perfect))
    error = np.linalg.norm(still - true.points, axis=-1)[1:]
    assert error.min() > 0
    assert found["track_3d_mte"] == pytest.approx(np.median(error, axis=0).mean())
    lost = np.logical_or.accumulate(error > 0.5)
    assert found["track_3d_survival"] == pytest.approx(1 - lost.mean())
    within = [(error < each / 100).mean() for each in (1, 2, 4, 8, 16)]
    assert found["track_3d_delta"] == pytest.approx(np.mean(within))


def test_another_world_is_aligned(dataset, perfect):
    turn = geometry.quaternion_to_matrix(np.array([0.5, 0.5, -0.5, 0.5]))
    scene = perfect / "scene_0"

    def moved(points):
        return 3 * points @ turn.T + [1.0, 2.0, 3.0]

    def seen(extrinsics):
        pose = geometry.invert(extrinsics)
        axes, centre = turn @ pose[..., :3], moved(pose[..., 3])
        return geometry.invert(np.concatenate([axes, centre[..., None]], axis=-1))

    change(scene / "tracks_3d.npz", points=moved)
    change(scene / "cameras.npz", extrinsics=seen)
    found = means(scores_of(dataset, perfect))
    assert found["track_3d_mte"] > 1 and found["camera_translation"] > 1
    assert found["camera_rotation"] == pytest.approx(120, abs=1e-3)
    for name in ("rotation_aligned", "translation_aligned", "ate"):
        assert found[f"camera_{name}"] == pytest.approx(0, abs=1e-4), name
    assert found["track_3d_mte_aligned"] == pytest.approx(0, abs=1e-5)


def test_inputs_decide_which_views_are_held_out(dataset, tmp_path):
    spec = dataset.resolved.spec
    assert held_out_views(spec) == [2, 5, 8]
    assert held_out_views(spec, Inputs(cameras=(0,))) == [1, 2, 4, 5, 7, 8]
    first = Inputs(cameras=(0, 1, 2), steps=(0,))
    assert held_out_views(spec, first) == [3, 4, 5, 6, 7, 8]
    # What any of several methods has seen, none is scored on.
    assert held_out_views(spec, first, Inputs()) == [5, 8]
    one = write_truth(tmp_path / "one", dataset)
    inputs = {"cameras": [0, 1, 2], "steps": [0]}
    other = write_truth(tmp_path / "other", dataset, inputs=inputs)
    assert scores_of(dataset, one, other)["held_out_views"] == [5, 8]


def test_queries_are_on_objects_and_the_same_each_time(dataset):
    split = dataset["test"]
    queries, again = queries_of(split, 0), queries_of(split, 0)
    for name, values in vars(queries).items():
        np.testing.assert_array_equal(values, getattr(again, name))
    record = split.read(0, fields=MOTION_FIELDS)
    column, row = np.floor(queries.pixel).astype(int).T
    shown = record["instance"][queries.camera, row, column, 0]
    np.testing.assert_array_equal(queries.instance, shown)
    assert set(queries.instance) == {1, 2} and set(queries.camera) == {0, 1}
    true = true_tracks(split, 0, queries)
    np.testing.assert_allclose(true.points[0], queries.point, atol=1e-6)
    np.testing.assert_allclose(true.pixels[0], queries.pixel, atol=1e-3)
    assert true.visible[0].all()
    one = queries_of(split, 0, cameras=[1])
    for name, values in vars(one).items():
        drawn = getattr(queries, name)[queries.camera == 1]
        np.testing.assert_array_equal(values, drawn)
    other = queries_of(split, 1)
    assert queries.pixel.tolist() != other.pixel.tolist()


def test_a_method_may_track_in_the_camera_that_it_has_seen(dataset, tmp_path):
    split = dataset["test"]
    queries = queries_of(split, 0, cameras=[0])
    true = true_tracks(split, 0, queries)
    folder = write_truth(tmp_path / "one", dataset, query_cameras=[0])
    scene = folder / "scene_0"
    np.savez(scene / "tracks_2d.npz", pixels=true.pixels, visible=true.visible)
    np.savez(scene / "tracks_3d.npz", points=true.points)
    found = means(scores_of(dataset, folder))
    assert found["track_2d_aj"] == 1 and found["track_3d_mte"] == 0
    all_cameras = write_truth(tmp_path / "all", dataset)
    with pytest.raises(UserError, match="all: has other query_cameras than"):
        scores_of(dataset, folder, all_cameras)


def test_moving_pixels_are_those_whose_point_moves(dataset):
    record = dict(dataset["test"][0])
    # The first object stands still from step 1 on.
    for name in ("objects/positions", "objects/quaternions"):
        record[name] = record[name].copy()
        record[name][0, 1:] = record[name][0, 1:2]
    objects = [record["instance"][..., 0] == i for i in (1, 2)]
    assert all(each.reshape(3, -1).any(1).all() for each in objects)
    np.testing.assert_array_equal(motion_masks(record), objects[0] | objects[1])
    later = motion_masks(record, others=[1, 2])
    assert (later[:3] == (objects[0] | objects[1])[:3]).all()
    np.testing.assert_array_equal(later[3:], objects[1][3:])
    some = {
        name: values[[4, 7]] if len(values) == 9 else values
        for name, values in record.items()
        if name in MOTION_FIELDS
    }
    chosen = motion_masks(some, steps=[1, 2], others=[1, 2])
    np.testing.assert_array_equal(chosen, later[[4, 7]])
