"""Pictures of ingested videos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dyso.records.clips import Clip
from dyso.visualization.animation import SCENES, SIDE, side_by_side
from dyso.visualization.scenes import FRAMES, MOST, evenly, fitted, tiled
from dyso.visualization.sheets import captioned


def sheet(clips: Sequence[tuple[str, Clip]]) -> Image.Image:
    """Returns an image with a clip in each row: `MOST` evenly spaced frames at most.

    Args:
      clips: each clip's heading, and the clip.

    Raises:
      RecordError: a clip is damaged.
    """
    rows = []
    for heading, clip in clips:
        frames = fitted(clip.decode(evenly(len(clip), MOST)), SIDE)
        rows.append((heading, tiled(frames[None], 2)))
    return captioned(rows)


def walk(clips: Sequence[Clip]) -> list[UInt8[np.ndarray, "H W 3"]]:
    """Returns frames that show at most `SCENES` clips; shorter ones are shown again.

    Raises:
      RecordError: a clip is damaged.
    """
    shown = [
        fitted(clip.decode(evenly(len(clip), FRAMES)), SIDE) for clip in clips[:SCENES]
    ]
    return [
        side_by_side([frames[time % len(frames)] for frames in shown])
        for time in range(max(map(len, shown)))
    ]
