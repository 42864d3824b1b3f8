"""The working folder of a run: its settings, checkpoints and metrics.

WORKDIR/config.json          the run's `Config`
WORKDIR/checkpoints/STEP     state and data iterators, by Orbax, and checksums
WORKDIR/damaged/STEP         checkpoints that could not be read, moved out of the way
WORKDIR/metrics.jsonl        a line for each logged step
WORKDIR/tensorboard          the same, for TensorBoard
WORKDIR/samples/STEP.png     inputs, targets, and what the model makes of them
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
import pydantic
from jax.experimental import multihost_utils

from dyso import records
from dyso.spec import UserError
from dyso.storage import require_folder
from dyso.terminal import to_stderr
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
    require_folder(workdir)
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


Tell = Callable[[str], None]
"""Is told, in a line, what a user should know."""


@contextmanager
def manager(workdir: Path) -> Iterator[ocp.CheckpointManager]:
    """Yields Orbax's manager of a run's checkpoints, and waits for its last write."""
    folder = (workdir / "checkpoints").absolute()
    options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, create=True)
    with ocp.CheckpointManager(folder, options=options) as own:
        yield own
        own.wait_until_finished()


def save(
    checkpoints: ocp.CheckpointManager, state: State, data: dict[str, Any]
) -> None:
    """Saves a state and the places of the data iterators; last, the files' checksums.

    A checkpoint without checksums was not finished.
    """
    step = int(state.step)
    checkpoints.save(
        step,
        args=ocp.args.Composite(
            state=ocp.args.StandardSave(state._asdict()), data=ocp.args.JsonSave(data)
        ),
    )
    checkpoints.wait_until_finished()
    if jax.process_index() == 0:
        folder = Path(checkpoints.directory) / str(step)
        sums = {
            str(path.relative_to(folder)): _sum(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        with records.replacing(folder / _SUMS) as temporary:
            temporary.write_text(json.dumps(sums, indent=1) + "\n")


_SUMS = "sha256.json"


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damage(folder: Path) -> str | None:
    """Returns what is wrong with a checkpoint's files; None if nothing is."""
    try:
        sums = json.loads((folder / _SUMS).read_text())
        for name, expected in sums.items():
            if _sum(folder / name) != expected:
                return f"{name} was changed"
    except FileNotFoundError as error:
        return f"{Path(error.filename).relative_to(folder)} is missing"
    except (OSError, ValueError, AttributeError):
        return f"{_SUMS} or what it names cannot be read"
    return None


class Restored(NamedTuple):
    """What a checkpoint holds.

    Attributes:
      state: of the training.
      places: of the data iterators.
      damaged: newer checkpoints that cannot be read, each with the reason.
    """

    state: State
    places: dict[str, Any]
    damaged: dict[int, str]


def restore(
    checkpoints: ocp.CheckpointManager, config: Config, sharding: Any
) -> Restored | None:
    """Reads the newest checkpoint that is whole; None before the first.

    Raises:
      UserError: there are some, and none is whole.
    """
    shapes = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        jax.eval_shape(lambda: init_state(config))._asdict(),
    )
    damaged: dict[int, str] = {}
    for step in sorted(checkpoints.all_steps(), reverse=True):
        reason = _damage(Path(checkpoints.directory) / str(step))
        if reason is None:
            found = checkpoints.restore(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardRestore(shapes), data=ocp.args.JsonRestore()
                ),
            )
            return Restored(State(**found["state"]), found["data"], damaged)
        damaged[step] = reason
    if damaged:
        reasons = "; ".join(f"{step}: {reason}" for step, reason in damaged.items())
        raise UserError(
            f"{checkpoints.directory}: no checkpoint is whole ({reasons}); remove the "
            "folder to begin anew"
        )
    return None


def set_aside(checkpoints: ocp.CheckpointManager, workdir: Path, step: int) -> None:
    """Moves a damaged checkpoint to WORKDIR/damaged, so that its step can be saved."""
    if jax.process_index() == 0:
        place = workdir / "damaged" / str(step)
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(exist_ok=True)
        (workdir / "checkpoints" / str(step)).rename(place)
    multihost_utils.sync_global_devices(f"set aside {step}")
    checkpoints.reload()


def load_params(
    workdir: Path, config: Config, tell: Tell = to_stderr
) -> tuple[int, Any]:
    """Returns the step and the parameters of the newest checkpoint that is whole.

    Args:
      workdir: of the run.
      config: of the run.
      tell: is told of newer checkpoints that are damaged.

    Raises:
      UserError: there is none.
    """
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    found = None
    if (workdir / "checkpoints").is_dir():
        with manager(workdir) as checkpoints:
            found = restore(checkpoints, config, sharding)
    if found is None:
        raise UserError(f"{workdir}: has no checkpoint yet")
    step = int(found.state.step)
    for newer, reason in found.damaged.items():
        tell(f"checkpoint {newer} is damaged ({reason}): step {step} is used")
    return step, found.state.params
