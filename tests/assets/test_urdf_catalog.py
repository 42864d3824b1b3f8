"""Catalogs of URDF robots: PyBullet's own, whose kinematics it computes itself."""

import io
import json
from pathlib import Path

import numpy as np
import pybullet
import pybullet_data
import pytest
import trimesh
from PIL import Image

from dyso import geometry
from dyso.assets.manifest import read_catalog
from dyso.sampling.articulation import part_poses
from dyso.sampling.scene import Articulation
from dyso.spec import Asset, UserError
from dyso.worker.convert import Converted
from dyso.worker.convert_urdf import convert_urdf
from dyso.worker.errors import AssetError

DATA = Path(pybullet_data.getDataPath())
ROBOTS = ["kuka_iiwa/model", "pr2_gripper", "r2d2", "xarm/xarm6_with_gripper"]


def converted(name: str) -> Converted:
    return convert_urdf("it", DATA / f"{name}.urdf", DATA)


def entry(made: Converted, **change) -> dict:
    metadata = {"category": "robot", **made.metadata, **change}
    return {
        "asset_type": "FileBasedObject",
        "kwargs": made.kwargs,
        "metadata": metadata,
    }


def asset_of(folder: Path, described: dict) -> Asset:
    path = folder / "manifest.json"
    path.write_text(json.dumps({"name": "it", "assets": {"it": described}}))
    [asset] = read_catalog(str(path), "FileBasedObject").assets
    return asset


@pytest.fixture
def client():
    number = pybullet.connect(pybullet.DIRECT)
    yield number
    pybullet.disconnect(number)


@pytest.mark.parametrize("name", ROBOTS)
def test_parts_are_where_pybullet_has_the_links(
    name: str, client: int, tmp_path: Path
) -> None:
    joints = asset_of(tmp_path, entry(converted(name))).joints
    pybullet.setAdditionalSearchPath(str(DATA), client)
    robot = pybullet.loadURDF(
        str(DATA / f"{name}.urdf"), useFixedBase=True, physicsClientId=client
    )
    links, moving = {}, {}
    for number in range(pybullet.getNumJoints(robot, client)):
        info = pybullet.getJointInfo(robot, number, client)
        links[info[12].decode()] = number
        if info[2] != pybullet.JOINT_FIXED:
            moving[info[12].decode()] = number
    assert {joint.name for joint in joints} <= {*moving}
    assert len(joints) > 1

    def frames(values: np.ndarray) -> np.ndarray:
        """The links' frames [J, 4, 4] in that of the root link."""
        for joint, value in zip(joints, values, strict=True):
            pybullet.resetJointState(robot, moving[joint.name], value, 0, client)
        place, turn = pybullet.getBasePositionAndOrientation(robot, client)
        inner = pybullet.getDynamicsInfo(robot, -1, client)[3:5]
        root = pybullet.multiplyTransforms(
            place, turn, *pybullet.invertTransform(*inner)
        )
        back = pybullet.invertTransform(*root)
        found = []
        for joint in joints:
            state = pybullet.getLinkState(
                robot, links[joint.name], 0, True, physicsClientId=client
            )
            place, turn = pybullet.multiplyTransforms(*back, *state[4:6])
            matrix = np.eye(4)
            matrix[:3, :3] = np.array(pybullet.getMatrixFromQuaternion(turn)).reshape(
                3, 3
            )
            matrix[:3, 3] = place
            found.append(matrix)
        return np.array(found)

    rest = frames(np.zeros(len(joints)))
    rng = np.random.default_rng(0)
    low, high = np.array([joint.limits for joint in joints]).T
    for _ in range(3):
        values = rng.uniform(low, high)
        moved = part_poses(Articulation(joints=joints, values=(tuple(values),)))[0, 1:]
        expected = frames(values) @ np.linalg.inv(rest)
        assert abs(moved - expected[:, :3]).max() < 1e-5
    assert abs(expected - np.eye(4)).max() > 0.05


