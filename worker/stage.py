"""Renders a Scene to Views, through a Kubric scene."""

from __future__ import annotations

import collections
import math
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import kubric as kb
import numpy as np
from kubric.utils import next_global_count

from dyso import geometry
from dyso.render import Device, Views
from dyso.render.views import OPTIONAL
from dyso.sampling.scene import Camera, Pose, Scene

from . import backdrop, device, materials, meshes, passes, shadows, view_transform
from .assets import Assets
from .bodies import REST, Body, Playing, Posing, refine, scene_bones, scene_mesh
from .empty_view import FloorDetail, empty_view
from .ground import floor_detail, pixel_size
from .placement import true_poses
from .renderer import CyclesView

# If path traced pixels differ from looked-up ones by more than this share of their
# value along an edge, the whole view is path traced; smaller differences are blended.
SEAM = 0.1

# Turns OpenCV's camera axes into Blender's: half a turn about x.
_HALF_TURN = np.array([0.0, 1.0, 0.0, 0.0])


class Stage:
    """Renders scenes, one after another, from two catalogs."""

    def __init__(
        self, objects: str, backgrounds: str, scratch: Path, renders_with: Device
    ):
        """Reads the manifests.

        Args:
          objects: the object manifest's path or URL.
          backgrounds: the HDRI manifest's.
          scratch: a private folder for rendered images.
          renders_with: what Cycles renders with.
        """
        self._scratch, self._device = scratch, renders_with
        # Kubric's lock is a multiprocessing lock, which needs a writable /dev/shm.
        next_global_count.counter = collections.defaultdict(int)
        next_global_count.lock = threading.Lock()
        self._objects = Assets.open(objects)
        self._backgrounds = Assets.open(backgrounds)

    def render(
        self, scene: Scene, before_view: Callable[[int], None] = lambda views: None
    ) -> Views:
        """Renders all views of a scene.

        Args:
          scene: what to render.
          before_view: called before each view with the number of finished views; it may
            raise to stop.

        Raises:
          AssetError: an asset is missing or cannot be used.
          UnseenError: physics moves the objects out of sight.
        """
        self._objects.release()
        self._backgrounds.release()
        clock = _Clock()
        with clock("stage"):
            height, width = scene.resolution
            kubric_scene = kb.Scene(resolution=(width, height))
            view = CyclesView(kubric_scene, scene.render, self._scratch)
            rendered_by = device.select(self._device)
            pixels, detail, lights = self._surround(scene, view)
            items, bodies = self._place(scene, kubric_scene, view)
            camera = kb.PerspectiveCamera()
            kubric_scene += camera
            kubric_scene.camera = camera
        with clock("contact"):
            files = self._scratch / "physics"
            positions, quaternions = true_poses(scene, bodies, files)
            shutil.rmtree(files, ignore_errors=True)
        layout = scene.layout
        layers = _empty_layers(scene)
        finished_views = 0
        poses = geometry.pose_matrix(positions, quaternions)
        for c, seen_by in enumerate(scene.cameras):
            matrices = camera_matrices(seen_by, scene.resolution)
            _aim(camera, seen_by)
            with clock("plates"):
                empty = empty_view(
                    *matrices, scene.resolution, scene.background, pixels, detail
                )
            for step in layout.steps_of(c):
                before_view(finished_views)
                finished_views += 1
                index = layout.view(step, c)
                _move(items, positions[:, step], quaternions[:, step])
                pose = poses[:, step]
                with clock("passes"):
                    object_meshes = [body.show(step) for body in bodies]
                    seen = passes.cast(empty, object_meshes, pose)
                seed, gap = scene.render_seed + index, math.inf
                if scene.render.shortcut:
                    with clock("plates"):
                        shades = shadows.shade(
                            empty, seen.instance, object_meshes, pose, lights
                        )
                    with clock("render"):
                        traced = view.radiance(shades.window, seed)
                    with clock("plates"):
                        image, gap = shadows.compose(
                            empty, shades, traced, seen.instance
                        )
                if gap > SEAM:
                    with clock("render"):
                        everywhere = shadows.Window.whole(height, width)
                        image = shadows.over(
                            view.radiance(everywhere, seed), empty.plate
                        )
                with clock("display"):
                    color = view_transform.display(
                        image, view.blender_scene, self._scratch
                    )
                    rendered = vars(seen) | {"color": color}
                for name, images in layers.items():
                    images[index] = rendered[name]
        categories = np.array([0, *(o.category_id for o in scene.objects)], np.uint8)
        layers["category"] = categories[layers["instance"]]

        shaped: dict[str, Any] = dict.fromkeys(OPTIONAL) | {
            name: images.reshape(*layout.shape, *images.shape[1:])
            for name, images in layers.items()
        }
        if "surface" in layers:
            shaped |= scene_mesh(bodies, scene.steps)
            if not scene.articulated:
                del shaped["mesh_part"]
        if scene.skeletal:
            shaped |= scene_bones(bodies, scene.steps)
        return Views(
            **shaped,
            positions=positions,
            quaternions=quaternions,
            sizes=np.array([body.rest.sizes for body in bodies]),
            timings=clock.seconds,
            versions={
                "bpy": bpy.app.version_string,
                "device": rendered_by,
                "kubric": kb.__version__,
            },
        )

    def close(self) -> None:
        """Releases the assets."""
        self._objects.release()
        self._backgrounds.release()

    def _surround(
        self, scene: Scene, view: CyclesView
    ) -> tuple[np.ndarray, FloorDetail | None, shadows.Lights]:
        """Sets light, exposure and floor.

        Returns:
          The HDRI's pixels, the floor's detail, and the HDRI's lights.
        """
        background = scene.background
        texture = self._backgrounds.create(background.asset_id)
        image, pixels = backdrop.load_hdri(background.asset_id, texture.filename)
        light = backdrop.light(pixels, background.rotation)
        backdrop.set_world(light, view.blender_scene.world)
        irradiance = backdrop.floor_irradiance(light)
        view.blender_scene.view_settings.exposure = view_transform.exposure(
            irradiance, scene.render.auto_exposure
        )
        detail = None
        if background.backdrop == "dome":
            if background.ground_seed is not None:
                detail = floor_detail(
                    background,
                    pixels,
                    self._backgrounds.ground(background.asset_id),
                    pixel_size(scene.cameras, scene.resolution[1]),
                )
            backdrop.add_floor(background, image, irradiance, detail)
        return pixels, detail, shadows.floor_lights(light)

    def _place(
        self, scene: Scene, kubric_scene: kb.Scene, view: CyclesView
    ) -> tuple[list[kb.FileBasedObject], list[Body]]:
        items, bodies = [], []
        for number, described in enumerate(scene.objects, start=1):
            # Of a file whose clip or joints the scene moves.
            numbered = described.plays or (
                described.has_skeleton and not self._objects.makes
            )
            item = self._objects.create(
                described.asset_id, animated=numbered, name=f"object_{number}"
            )
            kubric_scene += item
            blender_object = item.linked_objects[view]
            deforms = described.changes_shape
            posing: Posing | Playing | None = None
            if numbered:
                animated = self._objects.animated(described.asset_id)
                numbers = meshes.put_in_rest(blender_object, animated)
            if described.deformation is not None and described.gait is None:
                refine(blender_object, described.asset_id)
            mesh = meshes.normalize(blender_object, described.asset_id, described.size)
            if described.plays:
                posing = Playing.of(described, animated, numbers, mesh)
            elif numbered:
                posing = Posing.of_parts(described, animated.parts()[numbers])
            elif described.has_skeleton:
                made = self._objects.made(described.asset_id)
                posing = Posing.of(described, made, mesh)
            if described.material is not None:
                materials.apply(
                    described.material,
                    blender_object,
                    described.size,
                    REST if deforms else None,
                )
            items.append(item)
            bodies.append(Body(blender_object, mesh, described.deformation, posing))
        return items, bodies


