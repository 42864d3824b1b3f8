"""Stock Kubric's Blender view on today's bpy, and the reference that is made with it.

`render.py` starts it as a separate process, `python benchmarks/stock.py JOB`, pinned to
one CPU. Kubric's view is unchanged; `_shim` adds what newer bpy versions lack. The
stage is built with the worker's own parts. Therefore light, meshes, materials and
colour management are equal, and only the rendering differs.
"""

import hashlib
import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import bpy
import dome
import kubric as kb
import numpy as np
from kubric.file_io import read_png
from kubric.renderer import blender_utils
from kubric.renderer.blender import Blender

from dyso import geometry
from dyso.sampling import Camera, Scene
from dyso.worker import backdrop, materials, meshes, view_transform
from dyso.worker.assets import Assets
from dyso.worker.bodies import Body
from dyso.worker.placement import true_poses

BOX_PADDING = 4  # pixels
PROBE_SAMPLES = 4


def main(job: dict[str, Any], progress: TextIO) -> None:
    """Renders the job's scenes, as a row or as the reference."""
    _shim()
    scenes = [Scene.from_json(json.dumps(scene)) for scene in job["scenes"]]
    scratch, out = Path(job["scratch"]), Path(job["out"])
    scratch.mkdir()
    catalogs = tuple(Assets.open(job[key]) for key in ("objects", "hdris"))
    folders = []
    if "one_by_one" in job:
        return _one_by_one(scenes, catalogs, scratch, job, progress)
    for i, scene in enumerate(scenes):
        stage = _Stage(scene, catalogs, scratch / f"scene-{i}", job)
        if "cache" in job:
            folders.append(str(_reference(stage, job, progress)))
        else:
            np.save(out / f"color-{i}.npy", stage.view.render()["rgba"][..., :3])
        shutil.rmtree(stage.scratch, ignore_errors=True)
    (out / "report.json").write_text(json.dumps({"folders": folders}))


def _one_by_one(
    scenes: list[Scene],
    catalogs: tuple,
    scratch: Path,
    job: dict[str, Any],
    progress: TextIO,
) -> None:
    """Renders the scenes whose numbers are read, and writes what each costs.

    The cost is in core-seconds: of setting up the scene, with its assets in the cache,
    of the first of the job's views, and of all others.
    """
    objects, hdris = catalogs
    first, *others = job["one_by_one"]
    # Cycles loads its kernels with the first picture, which is a part of the start.
    _Stage(scenes[0], catalogs, scratch / "start", job).view.render(frames=[first])
    for line in sys.stdin:
        scene = scenes[int(line)]
        hdris.prefetch(scene.background.asset_id)
        for item in scene.objects:
            objects.prefetch(item.asset_id)
        times = [sum(os.times()[:4])]
        stage = _Stage(scene, catalogs, scratch / line.strip(), job)
        times.append(sum(os.times()[:4]))
        for frames in ([first], others):
            stage.view.render(frames=frames)
            times.append(sum(os.times()[:4]))
        shutil.rmtree(stage.scratch, ignore_errors=True)
        print(json.dumps(np.diff(times).tolist()), file=progress, flush=True)


class _Stage:
    """A scene in stock Kubric's view; frame = view index."""

    def __init__(self, scene: Scene, catalogs: tuple, scratch: Path, job: dict):
        self.described, self.scratch = scene, scratch
        steps, cameras = scene.steps, len(scene.cameras)
        height, width = scene.resolution
        self.scene = kb.Scene(
            resolution=(width, height), frame_start=0, frame_end=steps * cameras - 1
        )
        self.view = Blender(
            self.scene,
            scratch_dir=scratch,
            adaptive_sampling=False,
            use_denoising=job["denoise"],
            samples_per_pixel=job["samples"],
        )
        blender = self.view.blender_scene
        blender.view_settings.view_transform = scene.render.view_transform
        blender.render.dither_intensity = 0.0
        self._surround(catalogs[1])
        items, self.bodies = self._place(catalogs[0])
        self.poses = true_poses(scene, self.bodies, scratch / "physics")
        camera = kb.PerspectiveCamera()
        self.scene += camera
        self.scene.camera = camera
        positions, quaternions = self.poses
        for frame in range(steps * cameras):
            step, c = divmod(frame, cameras)
            _aim(camera, scene.cameras[c])
            for key in ("position", "quaternion", "focal_length"):
                camera.keyframe_insert(key, frame)
            for i, item in enumerate(items):
                item.position, item.quaternion = (
                    positions[i, step],
                    quaternions[i, step],
                )
                item.keyframe_insert("position", frame)
                item.keyframe_insert("quaternion", frame)

    def _surround(self, hdris: Assets) -> None:
        background = self.described.background
        path = hdris.create(background.asset_id).filename
        image, pixels = backdrop.load_hdri(background.asset_id, path)
        rotation = (0.0, 0.0, background.rotation)
        self.view._set_ambient_light_hdri(path, rotation)
        self.view._set_background_hdri(path, rotation)
        irradiance = backdrop.floor_irradiance(pixels)
        self.view.blender_scene.view_settings.exposure = view_transform.exposure(
            irradiance, self.described.render.auto_exposure
        )
        if background.backdrop == "dome":
            dome.add(background, image, irradiance)

    def _place(self, objects: Assets) -> tuple[list, list[Body]]:
        items, bodies = [], []
        for number, described in enumerate(self.described.objects, start=1):
            item = objects.create(described.asset_id, name=f"object_{number}")
            self.scene += item
            target = item.linked_objects[self.view]
            mesh = meshes.normalize(target, described.asset_id, described.size)
            if described.material is not None:
                materials.apply(described.material, target, described.size)
            items.append(item)
            bodies.append(Body(target, mesh, None))
        return items, bodies

    def boxes(self) -> np.ndarray:
        """Returns each view's padded box [V, 4] around the objects: y0, y1, x0, x1."""
        poses = geometry.pose_matrix(*self.poses)
        return np.array(
            [
                self._box(camera, poses[:, step])
                for step in range(self.described.steps)
                for camera in self.described.cameras
            ]
        )

    def _box(self, camera: Camera, poses: np.ndarray) -> list[int]:
        height, width = self.described.resolution
        points = np.concatenate(
            [
                geometry.transform(pose, body.rest.points)
                for body, pose in zip(self.bodies, poses, strict=True)
            ]
        )
        intrinsics = geometry.intrinsics(
            camera.focal_length, camera.sensor_width, height, width
        )
        to_world = geometry.pose_matrix(
            np.array(camera.pose.position), np.array(camera.pose.quaternion)
        )
        pixels, _, z = geometry.project(points, intrinsics, geometry.invert(to_world))
        if z.min() <= 0:
            return [0, height, 0, width]
        x0, y0 = np.floor(pixels.min(0)).astype(int) - BOX_PADDING
        x1, y1 = np.ceil(pixels.max(0)).astype(int) + BOX_PADDING
        y0, y1 = np.clip([y0, y1], 0, height).tolist()
        x0, x1 = np.clip([x0, x1], 0, width).tolist()
        return [y0, y1, x0, x1]