@pytest.mark.parametrize("name", ROBOTS)
def test_parts_have_their_boxes_and_the_whole_its_bounds(
    name: str, tmp_path: Path
) -> None:
    made = converted(name)
    asset = asset_of(tmp_path, entry(made))
    data = io.BytesIO(made.files["visual_geometry.glb"])
    scene = trimesh.load_scene(data, file_type="glb")
    boxes: dict[int, list[np.ndarray]] = {}
    for node in scene.graph.nodes_geometry:
        matrix, key = scene.graph[node]
        points = geometry.transform(matrix[:3], scene.geometry[key].vertices)
        part = int(node.removeprefix("part_").partition(".")[0])
        boxes.setdefault(part, []).append(points @ [[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    whole = np.concatenate([points for each in boxes.values() for points in each])
    assert np.allclose(asset.bounds, [whole.min(0), whole.max(0)], atol=1e-6)
    for number, joint in enumerate(asset.joints, start=1):
        if number in boxes:
            points = np.concatenate(boxes[number])
            assert np.allclose(joint.bounds, [points.min(0), points.max(0)], atol=1e-6)
    assert max(boxes) <= len(asset.joints)


def test_textures_and_colours_are_kept() -> None:
    scene = trimesh.load_scene(
        io.BytesIO(converted("r2d2").files["visual_geometry.glb"]), file_type="glb"
    )
    colors = {
        tuple(each.visual.material.main_color[:3]) for each in scene.geometry.values()
    }
    assert len(colors) > 2
    laikago = converted("laikago/laikago").files["visual_geometry.glb"]
    scene = trimesh.load_scene(io.BytesIO(laikago), file_type="glb")
    images = [each.visual.material.baseColorTexture for each in scene.geometry.values()]
    assert all(image is not None for image in images)
    assert len(laikago) < 5e6  # each picture once


LINK = (
    '<link name="{}"><visual><geometry><box size="1 2 3"/></geometry></visual></link>'
)
TWO = LINK.format("a") + LINK.format("b")
JOINT = (
    '<joint name="j" type="{}"><parent link="{}"/><child link="{}"/>'
    '<axis xyz="{}"/><limit lower="-1" upper="1"/></joint>'
)


def robot(*parts: str) -> str:
    return f"<robot name='r'>{''.join(parts)}</robot>"


def shape(text: str) -> str:
    return robot(f'<link name="a"><visual><geometry>{text}</geometry></visual></link>')


DAMAGED = {
    "empty": ("", "no element found"),
    "open": ("<robot>", "no element found"),
    "entity": ('<!DOCTYPE r [<!ENTITY a "aa">]><robot>&a;</robot>', "a document type"),
    "other": ("<sdf/>", "it is a 'sdf', not a robot"),
    "no_link": (robot(), "it has 0 links without a parent"),
    "two_roots": (robot(TWO), "it has 2 links without a parent"),
    "same_names": (robot(LINK.format("a") * 2), "two links have the same name"),
    "cycle": (
        robot(
            TWO,
            LINK.format("c"),
            JOINT.format("fixed", "a", "b", "1 0 0"),
            JOINT.format("fixed", "b", "a", "1 0 0"),
        ),
        "its joints form a cycle",
    ),
    "two_parents": (
        robot(TWO, JOINT.format("fixed", "a", "b", "1 0 0") * 2),
        "link 'b' has two parents",
    ),
    "no_child": (
        robot(TWO, JOINT.format("fixed", "a", "x", "1 0 0")),
        "joint 'j' is of links that do not exist",
    ),
    "type": (
        robot(TWO, JOINT.format("ball", "a", "b", "1 0 0")),
        "joint 'j' is of the type 'ball'",
    ),
    "axis": (
        robot(TWO, JOINT.format("revolute", "a", "b", "0 0 0")),
        "joint 'j' has an axis of length 0",
    ),
    "axis_nan": (
        robot(TWO, JOINT.format("revolute", "a", "b", "nan 0 0")),
        "expected 3 numbers, got 'nan 0 0'",
    ),
    "outside": (
        shape('<mesh filename="../../../etc/passwd.obj"/>'),
        "there is no file '../../../etc/passwd.obj'",
    ),
    "format": (shape('<mesh filename="a.dae"/>'), "'a.dae' is not OBJ or STL"),
    "torn": (shape('<mesh filename="torn.stl"/>'), "'torn.stl' has no faces"),
    "shape": (shape("<cone/>"), "a visual is a 'cone'"),
    "point": (shape('<sphere radius="0"/>'), "shows nothing"),
    "many": (
        robot(
            LINK.format("l0"),
            *(
                LINK.format(f"l{i}")
                + JOINT.format("revolute", f"l{i - 1}", f"l{i}", "1 0 0")
                for i in range(1, 256)
            ),
        ),
        "has 255 joints, at most 254",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_robot_has_one_clear_line(tmp_path: Path, name: str) -> None:
    text, expected = DAMAGED[name]
    (tmp_path / "torn.stl").write_bytes(b"\xff" * 90)
    path = tmp_path / "it.urdf"
    path.write_text(text)
    with pytest.raises(AssetError) as caught:
        convert_urdf("it", path, tmp_path)
    message = str(caught.value)
    assert message.startswith("it: ") and "\n" not in message
    assert expected in message


def test_links_that_show_nothing_are_no_parts(tmp_path: Path) -> None:
    path = tmp_path / "it.urdf"
    path.write_text(
        robot(
            TWO,
            '<link name="frame"/><link name="end"/>',
            JOINT.format("revolute", "a", "frame", "0 0 1"),
            JOINT.format("continuous", "frame", "b", "0 2 0"),
            JOINT.format("revolute", "b", "end", "0 0 1"),
        )
    )
    joints = convert_urdf("it", path, tmp_path).metadata["joints"]
    assert [joint["name"] for joint in joints] == ["frame", "b"]
    assert joints[1]["limits"] == [-np.pi, np.pi]
    assert np.allclose(joints[1]["axis"], [0, 0, -1])  # y, with y up
    assert "joints" not in converted("duck_vhacd").metadata


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"type": "ball"}, "a joint must be revolute or prismatic"),
        ({"parent": 1}, "a joint's parent must be an earlier part"),
        ({"axis": [1, 1, 0]}, "a joint's axis must have length 1"),
        ({"origin": [1, 1]}, "a joint's origin must be 3 numbers"),
        ({"limits": [1, 1]}, "a joint's limits must be in order"),
        ({"name": 3}, "a joint's name must be text"),
    ],
)
def test_bad_joints_in_a_manifest_have_one_line(
    tmp_path: Path, change: dict, expected: str
) -> None:
    made = converted("pr2_gripper")
    first, *others = made.metadata["joints"]
    described = entry(made, joints=[first | change, *others])
    with pytest.raises(UserError, match=expected):
        asset_of(tmp_path, described)
    with pytest.raises(UserError, match="joints must be a list of at most 254"):
        asset_of(tmp_path, entry(made, joints=[first] * 255))


def picture(form: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 10, 10)).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "shown"),
    [
        ("a.png", picture("PNG"), True),
        ("a.bmp", picture("BMP"), True),
        ("a.png", picture("PNG")[:-30], False),
        ("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", False),
        ("../a.png", None, False),
    ],
)
def test_textures_are_pictures_of_the_folder(
    tmp_path: Path, name: str, data: bytes | None, shown: bool
) -> None:
    folder = tmp_path / "robot"
    folder.mkdir()
    (tmp_path / "a.png").write_bytes(picture("PNG"))
    if data is not None:
        (folder / name).write_bytes(data)
    (folder / "m.mtl").write_text(f"newmtl m\nKd 1 1 1\nmap_Kd {name}\n")
    (folder / "m.obj").write_text(
        "mtllib m.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 0 1 0\n"
        "vt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n"
    )
    path = folder / "it.urdf"
    path.write_text(shape('<mesh filename="m.obj"/>'))
    made = convert_urdf("it", path, folder).files["visual_geometry.glb"]
    scene = trimesh.load_scene(io.BytesIO(made), file_type="glb")
    [mesh] = scene.geometry.values()
    image = mesh.visual.material.baseColorTexture
    assert (image is not None) == shown
    if shown:
        assert image.convert("RGB").getpixel((3, 3)) == (200, 10, 10)
