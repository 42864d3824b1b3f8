"""The working folder of a run: its settings, checkpoints and metrics.

WORKDIR/config.json          the run's `Config`
WORKDIR/data.json            the identity of the data that it trains on
WORKDIR/checkpoints/STEP     state and data iterators, by Orbax, and checksums
WORKDIR/damaged/STEP         checkpoints that could not be read, moved out of the way
WORKDIR/metrics.jsonl        a line for each logged step and each measurement
WORKDIR/tensorboard          the same, for TensorBoard
WORKDIR/samples/STEP.png     inputs, targets, and what the model makes of them
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from dyso.errors import UserError
from dyso.files import replacing
from dyso.terminal import to_stderr
from dyso.train.config import Config
from dyso.train.step import State, init_state

KEPT = 3
FREE = {
    "log_every",
    "save_every",
    "keep_every",
    "sample_every",
    "evaluate_every",
    "evaluate_scenes",
    "training.steps",
    "training.micro_batch",
    "model.remat",
}
"""Settings that may differ when a run is resumed: no step's result depends on them, but
for the order of sums."""


Run = TypeVar("Run", bound=Any)
"""Settings of a run: `Config`, or those of another kind of model, with a `KIND`."""


def begin(
    workdir: Path, config: Run, data: dict[str, dict[str, Any]] | None = None
) -> Run:
    """Writes the settings of a run, new or resumed, and returns them.

    Args:
      workdir: of the run.
      config: as asked for. Where `training.decay_steps` is 0, a new run gets its
        `training.steps`, and a resumed run keeps its own.
      data: by source (`scenes`, `videos`), what identifies the data; None is not
        compared.

    Raises:
      UserError: the folder has a run with other settings, but for `FREE`, or data.
    """
    path = workdir / "config.json"
    kind = type(config)
    begun = _with_decay(load_config(workdir, kind)) if path.exists() else None
    decay_steps = begun.training.decay_steps if begun else config.training.steps
    config = _with_decay(config, decay_steps)
    if begun:
        asked = _flat(config)
        differ = [
            f"{name}: expected {value}, got {asked[name]}"
            for name, value in _flat(begun).items()
            if name not in FREE and asked[name] != value
        ]
        if differ:
            raise UserError(
                f"{workdir}: has a run with other settings ({'; '.join(differ)}); "
                "choose another --workdir"
            )
    _check_data(workdir / "data.json", data)
    if config != begun:
        workdir.mkdir(parents=True, exist_ok=True)
        _write_json(path, _named(kind) | asdict(config))
    return config


def _named(kind: Any) -> dict[str, str]:
    name = getattr(kind, "KIND", None)
    return {"kind": name} if name else {}


def _with_decay(config: Run, steps: int = 0) -> Run:
    training = config.training
    steps = training.decay_steps or steps or training.steps
    return replace(config, training=replace(training, decay_steps=steps))


def _check_data(path: Path, data: dict[str, dict[str, Any]] | None) -> None:
    """Compares the data with what the run was begun with, or notes it.

    Raises:
      UserError: it is other data.
    """
    if data is None:
        return
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_json(path, data)
        return
    try:
        begun = json.loads(path.read_text())
        differ = [
            f"{source}: expected {_described(begun.get(source))}, "
            f"got {_described(data.get(source))}"
            for source in dict.fromkeys([*begun, *data])
            if begun.get(source) != data.get(source)
        ]
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not the identity of a run's data") from error
    if differ:
        raise UserError(
            f"{path.parent}: its run was begun on other data ({'; '.join(differ)}); "
            "pass that data, or choose another --workdir"
        )


def _described(identity: dict[str, Any] | None) -> str:
    if identity is None:
        return "none"
    return " ".join(f"{value!s:.12}" for value in identity.values())


def _write_json(path: Path, value: Any) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n")


def load_config(workdir: Path, kind: type[Any] = Config) -> Any:
    """Reads the settings of a run.

    Args:
      workdir: of the run.
      kind: the class of the settings.

    Raises:
      UserError: the folder has no run.
    """
    from dyso.storage import require_folder

    require_folder(workdir)
    path = workdir / "config.json"
    try:
        return parse_config(path.read_bytes(), kind)
    except OSError as error:
        raise UserError(
            f"{workdir}: no run of `dyso train`: {error.strerror}"
        ) from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except ValueError as error:
        raise UserError(f"{path}: not a run's settings") from error


def parse_config(text: str | bytes, kind: type[Any] = Config) -> Any:
    """Returns the settings that a JSON text holds, as config.json does.

    Raises:
      ValueError: it holds none.
      UserError: they are of another kind of model, or contradict one another.
    """
    import pydantic

    try:
        settings = json.loads(text)
        found, wanted = settings.pop("kind", None), getattr(kind, "KIND", None)
        if found != wanted:
            names = (name or "a view synthesis model" for name in (found, wanted))
            raise UserError("the run is of {}, but this needs one of {}".format(*names))
        # Runs from before it had more than two values.
        remat = settings["model"].get("remat")
        if isinstance(remat, bool):
            settings["model"]["remat"] = "full" if remat else "none"
        return pydantic.TypeAdapter(kind).validate_python(settings)
    except (TypeError, LookupError, AttributeError) as error:
        raise ValueError("not a run's settings") from error


def _flat(config: Any) -> dict[str, Any]:
    """Returns a run's settings by their names on the command line."""
    flat: dict[str, Any] = {}
    for section, value in asdict(config).items():
        if isinstance(value, dict):
            flat |= {f"{section}.{name}": each for name, each in value.items()}
        else:
            flat[section] = value
    return flat


