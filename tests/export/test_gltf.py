"""glTF files, read back by trimesh, and their cameras by glTF's rules."""

import dataclasses
import json
import struct

import numpy as np
import pytest
import trimesh

from dyso import geometry
from dyso.assets.resolve import resolve
from dyso.export import Export, gltf
from dyso.reading import Dataset, box_corner_pixels, box_corners
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, Dynamics, Objects, ProceduralCatalog, Spec, UserError
from helpers.dataset_writer import write_dataset
from helpers.exported_scenes import files

HEIGHT, WIDTH, STEPS, CAMERAS = 24, 32, 2, 3


@pytest.fixture(scope="module")
def data(make_resolved, tmp_path_factory):
    """Procedural objects, of which the records hold the boxes."""

    def boxes(scene):
        views = synthetic_views(scene)
        for number, item in enumerate(scene.objects):
            sides = catalog.sides(catalog.index(item.asset_id))
            views.sizes[number] = np.array(sides) / max(sides) * item.size
        return views

    catalog = ProceduralCatalog(seed=3, count=40)
    resolved = make_resolved(
        splits={"train": 1},
        resolution=(HEIGHT, WIDTH),
        dynamics=Dynamics(steps=STEPS),
        cameras=Cameras(count=CAMERAS),
        objects=Objects(catalog="procedural", count=(3, 3), size=1.0),
    )
    resolved = dataclasses.replace(resolved, objects=catalog)
    folder = tmp_path_factory.mktemp("dataset") / "data"
    return write_dataset(folder, resolved, boxes)


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "out"
    Export.of(data, format="gltf", out=out).run(1, lambda: None)
    return out / "train" / "scene_0"


def tree_of(path):
    """Returns the JSON of a binary glTF file."""
    data = path.read_bytes()
    magic, version, length, size, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    return json.loads(data[20 : 20 + size])


def in_gltf(points):
    """The world with y up."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1)


def test_objects_fill_their_boxes_at_every_step(data, folder):
    record = Dataset(data)["train"][0]
    for step in range(STEPS):
        scene = trimesh.load_scene(folder / f"step_{step:03}.glb")
        for number in range(3):
            pose = geometry.pose_matrix(
                record["objects/positions"][number, step].astype(float),
                record["objects/quaternions"][number, step].astype(float),
            )
            names = [
                name
                for name in scene.graph.nodes_geometry
                if name.startswith(f"object_{number:03}_")
            ]
            points = []
            for name in names:
                matrix, mesh = scene.graph[name]
                vertices = scene.geometry[mesh].vertices
                points.append(vertices @ matrix[:3, :3].T + matrix[:3, 3])
            x, y, z = np.concatenate(points).T
            local = geometry.transform(
                geometry.invert(pose)[None], np.stack([x, -z, y], -1)
            )
            half = record["objects/sizes"][number] / 2
            np.testing.assert_allclose(local.max(0), half, atol=1e-4)
            np.testing.assert_allclose(local.min(0), -half, atol=1e-4)
    materials = [mesh.visual.material for mesh in scene.geometry.values()]
    assert any(material.baseColorTexture is not None for material in materials)


def test_cameras_see_the_boxes_where_the_views_do(data, folder):
    record = Dataset(data)["train"][0]
    pixels, _ = box_corner_pixels(record)
    for step in range(STEPS):
        tree = tree_of(folder / f"step_{step:03}.glb")
        corners = in_gltf(box_corners(record)[:, step])
        nodes = [tree["nodes"][i] for i in tree["scenes"][0]["nodes"]]
        nodes = {node["name"]: node for node in nodes if "camera" in node}
        assert list(nodes) == [f"camera_{i:03}" for i in range(CAMERAS)]
        for camera, node in enumerate(nodes.values()):
            lens = tree["cameras"][node["camera"]]["perspective"]
            inverse = np.linalg.inv(np.reshape(node["matrix"], (4, 4)).T)
            local = corners @ inverse[:3, :3].T + inverse[:3, 3]
            # glTF's cameras look along -z, with y up.
            scale = 1 / np.tan(lens["yfov"] / 2)
            x = local[..., 0] / -local[..., 2] * scale / lens["aspectRatio"]
            y = local[..., 1] / -local[..., 2] * scale
            found = np.stack([(1 + x) * WIDTH / 2, (1 - y) * HEIGHT / 2], -1)
            assert abs(found - pixels[:, step * CAMERAS + camera]).max() < 0.01


def test_it_is_the_same_again(data, folder, tmp_path):
    Export.of(data, format="gltf", out=tmp_path / "out").run(1, lambda: None)
    assert files(tmp_path / "out" / "train" / "scene_0") == files(folder)


def test_starter_objects_have_textures_or_the_scenes_colours(make_resolved, tmp_path):
    spec = Spec(
        name="test",
        splits={"train": 3},
        resolution=(HEIGHT, WIDTH),
        dynamics=Dynamics(steps=1),
        objects=Objects(count=(2, 2), size=1.0),
    )
    resolved = resolve(spec, tmp_path)
    data = write_dataset(tmp_path / "data", resolved, synthetic_views)
    Export.of(data, format="gltf", out=tmp_path / "out").run(1, lambda: None)
    split = Dataset(data)["train"]
    colored = 0
    for index in range(3):
        path = tmp_path / "out" / "train" / f"scene_{index}" / "step_000.glb"
        scene = trimesh.load_scene(path)
        for number, item in enumerate(split.scene(index).objects):
            names = [n for n in scene.geometry if n.startswith(f"mesh_{number:03}")]
            for name in names:
                material = scene.geometry[name].visual.material
                if item.material is None:
                    assert material.baseColorTexture is not None
                else:
                    color = np.mean(item.material.colors, axis=0)
                    found = np.array(material.baseColorFactor[:3]) / 255
                    np.testing.assert_allclose(found, color, atol=0.01)
                    colored += 1
    assert colored
    with pytest.raises(UserError, match="no starter object"):
        gltf._files(resolved, "../objects/teddy")


def test_other_catalogs_are_refused(make_resolved):
    objects = Objects(catalog="shapenet.json")
    with pytest.raises(UserError, match=r"objects\.catalog is shapenet\.json"):
        gltf.check(make_resolved(objects=objects).spec)
