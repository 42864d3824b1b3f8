"""Exports of datasets whose objects change their shapes."""

import tarfile

import numpy as np
import pytest

from dyso.export import Export
from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import LAYERS, Cameras, Deform, Dynamics, Render, UserError
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


@pytest.mark.parametrize("form", ["bop", "coco", "gltf"])
def test_formats_of_one_shape_refuse_them(folder, form, tmp_path):
    with pytest.raises(UserError, match=rf"^{form}: has one shape of each object"):
        Export.of(folder, format=form, out=tmp_path / "out")


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
