"""The depth code keeps the error that it states."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dyso.records.depth import (
    DEPTH_ERROR,
    FAR,
    NEAR,
    STEP,
    Z,
    decode_depth,
    encode_depth,
)
from dyso.records.features import DepthImage

# With f >= 8 pixels on 8 x 12, no ray's z leaves the range.
DEPTHS = st.one_of(st.floats(2**-5, FAR, width=32), st.just(np.inf))


@given(arrays(np.float32, (8, 12), elements=DEPTHS), st.floats(8, 500, width=32))
def test_any_depth_comes_back_within_the_stated_error(depth, focal_length):
    decoded = decode_depth(encode_depth(depth, focal_length), focal_length)
    assert decoded.dtype == np.float32
    hit = np.isfinite(depth)
    assert np.array_equal(np.isfinite(decoded), hit)
    error = abs(decoded[hit].astype(float) / depth[hit] - 1)
    assert error.max(initial=0) <= DEPTH_ERROR


def test_the_stated_error_covers_the_whole_range_and_is_not_idle():
    assert DEPTH_ERROR <= 1e-4
    between = np.sqrt(Z[:-2] * Z[1:-1])
    nearest = np.rint(np.log(between / NEAR) / STEP).astype(int)
    worst = abs(Z[nearest] / between - 1).max()
    assert 0.99 * DEPTH_ERROR < worst < DEPTH_ERROR


@pytest.mark.parametrize("wrong", [0.0, -1.0, 0.009, 1100.0, np.nan, -np.inf])
def test_depth_that_cannot_be_stored_is_refused(wrong):
    depth = np.full((4, 4), 2, np.float32)
    depth[1, 2] = wrong
    with pytest.raises(ValueError, match=r"0.01 to 1000 m or infinity"):
        encode_depth(depth, 100.0)


def test_the_tfds_feature_stores_the_same_code():
    feature = DepthImage(shape=(8, 12, 1))
    depth = np.geomspace(0.5, 900, 96, dtype=np.float32).reshape(8, 12, 1)
    stored = feature.encode_example({"depth": depth, "focal_length": 140.1})
    error = abs(feature.decode_example_np(stored) / depth - 1).max()
    assert 0 < error <= DEPTH_ERROR
    again = DepthImage.from_json_content(feature.to_json_content())
    assert again.get_tensor_info() == feature.get_tensor_info()
