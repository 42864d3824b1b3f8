"""TAPVid-3D: a file of each camera's video with 3D point tracks.

    cam_000.npz
      images_jpeg_bytes   [T], the frames as encoded images: PNG, without loss
      tracks_XYZ          float32 [T, P, 3], metres in the camera's frame at each step
      visibility          bool [T, P], in the image and not hidden
      queries_xyt         float32 [P, 3], pixel (x, y) and frame where it is visible
      fx_fy_cx_cy         float32 [4], pixels
      extrinsics_w2c      float32 [T, 4, 4], world to camera

The camera's axes are OpenCV's: x right, y down, z forward. A pixel is (fx X / Z + cx,
fy Y / Z + cy); the first pixel's centre is (0.5, 0.5). In a video, camera 0 moves and
the others are those held out. The points are drawn from pixels of all frames, half of
them on objects.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dyso import geometry
from dyso.export.cameras import lens_of, require_one_focal_length, square
from dyso.export.images import png
from dyso.export.soundness import check_record
from dyso.export.tracks import require_several_steps, track_points
from dyso.reading import MOTION_FIELDS, Split, views_of
from dyso.spec import Spec

ABOUT = "TAPVid-3D: npz of each camera's video with exact 3D point tracks"

POINTS = 256
"""The most points of a video."""


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: there is only one dynamics step, or the moving camera may zoom by its
        focal length.
    """
    require_several_steps(spec, "tapvid3d")
    if spec.cameras.paired:
        require_one_focal_length(spec, "tapvid3d")


def write(split: Split, index: int, folder: Path) -> None:
    """Writes one scene; see `dyso.export.formats`."""
    steps, cameras = split.spec.layout.shape
    for camera in range(cameras):
        numbers = range(camera, steps * cameras, cameras)
        record = split.read(index, fields=(*MOTION_FIELDS, "color"), views=numbers)
        check_record(record, split.spec, steps)
        views = views_of(record, steps=range(steps))
        tracks = track_points(views, POINTS, (index, camera))
        local = geometry.transform(views.extrinsics[:, None], tracks.points)
        each = np.arange(len(tracks.source))
        np.savez_compressed(
            folder / f"cam_{camera:03}.npz",
            images_jpeg_bytes=np.array([png(image) for image in record["color"]]),
            tracks_XYZ=local.astype(np.float32),
            visibility=tracks.visible,
            queries_xyt=np.concatenate(
                [tracks.pixels[tracks.source, each], tracks.source[:, None]], axis=-1
            ).astype(np.float32),
            fx_fy_cx_cy=lens_of(views.intrinsics[0]).astype(np.float32),
            extrinsics_w2c=np.stack([square(e) for e in views.extrinsics]).astype(
                np.float32
            ),
        )