def _aim(camera: kb.PerspectiveCamera, described: Camera) -> None:
    camera.position = described.pose.position
    # Half a turn about x: from OpenCV's axes to Blender's.
    camera.quaternion = geometry.quaternion_multiply(
        np.array(described.pose.quaternion), np.array([0.0, 1.0, 0.0, 0.0])
    )
    camera.focal_length = described.focal_length * 1000
    camera.sensor_width = described.sensor_width * 1000


def _reference(stage: _Stage, job: dict[str, Any], progress: TextIO) -> Path:
    """Renders this process's share of a scene's missing views; returns their folder.

    Whole frames of plain path tracing with stock Kubric's light transport, 16 bits a
    channel. The folder's name is a hash of the scene, the samples, bpy's version and a
    probe: the first view at a few samples. Cycles repeats itself to the bit, so that
    the probe tells whether anything that makes the stage has changed.
    """
    blender = stage.view.blender_scene
    blender.view_layers.remove(blender.view_layers["AuxOutputs"])
    blender.use_nodes = False
    blender.render.use_persistent_data = True
    settings = blender.render.image_settings
    settings.file_format, settings.color_mode = "PNG", "RGB"
    settings.color_depth, settings.compression = "16", 0
    described = asdict(stage.described)
    for key in ("dataset", "spec_hash", "split", "index", "attempt", "render_seed"):
        del described[key]
    described["render"] = [stage.described.render.auto_exposure, bpy.app.version_string]
    made_by = json.dumps([described, job["samples"]], sort_keys=True).encode()
    seed = int(hashlib.sha256(made_by).hexdigest()[:7], 16)
    probe = _frame(stage, 0, PROBE_SAMPLES, seed)
    key = hashlib.sha256(made_by + probe.tobytes()).hexdigest()[:16]
    folder = Path(job["cache"]) / key
    folder.mkdir(parents=True, exist_ok=True)
    mine, of = job["share"]
    if mine == 0:
        _save(folder / "boxes.npy", stage.boxes())
    for view in job["views"][mine::of]:
        path = folder / f"view-{view:02d}.npy"
        if not path.exists():
            _save(path, _frame(stage, view, job["samples"], seed + 1 + view))
            print(f"reference: {path}", file=progress, flush=True)
    return folder


def _frame(stage: _Stage, view: int, samples: int, seed: int) -> np.ndarray:
    """Renders one view; returns uint16 [H, W, 3]."""
    blender = stage.view.blender_scene
    blender.cycles.samples, blender.cycles.seed = samples, seed
    path = stage.scratch / "frame.png"
    blender.render.filepath = str(path)
    blender.frame_set(view)
    bpy.ops.render.render(write_still=True)
    return read_png(path)


def _save(path: Path, array: np.ndarray) -> None:
    part = path.with_name(f".{path.stem}-{os.getpid()}.npy")
    np.save(part, array)
    part.rename(path)


def _shim() -> None:
    """Adds the three things to bpy 4.5 that Kubric's view expects."""

    class ImportObj(bpy.types.Operator):
        bl_idname = "import_scene.obj"
        bl_label = "Import OBJ"
        filepath: bpy.props.StringProperty()
        use_split_objects: bpy.props.BoolProperty()
        axis_forward: bpy.props.StringProperty(default="-Z")
        axis_up: bpy.props.StringProperty(default="Y")

        def execute(self, context: bpy.types.Context) -> set[str]:
            return bpy.ops.wm.obj_import(
                filepath=self.filepath,
                use_split_objects=self.use_split_objects,
                forward_axis=self.axis_forward.replace("-", "NEGATIVE_"),
                up_axis=self.axis_up.replace("-", "NEGATIVE_"),
            )

    bpy.utils.register_class(ImportObj)
    bpy.types.Mesh.use_auto_smooth = bpy.props.BoolProperty()
    read = blender_utils.read_channels_from_exr

    def read_channels(exr: Any, names: list[str]) -> np.ndarray:
        there = {name.lower(): name for name in exr.header()["channels"]}
        return read(exr, [there[name.lower()] for name in names])

    blender_utils.read_channels_from_exr = read_channels


if __name__ == "__main__":
    # Standard output is for progress; Blender's own chatter goes to stderr.
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    main(json.loads(Path(sys.argv[1]).read_text()), said)
