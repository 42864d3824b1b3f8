"""What a GPU makes of it in ten minutes: a wider model, its twin, the full size.

    python benchmarks/gpu.py pack data/reproduction --out build/gpu       # at home
    python benchmarks/gpu.py run build/gpu --out build/results            # on the GPU
    dyso evaluate build/results/swap --data data/reproduction             # at home

`pack` writes scenes' colours, as many as fit into 64 MiB, and the two small pure-Python
packages that `run` needs beside JAX, Flax, Optax and Orbax. `run` needs this repository
and no other package: neither Grain nor Beam, pydantic or ArrayRecord. It

1. times `dyst` at full size for 30 steps on random pictures: steps a second, share of
   the measured matmul peak, memory;
2. trains a `dyst-tiny` of width 256 on 128 scenes a step, for 20,000 steps or 60 % of
   the time that is left;
3. trains its twin without the swap for the rest of the time.

OUT/results.json has the figures after each part, with PSNR, R_cam and R_dyn on scenes
of `test`. OUT/swap and OUT/no-swap are working folders as `dyso train` leaves them.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import lzma
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
LIMIT = 64 << 20
TEST_SCENES = 64
PACKAGES = ("jaxtyping", "wadler_lindig")


def compress(colors: np.ndarray) -> bytes:
    """Returns views [V, H, W, 3] without loss, as differences that xz packs well."""
    values = colors.copy()
    values[..., [0, 2]] -= colors[..., [1]]
    values[:, :, 1:] -= values[:, :, :-1].copy()
    return lzma.compress(values.tobytes())


def decompress(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the views that `compress` was given."""
    values = np.frombuffer(lzma.decompress(data), np.uint8).reshape(shape)
    values = np.cumsum(values, axis=2, dtype=np.uint8)
    values[..., [0, 2]] += values[..., [1]]
    return values


def pack(data: Path, out: Path, limit: int) -> None:
    """Writes what `run` needs into a folder."""
    from dyso.reading import Dataset

    dataset = Dataset(data)
    spec = dataset.resolved.spec
    arrays: dict[str, Any] = {
        "name": np.array(spec.name),
        "steps": np.array(spec.dynamics.steps),
        "cameras": np.array(spec.cameras.count),
        "resolution": np.array(spec.resolution),
    }
    size = 0
    for split, most in (("test", TEST_SCENES), ("train", sys.maxsize)):
        scenes: list[bytes] = []
        for index in range(min(len(dataset[split]), most)):
            scene = compress(dataset[split].read(index, fields=["color"])["color"])
            # A share of 1 % is for the packages and the file's own structure.
            if size + len(scene) > 0.99 * limit:
                break
            size += len(scene)
            scenes.append(scene)
        arrays[split] = np.frombuffer(b"".join(scenes), np.uint8)
        arrays[f"{split}_sizes"] = np.array([len(scene) for scene in scenes])
        print(f"{split}: {len(scenes)} of {len(dataset[split])} scenes")
    out.mkdir(parents=True, exist_ok=True)
    np.savez(out / "scenes.npz", **arrays)
    for name in PACKAGES:
        # With their metadata, from which they read their version.
        for file in importlib.metadata.files(name) or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                (out / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), out / file)
    print(f"{size / 2**20:.1f} MiB in {out}")


def unpack(path: Path, split: str, config: Any) -> Any:
    """Returns a split's scenes in memory, as `dyso.train.memory.load` does."""
    from dyso.train.data import Scenes
    from dyso.train.memory import InMemory, NumberedViews

    with np.load(path) as arrays:
        steps, cameras = int(arrays["steps"]), int(arrays["cameras"])
        height, width = map(int, arrays["resolution"])
        name, data = str(arrays["name"]), arrays[split].tobytes()
        ends = np.cumsum(arrays[f"{split}_sizes"]).tolist()
    shape = (steps * cameras, height, width, 3)
    pictures = np.concatenate(
        [
            decompress(data[begin:end], shape)
            for begin, end in zip([0, *ends], ends, strict=False)
        ]
    )
    spec: Any = SimpleNamespace(
        name=name,
        resolution=(height, width),
        views=steps * cameras,
        dynamics=SimpleNamespace(steps=steps),
        cameras=SimpleNamespace(count=cameras, paired=False),
    )
    views = NumberedViews(spec=spec, count=len(ends), fields={})
    return InMemory(source=Scenes(split=views, config=config), pictures=pictures)


