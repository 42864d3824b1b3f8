"""`dyso stats`: prints distributions over a dataset."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable
from pathlib import Path

import tyro

from dyso.cli.bar import each
from dyso.reading import Dataset
from dyso.spec import UserError
from dyso.terminal import say
from dyso.visualization.scenes import spread
from dyso.visualization.statistics import report, statistics


def main(
    dataset: tyro.conf.Positional[Path],
    /,
    *,
    scenes: int = 2000,
    json: bool = False,
) -> int:
    """Print distributions: patterns, categories, HDRIs, pixels, visibility, depth.

    Args:
      dataset: the folder of the dataset.
      scenes: the most scenes to read, evenly spaced over the dataset.
      json: print JSON instead of a table.
    """
    if scenes < 1:
        raise UserError(f"scenes: must be at least 1, got {scenes}")
    subject = Dataset(dataset)
    result = statistics(subject, each(spread(subject, scenes), "scenes"))
    total = sum(map(len, subject.splits.values()))
    if json:
        text = json_module.dumps(result | {"scenes_in_all": total}, indent=1)
        lines: Iterable[str] = text.split("\n")
    else:
        lines = report(result, total)
    for line in lines:
        say(line)
    return 0
