"""Videos decoded with other latents than their own (DyST, section 4.3)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Array, Float, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from dyso.images import DAMAGED, open_image
from dyso.spec import UserError
from dyso.train import labels
from dyso.train.latent_sources import halves
from dyso.train.predict import Predictor
from dyso.videos.options import Options

Latent = Literal["camera", "dynamics"]
Latents = dict[str, Float[np.ndarray, "F L"]]
Frames = UInt8[np.ndarray, "F H W 3"]

_AT_ONCE = 4


def read_frames(
    path: Path, resolution: tuple[int, int], limit: int
) -> tuple[Frames, Fraction]:
    """Reads the beginning of a video as `dyso videos ingest` does, 12 frames a second.

    Args:
      path: a video, or a still picture: a video of one frame.
      resolution: height and width.
      limit: frames, at most.

    Returns:
      The frames, and how many make a second.

    Raises:
      UserError: it is not a video.
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
    """A video in the eyes of a model: its scene representation and latents.

    The inputs are evenly chosen, of three the first, middle and last frame.

    Attributes:
      frames: its own.
      latents: by name, of each frame.
    """

    def __init__(self, predictor: Predictor, frames: Frames):
        """Encodes the inputs and estimates all frames' latents.

        Raises:
          UserError: the model has no latents.
        """
        config = predictor.config
        if not config.model.latents:
            raise UserError(
                "the model is told poses, which videos do not have; take one with "
                "latents, such as `dyst`"
            )
        self._predictor, self.frames = predictor, frames
        chosen = np.linspace(0, len(frames) - 1, config.training.inputs)
        self._scene = predictor.encode(frames[None, chosen.round().astype(int)])
        right = False if config.model.estimator_half else None
        self.latents: Latents = _portions(
            {"frames": frames},
            lambda own: {
                name: np.asarray(values[0])
                for name, values in predictor.estimate(
                    own["frames"], self._scene, halves(own["frames"], right)
                ).items()
            },
        )

    def decode(self, latents: Latents) -> Frames:
        """Gives frames of this video's scene, by latents of any."""
        images = _portions(
            latents, lambda own: {"": self._predictor.decode(own, self._scene)[0]}
        )
        return (255 * images[""] + 0.5).astype(np.uint8)


def _portions(
    values: dict[str, np.ndarray],
    function: Callable[[dict[str, np.ndarray]], dict[str, Array]],
) -> dict[str, np.ndarray]:
    """Calls a function on `[1, _AT_ONCE, ...]` of the values, and puts it together."""
    count = len(next(iter(values.values())))
    found = []
    for start in range(0, count, _AT_ONCE):
        # The last portion is filled up, so that all are compiled for one shape.
        at = np.minimum(np.arange(start, start + _AT_ONCE), count - 1)
        found.append(function({name: own[None, at] for name, own in values.items()}))
    return {
        name: np.concatenate([np.asarray(part[name]) for part in found])[:count]
        for name in found[0]
    }


def freeze(latents: Latents, name: Latent, at: int) -> Latents:
    """Gives all frames the latent of one.

    Args:
      latents: of a video.
      name: of the latent.
      at: the frame; negative counts from the end.

    Raises:
      UserError: there is no such frame, or no such latent.
    """
    own = _latent(latents, name)
    if not -len(own) <= at < len(own):
        raise UserError(f"at: frame {at}, but the video has {len(own)} frames")
    return {**latents, name: np.broadcast_to(own[at], own.shape)}


def transfer(latents: Latents, name: Latent, source: Latents) -> Latents:
    """Gives a video's frames a latent of another's, stretched to as many frames.

    A video of one frame, a still, gets as many as the other has.

    Args:
      latents: of the video.
      name: of the latent.
      source: latents of the other video, by the same model.

    Raises:
      UserError: there is no such latent.
    """
    own, other = _latent(latents, name), _latent(source, name)
    count = len(own) if len(own) > 1 else len(other)
    moved = {
        key: values[_stretched(len(values), count)] for key, values in latents.items()
    }
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
      videos: of one resolution, by the name that stands over each.
      height: of the videos, at least, in pixels; every pixel is repeated as often as
        that takes.
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
