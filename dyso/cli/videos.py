"""`dyso videos`: what can be done with videos; so far, `ingest`."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

import tyro

from dyso.cli.arguments import refusal
from dyso.cli.bar import Bar
from dyso.terminal import say

NAMED = 5  # failures


def select(arguments: list[str]) -> tuple[str, Callable[..., int], list[str]]:
    """Takes the name of the action from the arguments.

    Raises:
      UserError: there is no such action.
    """
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        return "videos ingest", ingest, [name]
    if name != "ingest":
        raise refusal("dyso videos", "action", name, ["ingest"])
    return "videos ingest", ingest, rest


def ingest(
    source: tyro.conf.Positional[Path],
    /,
    *,
    out: str,
    frames: int = 64,
    resolution: tuple[int, int] = (128, 128),
    fps: float = 12.0,
    min_frames: int = 7,
    validation: float = 0.0,
    test: float = 0.0,
    labels: Path | None = None,
    clips_per_shard: int = 1000,
    workers: int | None = None,
    timeout: float = 60.0,
) -> int:
    """Turn a folder of videos into clips to train on; a stopped run goes on.

    Every video becomes one clip, of its first frames; the middle of the picture is cut
    to the resolution's shape. Something-Something v2 is known by its label files, which
    decide the splits; other folders go to `train`, or are split by a hash of the names.
    Files that cannot be read are counted, and named in OUT/metadata.json.

    Args:
      source: the folder, with webm, mp4, mov, avi and the like anywhere in it.
      out: where the clips go: a folder, s3://bucket/prefix or gs://bucket/prefix.
      frames: most frames of a clip.
      resolution: height and width of the frames, in pixels.
      fps: frames that are kept of each second.
      min_frames: videos with fewer frames are refused; training draws 7 for DyST.
      validation: share of the videos that go to the split `validation`.
      test: share of the videos that go to the split `test`.
      labels: the folder of the label files; default: SOURCE or SOURCE/labels.
      clips_per_shard: most clips in a file of the output.
      workers: processes that decode; default: one a core.
      timeout: seconds that one video may take.
    """
    from dyso import videos

    options = videos.Options(
        frames=frames,
        resolution=resolution,
        fps=fps,
        min_frames=min_frames,
        validation=validation,
        test=test,
        clips_per_shard=clips_per_shard,
    )
    start = time.monotonic()
    try:
        with Bar("videos", "failed") as bar:
            found = videos.ingest(
                source,
                out,
                options,
                labels=labels,
                workers=workers,
                timeout=timeout,
                say=bar.show,
            )
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    for line in summary(found):
        say(line)
    say(f"{(time.monotonic() - start) / 60:.1f} min: {out}")
    if found["failures"]:
        say(f"which failed and why: {out}/metadata.json")
    where = "CLIPS, a copy of them on a disk" if "://" in out else shlex.quote(out)
    say(f"next: dyso train dyst --data DATASET --workdir RUN --videos {where}")
    return 0


def summary(found: dict) -> list[str]:
    """Returns lines that summarise metadata.json."""
    splits = [
        f"{sum(shard['count'] for shard in own)} {name}"
        for name, own in found["splits"].items()
    ]
    clips = max(found["clips"], 1)
    lines = [
        f"{found['clips']} clips ({', '.join(splits)}), "
        f"{found['frames'] / clips:.1f} frames a clip, {found['bytes'] / 1e6:.1f} MB"
    ]
    if found["failures"]:
        reasons = [f"{count} {reason}" for reason, count in found["failed"].items()]
        lines.append(f"{len(found['failures'])} failed: {', '.join(reasons)}")
        for failure in found["failures"][:NAMED]:
            lines.append(f"  {failure['name']}: {failure['message']}")
    if found["ignored"]:
        reasons = [f"{count} {reason}" for reason, count in found["ignored"].items()]
        lines.append(f"ignored: {', '.join(reasons)}")
    return lines