def _empty_layers(scene: Scene) -> dict[str, np.ndarray]:
    """Returns empty arrays [V, H, W, ...] for the layers of `Views`, except category.

    Only the layers that `Views` needs: there may be thousands of views.
    """
    pixels = (scene.layout.views, *scene.resolution)
    kinds: dict[str, tuple[tuple[int, ...], type]] = {
        "color": ((*pixels, 3), np.uint8),
        "depth": (pixels, np.float32),
        "instance": (pixels, np.uint8),
        "normal": ((*pixels, 3), np.float32),
        "object_coordinates": ((*pixels, 3), np.float32),
        "surface": (pixels, np.int32),
    }
    return {
        name: np.empty(shape, dtype)
        for name, (shape, dtype) in kinds.items()
        if name in scene.render.layers
    }


def camera_matrices(
    camera: Camera, resolution: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns intrinsics [3, 3] and extrinsics [3, 4] of a sampled camera."""
    intrinsics = geometry.intrinsics(
        camera.focal_length, camera.sensor_width, *resolution
    )
    return intrinsics, geometry.invert(_matrix(camera.pose))


def _matrix(pose: Pose) -> np.ndarray:
    return geometry.pose_matrix(np.array(pose.position), np.array(pose.quaternion))


def _move(
    items: list[kb.FileBasedObject], positions: np.ndarray, quaternions: np.ndarray
) -> None:
    for item, position, quaternion in zip(items, positions, quaternions, strict=True):
        item.position, item.quaternion = position, quaternion


def _aim(camera: kb.PerspectiveCamera, described: Camera) -> None:
    camera.position = described.pose.position
    camera.quaternion = geometry.quaternion_multiply(
        np.array(described.pose.quaternion), _HALF_TURN
    )
    camera.focal_length = described.focal_length * 1000
    camera.sensor_width = described.sensor_width * 1000


class _Clock:
    """Adds up seconds by stage, and the process's core-seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start, cpu = time.monotonic(), sum(os.times()[:2])
        yield
        for key, spent in (
            (stage, time.monotonic() - start),
            ("cpu", sum(os.times()[:2]) - cpu),
        ):
            self.seconds[key] = self.seconds.get(key, 0.0) + spent
