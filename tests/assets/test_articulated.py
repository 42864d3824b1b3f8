"""Procedural objects with joints: boxes, parts, identity, and what stays as it is."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import trimesh

from dyso import geometry
from dyso.assets import procedural, resolve
from dyso.sampling import Articulation
from dyso.sampling.articulation import part_poses, posed
from dyso.spec import (
    REQUIRED_LAYERS,
    Articulate,
    Dynamics,
    Objects,
    ProceduralCatalog,
    Render,
    Spec,
    SpecError,
    parse_resolved,
    save_resolved,
)
from dyso.spec.articulated import JOINTED
from dyso.spec.schema import Procedural

KINDS = JOINTED
CATALOG = ProceduralCatalog.of(0, 10**6, KINDS)
SAMPLE = range(5 * len(KINDS))


def resolved(**objects):
    return resolve(
        Spec(
            name="made",
            splits={"train": 5, "test": 5},
            objects=Objects(
                **{"catalog": "procedural", "categories": KINDS, **objects}
            ),
            dynamics=Dynamics(steps=2, articulate=Articulate(change=(0.5, 1.0))),
            render=Render(layers=(*REQUIRED_LAYERS, "surface")),
        ),
        Path(),
    )


@pytest.mark.parametrize("number", SAMPLE)
def test_an_object_fills_its_box_without_being_stretched(number):
    """Stretching would move the joints, and make round wheels oval."""
    model = procedural.model_of(CATALOG, number)
    points = np.concatenate([part.vertices for part, _ in model.parts])
    half = np.array([model.w, model.d, model.h]) / 2
    up = np.array([0, 0, half[2]])
    assert points.min(0) - up == pytest.approx(-half, abs=2e-6)
    assert points.max(0) - up == pytest.approx(half, abs=2e-6)
    made, asset = model.made(), CATALOG.asset(number)
    assert np.array_equal([made.vertices.min(0), made.vertices.max(0)], asset.bounds)
    assert np.ptp(asset.bounds, axis=0).max() == 1
    assert 100 <= len(made.faces) <= 15_000
    for part, _ in model.parts:
        assert trimesh.Trimesh(part.vertices, part.faces, process=False).volume > 0


@pytest.mark.parametrize("number", SAMPLE)
def test_every_joint_moves_a_part_that_is_in_its_box(number):
    made, asset = procedural.make(CATALOG, number), CATALOG.asset(number)
    bodies = made.bodies[made.faces]
    assert (bodies == bodies[:, :1]).all()
    assert set(made.bodies) == set(range(len(asset.joints) + 1))
    for body, joint in enumerate(asset.joints, start=1):
        points = made.vertices[made.bodies == body]
        assert (points >= np.array(joint.bounds[0]) - 2e-6).all()
        assert (points <= np.array(joint.bounds[1]) + 2e-6).all()
        assert joint.limits[0] <= 0 <= joint.limits[1]
        assert joint.limits[0] < joint.limits[1]


def moved(number, **values):
    """Returns an object's vertices by part, with joints of some names at values."""
    made, joints = procedural.make(CATALOG, number), CATALOG.asset(number).joints
    at = tuple(values.get(joint.name, 0.0) for joint in joints)
    poses = part_poses(Articulation(joints=joints, values=(at,)))[0]
    points = posed(made.vertices, made.bodies, poses)
    return [
        (name, made.vertices[made.bodies == body], points[made.bodies == body])
        for body, name in enumerate(["base", *(joint.name for joint in joints)])
    ]


def test_wheels_turn_in_place():
    for number in (1, 7, 13):
        wheels = [each for each in moved(number, wheels=0.7) if each[0] == "wheels"]
        assert len(wheels) == 2
        for _, rest, turned in wheels:
            # A turned wheel is round, and still touches the floor.
            assert turned.min(0) == pytest.approx(rest.min(0), abs=5e-3)
            assert turned.max(0) == pytest.approx(rest.max(0), abs=5e-3)
            assert np.linalg.norm(turned - rest, axis=-1).max() > 0.05


