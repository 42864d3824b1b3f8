"""Recordings, read back by Rerun itself."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import trimesh

from dyso import geometry
from dyso.reading import Dataset, world_vertices
from dyso.records.synthetic import synthetic_views
from dyso.spec import (
    LAYERS,
    Deform,
    Dynamics,
    Layout,
    Objects,
    Render,
    UserError,
)
from dyso.visualization import recording
from dyso.visualization.recording import TIMELINE, shown_cameras, write_recording
from helpers.dataset_writer import write_dataset

pytest.importorskip("rerun")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, make_resolved):
    resolved = make_resolved(
        resolution=(24, 32),
        splits={"train": 3},
        objects=Objects(count=(2, 2)),
    )
    folder = tmp_path_factory.mktemp("recording") / "data"
    return Dataset(write_dataset(folder, resolved, synthetic_views))


class Recording:
    """The contents of an .rrd file, read by Rerun."""

    def __init__(self, path):
        import rerun.dataframe

        self.recording = rerun.dataframe.load_recording(path)
        columns = self.recording.schema().component_columns()
        self.entities = {column.entity_path for column in columns}
        self.static = {c.entity_path for c in columns if c.is_static}

    def get(self, entity, component):
        """Returns a component of an entity by step, as Python values."""
        view = self.recording.view(index=TIMELINE, contents=entity)
        table = view.select(TIMELINE, f"{entity}:{component}").read_all()
        steps, values = (table.column(i).to_pylist() for i in (0, 1))
        return dict(zip(steps, values, strict=True))

    def still(self, entity, component):
        view = self.recording.view(index=TIMELINE, contents=entity)
        return view.select_static(f"{entity}:{component}").read_all().column(0)[0]

    def camera(self, entity, step):
        """Returns K [3, 3] and the pose, camera to world, [3, 4]."""
        k = np.array(self.get(entity, "PinholeProjection")[step][0])
        rotation = np.array(self.get(entity, "TransformMat3x3")[step][0])
        position = np.array(self.get(entity, "Translation3D")[step][0])
        # Rerun's matrices are column by column.
        return k.reshape(3, 3).T, np.c_[rotation.reshape(3, 3).T, position]

    def image(self, entity, step, dtype, shape):
        data = np.array(self.get(entity, "ImageBuffer")[step][0], np.uint8)
        return data.view(dtype).reshape(shape)


@pytest.fixture(scope="module")
def written(dataset, tmp_path_factory):
    path = tmp_path_factory.mktemp("rrd") / "scenes.rrd"
    write_recording(path, dataset, [("train", 1), ("train", 2)])
    assert [own.name for own in path.parent.iterdir()] == ["scenes.rrd"]
    return Recording(path)


def test_every_scene_has_its_cameras_layers_points_objects_and_paths(written):
    for scene in ("/train_1", "/train_2"):
        expected = {scene, f"{scene}/points/color", f"{scene}/points/instance"}
        for camera in range(5):
            own = f"{scene}/cameras/{camera}"
            expected |= {own} | {f"{own}/{name}" for name in recording.IMAGES}
        for i in range(2):
            own = f"{scene}/objects/{i}"
            expected |= {own, f"{own}_path", f"{own}_path/steps"}
        assert expected <= written.entities
        assert f"{scene}/objects/0_path" in written.static
        assert list(written.get(f"{scene}/cameras/3", "Resolution")) == [0, 1, 2, 3, 4]
        assert list(written.get(f"{scene}/points/color", "Position3D")) == [*range(5)]


@pytest.mark.parametrize("step", [0, 3])
def test_a_point_of_the_cloud_lies_on_the_pixel_that_it_comes_from(
    written, dataset, step
):
    record = dataset["train"][2]
    cloud = np.array(written.get("/train_2/points/color", "Position3D")[step])
    colors = written.get("/train_2/points/color", "Color")[step]
    ids = written.get("/train_2/points/instance", "ClassId")[step]
    used = 0
    for camera in range(5):
        entity, view = f"/train_2/cameras/{camera}", step * 5 + camera
        instance = written.image(f"{entity}/instance", step, np.uint8, (24, 32))
        assert np.array_equal(instance, record["instance"][view, ..., 0])
        color = written.image(f"{entity}/color", step, np.uint8, (24, 32, 3))
        assert np.array_equal(color, record["color"][view])
        rows, columns = np.nonzero(instance)
        part = slice(used, used + len(rows))
        k, pose = written.camera(entity, step)
        # By Rerun's convention, in its words: image = K (x, y, z) / z.
        local = (cloud[part] - pose[:, 3]) @ pose[:, :3]
        image = local @ k.T
        pixels = image[:, :2] / image[:, 2:]
        centres = np.stack([columns, rows], axis=-1) + 0.5
        assert np.abs(pixels - centres).max() < 0.01
        # Its depth is along the optical axis; the records' is not.
        depth = written.image(f"{entity}/depth", step, np.float32, (24, 32))
        assert np.allclose(depth[rows, columns], local[:, 2], rtol=1e-5)
        packed = np.array(colors[part], np.uint32)
        assert np.array_equal(packed >> 24, color[rows, columns, 0])
        assert np.array_equal(ids[part], instance[rows, columns])
        used = part.stop
    assert used == len(cloud) > 100


def test_boxes_hold_their_points_and_paths_go_through_them(written, dataset):
    record = dataset["train"][1]
    for step in range(5):
        cloud = np.array(written.get("/train_1/points/instance", "Position3D")[step])
        ids = np.array(written.get("/train_1/points/instance", "ClassId")[step])
        for i in range(2):
            entity = f"/train_1/objects/{i}"
            half = np.array(written.get(entity, "HalfSize3D")[step][0])
            rotation = np.array(written.get(entity, "TransformMat3x3")[step][0])
            centre = np.array(written.get(entity, "Translation3D")[step][0])
            local = (cloud[ids == i + 1] - centre) @ rotation.reshape(3, 3).T
            assert (np.abs(local) <= half + 1e-3).all()
            turned = geometry.quaternion_to_matrix(
                record["objects/quaternions"][i, step]
            )
            assert np.allclose(rotation.reshape(3, 3).T, turned, atol=1e-6)
    path = written.still("/train_1/objects/1_path", "LineStrip3D").as_py()[0]
    assert np.allclose(path, record["objects/positions"][1])


def test_a_video_is_one_moving_camera(videos, tmp_path):
    clips = Dataset(write_dataset(tmp_path / "data", videos, synthetic_views))
    write_recording(tmp_path / "clip.rrd", clips, [("train", 0)])
    found, record = Recording(tmp_path / "clip.rrd"), clips["train"][0]
    assert not any("cameras" in entity for entity in found.entities)
    poses = [found.camera("/train_0/camera", step)[1] for step in range(7)]
    assert np.allclose(poses, geometry.invert(record["extrinsics"]), atol=1e-5)
    for step in range(7):
        frame = found.image("/train_0/camera/color", step, np.uint8, (24, 32, 3))
        assert np.array_equal(frame, record["color"][step])
    path = found.still("/train_0/camera_path", "LineStrip3D").as_py()[0]
    assert np.allclose(path, [pose[:, 3] for pose in poses], atol=1e-5)


def test_nothing_hit_has_no_depth_and_no_points(dataset, tmp_path, make_resolved):
    resolved = make_resolved(
        resolution=(16, 16),
        splits={"train": 1},
        backgrounds=dataclasses.replace(
            make_resolved().spec.backgrounds, backdrop="environment"
        ),
    )
    sky = Dataset(write_dataset(tmp_path / "data", resolved, synthetic_views))
    write_recording(tmp_path / "sky.rrd", sky, [("train", 0)])
    found = Recording(tmp_path / "sky.rrd")
    depth = found.image("/train_0/cameras/0/depth", 0, np.float32, (16, 16))
    instance = found.image("/train_0/cameras/0/instance", 0, np.uint8, (16, 16))
    assert np.array_equal(depth > 0, instance > 0)
    assert (instance == 0).any()


def test_of_very_many_views_as_many_cameras_are_shown_as_fit():
    few = Layout(steps=5, cameras=5, paired=False)
    assert shown_cameras(few, (128, 128)) == (0, 1, 2, 3, 4)
    many = Layout(steps=150, cameras=31, paired=False)
    shown = shown_cameras(many, (128, 128))
    assert 1 < len(shown) < 31
    assert len(shown) * 150 * 128**2 <= recording.MOST_PIXELS
    assert len(shown_cameras(many, (8192, 8192))) == 1
    video = Layout(steps=1000, cameras=1000, paired=True)
    assert len(shown_cameras(video, (128, 128))) == 1000


def test_a_missing_rerun_is_a_one_line_error_with_the_command(
    dataset, tmp_path, monkeypatch
):
    monkeypatch.setitem(__import__("sys").modules, "rerun", None)
    with pytest.raises(UserError, match=r"pip install 'dyso\[view\]'"):
        write_recording(tmp_path / "a.rrd", dataset, [("train", 0)])
    assert list(Path(tmp_path).iterdir()) == []


def test_the_normals_of_a_ball_point_away_from_its_middle():
    ball = trimesh.creation.icosphere(2)
    normals = recording._normals(ball.vertices, ball.faces)
    assert abs(normals - ball.vertices).max() < 0.03


def test_meshes_move_and_tracks_lie_on_them(tmp_path, make_resolved):
    resolved = make_resolved(
        resolution=(24, 32),
        splits={"train": 1},
        dynamics=Dynamics(steps=3, deform=Deform(bend=(60, 60))),
        render=Render(layers=LAYERS),
    )
    data = Dataset(write_dataset(tmp_path / "data", resolved, synthetic_views))
    write_recording(tmp_path / "scene.rrd", data, [("train", 0)])
    written = Recording(tmp_path / "scene.rrd")
    record = data["train"].read(0)
    mesh = "/train_0/objects/0/mesh"
    for step, vertices in enumerate(record["mesh/vertices"]):
        assert np.allclose(written.get(mesh, "Position3D")[step], vertices)
        triangles = np.array(written.get(mesh, "TriangleIndices")[step])
        assert np.array_equal(triangles, record["mesh/faces"])
        normals = np.array(written.get(mesh, "Vector3D")[step])
        assert np.allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-5)
        points = np.array(written.get("/train_0/tracks/points", "Position3D")[step])
        corners = world_vertices(record)[step][record["mesh/faces"]]
        sides = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        sides /= np.linalg.norm(sides, axis=-1, keepdims=True)
        gaps = ((points[:, None] - corners[:, 0]) * sides).sum(-1)
        assert len(points) > 5 and abs(gaps).min(1).max() < 1e-3
    assert "/train_0/tracks" in written.static
