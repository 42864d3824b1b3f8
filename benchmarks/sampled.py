"""Core-seconds of scenes drawn at random from a spec: stock Kubric and this worker.

    python benchmarks/sampled.py specs/starter.yaml --stock-views 5
    python benchmarks/sampled.py specs/starter.yaml --resolution 256 --stock-views 3
    python benchmarks/sampled.py specs/starter.yaml --resolution 128 512 --only-worker

Unlike `render.py`, which chooses scenes that differ in what matters to a renderer, this
draws numbers of `train` scenes without looking at them, and prints the median and the
spread of their cost. It does not measure PSNR: a reference takes core-hours.

Each scene is rendered by stock Kubric (`stock-128`, see `render.py`) and at once by the
worker, both pinned to one CPU, so that the load of the machine changes both alike.
`--stock-views N` renders N evenly chosen views of a scene with stock Kubric, and counts
each of the others as the mean of all but the first: stock Kubric renders every view by
itself. With several specs or resolutions, their scenes take turns. Core-seconds are of
a whole process between two scenes: its start and first picture are not counted, the
loading of assets from the cache is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import measure
import numpy as np
import served

from dyso import assets
from dyso.render.resources import claimed_cpu, usable_cpus
from dyso.sampling import Scene, sample_scene
from dyso.spec import ResolvedSpec

STOCK = {"samples": 128, "denoise": False}


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """The cost of one scene.

    Attributes:
      index: the scene's number in `train`.
      worker: core-seconds of this worker.
      stock: core-seconds of stock Kubric, or None.
    """

    index: int
    worker: float
    stock: float | None


def draw(resolved: ResolvedSpec, count: int, seed: int) -> list[Scene]:
    """Returns scenes with different random numbers below those that `train` has.

    Numbers past the last scene of a small spec are scenes like its own.
    """
    limit = max(resolved.spec.splits["train"], 1000)
    numbers = np.random.default_rng([seed, 0]).choice(limit, count, replace=False)
    return [sample_scene(resolved, "train", int(i)) for i in numbers]


def main() -> None:
    """Parses the command line, renders, and prints what it costs."""
    arguments = parse()
    results: dict[str, list[Sampled]] = {}
    with claimed_cpu() as claimed, ExitStack() as stack:
        cpu = usable_cpus()[0] if claimed is None else claimed
        rows = {}
        for path in arguments.specs:
            for size in arguments.resolution or (None,):
                name = f"{path}, {size} x {size}" if size else str(path)
                costs = _costs(path, size, arguments, cpu)
                rows[name] = stack.enter_context(closing(costs))
                results[name] = []
        for _ in range(arguments.scenes):
            for name, row in rows.items():
                cost = next(row)
                results[name].append(cost)
                stock = "" if cost.stock is None else f", stock {cost.stock:.1f}"
                say(f"{name}: scene {cost.index}: {cost.worker:.2f}{stock}")
    first = next(iter(results.values()))
    for name, costs in results.items():
        _print(name, costs)
        if costs is not first:
            ratios = [a.worker / b.worker for a, b in zip(costs, first, strict=True)]
            print(f"  {np.median(ratios):.2f} times the first (median of the ratios)")
    if arguments.json:
        listed = {name: [asdict(c) for c in costs] for name, costs in results.items()}
        arguments.json.write_text(json.dumps(listed, indent=1) + "\n")


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("specs", type=Path, nargs="+")
    parser.add_argument("--scenes", type=int, default=12, help="default 12")
    parser.add_argument("--seed", type=int, default=0, help="of the scenes' numbers")
    parser.add_argument(
        "--resolution", type=int, nargs="+", help="pixels a side; default: the spec's"
    )
    parser.add_argument("--stock-views", type=int, help="at least 2; default: all")
    parser.add_argument("--only-worker", action="store_true")
    parser.add_argument("--json", type=Path, help="file for all figures")
    return parser.parse_args()


def _costs(
    path: Path, resolution: int | None, arguments: argparse.Namespace, cpu: int
) -> Generator[Sampled, None, None]:
    """Yields the cost of a spec's scenes, one after another."""
    resolved = assets.load(path)
    scenes = draw(resolved, arguments.scenes, arguments.seed)
    if resolution:
        size = (resolution, resolution)
        scenes = [replace(scene, resolution=size) for scene in scenes]
    manifests = resolved.objects.manifest, resolved.backgrounds.manifest
    soaked = served.soak(scenes, len(scenes), manifests, cpu)
    if arguments.only_worker:
        for scene, worker in zip(scenes, soaked, strict=True):
            yield Sampled(index=scene.index, worker=worker.cpu, stock=None)
        return
    with _stock(scenes, manifests, arguments.stock_views, cpu) as stock:
        # First stock Kubric, which fetches the assets into the cache before its clock.
        for scene in scenes:
            cost = next(stock)
            yield Sampled(index=scene.index, worker=next(soaked).cpu, stock=cost)


@contextmanager
def _stock(
    scenes: list[Scene], manifests: tuple[str, str], wanted: int | None, cpu: int
) -> Iterator[Iterator[float]]:
    """Starts stock Kubric; yields an iterator that renders the next scene."""
    count = scenes[0].layout.views
    rendered = min(max(wanted or count, 2), count)
    views = ((np.arange(rendered) + 0.5) * count / rendered).astype(int)
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="dyso-benchmark-", dir=memory) as folder:
        job = STOCK | {
            "objects": manifests[0],
            "hdris": manifests[1],
            "scenes": [asdict(scene) for scene in scenes],
            "scratch": f"{folder}/scratch",
            "out": folder,
            "one_by_one": views.tolist(),
        }
        pipe = subprocess.PIPE
        process = measure.start(
            "stock.py", job, Path(folder), cpu, stdin=pipe, stdout=pipe
        )

        def render() -> Iterator[float]:
            for i in range(len(scenes)):
                assert process.stdin is not None and process.stdout is not None
                process.stdin.write(f"{i}\n".encode())
                process.stdin.flush()
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError((Path(folder) / "stderr").read_text()[-4000:])
                stage, first, others = json.loads(line)
                yield stage + first + others * (count - 1) / (len(views) - 1)

        try:
            yield render()
        finally:
            measure.end(process)


def _print(path: str, costs: list[Sampled]) -> None:
    """Prints a spec's medians, spreads and ratio."""
    print(f"{path}: {len(costs)} random scenes; median (quartiles; smallest, largest)")
    rows = {"worker": np.array([cost.worker for cost in costs])}
    if costs[0].stock is not None:
        rows["stock"] = np.array([cost.stock for cost in costs], float)
        rows["ratio"] = rows["stock"] / rows["worker"]
    for name, values in rows.items():
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        unit = "" if name == "ratio" else " core-seconds a scene"
        print(
            f"  {name:8}{middle:8.2f} ({low:.2f} to {high:.2f}; {values.min():.2f}, "
            f"{values.max():.2f}){unit}"
        )
    if "ratio" in rows:
        sums = rows["stock"].sum() / rows["worker"].sum()
        medians = np.median(rows["stock"]) / np.median(rows["worker"])
        print(f"  ratio of medians {medians:.1f}, of sums {sums:.1f}")


def say(text: str) -> None:
    """Reports progress, apart from the figures."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
