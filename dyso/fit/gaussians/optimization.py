"""Gradient steps: all parameters at step 0, means, rotations and colours later.

Each step renders one camera, as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from dyso.fit.data import Step
from dyso.fit.gaussians.config import Losses, Rates
from dyso.fit.gaussians.densification import Gathered, gather
from dyso.fit.gaussians.losses import (
    Before,
    Structure,
    image_loss,
    motion_losses,
    weighted,
)
from dyso.fit.gaussians.model import Gaussians, through_camera, view
from dyso.fit.gaussians.projection import Camera
from dyso.fit.images import psnr

FIRST = (
    "means",
    "rotations",
    "log_scales",
    "logit_opacities",
    "colors",
    "gains",
    "offsets",
)
"""What is learned at step 0."""
LATER = ("means", "rotations", "colors")
"""What is learned afterwards."""
_ADAM = optax.scale_by_adam(eps=1e-15)


class Target(NamedTuple):
    """The views of one time step, on the device.

    Attributes:
      color: [C, H, W, 3], uint8.
      foreground: [C, H, W], bool.
      cameras: their `Camera`, each array with a leading axis [C].
    """

    color: Array
    foreground: Array
    cameras: Camera


class State(NamedTuple):
    """The Gaussians of a time step and their optimizer's state."""

    gaussians: Gaussians
    adam: Any


def target_of(step: Step) -> Target:
    """Returns all cameras' views."""
    return Target(
        color=jnp.asarray(step.color),
        foreground=jnp.asarray(step.foreground),
        cameras=Camera(jnp.asarray(step.intrinsics), jnp.asarray(step.extrinsics)),
    )


def camera_of(target: Target, index: Any) -> Camera:
    """Returns one camera."""
    return Camera(*(array[index] for array in target.cameras))


def start(gaussians: Gaussians, learned: tuple[str, ...]) -> State:
    """Returns the state before the first gradient step."""
    return State(gaussians, _ADAM.init(_part(gaussians, learned)))


def scene_radius(step: Step, cameras: tuple[int, ...]) -> float:
    """Returns 1.1 times the largest distance of a camera from their mean, in metres.

    Cameras that stand close together do not show how large the scene is; so it is at
    least half their mean distance from the origin, near which the objects are.
    """
    poses = step.extrinsics[list(cameras)].astype(np.float64)
    centers = -np.einsum("cji,cj->ci", poses[:, :, :3], poses[:, :, 3])
    spread = np.linalg.norm(centers - centers.mean(axis=0), axis=1).max()
    return float(max(1.1 * spread, np.linalg.norm(centers, axis=1).mean() / 2))


def first_step(
    losses: Losses, rates: Rates, radius: float, size: tuple[int, int], capacity: int
) -> Callable[..., tuple[State, Gathered, Array]]:
    """Returns a gradient step of time step 0, compiled on its first call.

    The function takes a state, the gathered gradients, the target and a camera's
    number.
    """

    def loss_of(
        learned: dict[str, Array],
        shift: Array,
        rest: Gaussians,
        target: Target,
        camera: Any,
    ) -> tuple[Array, Array]:
        gaussians = rest._replace(**learned)
        found, score = _view_losses(
            gaussians, target, camera, losses.ssim, size, capacity, shift
        )
        return weighted(found, losses), score

    @jax.jit
    def step(
        state: State, gathered: Gathered, target: Target, camera: Any
    ) -> tuple[State, Gathered, Array]:
        learned = _part(state.gaussians, FIRST)
        shift = jnp.zeros((len(state.gaussians.means), 2))
        (gradient, by_shift), score = jax.grad(loss_of, (0, 1), has_aux=True)(
            learned, shift, state.gaussians, target, camera
        )
        state = _updated(state, gradient, learned, rates, radius)
        return state, gather(gathered, by_shift, size), score

    return step


def later_step(
    losses: Losses, rates: Rates, radius: float, size: tuple[int, int], capacity: int
) -> Callable[..., tuple[State, Array]]:
    """Returns a gradient step of a later time step, compiled on its first call.

    The function takes a state, the time step before, the structure, the target and a
    camera's number.
    """

    def loss_of(
        learned: dict[str, Array],
        rest: Gaussians,
        last: Before,
        structure: Structure,
        target: Target,
        camera: Any,
    ) -> tuple[Array, Array]:
        gaussians = rest._replace(**learned)
        found, score = _view_losses(
            gaussians, target, camera, losses.ssim, size, capacity
        )
        found |= motion_losses(gaussians, last, structure)
        return weighted(found, losses), score

    @jax.jit
    def step(
        state: State, last: Before, structure: Structure, target: Target, camera: Any
    ) -> tuple[State, Array]:
        learned = _part(state.gaussians, LATER)
        gradient, score = jax.grad(loss_of, has_aux=True)(
            learned, state.gaussians, last, structure, target, camera
        )
        return _updated(state, gradient, learned, rates, radius), score

    return step


def forecast(now: Gaussians, before: Before) -> Gaussians:
    """Returns the Gaussians a time step later, at the velocity since the one before."""
    rotations = now.rotations / jnp.linalg.norm(now.rotations, axis=-1, keepdims=True)
    ahead = 2 * rotations - before.rotations
    return now._replace(
        means=2 * now.means - before.means,
        rotations=ahead / jnp.linalg.norm(ahead, axis=-1, keepdims=True),
    )


def _part(gaussians: Gaussians, names: tuple[str, ...]) -> dict[str, Array]:
    return {name: getattr(gaussians, name) for name in names}


def _view_losses(
    gaussians: Gaussians,
    target: Target,
    camera: Any,
    ssim: float,
    size: tuple[int, int],
    capacity: int,
    shift: Float[Array, "N 2"] | None = None,
) -> tuple[dict[str, Array], Array]:
    """Returns the losses of one view by their names, and the view's PSNR."""
    rendering = view(
        gaussians,
        camera_of(target, camera),
        size=size,
        capacity=capacity,
        shift=shift,
    )
    color = through_camera(gaussians, rendering.image[..., :3], camera)
    true = target.color[camera].astype(jnp.float32) / 255
    front = target.foreground[camera].astype(jnp.float32)
    shares = jnp.stack([front, 1 - front], axis=-1)
    found = {
        "image": image_loss(color, true, ssim),
        # The authors average over three channels, of which one is always 0.
        "segmentation": image_loss(rendering.image[..., 3:5], shares, ssim) * 2 / 3,
    }
    return found, psnr(true, color)


def _updated(
    state: State,
    gradient: dict[str, Array],
    learned: dict[str, Array],
    rates: Rates,
    radius: float,
) -> State:
    """Returns the state after a step of Adam, each parameter at its own rate."""
    updates, adam = _ADAM.update(gradient, state.adam)
    by_name = {
        "means": rates.means * radius,
        "rotations": rates.rotations,
        "log_scales": rates.scales,
        "logit_opacities": rates.opacities,
        "colors": rates.colors,
        "gains": rates.gains,
        "offsets": rates.gains,
    }
    moved = {name: learned[name] - by_name[name] * updates[name] for name in learned}
    return State(state.gaussians._replace(**moved), adam)
