"""Decodes videos with frozen or transferred latents (DyST, section 4.3)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from dyso.images import DAMAGED, open_image
from dyso.spec import UserError
from dyso.train import labels
from dyso.train.latent_sources import halves
from dyso.train.predict import Predictor
from dyso.videos.options import Options

Latent = Literal["camera", "dynamics"]
Latents = dict[str, Float[np.ndarray, "_ _"]]
"""A video's latents [frames, size], by name."""
Frames = UInt8[np.ndarray, "F H W 3"]

_AT_ONCE = 4


def read_frames(
    path: Path, resolution: tuple[int, int], limit: int
) -> tuple[Frames, Fraction]:
    """Reads the start of a video, 12 frames a second, as `dyso videos ingest` does.

    Args:
      path: a video, or a still picture, which is read as a video of one frame.
      resolution: height and width.
      limit: the largest number of frames to read.

    Returns:
      The frames, and their number per second.

    Raises:
      UserError: the file is not a video.
    """
    from dyso.videos.decoding import VideoError
    from dyso.videos.decoding import read_frames as read

    options = Options(frames=limit, sample="first", resolution=resolution, min_frames=1)
    try:
        try:
            timed = read(path, options)
        except VideoError as error:
            if error.reason != "format":
                raise
            timed = [(0.0, _still(path, resolution))]
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: not a video or picture of a known format") from error
    except (VideoError, *DAMAGED) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read as a video: {reason}") from error
    apart = np.diff([time for time, _ in timed])
    rate = 1 / float(np.median(apart)) if len(apart) else options.fps
    frames = np.stack([np.asarray(image.convert("RGB")) for _, image in timed])
    return frames, Fraction(rate).limit_denominator(1000)


def _still(path: Path, resolution: tuple[int, int]) -> Image.Image:
    height, width = resolution
    with open_image(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    return ImageOps.fit(upright, (width, height))


class Video:
    """A video with the scene representation and latents that a model estimates.

    The model's input views are evenly spaced frames; of three, the first, middle and
    last frame.

    Attributes:
      frames: the video's frames.
      latents: each frame's latents, by name.
    """

    def __init__(self, predictor: Predictor, frames: Frames):
        """Encodes the inputs and estimates all frames' latents.

        Raises:
          UserError: the model has no latents.
        """
        config = predictor.config
        if not config.model.latents:
            raise UserError(
                "the model takes poses, which videos do not have; use a model with "
                "latents, such as `dyst`"
            )
        self._predictor, self.frames = predictor, frames
        chosen = np.linspace(0, len(frames) - 1, config.training.inputs)
        self._scene = predictor.encode(frames[None, chosen.round().astype(int)])
        right = False if config.model.estimator_half else None
        self.latents: Latents = _portions(
            {"frames": frames},
            lambda part: {
                name: np.asarray(values[0])
                for name, values in predictor.estimate(
                    part["frames"], self._scene, halves(part["frames"], right)
                ).items()
            },
        )

    def decode(self, latents: Latents) -> Frames:
        """Returns frames of this video's scene, decoded with any video's latents."""
        images = _portions(
            latents, lambda part: {"": self._predictor.decode(part, self._scene)[0]}
        )
        return (255 * images[""] + 0.5).astype(np.uint8)


def _portions(
    values: dict[str, np.ndarray],
    function: Callable[[dict[str, np.ndarray]], dict[str, Any]],
) -> dict[str, np.ndarray]:
    """Calls a function on `_AT_ONCE` values at a time, and joins the results."""
    count = len(next(iter(values.values())))
    found = []
    for start in range(0, count, _AT_ONCE):
        # The last portion is filled up, so that all are compiled for one shape.
        at = np.minimum(np.arange(start, start + _AT_ONCE), count - 1)
        found.append(function({name: each[None, at] for name, each in values.items()}))
    return {
        name: np.concatenate([np.asarray(part[name]) for part in found])[:count]
        for name in found[0]
    }


def freeze(latents: Latents, name: Latent, at: int) -> Latents:
    """Returns latents with one of them as it is in one frame.

    Args:
      latents: a video's.
      name: the latent to freeze.
      at: the frame; negative counts from the end.

    Raises:
      UserError: the video has no such frame, or the model no such latent.
    """
    values = _latent(latents, name)
    if not -len(values) <= at < len(values):
        raise UserError(f"at: frame {at}, but the video has {len(values)} frames")
    return {**latents, name: np.broadcast_to(values[at], values.shape)}


def transfer(latents: Latents, name: Latent, source: Latents) -> Latents:
    """Returns a video's latents with one of them from another video.

    The other video's latent is stretched to as many frames. A still picture gets as
    many frames as the other video.

    Args:
      latents: the video's.
      name: the latent to transfer.
      source: the other video's latents, estimated by the same model.

    Raises:
      UserError: the model has no such latent.
    """
    values, other = _latent(latents, name), _latent(source, name)
    count = len(values) if len(values) > 1 else len(other)
    moved = {key: each[_stretched(len(each), count)] for key, each in latents.items()}
    return {**moved, name: other[_stretched(len(other), count)]}


def _latent(latents: Latents, name: Latent) -> np.ndarray:
    if name not in latents:
        raise UserError(f"the model has no {name} latent; it has: {', '.join(latents)}")
    return latents[name]


def _stretched(frames: int, count: int) -> np.ndarray:
    return np.linspace(0, frames - 1, count).round().astype(int)


def side_by_side(videos: dict[str, Frames], height: int = 256) -> list[np.ndarray]:
    """Returns frames with all videos in a row, each stretched to the longest.

    Args:
      videos: of one resolution, by the name that is written above each.
      height: the minimum height of the videos, in pixels. Pixels are repeated a whole
        number of times to reach it.
    """
    first = next(iter(videos.values()))
    count = max(len(frames) for frames in videos.values())
    times = -(-height // first.shape[1])
    rows = np.concatenate(
        [frames[_stretched(len(frames), count)] for frames in videos.values()], axis=2
    )
    names = labels.heading(list(videos), times * first.shape[2])
    return [
        np.concatenate([names, row])
        for row in rows.repeat(times, axis=1).repeat(times, axis=2)
    ]


def sheet(videos: dict[str, Frames], count: int = 8) -> Image.Image:
    """Returns evenly spaced frames of all videos, a video in each row.

    Args:
      videos: of one resolution, by the name that stands before each.
      count: the largest number of frames.
    """
    frames = max(len(frames) for frames in videos.values())
    shown = _stretched(frames, min(count, frames))
    rows = [each[_stretched(len(each), frames)][shown] for each in videos.values()]
    return labels.table(
        np.stack(rows), [f"frame {number}" for number in shown], list(videos)
    )
