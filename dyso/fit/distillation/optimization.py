"""Score distillation of a video prior into a HexPlane: a gradient step."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from dyso.fit.distillation import cameras, rendering
from dyso.fit.distillation.config import Config
from dyso.fit.distillation.rendering import Rendered
from dyso.fit.hexplane import field as fields
from dyso.fit.hexplane import occupancy
from dyso.fit.hexplane.field import Field
from dyso.fit.hexplane.occupancy import Densities
from dyso.fit.hexplane.optimization import State, by_kind
from dyso.train.prior.config import Network
from dyso.train.prior.diffusion import LOW_LEVEL, averaged, guided, lowered, noised
from dyso.train.prior.model import Low, shares

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


class OutsidePrior(Protocol):
    """A prior that computes outside of JAX, and knows the text.

    Attributes:
      resolution: height and width of its frames, in pixels.
      frames: of its videos.
    """

    resolution: tuple[int, int]
    frames: int

    def gradient(
        self, video: Float[np.ndarray, "T H W 3"], level: float, seed: int
    ) -> tuple[Float[np.ndarray, "T H W 3"], float]:
        """Returns the gradient of score distillation at a video, and |e' - e|^2.

        Args:
          video: T frames, or one for an image, with values in [-1, 1].
          level: of the noise, in [0, 1].
          seed: of the noise.

        Returns:
          The gradient is of a mean over all values, times their number, as
          w(t) (e' - e) is in the space of pixels.
        """


class Gradient(NamedTuple):
    """What an outside prior says of the video of a step.

    Attributes:
      slopes: the gradient, see `OutsidePrior.gradient`.
      error: |e' - e|^2.
    """

    slopes: Float[Array, "1 T H W 3"]
    error: Float[Array, ""]


def start(config: Config) -> State:
    """Returns the state before the first step."""
    key = jax.random.key(config.seed)
    field = fields.initial(key, config.grid, config.background, STEPS, config.fusion)
    return State(
        field=field,
        densities=occupancy.initial(config.occupancy),
        adam=optimizer(config).init(field),
    )


def filmed(
    field: Field,
    densities: Densities,
    key: Array,
    number: Array,
    config: Config,
    size: tuple[int, int],
    frames: int,
) -> tuple[Rendered, Float[Array, " 1"]]:
    """Returns a random video of the scene, and its frame rate."""
    camera_key, march_key, _, _, rate_key, time_key = jax.random.split(key, 6)
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
    evaluate = rendering.biased(config, rendering.sigma_at(config, number))
    got = rendering.render(
        field, densities, poses, times, config, size, evaluate, march_key
    )
    return got, rates


def films_of(
    color: Float[Array, "T H W 3"], larger_model: Network | None
) -> tuple[Float[Array, "1 T H W 3"], Float[Array, "1 T h w 3"]]:
    """Returns a video in [-1, 1], and the same in the first prior's resolution."""
    films = 2 * color[None] - 1
    if larger_model is None:
        return films, films
    return films, averaged(films, larger_model.upsampling)


def loss(
    field: Field,
    got: Rendered,
    rates: Float[Array, " 1"],
    prior: Prior | Gradient,
    key: Array,
    config: Config,
    model: Network | OutsidePrior,
    larger: Prior | None = None,
    larger_model: Network | None = None,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Returns a value whose gradient is that of score distillation, and |e' - e|^2.

    With a prior of super-resolution, the frames are rendered in its resolution, and
    averaged for the other one; the value is the sum for both (MAV3D, section 3.3).

    Args:
      field: the parameters.
      got: a video of them, see `filmed`.
      rates: its frame rate.
      prior: of videos, or what an outside one says of this video.
      key: of cameras and noise.
      config: the settings.
      model: of the prior.
      larger: a prior of super-resolution.
      larger_model: its settings.
    """
    films, small = films_of(got.color, larger_model)
    level_key, noise_key = jax.random.split(key, 6)[2:4]
    if isinstance(prior, Gradient):
        total, error = (prior.slopes * small).mean(), prior.error
    else:
        assert isinstance(model, Network)
        total, error = distilled(
            prior, model, small, rates, config, level_key, noise_key
        )
    if larger is not None and larger_model is not None:
        low_key, level_key, noise_key = jax.random.split(jax.random.fold_in(key, 6), 3)
        levels = jnp.full(1, LOW_LEVEL)
        low = lowered(films, larger_model.upsampling, low_key, levels)
        total += distilled(
            larger, larger_model, films, rates, config, level_key, noise_key, low
        )[0]
    total += config.smooth * fields.total_variation(field)
    opacity = jnp.clip(got.opacity, 1e-4, 1 - 1e-4)
    entropy = -opacity * jnp.log(opacity) - (1 - opacity) * jnp.log1p(-opacity)
    return total + config.opacity * entropy.mean(), error


def distilled(
    prior: Prior,
    model: Network,
    films: Float[Array, "1 T H W 3"],
    rates: Float[Array, " 1"],
    config: Config,
    level_key: Array,
    noise_key: Array,
    low: Low | None = None,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Returns a value whose gradient is that of score distillation, and |e' - e|^2.

    grad = E[w(t) (e'(x_t, t, text, rate) - e) dx / d theta], without the network's own
    gradient (MAV3D, eq. 2; SDS of DreamFusion, Poole et al., ICLR 2023, for one frame),
    with w(t) = sin^2(pi t / 2), the noise's variance.
    """
    least, most = config.levels
    levels = jax.random.uniform(level_key, (1,), minval=least, maxval=most)
    noise = jax.random.normal(noise_key, films.shape)
    seen, low = jax.lax.stop_gradient((noised(films, noise, levels), low))
    found = guided(
        prior.params, model, seen, levels, rates, prior.words, config.guidance, low
    )
    error = jax.lax.stop_gradient(found - noise)
    _, rest = shares(levels)
    return (rest**2 * error * films).mean(), (error**2).mean()


class _Filmed(NamedTuple):
    """The video of a step.

    Attributes:
      got: the video.
      pull: maps a gradient by the video to that by the field.
      rates: the frame rate.
    """

    got: Rendered
    pull: Callable[[Rendered], tuple[Field]]
    rates: Float[Array, " 1"]


def gradient_step(
    config: Config,
    model: Network | OutsidePrior,
    frames: int,
    larger_model: Network | None = None,
) -> Callable[..., tuple[State, Array]]:
    """Returns a compiled step. An outside prior is asked in the middle of each.

    It takes the state, the prior, the iteration's number, and the prior of
    super-resolution, if any; and returns the new state and |e' - e|^2.

    Cameras and noise depend only on the seed and on the step's number.

    Args:
      config: the settings.
      model: of the prior.
      frames: 1 leaves the planes of time as they are.
      larger_model: of the prior of super-resolution.
    """
    adam, settings = optimizer(config), config.occupancy
    size = (larger_model or model).resolution

    def keys(number: Array) -> Array:
        return jax.random.split(jax.random.fold_in(jax.random.key(config.seed), number))

    def film(state: State, number: Array) -> _Filmed:
        def of(field: Field) -> tuple[Rendered, Array]:
            key, _ = keys(number)
            return filmed(field, state.densities, key, number, config, size, frames)

        return _Filmed(*jax.vjp(of, state.field, has_aux=True))

    def learn(
        state: State,
        video: _Filmed,
        prior: Prior | Gradient,
        number: Array,
        larger: Prior | None = None,
    ) -> tuple[State, Array]:
        key, grid_key = keys(number)
        (direct, by_video), error = jax.grad(loss, argnums=(0, 1), has_aux=True)(
            *(state.field, video.got, video.rates, prior, key),
            *(config, model, larger, larger_model),
        )
        slopes = jax.tree.map(jnp.add, direct, *video.pull(by_video))
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
        evaluate = rendering.biased(config, rendering.sigma_at(config, number))
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

    if isinstance(model, Network):

        @jax.jit
        def step(
            state: State, prior: Prior, number: Array, larger: Prior | None = None
        ) -> tuple[State, Array]:
            return learn(state, film(state, number), prior, number, larger)

        return step

    begin, end = jax.jit(film), jax.jit(learn)

    def outside_step(
        state: State, prior: OutsidePrior, number: Array, larger: Prior | None = None
    ) -> tuple[State, Array]:
        video = begin(state, number)
        _, small = films_of(video.got.color, larger_model)
        draws = np.random.default_rng([config.seed, int(number)])
        slopes, error = prior.gradient(
            np.asarray(small[0]),
            draws.uniform(*config.levels),
            int(draws.integers(2**31)),
        )
        said = Gradient(jnp.asarray(slopes)[None], jnp.asarray(error))
        return end(state, video, said, number, larger)

    return outside_step


def optimizer(config: Config) -> optax.GradientTransformation:
    """Returns Adam, whose rates fall to 0 by a cosine in each stage."""
    stages = [n for n in (config.static, config.dynamic, config.super_steps) if n]
    ends = list(itertools.accumulate(stages))

    def adam(rate: float) -> optax.GradientTransformation:
        falling = [optax.cosine_decay_schedule(rate, steps) for steps in stages]
        return optax.adam(optax.join_schedules(falling, ends[:-1]))

    return by_kind(config.rates, adam)
