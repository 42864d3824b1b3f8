"""Readers of datasets whose objects have joints."""

import dataclasses

import numpy as np
import pytest

from dyso import geometry
from dyso.reading import (
    Dataset,
    Source,
    box_corners,
    flow,
    parts,
    surface_faces,
    tracks,
    world_vertices,
)
from dyso.records.synthetic import synthetic_views
from dyso.spec import (
    LAYERS,
    Articulate,
    Cameras,
    Dynamics,
    Objects,
    ProceduralCatalog,
    Render,
)
from dyso.spec.articulated import JOINTED
from helpers.dataset_writer import write_dataset


@pytest.fixture(scope="module")
def folder(make_resolved, tmp_path_factory):
    resolved = make_resolved(
        resolution=(40, 56),
        splits={"train": 2},
        objects=Objects(size=1.2, count=(2, 2)),
        dynamics=Dynamics(
            steps=3, spawn_radius=2.0, articulate=Articulate(change=(0.5, 1.0))
        ),
        cameras=Cameras(count=2),
        render=Render(layers=LAYERS),
    )
    resolved = dataclasses.replace(
        resolved, objects=ProceduralCatalog.of(0, 60, JOINTED)
    )
    place = tmp_path_factory.mktemp("joints") / "data"
    return write_dataset(place, resolved, synthetic_views)


@pytest.fixture(scope="module")
def record(folder):
    return Dataset(folder)["train"][1]


def test_parts_follow_from_the_faces(record):
    shown, instance = parts(record), record["instance"][..., 0]
    assert shown.dtype == np.uint8 and shown.shape == instance.shape
    assert np.array_equal(shown > 0, instance > 0)
    faces = surface_faces(record)
    for view, row, column in np.argwhere(faces)[::97]:
        face = faces[view, row, column] - 1
        assert shown[view, row, column] == record["mesh/part"][face] + 1
    counts = [(record["parts/instance"] == i).sum() for i in (1, 2)]
    assert (shown.max() > 1) and shown.max() <= max(counts)


def test_the_poses_of_parts_put_the_rest_shape_where_the_vertices_are(record):
    faces, world = record["mesh/faces"], world_vertices(record)
    owner = record["mesh/instance"][faces[:, 0]]
    seen = 0
    for instance, part, *pose in zip(
        *(
            record[f"parts/{name}"]
            for name in ("instance", "part", "positions", "quaternions")
        ),
        strict=True,
    ):
        own = (owner == instance) & (record["mesh/part"] == part)
        rows = np.unique(faces[own])
        placed = geometry.transform(
            geometry.pose_matrix(*pose)[:, None], record["mesh/rest"][rows]
        )
        assert abs(placed - world[:, rows]).max() < 3e-4
        seen += len(rows)
        # Rigidly: distances within a part stay.
        gaps = np.linalg.norm(world[:, rows[:, None]] - world[:, rows[None]], axis=-1)
        assert abs(gaps - gaps[:1]).max() < 3e-4
    assert seen == len(record["mesh/rest"])


def test_joints_give_the_same_by_forward_kinematics(record):
    for instance in (1, 2):
        own = record["joints/instance"] == instance
        poses = geometry.part_poses(
            record["joints/parent"][own].tolist(),
            record["joints/type"][own] == "prismatic",
            record["joints/axis"][own],
            record["joints/origin"][own],
            record["joints/values"][own].T,
        )
        place = geometry.pose_matrix(
            record["objects/positions"][instance - 1],
            record["objects/quaternions"][instance - 1],
        )
        expected = geometry.transform(place[:, None], poses[..., 3])
        actual = record["parts/positions"][record["parts/instance"] == instance]
        assert np.allclose(actual.swapaxes(0, 1), expected, atol=1e-5)
        low, high = record["joints/limits"][own].T
        values = record["joints/values"][own]
        assert (values >= low[:, None] - 1e-6).all()
        assert (values <= high[:, None] + 1e-6).all()


