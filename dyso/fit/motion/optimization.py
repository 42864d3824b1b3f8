"""Rendering rays of a video's field, and a gradient step of its fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, UInt8

from dyso.fit import volume
from dyso.fit.motion import depth
from dyso.fit.motion import field as fields
from dyso.fit.motion.cameras import moved
from dyso.fit.motion.config import Config, Rates
from dyso.fit.motion.field import Field, Frustum
from dyso.fit.rays import Rays, random_pixels, rays_of, time_of

LAST_RATE = 0.1
"""Learning rates at the end, as a share of those at the start."""


class Parameters(NamedTuple):
    """What is learned.

    Attributes:
      field: the scene.
      motions: [T, 6], of the frames' poses from their start, see `cameras.moved`.
    """

    field: Field
    motions: Float[Array, "T 6"]


class State(NamedTuple):
    """Parameters, and the state of Adam."""

    parameters: Parameters
    adam: optax.OptState


class Target(NamedTuple):
    """What is fitted.

    Attributes:
      color: [T, H, W, 3], sRGB.
      places: [T, H, W], the supervising depth in s.
      intrinsics: [T, 3, 3].
      extrinsics: [T, 3, 4], the poses at the start.
      frustum: the region of the field.
      chances: [T * H * W], see `dyso.fit.rays.chances`.
    """

    color: UInt8[Array, "T H W 3"]
    places: Float[Array, "T H W"]
    intrinsics: Float[Array, "T 3 3"]
    extrinsics: Float[Array, "T 3 4"]
    frustum: Frustum
    chances: Float[Array, " P"]


class Rendering(NamedTuple):
    """Rays with their intervals, from near to far.

    Attributes:
      color: in [0, 1].
      optical: density times length of each interval.
      weights: see `volume.rendering_weights`.
      places: the intervals' middles, in s.
      dynamic: the dynamic part's share of the ray.
    """

    color: Float[Array, "N 3"]
    optical: Float[Array, "N S"]
    weights: Float[Array, "N S"]
    places: Float[Array, "N S"]
    dynamic: Float[Array, " N"]


def render(
    field: Field,
    rays: Rays,
    frustum: Frustum,
    *,
    coarse: int,
    fine: int,
    key: Array | None = None,
) -> Rendering:
    """Renders rays with intervals that are short where the field is dense.

    Args:
      field: the parameters.
      rays: N rays.
      frustum: the region of the field.
      coarse: even intervals at which the density is looked up first, without gradients.
      fine: intervals that are rendered; 0 renders the even ones.
      key: moves the intervals at random; None does not.
    """
    keys = (None, None) if key is None else jax.random.split(key)
    edges = volume.stratified(keys[0], len(rays.origins), coarse)
    if fine:
        first = jax.lax.stop_gradient(field)
        optical = _samples(first, rays, frustum, edges).density * jnp.diff(edges)
        weights = volume.rendering_weights(optical)
        edges = volume.importance(keys[1], edges, weights, fine)
        edges = jax.lax.stop_gradient(edges)
    samples = _samples(field, rays, frustum, edges)
    optical = samples.density * jnp.diff(edges)
    weights = volume.rendering_weights(optical)
    return Rendering(
        color=(weights[..., None] * samples.color).sum(-2),
        optical=optical,
        weights=weights,
        places=(edges[:, 1:] + edges[:, :-1]) / 2,
        dynamic=(weights * samples.dynamic).sum(-1),
    )


def start(parameters: Parameters, config: Config) -> State:
    """Returns the state before the first step."""
    adam = _optimizer(config.rates, config.iterations)
    return State(parameters=parameters, adam=adam.init(parameters))


def gradient_step(
    config: Config,
) -> Callable[[State, Target, Int[Array, ""]], tuple[State, Float[Array, ""]]]:
    """Returns a compiled step: (state, target, number) to the new state and the PSNR.

    The rays depend only on the seed and on the step's number.
    """
    adam = _optimizer(config.rates, config.iterations)

    @jax.jit
    def step(state: State, target: Target, number: Array) -> tuple[State, Array]:
        key = jax.random.fold_in(jax.random.key(config.seed), number)
        gradient = jax.grad(loss, has_aux=True)
        slopes, psnr = gradient(state.parameters, target, key, config)
        updates, after = adam.update(slopes, state.adam)
        return State(optax.apply_updates(state.parameters, updates), after), psnr

    return step


def loss(
    parameters: Parameters, target: Target, key: Array, config: Config
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Returns the loss of random rays, and the PSNR of their colours."""
    steps, height, width, _ = target.color.shape
    pixel_key, interval_key, draw_key = jax.random.split(key, 3)
    chosen = random_pixels(pixel_key, target.chances, config.rays)
    t, i, j = jnp.unravel_index(chosen, (steps, height, width))
    extrinsics = target.extrinsics[t]
    if config.cameras.learn:
        extrinsics = moved(extrinsics, parameters.motions[t])
    pixels = jnp.stack([j, i], axis=-1) + 0.5
    rays = rays_of(target.intrinsics[t], extrinsics, pixels, time_of(t, steps))
    got = render(
        parameters.field,
        rays,
        target.frustum,
        coarse=config.coarse,
        fine=config.fine,
        key=interval_key,
    )
    error = ((got.color - target.color[t, i, j] / 255) ** 2).mean()
    total = error + config.static * got.dynamic.mean()
    total += config.smooth * fields.total_variation(parameters.field)
    true, settings = target.places[t, i, j], config.depth
    if settings.loss == "expectation":
        total += settings.weight * depth.expectation_loss(got.weights, got.places, true)
    if settings.loss == "ddr":
        total += settings.weight * depth.drawn_loss(
            draw_key,
            got.weights,
            got.places,
            true,
            temperature=settings.temperature,
            draws=settings.draws,
        )
        total += settings.empty * depth.empty_loss(
            got.optical, got.places, true, settings.before
        )
    return total, -10 * jnp.log10(error)


def _samples(
    field: Field, rays: Rays, frustum: Frustum, edges: Float[Array, "N S+1"]
) -> fields.Samples:
    """Returns what the field has in the middles of intervals: arrays [N, S, ...]."""
    middles = (edges[:, 1:] + edges[:, :-1]) / 2
    distances = frustum.bounds.distance(middles)[..., None]
    points = rays.origins[:, None] + distances * rays.directions[:, None]
    times = jnp.broadcast_to(rays.times[:, None], middles.shape)
    found = fields.evaluate(
        field, frustum.cube(points.reshape(-1, 3)), times.reshape(-1)
    )
    return fields.Samples(*(x.reshape(*middles.shape, *x.shape[1:]) for x in found))


def _optimizer(rates: Rates, iterations: int) -> optax.GradientTransformation:
    def adam(rate: float) -> optax.GradientTransformation:
        schedule = optax.exponential_decay(rate, iterations, LAST_RATE)
        return optax.adam(schedule, eps=1e-15)

    def kinds(parameters: Parameters) -> Parameters:
        def of(part: fields.Part) -> fields.Part:
            return jax.tree.map(lambda _: "planes", part)._replace(
                network=jax.tree.map(lambda _: "networks", part.network)
            )

        parts = fields.Field(*(of(part) for part in parameters.field))
        return Parameters(field=parts, motions="cameras")

    return optax.multi_transform(
        {
            "planes": adam(rates.planes),
            "networks": adam(rates.networks),
            "cameras": adam(rates.cameras),
        },
        kinds,
    )
