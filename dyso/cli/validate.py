"""`dyso validate`: checks a dataset and lists the problems."""

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
    """Check checksums, counts, records and geometry.

    The exit status is 1 if there are problems. Each shard must have the recorded size,
    checksum and count. Each record must decode, and agree with its scene and with the
    dataset's spec. Its geometry must be consistent: pixels of each view, unprojected by
    their depth and moved with their object, must land in all other views on the same
    instance at the same depth. It also reports the largest step in brightness along a
    straight line of the background, where the edge of a path traced window would show.

    Args:
      dataset: the folder of the dataset.
      scenes: check only this many records, evenly spaced; default: all. A record of 25
        views of 128 x 128 takes about half a second.
    """
    if scenes is not None and scenes < 0:
        raise UserError(f"scenes: must be at least 0, got {scenes}")
    start = time.monotonic()
    subject = validation.Validation(dataset)
    positions = validation.chosen(subject, scenes)
    count = sum(map(len, positions))
    problems: list[validation.Problem] = []
    checked = 0
    with Bar("scenes") as bar:
        bar.show(0, count)

        def report(problem: validation.Problem) -> None:
            problems.append(problem)
            bar.write(str(problem))

        def tick() -> None:
            nonlocal checked
            checked += 1
            bar.show(checked, count)

        for problem in subject.check_folder():
            report(problem)
        for shard, chosen in zip(subject.shards, positions, strict=True):
            for problem in subject.check_shard(shard):
                report(problem)
            for problem in subject.check_records(shard, chosen, tick):
                report(problem)
    shards = "1 shard" if len(subject.shards) == 1 else f"{len(subject.shards)} shards"
    if not subject.noted:
        shards += " (without recorded checksums)"
    scope = f"{checked} of {subject.scenes} scenes, {time.monotonic() - start:.0f} s"
    if problems:
        number = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        say(f"{dataset}: {number} in {shards}, {scope}")
        broken = {problem.file for problem in problems}
        files = [shard.path for shard in subject.shards if shard.path.name in broken]
        if files:
            existing = [str(path) for path in files if path.exists()]
            say(
                f"to remake only {'these shards' if len(files) > 1 else 'this shard'}: "
                + (f"{shlex.join(['rm', '--', *existing])}; then " if existing else "")
                + "run the command that made the dataset, such as: "
                + f"dyso generate SPEC --out {shlex.quote(str(dataset))}"
            )
        return 1
    say(f"{dataset}: no problems: {shards}, {scope}")
    if uncertain := subject.uncertain():
        say(f"warning: {uncertain}")
    if count:
        say(
            f"geometry: at least {100 * subject.least:.2f} % of a scene's visible "
            f"points agree between views (required: {100 * validation.REQUIRED:.0f} %)"
            f", depth within {validation.TOLERANCE:g} of what 3 x 3 pixels span"
        )
    if subject.steepest:
        step, place = subject.steepest
        say(
            f"edges of path traced windows: no straight step in the brightness of the "
            f"background above {step:.1%} ({place})"
        )
    return 0
