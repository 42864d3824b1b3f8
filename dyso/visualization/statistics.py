"""Statistics of a dataset's records: patterns, categories, sizes, depths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dyso import records
from dyso.reading import Dataset
from dyso.records import RecordError
from dyso.visualization import contact

FIELDS = (
    *contact.FIELDS,
    "camera_pattern",
    "objects/asset_id",
    "objects/category",
    "objects/pixels",
    "background/asset_id",
    "attempt",
    "joints/name?",
    "objects/clip?",
)
SHARES = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Bin edges of an object's size, as a share of a view's pixels."""
QUANTILES = (0, 5, 25, 50, 75, 95, 100)
MOST = 20
"""The most rows of a bar chart."""
_BAR = 32


def statistics(dataset: Dataset, chosen: Iterable[tuple[str, int]]) -> dict[str, Any]:
    """Returns statistics of scenes, as JSON-serializable values.

    Args:
      dataset: the dataset.
      chosen: splits and positions of the records to read.
    """
    counters = {
        name: Counter[str]()
        for name in (
            *("split", "pattern", "category", "object", "hdri", "attempt"),
            *(["joint"] if dataset.resolved.spec.articulated else []),
            *(["clip"] if dataset.resolved.spec.animated else []),
        )
    }
    objects = Counter[str]()
    shares: list[np.ndarray] = []
    depths: list[tuple[float, float]] = []
    shadows = Counter[bool | None]()
    spec = dataset.resolved.spec
    height, width = spec.resolution
    steps = [step for step, _ in spec.layout.pairs]
    for split, index in chosen:
        record = dataset[split].read(index, fields=FIELDS)
        counters["split"][split] += 1
        counters["pattern"][str(record["camera_pattern"])] += 1
        counters["category"].update(map(str, record["objects/category"]))
        counters["object"].update(map(str, record["objects/asset_id"]))
        counters["hdri"][str(record["background/asset_id"])] += 1
        counters["attempt"][str(record["attempt"])] += 1
        if "joint" in counters:
            counters["joint"].update(map(str, record["joints/name"]))
        if "clip" in counters:
            counters["clip"].update(map(str, filter(None, record["objects/clip"])))
        objects[str(len(record["objects/asset_id"]))] += 1
        shadows[contact.has_contact_shadow(record, steps)] += 1
        shares.append(record["objects/pixels"] / (height * width))
        finite = np.where(np.isfinite(record["depth"]), record["depth"], np.nan)
        flat = finite.reshape(len(finite), -1)
        seen = flat[~np.isnan(flat).all(1)]
        depths += zip(np.nanmin(seen, 1), np.nanmax(seen, 1), strict=True)
    if not shares:
        raise RecordError(f"{dataset.folder}: holds no scenes")
    by_view = np.concatenate([share.ravel() for share in shares])
    visible = np.concatenate([(share > 0).mean(1) for share in shares])
    in_view = by_view[by_view > 0]
    near, far = np.array(depths).T if depths else (np.zeros(0), np.zeros(0))
    classes, _ = np.histogram(in_view, bins=SHARES)
    return {
        "scenes": counters["split"].total(),
        **{name: dict(counter.most_common()) for name, counter in counters.items()},
        "objects_in_a_scene": dict(sorted(objects.items(), key=lambda i: int(i[0]))),
        "object_share_of_view": {
            "quantiles": _quantiles(in_view),
            "histogram": {
                "not seen": int((by_view == 0).sum()),
                **{
                    f"{low:.1%} to {high:.1%}": int(count)
                    for low, high, count in zip(
                        SHARES, SHARES[1:], classes, strict=False
                    )
                },
            },
        },
        "share_of_views_that_show_an_object": {
            "quantiles": _quantiles(visible),
            "always": float((visible == 1).mean()),
            "never": float((visible == 0).mean()),
        },
        "contact_shadow": {
            "scenes": shadows[True],
            "of": shadows[True] + shadows[False],
        },
        "nearest_depth_of_a_view": _quantiles(near),
        "farthest_depth_of_a_view": _quantiles(far),
        "failed": failures(dataset.folder),
    }


def failures(folder: Path) -> dict[str, int]:
    """Returns the number of failed scenes by reason, from metadata.json."""
    path = folder / "metadata.json"
    try:
        failed = records.read_json(path).get("failed", {})
        return {str(reason): int(count) for reason, count in failed.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise RecordError(f"{path}: not a dataset's metadata") from error


def _quantiles(values: np.ndarray) -> dict[str, float]:
    if not values.size:
        return {}
    results = np.percentile(values, QUANTILES)
    return {
        f"{quantile}%": float(f"{value:.4g}")
        for quantile, value in zip(QUANTILES, results, strict=True)
    }


def report(summary: Mapping[str, Any], total: int) -> Iterator[str]:
    """Yields lines of text with bar charts.

    Args:
      summary: the result of `statistics`.
      total: the number of scenes in the dataset.
    """
    yield f"{summary['scenes']:,} of {total:,} scenes"
    titles = {
        "split": "splits",
        "pattern": "camera patterns",
        "category": "categories of objects",
        "object": f"objects ({len(summary['object'])} different)",
        "hdri": f"HDRIs ({len(summary['hdri'])} different)",
        "joint": "joints, by what they move",
        "clip": "objects, by the clip that they play",
        "objects_in_a_scene": "objects in a scene",
        "attempt": "attempts before a scene was accepted",
    }
    for name, title in titles.items():
        if name in summary:
            yield from _bars(title, summary[name])
    share = summary["object_share_of_view"]
    yield from _bars(
        "size of an object in a view, share of its pixels", share["histogram"]
    )
    yield ""
    yield "quantiles" + "".join(f"{f'{quantile}%':>10}" for quantile in QUANTILES)
    visible = summary["share_of_views_that_show_an_object"]
    yield _line("size in a view", share["quantiles"], "{:.2%}")
    yield _line("views showing it", visible["quantiles"], "{:.0%}")
    yield _line("nearest depth, m", summary["nearest_depth_of_a_view"], "{:.2f}")
    yield _line("farthest, m", summary["farthest_depth_of_a_view"], "{:.2f}")
    shadow = summary["contact_shadow"]
    if shadow["of"]:
        yield ""
        yield (
            f"scenes with a visible contact shadow: {shadow['scenes']:,} of "
            f"{shadow['of']:,}, {shadow['scenes'] / shadow['of']:.0%}"
        )
    if summary["failed"]:
        yield from _bars("scenes given up", summary["failed"])


def _bars(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    yield ""
    yield title
    shown = list(counts.items())[:MOST]
    total, largest = sum(counts.values()), max(counts.values(), default=1) or 1
    width = max((len(name) for name, _ in shown), default=0)
    for name, count in shown:
        bar = "█" * round(_BAR * count / largest)
        yield f"  {name or '-':{width}}  {count:7,}  {count / total:6.1%}  {bar}"
    if len(counts) > MOST:
        rest = sum(counts.values()) - sum(count for _, count in shown)
        yield f"  and {len(counts) - MOST} more, {rest:,}"


def _line(title: str, quantiles: Mapping[str, float], form: str) -> str:
    return f"  {title:17}"[:19] + "".join(
        f"{form.format(value):>10}" for value in quantiles.values()
    )
