"""Animations of several scenes at once: walks through their views, or videos."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dyso import records
from dyso.visualization.scenes import Sight, fitted, tiled

SIDE = 192
"""Longest side of a view, in pixels."""
SCENES = 8
ACROSS = 4
RATE = 5
"""Views a second of a walk."""
VIDEO_RATE = 10
"""Of videos."""


def walk(sights: Sequence[Sight]) -> list[UInt8[np.ndarray, "H W 3"]]:
    """Gives frames of at most `SCENES` scenes side by side.

    The cameras go along and, at the next dynamics step, back, so that nothing jumps
    but the object. Videos go as they are.
    """
    colors = [fitted(sight.layers["color"], SIDE) for sight in sights[:SCENES]]
    across = min(ACROSS, len(colors))
    rows = -(-len(colors) // across)
    steps, cameras = colors[0].shape[:2]
    blank = np.zeros_like(colors[0][0, 0])
    frames = []
    for step in range(steps):
        order = range(cameras) if step % 2 == 0 else range(cameras)[::-1]
        for camera in order:
            views = [color[step, camera] for color in colors]
            views += [blank] * (rows * across - len(views))
            frames.append(tiled(np.stack(views).reshape(rows, across, *blank.shape), 2))
    return frames


def write_gif(
    path: Path, frames: Sequence[UInt8[np.ndarray, "H W 3"]], rate: int = RATE
) -> None:
    """Writes an animated GIF that repeats for ever, of `rate` frames a second."""
    # One palette for all frames, or colours would flicker.
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
    """Says whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None


def write_mp4(
    path: Path,
    frames: Sequence[UInt8[np.ndarray, "H W 3"]],
    rate: int | Fraction = RATE,
) -> None:
    """Writes an H.264 film that every browser plays; needs PyAV.

    Args:
      path: to write.
      frames: of one size.
      rate: frames a second.
    """
    import av

    height, width = (side + side % 2 for side in frames[0].shape[:2])
    with (
        records.replacing(path) as temporary,
        av.open(str(temporary), "w", format="mp4") as film,
    ):
        stream = film.add_stream("libx264", rate=Fraction(rate))
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18", "threads": "2"}
        for frame in frames:
            missing = (height - frame.shape[0], width - frame.shape[1])
            even = np.pad(
                frame, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge"
            )
            picture = av.VideoFrame.from_ndarray(even, format="rgb24")
            film.mux(stream.encode(picture))
        film.mux(stream.encode())
