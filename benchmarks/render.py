"""Core-seconds a scene, peak memory and PSNR: stock Kubric and this worker.

    python benchmarks/render.py                      the table
    python benchmarks/render.py --rows default exact --views 5
    python benchmarks/render.py --scaling            one worker against one a CPU
    python benchmarks/render.py --soak 200           many scenes in one worker
    python benchmarks/render.py --soak 20 --spec specs/dyso-open.yaml --resolution 512

`sampled.py` compares the cost of scenes that are drawn at random from any spec.

All rows show the same scenes of specs/starter.yaml: meshes, poses, cameras, materials,
HDRIs, dome, view transform and exposure are equal, dither is off. Each row is a process
of its own, pinned to one CPU by affinity with Blender's threads on AUTO, its files on
tmpfs, and renders all views of every scene.

- `stock-128`: kubric-nightly's own Blender view with its own return layers, frame by
  frame through its EXR and PNG files and post-processing, at MultiShapeNet's 128
  samples without denoiser; the sampler is not adaptive.
- `stock-64-denoised`: the same at 64 samples with OpenImageDenoise, as MOVi has it.
- the worker's presets. `rest` is what is not path tracing or denoising, as a share:
  the worker's other stages, encoding into a record, and what Cycles' calls cost by
  themselves, which is their stage at 16 x 16 pixels and one sample.

Core-seconds: user and system time of the whole process tree, without its start (that
of the same process without scenes), plus a hundredth of the start. Peak memory: of the
largest process. PSNR: of the mean squared error over a scene's views, the mean over
scenes; `worst` is the worst view's. The box is that of the object's projected vertices,
4 pixels wider. The reference is stock Kubric's view at 2048 samples, whole frames,
without denoiser, with other seeds. Its views are cached one by one, so a stopped run
resumes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import measure
import numpy as np
import served

from dyso import assets
from dyso.assets.starter import cache_folder
from dyso.render.resources import claimed_cpu, usable_cpus
from dyso.sampling import Scene, sample_scene

# Fields of dyso.spec.Render by preset.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "exact": {"samples": 96},
}
# What leaves of Cycles' calls next to nothing but the calls.
UNTRACED: dict[str, Any] = {"samples": 1, "denoise": False}
UNTRACED_RESOLUTION = (16, 16)
STOCK: dict[str, dict[str, Any]] = {
    "stock-128": {"samples": 128, "denoise": False},
    "stock-64-denoised": {"samples": 64, "denoise": True},
}
SPEC = Path(__file__).parents[1] / "specs" / "starter.yaml"
NO_STAGES = ("start", "cpu")  # among a worker's timings
STARTS_PER = 100  # scenes that share one start
SOAK_WINDOW = 50


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a row costs.

    Attributes:
      scene: core-seconds a scene, its share of the start included.
      start: core-seconds of the start.
      memory: bytes at the peak.
      encode: core-seconds a scene for the record, not in `scene`.
      timings: the worker's own seconds a scene by stage.
    """

    scene: float
    start: float
    memory: int
    encode: float
    timings: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
      name: the row's.
      cost: of a scene.
      whole: quality of whole images.
      box: quality in the objects' boxes.
      rest: share of all but path tracing and denoising, for this worker's rows.
    """

    name: str
    cost: Cost
    whole: measure.Quality
    box: measure.Quality
    rest: float | None


class Benchmark:
    """The scenes, their reference, and the rows on them."""

    def __init__(self, scenes: list[Scene], manifests: tuple[str, str], cpu: int):
        self.scenes, self.manifests, self.cpu = scenes, manifests, cpu
        self._starts: dict[str, float] = {}

    def row(self, name: str, references: list[Path], views: list[int]) -> Row:
        """Measures one row."""
        script, fields = (
            ("stock.py", STOCK[name]) if name in STOCK else ("served.py", PRESETS[name])
        )
        say(f"{name}: {len(self.scenes)} scenes")
        with scratch() as folder:
            cost = self._cost(script, fields, folder)
            errors = [
                measure.squared_errors(np.load(folder / f"color-{i}.npy"), of, views)
                for i, of in enumerate(references)
            ]
        rest = None
        if name in PRESETS:
            say(f"{name}: again without path tracing")
            small = [replace(s, resolution=UNTRACED_RESOLUTION) for s in self.scenes]
            with scratch() as folder:
                calls = self._cost(script, fields | UNTRACED, folder, small)
            stages = cost.timings | {"encode": cost.encode}
            total = sum(stages[name] for name in stages if name not in NO_STAGES)
            others = total - stages["render"] + calls.timings["render"]
            rest = others / total
        whole, box = zip(*errors, strict=True)
        return Row(
            name=name,
            cost=cost,
            whole=measure.quality(whole),
            box=measure.quality(box),
            rest=rest,
        )

    def _cost(
        self,
        script: str,
        fields: dict[str, Any],
        folder: Path,
        scenes: list[Scene] | None = None,
    ) -> Cost:
        scenes = scenes or self.scenes
        if script not in self._starts:
            with scratch() as empty:
                usage, report = self._run(script, fields, [], empty)
            self._starts[script] = usage.cpu - report.get("excluded", 0.0)
        start = self._starts[script]
        usage, report = self._run(script, fields, scenes, folder)
        count = len(scenes)
        work = usage.cpu - report.get("excluded", 0.0) - start
        return Cost(
            scene=work / count + start / STARTS_PER,
            start=start,
            memory=usage.memory,
            encode=report.get("encode", 0.0) / count,
            timings={k: s / count for k, s in report.get("timings", {}).items()},
        )

    def _run(
        self, script: str, fields: dict[str, Any], scenes: list[Scene], folder: Path
    ) -> tuple[measure.Usage, dict[str, Any]]:
        if script == "stock.py":
            job = self._job(scenes, folder) | fields
        else:
            job = self._job(
                [replace(s, render=replace(s.render, **fields)) for s in scenes], folder
            )
        process = measure.start(script, job, folder, self.cpu)
        usage = measure.finish(process, folder)
        return usage, json.loads((folder / "report.json").read_text())

    def references(self, samples: int, views: list[int], cache: Path) -> list[Path]:
        """Renders what the reference lacks, on all CPUs; returns a folder per scene."""
        cpus = usable_cpus()
        say(
            f"reference: {len(self.scenes)} scenes, {len(views)} views each, "
            f"{samples} samples, on {len(cpus)} CPUs, in {cache}"
        )
        with scratch() as folder:
            running = []
            for i, cpu in enumerate(cpus):
                own = folder / str(i)
                own.mkdir()
                job = self._job(self.scenes, own) | {
                    "samples": samples,
                    "denoise": False,
                    "cache": str(cache),
                    "views": views,
                    "share": [i, len(cpus)],
                }
                running.append((measure.start("stock.py", job, own, cpu), own))
            try:
                for process, own in running:
                    measure.finish(process, own)
            finally:
                for process, _ in running:
                    measure.end(process)
            report = json.loads((folder / "0" / "report.json").read_text())
        return [Path(path) for path in report["folders"]]

    def _job(self, scenes: list[Scene], folder: Path) -> dict[str, Any]:
        return {
            "objects": self.manifests[0],
            "hdris": self.manifests[1],
            "scenes": [asdict(scene) for scene in scenes],
            "scratch": str(folder / "scratch"),
            "out": str(folder),
        }


def main() -> None:
    """Parses the command line and prints what it asks for."""
    arguments = parse()
    resolved = assets.load(arguments.spec)
    scenes = []
    if not arguments.soak:
        scenes = measure.choose_scenes(resolved, arguments.scenes)
    for scene in scenes:
        say(
            f"scene {scene.index}: {scene.pattern}, {scene.objects[0].asset_id}, "
            f"{scene.background.asset_id}"
        )
    manifests = resolved.objects.manifest, resolved.backgrounds.manifest
    with claimed_cpu() as claimed:
        cpu = usable_cpus()[0] if claimed is None else claimed
        if arguments.scaling:
            result = scaling(scenes, manifests, arguments.scaling)
        elif arguments.soak:
            window = min(SOAK_WINDOW, arguments.soak // 2)
            scenes = [sample_scene(resolved, "train", i) for i in range(window)]
            if arguments.resolution:
                size = (arguments.resolution, arguments.resolution)
                scenes = [replace(scene, resolution=size) for scene in scenes]
            result = soak(scenes, arguments.soak, manifests, cpu)
        else:
            result = table(Benchmark(scenes, manifests, cpu), arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*STOCK, *PRESETS]
    parser.add_argument("--rows", nargs="+", choices=names, default=names)
    parser.add_argument("--scenes", type=int, default=4, help="default 4")
    parser.add_argument(
        "--views", type=int, help="views a scene, evenly chosen, that PSNR looks at"
    )
    parser.add_argument("--reference-samples", type=int, default=2048)
    parser.add_argument(
        "--cache",
        type=Path,
        default=cache_folder() / "references",
        help="of references",
    )
    parser.add_argument("--scaling", type=int, nargs="?", const=len(usable_cpus()))
    parser.add_argument("--soak", type=int, help="scenes in one worker")
    parser.add_argument("--spec", type=Path, default=SPEC, help="the scenes of --soak")
    parser.add_argument("--resolution", type=int, help="pixels a side, for --soak")
    parser.add_argument("--json", type=Path, help="file for all figures")
    arguments = parser.parse_args()
    if arguments.scenes < 1:
        parser.error("--scenes: at least 1")
    if arguments.soak is not None and arguments.soak < 2:
        parser.error("--soak: at least 2")
    if arguments.scaling and arguments.scaling > len(usable_cpus()):
        parser.error(f"--scaling: this machine has {len(usable_cpus())} CPUs")
    return arguments


def table(benchmark: Benchmark, arguments: argparse.Namespace) -> dict[str, Any]:
    """Prints the rows; returns all figures."""
    scene = benchmark.scenes[0]
    count = scene.layout.views
    wanted = min(arguments.views or count, count)
    views = sorted(set(np.linspace(0, count - 1, wanted).round().astype(int).tolist()))
    references = benchmark.references(
        arguments.reference_samples, views, arguments.cache
    )
    print(
        f"{len(benchmark.scenes)} scenes of {count} views, {scene.resolution[0]} x "
        f"{scene.resolution[1]}; PSNR over {len(views)} views a scene, reference at "
        f"{arguments.reference_samples} samples"
    )
    print(
        f"{'':18} {'core-s':>8} {'to first':>8} {'start':>6} {'memory':>8}"
        f" {'PSNR':>6} {'worst':>6} {'box':>6} {'worst':>6} {'rest':>6}"
    )
    rows: list[Row] = []
    for name in arguments.rows:
        row = benchmark.row(name, references, views)
        rows.append(row)
        cost, whole, box = row.cost, row.whole, row.box
        rest = "" if row.rest is None else f"{row.rest:6.1%}"
        print(
            f"{name:18} {cost.scene:8.2f} {rows[0].cost.scene / cost.scene:7.1f}x "
            f"{cost.start:6.2f} {cost.memory / 1e6:5.0f} MB {whole.mean:6.2f} "
            f"{whole.worst:6.2f} {box.mean:6.2f} {box.worst:6.2f} {rest:>6}",
            flush=True,
        )
    for row in rows:
        if row.cost.timings:
            stages = row.cost.timings | {"encode": row.cost.encode}
            listed = ", ".join(f"{k} {s:.2f}" for k, s in stages.items())
            print(f"{row.name}, seconds a scene by stage: {listed}")
    return {
        "scenes": [asdict(scene) for scene in benchmark.scenes],
        "views": views,
        "reference_samples": arguments.reference_samples,
        "rows": [asdict(row) for row in rows],
    }


def scaling(
    scenes: list[Scene], manifests: tuple[str, str], workers: int
) -> dict[str, Any]:
    """Prints how the rate grows with workers; returns the figures."""
    alone = served.speed(scenes, manifests, usable_cpus()[:1])
    together = served.speed(scenes, manifests, usable_cpus()[:workers])
    ratio = together.rate / alone.rate / workers
    for name, speed in (("1 worker", alone), (f"{workers} workers", together)):
        print(f"{name:12} {speed.rate:8.4f} scenes/s {speed.cpu:8.2f} core-s a scene")
    print(
        f"{ratio:.3f} of {workers} times the rate of one; by core-seconds "
        f"{alone.cpu / together.cpu:.3f}"
    )
    return {
        "workers": workers,
        "alone": asdict(alone),
        "together": asdict(together),
        "ratio": ratio,
    }


def soak(
    scenes: list[Scene], count: int, manifests: tuple[str, str], cpu: int
) -> dict[str, Any]:
    """Prints a worker's cost and memory over many scenes; returns the figures.

    The scenes come again every `SOAK_WINDOW`, so that the last and the first are the
    same ones.
    """
    window, past = len(scenes), []
    for i, done in enumerate(served.soak(scenes, count, manifests, cpu), start=1):
        past.append(done)
        if i % 10 == 0 or i == count:
            recent = past[-10:]
            cpu_seconds = sum(one.cpu for one in recent) / len(recent)
            print(
                f"{i:5} scenes {cpu_seconds:8.2f} core-s a scene "
                f"{done.memory / 1e6:7.0f} MB",
                flush=True,
            )
    first, last = (
        sum(one.cpu for one in part) for part in (past[:window], past[-window:])
    )
    print(
        f"last {window} / first {window}: {last / first:.3f} core-seconds, "
        f"{past[-1].memory / past[window - 1].memory:.3f} memory; at the peak "
        f"{past[-1].peak / 1e6:.0f} MB"
    )
    return {
        "ratio": last / first,
        "cpu": [one.cpu for one in past],
        "memory": [one.memory for one in past],
        "peak": past[-1].peak,
    }


@contextmanager
def scratch() -> Iterator[Path]:
    """Yields a folder in /dev/shm if it exists, else a temporary folder."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="dyso-benchmark-", dir=memory) as folder:
        yield Path(folder)


def say(text: str) -> None:
    """Reports progress, apart from the table."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
