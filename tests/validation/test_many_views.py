"""The geometry proof of scenes with more views than it compares."""

import numpy as np
import pytest

from dyso import records
from dyso.reading import MOTION_FIELDS
from dyso.records.synthetic import synthetic_views
from dyso.sampling import sample_scene
from dyso.spec import Cameras, Dynamics
from dyso.validation import agreement, geometry


@pytest.fixture(scope="module")
def record(make_resolved):
    resolved = make_resolved(
        resolution=(24, 24), dynamics=Dynamics(steps=6), cameras=Cameras(count=4)
    )
    scene = sample_scene(resolved, "train", 0)
    data = records.encode(scene, synthetic_views(scene))
    return records.decode(data, fields=MOTION_FIELDS)


def test_some_views_of_many_are_compared_each_at_its_own_step(record, monkeypatch):
    whole = agreement(record)
    np.testing.assert_array_equal(whole.views, np.arange(24))
    monkeypatch.setattr(geometry, "VIEWS", 9)
    some = agreement(record)
    assert len(set(some.views)) == 9 and set(some.views) < set(range(24))
    assert len(set(some.views % 4)) > 1  # of several cameras
    part = np.ix_(range(len(whole.agreed)), some.views, some.views)
    for name in ("agreed", "wrong", "hidden"):
        np.testing.assert_array_equal(getattr(some, name), getattr(whole, name)[part])
