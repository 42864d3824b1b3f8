"""Files of one rendered scene: PNG, OpenEXR or NPZ, with its poses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dyso import geometry
from dyso.records.fields import surface_digits
from dyso.render import Views
from dyso.sampling.scene import Scene
from dyso.spec import LAYERS, UserError
from dyso.srgb import to_linear

MILLIMETRES = 65535
"""The largest depth of a 16-bit PNG, in millimetres; 0 is farther or infinite."""


def write_scene(folder: Path, scene: Scene, views: Views, form: str) -> list[Path]:
    """Writes a scene's views, scene.json and poses.json; returns the files' paths.

    - `png`: one folder per layer. Depth is 16 bit, in millimetres; a component n of a
      normal is stored as 128 + 127 n, an object coordinate c as 255 c, a surface as in
      records. The meshes are in `npz` alone.
    - `exr`: one float32 file per view. R, G and B are the display values made linear,
      as viewers expect; Z is the Euclidean distance in metres; other layers are stored
      unchanged.
    - `npz`: one file, views.npz. The leading axes of layers are [dynamics, camera], or
      [dynamics, 1] if cameras are paired.

    Args:
      folder: an existing folder.
      scene: the scene that was rendered.
      views: the rendered views.
      form: `png`, `exr` or `npz`.

    Raises:
      UserError: the format's library is not installed.
      OSError: a file cannot be written.
    """
    written = list(_WRITERS[form](folder, scene, views))
    poses = {name: array.tolist() for name, array in _cameras_and_poses(scene, views)}
    for name, text in (
        ("scene.json", scene.to_json()),
        ("poses.json", json.dumps(poses)),
    ):
        (folder / name).write_text(text + "\n", encoding="utf-8")
        written.append(folder / name)
    return written


def _cameras_and_poses(scene: Scene, views: Views) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the cameras and poses, under the names that records use."""
    cameras = scene.cameras
    yield (
        "intrinsics",
        geometry.intrinsics(
            np.array([camera.focal_length for camera in cameras]),
            np.array([camera.sensor_width for camera in cameras]),
            *scene.resolution,
        ),
    )
    to_world = geometry.pose_matrix(
        np.array([camera.pose.position for camera in cameras]),
        np.array([camera.pose.quaternion for camera in cameras]),
    )
    yield "extrinsics", geometry.invert(to_world)
    yield "positions", views.positions
    yield "quaternions", views.quaternions
    yield "sizes", views.sizes


def _each(scene: Scene, views: Views) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yields each view's name and layers; the names sort as the views."""
    arrays = views.arrays()
    pairs = scene.layout.pairs
    steps, cameras = (
        max(2, len(str(max(numbers)))) for numbers in zip(*pairs, strict=True)
    )
    for at, (step, camera) in zip(np.ndindex(scene.layout.shape), pairs, strict=True):
        layers = {name: arrays[name][at] for name in LAYERS if name in arrays}
        yield f"step{step:0{steps}}_camera{camera:0{cameras}}", layers


def _write_png(folder: Path, scene: Scene, views: Views) -> Iterator[Path]:
    for name, layers in _each(scene, views):
        for layer, values in layers.items():
            path = folder / layer / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(_as_png(layer, values)).save(path)
            yield path


def _as_png(layer: str, values: np.ndarray) -> np.ndarray:
    if layer == "depth":
        rounded = np.rint(np.where(np.isfinite(values), values, 0) * 1000)
        return np.where(rounded <= MILLIMETRES, rounded, 0).astype(np.uint16)
    if layer == "normal":
        return (np.rint(values * 127) + 128).astype(np.uint8)
    if layer == "object_coordinates":
        return np.rint(values * 255).astype(np.uint8)
    if layer == "surface":
        return surface_digits(values)
    return values


def _write_exr(folder: Path, scene: Scene, views: Views) -> Iterator[Path]:
    try:
        import OpenEXR
    except ImportError as error:
        raise UserError(
            "format exr needs OpenEXR: run `pip install OpenEXR`, or use npz"
        ) from error
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    for name, layers in _each(scene, views):
        path = folder / f"{name}.exr"
        OpenEXR.File(header, _channels(layers)).write(str(path))
        yield path


def _channels(layers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    channels = {
        "RGB": to_linear(layers["color"] / 255).astype(np.float32),
        "Z": layers["depth"],
    }
    for layer in ("instance", "category", "surface"):
        if layer in layers:
            channels[layer] = layers[layer].astype(np.uint32)
    for layer in ("normal", "object_coordinates"):
        if layer in layers:
            for i, axis in enumerate("XYZ"):
                channels[f"{layer}.{axis}"] = layers[layer][..., i].copy()
    return channels


def _write_npz(folder: Path, scene: Scene, views: Views) -> Iterator[Path]:
    arrays: dict[str, Any] = dict(_cameras_and_poses(scene, views)) | views.arrays()
    path = folder / "views.npz"
    np.savez_compressed(path, **arrays)
    yield path


_WRITERS: dict[str, Callable[[Path, Scene, Views], Iterator[Path]]] = {
    "png": _write_png,
    "exr": _write_exr,
    "npz": _write_npz,
}