class Shuffled:
    """Batches in a new order each epoch; stands in for `dyso.reading.loader`."""

    def __init__(self, source: Any, *, batch_size: int, seed: int, **_: Any):
        """Takes the loader's arguments; there is one process and no worker."""
        self._source, self._size, self._seed = source, batch_size, seed
        self._number = 0

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        """Returns the next batch, which follows from its number and the seed."""
        epoch, at = divmod(self._number, len(self._source) // self._size)
        self._number += 1
        order = np.random.default_rng([self._seed, epoch]).permutation(
            len(self._source)
        )
        rng = np.random.default_rng([self._seed, epoch, at])
        chosen = order[at * self._size :][: self._size]
        scenes = [self._source.draw(int(index), rng) for index in chosen]
        return {name: np.stack([one[name] for one in scenes]) for name in scenes[0]}

    def get_state(self) -> dict[str, int]:
        """Returns the number of the next batch."""
        return {"number": self._number}

    def set_state(self, state: dict[str, int]) -> None:
        """Continues with a batch."""
        self._number = state["number"]


def train(config: Any, packed: Path, workdir: Path, seconds: float) -> dict[str, Any]:
    """Trains until the last step or for some seconds; returns what was reached."""
    from dyso.train import run

    scenes, evaluated = (unpack(packed, name, config) for name in ("train", "test"))
    metrics: list[dict[str, float]] = []
    start = time.monotonic()
    # The run takes it as the request to save and stop.
    alarm = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
    alarm.daemon = True
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    alarm.start()
    try:
        step = run.train(
            config,
            workdir,
            scenes,
            measured_on=evaluated,
            loader=Shuffled,
            say=lambda line: (metrics.append(line), print(line, flush=True))[0],
            tell=lambda line: print(line, flush=True),
        )
    finally:
        alarm.cancel()
        signal.signal(signal.SIGTERM, before)
    measured = [line for line in metrics if "evaluation/psnr" in line]
    rates = [m["steps_per_second"] for m in metrics if "steps_per_second" in m]
    return {
        "step": step,
        "seconds": time.monotonic() - start,
        "scenes": len(scenes.source),
        "evaluated_scenes": len(evaluated.source),
        "steps_per_second": float(np.median(rates)) if rates else None,
        "last": metrics[-1] if metrics else None,
        "evaluations": measured,
    }


def run(arguments: argparse.Namespace) -> None:
    """Runs the three parts and writes their figures as they come."""
    begin = time.monotonic()
    sys.path[:0] = [str(ROOT), str(arguments.packed.resolve())]
    import jax
    import train as full_size

    from dyso.train.presets import PRESETS

    packed = arguments.packed / "scenes.npz"
    with np.load(packed) as arrays:
        resolution = tuple(map(int, arrays["resolution"]))
        size = min(arguments.batch_size, len(arrays["train_sizes"]))
    arguments.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }

    def note(name: str, values: Any) -> None:
        results[name] = values
        path = arguments.out / "results.json"
        path.write_text(json.dumps(results, indent=1) + "\n")
        print(f"{time.monotonic() - begin:.0f} s: {name} {values}", flush=True)

    def preset(name: str) -> Any:
        config = PRESETS[name].config
        if not arguments.layers:
            return config
        parts = ("encoder_layers", "estimator_layers", "decoder_layers")
        fewer = dict.fromkeys(parts, arguments.layers)
        return dataclasses.replace(
            config, model=dataclasses.replace(config.model, **fewer)
        )

    full = preset(arguments.full_preset)
    if arguments.full_batch_size:
        full = dataclasses.replace(
            full,
            training=dataclasses.replace(
                full.training, batch_size=arguments.full_batch_size
            ),
        )
    note("full_size", full_size.measure(full, arguments.full_steps))

    tiny = preset("dyst-tiny")
    width = arguments.width
    swap = dataclasses.replace(
        tiny,
        model=dataclasses.replace(
            tiny.model,
            **{"resolution": resolution, "width": width, "mlp": 2 * width},
            **{"color_hidden": width, "cnn_width": max(width // 16, 1)},
            compute="bfloat16",
        ),
        training=dataclasses.replace(
            tiny.training,
            **{"steps": arguments.steps, "batch_size": size, "pixels": 1024},
            **{"learning_rate": 5e-4, "final_learning_rate": 5e-5},
            warmup_steps=min(500, arguments.steps // 10),
        ),
        **{"log_every": 100, "save_every": 5_000, "sample_every": 0},
        **{"evaluate_every": 1_000, "evaluate_scenes": TEST_SCENES},
    )
    twin = dataclasses.replace(
        swap, training=dataclasses.replace(swap.training, control="none")
    )
    for name, config, share in (("swap", swap, 0.6), ("no-swap", twin, 1.0)):
        left = arguments.seconds - (time.monotonic() - begin)
        folder = arguments.out / name
        note(name, train(config, packed, folder, max(share * left, 1.0)))


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("data", type=Path)
    packing.add_argument("--out", type=Path, required=True)
    packing.add_argument("--limit", type=int, default=LIMIT, help="bytes")
    running = commands.add_parser("run")
    running.add_argument("packed", type=Path)
    running.add_argument("--out", type=Path, required=True)
    running.add_argument("--seconds", type=float, default=540.0)
    running.add_argument("--steps", type=int, default=20_000)
    running.add_argument("--batch-size", type=int, default=128)
    running.add_argument("--width", type=int, default=256)
    running.add_argument("--layers", type=int, help="of each part of both models")
    running.add_argument("--full-preset", default="dyst")
    running.add_argument("--full-batch-size", type=int)
    running.add_argument("--full-steps", type=int, default=30)
    arguments = parser.parse_args()
    if arguments.command == "pack":
        pack(arguments.data, arguments.out, arguments.limit)
    else:
        run(arguments)


if __name__ == "__main__":
    main()