def test_tracks_stay_on_their_part(record):
    rows, columns = np.nonzero(record["instance"][0, ..., 0])
    found = tracks(record, 0, rows, columns)
    shown = parts(record)[0, rows, columns]
    instance = record["instance"][0, rows, columns, 0]
    compared = 0
    for key in {*zip(instance.tolist(), shown.tolist(), strict=True)}:
        points = found.points[:, (instance == key[0]) & (shown == key[1])]
        gaps = np.linalg.norm(points[:, :1] - points, axis=-1)
        assert np.ptp(gaps, axis=0).max() < 1e-3
        compared += points.shape[1]
    assert compared == len(rows)
    # The objects as a whole do not move rigidly.
    changes = []
    for one in (found.points[:, instance == number] for number in np.unique(instance)):
        changes.append(np.ptp(np.linalg.norm(one[:, :1] - one, axis=-1), axis=0).max())
    assert max(changes) > 0.02


def test_flow_is_that_of_the_parts_pose(record):
    moved = flow(record, 0, 5)
    shown = parts(record)[0]
    instance = record["instance"][0, ..., 0]
    directions = geometry.rays(
        record["intrinsics"][0].astype(float),
        record["extrinsics"][0].astype(float),
        geometry.pixel_grid(40, 56, np),
    )
    points = directions[0] + directions[1] * record["depth"][0]
    for i, part in enumerate(record["parts/part"]):
        here = (instance == record["parts/instance"][i]) & (shown == part + 1)
        start, end = (
            geometry.pose_matrix(
                record["parts/positions"][i, step].astype(float),
                record["parts/quaternions"][i, step].astype(float),
            )
            for step in (0, 2)
        )
        expected = geometry.transform(
            end, geometry.transform(geometry.invert(start), points[here])
        )
        # Depth is rounded, and so off the face along the ray.
        gap = abs(points[here] + moved.scene[here] - expected)
        assert gap.max(initial=0) < 2e-3


def test_boxes_hold_the_open_object(record):
    corners, vertices = box_corners(record), world_vertices(record)
    for i in range(2):
        own = vertices[:, record["mesh/instance"] == i + 1]
        for step in range(3):
            axes = corners[i, step, [4, 2, 1]] - corners[i, step, 0]
            share = (own[step] - corners[i, step, 0]) @ axes.T / (axes**2).sum(-1)
            assert share.min() > -1e-6 and share.max() < 1 + 1e-6


def test_pytorch_batches_have_lists_of_joints(folder):
    pytest.importorskip("torch")
    from dyso.reading.torch import Scenes

    split = Dataset(folder)["train"]
    scenes = Scenes(Source(split, fields=("joints/values", "joints/name", "mesh/part")))
    batch = scenes.collate([scenes[0], scenes[1]])
    assert [each.shape[1] for each in batch["joints/values"]] == [3, 3]
    assert len(batch["mesh/part"]) == 2
    assert list(batch["joints/name"][0]) == list(split[0]["joints/name"])


@pytest.mark.slow
# tfds calls what protobuf has deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tfds_reads_the_same_joints(folder):
    import tensorflow_datasets as tfds

    import dyso.tfds  # noqa: F401

    expected = Dataset(folder)["train"][0]
    indexed = tfds.data_source("dyso", data_dir=folder, split="train")[0]
    streamed = next(iter(tfds.load("dyso", data_dir=folder, split="train")))
    names = [
        name
        for name in expected
        if name.startswith(("joints/", "parts/")) or name == "mesh/part"
    ]
    assert len(names) == 14
    for name in names:
        group, inner = name.split("/")
        for example in (indexed, streamed):
            found = np.asarray(example[group][inner])
            if expected[name].dtype.kind == "U":
                found = np.array([text.decode() for text in found.tolist()])
            assert np.array_equal(found, expected[name]), name
