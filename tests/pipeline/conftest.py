"""A dataset that takes no time to make."""

import pytest

from dyso.spec import Dynamics, Render


@pytest.fixture(scope="module")
def tiny(make_resolved):
    return make_resolved(
        splits={"train": 7, "test": 3},
        resolution=(8, 8),
        dynamics=Dynamics(steps=2),
        render=Render(samples=1),
        max_failed=0.3,
    )
