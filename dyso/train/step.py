"""One gradient step, on one device or many, in one go or in micro-batches."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int

from dyso.errors import UserError
from dyso.train.config import Config, Learning, Model
from dyso.train.data import look_up
from dyso.train.model import Dyst
from dyso.train.objective import Batch, losses


class State(NamedTuple):
    """The state of a training run.

    Attributes:
      step: number of gradient steps made.
      params: of the model.
      moments: of Adam.
      failed: the step whose gradient was not finite, or too large; -1 for none. Nothing
        changes after it.
    """

    step: Int[Array, ""]
    params: Any
    moments: Any
    failed: Int[Array, ""]


def schedule(training: Learning) -> optax.Schedule:
    """Returns the learning rate by step.

    A linear warm-up, then an exponential decay to the final rate, which stays.
    """
    last = training.decay_steps or training.steps
    return optax.warmup_exponential_decay_schedule(
        init_value=0.0,
        peak_value=training.learning_rate,
        warmup_steps=training.warmup_steps,
        transition_steps=max(last - training.warmup_steps, 1),
        decay_rate=training.final_learning_rate / training.learning_rate,
        end_value=training.final_learning_rate,
    )


def optimizer(training: Learning) -> optax.GradientTransformation:
    """Returns Adam after clipping by the global norm (DyST, appendix A.1)."""
    return optax.chain(
        optax.clip_by_global_norm(training.clip),
        optax.adam(schedule(training), b1=0.9, b2=0.999, eps=1e-8),
    )


def init_params(config: Config) -> Any:
    """Draws the parameters from the seed."""
    training = config.training
    key = jax.random.fold_in(jax.random.key(training.seed), _PARAMETERS)
    return _init(key, config.model, training.inputs, training.targets)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _init(key: Array, model: Model, inputs: int, targets: int) -> Any:
    height, width = model.resolution
    views = jnp.zeros((1, inputs, height, width, 3))
    others = jnp.zeros((1, targets, height, width, 3))
    owners, positions = jnp.zeros((1, 1), jnp.int32), jnp.zeros((1, 1, 2))
    rays = {}
    if model.input_poses:
        rays["input_rays"] = jnp.zeros((*views.shape[:-1], 6))
    if model.target_poses == "given":
        rays["target_rays"] = jnp.zeros((1, 1, 6))
    return Dyst(model).init(key, views, others, owners, positions, **rays)["params"]


_PARAMETERS, _DRAWS = 0, 1  # what the seed is used for


def init_state(config: Config) -> State:
    """Returns the state before the first step."""
    params = init_params(config)
    return State(
        step=jnp.zeros((), jnp.int32),
        params=params,
        moments=optimizer(config.training).init(params),
        failed=jnp.full((), -1, jnp.int32),
    )


def join(run: str) -> bool:
    """Makes this process one of several that train together.

    Must precede all other use of JAX. JAX ends the process if the others are not found
    within five minutes, or if one dies.

    Args:
      run: `auto`, if Slurm, Open MPI, Kubernetes or a TPU pod define who takes part; or
        HOST:PORT,NUMBER,COUNT: an address of the first process that all can reach, this
        process's number, from 0, and the number of processes.

    Returns:
      Whether this is the first process.

    Raises:
      UserError: `run` is neither, or JAX cannot join.
    """
    if run == "auto":
        settings: dict[str, Any] = {}
    else:
        parts = re.fullmatch(r"(.+:\d+),(\d+),(\d+)", run)
        if not parts or not int(parts[2]) < int(parts[3]):
            raise UserError(
                f"distributed: expected `auto` or HOST:PORT,NUMBER,COUNT, got {run!r}"
            )
        settings = {
            "coordinator_address": parts[1],
            "process_id": int(parts[2]),
            "num_processes": int(parts[3]),
        }
    try:
        jax.distributed.initialize(**settings)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        if not settings:
            reason = "found no cluster manager; pass HOST:PORT,NUMBER,COUNT"
        raise UserError(f"distributed: {run}: {reason}") from error
    return jax.process_index() == 0


def devices_mesh() -> Mesh:
    """Returns all devices of all processes; each batch is spread over them."""
    # JAX chooses the sharding of each value; newer versions want that named.
    return jax.make_mesh(
        (jax.device_count(),), ("scenes",), axis_types=(AxisType.Auto,)
    )


def place(batch: dict[str, np.ndarray], mesh: Mesh) -> Batch:
    """Returns a batch on the devices, each with its share of this process's scenes."""
    sharding = NamedSharding(mesh, PartitionSpec("scenes"))
    return {
        name: jax.make_array_from_process_local_data(sharding, values)
        for name, values in batch.items()
    }


