"""MVTracker: several cameras' videos with 3D point tracks, as its MV-Kubric.

    <scene>/tracks_3d.npz                   tracks_3d [T, N, 3], metres in the world
    <scene>/tracks_segmentation_ids.npz     tracks_segmentation_ids [N], 0: background
    <scene>/tracked_objects.json            asset ids
    <scene>/cameras.npz                     camera_positions, lookat_positions [C, 3]
    <scene>/view_0/rgba_00000.png
    <scene>/view_0/depth_00000.tiff         float32, metres to the camera's centre
    <scene>/view_0/tracks_2d.npz            tracks_2d [T, N, 2], occlusion [T, N]
    <scene>/view_0/metadata.json            camera and resolution, as Kubric writes them
    <scene>/view_0/object_id_to_segmentation_id.json

`KubricMultiViewDataset(data_root=OUT/<split>)` reads it; the scenes' folders are their
numbers. Cameras are Kubric's: OpenGL axes, poses camera to world, K in units of the
image's sides. Depth beyond 1000 m is invalid to the reader. Occlusion is true where a
point is hidden or outside the image. The points are drawn from pixels of all views,
half of them on objects. The world has no other scale: objects are as large as in the
spec.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from dyso import geometry
from dyso.export.cameras import opengl_pose
from dyso.export.images import float_tiff, png
from dyso.export.soundness import check_record
from dyso.export.tracks import PointTracks, require_several_steps, track_points
from dyso.reading import MOTION_FIELDS, Split, views_of
from dyso.spec import Spec

ABOUT = "MVTracker: several cameras' videos, depth and 3D point tracks, as MV-Kubric"

POINTS = 4096
"""The most points of a scene."""
FAR = 1e10
"""Kubric's depth of what is infinitely far."""
FRAMES, VIEWS = 24, 4
"""Frames and cameras that the reader's default settings need."""
VERY_DYNAMIC = 2.0
"""Metres; by default, a quarter of the reader's points must move farther."""


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: there is only one dynamics step.
    """
    require_several_steps(spec, "mvtracker")


def notes(spec: Spec) -> list[str]:
    """Returns what users of the export must know; see `dyso.export.formats`."""
    steps, cameras = spec.layout.shape
    lines = []
    if steps < FRAMES:
        lines.append(
            f"MVTracker's settings need {FRAMES} steps; this dataset has {steps}: set "
            f"seq_len to {steps} or less"
        )
    if cameras < VIEWS:
        lines.append(
            f"MVTracker's settings need {VIEWS} cameras; this dataset has {cameras}: "
            "set num_views"
        )
    lines.append(
        f"MVTracker skips scenes without points that move {VERY_DYNAMIC:g} m: set "
        "ratio_very_dynamic to 0 for slower objects"
    )
    return lines


def folder_of(split: str, index: int) -> str:
    """Returns the folder of a scene, relative to the export's folder."""
    return f"{split}/{index}"


def write(split: Split, index: int, folder: Path) -> None:
    """Writes one scene; see `dyso.export.formats`."""
    spec = split.spec
    _, cameras = spec.layout.shape
    fields = (*MOTION_FIELDS, "color", "objects/asset_id")
    record = split.read(index, fields=fields)
    check_record(record, spec, spec.views)
    tracks = track_points(views_of(record), POINTS, (index,))
    assets = record["objects/asset_id"].tolist()
    np.savez_compressed(
        folder / "tracks_3d.npz", tracks_3d=tracks.points[::cameras].copy()
    )
    np.savez_compressed(
        folder / "tracks_segmentation_ids.npz", tracks_segmentation_ids=tracks.instance
    )
    _write_json(folder / "tracked_objects.json", assets)
    poses = np.stack([opengl_pose(pose) for pose in record["extrinsics"]])
    first = poses[:cameras, :3]
    np.savez_compressed(
        folder / "cameras.npz",
        camera_positions=first[..., 3],
        lookat_positions=first[..., 3] - first[..., 2],
    )
    for camera in range(cameras):
        view_folder = folder / f"view_{camera}"
        view_folder.mkdir()
        own = slice(camera, None, cameras)
        for step, (color, depth) in enumerate(
            zip(record["color"][own], record["depth"][own], strict=True)
        ):
            alpha = np.full_like(color[..., :1], 255)
            rgba = np.concatenate([color, alpha], axis=-1)
            far = np.where(np.isfinite(depth), depth, FAR).astype(np.float32)
            (view_folder / f"rgba_{step:05}.png").write_bytes(png(rgba))
            (view_folder / f"depth_{step:05}.tiff").write_bytes(float_tiff(far))
        _write_tracks(view_folder / "tracks_2d.npz", tracks, own)
        intrinsics = record["intrinsics"][camera].astype(np.float64)
        metadata = _metadata(spec, intrinsics, poses[own])
        _write_json(view_folder / "metadata.json", metadata)
        _write_json(
            view_folder / "object_id_to_segmentation_id.json",
            {f"{number}": number + 1 for number in range(len(assets))},
        )


def _write_tracks(path: Path, tracks: PointTracks, own: slice) -> None:
    np.savez_compressed(
        path,
        # In float64: the reader compares them with its own projection of that dtype.
        tracks_2d=tracks.pixels[own],
        occlusion=~tracks.visible[own],
    )


def _metadata(
    spec: Spec,
    intrinsics: Float64[np.ndarray, "3 3"],
    poses: Float64[np.ndarray, "T 4 4"],
) -> dict[str, Any]:
    """Returns what the reader takes from Kubric's metadata of a view."""
    height, width = spec.resolution
    sensor = spec.cameras.sensor_width
    matrix = np.diag([1 / width, 1 / height, 1]) @ intrinsics @ np.diag([1, -1, -1])
    quaternions = geometry.quaternion_from_matrix(poses[:, :3, :3])
    return {
        "camera": {
            "K": matrix.tolist(),
            "positions": poses[:, :3, 3].tolist(),
            "quaternions": quaternions.tolist(),
            "sensor_width": sensor,
            "focal_length": float(intrinsics[0, 0]) / width * sensor,
        },
        "metadata": {
            "resolution": [width, height],
            "num_frames": len(poses),
        },
    }


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")
