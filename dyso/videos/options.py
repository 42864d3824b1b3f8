"""The options of `dyso videos ingest` that decide what the clips contain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from dyso.spec import UserError

MAX_SIDE = 8192
"""The longest side of a video or clip, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How videos become clips. Videos and options determine every byte of the clips.

    Attributes:
      frames: the most frames of a clip. Each video becomes one clip.
      sample: which frames of a longer video make the clip: those `spread` evenly over
        all of it (DyST, section 4: "we sub-sample a clip of 64 frames"), or the
        `first`.
      resolution: height and width of the frames, in pixels. Videos are cropped about
        their centre to this aspect ratio and then resized.
      fps: frames per second. For each step, the nearest frame is kept. Of videos with
        fewer frames per second, each frame is kept once.
      min_frames: videos with fewer frames are refused. DyST needs 7: training draws
        inputs and targets from different frames.
      validation: the share of the videos in the split `validation`, chosen by a hash of
        their names. Label files override it.
      test: the same for the split `test`.
      clips_per_shard: the most clips in a file. A resumed run starts unfinished files
        from scratch.
    """

    frames: int = 64
    sample: Literal["spread", "first"] = "spread"
    resolution: tuple[int, int] = (128, 128)
    fps: float = 12.0
    min_frames: int = 7
    validation: float = 0.0
    test: float = 0.0
    clips_per_shard: int = 1000

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
          UserError: a value is out of its range.
        """
        _check("resolution", min(self.resolution) >= 8, "8 or more per side")
        _check("resolution", max(self.resolution) <= MAX_SIDE, f"at most {MAX_SIDE}")
        _check("frames", 1 <= self.frames <= 10_000, "1 to 10000")
        _check("sample", self.sample in ("spread", "first"), "spread or first")
        _check("fps", 0 < self.fps < math.inf, "above 0")
        _check("min_frames", 1 <= self.min_frames <= self.frames, "1 to frames")
        _check("clips_per_shard", 1 <= self.clips_per_shard <= 100_000, "1 to 100000")
        shares = (self.validation, self.test)
        _check(
            "validation, test",
            min(shares) >= 0 and sum(shares) <= 1,
            "shares that are at least 0 and at most 1 together",
        )


def _check(name: str, good: bool, expected: str) -> None:
    if not good:
        raise UserError(f"{name}: expected {expected}")
