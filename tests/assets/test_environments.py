"""Environments made from numbers: what is declared, what is made, and what it costs."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from dyso.assets import manifests, resolve
from dyso.assets.environments import functions, ground, make
from dyso.assets.environments.indoor import INDOOR
from dyso.assets.environments.panorama import EYE, Panorama
from dyso.assets.environments.pieces import Design, Piece
from dyso.assets.environments.room import Room
from dyso.assets.procedural.draw import Draw
from dyso.sampling import sample_scene
from dyso.spec import (
    Backgrounds,
    ProceduralEnvironments,
    ResolvedSpec,
    Spec,
    UserError,
    parse_resolved,
    save_resolved,
)
from dyso.spec.schema import Environments

CATALOG = ProceduralEnvironments(seed=0, count=382)
KINDS = ProceduralEnvironments.KINDS
HEIGHT = 64
# numpy's kernels for newer processors, which it may be told not to use.
FEATURES = "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"


def resolved(splits=None, **backgrounds):
    spec = Spec(
        name="made",
        splits=splits or {"train": 5, "test": 5},
        backgrounds=Backgrounds(catalog="procedural", **backgrounds),
    )
    return resolve(spec, Path())


def white(pixels: np.ndarray) -> float:
    """Returns the luminance of a white card on the floor."""
    polar = (np.arange(len(pixels)) + 0.5) / len(pixels) * np.pi
    weight = (
        np.clip(np.cos(polar), 0, None) * np.sin(polar) * (np.pi / len(pixels)) ** 2
    )
    light = (pixels.astype(float) * weight[:, None, None]).sum((0, 1)) / np.pi
    return float(light @ (0.2126, 0.7152, 0.0722))


@pytest.fixture(scope="module")
def made():
    return [make(CATALOG, number, HEIGHT) for number in range(len(KINDS))]


@pytest.mark.slow
def test_a_panorama_is_lit_as_a_camera_would_expose_it(made):
    for kind, pixels in zip(KINDS, made, strict=True):
        assert pixels.shape == (HEIGHT, 2 * HEIGHT, 3)
        assert pixels.dtype == np.float16
        assert np.isfinite(pixels).all() and pixels.min() >= 0
        assert 0.3 < white(pixels) < 8, kind
        floor = pixels[HEIGHT * 3 // 4 :].astype(float)
        assert 0.01 < floor.mean() < 4, kind
        assert floor.std() / floor.mean() > 0.01, kind


@pytest.mark.slow
def test_most_suns_cast_crisp_shadows():
    outdoor = [n for n in range(18 * 4) if CATALOG.kind(n) in ("meadow", "desert")]
    sharp = 0
    for number in outdoor:
        pixels = make(CATALOG, number, 64).astype(float)
        sky = pixels[:32].mean(-1)
        polar = (np.arange(32) + 0.5) / 64 * np.pi
        light = sky * (np.sin(polar) * np.cos(polar))[:, None]
        # The sun has two or three pixels across at this size.
        sharp += (
            light.ravel()[np.argsort(light.ravel())[-12:]].sum() > 0.5 * light.sum()
        )
    assert sharp >= 0.6 * len(outdoor)


@pytest.mark.slow
def test_environments_differ(made):
    more = [make(CATALOG, number + len(KINDS), HEIGHT) for number in (0, 1, 2)]
    assert len({pixels.tobytes() for pixels in (*made, *more)}) == len(KINDS) + 3
    for first, second in zip(made, more, strict=False):
        a, b = (np.log(1e-3 + p.astype(float)) for p in (first, second))
        assert np.abs(a - b).mean() > 0.2


def test_furniture_stands_on_something_and_in_nothing(monkeypatch):
    rooms: list[Room] = []
    paint = Room.paint

    def kept(room: Room, *arguments) -> None:
        rooms.append(room)
        paint(room, *arguments)

    monkeypatch.setattr(Room, "paint", kept)
    indoor = [n for n in range(18 * 8) if CATALOG.kind(n) in INDOOR]
    for number in indoor:
        _, free = ground(CATALOG, number)
        room = rooms.pop()
        assert free > 5, number
        assert room.pieces, number
        bodies = [*room.solids, *(piece.bounds for piece in room.pieces)]
        for piece in room.pieces:
            body, (w, d, h) = piece.bounds, piece.design.sides
            x, y = (v.ravel() for v in np.meshgrid(*([np.linspace(-0.5, 0.5, 9)] * 2)))
            c, s = np.cos(piece.yaw), np.sin(piece.yaw)
            x, y = piece.x + c * x * w - s * y * d, piece.y + s * x * w + c * y * d
            assert np.abs(x).max() < room.half[0] and np.abs(y).max() < room.half[1]
            supported = piece.base == 0
            for other in bodies:
                if other is body or not other.planes:
                    continue
                inside = (other.beside(x, y, 0.0)[1] < -0.01).any()
                low, high = other.center[2], other.center[2] + other.height
                if inside and abs(high - piece.base) < 1e-6:
                    supported = True
                elif inside:
                    assert low >= piece.base + h or high <= piece.base, number
            assert supported, (number, piece.design.category)


def test_a_piece_is_seen_where_it_stands():
    draw, panorama = Draw((1, 2)), Panorama(512)
    sides = 0.48, 0.5, 0.95
    for x, y, yaw in ((6.0, 0.5, 0.3), (-5.0, 0.0, 2.0), (0.3, -7.0, -1.0)):
        sight = Piece(Design("chair", draw, sides), x, y, yaw).seen(panorama)
        hit = np.isfinite(sight.distance)
        assert hit.sum() > 100
        assert ((sight.share > 0) == hit).all() and sight.share.max() == 1
        places = np.array([sight.rays.x, sight.rays.y, sight.rays.z])[:, hit]
        px, py, pz = places * sight.distance[hit] + np.array([[-x], [-y], [EYE]])
        c, s = np.cos(yaw), np.sin(yaw)
        across, along = c * px + s * py, c * py - s * px
        slack = 2 * panorama.pixel * sight.distance[hit].max()
        for values, low, high in (
            (across, -sides[0] / 2, sides[0] / 2),
            (along, -sides[1] / 2, sides[1] / 2),
            (pz, 0, sides[2]),
        ):
            assert abs(values.min() - low) < slack + 0.1
            assert abs(values.max() - high) < slack + 0.1
            assert values.min() > low - slack and values.max() < high + slack
        # Its back is behind the seat, which it faces away from.
        assert along[pz > 0.7].max() < 0
        facing = (sight.normal.T[:, hit] * places).sum(0)
        assert (facing < 0.05).mean() > 0.95


SCRIPT = """
import hashlib, json, sys
from dyso.assets.environments import make
from dyso.spec import ProceduralEnvironments
catalog = ProceduralEnvironments(seed=3, count=10**6)
print(json.dumps({n: hashlib.sha256(make(catalog, int(n), 48)).hexdigest()
                  for n in sys.argv[1:]}))
