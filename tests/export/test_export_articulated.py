"""Exports of datasets whose objects have joints."""

import dataclasses
import io
import tarfile

import numpy as np
import pytest

from dyso.export import Export
from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import (
    LAYERS,
    Articulate,
    Cameras,
    Dynamics,
    ProceduralCatalog,
    Render,
    UserError,
)
from helpers.dataset_writer import write_dataset


@pytest.fixture(scope="module")
def folder(make_resolved, tmp_path_factory):
    resolved = make_resolved(
        resolution=(32, 32),
        splits={"train": 1},
        dynamics=Dynamics(steps=3, articulate=Articulate(change=(0.5, 1.0))),
        cameras=Cameras(count=2),
        render=Render(layers=LAYERS),
    )
    catalog = ProceduralCatalog.of(0, 60, ("cabinet",))
    resolved = dataclasses.replace(resolved, objects=catalog)
    path = tmp_path_factory.mktemp("articulated") / "data"
    return write_dataset(path, resolved, synthetic_views)


def exported(folder, form, out):
    Export.of(folder, format=form, out=out).run(1, lambda: None)
    return out


@pytest.mark.parametrize("form", ["bop", "coco"])
def test_formats_of_one_shape_refuse_them(folder, form, tmp_path):
    with pytest.raises(UserError, match=r"but dynamics\.articulate changes shapes"):
        Export.of(folder, format=form, out=tmp_path / "out")


def test_webdataset_has_the_joints(folder, tmp_path):
    out = exported(folder, "webdataset", tmp_path / "out")
    expected = Dataset(folder)["train"][0]
    [path] = out.glob("*.tar")
    with tarfile.open(path) as tar:
        files = {
            member.name.split(".", 1)[1]: tar.extractfile(member).read()
            for member in tar
        }
    for name in ("joints/values", "parts/positions", "mesh/part"):
        found = np.load(io.BytesIO(files[f"{name.replace('/', '_')}.npy"]))
        assert np.array_equal(found, expected[name])


def test_parquet_has_the_joints_in_each_row(folder, tmp_path):
    import pyarrow.parquet as pq

    out = exported(folder, "parquet", tmp_path / "out")
    [path] = out.rglob("*.parquet")
    rows = pq.read_table(path).to_pylist()
    expected = Dataset(folder)["train"][0]
    assert len(rows) == 6
    for row in rows:
        assert row["joints_name"] == expected["joints/name"].tolist()
        assert np.allclose(row["joints_values"], expected["joints/values"])
    assert not [name for name in rows[0] if name.startswith("mesh")]
