"""Animations of several scenes side by side: through their views, or as videos."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dyso import records
from dyso.visualization.scenes import SceneView, fitted, tiled

SIDE = 192
"""Longest side of a view, in pixels."""
SCENES = 8
"""The most scenes in an animation."""
ACROSS = 4
"""The most scenes in a row."""
RATE = 5
"""Views per second."""
VIDEO_RATE = 10
"""Frames per second of videos."""


def walk(scenes: Sequence[SceneView]) -> list[UInt8[np.ndarray, "H W 3"]]:
    """Returns frames that show at most `SCENES` scenes side by side.

    The order of the cameras is reversed at every other dynamics step, so that the
    camera does not jump between steps. Videos are shown frame by frame.
    """
    colors = [fitted(scene.layers["color"], SIDE) for scene in scenes[:SCENES]]
    steps, cameras = colors[0].shape[:2]
    frames = []
    for step in range(steps):
        order = range(cameras) if step % 2 == 0 else range(cameras)[::-1]
        for camera in order:
            frames.append(side_by_side([color[step, camera] for color in colors]))
    return frames


def side_by_side(
    views: Sequence[UInt8[np.ndarray, "h w 3"]],
) -> UInt8[np.ndarray, "H W 3"]:
    """Returns images of one size as one, `ACROSS` in a row, the last filled up."""
    across = min(ACROSS, len(views))
    blanks = [np.zeros_like(views[0])] * (-len(views) % across)
    return tiled(np.stack([*views, *blanks]).reshape(-1, across, *views[0].shape), 2)


def write_gif(
    path: Path, frames: Sequence[UInt8[np.ndarray, "H W 3"]], rate: int = RATE
) -> None:
    """Writes an endless animated GIF with `rate` frames per second."""
    # One palette for all frames avoids flickering colours.
    palette = Image.fromarray(np.concatenate(frames[:: max(1, len(frames) // 8)]))
    palette = palette.quantize(256, method=Image.Quantize.MEDIANCUT)
    images = [
        Image.fromarray(frame).quantize(
            palette=palette, dither=Image.Dither.FLOYDSTEINBERG
        )
        for frame in frames
    ]
    with records.replacing(path) as temporary:
        images[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=1000 // rate,
            loop=0,
        )


def can_write_mp4() -> bool:
    """Returns whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None


def write_mp4(
    path: Path,
    frames: Sequence[UInt8[np.ndarray, "H W 3"]],
    rate: int | Fraction = RATE,
) -> None:
    """Writes an H.264 video that every browser plays; needs PyAV.

    Args:
      path: the file to write.
      frames: frames of equal size.
      rate: frames per second.
    """
    import av

    height, width = (side + side % 2 for side in frames[0].shape[:2])
    with (
        records.replacing(path) as temporary,
        av.open(str(temporary), "w", format="mp4") as video,
    ):
        stream = video.add_stream("libx264", rate=Fraction(rate))
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18", "threads": "2"}
        for frame in frames:
            padding = (height - frame.shape[0], width - frame.shape[1])
            even = np.pad(
                frame, ((0, padding[0]), (0, padding[1]), (0, 0)), mode="edge"
            )
            picture = av.VideoFrame.from_ndarray(even, format="rgb24")
            video.mux(stream.encode(picture))
        video.mux(stream.encode())
