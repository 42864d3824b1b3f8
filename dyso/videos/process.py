"""Processes that decode videos."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

from dyso import subprocess_pool
from dyso.child_process import ChildProcess, Deadline, to_line
from dyso.errors import one_line
from dyso.subprocess_pool import Request
from dyso.videos.listing import Video
from dyso.videos.options import Options

MAX_RECORD = 1 << 30  # bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The result of decoding a video.

    Attributes:
      record: its clip; empty if there is none.
      frames: number of frames of the clip.
      reason: why there is no clip, in one word; see `dyso.videos.decoding.VideoError`.
      message: the reason as a sentence.
    """

    record: bytes = b""
    frames: int = 0
    reason: str = ""
    message: str = ""


def decode_all(
    root: Path, videos: Iterable[Video], options: Options, workers: int, timeout: float
) -> Generator[Answer, None, None]:
    """Decodes videos in processes; yields the answers in the order of the videos.

    Args:
      root: the folder of the videos.
      videos: the videos to decode.
      options: options of the clips.
      workers: number of processes.
      timeout: maximum seconds per video.
    """
    arguments = "-m", "dyso.videos.worker", json.dumps(dataclasses.asdict(options))

    def request(video: Video) -> Request:
        values = dataclasses.asdict(video) | {"path": str(root / video.name)}
        del values["split"], values["size"]
        return values

    def ask(process: ChildProcess, request: Request) -> Answer:
        deadline = Deadline(timeout)
        process.send(to_line(request), deadline)
        head = json.loads(process.read_line(deadline))
        if "reason" in head:
            message = one_line(head["message"])
            return Answer(reason=str(head["reason"])[:20], message=message)
        size, frames = int(head["bytes"]), int(head["frames"])
        if not 0 < size <= MAX_RECORD:
            raise ValueError(size)
        return Answer(record=process.read(size, deadline), frames=frames)

    answers = subprocess_pool.answer_all(
        arguments, map(request, videos), ask, workers=workers
    )
    with contextlib.closing(answers):
        for answer in answers:
            if isinstance(answer, subprocess_pool.Failure):
                answer = Answer(reason=answer.reason, message=answer.message)
            yield answer
