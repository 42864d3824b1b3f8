"""Iterations of a fit, with progress, checkpoints, and resuming from the newest one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from dyso.fit.predictions import Show
from dyso.storage.resumable import Journal

SHOWN_EVERY = 10
"""Iterations between two states of the progress."""
SAVED_EVERY = 100
"""Iterations between two checkpoints."""

State = TypeVar("State")


def iterate(
    start: State,
    step: Callable[[State, Array], tuple[State, Array]],
    count: int,
    journal: Journal,
    *,
    about: str,
    note: str = "PSNR of rays {:.2f} dB",
    tell: Callable[[str], None],
    show: Show,
) -> State:
    """Returns the state after all iterations; it begins at the newest checkpoint.

    Only the newest checkpoint is kept, <iteration>.npz in the journal's folder.

    Args:
      start: the state before the first iteration, a tree of arrays.
      step: takes a state and the iteration's number from 0 on; returns the next state
        and a score. What it does must depend on nothing else.
      count: iterations.
      journal: the fit's.
      about: what is compiled.
      note: the progress, with a place for the score's mean.
      tell: prints a line.
      show: shows the progress.
    """
    state = start
    names = [name for name in journal.finished if name.endswith(".npz")]
    done = max((int(name.removesuffix(".npz")) for name in names), default=0)
    if done:
        state = read_checkpoint(Path(str(journal.folder)), done, state)
        tell(f"resuming after iteration {done}")
    # A step whose other arguments are committed to a device, as those that Orbax reads
    # are, returns a committed state: for another one it would be compiled twice.
    state = jax.device_put(state, jax.devices()[0])
    if done < count:
        tell(f"compiling {about}")
    scores: list[Array] = []
    for number in range(done, count):
        state, score = step(state, jnp.asarray(number))
        scores = [*scores[1 - SHOWN_EVERY :], score]
        finished = number + 1
        if finished % SHOWN_EVERY == 0 or finished == count:
            mean = float(np.mean(jax.device_get(scores)))
            show(finished, count, note=note.format(mean))
        if finished % SAVED_EVERY == 0 or finished == count:
            _save(journal, finished, state)
    return state


def _save(journal: Journal, iteration: int, state: State) -> None:
    """Writes a checkpoint, and removes those before it."""
    with journal.folder.scratch() as scratch:
        file = scratch / "state.npz"
        np.savez(file, *jax.device_get(jax.tree.leaves(state)))
        before = [name for name in journal.finished if name.endswith(".npz")]
        journal.put(file, f"{iteration:06}.npz", None)
    for name in before:
        journal.folder.remove(name)


def read_checkpoint(folder: Path, iteration: int, like: State) -> State:
    """Returns the state after an iteration, with the structure of `like`."""
    with np.load(folder / f"{iteration:06}.npz") as file:
        leaves = [jnp.asarray(file[name]) for name in file.files]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)
