"""Clips that objects play: which, when, and where they may reach."""

import dataclasses

import numpy as np
import pytest

from dyso.sampling import Scene, animation, sample_scene
from dyso.sampling.animation import sample_animation
from dyso.spec import (
    LAYERS,
    Animate,
    Asset,
    Catalog,
    Clip,
    Deform,
    Dynamics,
    Render,
    ResolvedSpec,
    Spec,
)

BOUNDS = ((-2.0, -1.0, 0.0), (2.0, 1.0, 6.0))
WALK = Clip(name="walk", start=1.0, end=3.0, bounds=BOUNDS)
RUN = Clip(name="run fast", start=0.0, end=0.5, bounds=BOUNDS)
REST = ((-1.0, -1.0, 0.0), (1.0, 1.0, 4.0))
CHARACTER = Asset(id="a", category="person", bounds=REST, rest=REST, clips=(WALK, RUN))
STONE = Asset(id="b", category="stone", bounds=REST)


@pytest.fixture(scope="module")
def make_animated():
    def make(assets: tuple[Asset, ...] = (CHARACTER, STONE), **animate) -> ResolvedSpec:
        spec = Spec(
            name="animated",
            splits={"train": 40},
            dynamics=Dynamics(
                steps=5,
                motion="smooth",
                animate=Animate(**{"clips": ("*",), **animate}),
            ),
            render=Render(layers=LAYERS),
        )
        return ResolvedSpec(
            spec=spec,
            objects=Catalog(name="o", manifest="o.json", assets=assets),
            backgrounds=Catalog(name="h", manifest="h.json", assets=(Asset(id="sky"),)),
        )

    return make


def times(steps: int = 5, **animate) -> np.ndarray:
    made = sample_animation(
        np.random.default_rng(0), Animate(clips=("*",), **animate), steps, (WALK,)
    )
    return np.array(made.times)


def test_time_goes_on_evenly_and_begins_again() -> None:
    assert times(start=(0.0, 0.0)).tolist() == [1.0, 1.5, 2.0, 2.5, 3.0]
    assert times(start=(0.5, 0.5)).tolist() == [2.0, 2.5, 3.0, 1.5, 2.0]
    held = times(start=(0.5, 0.5), repeat=False)
    assert held.tolist() == [2.0, 2.5, 3.0, 3.0, 3.0]
    half = times(start=(0.0, 0.0), span=(0.5, 0.5))
    assert half.tolist() == [1.0, 1.25, 1.5, 1.75, 2.0]
    real = times(start=(0.0, 0.0), frame_rate=10.0)
    assert real.tolist() == pytest.approx([1.0, 1.1, 1.2, 1.3, 1.4])
    jitter = times(steps=200, motion="jitter")
    assert jitter.min() >= 1 and jitter.max() <= 3
    assert np.ptp(jitter) > 1.9 and (np.diff(jitter) < 0).any()


def test_a_clip_of_one_moment_is_shown_at_every_step() -> None:
    pose = dataclasses.replace(WALK, end=1.0)
    for animate in (Animate(clips=("*",)), Animate(clips=("*",), frame_rate=9.0)):
        made = sample_animation(np.random.default_rng(0), animate, 3, (pose,))
        assert made.times == (1.0, 1.0, 1.0)


def test_names_choose_clips(make_animated) -> None:
    assert CHARACTER.playable(["walk"]) == (WALK,)
    assert CHARACTER.playable(["r*"]) == (RUN,)
    assert CHARACTER.playable(["*"]) == (WALK, RUN)
    assert CHARACTER.playable(["W*", "ru"]) == ()

    def played(**animate) -> set[tuple[str, str | None]]:
        resolved = make_animated(**animate)
        items = [sample_scene(resolved, "train", i).objects[0] for i in range(40)]
        assert all(i.plays == (i.asset_id == "a") for i in items)
        return {(i.asset_id, i.animation.clip) for i in items}

    assert played() == {("a", "walk"), ("a", "run fast"), ("b", "")}
    assert played(clips=("run*",)) == {("a", "run fast"), ("b", "")}


def test_a_scene_with_clips_is_read_back(make_animated) -> None:
    resolved = make_animated(assets=(CHARACTER,))
    scene = sample_scene(resolved, "train", 0)
    assert scene == sample_scene(resolved, "train", 0)
    assert scene.animated and scene.objects[0].changes_shape
    assert Scene.from_json(scene.to_json()) == scene
    [item] = scene.objects
    # With its up kept, whatever the turn about it.
    assert all(pose.quaternion[1:3] == (0, 0) for pose in item.poses)
    short = dataclasses.replace(item.animation, times=(1.0,))
    with pytest.raises(ValueError, match="one time per dynamics step"):
        dataclasses.replace(item, animation=short)


def test_reach_holds_the_clip() -> None:
    # 2 m for the rest shape's 4 units; the clip is 4 units above the centre at most.
    assert animation.reach(CHARACTER, "walk", 2.0) == pytest.approx([1.0, 0.5, 2.0])


def test_the_identity_has_clips_only_where_they_are_played(make_animated) -> None:
    def identity(clips: tuple[str, ...], asset: Asset) -> str:
        return make_animated(assets=(asset,), clips=clips).hash

    bare = dataclasses.replace(CHARACTER, clips=(), rest=STONE.rest)
    assert identity((), CHARACTER) == identity((), bare)
    longer = dataclasses.replace(WALK, end=4.0)
    other = dataclasses.replace(CHARACTER, clips=(longer, RUN))
    assert identity(("*",), CHARACTER) != identity(("*",), other)
    assert identity(("walk",), CHARACTER) != identity(("*",), CHARACTER)
    resolved = make_animated(assets=(bare,), clips=())
    spec = dataclasses.replace(
        resolved.spec, dynamics=Dynamics(steps=5, motion="smooth")
    )
    assert dataclasses.replace(resolved, spec=spec).hash == resolved.hash
    # As of a catalog of an earlier version.
    [*_, asset] = resolved.objects.identifying(clips=True)
    assert {*asset} == {"id", "category", "bounds", "textured", "checksum"}


def test_scenes_stay_as_they_were_where_no_clip_is_played(make_animated) -> None:
    plain = sample_scene(make_animated(clips=()), "train", 3)
    assert plain.objects[0].animation is None
    assert "animation" not in plain.to_json()


def test_specs_that_cannot_play_say_so() -> None:
    with pytest.raises(ValueError, match=r"render\.layers: must have surface where"):
        Spec(
            name="a",
            splits={"train": 1},
            dynamics=Dynamics(animate=Animate(clips=("*",))),
        )
    with pytest.raises(ValueError, match=r"dynamics\.deform: must be left out where"):
        Spec(
            name="a",
            splits={"train": 1},
            dynamics=Dynamics(
                animate=Animate(clips=("*",)), deform=Deform(bend=(9.0, 9.0))
            ),
            render=Render(layers=LAYERS),
        )
