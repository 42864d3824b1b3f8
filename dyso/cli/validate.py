"""`dyso validate`: proves a dataset, or lists what is wrong."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import tyro

from dyso import validation
from dyso.cli.bar import Bar
from dyso.spec import UserError
from dyso.terminal import say


def main(dataset: tyro.conf.Positional[Path], /, *, scenes: int | None = None) -> int:
    """Check checksums, counts, records and geometry; exit with 1 if one is wrong.

    Every shard's size, checksum and count is checked; each record must decode, agree
    with its own scene and with the dataset's spec, and prove its geometry: pixels of
    each view, unprojected by depth and moved with their object, land in all other
    views on the same instance at the same depth.

    Args:
      dataset: the folder of the dataset.
      scenes: check only this many records, evenly chosen; default: all, at about half
        a second each for 25 views of 128 x 128.
    """
    if scenes is not None and scenes < 0:
        raise UserError(f"scenes: must be at least 0, got {scenes}")
    start = time.monotonic()
    subject = validation.Validation(dataset)
    positions = validation.chosen(subject, scenes)
    count = sum(map(len, positions))
    wrong: list[validation.Problem] = []
    looked_at = 0
    with Bar("scenes") as bar:
        bar.show(0, count)

        def report(problem: validation.Problem) -> None:
            wrong.append(problem)
            bar.write(str(problem))

        def tick() -> None:
            nonlocal looked_at
            looked_at += 1
            bar.show(looked_at, count)

        for problem in subject.check_folder():
            report(problem)
        for shard, own in zip(subject.shards, positions, strict=True):
            for problem in subject.check_shard(shard):
                report(problem)
            for problem in subject.check_records(shard, own, tick):
                report(problem)
    shards = "1 shard" if len(subject.shards) == 1 else f"{len(subject.shards)} shards"
    if not subject.noted:
        shards += " (no checksums to compare with: their maker kept none)"
    looked = f"{looked_at} of {subject.scenes} scenes, {time.monotonic() - start:.0f} s"
    if wrong:
        problems = "1 problem" if len(wrong) == 1 else f"{len(wrong)} problems"
        say(f"{dataset}: {problems} in {shards}, {looked}")
        broken = {problem.file for problem in wrong}
        files = [shard.path for shard in subject.shards if shard.path.name in broken]
        if files:
            there = [str(path) for path in files if path.exists()]
            say(
                f"to make {'these' if len(files) > 1 else 'this'} alone again: "
                + (f"{shlex.join(['rm', '--', *there])}; then " if there else "")
                + "the command that made it, as in: dyso generate SPEC --out "
                + shlex.quote(str(dataset))
            )
        return 1
    say(f"{dataset}: sound: {shards}, {looked}")
    if uncertain := subject.uncertain():
        say(f"warning: {uncertain}")
    if count:
        say(
            f"geometry: at least {100 * subject.least:.2f} % of a scene's visible "
            f"points agree between views (required: {100 * validation.REQUIRED:.0f} %)"
            f", depth within {validation.TOLERANCE:g} of what 3 x 3 pixels span"
        )
    return 0
