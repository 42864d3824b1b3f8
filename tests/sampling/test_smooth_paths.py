import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyso.geometry import quaternion_to_matrix, rotation_angle
from dyso.sampling.smooth_paths import QUICK, slow, turns, waves

seeds = st.integers(0, 2**32 - 1)


def path(seed: int, times: np.ndarray, axes: int) -> np.ndarray:
    return slow(np.random.default_rng(seed), times, axes)


@given(seeds, st.sampled_from([1, 2, 3]))
def test_a_slow_path_is_as_long_as_it_says_and_has_no_jumps(seed, axes):
    places = path(seed, np.linspace(-0.5, 0.5, 129), axes)
    reach = np.linalg.norm(places[:, None] - places, axis=-1).max()
    assert reach == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(path(seed, np.zeros(1), axes), 0)
    # Nothing is quicker than one cycle: by halves of the step, moves halve and
    # bends become a quarter.
    moves, bends = np.diff(places, axis=0), np.diff(places, 2, axis=0)
    coarse = places[::2]
    for fine, of_coarse, ratio in (
        (moves, np.diff(coarse, axis=0), 2),
        (bends, np.diff(coarse, 2, axis=0), 4),
    ):
        assert abs(of_coarse).max() == pytest.approx(ratio * abs(fine).max(), rel=0.1)
    assert np.linalg.norm(moves, axis=-1).max() < 0.1


@given(seeds)
def test_a_path_does_not_depend_on_the_times_it_is_sampled_at(seed):
    few, many = np.linspace(-0.5, 0.5, 5), np.linspace(-0.5, 0.5, 17)
    np.testing.assert_allclose(path(seed, few, 3), path(seed, many, 3)[::4], atol=1e-12)


def test_waves_have_unit_deviation_and_their_frequencies_alone():
    frames = np.arange(256)
    drawn = np.stack(
        [waves(np.random.default_rng(s), frames, 2, *QUICK) for s in range(300)]
    )
    assert drawn.std() == pytest.approx(1, rel=0.03)
    assert drawn.mean() == pytest.approx(0, abs=0.01)
    window = np.hanning(256)[:, None]
    power = (abs(np.fft.rfft(drawn * window, axis=1)) ** 2).mean((0, 2))
    frequency = np.fft.rfftfreq(256)
    inside = (frequency > QUICK[0] - 0.01) & (frequency < QUICK[1] + 0.01)
    assert power[inside].sum() > 0.999 * power.sum()


def test_turns_are_rotation_vectors():
    vectors = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, np.pi / 2], [0.3, -0.4, 0.0]])
    found = turns(vectors)
    np.testing.assert_allclose(found[0], [1, 0, 0, 0])
    np.testing.assert_allclose(
        quaternion_to_matrix(found[1]) @ [1, 0, 0], [0, 1, 0], atol=1e-12
    )
    assert rotation_angle(found[2], found[0]) == pytest.approx(0.5)
