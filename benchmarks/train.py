"""Training: steps a second, FLOPs, share of the device's matmul peak, memory, loading.

    python benchmarks/train.py dyst-tiny                     on random pictures
    python benchmarks/train.py dyst --data data/dyso         with the loader's share
    python benchmarks/train.py dyst --micro-batch 64         where memory is short

FLOPs are XLA's own count of the compiled forward pass, by module. A step is three
forward passes (the backward pass counts as two), without recomputed activations. The
peak is the best of products of square matrices of 1024 to 8192 a side, in the type that
the model computes in, measured in the same run. Times are medians.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyso.train import device_memory
from dyso.train.config import Config
from dyso.train.data import Scenes
from dyso.train.model import Dyst
from dyso.train.presets import PRESETS
from dyso.train.step import (
    devices_mesh,
    init_params,
    init_state,
    make_step,
    place,
    repeated,
)

SIZES = (1024, 2048, 4096, 8192)
REPEATS = 5


def random_batches(config: Config) -> Iterator[dict[str, np.ndarray]]:
    """Yields one batch of random pictures again and again."""
    training, rng = config.training, np.random.default_rng(0)
    size, views = training.batch_size, training.inputs + training.targets

    def pictures(count: int) -> np.ndarray:
        shape = (size, count, *config.model.resolution, 3)
        return rng.integers(0, 256, shape, np.uint8)

    targets = np.arange(training.targets, dtype=np.int32)
    batch = {
        "inputs": pictures(training.inputs),
        "targets": pictures(training.targets),
        "cameras": np.tile(targets % 2, (size, 1)),
        "dynamics": np.tile(targets // 2, (size, 1)),
    }
    if config.model.target_poses == "given":
        batch["intrinsics"] = np.tile(np.eye(3, dtype=np.float32), (size, views, 1, 1))
        batch["extrinsics"] = rng.normal(size=(size, views, 3, 4)).astype(np.float32)
    while True:
        yield batch


def flops(config: Config) -> dict[str, float]:
    """Returns the FLOPs of a scene's forward pass by module, as XLA counts them."""
    # In float32 and unfused: XLA cannot look into cuDNN's attention.
    model = dataclasses.replace(config.model, compute="float32", remat="none")
    config = dataclasses.replace(config, model=model)
    training = config.training
    variables = {"params": jax.eval_shape(lambda: init_params(config))}

    def array(*shape: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((1, *shape), dtype)

    def count(method: str, *arguments: Any) -> float:
        def run(*arguments: Any) -> Any:
            return Dyst(model).apply(*arguments, method=method)

        with jax.default_device(jax.devices("cpu")[0]):
            lowered = jax.jit(run).lower(variables, *arguments)
            analysis = lowered.compile().cost_analysis()
        return float(analysis["flops"])

    inputs = array(training.inputs, *model.resolution, 3)
    scene = array(model.tokens_a_view * training.inputs, model.width)
    pixels = training.pixels
    owners, positions = array(pixels, dtype=jnp.int32), array(pixels, 2)
    latents = {name: array(training.targets, n) for name, n in model.latents.items()}
    given = model.target_poses == "given"
    rays = (array(*inputs.shape[1:-1], 6) if model.input_poses else None,)
    decoded = (latents, owners, positions, scene, array(pixels, 6) if given else None)
    result = {"encoder": count("encode", inputs, *rays)}
    if latents:
        targets = array(training.targets, *model.resolution, 3)
        right = array(training.targets, dtype=bool) if model.estimator_half else None
        result["estimator"] = count("estimate", targets, scene, right)
    return result | {"decoder": count("decode", *decoded)}


def peak(dtype: Any) -> float:
    """Returns the most FLOPs a second that a product of matrices reached."""
    best = 0.0
    for size in SIZES:
        # Random values: a device multiplies constants with less power, and faster.
        matrix = jax.random.normal(jax.random.key(0), (size, size), dtype)
        product = jax.jit(jnp.matmul)
        product(matrix, matrix).block_until_ready()
        seconds = median(lambda: product(matrix, matrix).block_until_ready())  # noqa: B023
        best = max(best, 2 * size**3 / seconds)
        if seconds > 0.1:
            break
    return best


def median(function: Callable[[], Any]) -> float:
    """Returns the median of the seconds that a call takes."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Prints the figures of one preset."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset", choices=PRESETS)
    parser.add_argument("--data", type=Path, help="a dataset, to count its loading too")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--micro-batch", type=int)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    config = PRESETS[arguments.preset].config
    changes = {
        name: getattr(arguments, name)
        for name in ("batch_size", "micro_batch")
        if getattr(arguments, name)
    }
    training = dataclasses.replace(config.training, **changes)
    config = dataclasses.replace(config, training=training)
    batches = random_batches(config)
    if arguments.data:
        from dyso.reading import Dataset, loader

        source = Scenes(split=Dataset(arguments.data)["train"], config=config)
        size = config.training.batch_size
        batches = iter(loader(source, batch_size=size, seed=0))

    print(
        f"{arguments.preset} on {jax.device_count()} x {jax.devices()[0].device_kind}"
    )
    figures = measure(config, arguments.steps, batches)
    for name, value in figures["gflops_forward"].items():
        print(f"{name:10} {value:10.2f} GFLOPs a scene, forward")
    size, held = config.training.batch_size, figures["micro_batch"]
    print(
        f"{size} scenes a step, {held} at a time, "
        f"{figures['steps_per_second']:.3f} steps/s"
    )
    print(
        f"{figures['tflops_per_second']:.3f} TFLOP/s, "
        f"{figures['share_of_peak']:.1%} of the matmul peak"
    )
    print(f"loading: {figures['loading_share']:.1%} of a step")
    if figures["memory_gb"] is not None:
        print(f"memory at the peak: {figures['memory_gb']:.1f} GB")


def measure(
    config: Config, steps: int, batches: Iterator[dict[str, np.ndarray]] | None = None
) -> dict[str, Any]:
    """Returns the figures of one preset, each step timed to its end.

    Args:
      config: the run.
      steps: to time, after one that compiles.
      batches: to train on; None trains on random pictures.
    """
    batches = batches or random_batches(config)
    device, mesh = jax.devices()[0], devices_mesh()
    config = device_memory.fit(config, mesh, 0, print)
    by_module = flops(config)
    step = make_step(config, mesh, video=False)
    state = jax.device_put(init_state(config), repeated(mesh))
    state, metrics = step(state, place(next(batches), mesh), None)
    jax.block_until_ready(metrics)
    waited, times = 0.0, []
    for _ in range(steps):
        start = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - start
        state, metrics = step(state, place(batch, mesh), None)
        jax.block_until_ready(metrics)
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    rate = 3 * sum(by_module.values()) * config.training.batch_size / seconds
    stats = device.memory_stats() or {}
    memory = stats.get("peak_bytes_in_use")
    limit = peak(config.model.compute_dtype) * jax.device_count()
    return {
        "gflops_forward": {name: value / 1e9 for name, value in by_module.items()},
        "micro_batch": config.training.micro_batch or config.training.batch_size,
        "steps_per_second": 1 / seconds,
        "tflops_per_second": rate / 1e12,
        "peak_tflops_per_second": limit / 1e12,
        "share_of_peak": rate / limit,
        "loading_share": waited / sum(times),
        "memory_gb": None if memory is None else memory / 1e9,
    }


if __name__ == "__main__":
    main()
