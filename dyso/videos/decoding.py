"""From a video file to the frames of a clip, by PyAV."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from dyso import terminal
from dyso.videos.options import MAX_SIDE, Options

MIN_SIDE = 16  # pixels
# Frames of 8K, 4320 x 7680, pass.
MAX_PIXELS = 1 << 25
SLACK = 0.5  # seconds that a video may end before the end that it says
# Playlists, which name other files and addresses, are none of these.
_FORMATS = "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,avi,mpeg,mpegts,ogg,flv,asf"


class VideoError(Exception):
    """A video cannot be a clip.

    Attributes:
      reason: one word for counting: `unreadable`, `format`, `size`, `damaged`,
        `truncated`, `short` or `memory`; or `timeout` or `crash`, see
        `dyso.videos.process`.
    """

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason


def read_frames(path: Path, options: Options) -> list[tuple[float, Image.Image]]:
    """Gives the frames of a video's clip, and their times in seconds from the first.

    Raises:
      VideoError: the file is damaged, ends too early, or is no fitting video.
    """
    try:
        # A name with a colon in it would be the address of something.
        container = av.open(
            f"file:{path.absolute()}",
            options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
        )
        with container:
            return _read(container, options)
    except MemoryError as error:  # PyAV's is one too
        raise VideoError("memory", "needs too much memory") from error
    except av.error.InvalidDataError as error:
        raise VideoError("format", "not a video of a known format") from error
    except OSError as error:
        raise VideoError("unreadable", error.strerror or str(error)) from error
    except av.error.FFmpegError as error:
        raise VideoError("format", error.strerror or str(error)) from error


def _read(container: Any, options: Options) -> list[tuple[float, Image.Image]]:
    # Not the cover of an audio file.
    stream = container.streams.best("video")
    if stream is None:
        raise VideoError("format", "no video stream")
    decoder = stream.codec_context
    if decoder is None:
        raise VideoError("format", "no decoder for its codec")
    _check_size(decoder.width, decoder.height)
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    decoder.thread_count = 1
    chosen = [
        (time, _fit(frame, stream, options))
        for time, frame in itertools.islice(
            _at_rate(_decoded(container, stream), options.fps), options.frames
        )
    ]
    if len(chosen) < options.min_frames:
        raise VideoError(
            "short", f"{len(chosen)} frames, fewer than {options.min_frames}"
        )
    return chosen


def _at_rate(
    decoded: Iterable[tuple[float, Any]], fps: float
) -> Iterator[tuple[float, Any]]:
    """Gives, with seconds from the first, what is nearest to each step of a rate.

    A step that nothing is near to is left out; so is what is out of order.
    """
    start, last = None, -1
    nearest: tuple[float, float, Any] = (math.inf, 0.0, None)
    for time, frame in decoded:
        start = time if start is None else start
        place = (time - start) * fps
        step = round(place)
        own = (abs(place - step), time - start, frame)
        if step > last:
            if last >= 0:
                yield nearest[1:]
            last, nearest = step, own
        elif step == last and own[0] < nearest[0]:
            nearest = own
    if last >= 0:
        yield nearest[1:]


def _decoded(container: Any, stream: Any) -> Iterator[tuple[float, Any]]:
    """Gives times in seconds, and frames, until the end.

    Raises:
      VideoError: a frame is damaged, or the end comes too early.
    """
    rate: Fraction | None = stream.average_rate or stream.guessed_rate
    count, end = 0, 0.0
    try:
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise VideoError("damaged", f"frame {count} is damaged")
            _check_size(frame.width, frame.height)
            time = frame.time
            # AVI has a rate and no times, and what FFmpeg makes up is out of order.
            if time is None or container.format.name == "avi":
                if not rate:
                    raise VideoError("damaged", "its frames have no times")
                time = float(count / rate)
            if frame.duration:
                end = time + float(frame.duration * frame.time_base)
            else:
                end = time + float(1 / rate if rate else 0)
            count += 1
            yield time, frame
    except av.error.InvalidDataError as error:
        raise VideoError("damaged", f"cannot be read after frame {count}") from error
    declared = _declared_end(container, stream)
    if declared is not None and declared - end > SLACK:
        raise VideoError("truncated", f"ends after {end:.1f} of {declared:.1f} seconds")


def _declared_end(container: Any, stream: Any) -> float | None:
    """Gives when the video says that it ends, in seconds."""
    if stream.duration is not None:
        first = 0 if container.format.name == "avi" else stream.start_time or 0
        return float((first + stream.duration) * stream.time_base)
    # That of its sound may be longer.
    if container.duration is None or len(container.streams) > 1:
        return None
    return ((container.start_time or 0) + container.duration) / av.time_base


def _check_size(width: int, height: int) -> None:
    sides = (width, height)
    if min(sides) < MIN_SIDE or max(sides) > MAX_SIDE or math.prod(sides) > MAX_PIXELS:
        raise VideoError(
            "size",
            f"{terminal.size(height, width)} pixels; expected {MIN_SIDE} to {MAX_SIDE} "
            "a side, "
            f"and at most {MAX_PIXELS} in all",
        )


def _fit(frame: Any, stream: Any, options: Options) -> Image.Image:
    """Gives a frame upright, its middle cut to the wanted shape, and resized."""
    image = frame.to_image()
    stretch = float(stream.sample_aspect_ratio or 1)
    turns = round(frame.rotation / 90) % 4  # counter-clockwise
    if turns:
        image = Image.fromarray(np.rot90(np.asarray(image), turns))
        stretch = stretch if turns == 2 else 1 / stretch
    height, width = options.resolution
    # The cut, in units of the frame's pixels, which need not be square.
    shape = width / height / stretch
    across = min(image.width, image.height * shape)
    down = across / shape
    left, top = (image.width - across) / 2, (image.height - down) / 2
    box = (left, top, left + across, top + down)
    # Pillow's filters widen when an image shrinks, so that nothing aliases.
    return image.resize((width, height), Image.Resampling.BICUBIC, box)
