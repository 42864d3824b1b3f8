"""`dyso plan`: estimates a dataset's size and cost from a pilot of its scenes."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tyro

from dyso import pipeline, terminal
from dyso.cli.arguments import Overrides
from dyso.cli.bar import Bar
from dyso.pipeline.estimate import CONFIDENCE, Cost, Estimate, estimate
from dyso.pipeline.pilot import run_pilot
from dyso.render import Device, image_bytes
from dyso.render.resources import default_workers, require_system_libraries, usable_cpus
from dyso.spec import ResolvedSpec, Spec, UserError

# For each estimate: what it describes, and its unit.
ROWS = {
    "record_bytes": ("a record", "bytes"),
    "view_bytes": ("a view", "bytes"),
    "dataset_bytes": ("the dataset", "bytes"),
    "scene_core_seconds": ("a scene", "core-seconds"),
    "core_hours": ("the dataset", "core-hours"),
    "wall_hours": ("the dataset", "hours on {cores} cores"),
    "price": ("the dataset", "in money, at {price:g} per core-hour"),
}
BYTES = {"TB": 1e12, "GB": 1e9, "MB": 1e6, "kB": 1e3, "bytes": 1.0}


def main(
    spec: tyro.conf.Positional[Path],
    /,
    *,
    set: Overrides = (),
    pilot: int = 8,
    cores: int | None = None,
    price: float | None = None,
    timeout: float | None = None,
    device: Device = "cpu",
    json: bool = False,
) -> int:
    """Estimate a dataset's size and cost from a pilot of its scenes.

    The pilot renders some scenes as `dyso generate` would, on all cores of this
    machine, and keeps none of them. The estimated times are for cores like those of
    this machine. Core-seconds include all processes and a share of the worker's start.

    Args:
      spec: the spec, a YAML file.
      set: a key of the spec and the YAML value to use instead of the file's, such as
        splits.train=100. Relative paths start at the spec's folder.
      pilot: the number of scenes to render, evenly spaced. With 0, only the spec and
        its catalogs are checked, and scenes and views counted.
      cores: the cores that will render the dataset, one worker on each; default: all
        cores of this machine.
      price: the price of a core-hour, in any currency.
      timeout: the most seconds for one scene; default: 600, or 3 per view plus 2 per
        million samples, if that is more.
      device: what Cycles renders with. The wall hours assume as many workers per GPU
        as in the pilot.
      json: print JSON, in bytes, seconds and hours.
    """
    for name, value, least in (("pilot", pilot, 0), ("cores", cores, 1)):
        if value is not None and value < least:
            raise UserError(f"{name}: must be at least {least}, got {value}")
    for name, number in (("price", price), ("timeout", timeout)):
        if number is not None and not number > 0:
            raise UserError(f"{name}: must be above 0, got {number:g}")
    resolved = pipeline.load(spec, overrides=set)
    described = resolved.spec
    cores = cores or len(usable_cpus())
    counts = _counts(described)
    count = min(pilot, counts["scenes"])
    workers = min(default_workers(image_bytes(described)), count)
    estimates: dict[str, Estimate] = {}
    failed: dict[str, int] = {}
    if count:
        require_system_libraries()
        costs, failed = _render(resolved, count, workers, timeout, device)
        estimates = estimate(
            costs,
            scenes=counts["scenes"],
            views=counts["views_per_scene"],
            cores=cores,
            price=price,
        )
    if json:
        about = {"scenes": count, "workers": workers, "device": device}
        values = counts | {"pilot": about | {"failed": failed}, "cores": cores}
        as_json = {name: asdict(value) for name, value in estimates.items()}
        print(json_module.dumps(values | {"estimates": as_json}, indent=1))
        return 0
    print(_headline(counts))
    if estimates:
        print(
            f"pilot: {count} scenes on {workers} workers ({device}), "
            f"{pipeline.say_failures(failed)} failed\n"
        )
        print("\n".join(_table(estimates, cores, price)))
    return 0


def _counts(spec: Spec) -> dict[str, Any]:
    scenes = sum(spec.splits.values())
    views = spec.views
    return {
        "dataset": spec.name,
        "splits": dict(spec.splits),
        "scenes": scenes,
        "views_per_scene": views,
        "views": scenes * views,
        "resolution": list(spec.resolution),
    }


def _render(
    resolved: ResolvedSpec,
    count: int,
    workers: int,
    timeout: float | None,
    device: Device,
) -> tuple[list[Cost], dict[str, int]]:
    print(f"rendering {count} scenes on {workers} workers ...", file=sys.stderr)
    with Bar("scenes", waiting="starting Blender") as bar:
        bar.show(0, count)
        costs, failures = run_pilot(
            resolved,
            count,
            workers=workers,
            timeout=timeout,
            device=device,
            watch=lambda done: bar.show(done, count),
        )
    reasons = [failure.reason for failure in failures]
    return costs, {reason: reasons.count(reason) for reason in reasons}


def _headline(counts: dict[str, Any]) -> str:
    splits = ", ".join(f"{name} {n:,}" for name, n in counts["splits"].items())
    return (
        f"{counts['dataset']}: {counts['scenes']:,} scenes ({splits}) of "
        f"{counts['views_per_scene']} views, {counts['views']:,} views of "
        f"{terminal.size(*counts['resolution'])}"
    )


def _table(
    estimates: dict[str, Estimate], cores: int, price: float | None
) -> Iterator[str]:
    title = f"{100 * CONFIDENCE:.0f} % interval"
    yield f"{'':14}{'mean':>10}  {title:>22}"
    for name, value in estimates.items():
        what, unit = ROWS[name]
        shown = value
        if unit == "bytes":
            unit, size = next(u for u in BYTES.items() if value.mean >= u[1] * 0.9995)
            shown = value * (1 / size)
        interval = (
            "unknown from one scene"
            if shown.low is None or shown.high is None
            else f"{_number(shown.low)} to {_number(shown.high)}"
        )
        unit = unit.format(cores=cores, price=price)
        yield f"{what:14}{_number(shown.mean):>10}  {interval:>22}  {unit}"
    yield ""
    yield "intervals: Student's t of the mean of the pilot's scenes"
    yield "times: for cores like those of this machine, one worker on each"


def _number(value: float) -> str:
    """Formats a number with three significant digits, or as a larger integer."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
