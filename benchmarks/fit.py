"""Gradient steps of the Gaussian rasterizer against plain sketches of it.

    python benchmarks/fit.py
    python benchmarks/fit.py --gaussians 1000 --side 64 --dense

A step is the L1 loss of one image and its gradient for all parameters. The sketches
differentiate the same projection automatically. `tiles` sorts once by depth, gives each
tile of 8 x 8 pixels the first 64 Gaussians that touch it, and composites in logarithms;
what is behind those 64 is lost. `--dense` adds one that composites all Gaussians at all
pixels, some rows at a time, whose rows are computed again in the backward pass; it
takes minutes at the default size. All take turns, after a step that compiles; times are
medians, in wall seconds and in CPU seconds of all threads.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyso import geometry
from dyso.fit.gaussians import rasterizer
from dyso.fit.gaussians.projection import Camera, Splats, project
from dyso.fit.gaussians.tiles import LEAST_ALPHA, TILE, count_entries

LISTED = 64
ROWS = 1  # of pixels, that the dense sketch composites at once


def random_scene(count: int, side: int) -> tuple[tuple[jax.Array, ...], Camera]:
    """Returns Gaussians in a cube of 2 m (see `render`), and a camera before it."""
    rng = np.random.default_rng(0)
    gaussians = (
        rng.uniform(-1, 1, (count, 3)),
        rng.normal(size=(count, 4)),
        np.exp(rng.normal(np.log(0.025), 0.4, (count, 3))),
        rng.uniform(0.1, 0.95, count),
        rng.uniform(0, 1, (count, 3)),
    )
    position = np.array([3.0, -2.0, 1.5])
    rotation = geometry.look_at(position, np.zeros(3))
    pose = np.concatenate([rotation, position[:, None]], axis=1)
    lens = geometry.intrinsics(np.array(35.0), np.array(32.0), side, side)
    camera = Camera(
        jnp.asarray(lens, jnp.float32), jnp.asarray(geometry.invert(pose), jnp.float32)
    )
    return tuple(jnp.asarray(each, jnp.float32) for each in gaussians), camera


def alphas(splats: Splats, x: jax.Array, y: jax.Array) -> jax.Array:
    """Returns the opacity of each Gaussian at each position: [N, ...]."""
    axes = (slice(None), *[None] * x.ndim)
    xx, xy, yy = (each[axes] for each in splats.covariances.T)
    dx, dy = x - splats.centers[:, 0][axes], y - splats.centers[:, 1][axes]
    power = (yy * dx**2 - 2 * xy * dx * dy + xx * dy**2) / (xx * yy - xy**2)
    alpha = splats.opacities[axes] * jnp.exp(-power / 2)
    alpha = jnp.minimum(alpha, rasterizer.MOST_ALPHA)
    return jnp.where(alpha < LEAST_ALPHA, 0.0, alpha)


def weights(alpha: jax.Array) -> jax.Array:
    """Returns alpha times the transmittance of all before it, along the first axis."""
    log_kept = jnp.log1p(-alpha)
    return alpha * jnp.exp(jnp.cumsum(log_kept, axis=0) - log_kept)


def by_distance(splats: Splats, values: jax.Array) -> tuple[Splats, jax.Array]:
    """Returns splats and their values from the nearest to the farthest."""
    order = jnp.argsort(splats.distances)
    return Splats(*(each[order] for each in splats)), values[order]


def dense(splats: Splats, values: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Composites all Gaussians at all pixels: [H, W, D]."""
    splats, values = by_distance(splats, values)
    height, width = size

    @jax.checkpoint
    def rows(first: jax.Array) -> jax.Array:
        x, y = jnp.meshgrid(jnp.arange(width), first + jnp.arange(ROWS))
        return jnp.einsum(
            "nyx,nd->yxd", weights(alphas(splats, x + 0.5, y + 0.5)), values
        )

    image = jax.lax.map(rows, jnp.arange(0, height, ROWS))
    return image.reshape(height, width, -1)


