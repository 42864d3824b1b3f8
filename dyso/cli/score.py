"""`dyso score`: scores predictions of any method on a dataset's exact truth."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import tyro

from dyso.cli.bar import each
from dyso.files import writing
from dyso.reading import Dataset
from dyso.spec import UserError
from dyso.terminal import say


def main(
    predictions: tyro.conf.Positional[tuple[Path, ...]] = (),
    /,
    *,
    data: Path,
    out: Path | None = None,
    scenes: str | None = None,
    lpips: Path | None = None,
    queries: Path | None = None,
    split: str = "test",
    query_cameras: tuple[int, ...] = (),
) -> int:
    """Score the predictions of any method on exact truth.

    Each folder of predictions is one method on one split, with plain files:
      predictions.json          method, dataset (its hash), split, inputs
      scene_0/color/00007.png   view 7: RGB, 8 bit
      scene_0/depth/00007.npz   `depth` [H, W], metres to the camera, or `z`
      scene_0/tracks_3d.npz     `points` [T, Q, 3], metres in the world
      scene_0/tracks_2d.npz     `pixels` [T, Q, 2] (x, y) and `visible` [T, Q]
      scene_0/cameras.npz       `views` [K] and `extrinsics` [K, 3, 4]

    What a method does not predict is not measured. Views that it has not seen are
    scored: PSNR, SSIM, LPIPS, also on moving pixels alone, and depth. Tracks are of the
    points that --queries writes: 3D error, survival, TAP-Vid's measures. Camera poses
    are scored as they are and aligned. docs/scoring.md defines all scores and has an
    example.
      dyso score --data data/demo --queries queries     what to track
      dyso score a --data data/demo                     prints the scores
      dyso score a b --data data/demo --out report.html  also report.json, pictures

    Args:
      predictions: folders of predictions for the same scenes.
      data: the folder of the dataset.
      out: an HTML page to write, which compares the methods in tables and pictures;
        beside it, the scores as JSON.
      scenes: A:B, scenes A to B - 1 of the split; default: all that are predicted.
      lpips: weights of LPIPS as .npz, see docs/training.md; default: no LPIPS.
      queries: write the points to track to this folder, and score nothing.
      split: with --queries, the split.
      query_cameras: with --queries, the cameras in which points are to be followed,
        also to be named in predictions.json; default: at most 4, drawn by a seed.
    """
    if out is not None and out.suffix != ".html":
        raise UserError(f"out: must end in .html, got {out}")
    dataset = Dataset(data)
    if queries is not None:
        return _write_queries(dataset, split, scenes, queries, query_cameras)
    if not predictions:
        raise UserError("score: name a folder of predictions, or use --queries")
    from dyso.scoring.predictions import Predictions
    from dyso.scoring.scores import score, scored_scenes

    methods = [Predictions.open(folder, dataset.resolved) for folder in predictions]
    names = [method.method for method in methods]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two methods have the name {name!r}; give each its own")
    target = dataset[methods[0].split]
    chosen = None if scenes is None else _range(scenes, len(target))
    numbers = scored_scenes(dataset, methods, chosen)
    figures = score(
        dataset,
        methods,
        numbers,
        _lpips(lpips, dataset),
        functools.partial(each, unit="scenes"),
    )
    for line in describe(figures):
        say(line)
    if out is not None:
        from dyso.scoring.report import page

        texts = {
            out.with_suffix(".json"): json.dumps(figures, indent=1, allow_nan=False),
            out: page(figures, target, methods),
        }
        _write(texts)
        say(f"{out}, {out.with_suffix('.json')}")
    return 0


def _write_queries(
    dataset: Dataset,
    split: str,
    scenes: str | None,
    folder: Path,
    cameras: tuple[int, ...],
) -> int:
    from dyso.scoring import write_queries

    target = dataset[split]
    numbers = _range(scenes or ":", len(target))
    written = write_queries(target, each(numbers, "scenes"), folder, cameras or None)
    say(f"{folder}: the points to track in {len(written)} scenes")
    return 0


def _range(scenes: str, count: int) -> range:
    bounds = re.fullmatch(r"(\d*):(\d*)", scenes)
    if not bounds:
        raise UserError(f"scenes: must be as in 0:4, :4 or 4:, got {scenes}")
    start, stop = (int(bound) if bound else None for bound in bounds.groups())
    numbers = range(count)[start:stop]
    if not numbers:
        raise UserError(f"scenes: {scenes} contains no scene; the split has {count}")
    return numbers


def _lpips(path: Path | None, dataset: Dataset) -> Any:
    if path is None:
        return None
    from dyso.train import lpips

    _, measure = lpips.load(path)
    if min(dataset.resolved.spec.resolution) < measure.smallest:
        raise UserError(
            f"lpips: needs images of at least {measure.smallest} x {measure.smallest} "
            "pixels"
        )
    return measure.function


def _write(texts: dict[Path, str]) -> None:
    for path, text in texts.items():
        with writing(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")


def describe(figures: dict[str, Any]) -> list[str]:
    """Returns the scores as text: a line for each score, a column for each method."""
    from dyso.scoring.definitions import SCORES

    methods = figures["methods"]
    rows = [["", *(method["method"] for method in methods)]]
    for score in SCORES:
        found = [method["scores"].get(score.name) for method in methods]
        if any(found):
            cells = [
                f"{float(one['mean']):.{score.digits}f}" if one else "-"
                for one in found
            ]
            rows.append([score.name, *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines += [f"no {name}: {why}" for name, why in figures["not_measured"].items()]
    return lines
