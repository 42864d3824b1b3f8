"""What is fitted, and a gradient step of the fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, UInt8

from dyso.errors import UserError
from dyso.fit.data import MultiView, cloud
from dyso.fit.hexplane import field as fields
from dyso.fit.hexplane import marching, occupancy
from dyso.fit.hexplane.config import Config, Rates
from dyso.fit.hexplane.field import Field, Region
from dyso.fit.hexplane.occupancy import Densities
from dyso.fit.rays import chances, random_pixels, rays_of, time_of
from dyso.fit.volume import Bounds

LAST_RATE = 0.1
"""Learning rates at the end, as a share of those at the start."""


class State(NamedTuple):
    """The parameters, the occupancy grid, and the state of Adam."""

    field: Field
    densities: Densities
    adam: optax.OptState


class Target(NamedTuple):
    """What is fitted: the views of the training cameras.

    Attributes:
      color: [T, C, H, W, 3], sRGB.
      intrinsics: [T, C, 3, 3].
      extrinsics: [T, C, 3, 4].
      chances: [T * C * H * W], see `dyso.fit.rays.chances`.
      region: of the field.
    """

    color: UInt8[Array, "T C H W 3"]
    intrinsics: Float[Array, "T C 3 3"]
    extrinsics: Float[Array, "T C 3 4"]
    chances: Float[Array, " P"]
    region: Region


def target_of(scene: MultiView, margin: float) -> Target:
    """Reads the training views.

    The region follows from their exact depth: the inner cube holds all points on
    objects, or all points if no object is seen. Rays are marched from 0.8 times the
    least distance to 1.2 times the largest that is finite.

    Args:
      scene: the scene.
      margin: see `config.Grid`.

    Raises:
      UserError: nothing at a finite distance is seen.
      RecordError: the scene is damaged.
    """
    chosen = list(scene.training)
    views, corners = [], []
    near, far = np.inf, 0.0
    for step in map(scene.read, range(scene.steps)):
        views.append((step.color, step.intrinsics, step.extrinsics))
        finite = step.depth[chosen][np.isfinite(step.depth[chosen])]
        if not len(finite):
            continue
        near, far = min(near, float(finite.min())), max(far, float(finite.max()))
        shown = cloud(step, chosen)
        on_objects = shown.foreground if shown.foreground.any() else slice(None)
        points = shown.points[on_objects]
        corners += [points.min(0), points.max(0)]
    if not corners:
        raise UserError(
            f"scene {scene.scene} of {scene.split.name}: nothing at a finite distance "
            "is seen; choose another scene"
        )
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    color, intrinsics, extrinsics = (
        np.stack(each)[:, chosen] for each in zip(*views, strict=True)
    )
    return Target(
        color=jnp.asarray(color),
        intrinsics=jnp.asarray(intrinsics),
        extrinsics=jnp.asarray(extrinsics),
        chances=jnp.asarray(chances(color)),
        region=Region(
            center=jnp.asarray((low + high) / 2, jnp.float32),
            radius=jnp.asarray(margin * max(high - low) / 2, jnp.float32),
            bounds=Bounds(near=0.8 * near, far=1.2 * far),
        ),
    )


def start(config: Config, steps: int) -> State:
    """Returns the state before the first step."""
    key = jax.random.fold_in(jax.random.key(config.seed), config.iterations)
    field = fields.initial(key, config.grid, config.background, steps)
    return State(
        field=field,
        densities=occupancy.initial(config.occupancy),
        adam=_optimizer(config).init(field),
    )


def gradient_step(
    config: Config,
) -> Callable[[State, Target, Int[Array, ""]], tuple[State, Float[Array, ""]]]:
    """Returns a compiled step: (state, target, number) to the new state and the PSNR.

    The rays depend only on the seed and on the step's number.
    """
    adam, settings = _optimizer(config), config.occupancy

    @jax.jit
    def step(state: State, target: Target, number: Array) -> tuple[State, Array]:
        key, grid_key = jax.random.split(
            jax.random.fold_in(jax.random.key(config.seed), number)
        )
        gradient = jax.grad(loss, has_aux=True)
        slopes, psnr = gradient(state.field, state.densities, target, key, config)
        updates, after = adam.update(slopes, state.adam)
        field = optax.apply_updates(state.field, updates)
        densities = jax.lax.cond(
            number % settings.every == 0,
            lambda grid: occupancy.updated(grid, field, grid_key, settings),
            lambda grid: grid,
            state.densities,
        )
        return State(field, densities, after), psnr

    return step


def loss(
    field: Field, densities: Densities, target: Target, key: Array, config: Config
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Returns the loss of random rays, and the PSNR of their colours."""
    pixel_key, point_key = jax.random.split(key)
    shape = target.color.shape[:-1]
    chosen = random_pixels(pixel_key, target.chances, config.rays)
    t, c, i, j = jnp.unravel_index(chosen, shape)
    rays = rays_of(
        target.intrinsics[t, c],
        target.extrinsics[t, c],
        jnp.stack([j, i], axis=-1) + 0.5,
        time_of(t, shape[0]),
    )
    got = marching.render(field, densities, rays, target.region, config, point_key)
    error = ((got.color - target.color[t, c, i, j] / 255) ** 2).mean()
    total = error + config.smooth * fields.total_variation(field)
    return total, -10 * jnp.log10(error)


def _optimizer(config: Config) -> optax.GradientTransformation:
    def adam(rate: float) -> optax.GradientTransformation:
        schedule = optax.exponential_decay(rate, config.iterations, LAST_RATE)
        return optax.adam(schedule, eps=1e-15)

    return by_kind(config.rates, adam)


def by_kind(
    rates: Rates, optimizer: Callable[[float], optax.GradientTransformation]
) -> optax.GradientTransformation:
    """Returns an optimiser of fields that has another rate for each kind of parameter.

    Args:
      rates: of planes, networks and background.
      optimizer: returns the optimiser of one rate.
    """

    def kinds(field: Field) -> Field:
        def named(name: str, part: Any) -> Any:
            return jax.tree.map(lambda _: name, part)

        return Field(
            named("planes", field.levels),
            named("networks", field.network),
            named("background", field.background),
        )

    parts = {name: optimizer(rate) for name, rate in asdict(rates).items()}
    return optax.multi_transform(parts, kinds)
