"""TAP-Vid: pickles of videos with point tracks, for TAPIR, CoTracker and others.

    <dataset>-<split>-00000.pkl       a dictionary of videos, as TAP-Vid-DAVIS's

A video is one camera of a scene over the dynamics steps, named
`<split>_<scene>_cam_<camera>`; in a video dataset, camera 0 moves and the others are
those held out. It is a dictionary of

    video       uint8 [T, H, W, 3]
    points      float32 [P, T, 2], (x, y) over (width, height): (0, 0) is the corner of
                the first pixel and (1, 1) that of the last
    occluded    bool [P, T], true where the point is hidden or outside the image

The points are drawn from pixels of all frames, half of them on objects.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dyso.export.tracks import require_several_steps, track_points
from dyso.reading import view_of, views_of
from dyso.spec import ResolvedSpec, Spec

ABOUT = "TAP-Vid: pickles of videos with exact point tracks and occlusion"

POINTS = 256
"""The most points of a video."""


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: there is only one dynamics step.
    """
    require_several_steps(spec, "tapvid")


def paths(
    resolved: ResolvedSpec, split: str, shard: int, shards: int
) -> tuple[str, ...]:
    """Returns the path of one shard."""
    return (f"{resolved.spec.name}-{split}-{shard:05d}.pkl",)


def write(
    resolved: ResolvedSpec, scenes: Iterable[Mapping[str, Any]], files: Sequence[Path]
) -> None:
    """Writes one shard."""
    _, cameras = resolved.spec.layout.shape
    videos: dict[str, Any] = {}
    for record in scenes:
        views = views_of(record)
        for camera in range(cameras):
            own = view_of(views, slice(camera, None, cameras))
            tracks = track_points(own, POINTS, (int(record["index"]), camera))
            height, width = own.depth.shape[1:]
            name = f"{record['split']}_{record['scene_name']}_cam_{camera:03}"
            videos[name] = {
                "video": record["color"][camera::cameras],
                "points": (tracks.pixels / [width, height])
                .swapaxes(0, 1)
                .astype(np.float32),
                "occluded": ~tracks.visible.T,
            }
    files[0].write_bytes(pickle.dumps(videos, protocol=4))


def finish(
    resolved: ResolvedSpec, shards: Mapping[str, Sequence[int]], out: Path
) -> None:
    """Does nothing: readers need only the shards."""
