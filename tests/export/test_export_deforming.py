"""Exports of datasets whose objects change their shapes."""

import tarfile

import numpy as np
import pytest

from dyso.export import Export
from dyso.export.gltf_animation import STEP_RATE, vertex_colors
from dyso.reading import Dataset, world_vertices
from dyso.records.synthetic import synthetic_views
from dyso.spec import LAYERS, Cameras, Deform, Dynamics, Render, UserError
from dyso.srgb import to_linear
from dyso.worker.gltf_animation import AnimatedMesh
from dyso.worker.untrusted_gltf import read_gltf
from helpers.dataset_writer import write_dataset

# tfds and TensorFlow warn of their own parts.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def folder(make_resolved, tmp_path_factory):
    resolved = make_resolved(
        resolution=(32, 32),
        splits={"train": 1},
        dynamics=Dynamics(steps=3, deform=Deform(bend=(40, 60), squash=(0.2, 0.3))),
        cameras=Cameras(count=2),
        render=Render(layers=LAYERS),
    )
    path = tmp_path_factory.mktemp("deform") / "data"
    return write_dataset(path, resolved, synthetic_views)


def exported(folder, form, out):
    Export.of(folder, format=form, out=out).run(1, lambda: None)
    return out


@pytest.mark.parametrize("form", ["bop", "coco"])
def test_formats_of_one_shape_refuse_them(folder, form, tmp_path):
    with pytest.raises(UserError, match=rf"^{form}: has one shape of each object"):
        Export.of(folder, format=form, out=tmp_path / "out")


def test_gltf_plays_the_scene(folder, tmp_path):
    """By the evaluation of glTF that is checked against Blender's."""
    out = exported(folder, "gltf", tmp_path / "out")
    path = out / "train" / "scene_0" / "scene.glb"
    gltf = read_gltf("it", path, path.parent, path.read_bytes())
    mesh, record = AnimatedMesh(gltf), Dataset(folder)["train"][0]
    world = world_vertices(record)
    clip = mesh.clips["scene"]
    assert (clip.start, clip.end) == (0, 2 / STEP_RATE)
    for step, expected in enumerate(world):
        found = mesh.vertices("scene", step / STEP_RATE)
        assert abs(found - expected).max() < 1e-5
    halfway = mesh.vertices("scene", 0.5 / STEP_RATE)
    assert abs(halfway - world[:2].mean(0)).max() < 0.2
    assert abs(world[1] - world[0]).max() > 0.2
    nodes = gltf.document["nodes"]
    assert [node["name"] for node in nodes] == [
        *("world", "object_000", "camera_000", "camera_001")
    ]
    # Vertices have the colours of the pixels that show them.
    colors = vertex_colors(record)
    assert colors.shape == (len(world[0]), 3)
    object_pixels = record["color"][record["instance"][..., 0] > 0] / 255
    assert abs(colors.mean(0) - to_linear(object_pixels).mean(0)).max() < 0.2


def test_tfrecord_has_the_meshes_for_tfds_alone(folder, tmp_path):
    import tensorflow_datasets as tfds

    out = exported(folder, "tfrecord", tmp_path / "out")
    [path] = out.rglob("dataset_info.json")
    builder = tfds.builder_from_directory(path.parent)
    [scene] = builder.as_dataset(split="train").as_numpy_iterator()
    expected = Dataset(folder)["train"][0]
    for name in ("faces", "instance", "rest", "vertices"):
        assert np.array_equal(scene["mesh"][name], expected[f"mesh/{name}"])
    assert np.array_equal(scene["surface"], expected["surface"])


def test_webdataset_has_the_meshes(folder, tmp_path):
    out = exported(folder, "webdataset", tmp_path / "out")
    [path] = out.glob("*.tar")
    with tarfile.open(path) as tar:
        names = {member.name.split(".", 1)[1] for member in tar}
    assert {"mesh_vertices.npy", "mesh_faces.npy", "surface_0.png"} <= names


def test_parquet_leaves_the_meshes_out(folder, tmp_path):
    import pyarrow.parquet as pq

    out = exported(folder, "parquet", tmp_path / "out")
    [path] = out.rglob("*.parquet")
    names = pq.read_schema(path).names
    assert "surface" in names
    assert not [name for name in names if name.startswith("mesh")]
