"""Gaits: feet that stay where they stand, and bodies that follow their path."""

import numpy as np
import pytest

from dyso.geometry import Leg, Path, Rig, Wave, posed, transform

# A body whose two legs of 0.5 and 0.5 m stand 0.9 m below it, the knees in front.
HIGH, AHEAD = 0.9, np.sqrt(0.25 - 0.45**2)
RIG = Rig(
    names=("body", "thigh", "shank", "foot", "other thigh", "other shank", "other"),
    parents=(-1, 0, 1, 2, 0, 4, 5),
    joints=np.array(
        [
            [0, 0, 0.9],
            *([0, y, 0.9] + np.array([[0, 0, 0], [AHEAD, 0, -0.45], [0, 0, -0.9]])[i]
              for y in (0.2, -0.2) for i in range(3)),
        ]
    ),
    waves=(Wave(bone=0, axis=2, size=0.01, cycles=2, moves=True),),
    legs=(
        Leg(bones=(1, 2, 3), offset=0.0, stance=0.6, lift=0.1, pitch=0.3),
        Leg(bones=(4, 5, 6), offset=0.5, stance=0.6, lift=0.1, pitch=0.3),
    ),
    bends=np.zeros(7),
    stride=0.8,
    shortens=True,
)  # fmt: skip


def arc(curvature):
    return Path(start=0.0, spacing=1.0, headings=np.array([0.3, 0.3 + curvature]))


WINDING = Path(start=-1.0, spacing=0.02, headings=np.sin(np.linspace(0, 12, 201)))
"""Turns by up to 3 radians per metre."""


def feet(rig, distance, path, amplitude=1.0):
    """Where the feet's joints are on the floor after the body walked a distance."""
    phase = distance / rig.stride_at(amplitude)
    bones = posed(rig, phase, amplitude, path, distance)
    places = transform(bones[[3, 6]], rig.joints[[3, 6]])
    at = np.linspace(0, distance, 2001)
    ways = path.heading((at[1:] + at[:-1]) / 2)
    body = [np.cos(ways).mean() * distance, np.sin(ways).mean() * distance, 0]
    c, s = np.cos(path.heading(at[-1:])[0]), np.sin(path.heading(at[-1:])[0])
    return places @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T + body


@pytest.mark.parametrize(
    ("path", "error"), [(arc(0.0), 1e-9), (arc(0.7), 1e-6), (WINDING, 1e-3)]
)
@pytest.mark.parametrize("amplitude", [1.0, 0.4])
def test_a_foot_stays_where_it_stands(path, error, amplitude):
    stride = RIG.stride_at(amplitude)
    distances = np.linspace(1e-9, 2 * stride, 101)
    places = np.stack([feet(RIG, d, path, amplitude) for d in distances])
    for foot, offset in enumerate((0.0, 0.5)):
        cycle = (distances / stride + offset) % 1
        number = np.floor(distances / stride + offset)
        stands = (cycle < 0.59) & (number == 1)
        assert stands.sum() > 20
        assert np.ptp(places[stands, foot], axis=0).max() < error
        assert np.allclose(places[stands, foot, 2], 0)
        assert places[cycle > 0.61, foot, 2].min() > 0
        assert places[:, foot, 2].max() == pytest.approx(0.1 * amplitude, rel=0.02)
    # There is always a foot on the floor.
    assert abs(places[..., 2].min(1)).max() < 1e-9


def test_bones_keep_their_lengths_and_knees_their_side():
    for phase in np.linspace(0, 1, 21):
        bones = posed(RIG, phase)
        joints = np.stack(
            [
                transform(bone, joint)
                for bone, joint in zip(bones, RIG.joints, strict=True)
            ]
        )
        assert np.allclose(np.linalg.norm(joints[2] - joints[1]), 0.5)
        assert np.allclose(np.linalg.norm(joints[3] - joints[2]), 0.5)
        assert joints[2, 0] > (joints[1, 0] + joints[3, 0]) / 2
        assert np.allclose(np.linalg.det(bones[..., :3]), 1)


def test_without_amplitude_a_creature_is_at_rest():
    bones = posed(RIG, 0.3, amplitude=0.0)
    assert np.allclose(bones, np.eye(3, 4), atol=1e-12)


def test_a_foot_out_of_reach_is_pointed_at():
    far = Rig(**{**vars(RIG), "stride": 3.0})
    bones = posed(far, 0.0)
    thigh, shank = bones[1][:, :3], bones[2][:, :3]
    ways = [
        thigh @ (RIG.joints[2] - RIG.joints[1]),
        shank @ (RIG.joints[3] - RIG.joints[2]),
    ]
    assert ways[0] @ ways[1] == pytest.approx(0.25, rel=0.01)
    assert ways[0][0] > 0.2


def test_waves_move_and_turn_their_bones():
    bones = posed(RIG, 0.125)
    assert bones[0, 2, 3] == pytest.approx(0.01)
    waved = Rig(
        **{
            **vars(RIG),
            "waves": (Wave(bone=0, axis=2, size=0.5, offset=0.25),),
            "legs": (),
        }
    )
    turned = posed(waved, 0.0, amplitude=0.5)
    assert np.allclose(turned[:, :2, 0], [np.cos(0.25), np.sin(0.25)])


def test_a_body_bends_along_its_curve():
    bent = Rig(
        **{**vars(RIG), "legs": (), "bends": np.array([0, 0.3, 0.2, 0, 0, 0, 0])}
    )
    bones = posed(bent, 0.0, 0.0, arc(1.2))
    assert np.allclose(bones[1, :2, 0], [np.cos(0.36), np.sin(0.36)])
    assert np.allclose(bones[2, :2, 0], [np.cos(0.6), np.sin(0.6)])
    narrow = posed(bent, 0.0, 0.0, arc(-50.0))
    assert np.allclose(narrow[2, :2, 0], [np.cos(0.8), -np.sin(0.8)])


def test_another_size_is_the_same_gait():
    large = RIG.scaled(2.0)
    assert large.stride_at(0.5) == 2 * RIG.stride_at(0.5)
    small, big = posed(RIG, 0.3, 0.8, arc(0.4)), posed(large, 0.3, 0.8, arc(0.2))
    assert np.allclose(small[..., :3], big[..., :3])
    assert np.allclose(2 * small[..., 3], big[..., 3])
