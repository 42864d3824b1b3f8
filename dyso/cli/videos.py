"""`dyso videos`: actions on folders of videos. There is one, `ingest`."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import tyro

from dyso.cli.arguments import refusal
from dyso.cli.bar import Bar
from dyso.terminal import say, stopped

NAMED = 5  # failures that are printed


def select(arguments: list[str]) -> tuple[str, Callable[..., int], list[str]]:
    """Returns the action's full name, its function and the other arguments.

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
    sample: Literal["spread", "first"] = "spread",
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
    """Turn a folder of videos into clips for training.

    After a stop, run the same command to resume. Each video becomes one clip,
    cropped about the centre to the aspect ratio of the resolution. The label files of
    Something-Something v2 decide the splits. Videos of other folders go to `train`, or
    are split by a hash of their names. OUT/metadata.json lists the files that cannot be
    read.

    Args:
      source: the folder. Videos (webm, mp4, mov, avi and others) may be in subfolders.
      out: the output: a folder, s3://bucket/prefix or gs://bucket/prefix.
      frames: the most frames of a clip.
      sample: which frames of a longer video make the clip: those spread evenly over all
        of it, or the first.
      resolution: height and width of the frames, in pixels.
      fps: frames per second; the nearest frames are kept.
      min_frames: videos with fewer frames are refused; training DyST needs 7.
      validation: the share of the videos in the split `validation`.
      test: the share of the videos in the split `test`.
      labels: the folder of the label files; default: SOURCE or SOURCE/labels.
      clips_per_shard: the most clips in a file of the output.
      workers: processes that decode; default: one per core.
      timeout: the most seconds for one video.
    """
    from dyso import videos

    options = videos.Options(
        frames=frames,
        sample=sample,
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
            metadata = videos.ingest(
                source,
                out,
                options,
                labels=labels,
                workers=workers,
                timeout=timeout,
                say=bar.show,
            )
    except KeyboardInterrupt:
        return stopped()
    for line in summary(metadata):
        say(line)
    say(f"{(time.monotonic() - start) / 60:.1f} min: {out}")
    if metadata["failures"]:
        say(f"failures and their reasons: {out}/metadata.json")
    if "://" in out:
        say(f"next: copy {out} to a disk, then train with --videos CLIPS, the copy")
    else:
        train = "dyso train dyst --data DATASET --workdir RUN --videos"
        say(f"next: {train} {shlex.quote(out)}")
    return 0


def summary(metadata: dict) -> list[str]:
    """Returns lines that summarise metadata.json."""
    splits = [
        f"{sum(shard['count'] for shard in shards)} {name}"
        for name, shards in metadata["splits"].items()
    ]
    clips = max(metadata["clips"], 1)
    lines = [
        f"{metadata['clips']} clips ({', '.join(splits)}), "
        f"{metadata['frames'] / clips:.1f} frames per clip, "
        f"{metadata['bytes'] / 1e6:.1f} MB"
    ]
    if metadata["failures"]:
        reasons = [f"{count} {reason}" for reason, count in metadata["failed"].items()]
        lines.append(f"{len(metadata['failures'])} failed: {', '.join(reasons)}")
        for failure in metadata["failures"][:NAMED]:
            lines.append(f"  {failure['name']}: {failure['message']}")
    if metadata["ignored"]:
        reasons = [f"{count} {reason}" for reason, count in metadata["ignored"].items()]
        lines.append(f"ignored: {', '.join(reasons)}")
    return lines
