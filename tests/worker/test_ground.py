"""The dome's floor in detail: factors of what a panorama shows."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from dyso.assets import environments, resolve
from dyso.sampling import Background, Scene, sample_scene
from dyso.spec import Backgrounds, ProceduralEnvironments, Spec
from dyso.worker.empty_view import FloorDetail, look_up
from dyso.worker.ground import REACH, floor_detail

CATALOG = ProceduralEnvironments(seed=0, count=382)
BACKGROUND = Background(
    asset_id="any",
    rotation=0.7,
    backdrop="dome",
    dome_radius=25.0,
    dome_height=3.0,
    ground_seed=5,
)


def photograph(*color: float) -> np.ndarray:
    return np.broadcast_to(np.float32(color), (64, 128, 3))


def test_a_photograph_gets_a_grain_that_fades_out():
    ground = floor_detail(BACKGROUND, photograph(0.2, 0.2, 0.2), None, 0.014)
    side = len(ground.pixels)
    assert ground.reach == REACH
    assert 14 * side / 1000 == pytest.approx(2 * REACH, rel=0.01)
    outer = np.concatenate(
        [ground.pixels[[0, -1]], ground.pixels[:, [0, -1]].swapaxes(0, 1)]
    )
    assert (outer == 1).all()
    middle = ground.pixels[side * 2 // 5 : side * 3 // 5, side * 2 // 5 : side * 3 // 5]
    assert abs(middle.mean() - 1) < 0.02
    assert 0.05 < middle.std() < 0.4
    # Averages over half a metre keep the photograph's brightness.
    assert np.abs(ndimage.uniform_filter(middle[..., 0], 36) - 1).max() < 0.1
    grass = floor_detail(BACKGROUND, photograph(0.1, 0.2, 0.05), None, 0.014)
    assert np.ptp(grass.pixels, axis=-1).max() == 0  # colours are the photograph's
    assert not np.array_equal(grass.pixels, ground.pixels)


def test_a_ground_follows_from_its_seed():
    photo = photograph(0.2, 0.2, 0.2)
    other = dataclasses.replace(BACKGROUND, ground_seed=6)
    first, again, different = (
        floor_detail(background, photo, None, 0.05).pixels
        for background in (BACKGROUND, BACKGROUND, other)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, different)


@pytest.mark.parametrize(
    ("number", "height"),
    [(3, 3.0), (2, 4.0)],  # a plaza, a lounge
)
def test_an_environment_gets_its_own_ground(number, height):
    background = dataclasses.replace(BACKGROUND, dome_height=height)
    coarse, fine = (environments.make(CATALOG, number, h) for h in (64, 512))
    made = environments.ground(CATALOG, number)
    ground = floor_detail(background, coarse.astype(np.float32), made, 0.02)
    points = np.random.default_rng(0).uniform(-1, 1, (2000, 2))
    seen = np.concatenate([points, np.full((2000, 1), -height)], axis=-1)
    shown, wanted = (
        look_up(pixels.astype(np.float32), background.rotation, seen)
        for pixels in (coarse, fine)
    )
    plain = np.abs(shown / wanted - 1).mean()
    detailed = np.abs(shown * ground.at(points) / wanted - 1).mean()
    assert detailed < 0.7 * plain


def test_nothing_stands_where_an_environment_gets_its_ground():
    reach = {CATALOG.kind(n): environments.ground(CATALOG, n)[1] for n in range(18)}
    assert "warehouse" in reach  # its long racks are near, its trusses overhead
    assert len(reach) == 18
    assert min(reach.values()) > 4


def test_factors_are_interpolated_between_pixels():
    pixels = np.arange(16, dtype=np.float32).reshape(4, 4, 1) * np.ones(3, np.float32)
    ground = FloorDetail(pixels=pixels, reach=2.0)
    points = np.array([[-1.5, -1.5], [1.5, -1.5], [-1.5, 1.5], [0.0, 0.0], [2.0, 2.0]])
    np.testing.assert_allclose(ground.at(points)[:, 0], [0, 3, 12, 7.5, 15])


@pytest.mark.parametrize("backdrop", ["dome", "environment"])
def test_a_spec_draws_a_seed_only_where_there_is_a_floor(backdrop):
    def scene(**backgrounds: str) -> Scene:
        spec = Spec(
            name="grounds",
            splits={"train": 2},
            backgrounds=Backgrounds(backdrop=backdrop, **backgrounds),
        )
        return sample_scene(resolve(spec, Path()), "train", 0)

    photo, material = scene(), scene(ground="material")
    assert photo.background.ground_seed is None
    assert '"ground_seed"' not in photo.to_json()
    assert (material.background.ground_seed is None) == (backdrop == "environment")
    assert Scene.from_json(material.to_json()) == material
    same = dataclasses.replace(material.background, ground_seed=None)
    assert same == photo.background  # nothing else is drawn differently
    assert material.cameras == photo.cameras
