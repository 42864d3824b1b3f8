"""COLMAP: one model per dynamics step, or one for a monocular video.

    step_000/images/cam_000.png
    step_000/sparse/0/*.bin           cameras, images, points3D, and rigs and frames
    step_000/sparse/0/test.txt        names of the held-out cameras' images, if any

The models are readable by `pycolmap.Reconstruction`. Each image has its own PINHOLE
camera; COLMAP's axes and pixel centres are the same as DySO's. The points are evenly
spaced pixels of each image, unprojected by their depth. The track of a point lists all
images that see it, according to `dyso.geometry.visibility_of`. Their reprojection
errors are about 0: the rounding of the cameras to float32.

A video of one moving camera becomes one model, without the folder `step_000`, with the
images `step_000.png`, `step_001.png` ... COLMAP assumes a static scene, so the points
lie on the background only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pycolmap
from jaxtyping import Bool, Float64, UInt8

from dyso import geometry
from dyso.export.cameras import by_step, lens_of, require_several_poses
from dyso.export.images import png
from dyso.reading import MOTION_FIELDS, Split, view_of, views_of
from dyso.spec import Spec

ABOUT = "COLMAP: cameras, images, points with tracks, of each step or of a video"

POINTS = 10_000
"""Candidate points per model, at most; those seen by one image only are dropped."""


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: the scene is seen from one place only.
    """
    require_several_poses(spec, "colmap")


def write(split: Split, index: int, folder: Path) -> None:
    """Writes one scene; see `dyso.export.formats`."""
    spec, fields = split.spec, (*MOTION_FIELDS, "color")
    if spec.cameras.paired:
        names = [f"step_{step:03}.png" for step in range(spec.dynamics.steps)]
        frames, colors = [], []
        for step, record in enumerate(by_step(split, index, fields, first=True)):
            frames.append(view_of(views_of(record, steps=[step]), 0))
            colors.append(record["color"][0])
        video = geometry.View.stack(frames)
        _write_model(folder, names, video, np.stack(colors), static=True)
        return
    held_out = spec.cameras.held_out
    names = [f"cam_{camera:03}.png" for camera in range(spec.cameras.count)]
    for step, record in enumerate(by_step(split, index, fields)):
        step_folder = folder / f"step_{step:03}"
        views = views_of(record, steps=[step] * len(names))
        _write_model(step_folder, names, views, record["color"])
        if held_out:
            text = "\n".join(names[-held_out:]) + "\n"
            (step_folder / "sparse" / "0" / "test.txt").write_text(text)


def _write_model(
    folder: Path,
    names: Sequence[str],
    views: geometry.View,
    color: UInt8[np.ndarray, "C H W 3"],
    static: bool = False,
) -> None:
    (folder / "images").mkdir(parents=True)
    (folder / "sparse" / "0").mkdir(parents=True)
    for name, image in zip(names, color, strict=True):
        (folder / "images" / name).write_bytes(png(image))
    _model(views, color, names, static).write_binary(folder / "sparse" / "0")


def _model(
    views: geometry.View,
    color: UInt8[np.ndarray, "C H W 3"],
    names: Sequence[str],
    static: bool,
) -> pycolmap.Reconstruction:
    points, colors, pixels, seen = _points(views, color, static)
    # The index of each point among the points of each image.
    indices = np.cumsum(seen, axis=1) - 1
    height, width = views.depth.shape[1:]
    model = pycolmap.Reconstruction()
    for camera, name in enumerate(names):
        k, number = views.intrinsics[camera], camera + 1
        model.add_camera_with_trivial_rig(
            pycolmap.Camera(
                model="PINHOLE",
                width=width,
                height=height,
                params=lens_of(k).tolist(),
                camera_id=number,
            )
        )
        model.add_image_with_trivial_frame(
            pycolmap.Image(
                name=name,
                keypoints=pixels[camera, seen[camera]],
                camera_id=number,
                image_id=number,
            ),
            pycolmap.Rigid3d(views.extrinsics[camera]),
        )
    for point, rgb, seen_by, index in zip(
        points, colors, seen.T, indices.T, strict=True
    ):
        track = pycolmap.Track(
            [
                pycolmap.TrackElement(int(camera) + 1, int(index[camera]))
                for camera in np.flatnonzero(seen_by)
            ]
        )
        model.add_point3D(point, track, rgb)
    model.update_point_3d_errors()
    return model


def _points(
    views: geometry.View, color: UInt8[np.ndarray, "C H W 3"], static: bool
) -> tuple[
    Float64[np.ndarray, "P 3"],
    UInt8[np.ndarray, "P 3"],
    Float64[np.ndarray, "C P 2"],
    Bool[np.ndarray, "C P"],
]:
    """Returns points, their colours, their pixels and visibility in each image.

    Args:
      views: the views of the model.
      color: their images.
      static: leaves out points on objects.
    """
    stride = max(1, round((views.depth.size / POINTS) ** 0.5))
    parts = []
    for camera in range(len(color)):
        chosen = np.zeros(views.depth.shape[1:], bool)
        chosen[stride // 2 :: stride, stride // 2 :: stride] = True
        if static:
            chosen &= views.instance[camera] == 0
        rows, columns = np.nonzero(chosen & np.isfinite(views.depth[camera]))
        tracks = geometry.tracks(view_of(views, camera), rows, columns, views)
        parts.append((tracks.points[camera], color[camera, rows, columns], *tracks[1:]))
    points, colors = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    pixels, seen = (np.concatenate([p[i] for p in parts], axis=1) for i in (2, 3))
    shared = seen.sum(0) > 1
    return points[shared], colors[shared], pixels[:, shared], seen[:, shared]
