"""Creatures with skeletons: meshes, skins, gaits, and catalogs that name them."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import trimesh

from dyso import geometry
from dyso.assets import procedural, resolve
from dyso.assets.procedural.draw import Draw
from dyso.assets.procedural.grammars import GRAMMARS
from dyso.assets.procedural.model import Model
from dyso.assets.procedural.rigging import Chain
from dyso.geometry import posed, skinned
from dyso.sampling.gaits import reach
from dyso.spec import Objects, ProceduralCatalog, Spec, parse_resolved, save_resolved
from dyso.spec.procedural import GAITS

CREATURES = tuple(sorted(GAITS))
CATALOG = ProceduralCatalog.of(0, 10**6, CREATURES)


def made(kind, count=3):
    first, step = CREATURES.index(kind), len(CREATURES)
    for number in range(first, first + count * step, step):
        yield number, procedural.make(CATALOG, number)


@pytest.mark.parametrize("kind", CREATURES)
def test_a_creature_fills_its_box_and_its_weights_sum_to_one(kind):
    for number, creature in made(kind):
        asset = CATALOG.asset(number)
        assert asset.category == kind
        assert np.array_equal(
            [creature.vertices.min(0), creature.vertices.max(0)], asset.bounds
        )
        weights, rig = creature.skin.weights, creature.skin.rig
        assert weights.shape == (len(creature.vertices), len(rig.names))
        assert abs(weights.sum(1) - 1).max() < 1e-12 and weights.min() >= 0
        # Every bone moves something, and each has a name of its own.
        assert (weights.max(0) > 0.5).all()
        assert len(set(rig.names)) == len(rig.parents)
        a, b, c = np.moveaxis(creature.vertices[creature.faces], 1, 0)
        sides = np.cross(b - a, c - a)
        assert ((sides[:, None] * creature.normals).sum(-1) > 0).all()
        assert 2000 < len(creature.faces) < 10_000


@pytest.mark.parametrize("kind", CREATURES)
def test_every_part_encloses_a_volume(kind):
    for number in range(CREATURES.index(kind), 15, len(CREATURES)):
        model = Model(CATALOG.sides(number), Draw((1, 0, number), "shape"))
        GRAMMARS[kind](model)
        for part, _ in model.parts:
            mesh = trimesh.Trimesh(part.vertices, part.faces, process=False)
            assert mesh.is_watertight and mesh.is_winding_consistent
            assert mesh.volume > 0


@pytest.mark.parametrize("kind", CREATURES)
def test_a_gait_keeps_to_the_floor_and_within_reach(kind):
    for _, creature in made(kind, 2):
        rig, half = creature.skin.rig, creature.vertices.max(0)
        assert 0.1 < rig.stride < 0.8
        lowest = []
        for phase in np.linspace(0, 1, 7):
            for curvature in (-0.8, 0.5):
                headings = np.array([0.0, curvature])
                path = geometry.Path(start=0.0, spacing=1.0, headings=headings)
                bones = posed(rig, phase, 1.0, path)
                moved = skinned(creature.vertices, creature.skin.weights, bones)
                assert (abs(moved) < reach(half)).all()
                lowest.append(moved[:, 2].min())
        # Some foot, or the belly, is where the floor is at rest; none is below it.
        assert np.allclose(lowest, -half[2], atol=2e-3)


@pytest.mark.parametrize("kind", ["quadruped", "insect", "centipede"])
def test_feet_stay_where_they_stand(kind):
    """The soles of a stance move by no more than what skinning rounds off."""
    for _, creature in made(kind, 1):
        rig, weights = creature.skin.rig, creature.skin.weights
        steps = np.linspace(0, 1, 21)
        walked = np.stack(
            [
                skinned(creature.vertices, weights, posed(rig, phase))
                + phase * rig.stride * np.eye(3)[0]
                for phase in steps
            ]
        )
        for leg in rig.legs:
            cycle = (steps + leg.offset) % 1
            stands = (cycle > 0.01) & (cycle < leg.stance - 0.01)
            # A stance that wraps around is two, a stride apart.
            runs = np.split(np.flatnonzero(stands), np.flatnonzero(
                np.diff(np.flatnonzero(stands)) > 1) + 1)  # fmt: skip
            sole = weights[:, leg.bones[2]] > 0.999
            assert sole.sum() > 3
            for run in runs:
                assert np.ptp(walked[run][:, sole], axis=0).max() < 1e-3


def test_a_snake_glides_along_its_own_track():
    for _, creature in made("snake", 1):
        rig = creature.skin.rig
        joints = rig.joints[:, None]
        middle = []
        for phase in np.linspace(0, 0.5, 11):
            bones = posed(rig, phase)
            at = (bones[:, :, :3] @ joints.swapaxes(1, 2))[..., 0] + bones[..., 3]
            middle.append(at[np.argsort(at[:, 0])] + [phase * rig.stride, 0, 0])
        first = middle[0]
        for later in middle[1:]:
            inside = (later[:, 0] > first[3, 0]) & (later[:, 0] < first[-3, 0])
            track = np.interp(later[inside, 0], first[:, 0], first[:, 1])
            assert inside.sum() > 8
            # Of a wave that is 10 times as high.
            assert abs(later[inside, 1] - track).max() < 0.012
        assert np.ptp(first[:, 1]) > 0.08


def test_a_chain_gives_each_point_to_the_bones_beside_it():
    points = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0]])
    chain = Chain(bones=(4, 7), points=points, blend=0.25)
    places = np.array(
        [[-2.0, 0, 0], [0.5, 0.1, 0], [1, 0, 0], [0.875, 0, 0], [1, 3, 0]]
    )
    share = 0.25**2 * (3 - 2 * 0.25)
    assert np.allclose(
        chain.weights(places), [[1, 0], [1, 0], [0.5, 0.5], [1 - share, share], [0, 1]]
    )


def test_named_categories_make_a_catalog_of_their_own():
    assert ProceduralCatalog.of(1, 9, ("car", "vase")) == ProceduralCatalog(
        seed=1, count=9
    )
    named = ProceduralCatalog.of(1, 9, ("snake", "car", "dragon"))
    assert named.categories() == ("car", "snake")
    assert ProceduralCatalog.parse(named.manifest) == named
    for wrong in ("procedural:1:1:9:dragon", "procedural:1:1:9:"):
        with pytest.raises(ValueError, match="is not a procedural catalog"):
            ProceduralCatalog.parse(wrong)
    assert named.asset(3).id == "snake_0000003" and named.index("snake_0000003") == 3
    # An object is that of its number and category, whatever else there is.
    alone = ProceduralCatalog.of(1, 9, ("snake",))
    assert alone.asset(3) == named.asset(3)
    one, other = (procedural.make(each, 3) for each in (alone, named))
    assert np.array_equal(one.vertices, other.vertices)
    spec = Spec(
        name="a",
        splits={"train": 1},
        objects=Objects(catalog="procedural", categories=("snake",)),
    )
    kept = resolve(spec, Path())
    assert parse_resolved(save_resolved(kept), "spec.json") == kept
    assert kept.identity()["objects"] == [
        {
            "procedural": {
                "generator": 1,
                "seed": 0,
                "count": 1_000_000,
                "categories": ("snake",),
            }
        }
    ]


def test_a_number_always_makes_the_same_creature():
    # If this fails, `dyso.spec.procedural.VERSION` has to rise.
    digest = hashlib.sha256()
    for number in range(2 * len(CREATURES)):
        creature = procedural.make(CATALOG, number)
        bones = posed(creature.skin.rig, 0.3)
        moved = skinned(creature.vertices, creature.skin.weights, bones)
        middle = (np.abs(moved).mean(0) + 1e-9).round(3).tolist()
        asset = CATALOG.asset(number)
        what = (asset.id, asset.bounds, len(creature.faces), creature.families, middle)
        digest.update(repr(what).encode())
    assert digest.hexdigest()[:16] == "3994a59245a522db"
