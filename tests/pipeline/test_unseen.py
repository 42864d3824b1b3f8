"""Scenes whose objects physics moves out of sight, which the worker refuses."""

from dyso import records
from dyso.pipeline.scenes import RENDER_ATTEMPTS, SceneMaker
from dyso.spec import Visibility
from helpers.instant_renderer import InstantRenderer


def maker(make_resolved, reason: str, attempts: int) -> SceneMaker:
    resolved = make_resolved(
        resolution=(16, 16),
        visibility=Visibility(share=0.0, share_of_views=0.0, attempts=20),
    )
    failing = {("train", 0): range(attempts)}
    return SceneMaker(resolved, InstantRenderer(failing=failing, reason=reason))


def test_they_are_sampled_again_as_often_as_the_spec_allows(make_resolved):
    making = maker(make_resolved, "unseen", RENDER_ATTEMPTS + 2)
    record = making.record("train", 0)
    assert record is not None and making.failures == []
    assert records.scene_of(record).attempt >= RENDER_ATTEMPTS + 2
    assert {failure.reason for failure in making.retries} == {"unseen"}


def test_the_spec_bounds_them(make_resolved):
    making = maker(make_resolved, "unseen", 20)
    assert making.record("train", 0) is None
    [failure] = making.failures
    assert failure.reason == "unseen" and failure.attempt < 20
    assert len(making.retries) < 20


def test_a_failing_scene_is_given_up_after_the_render_attempts(make_resolved):
    making = maker(make_resolved, "asset", RENDER_ATTEMPTS + 2)
    assert making.record("train", 0) is None
    assert len(making.failures + making.retries) == RENDER_ATTEMPTS