def test_scissors_open_at_both_ends():
    number = KINDS.index("scissors")
    _, (_, rest, turned) = moved(number, blade=0.6)
    tip, ring = rest[:, 0] > 0.45, rest[:, 0] < -0.4
    assert turned[tip, 1].min() > rest[tip, 1].max() + 0.1
    assert turned[ring, 1].max() < rest[ring, 1].max() - 0.05
    assert np.array_equal(turned[:, 2], rest[:, 2])


def test_neighbouring_links_stay_linked():
    number = KINDS.index("chain")
    design = CATALOG.design(number)
    parts = moved(number, link=0.4)
    centres = np.array([points.mean(0) for _, _, points in parts])
    links = design.counts["links"]
    order = sorted(range(links), key=lambda i: (i + 1) // 2 * (1 if i % 2 else -1))
    gaps = np.linalg.norm(np.diff(centres[order], axis=0), axis=-1)
    pitch, half = design.lengths["pitch"], design.lengths["link"] / 2
    assert (gaps < pitch + 1e-6).all() and (gaps > pitch - half).all()


def test_an_arm_carries_the_head():
    number = KINDS.index("desk_lamp")
    base, post, _, _, head = moved(number, post=np.pi / 2)
    assert np.array_equal(base[1], base[2])
    [joint] = [j for j in CATALOG.asset(number).joints if j.name == "post"]
    turn = geometry.quaternion_from_axis_angle(np.array(joint.axis), np.pi / 2)
    matrix = geometry.quaternion_to_matrix(turn)
    for _, rest, turned in (post, head):
        origin = np.array(joint.origin)
        assert np.allclose(turned - origin, (rest - origin) @ matrix.T)


def test_the_objects_stay_what_they_are():
    # If this fails, `dyso.spec.procedural.VERSION` has to rise.
    digest = hashlib.sha256()
    for number in range(len(KINDS)):
        made = procedural.make(CATALOG, number)
        digest.update(np.round(made.vertices, 4).tobytes() + made.faces.tobytes())
        digest.update(repr(made.families).encode() + made.bodies.tobytes())
        joints = map(dataclasses.asdict, CATALOG.asset(number).joints)
        digest.update(json.dumps([*joints]).encode())
    assert digest.hexdigest()[:16] == "bff6ccf1ad5def03"


def test_the_catalog_is_part_of_the_identity_and_read_back():
    dataset = resolved()
    assert dataset.objects == CATALOG
    [values] = dataset.identity()["objects"]
    assert values["procedural"]["categories"] == KINDS
    read = parse_resolved(save_resolved(dataset), "spec.json")
    assert read == dataset and read.hash == dataset.hash
    others = [
        resolved(procedural=Procedural(seed=1)),
        resolved(procedural=Procedural(objects=9)),
        resolved(categories=("cart", "chain")),
    ]
    assert len({each.hash for each in [dataset, *others]}) == 4


def test_they_may_stand_among_others():
    mixed = resolved(categories=("cart", "chair", "quadruped"))
    assets = mixed.objects_of("train")[:6]
    assert [asset.category for asset in assets[:3]] == ["cart", "chair", "quadruped"]
    assert [bool(asset.joints) for asset in assets[:3]] == [True, False, False]


def test_other_catalogs_have_none():
    plain = ProceduralCatalog(seed=0, count=100)
    assert not plain.jointed and not set(KINDS) & set(plain.categories())
    assert not any(plain.asset(number).joints for number in range(34))


def test_joints_need_objects_that_have_some():
    spec = dataclasses.replace(resolved().spec, objects=Objects(catalog="procedural"))
    with pytest.raises(
        SpecError, match=r"dynamics\.articulate: moves joints, but none"
    ):
        resolve(spec, Path())