"""


@pytest.mark.slow
def test_pixels_are_the_same_in_every_process_on_any_processor():
    chosen = [str(18 * 4 + i) for i in (0, 1, 6, 8, 11, 13)]

    def pixels(order: list[str], threads: str, disabled: str) -> dict:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, threads)
        environment |= {"PYTHONHASHSEED": threads, "NPY_DISABLE_CPU_FEATURES": disabled}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SCRIPT, *order],
            capture_output=True,
            text=True,
            timeout=300,
            env=environment,
            check=True,
        )
        return json.loads(done.stdout)

    first = pixels(chosen, "1", FEATURES)
    assert first == pixels(chosen[::-1], "4", "")
    # If this fails, `dyso.spec.procedural.ENVIRONMENTS_VERSION` has to rise.
    text = " ".join(first[number] for number in chosen)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "4ad70d9a8edba3b4"


def test_elementary_functions_are_accurate():
    angles = np.linspace(-20, 20, 1001)
    sine, cosine = functions.sin_cos(angles)
    assert np.allclose(sine, np.sin(angles), atol=1e-9)
    assert np.allclose(cosine, np.cos(angles), atol=1e-9)
    assert np.allclose(functions.exp(angles), np.exp(angles), rtol=1e-9)
    cosines = np.linspace(-1, 1, 101)
    assert np.allclose(functions.arccos(cosines), np.arccos(cosines), atol=1e-4)


def test_many_environments_are_never_listed():
    few = resolved()
    backgrounds = Backgrounds(
        catalog="procedural", procedural=Environments(environments=10**6)
    )
    tracemalloc.start()
    many = ResolvedSpec(
        spec=dataclasses.replace(few.spec, backgrounds=backgrounds),
        objects=few.objects,
        backgrounds=ProceduralEnvironments(seed=0, count=10**6),
    )
    scene = sample_scene(many, "train", 3)
    parsed = parse_resolved(save_resolved(many), "spec.json")
    # A list of a million environments would take over 100 MB.
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
    assert parsed == many and parsed.hash == many.hash
    assert scene == sample_scene(parsed, "train", 3)
    assert len(save_resolved(many)) < len(save_resolved(resolved())) + 100


def test_the_identity_says_which_environments():
    base = resolved()
    others = [
        resolved(procedural=Environments(seed=1)),
        resolved(procedural=Environments(environments=400)),
        dataclasses.replace(
            base, backgrounds=dataclasses.replace(base.backgrounds, generator=9)
        ),
    ]
    assert len({base.hash, *(each.hash for each in others)}) == 4
    assert base.identity()["backgrounds"] == [
        {"procedural": {"generator": 2, "seed": 0, "count": 382}}
    ]
    old = dataclasses.replace(base.backgrounds, generator=0)
    with pytest.raises(UserError, match=r"backgrounds.catalog: .*with generator 0"):
        manifests(dataclasses.replace(base, backgrounds=old))


def test_splits_and_chosen_environments():
    few = resolved(held_out=0.25, procedural=Environments(environments=40))
    train, test = few.backgrounds_of("train"), few.backgrounds_of("test")
    assert (len(train), len(test)) == (30, 10)
    assert not {a.id for a in train} & {a.id for a in test}
    chosen = resolved(assets=("park_0000001", "beach_0000006"))
    assert {a.id for a in chosen.backgrounds_of("test")} == {
        "park_0000001",
        "beach_0000006",
    }
    with pytest.raises(UserError, match=r"backgrounds.assets: park_0000002: not in"):
        resolved(assets=("park_0000002",))
    spec = Spec(
        name="a",
        splits={"train": 1},
        backgrounds=Backgrounds(procedural=Environments(seed=4)),
    )
    with pytest.raises(UserError, match=r"backgrounds.procedural: is for backgr"):
        resolve(spec, Path())