Tell = Callable[[str], None]
"""Prints a line for the user."""


@contextmanager
def manager(workdir: Path, keep_every: int = 0) -> Iterator[ocp.CheckpointManager]:
    """Yields Orbax's manager of a run's checkpoints, and waits for its last write.

    It keeps the last three, and those of every `keep_every`-th step.
    """
    folder = (workdir / "checkpoints").absolute()
    options = ocp.CheckpointManagerOptions(
        max_to_keep=KEPT, keep_period=keep_every or None, create=True
    )
    with ocp.CheckpointManager(folder, options=options) as checkpoints:
        yield checkpoints
        checkpoints.wait_until_finished()


def save(
    checkpoints: ocp.CheckpointManager, state: State, data: dict[str, Any]
) -> None:
    """Saves a state and the states of the data iterators, and then checksums.

    A checkpoint without checksums is not finished.
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
        _write_json(folder / _SUMS, sums)


_SUMS = "sha256.json"


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damage(folder: Path) -> str | None:
    """Returns what is wrong with a checkpoint's files, or None."""
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
    """The content of a checkpoint.

    Attributes:
      state: of the training.
      places: states of the data iterators, by source.
      damaged: newer checkpoints that cannot be read, each with the reason.
    """

    state: State
    places: dict[str, Any]
    damaged: dict[int, str]


def restore(
    checkpoints: ocp.CheckpointManager,
    init: Callable[[], State],
    sharding: Any,
    step: int | None = None,
) -> Restored | None:
    """Reads the newest checkpoint that is whole; None before the first.

    Args:
      checkpoints: of the run.
      init: returns the state before the first step.
      sharding: of the state.
      step: reads the checkpoint of this step and no other.

    Raises:
      UserError: no checkpoint is whole, or there is none of that step, or its
        parameters are of another network.
    """
    steps = sorted(checkpoints.all_steps(), reverse=True)
    if step is not None:
        if step not in steps:
            saved = ", ".join(map(str, reversed(steps))) or "none"
            raise UserError(
                f"step: {checkpoints.directory} has no checkpoint of step {step}; "
                f"expected one of {saved}"
            )
        steps = [step]
    shapes = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        jax.eval_shape(init)._asdict(),
    )
    damaged: dict[int, str] = {}
    for step in steps:
        reason = _damage(Path(checkpoints.directory) / str(step))
        if reason is None:
            try:
                restored = checkpoints.restore(
                    step,
                    args=ocp.args.Composite(
                        state=ocp.args.StandardRestore(shapes),
                        data=ocp.args.JsonRestore(),
                    ),
                )
            except ValueError as error:
                raise UserError(
                    f"{checkpoints.directory}/{step}: has other parameters than the "
                    "run's config.json describes; was it another version of dyso?"
                ) from error
            return Restored(State(**restored["state"]), restored["data"], damaged)
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
    workdir: Path,
    config: Any,
    tell: Tell = to_stderr,
    step: int | None = None,
    init: Callable[[Any], State] = init_state,
) -> tuple[int, Any]:
    """Returns the step and the parameters of the newest checkpoint that is whole.

    Args:
      workdir: of the run.
      config: of the run.
      tell: prints a line about newer checkpoints that are damaged.
      step: reads the checkpoint of this step and no other.
      init: returns the state before the first step, by the settings.

    Raises:
      UserError: no checkpoint can be read.
    """
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    restored = None
    if (workdir / "checkpoints").is_dir():
        with manager(workdir) as checkpoints:
            restored = restore(checkpoints, lambda: init(config), sharding, step)
    if restored is None:
        raise UserError(f"{workdir}: has no checkpoint yet")
    used = int(restored.state.step)
    for newer, reason in restored.damaged.items():
        tell(f"checkpoint {newer} is damaged ({reason}): step {used} is used")
    return used, restored.state.params
