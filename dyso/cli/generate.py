"""`dyso generate`: makes the dataset of a spec on this machine."""

from __future__ import annotations

import io
import logging
import math
import sys
import time
from pathlib import Path
from typing import TextIO

import tyro
from tqdm import tqdm

from dyso import pipeline
from dyso.cli.arguments import Overrides
from dyso.render import Device
from dyso.storage import open_folder
from dyso.terminal import say

LINE_SECONDS = 10.0


def main(
    spec: tyro.conf.Positional[Path],
    /,
    *,
    out: str,
    set: Overrides = (),
    workers: int | None = None,
    limit: int | None = None,
    scenes_per_part: int | None = None,
    scenes_per_shard: int | None = None,
    timeout: float | None = None,
    device: Device = "cpu",
) -> int:
    """Make the dataset of a spec here; the same command goes on after a stop.

    Args:
      spec: the spec, a YAML file.
      out: where the dataset goes: a folder, s3://bucket/prefix or gs://bucket/prefix.
      set: a key of the spec and its value, as YAML, in place of the file's:
        splits.train=100. Paths start at the spec's folder.
      workers: worker processes; default: as many as there are cores and memory for.
      limit: at most this many scenes of every split, which is a dataset of its own.
      scenes_per_part: most scenes that a worker does in one go; changes no record.
      scenes_per_shard: most scenes in a file of the dataset.
      timeout: seconds that one scene may take; default: 600, or 3 a view and 2 a
        million samples, if that is more.
      device: what Cycles renders with; pixels of a GPU differ slightly from those of
        a CPU, and each record's `versions` say what rendered it.
    """
    job = pipeline.Job(
        resolved=pipeline.load(spec, limit, set),
        output=open_folder(out),
        scenes_per_shard=scenes_per_shard,
        scenes_per_part=scenes_per_part,
        timeout=timeout,
        device=device,
    )
    if pipeline.is_complete(job):
        print(f"{out} is complete: nothing to do")
        print(f"next: {_next(out)}")
        return 0
    # Beam logs every failure as pages of its own frames; what failed is told below.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    flags = pipeline.local_flags(workers, job.resolved.spec)
    start = time.monotonic()
    scenes = sum(job.resolved.spec.splits.values())
    bar = Bar(scenes, sys.stderr)
    try:
        accounts = pipeline.run(job, flags, bar.show)
    except KeyboardInterrupt:
        bar.close()
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    finally:
        bar.close()
    seconds = time.monotonic() - start
    say(
        f"{accounts['rendered']} of {accounts['planned']} scenes rendered, "
        f"{pipeline.say_failures(accounts['failed'])} failed, "
        f"{accounts['bytes'] / 1e6:.1f} MB, {seconds / 60:.1f} min: {out}"
    )
    if accounts["failed"]:
        print(f"which failed and why: {out}/metadata.json")
    for line in pipeline.say_assets(accounts["assets"]):
        say(line)
    print(f"next: {_next(out)}")
    return 0


def _speed(rate: float) -> str:
    """Says how many scenes a minute, or an hour where they are large."""
    return f"{rate:.1f} scenes/min" if rate >= 1 else f"{60 * rate:.1f} scenes/h"


def _next(out: str) -> str:
    """Gives a command to go on with."""
    if "://" in out:
        return f"copy {out} to a disk, then dyso preview it"
    return f"dyso preview {out}"


class Bar:
    """Progress on stderr: a bar on a terminal, else a line every some seconds."""

    def __init__(self, scenes: int, stream: TextIO):
        """Shows nothing yet.

        Args:
          scenes: in the whole dataset.
          stream: where to show.
        """
        self._scenes, self._stream = scenes, stream
        self._tqdm: tqdm | None = None
        self._last, self._shown, self._done = -math.inf, -1.0, 0

    def show(self, progress: pipeline.Progress) -> None:
        """Shows where the job is."""
        counts = progress.read()
        if self._tqdm is None:
            self._tqdm = self._open(counts.worked)
        bar = self._tqdm
        # A shard's parts go when it is packed; a look in between finds too few.
        bar.n = max(bar.n, counts.worked)
        self._done = max(self._done, counts.done)
        bar.set_description_str(f"{self._done}/{self._scenes}", refresh=False)
        rate = 60 * (bar.n - bar.initial) / max(bar.format_dict["elapsed"], 1e-3)
        bar.set_postfix_str(
            f"{_speed(rate)}, {pipeline.say_failures(counts.failed)} failed",
            refresh=False,
        )
        now = time.monotonic()
        if self._stream.isatty():
            bar.refresh()
        elif now - self._last >= LINE_SECONDS or bar.n == bar.total > self._shown:
            self._last, self._shown = now, bar.n
            print(bar, file=self._stream, flush=True)

    def close(self) -> None:
        """Leaves the last state on the screen."""
        if self._tqdm is not None:
            self._tqdm.close()

    def _open(self, worked: float) -> tqdm:
        # Where there is no terminal, `show` prints lines, and the bar draws nowhere.
        return tqdm(
            total=self._scenes,
            initial=worked,
            smoothing=0,
            mininterval=0,
            file=self._stream if self._stream.isatty() else io.StringIO(),
            bar_format="{desc} scenes |{bar:24}| {percentage:.0f}%, "
            "{elapsed} elapsed, {remaining} left{postfix}",
        )
