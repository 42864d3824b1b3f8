"""`dyso export`: a dataset in the formats of other projects."""

from __future__ import annotations

import itertools
import os
import sys
import time
from pathlib import Path

import tyro

from dyso.cli.bar import Bar
from dyso.export import FORMATS, Export, format_named
from dyso.spec import UserError


def main(
    dataset: tyro.conf.Positional[Path],
    /,
    *,
    format: str,
    out: Path,
    split: str | None = None,
    scenes: str = ":",
    workers: int | None = None,
) -> int:
    """Write a dataset in the format of another project.

    The same command goes on after a stop; what it has done is kept. A dataset that a
    format cannot hold is refused, with the reason, before anything is written.
    docs/export.md tells how each is read and what it leaves out.

    The formats:
    {formats}

    Args:
      dataset: the folder of the dataset.
      format: one of the formats above.
      out: the folder to write.
      split: this split alone; default: all.
      scenes: a:b, of each split the scenes from number a on and before b.
      workers: processes; default: one a core, of which each holds one scene at a time.
    """
    if workers is not None and workers < 1:
        raise UserError(f"workers: must be at least 1, got {workers}")
    start = time.monotonic()
    try:
        job = Export.of(dataset, format=format, out=out, split=split, scenes=scenes)
        done = job.done()
        with Bar("scenes") as bar:
            there = itertools.count(done)

            def tick() -> None:
                bar.show(next(there), job.scenes)

            tick()
            job.run(workers or len(os.sched_getaffinity(0)), tick)
    except ModuleNotFoundError as error:
        raise UserError(
            f"format {format!r} needs {error.name}: pip install 'dyso[export]'"
        ) from error
    except OSError as error:
        raise UserError(
            f"{error.filename or out}: {error.strerror or error}; mend it, or choose "
            "another folder with --out; the same command goes on from here"
        ) from error
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    before = f" ({done} were there)" if done else ""
    seconds = time.monotonic() - start
    print(f"{out}: {job.scenes} scenes{before} as {format}, {seconds:.0f} s")
    for note in job.notes():
        print(f"note: {note}", file=sys.stderr)
    return 0


def _about(name: str) -> str:
    try:
        return format_named(name).ABOUT
    except ModuleNotFoundError as error:
        return f"(needs {error.name}: pip install 'dyso[export]')"


main.__doc__ = str(main.__doc__).replace(
    "{formats}", "\n    ".join(f"  {name:14} {_about(name)}" for name in FORMATS)
)
