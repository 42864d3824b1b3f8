"""Batches of video frames: inputs and targets are different moments of one clip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from dyso import terminal
from dyso.errors import UserError
from dyso.train.config import Config
from dyso.train.data import Arrangement, Batch, arrange_freely

if TYPE_CHECKING:
    from dyso import videos


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Arranged frames of videos, for `dyso.reading.loader`; see `dyso.train.data`.

    Attributes:
      clips: the videos.
      config: the run.
    """

    clips: videos.Clips
    config: Config

    @classmethod
    def open(cls, folder: str | Path, config: Config) -> Clips:
        """Opens clips of `dyso videos ingest`, or a dataset of monocular videos.

        Reads the only split, or `train` of several.

        Raises:
          UserError: the folder is neither, or its videos do not fit the run.
        """
        from dyso import videos

        return cls(clips=videos.open_clips(folder), config=config)

    def __post_init__(self) -> None:
        """Checks that the videos fit the run.

        Raises:
          UserError: they are of another size or too short, or the model needs poses.
        """
        model, training = self.config.model, self.config.training
        if model.target_poses == "given":
            raise UserError(
                "videos: this model needs the cameras' poses, and videos have none; "
                "leave them out, or take a preset such as dyst"
            )
        if self.clips.resolution != model.resolution:
            height, width = model.resolution
            raise UserError(
                f"model.resolution: the videos have "
                f"{terminal.size(*self.clips.resolution)}, the model "
                f"{terminal.size(height, width)}: ingest them with "
                f"--resolution {height} {width}"
            )
        needed = training.inputs + training.targets
        if self.clips.fewest_frames < needed:
            raise UserError(
                f"training.inputs and targets: {needed} frames, and the shortest video "
                f"has {self.clips.fewest_frames}; ingest with --min-frames {needed}"
            )

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: SupportsIndex) -> Batch:
        """Reads a clip, arranged by the seed and the index."""
        index = index.__index__()
        return self.draw(
            index, np.random.default_rng([self.config.training.seed, index])
        )

    def draw(self, index: int, rng: np.random.Generator) -> Batch:
        """Reads only the frames of a clip that `rng` draws."""
        clip, training = self.clips[int(index)], self.config.training
        frames = np.arange(len(clip))
        arrangement = arrange_freely(rng, frames, training.inputs, training.targets)
        return read(clip, arrangement)


def read(clip: videos.Frames, arrangement: Arrangement) -> Batch:
    """Reads a clip's frames; the arrangement is of frames instead of views.

    Each frame has its own camera and dynamics: both are the frame's number.
    """
    chosen = np.concatenate([arrangement.inputs, arrangement.targets])
    colors = clip.decode(chosen.tolist())
    count = len(arrangement.inputs)
    moments = arrangement.targets.astype(np.int32)
    return {
        "inputs": colors[:count],
        "targets": colors[count:],
        "cameras": moments,
        "dynamics": moments,
    }
