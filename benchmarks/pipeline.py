"""Measures the Beam job without rendering: the renderer returns at once.

    python benchmarks/pipeline.py                    1,000, 10,000 and 100,000 scenes
    python benchmarks/pipeline.py --scenes 1000 --workers 2
    python benchmarks/pipeline.py --plan             planning all of specs/dyso.yaml

Each row is a process of its own that makes a dataset, from planning to metadata, in a
folder in memory, with shards and parts of the usual sizes. A scene is one view of 8 x 8
pixels, rendered once and given back for every scene, so what is left is sampling,
encoding, the engine, and files. Core-seconds are user and system time of the process.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

from dyso import assets, pipeline
from dyso.pipeline.output_folder import open_output
from dyso.pipeline.output_layout import OutputLayout
from dyso.pipeline.output_settings import shards_of
from dyso.pipeline.plan import SCENES_PER_PART, Part
from dyso.records.synthetic import synthetic_views
from dyso.render import Views
from dyso.sampling import Scene
from dyso.spec import Asset, Catalog, ResolvedSpec, load_spec
from dyso.storage import open_folder

SPECS = Path(__file__).parents[1] / "specs"
TIMEOUT = 3600.0


class Instant:
    """Returns the same views for every scene."""

    _views: Views | None = None

    def __init__(self, cpu: int | None):
        del cpu

    def render(self, scene: Scene, watch: object = None) -> Views:
        """Returns the first scene's views."""
        if self._views is None:
            self._views = synthetic_views(scene)
        return self._views

    def close(self) -> None:
        """Has nothing to end."""


def small(scenes: int) -> ResolvedSpec:
    """Returns a dataset of scenes of one small view."""
    spec = load_spec(SPECS / "starter.yaml")
    spec = replace(
        spec,
        splits={"train": scenes},
        resolution=(8, 8),
        dynamics=replace(spec.dynamics, steps=1),
        cameras=replace(spec.cameras, count=1),
    )
    return assets.resolve(spec, SPECS)


def one(scenes: int, workers: int) -> dict[str, float]:
    """Makes a dataset; returns its cost."""
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="dyso-benchmark-", dir=memory) as folder:
        job = pipeline.Job(
            resolved=small(scenes),
            output=open_folder(Path(folder) / "data"),
            renderer=Instant,
        )
        start, cpu = time.monotonic(), sum(os.times()[:2])
        made = pipeline.run(job, pipeline.local_flags(workers))
        assert made["rendered"] == scenes
    return {
        "cpu": sum(os.times()[:2]) - cpu,
        "seconds": time.monotonic() - start,
        "memory": peak_memory(),
    }


def large() -> ResolvedSpec:
    """Returns specs/dyso.yaml with catalogs of ShapeNet's and Poly Haven's sizes."""
    box = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    objects = tuple(
        Asset(id=f"{i:032x}", category=f"{i % 55:08}", bounds=box, checksum="0" * 64)
        for i in range(51_300)
    )
    hdris = tuple(Asset(id=f"hdri_{i}") for i in range(382))
    return ResolvedSpec(
        spec=load_spec(SPECS / "dyso.yaml"),
        objects=Catalog(name="objects", manifest="objects.json", assets=objects),
        backgrounds=Catalog(name="hdris", manifest="hdris.json", assets=hdris),
    )


def plan() -> dict[str, float]:
    """Plans a whole dataset three times: anew, with all parts there, all shards."""
    resolved = large()
    found: dict[str, float] = {}
    say(f"imports and catalogs: {peak_memory() / 1e6:.0f} MB")
    with tempfile.TemporaryDirectory(prefix="dyso-benchmark-") as folder:
        job = pipeline.Job(resolved=resolved, output=open_folder(Path(folder) / "data"))
        parts: list[Part] = []
        for name in ("anew", "parts there", "shards there"):
            start = time.monotonic()
            with open_output(resolved, job.output) as work:
                shards = shards_of(work, resolved)
                there = work.shard_reports(shards)
                pipeline.Progress(work, shards)
                todo = [s for s, a in zip(shards, there, strict=True) if a is None]
                parts = [p for s in todo for p in work.parts(s, SCENES_PER_PART)]
                found[name] = time.monotonic() - start
                say(f"{name}: {len(todo)} shards and {len(parts)} parts to look after")
                for part in parts if name == "anew" else ():
                    names = (work.part_file(part, s) for s in ("array_record", "json"))
                    _pretend(work, part.start, part.stop, part.shard.split, *names)
                for shard in shards if name == "parts there" else ():
                    work.output.remove_folder(work.parts_folder(shard))
                    names = work.shard_file(shard), work.shard_report_file(shard)
                    _pretend(work, shard.start, shard.stop, shard.split, *names)
    found["memory"] = peak_memory()
    return found


def peak_memory() -> int:
    """Returns the peak memory of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _pretend(
    work: OutputLayout, start: int, stop: int, split: str, file: str, account: str
) -> None:
    """Writes a file of one byte, and an account that holds for it."""
    own = pipeline.ShardReport(
        spec_hash=work.spec_hash,
        split=split,
        start=start,
        stop=stop,
        records=stop - start,
        bytes=1,
        sha256="0" * 64,
        seconds=1.0,
        core_seconds=1.0,
        failures=(),
        retries=(),
    )
    folder = Path(str(work.output))
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(b"0")
    (folder / account).write_text(json.dumps(asdict(own)))


def in_a_process(*arguments: str) -> dict[str, float]:
    """Runs this script for one row; returns its figures."""
    done = subprocess.run(
        [sys.executable, __file__, "--row", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=TIMEOUT,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Prints the table, or one row of it as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--scenes", type=int, nargs="+", default=[1_000, 10_000, 100_000]
    )
    parser.add_argument("--workers", type=int, default=1, help="threads")
    parser.add_argument("--plan", action="store_true", help="planning alone")
    parser.add_argument("--row", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        row = plan() if arguments.plan else one(*arguments.scenes, arguments.workers)
        print(json.dumps(row))
        return
    if arguments.plan:
        found = in_a_process("--plan")
        memory = found.pop("memory")
        for name, seconds in found.items():
            print(f"1,110,000 scenes, {name:12} {seconds:6.2f} s")
        print(f"memory at the peak {memory / 1e6:.0f} MB")
        return
    print(f"{'scenes':>8} {'core-ms a scene':>16} {'seconds':>8} {'memory':>8}")
    for scenes in arguments.scenes:
        found = in_a_process(
            "--scenes", str(scenes), "--workers", str(arguments.workers)
        )
        print(
            f"{scenes:8} {1000 * found['cpu'] / scenes:16.2f} "
            f"{found['seconds']:8.1f} {found['memory'] / 1e6:5.0f} MB",
            flush=True,
        )


def say(text: str) -> None:
    """Reports progress, apart from the table."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
