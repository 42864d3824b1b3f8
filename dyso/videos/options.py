"""What a clip is to be."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dyso.spec import UserError

MAX_SIDE = 8192
"""Of videos and of clips, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How videos become clips; together with the videos they decide every byte.

    Attributes:
      frames: most frames of a clip. A video gives one clip, from its beginning: what
        comes after as many frames is left out.
      resolution: height and width of the frames, in pixels. The middle of a video is
        cut to this shape and then resized.
      fps: frames that are kept of each second, those nearest to even steps. Of slower
        videos every frame is kept once.
      min_frames: videos with fewer are refused; a trainer draws its inputs and targets
        from different frames, 7 for DyST.
      validation: share of the videos that go to `validation`, by a hash of their names,
        where there are no label files.
      test: likewise, to `test`.
      clips_per_shard: most clips in a file. A run that is killed does the files anew
        that were not finished.
    """

    frames: int = 64
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
        _check("resolution", min(self.resolution) >= 8, "8 or more a side")
        _check("resolution", max(self.resolution) <= MAX_SIDE, f"at most {MAX_SIDE}")
        _check("frames", 1 <= self.frames <= 10_000, "1 to 10000")
        _check("fps", 0 < self.fps < math.inf, "above 0")
        _check("min_frames", 1 <= self.min_frames <= self.frames, "1 to frames")
        _check("clips_per_shard", 1 <= self.clips_per_shard <= 100_000, "1 to 100000")
        shares = (self.validation, self.test)
        _check("validation, test", min(shares) >= 0 and sum(shares) <= 1, "shares of 1")


def _check(name: str, good: bool, expected: str) -> None:
    if not good:
        raise UserError(f"{name}: expected {expected}")