def listed(splats: Splats, values: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Composites the first Gaussians that touch each tile: [H, W, D]."""
    splats, values = by_distance(splats, values)
    height, width = size
    rows, columns = height // TILE, width // TILE
    reach = 3 * jnp.sqrt(splats.covariances[:, ::2])
    low, high = splats.centers - reach, splats.centers + reach
    inside = jnp.arange(TILE) + 0.5
    offset_x, offset_y = jnp.meshgrid(inside, inside)

    def tile(index: jax.Array) -> jax.Array:
        corner = TILE * jnp.stack([index % columns, index // columns])
        touches = ((high > corner) & (low < corner + TILE)).all(-1)
        touches &= splats.opacities > 0
        place = jnp.where(touches, jnp.arange(len(touches)), len(touches))
        chosen = -jax.lax.top_k(-place, LISTED)[0]
        parts = Splats(
            *(each.at[chosen].get(mode="fill", fill_value=1) for each in splats)
        )
        own = jnp.where(chosen < len(touches), parts.opacities, 0)
        # Of what fills up the list, the covariance must be one.
        fill = (chosen == len(touches))[:, None]
        spread = jnp.where(fill, jnp.array([1.0, 0.0, 1.0]), parts.covariances)
        parts = parts._replace(opacities=own, covariances=spread)
        alpha = alphas(parts, corner[0] + offset_x, corner[1] + offset_y)
        colors = values.at[chosen].get(mode="fill", fill_value=0)
        return jnp.einsum("nyx,nd->yxd", weights(alpha), colors)

    tiles = jax.vmap(tile)(jnp.arange(rows * columns))
    tiles = tiles.reshape(rows, columns, TILE, TILE, -1)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(height, width, -1)


Step = Callable[[tuple[jax.Array, ...]], Any]


def steps(count: int, side: int, with_dense: bool) -> tuple[dict[str, Step], Any]:
    """Returns the compiled gradient steps by name, and their parameters."""
    parameters, camera = random_scene(count, side)
    size = (side, side)
    entries = count_entries(project(*parameters[:4], camera, size), size)
    capacity = int(entries * 1.25)
    target = jnp.asarray(np.random.default_rng(1).uniform(0, 1, (*size, 3)))
    print(f"{count} Gaussians, {side} x {side} pixels, {int(entries)} in the tiles")

    def sketch(composite: Any) -> Any:
        return lambda p: composite(project(*p[:4], camera, size), p[4], size)

    def fast(p: tuple[jax.Array, ...]) -> jax.Array:
        return rasterizer.render(*p, camera, size=size, capacity=capacity).image

    renderers = {"dyso": fast, "tiles": sketch(listed)}
    if with_dense:
        renderers["dense"] = sketch(dense)
    images = {name: jax.jit(each)(parameters) for name, each in renderers.items()}
    for name, image in images.items():
        difference = float(jnp.abs(image - images["dyso"]).max())
        print(f"{name:6} differs from dyso's image by at most {difference:.2g}")
    return {
        name: jax.jit(jax.value_and_grad(lambda p, r=r: jnp.abs(r(p) - target).mean()))
        for name, r in renderers.items()
    }, parameters


def main() -> None:
    """Prints the times of each and their ratios to the project's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gaussians", type=int, default=8000)
    parser.add_argument("--side", type=int, default=128, help="pixels")
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--dense", action="store_true")
    arguments = parser.parse_args()
    if arguments.side % TILE:
        parser.error(f"--side: must be a multiple of {TILE}")
    compiled, parameters = steps(arguments.gaussians, arguments.side, arguments.dense)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in compiled}
    for turn in range(arguments.repeats + 1):
        for name, step in compiled.items():
            start, cpu = time.perf_counter(), time.process_time()
            jax.block_until_ready(step(parameters))
            spent = time.perf_counter() - start, time.process_time() - cpu
            if turn:  # The first compiles.
                times[name].append(spent)
    for name, measured in times.items():
        wall, cpu = (statistics.median(each) for each in zip(*measured, strict=True))
        ratios = [
            (theirs[0] / own[0], theirs[1] / own[1])
            for theirs, own in zip(measured, times["dyso"], strict=True)
        ]
        slower = [statistics.median(each) for each in zip(*ratios, strict=True)]
        print(
            f"{name:6} {wall:8.4f} s a gradient step, {cpu:8.4f} s of CPU: "
            f"{slower[0]:.1f} times dyso's, {slower[1]:.1f} times its CPU"
        )


if __name__ == "__main__":
    main()
