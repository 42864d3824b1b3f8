"""Processes that decode videos."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dyso import subprocess_pool
from dyso.videos.listing import Video
from dyso.videos.options import Options

MAX_RECORD = 1 << 30  # bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a video.

    Attributes:
      record: its clip; empty if there is none.
      frames: of the clip.
      reason: why there is none, see `dyso.videos.decoding.VideoError`.
      message: likewise, for people.
    """

    record: bytes = b""
    frames: int = 0
    reason: str = ""
    message: str = ""


def decode_all(
    root: Path, videos: Iterable[Video], options: Options, workers: int, timeout: float
) -> Generator[Answer, None, None]:
    """Decodes videos in processes; gives the answers in the order of the videos.

    Args:
      root: the folder that the videos' names are in.
      videos: what to decode.
      options: of the clips.
      workers: processes.
      timeout: seconds that a video may take.
    """
    arguments = "-m", "dyso.videos.worker", json.dumps(dataclasses.asdict(options))

    def request(video: Video) -> subprocess_pool.Request:
        values = dataclasses.asdict(video) | {"path": str(root / video.name)}
        del values["split"], values["size"]
        return values

    answers = subprocess_pool.answer_all(
        arguments, map(request, videos), _read, workers=workers, timeout=timeout
    )
    with contextlib.closing(answers):
        for answer in answers:
            if isinstance(answer, subprocess_pool.Failure):
                answer = Answer(reason=answer.reason, message=answer.message)
            yield answer


def _read(stdout: IO[bytes]) -> Answer:
    head = subprocess_pool.read_line(stdout)
    if "reason" in head:
        message = subprocess_pool.one_line(head["message"])
        return Answer(reason=str(head["reason"])[:20], message=message)
    size, frames = int(head["bytes"]), int(head["frames"])
    if not 0 < size <= MAX_RECORD:
        raise ValueError(size)
    record = stdout.read(size)
    if len(record) != size:
        raise ValueError("cut off")
    return Answer(record=record, frames=frames)
