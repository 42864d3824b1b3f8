"""Decodes the frames of a clip from a video file with PyAV."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from dyso import terminal
from dyso.videos.options import MAX_SIDE, Options

MIN_SIDE = 16  # pixels
MAX_PIXELS = 1 << 25  # per frame; 8K, 4320 x 7680, has slightly fewer
SLACK = 0.5  # seconds by which a video may be shorter than its header says
# Without playlists, because they name other files and addresses.
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
    """Returns a clip's frames, and their times in seconds since the first frame.

    Raises:
      VideoError: the file is damaged, ends too early, or does not fit `options`.
    """
    try:
        # Without `file:`, FFmpeg takes a name with a colon for an address.
        container = av.open(
            f"file:{path.absolute()}",
            options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
        )
        with container:
            return _read(container, options)
    except MemoryError as error:  # including PyAV's own
        raise VideoError("memory", "needs too much memory") from error
    except av.error.InvalidDataError as error:
        raise VideoError("format", "not a video of a known format") from error
    except OSError as error:
        raise VideoError("unreadable", error.strerror or str(error)) from error
    except av.error.FFmpegError as error:
        raise VideoError("format", error.strerror or str(error)) from error


def _read(container: Any, options: Options) -> list[tuple[float, Image.Image]]:
    # `best` skips the cover picture of an audio file.
    stream = container.streams.best("video")
    if stream is None:
        raise VideoError("format", "no video stream")
    decoder = stream.codec_context
    if decoder is None:
        raise VideoError("format", "no decoder for its codec")
    _check_size(decoder.width, decoder.height)
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    decoder.thread_count = 1
    frames = _at_rate(_decoded(container, stream), options.fps)
    if options.sample == "first":
        frames = itertools.islice(frames, options.frames)
    chosen = _spread(frames, options.frames, lambda frame: _fit(frame, stream, options))
    if len(chosen) < options.min_frames:
        raise VideoError(
            "short", f"{len(chosen)} frames, fewer than {options.min_frames}"
        )
    return chosen


def _spread(
    frames: Iterable[tuple[float, Any]], count: int, fit: Callable[[Any], Image.Image]
) -> list[tuple[float, Image.Image]]:
    """Returns at most `count` frames, spread evenly over all of them.

    At most twice as many are held in memory: of a longer video every second frame,
    every fourth, and so on. So the distances between frames differ by up to a factor of
    2, and the last frame may be left out.

    Args:
      frames: with their times.
      count: at least 1.
      fit: turns a frame into the picture that is held in memory.
    """
    kept: list[tuple[float, Image.Image]] = []
    stride = 1
    for number, (time, frame) in enumerate(frames):
        if number % stride:
            continue
        if len(kept) == 2 * count:
            del kept[1::2]
            stride *= 2
        kept.append((time, fit(frame)))
    if len(kept) <= count:
        return kept
    last = len(kept) - 1
    return [kept[round(at * last / max(count - 1, 1))] for at in range(count)]


def _at_rate(
    decoded: Iterable[tuple[float, Any]], fps: float
) -> Iterator[tuple[float, Any]]:
    """Yields the frame nearest to each step of a rate, and its time in seconds.

    Times count from the first frame. Steps without a near frame are left out, as are
    frames that are out of order.
    """
    start, last = None, -1
    nearest: tuple[float, float, Any] = (math.inf, 0.0, None)
    for time, frame in decoded:
        start = time if start is None else start
        place = (time - start) * fps
        step = round(place)
        candidate = (abs(place - step), time - start, frame)
        if step > last:
            if last >= 0:
                yield nearest[1:]
            last, nearest = step, candidate
        elif step == last and candidate[0] < nearest[0]:
            nearest = candidate
    if last >= 0:
        yield nearest[1:]


def _decoded(container: Any, stream: Any) -> Iterator[tuple[float, Any]]:
    """Yields the time in seconds and the frame, for all frames.

    Raises:
      VideoError: a frame is damaged, or the video ends too early.
    """
    rate: Fraction | None = stream.average_rate or stream.guessed_rate
    count, end = 0, 0.0
    try:
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise VideoError("damaged", f"frame {count} is damaged")
            _check_size(frame.width, frame.height)
            time = frame.time
            # AVI stores a rate and no times; those that FFmpeg infers are unordered.
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
    """Returns the end of the video according to its header, in seconds."""
    if stream.duration is not None:
        first = 0 if container.format.name == "avi" else stream.start_time or 0
        return float((first + stream.duration) * stream.time_base)
    # With an audio stream, the container may be longer than the video.
    if container.duration is None or len(container.streams) > 1:
        return None
    return ((container.start_time or 0) + container.duration) / av.time_base


def _check_size(width: int, height: int) -> None:
    sides = (width, height)
    if min(sides) < MIN_SIDE or max(sides) > MAX_SIDE or math.prod(sides) > MAX_PIXELS:
        raise VideoError(
            "size",
            f"{terminal.size(height, width)} pixels; expected {MIN_SIDE} to {MAX_SIDE} "
            f"per side, and at most {MAX_PIXELS} in total",
        )


def _fit(frame: Any, stream: Any, options: Options) -> Image.Image:
    """Turns a frame upright, crops it to the aspect ratio, and resizes it."""
    image = frame.to_image()
    stretch = float(stream.sample_aspect_ratio or 1)
    turns = round(frame.rotation / 90) % 4  # counter-clockwise
    if turns:
        image = Image.fromarray(np.rot90(np.asarray(image), turns))
        stretch = stretch if turns == 2 else 1 / stretch
    height, width = options.resolution
    # The crop, in units of the frame's pixels, which may not be square.
    shape = width / height / stretch
    across = min(image.width, image.height * shape)
    down = across / shape
    left, top = (image.width - across) / 2, (image.height - down) / 2
    box = (left, top, left + across, top + down)
    # Pillow widens its filter when it shrinks an image, which avoids aliasing.
    return image.resize((width, height), Image.Resampling.BICUBIC, box)