def repeat(array: np.ndarray, mesh: Mesh) -> Array:
    """Returns an array, the same in every process, with a copy on each device."""
    return jax.make_array_from_process_local_data(repeated(mesh), array, array.shape)


def repeated(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of the state, which has a copy on each device.

    A step is compiled again for a state of another sharding, such as `init_state`'s.
    """
    return NamedSharding(mesh, PartitionSpec())


def make_step(config: Config, mesh: Mesh, *, video: bool) -> Any:
    """Returns the step under `jax.jit`: (state, batch, pictures) to (state, metrics).

    The state's memory is used again. Pictures are those of `dyso.train.memory`, on
    every device, or None if the batch has its own.

    Args:
      config: the run.
      mesh: of devices, over which a batch is spread and a state repeated.
      video: for batches of monocular videos.
    """
    training, processes = config.training, jax.process_count()
    size, held = training.batch_size, training.micro_batch or training.batch_size
    if size % held or held % mesh.size:
        raise UserError(
            f"training.micro_batch: {size} scenes in portions of {held} on {mesh.size} "
            "devices: each must divide the one before"
        )

    # A scene's number in the common order, of which process p has every n-th from p on.
    numbers = np.arange(size).reshape(-1, processes).T.reshape(-1)

    def total(params: Any, batch: Batch, keys: Array) -> Array:
        return losses(params, batch, keys, config, video=video).sum() / size

    def step(
        state: State, batch: Batch, pictures: Array | None
    ) -> tuple[State, dict[str, Array]]:
        batch = look_up(batch, pictures)
        seed = jax.random.fold_in(jax.random.key(training.seed), _DRAWS)
        key = jax.random.fold_in(seed, state.step)
        keys = jax.vmap(functools.partial(jax.random.fold_in, key))(numbers)
        loss, gradient = _accumulated(
            jax.value_and_grad(total), state.params, batch, keys, size // held
        )
        return updated(state, loss, gradient, training)

    return compiled(step, mesh)


def compiled(step: Callable[..., Any], mesh: Mesh) -> Any:
    """Compiles a step of (state, batch, pictures); the batch is spread over a mesh."""
    spread = NamedSharding(mesh, PartitionSpec("scenes"))
    return jax.jit(
        step,
        in_shardings=(repeated(mesh), spread, repeated(mesh)),
        out_shardings=repeated(mesh),
        donate_argnums=0,
    )


def updated(
    state: State, loss: Array, gradient: Any, training: Learning
) -> tuple[State, dict[str, Array]]:
    """Returns the state after a gradient step, and the step's metrics.

    Nothing changes if the loss or the gradient is not finite, or too large, or if an
    earlier one was.
    """
    norm = optax.tree.norm(gradient)
    good = jnp.isfinite(loss) & (norm < training.abort_norm) & (state.failed < 0)
    changes, moments = optimizer(training).update(gradient, state.moments, state.params)
    new = optax.apply_updates(state.params, changes), moments
    old = state.params, state.moments
    params, moments = jax.tree.map(lambda a, b: jnp.where(good, a, b), new, old)
    failed = jnp.where((state.failed < 0) & ~good, state.step, state.failed)
    metrics = {"loss": loss, "gradient_norm": norm}
    return State(state.step + good, params, moments, failed), metrics


def _accumulated(
    function: Callable[..., tuple[Array, Any]],
    params: Any,
    batch: Batch,
    keys: Array,
    portions: int,
) -> tuple[Array, Any]:
    """Sums a loss and its gradient over portions of a batch, one after another."""
    if portions == 1:
        return function(params, batch, keys)

    def portion(tree: Any) -> Any:
        # Every n-th scene, so that a portion is spread over the devices as the batch.
        return jax.tree.map(
            lambda x: x.reshape(-1, portions, *x.shape[1:]).swapaxes(0, 1), tree
        )

    def add(sums: Any, arguments: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, sums, function(params, *arguments)), None

    zero = jnp.zeros(()), jax.tree.map(jnp.zeros_like, params)
    sums, _ = jax.lax.scan(add, zero, portion((batch, keys)))
    return sums
