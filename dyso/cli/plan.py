"""`dyso plan`: what a dataset will hold and cost, from a pilot of its scenes."""

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

# By name of an estimate: what it is of, and its unit.
ROWS = {
    "record_bytes": ("a record", "bytes"),
    "view_bytes": ("a view", "bytes"),
    "dataset_bytes": ("the dataset", "bytes"),
    "scene_core_seconds": ("a scene", "core-seconds"),
    "core_hours": ("the dataset", "core-hours"),
    "wall_hours": ("the dataset", "hours on {cores} cores"),
    "price": ("the dataset", "in money, at {price:g} a core-hour"),
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
    """Say what a dataset will hold and cost, from a pilot of its scenes.

    The pilot's scenes are rendered as `dyso generate` renders them, on this machine's
    cores, and dropped. Times are those of cores like this machine's; core-seconds
    count all processes, and a worker's start by its share.

    Args:
      spec: the spec, a YAML file.
      set: a key of the spec and its value, as YAML, in place of the file's:
        splits.train=100. Paths start at the spec's folder.
      pilot: scenes to render, evenly chosen; 0 checks the spec and its catalogs,
        and counts scenes and views.
      cores: cores that will render it, a worker on each; default: this machine's.
      price: of a core-hour, in any currency.
      timeout: seconds that one scene may take; default: 600, or 3 a view and 2 a
        million samples, if that is more.
      device: what Cycles renders with. Wall hours on a GPU are those of as many
        workers to a GPU as in the pilot.
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
    found: dict[str, Estimate] = {}
    failed: dict[str, int] = {}
    if count:
        require_system_libraries()
        costs, failed = _render(resolved, count, workers, timeout, device)
        found = estimate(
            costs,
            scenes=counts["scenes"],
            views=counts["views_per_scene"],
            cores=cores,
            price=price,
        )
    if json:
        about = {"scenes": count, "workers": workers, "device": device}
        values = counts | {"pilot": about | {"failed": failed}, "cores": cores}
        estimates = {name: asdict(value) for name, value in found.items()}
        print(json_module.dumps(values | {"estimates": estimates}, indent=1))
        return 0
    print(_headline(counts))
    if found:
        print(
            f"pilot: {count} scenes on {workers} workers ({device}), "
            f"{pipeline.say_failures(failed)} failed\n"
        )
        print("\n".join(_table(found, cores, price)))
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
    found: dict[str, Estimate], cores: int, price: float | None
) -> Iterator[str]:
    title = f"{100 * CONFIDENCE:.0f} % interval"
    yield f"{'':14}{'mean':>10}  {title:>22}"
    for name, value in found.items():
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
    yield "times: of cores like this machine's, a worker on each"


def _number(value: float) -> str:
    """Writes three digits, or all before the point if those are more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
