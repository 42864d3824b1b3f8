"""Procedural objects: bounds, categories, identity and cost."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import trimesh

from dyso.assets import manifests, procedural, resolve
from dyso.assets.procedural.draw import Draw
from dyso.assets.procedural.grammars import GRAMMARS
from dyso.assets.procedural.materials import FAMILIES, described
from dyso.assets.procedural.model import Model
from dyso.sampling import sample_scene
from dyso.spec import (
    Dynamics,
    Objects,
    ProceduralCatalog,
    ResolvedSpec,
    Spec,
    UserError,
    parse_resolved,
    save_resolved,
)
from dyso.spec.procedural import CATEGORIES
from dyso.spec.schema import Procedural

CATALOG = ProceduralCatalog(seed=0, count=10**6)
KINDS = len(CATEGORIES)


def numbers(category: str, count: int) -> range:
    first = CATEGORIES.index(category)
    return range(first, first + count * KINDS, KINDS)


def resolved(splits=None, dynamics=None, **objects):
    return resolve(
        Spec(
            name="made",
            splits=splits or {"train": 5, "test": 5},
            objects=Objects(catalog="procedural", **objects),
            dynamics=dynamics or Dynamics(steps=1),
        ),
        Path(),
    )


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_mesh_fills_its_declared_box_with_normals_outward(category):
    for number in numbers(category, 3):
        made = procedural.make(CATALOG, number)
        asset = CATALOG.asset(number)
        assert asset.category == category
        assert np.array_equal(
            [made.vertices.min(0), made.vertices.max(0)], asset.bounds
        )
        assert np.ptp(asset.bounds, axis=0).max() == 1
        assert 100 <= len(made.faces) <= 15_000
        a, b, c = np.moveaxis(made.vertices[made.faces], 1, 0)
        sides = np.cross(b - a, c - a)
        assert ((sides[:, None] * made.normals).sum(-1) > 0).all()
        assert np.abs(np.linalg.norm(made.normals, axis=-1) - 1).max() < 1e-3
        assert len(made.uv) == len(made.faces) == len(made.materials)


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_part_encloses_a_volume(category):
    for number in numbers(category, 3):
        model = Model(CATALOG.sides(number), Draw((1, 0, number), "shape"))
        GRAMMARS[category](model)
        for part, _ in model.parts:
            mesh = trimesh.Trimesh(part.vertices, part.faces, process=False)
            assert mesh.is_watertight and mesh.is_winding_consistent
            assert mesh.volume > 0


@pytest.mark.parametrize("category", CATEGORIES)
def test_objects_of_a_category_differ(category):
    made = [procedural.make(CATALOG, number) for number in numbers(category, 6)]
    assert len({each.vertices.tobytes() for each in made}) == 6
    assert len({each.families for each in made}) > 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_material_has_detail_and_varies(family):
    lines, pictures = described("m", FAMILIES[family](Draw((0, 1), "a")))
    _, others = described("m", FAMILIES[family](Draw((0, 2), "a")))
    assert lines[0] == "newmtl m" and "map_Kd m.png" in lines
    assert not np.array_equal(pictures["m.png"], others["m.png"])
    for picture in pictures.values():
        assert picture.dtype == np.uint8 and picture.shape[0] in (256, 512)
    if family not in ("glass", "lamp"):
        assert pictures["m.png"].std((0, 1)).max() > 0.5


SCRIPT = """
import hashlib, json, sys
from dyso.assets import procedural
from dyso.spec import ProceduralCatalog
catalog = ProceduralCatalog(seed=3, count=10**6)
found = {}
for number in map(int, sys.argv[1:]):
    files = procedural.make(catalog, number).files()
    found[number] = {n: hashlib.sha256(b).hexdigest() for n, b in files.items()}
