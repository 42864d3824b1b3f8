"""Objects that physics moves: how they fall, and how they are rendered."""

import dataclasses
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import helpers
from dyso import records
from dyso.assets import resolve
from dyso.geometry import rotation_angle
from dyso.render import Renderer, RenderError
from dyso.sampling import Scene, sample_scene
from dyso.spec import ResolvedSpec, load_spec
from dyso.validation import check_record

pytestmark = pytest.mark.slow

SPEC = Path(__file__).parents[2] / "specs" / "panoptic.yaml"
GRAVITY, RATE = 10.0, 30


@pytest.fixture(scope="module")
def fallen(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, np.ndarray]:
    """What `falling_bodies.py` writes: a ball that drops, several objects that meet."""
    script, out = helpers.FOLDER / "falling_bodies.py", tmp_path_factory.mktemp("f")
    command = [sys.executable, str(script), str(out / "fallen.npz")]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    with np.load(out / "fallen.npz") as arrays:
        return dict(arrays)


def test_the_same_throw_always_falls_the_same_way(fallen) -> None:
    assert fallen["several"].tobytes() == fallen["again"].tobytes()
    assert fallen["turned_several"].tobytes() == fallen["turned_again"].tobytes()
    # How many steps are asked for changes none of them.
    np.testing.assert_array_equal(fallen["several"][:, :40], fallen["shorter"])


def test_objects_start_where_they_are_and_as_they_move(fallen) -> None:
    start = fallen["several"][:, 0]
    np.testing.assert_allclose(start[:, 2], [0.4, 0.4, 1.5, 2.5], atol=1e-6)
    moved = fallen["several"][:, 1] - start
    speed = [[2.5, 0], [-2.5, 0], [0.5, 0], [0, 0.5]]
    np.testing.assert_allclose(moved[:, :2] * RATE, speed, atol=0.05)
    turned = rotation_angle(*fallen["turned_several"].swapaxes(0, 1)[:2])
    np.testing.assert_allclose(turned * RATE, [1, 0, 10**0.5, 20**0.5], rtol=0.05)


def test_a_ball_falls_freely_and_bounces_lower_each_time(fallen) -> None:
    height = fallen["dropped"][0, :, 2]
    times = np.arange(len(height)) / RATE
    np.testing.assert_allclose(height[:19], (2.3 - GRAVITY / 2 * times**2)[:19], 0.01)
    peaks = np.flatnonzero(np.diff(np.sign(np.diff(height))) < 0) + 1
    assert 0.05 < height[peaks[0]] - 0.3 < 0.5
    assert (np.diff([2.3, *height[peaks]]) < 1e-3).all()


def test_energy_is_lost_and_never_won(fallen) -> None:
    positions = fallen["several"]
    velocities = np.gradient(positions, 1 / RATE, axis=1)
    energy = GRAVITY * positions[..., 2] + (velocities**2).sum(-1) / 2
    total = energy.sum(0)
    # Turning adds to it where objects hit the floor, but less than hits take away.
    assert (total[2:] < 1.01 * total[1]).all()
    assert total[-1] < 0.3 * total[1]


def test_objects_meet_and_never_pass_through_one_another(fallen) -> None:
    one, other = fallen["several"][:2]
    gaps = np.linalg.norm(one - other, axis=-1)
    assert 0.6 <= gaps.min() < 0.65  # twice the radius
    assert (other[-1] - one[-1])[0] > 0  # they bounced off


def test_objects_come_to_rest_on_the_floor_and_never_sink_into_it(fallen) -> None:
    for name in ("several", "dropped"):
        lowest = fallen[f"lowest_{name}"]
        assert lowest.min() > -0.002
        assert lowest[:, -1].max() < 0.003
    last = fallen["several"][:, -15:]
    assert np.linalg.norm(np.diff(last, axis=1), axis=-1).max() < 1e-3
    turned = fallen["turned_several"]
    assert np.degrees(rotation_angle(turned[:, -15], turned[:, -1])).max() < 0.5


@pytest.fixture(scope="module")
def small() -> ResolvedSpec:
    """The panoptic spec with 4 cameras, one held out, and 5 steps, a quarter second
    apart."""
    spec = load_spec(SPEC)
    spec = dataclasses.replace(
        spec,
        resolution=(48, 64),
        dynamics=dataclasses.replace(spec.dynamics, steps=5, frame_rate=4),
        cameras=dataclasses.replace(spec.cameras, count=4, held_out=1),
        render=dataclasses.replace(spec.render, samples=1, denoise=False),
    )
    return resolve(spec, SPEC.parent)


@pytest.fixture(scope="module")
def scene(small: ResolvedSpec) -> Scene:
    return sample_scene(small, "scenes", 0)


def test_a_record_of_falling_objects_is_sound(
    renderer: Renderer, small: ResolvedSpec, scene: Scene
) -> None:
    views = renderer.render(scene)
    moved = np.linalg.norm(np.diff(views.positions, axis=1), axis=-1)
    assert (moved.max(1) > 0.05).all()
    finding = check_record(records.encode(scene, views), small, "scenes")
    assert finding.faults == ()
    assert finding.share is not None and finding.share > 0.99
    assert all((views.instance == i + 1).any() for i in range(len(scene.objects)))


def test_objects_that_fly_out_of_sight_are_refused_and_the_worker_survives(
    renderer: Renderer, scene: Scene
) -> None:
    assert scene.physics is not None
    away = ((9.0, 0.0, 0.0),) * len(scene.objects)
    thrown = dataclasses.replace(scene.physics, velocities=away)
    with pytest.raises(RenderError, match="too little of the objects") as caught:
        renderer.render(dataclasses.replace(scene, physics=thrown))
    assert caught.value.reason == "unseen"
    again = renderer.render(dataclasses.replace(scene, resolution=(8, 8)))
    assert again.timings["start"] == renderer.render(scene).timings["start"]
