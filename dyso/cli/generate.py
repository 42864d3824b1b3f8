"""`dyso generate`: makes the dataset of a spec on this machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import tyro

from dyso import pipeline
from dyso.cli.arguments import Overrides
from dyso.cli.bar import Bar
from dyso.render import Device
from dyso.storage import open_folder
from dyso.terminal import say, stopped


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

    After a stop, run the same command to resume.

    Args:
      spec: the spec, a YAML file.
      out: the output: a folder, s3://bucket/prefix or gs://bucket/prefix.
      set: a key of the spec and the YAML value to use instead of the file's, such as
        splits.train=100. Relative paths start at the spec's folder.
      workers: worker processes; default: as many as the cores and the memory allow.
      limit: render at most this many scenes of each split. The result is a different
        dataset than the whole one.
      scenes_per_part: the most scenes that a worker renders at a time; this does not
        change the records.
      scenes_per_shard: the most scenes in a file of the dataset.
      timeout: the most seconds for one scene; default: 600, or 3 per view plus 2 per
        million samples, if that is more.
      device: what Cycles renders with. Pixels from a GPU differ slightly from those of
        a CPU; `versions` in each record names the device.
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
    # Beam logs pages of its own stack frames; failures are reported below.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    flags = pipeline.local_flags(workers, job.resolved.spec)
    start = time.monotonic()
    try:
        with Bar("scenes", "failed", waiting="starting Blender") as bar:
            metadata = pipeline.run(job, flags, _shown_on(bar))
    except KeyboardInterrupt:
        return stopped()
    seconds = time.monotonic() - start
    say(
        f"{metadata['rendered']} of {metadata['planned']} scenes rendered, "
        f"{pipeline.say_failures(metadata['failed'])} failed, "
        f"{metadata['bytes'] / 1e6:.1f} MB, {seconds / 60:.1f} min: {out}"
    )
    if metadata["failed"]:
        print(f"failures and their reasons: {out}/metadata.json")
    for line in pipeline.say_assets(metadata["assets"]):
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
        # Counts may drop for a moment: a packed shard's parts are deleted.
        worked, done = max(worked, counts.worked), max(done, counts.done)
        failed = pipeline.say_failures(counts.failed)
        bar.show(worked, progress.planned, failed, whole=done)

    return show
