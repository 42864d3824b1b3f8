"""Score distillation of a video prior into a HexPlane: a gradient step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from dyso import geometry
from dyso.fit.distillation import cameras
from dyso.fit.distillation.config import Bias, Config
from dyso.fit.hexplane import field as fields
from dyso.fit.hexplane import marching, occupancy
from dyso.fit.hexplane.field import Field, Region
from dyso.fit.hexplane.occupancy import Densities
from dyso.fit.hexplane.optimization import State, by_kind
from dyso.fit.rays import rays_of
from dyso.fit.volume import Bounds
from dyso.train.prior.config import Network
from dyso.train.prior.diffusion import guided, noised
from dyso.train.prior.model import shares

STEPS = 16
"""Cells of the planes along time."""


class Prior(NamedTuple):
    """A video prior, and the text.

    Attributes:
      params: of the denoiser.
      words: [1, K], the text, see `dyso.train.prior.vocabulary.encode`.
    """

    params: Any
    words: Int[Array, "1 K"]


def region_of(config: Config) -> Region:
    """Returns the space of a scene of radius 1 around the origin."""
    near, far = config.cameras.distance
    return Region(
        center=jnp.zeros(3),
        radius=jnp.ones(()),
        bounds=Bounds(near=near - 1.0, far=far + 1.5),
    )


def start(config: Config) -> State:
    """Returns the state before the first step."""
    key = jax.random.key(config.seed)
    field = fields.initial(key, config.grid, config.background, STEPS)
    return State(
        field=field,
        densities=occupancy.initial(config.occupancy),
        adam=optimizer(config).init(field),
    )


def biased(bias: Bias, sigma: Float[Array, ""]) -> marching.Evaluate:
    """Returns `fields.evaluate` with more density at the centre.

    Args:
      bias: its strength.
      sigma: its size, in radii of the scene.
    """

    def evaluate(field: Field, points: Array, times: Array) -> tuple[Array, Array]:
        density, color = fields.evaluate(field, points, times)
        # The inner cube is half of the planes, and a radius is half of it.
        squared = (4 * points**2).sum(-1)
        added = bias.strength * jnp.exp(-squared / (2 * sigma**2)) - bias.offset
        return density * jnp.exp(added if bias.strength else 0.0), color

    return evaluate


def sigma_at(config: Config, number: Array | int) -> Array:
    """Returns the bias's size at an iteration: it grows until the middle."""
    share = jnp.clip(2 * jnp.asarray(number) / config.iterations, 0, 1)
    return config.bias.start + share * (config.bias.end - config.bias.start)


class Rendered(NamedTuple):
    """A video.

    Attributes:
      color: in [0, 1].
      opacity: of the rays.
      distance: from the camera to what the rays meet, the mean by the rendering
        weights, in radii; 0 where they meet nothing.
    """

    color: Float[Array, "T H W 3"]
    opacity: Float[Array, "T H W"]
    distance: Float[Array, "T H W"]


def render(
    field: Field,
    densities: Densities,
    extrinsics: Float[Array, "T 3 4"],
    times: Float[Array, " T"],
    config: Config,
    size: tuple[int, int],
    evaluate: marching.Evaluate,
    key: Array | None = None,
) -> Rendered:
    """Renders the frames of a video one after another, to need less memory."""
    height, width = size
    lens = jnp.asarray(cameras.lens(config.cameras, size))
    pixels = geometry.pixel_grid(height, width, jnp).reshape(-1, 2)
    region = region_of(config)

    def frame(arguments: Any) -> Rendered:
        pose, time, frame_key = arguments
        rays = rays_of(lens, pose, pixels, jnp.full(len(pixels), time))
        got = marching.render(
            field,
            densities,
            rays,
            region,
            config,
            None if key is None else frame_key,
            evaluate,
        )
        opacity = got.weights.sum(-1)
        distances = (got.weights * region.bounds.distance(got.places)).sum(-1)
        return Rendered(
            got.color.reshape(height, width, 3),
            opacity.reshape(height, width),
            (distances / jnp.maximum(opacity, 1e-6)).reshape(height, width),
        )

    keys = jax.random.split(jax.random.key(0) if key is None else key, len(times))
    return jax.lax.map(jax.checkpoint(frame), (extrinsics, times, keys))


