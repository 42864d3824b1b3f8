"""`dyso generate`: makes the dataset of a spec on this machine."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import tyro

from dyso import pipeline
from dyso.cli.arguments import Overrides
from dyso.cli.bar import Bar
from dyso.render import Device
from dyso.storage import open_folder
from dyso.terminal import say


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
    """Make the dataset of a spec on this machine.

    The same command continues after a stop.

    Args:
      spec: the spec, a YAML file.
      out: where the dataset goes: a folder, s3://bucket/prefix or gs://bucket/prefix.
      set: a key of the spec and its value, as YAML, in place of the file's:
        splits.train=100. Paths start at the spec's folder.
      workers: worker processes; default: as many as there are cores and memory for.
      limit: at most this many scenes of every split, which is a dataset of its own.
      scenes_per_part: the most scenes that a worker renders at a time; this changes no
        record.
      scenes_per_shard: the most scenes in a file of the dataset.
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
    try:
        with Bar("scenes", "failed", waiting="starting Blender") as bar:
            accounts = pipeline.run(job, flags, _shown_on(bar))
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
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


def _next(out: str) -> str:
    """Returns the command to run next."""
    if "://" in out:
        return f"copy {out} to a disk, then dyso preview it"
    return f"dyso preview {out}"


def _shown_on(bar: Bar) -> Callable[[pipeline.Progress], None]:
    """Returns a function that shows the job's progress on a bar."""
    worked, done = 0.0, 0

    def show(progress: pipeline.Progress) -> None:
        nonlocal worked, done
        counts = progress.read()
        # A shard's parts are deleted once it is packed; a look in between misses them.
        worked, done = max(worked, counts.worked), max(done, counts.done)
        failed = pipeline.say_failures(counts.failed)
        bar.show(worked, progress.planned, failed, whole=done)

    return show
