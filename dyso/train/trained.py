"""Trained models: from a run, from a file of weights, or from this package.

A file of weights is an .npz: `config`, the run's settings as JSON; `step`; and
`params/NAME`, the parameters in float16. It has no optimizer state, so training cannot
be resumed from it.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from dyso.errors import UserError
from dyso.files import writing
from dyso.train import checkpoints
from dyso.train.config import Config
from dyso.train.step import init_params

SHIPPED = Path(__file__).parent / "shipped"
"""Models that come with this package, and the scenes to try them on."""

_PARAMS = "params/"


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A model with its parameters, and where they are from.

    Attributes:
      name: of the run, of the file, or of the model that comes with this package.
      config: the run's settings.
      step: the training step.
      params: the parameters.
      folder: for reports, unless another is named.
      scenes: the folder of a dataset to measure on, unless another is named; None for
        models that do not come with this package.
    """

    name: str
    config: Config
    step: int
    params: Any
    folder: Path
    scenes: Path | None = None


def shipped() -> list[str]:
    """Returns the names of the models that come with this package."""
    return sorted(path.stem for path in SHIPPED.glob("*.npz"))


def load(model: Path, step: int | None = None) -> Trained:
    """Reads a trained model.

    Args:
      model: the folder of a run, a file of weights, or, where neither exists, the name
        of a model that comes with this package.
      step: the checkpoint to read; None is the newest.

    Raises:
      UserError: there is no such model or step, or it cannot be read.
    """
    if model.is_dir():
        config = checkpoints.load_config(model)
        used, params = checkpoints.load_params(model, config, step=step)
        name = model.resolve().name
        return Trained(name=name, config=config, step=used, params=params, folder=model)
    known = str(model) in shipped() and not model.exists()
    path = SHIPPED / f"{model}.npz" if known else model
    if not path.exists():
        raise UserError(
            f"{model}: does not exist; expected the folder of a run, a file of "
            f"`dyso weights`, or a model that comes with this program: "
            f"{', '.join(shipped())}"
        )
    config, used, params = _read(path)
    if step not in (None, used):
        raise UserError(f"step: {model} has step {used} alone, got {step}")
    return Trained(
        name=path.stem,
        config=config,
        step=used,
        params=params,
        folder=Path(f"{path.stem}-evaluation"),
        scenes=SHIPPED / "scenes" if known else None,
    )


def save(path: Path, trained: Trained) -> None:
    """Writes a file of weights, with parameters rounded to float16.

    Raises:
      UserError: the file cannot be written.
    """
    settings = json.dumps(dataclasses.asdict(trained.config))
    params = {
        _PARAMS + name: np.asarray(values, np.float16)
        for name, values in flatten_dict(trained.params, sep="/").items()
    }
    with writing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file, config=np.array(settings), step=np.array(trained.step), **params
        )


def _read(path: Path) -> tuple[Config, int, Any]:
    """Returns the settings, the step and the parameters of a file of weights.

    Raises:
      UserError: it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            config = checkpoints.parse_config(str(file["config"]))
            shapes = flatten_dict(jax.eval_shape(lambda: init_params(config)), sep="/")
            params = {name: file[_PARAMS + name] for name in shapes}
            step = int(file["step"])
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except (
        *(ValueError, TypeError, LookupError, AttributeError),
        *(EOFError, zipfile.BadZipFile),
    ) as error:
        raise UserError(f"{path}: not a file of `dyso weights`") from error
    for name, expected in shapes.items():
        if params[name].shape != expected.shape:
            raise UserError(
                f"{path}: {name}: expected shape {expected.shape}, got "
                f"{params[name].shape}"
            )
    return (
        config,
        step,
        unflatten_dict(
            {
                name: values.astype(shapes[name].dtype)
                for name, values in params.items()
            },
            sep="/",
        ),
    )