print(json.dumps(found))
"""


def test_files_are_the_same_in_every_process_and_order():
    chosen = [str(999_990 - i) for i in range(KINDS)]

    def made(order: list[str], threads: str) -> dict:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TBB_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, threads)
        environment["PYTHONHASHSEED"] = threads
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *order],
            capture_output=True,
            text=True,
            timeout=300,
            env=environment,
            check=True,
        )
        return json.loads(done.stdout)

    assert made(chosen, "1") == made(chosen[::-1], "4")


def test_a_million_objects_are_never_listed():
    starter = resolved().backgrounds
    tracemalloc.start()
    many = ResolvedSpec(
        spec=Spec(
            name="many",
            splits={"train": 1_000_000, "test": 10},
            objects=Objects(catalog="procedural"),
        ),
        objects=ProceduralCatalog(seed=0, count=10**6),
        backgrounds=starter,
    )
    scenes = [sample_scene(many, "train", i) for i in (0, 999_999)]
    parsed = parse_resolved(save_resolved(many), "spec.json")
    # A list of a million objects would take over 100 MB.
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
    assert parsed.hash == many.hash
    assert parsed == many
    assert scenes[1] == sample_scene(parsed, "train", 999_999)
    assert len(save_resolved(many)) < 10_000


def test_splits_share_no_object_and_choose_categories():
    chosen = ("car", "vase")
    few = resolved(categories=chosen, held_out=0.25, procedural=Procedural(objects=100))
    train, test = few.objects_of("train"), few.objects_of("test")
    everything = [a for a in few.objects.assets if a.category in chosen]
    assert [*train, *test] == everything
    assert len(test) == round(0.25 * len(everything))
    assert set(Counter(a.category for a in test)) == set(chosen)
    for asset in few.objects.assets:
        assert few.may_show("train", asset.id) == (asset in [*train])
        assert few.objects.assets[few.objects.index(asset.id)] == asset
    counts = Counter(asset.category for asset in few.objects.assets)
    assert counts == few.objects.counts()
    for wrong in ("car_0000000", "car_5", "vase_9999999", "car_", "car_-000005"):
        assert not few.may_show("train", wrong)


def test_the_identity_covers_version_seed_and_count():
    base = resolved()
    others = [
        resolved(procedural=Procedural(seed=1)),
        resolved(procedural=Procedural(objects=999)),
        dataclasses.replace(
            base, objects=dataclasses.replace(base.objects, generator=9)
        ),
    ]
    assert len({base.hash, *(each.hash for each in others)}) == 4
    assert base.identity()["objects"] == [
        {"procedural": {"generator": 1, "seed": 0, "count": 1_000_000}}
    ]


def test_objects_rest_upright_and_later_steps_turn():
    made = resolved(dynamics=Dynamics(steps=3), categories=("chair",))
    for index in range(20):
        poses = sample_scene(made, "train", index).objects[0].poses
        assert poses[0].quaternion[1:3] == (0, 0)
        assert poses[1].quaternion[1:3] != (0, 0)
    turns = [
        2 * np.arctan2(q[3], q[0]) % (2 * np.pi)
        for q in (
            sample_scene(made, "train", i).objects[0].poses[0].quaternion
            for i in range(200)
        )
    ]
    assert np.bincount((np.array(turns) / np.pi * 2).astype(int)).min() > 30
    free = resolved(dynamics=Dynamics(steps=1, contact="free"), categories=("chair",))
    assert sample_scene(free, "train", 0).objects[0].poses[0].quaternion[1] != 0


def test_mistakes_are_reported():
    with pytest.raises(UserError, match=r"objects.categories: dragon: not in"):
        resolved(categories=("dragon",))
    spec = Spec(
        name="a", splits={"train": 1}, objects=Objects(procedural=Procedural(seed=4))
    )
    with pytest.raises(UserError, match=r"objects.procedural: is for objects.catalog"):
        resolve(spec, Path())
    base = resolved()
    old = dataclasses.replace(base.objects, generator=0)
    with pytest.raises(UserError, match="begun with generator 0"):
        manifests(dataclasses.replace(base, objects=old))


def test_a_number_always_makes_the_same_object():
    # If this fails, `dyso.spec.procedural.VERSION` has to rise.
    digest = hashlib.sha256()
    for number in range(0, 2 * KINDS * KINDS, KINDS + 1):
        asset = CATALOG.asset(number)
        made = procedural.make(CATALOG, number)
        middle = (np.abs(made.vertices).mean(0) + 1e-9).round(3).tolist()
        what = (asset.id, asset.bounds, len(made.faces), made.families, middle)
        digest.update(repr(what).encode())
    assert digest.hexdigest()[:16] == "7bde18b935103934"
