"""Twins: scenes 2k and 2k + 1 share what the spec names, and nothing else."""

import dataclasses

import numpy as np
import pytest

from dyso.sampling import sample_scene
from dyso.spec import Dynamics, Objects, Spec, Visibility

SHARED = {
    "cameras": lambda scene: (scene.pattern, scene.cameras),
    "dynamics": lambda scene: [
        (pose.position[:2], pose.quaternion) for pose in scene.objects[0].poses
    ],
}
# Rejects about half of the attempts.
PICKY = Visibility(share=0.9, share_of_views=0.9)


@pytest.mark.parametrize(
    "twins", [("cameras",), ("dynamics",), ("cameras", "dynamics")]
)
def test_twins_share_what_the_spec_names(twins, make_resolved):
    resolved = make_resolved(twins=twins, visibility=PICKY)
    attempts = set()
    for index in range(0, 20, 2):
        one, other = (sample_scene(resolved, "train", index + i) for i in range(2))
        third = sample_scene(resolved, "train", index + 2)
        assert one.attempt == other.attempt
        attempts.add(one.attempt)
        for factor, part in SHARED.items():
            assert (part(one) == part(other)) == (factor in twins)
            assert part(one) != part(third)
        assert one.background != other.background
        assert one.render_seed != other.render_seed
    assert len(attempts) > 1


def test_a_twin_that_is_rejected_rejects_the_other(make_resolved):
    alone = make_resolved(visibility=PICKY)
    together = make_resolved(visibility=PICKY, twins=("cameras",))
    later = [
        sample_scene(together, "train", i).attempt
        - sample_scene(alone, "train", i).attempt
        for i in range(0, 40, 2)  # the first of two: its own streams are the same
    ]
    assert min(later) == 0 and np.mean(later) > 0


def test_independent_scenes_are_those_of_before(resolved):
    assert resolved.spec.twins == ()
    twins = dataclasses.replace(resolved.spec, twins=("cameras",))
    other = dataclasses.replace(resolved, spec=twins)
    assert other.hash != resolved.hash
    one, two = (sample_scene(each, "test", 4) for each in (resolved, other))
    if two.attempt == one.attempt:
        assert dataclasses.replace(two, spec_hash=one.spec_hash) == one


@pytest.mark.parametrize(
    "fields",
    [
        {"objects": Objects(count=(1, 2))},
        {"dynamics": Dynamics(motion="physics", contact="free")},
        {"dynamics": Dynamics(contact="settle")},
        {"dynamics": Dynamics(contact="stable")},
    ],
)
def test_motion_that_depends_on_the_object_cannot_be_shared(fields):
    with pytest.raises(ValueError, match="twins: can share dynamics only where"):
        Spec(name="a", splits={"train": 2}, twins=("dynamics",), **fields)
