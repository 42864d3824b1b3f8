"""Decodes videos for `dyso.videos.process`: a line asks, a line and a clip answer.

Videos are untrusted, and decoders have bugs. In a separate process, a video that
crashes or hangs the decoder affects no other video.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from dyso.child_process import open_answers, write_line
from dyso.records.clips import Clip, encode_clip, encode_frame
from dyso.videos.decoding import VideoError, read_frames
from dyso.videos.options import Options

MEMORY = 4 << 30  # bytes, above what is mapped at the start


def main() -> None:
    """Answers until there are no more questions."""
    answers = open_answers()
    _limit_memory()
    options = Options(**json.loads(sys.argv[1]))
    write_line(answers, {})
    for line in sys.stdin.buffer:
        write_line(answers, *_answer(json.loads(line), options))


def _answer(video: dict, options: Options) -> tuple[dict, bytes]:
    try:
        frames = read_frames(Path(video.pop("path")), options)
    except VideoError as error:
        return {"reason": error.reason, "message": str(error)}, b""
    clip = Clip(
        **video,
        times=tuple(time for time, _ in frames),
        images=tuple(encode_frame(image) for _, image in frames),
    )
    record = encode_clip(clip)
    return {"bytes": len(record), "frames": len(clip)}, record


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # not Linux
        return
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
