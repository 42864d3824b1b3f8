"""Packed numbers come back within their unit, and damaged ones are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dyso import records
from dyso.records.packed import MESH_ERROR, pack, unpack

SHAPES = st.one_of(
    st.tuples(st.integers(0, 9)),
    st.tuples(st.integers(0, 9), st.just(3)),
    st.tuples(st.integers(1, 4), st.integers(0, 9), st.just(3)),
)


@given(arrays.arrays(np.int32, SHAPES, elements=st.integers(-(2**28) + 1, 2**28 - 1)))
def test_integers_come_back(values):
    assert np.array_equal(unpack(pack(values), values.shape), values)


@given(
    arrays.arrays(np.float32, SHAPES, elements=st.floats(-9, 9, width=32)),
    st.floats(1e-3, 10),
)
def test_numbers_come_back_within_half_a_unit(values, unit):
    found = unpack(pack(values, unit), values.shape) * unit
    assert (abs(found - values) <= unit * (0.5 + 1e-9)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, 2**28])
def test_what_cannot_be_stored_is_refused(value):
    with pytest.raises(ValueError, match="cannot be stored"):
        pack(np.array([0.0, value]))


def test_damage_is_reported_and_bounded():
    data = pack(np.arange(300).reshape(-1, 3))
    for wrong in (data[:-9], b"x" + data, b"", pack(np.arange(9))):
        with pytest.raises(records.RecordError):
            unpack(wrong, (100, 3))
    for shape in ((99, 3), (101, 3), (0, 3)):
        with pytest.raises(records.RecordError):
            unpack(data, shape)


def test_the_vertices_of_a_record_have_the_stated_error(whole, data):
    scene, views = whole
    decoded = records.decode(data)
    size = scene.objects[0].size
    for name in ("rest", "vertices"):
        expected = getattr(views, f"mesh_{name}")
        error = abs(decoded[f"mesh/{name}"] - expected).max() / size
        assert 0 < error <= MESH_ERROR
    assert np.array_equal(decoded["mesh/faces"], views.mesh_faces)
    assert np.array_equal(decoded["mesh/instance"], views.mesh_instance)


def test_the_surface_is_digits_of_faces(whole, data):
    _, views = whole
    digits = records.decode(data, fields=["surface"])["surface"].astype(int)
    faces = digits @ [1, 256, 65536]
    assert np.array_equal(faces, views.surface.reshape(faces.shape))
    assert faces.max() > 20


def test_optional_names_are_left_out_where_records_lack_them(bare, data):
    names = ["depth", "surface?", "mesh/faces?"]
    assert list(records.decode(data, fields=names)) == [
        "depth",
        "surface",
        "mesh/faces",
    ]
    without = records.encode(*bare)
    assert list(records.decode(without, fields=names)) == ["depth"]
