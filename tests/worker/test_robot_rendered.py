"""A URDF robot whose joints move, from a real render."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pybullet_data
import pytest

from dyso import records
from dyso.assets import resolve
from dyso.assets.converting import convert
from dyso.assets.items import list_urdfs
from dyso.reading import parts, world_vertices
from dyso.render import Renderer
from dyso.sampling import sample_scene
from dyso.spec import Articulate, Dynamics, Objects, ResolvedSpec
from dyso.validation import agreement
from dyso.validation.meshes import mesh_faults

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def robots(starter: ResolvedSpec, tmp_path_factory) -> ResolvedSpec:
    source = tmp_path_factory.mktemp("robots")
    data = Path(pybullet_data.getDataPath())
    shutil.copy(data / "pr2_gripper.urdf", source)
    for mesh in data.glob("l_finger*.stl"):
        shutil.copy(mesh, source)
    made = convert(
        list_urdfs(source, license="", author=""),
        tmp_path_factory.mktemp("catalog"),
        name="robots",
        options={},
        workers=1,
    )
    assert made.jointed == 1
    spec = dataclasses.replace(
        starter.spec,
        resolution=(64, 64),
        objects=Objects(catalog=str(made.manifest), held_out=0.0),
        dynamics=Dynamics(
            motion="smooth", steps=3, articulate=Articulate(change=(0.8, 1.0))
        ),
    )
    return resolve(spec, Path())


def test_a_robot_moves_its_parts(robots: ResolvedSpec) -> None:
    scene = sample_scene(robots, "train", 0)
    with Renderer(
        objects=robots.objects.manifest,
        backgrounds=robots.backgrounds.manifest,
        timeout=120,
    ) as worker:
        record = records.decode(records.encode(scene, worker.render(scene)))
    [item] = scene.objects
    # Two fingers turn; their tips are fixed to them.
    assert record["joints/name"].tolist() == ["left_gripper", "right_gripper"]
    assert {*record["mesh/part"].tolist()} == {0, 1, 2}
    # Also compares the vertices with the poses of the parts.
    assert list(mesh_faults(record, scene, robots.objects)) == []
    shapes = record["mesh/vertices"]
    assert abs(shapes - shapes[0]).max() > 0.05 * item.size
    lowest = world_vertices(record)[..., 2].min(1)
    assert np.allclose(lowest, 0, atol=1e-4 * item.size)
    assert {*np.unique(parts(record))} >= {0, 1, 2, 3}
    proof = agreement(record)
    assert not len(proof.failed()) and proof.share() > 0.99
    joints = list(item.articulation.joints)
    joints[0] = dataclasses.replace(joints[0], limits=(-9.0, 9.0))
    articulation = dataclasses.replace(item.articulation, joints=tuple(joints))
    other = dataclasses.replace(item, articulation=articulation)
    wrong = mesh_faults(
        record, dataclasses.replace(scene, objects=(other,)), robots.objects
    )
    assert next(wrong) == "scene: the joints of object 0 are not those of its catalog"
