"""The working folder of a run: its settings, checkpoints and metrics.

WORKDIR/config.json          the run's `Config`
WORKDIR/checkpoints/STEP     state and data iterators, by Orbax
WORKDIR/metrics.jsonl        a line for each logged step
WORKDIR/tensorboard          the same, for TensorBoard
WORKDIR/samples/STEP.png     inputs, targets, and what the model makes of them
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
import pydantic

from dyso import records
from dyso.spec import UserError
from dyso.train.presets import Config
from dyso.train.step import State, init_state

KEPT = 3


def save_config(workdir: Path, config: Config) -> None:
    """Writes the settings; a run that is there already must have the same.

    Raises:
      UserError: it has others.
    """
    path = workdir / "config.json"
    if path.exists():
        there = load_config(workdir)
        if there != config:
            lines = [
                f"{key}: {old} there, {new} wanted"
                for (key, old), (_, new) in zip(
                    _flat(there), _flat(config), strict=True
                )
                if old != new
            ]
            raise UserError(
                f"{workdir}: holds another run ({'; '.join(lines)}); choose another "
                "folder"
            )
        return
    workdir.mkdir(parents=True, exist_ok=True)
    with records.replacing(path) as temporary:
        temporary.write_text(json.dumps(asdict(config), indent=1) + "\n")


def load_config(workdir: Path) -> Config:
    """Reads the settings of a run.

    Raises:
      UserError: there is none.
    """
    path = workdir / "config.json"
    try:
        return pydantic.TypeAdapter(Config).validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"{workdir}: no run of `dyso train`: {error.strerror}"
        ) from error
    except ValueError as error:
        raise UserError(f"{path}: not a run's settings") from error


def _flat(config: Config) -> list[tuple[str, Any]]:
    return [
        (f"{section}.{key}", value)
        for section, values in asdict(config).items()
        for key, value in (
            values.items() if isinstance(values, dict) else [("", values)]
        )
    ]


@contextmanager
def manager(workdir: Path) -> Iterator[ocp.CheckpointManager]:
    """Gives Orbax's manager of a run's checkpoints, and waits for its last write."""
    folder = (workdir / "checkpoints").absolute()
    options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, create=True)
    with ocp.CheckpointManager(folder, options=options) as own:
        yield own
        own.wait_until_finished()


def save(
    checkpoints: ocp.CheckpointManager, state: State, data: dict[str, Any]
) -> None:
    """Saves a state and the places of the data iterators."""
    checkpoints.save(
        int(state.step),
        args=ocp.args.Composite(
            state=ocp.args.StandardSave(state._asdict()), data=ocp.args.JsonSave(data)
        ),
    )


def restore(
    checkpoints: ocp.CheckpointManager, config: Config, sharding: Any
) -> tuple[State, dict[str, Any]] | None:
    """Gives the last state and data iterators' places; None before the first."""
    step = checkpoints.latest_step()
    if step is None:
        return None
    shapes = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        jax.eval_shape(lambda: init_state(config))._asdict(),
    )
    found = checkpoints.restore(
        step,
        args=ocp.args.Composite(
            state=ocp.args.StandardRestore(shapes), data=ocp.args.JsonRestore()
        ),
    )
    return State(**found["state"]), found["data"]


def load_params(workdir: Path, config: Config) -> tuple[int, Any]:
    """Gives the last checkpoint's step and parameters.

    Raises:
      UserError: there is none.
    """
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with manager(workdir) as checkpoints:
        found = restore(checkpoints, config, sharding)
    if found is None:
        raise UserError(f"{workdir}: has no checkpoint yet")
    return int(found[0].step), found[0].params