def loss(
    field: Field,
    densities: Densities,
    prior: Prior,
    key: Array,
    number: Array,
    config: Config,
    model: Network,
    frames: int,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Returns a value whose gradient is that of score distillation, and |e' - e|^2.

    grad = E[w(t) (e'(x_t, t, text, rate) - e) dx / d theta], without the network's own
    gradient (MAV3D, eq. 2; SDS of DreamFusion, Poole et al., ICLR 2023, for one frame),
    with w(t) = sin^2(pi t / 2), the noise's variance.
    """
    camera_key, march_key, level_key, noise_key, rate_key, time_key = jax.random.split(
        key, 6
    )
    poses = cameras.drawn(camera_key, config.cameras, frames)
    # A video at the rate r covers the share rate / r of the whole motion, from a random
    # time on.
    share = jax.random.uniform(rate_key, (), minval=config.slowest, maxval=1.0)
    begin = jax.random.uniform(time_key, ()) * (1 - share)
    times = jnp.zeros(1)
    rates = jnp.zeros(1)
    if frames > 1:
        times = 2 * (begin + share * jnp.linspace(0.0, 1.0, frames)) - 1
        rates = config.rate / share[None]
    evaluate = biased(config.bias, sigma_at(config, number))
    got = render(
        field, densities, poses, times, config, model.resolution, evaluate, march_key
    )
    films = 2 * got.color[None] - 1
    low, high = config.levels
    levels = jax.random.uniform(level_key, (1,), minval=low, maxval=high)
    noise = jax.random.normal(noise_key, films.shape)
    seen = jax.lax.stop_gradient(noised(films, noise, levels))
    found = guided(
        prior.params, model, seen, levels, rates, prior.words, config.guidance
    )
    error = jax.lax.stop_gradient(found - noise)
    _, rest = shares(levels)
    total = (rest**2 * error * films).mean()
    total += config.smooth * fields.total_variation(field)
    opacity = jnp.clip(got.opacity, 1e-4, 1 - 1e-4)
    entropy = -opacity * jnp.log(opacity) - (1 - opacity) * jnp.log1p(-opacity)
    return total + config.opacity * entropy.mean(), (error**2).mean()


def gradient_step(
    config: Config, model: Network, frames: int
) -> Callable[[State, Prior, Array], tuple[State, Array]]:
    """Returns a compiled step: (state, prior, number) to the new state and |e' - e|^2.

    Cameras and noise depend only on the seed and on the step's number.

    Args:
      config: the settings.
      model: of the prior.
      frames: 1 leaves the planes of time as they are.
    """
    adam, settings = optimizer(config), config.occupancy

    @jax.jit
    def step(state: State, prior: Prior, number: Array) -> tuple[State, Array]:
        key, grid_key = jax.random.split(
            jax.random.fold_in(jax.random.key(config.seed), number)
        )
        slopes, error = jax.grad(loss, has_aux=True)(
            state.field, state.densities, prior, key, number, config, model, frames
        )
        updates, after = adam.update(slopes, state.adam)
        if frames == 1:
            updates = updates._replace(
                levels=tuple(
                    tuple(
                        jnp.zeros_like(plane) if 3 in axes else plane
                        for plane, axes in zip(planes, fields.AXES, strict=True)
                    )
                    for planes in updates.levels
                )
            )
        field = optax.apply_updates(state.field, updates)
        evaluate = biased(config.bias, sigma_at(config, number))
        densities = jax.lax.cond(
            number % settings.every == 0,
            functools.partial(
                occupancy.updated,
                field=field,
                key=grid_key,
                settings=settings,
                evaluate=evaluate,
            ),
            lambda grid: grid,
            state.densities,
        )
        return State(field, densities, after), error

    return step


def optimizer(config: Config) -> optax.GradientTransformation:
    """Returns Adam, whose rates fall to 0 by a cosine, as MAV3D's do."""

    def adam(rate: float) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(rate, config.iterations))

    return by_kind(config.rates, adam)
