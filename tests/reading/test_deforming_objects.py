"""Readers of datasets whose objects change their shapes."""

import numpy as np
import pytest

from dyso import geometry
from dyso.reading import (
    MOTION_FIELDS,
    OBJECT_FIELDS,
    Dataset,
    Source,
    amodal_boxes,
    box_corners,
    boxes,
    flow,
    motion_masks,
    silhouettes,
    surface_faces,
    tracks,
    views_of,
    world_vertices,
)
from dyso.records.synthetic import synthetic_views
from dyso.spec import LAYERS, Cameras, Deform, Dynamics, Objects, Render, UserError
from helpers.dataset_writer import write_dataset

DEFORM = Deform(bend=(20, 60), twist=(20, 60), squash=(0.1, 0.3), lattice=(0.02, 0.05))


def make(make_resolved, folder, **dynamics):
    resolved = make_resolved(
        resolution=(40, 56),
        splits={"train": 2},
        objects=Objects(size=1.2),
        dynamics=Dynamics(steps=3, **dynamics),
        cameras=Cameras(count=2),
        render=Render(layers=LAYERS),
    )
    return write_dataset(folder / "data", resolved, synthetic_views)


@pytest.fixture(scope="module")
def folder(make_resolved, tmp_path_factory):
    return make(make_resolved, tmp_path_factory.mktemp("deform"), deform=DEFORM)


@pytest.fixture(scope="module")
def record(folder):
    return Dataset(folder)["train"].read(1, fields=OBJECT_FIELDS)


def test_tracks_keep_their_place_on_the_surface(record):
    rows, columns = np.nonzero(record["instance"][0, ..., 0])
    found = tracks(record, 0, rows, columns)
    assert abs(found.pixels[0] - np.stack([columns, rows], -1) - 0.5).max() < 0.01
    # At each step, the point has the same barycentric coordinates in the same face.
    corners = record["mesh/faces"][surface_faces(record)[0, rows, columns] - 1]
    vertices = world_vertices(record)[[0, 0, 1, 1, 2, 2]]
    weights = [
        np.linalg.solve(
            vertices[view][corners].swapaxes(1, 2), found.points[view][..., None]
        )[..., 0]
        for view in range(6)
    ]
    assert abs(np.diff(weights, axis=0)).max() < 1e-6
    # The surface really deforms: points do not move as one rigid body.
    gaps = np.linalg.norm(found.points[:, :1] - found.points, axis=-1)
    assert np.ptp(gaps, axis=0).max() > 0.05


def test_flow_agrees_with_the_projected_vertices(record):
    moved = flow(record, 0, 5)
    views = views_of(record)
    rows, columns = np.nonzero(record["instance"][0, ..., 0])
    corners = record["mesh/faces"][surface_faces(record)[0, rows, columns] - 1]
    start, end = (
        geometry.project(
            views.mesh.vertices[v], views.intrinsics[v], views.extrinsics[v]
        )
        for v in (0, 5)
    )
    # A pixel goes where its face goes: inside the box of the face's projected corners.
    place = moved.optical[rows, columns] + np.stack([columns, rows], -1) + 0.5
    low, high = end[0][corners].min(1), end[0][corners].max(1)
    assert ((place > low - 0.01) & (place < high + 0.01)).all()
    assert np.isfinite(start[0]).all()
    assert moved.visible[rows, columns].any()


def test_some_views_serve_as_all_do(folder, record):
    part = Dataset(folder)["train"].read(1, fields=MOTION_FIELDS, views=[0, 5])
    some = views_of(part, steps=[0, 2])
    moved = geometry.flow(some.at(0), some.at(1))
    assert np.array_equal(moved.optical, flow(record, 0, 5).optical)


def test_masks_show_what_deforms(record):
    masks = motion_masks(record)
    seen = record["instance"][..., 0] > 0
    assert masks[seen].mean() > 0.99
    assert not masks[~seen].any()
    assert not motion_masks(record, others=[1])[2:4].any()


def test_boxes_hold_the_deformed_object(record):
    corners = box_corners(record)
    vertices = world_vertices(record)
    for step in range(3):
        axes = corners[0, step, [4, 2, 1]] - corners[0, step, 0]
        share = (vertices[step] - corners[0, step, 0]) @ axes.T / (axes**2).sum(-1)
        assert share.min() == pytest.approx(0, abs=1e-6)
        assert share.max() == pytest.approx(1, abs=1e-6)
    tight, whole = boxes(record)[0], amodal_boxes(record)[0]
    seen = tight.any(-1)
    assert (whole[seen, :2] <= tight[seen, :2] + 1).all()
    assert (whole[seen, 2:] >= tight[seen, 2:] - 1).all()


def test_silhouettes_need_one_shape(record):
    with pytest.raises(UserError, match=r"dynamics\.deform changes them"):
        next(silhouettes(record))


def test_rigid_objects_move_alike_by_pose_and_mesh(make_resolved, tmp_path):
    folder = make(make_resolved, tmp_path)
    split = Dataset(folder)["train"]
    meshed = split.read(0, fields=MOTION_FIELDS)
    posed = {k: v for k, v in meshed.items() if not k.startswith(("mesh", "surface"))}
    for one, other in zip(flow(meshed, 0, 5), flow(posed, 0, 5), strict=True):
        if one.dtype == bool:
            assert (one != other).mean() < 0.01
        else:
            assert abs(one - other).max() < 0.05  # pixels: depth's rounding
    assert (motion_masks(meshed) == motion_masks(posed)).mean() > 0.999


def test_pytorch_batches_have_a_list_of_meshes(folder):
    torch = pytest.importorskip("torch")
    from dyso.reading.torch import Scenes

    split = Dataset(folder)["train"]
    scenes = Scenes(Source(split, fields=("surface", "mesh/faces", "mesh/vertices")))
    batch = scenes.collate([scenes[0], scenes[1]])
    assert batch["surface"].shape == (2, 6, 40, 56, 3)
    assert [each.shape for each in batch["mesh/vertices"]] == [(3, 12, 3)] * 2
    assert batch["mesh/faces"][0].dtype == torch.int32


# tfds calls what protobuf has deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tfds_reads_the_same_meshes(folder):
    import tensorflow_datasets as tfds

    import dyso.tfds  # noqa: F401

    expected = Dataset(folder)["train"][0]
    indexed = tfds.data_source("dyso", data_dir=folder, split="train")[0]
    streamed = next(iter(tfds.load("dyso", data_dir=folder, split="train")))
    for name in ("faces", "instance", "rest", "vertices"):
        for example in (indexed, streamed):
            found = np.asarray(example["mesh"][name])
            assert found.dtype == expected[f"mesh/{name}"].dtype
            assert np.array_equal(found, expected[f"mesh/{name}"]), name
    assert np.array_equal(np.asarray(streamed["surface"]), expected["surface"])
