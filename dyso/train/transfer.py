"""Transfer of latents between twin scenes, measured against exact pictures.

Twins share cameras, dynamics or both (`Spec.twins`), so that a latent estimated in one
scene has a true picture in the other. docs/transfer.md defines every row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float

from dyso.errors import UserError
from dyso.train.data import Batch, Scenes
from dyso.train.evaluation_views import BATCH, batches
from dyso.train.latent_sources import partners
from dyso.train.metrics import RESAMPLED, mean_and_error, psnr
from dyso.train.predict import Predictor
from dyso.train.probes import cross_predicted
from dyso.train.step import init_params
from dyso.train.transfer_views import (
    Factor,
    pairs_of,
    read_with_others,
    shared_factors,
)

if TYPE_CHECKING:
    from dyso.reading import Split

Origin = Literal["target", "own", "twin", "unrelated"]
ORIGINS: tuple[Origin, ...] = ("own", "twin", "unrelated")
POSITIONS = ("camera_position", "object_position")
COLUMNS = (
    *("model", "camera", "dynamics", "pairs", "psnr", "psnr_error"),
    *(f"{name}_rmse{end}" for name in POSITIONS for end in ("", "_error")),
)
"""Of the table; see docs/transfer.md."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Where the latents of one row of the table come from.

    Attributes:
      camera: where the camera latent comes from: the decoded `target` itself; a
        matching view of the target's `own` scene; the same view of its `twin`; the same
        view of an `unrelated` scene, of another pair.
      dynamics: likewise for the dynamics latent.
    """

    camera: Origin
    dynamics: Origin


def rows_of(shared: frozenset[Factor]) -> list[Row]:
    """Returns the rows of the table for twins that share these factors."""
    rows = [
        Row(camera="target", dynamics="target"),
        Row(camera="own", dynamics="own"),
    ]
    for origin in ("twin", "unrelated"):
        if "camera" in shared:
            rows.append(Row(camera=origin, dynamics="own"))
        if "dynamics" in shared:
            rows.append(Row(camera="own", dynamics=origin))
        if len(shared) == 2:
            rows.append(Row(camera=origin, dynamics=origin))
    return rows


def measure_transfer(
    predictor: Predictor,
    split: Split,
    pairs: int,
    progress: Callable[[range], Iterable[int]] = iter,
) -> dict[str, Any]:
    """Measures how a model's latents transfer between twins.

    Args:
      predictor: a model of dynamic scenes, with both latents.
      split: twins.
      pairs: how many pairs to use, at most: the first ones.
      progress: takes the numbers of the batches' first scenes and yields them.

    Returns:
      For JSON: `pairs`, `left_out`, `shared`, and for `model` and `untrained` each the
      `rows` of the table, and the position errors of the read-out on `true_pictures`
      and of a `constant`.

    Raises:
      UserError: the scenes are no twins, or the model has not both latents.
    """
    config = predictor.config
    if config.training.static or set(config.model.latents) != {"camera", "dynamics"}:
        raise UserError(
            "transfer: needs a model with camera and dynamics latents, such as `dyst`"
        )
    Scenes(split=split, config=config)  # checks that the views suffice
    every = pairs_of(split)
    chosen = every[:pairs]
    if len(chosen) < 3:
        raise UserError(
            f"transfer: needs at least 3 pairs of twins, got {len(chosen)}; "
            f"{split.name!r} of {split.spec.name} has {len(every)}, each of two scenes"
        )
    untrained = Predictor(config, init_params(config))
    return {
        "pairs": len(chosen),
        "left_out": len(split) // 2 - len(every),
        "shared": sorted(shared_factors(split)),
        "model": _table(predictor, split, chosen, progress),
        "untrained": _table(untrained, split, chosen, progress),
    }


def _table(
    predictor: Predictor,
    split: Split,
    pairs: list[tuple[int, int]],
    progress: Callable[[range], Iterable[int]],
) -> dict[str, Any]:
    """Measures one model: the rows, and what their read-out scores on true pictures."""
    rows = rows_of(shared_factors(split))
    gathered: dict[str, list[np.ndarray]] = {}

    def add(name: str, values: np.ndarray, new: int) -> None:
        gathered.setdefault(name, []).append(np.asarray(values)[:new])

    # The twins of a pair follow one another; each is decoded with the other's latents.
    inputs, count = predictor.config.training.inputs, 2 * len(pairs)
    for batch, new in batches(
        lambda place: read_with_others(split, pairs, place, inputs),
        progress(range(0, count, BATCH)),
        count,
    ):
        estimated: dict[str, dict[str, np.ndarray]] = {}
        for origin in ORIGINS:
            views = {k: batch[f"{origin}/{k}"] for k in ("inputs", "targets")}
            scene = predictor.encode(views["inputs"])
            found = predictor.estimate(views["targets"], scene)
            estimated[origin] = {k: np.asarray(v) for k, v in found.items()}
        scene = predictor.encode(batch["own/inputs"])
        ids = {k: batch[f"own/{k}"] for k in ("cameras", "dynamics")}
        true = batch["own/targets"] / np.float32(255)
        for name in POSITIONS:
            add(name, batch[f"own/{name}"], new)
        add("true/latents", _joined(estimated["own"]), new)
        for number, row in enumerate(rows):
            latents = {
                name: _latent(estimated, ids, name, getattr(row, name))
                for name in ("camera", "dynamics")
            }
            image = predictor.decode(latents, scene)
            scores = psnr(_flat(true), _flat(image)).reshape(len(true), -1)
            add(f"{number}/psnr", scores.mean(axis=1), new)
            again = predictor.estimate((255 * image + 0.5).astype(np.uint8), scene)
            add(f"{number}/latents", _joined(again), new)
    values = {name: np.concatenate(parts) for name, parts in gathered.items()}
    return {
        "rows": [
            {
                "camera": row.camera,
                "dynamics": row.dynamics,
                **mean_and_error(
                    "psnr", values[f"{number}/psnr"].reshape(-1, 2).mean(axis=1)
                ),
                **_errors(values, f"{number}/latents"),
            }
            for number, row in enumerate(rows)
        ],
        "true_pictures": _errors(values, "true/latents"),
        "constant": {
            key: value
            for name in POSITIONS
            for key, value in _rmse(
                name, _by_pair(values[name] - values[name].mean(axis=(0, 1)))
            ).items()
        },
    }


def _latent(
    estimated: dict[str, dict[str, np.ndarray]], ids: Batch, name: str, origin: Origin
) -> np.ndarray:
    """Returns a latent of each target, [S, T, L], from where a row says."""
    if origin == "target":
        return estimated["own"][name]
    matching = partners(ids, name)["matching"][..., None]
    return np.take_along_axis(estimated[origin][name], matching, axis=1)


def _joined(latents: dict[str, Any]) -> np.ndarray:
    return np.concatenate([np.asarray(each) for each in latents.values()], axis=-1)


def _errors(values: Batch, name: str) -> dict[str, float | None]:
    """Returns errors in metres of the positions that are read from pictures' latents.

    A linear probe reads them, fitted on true pictures of other pairs.
    """
    found: dict[str, float | None] = {}
    for truth in POSITIONS:
        predicted = cross_predicted(
            *(_by_pair(values[key]) for key in ("true/latents", truth, name))
        )
        found |= _rmse(truth, predicted - _by_pair(values[truth]))
    return found


def _rmse(name: str, errors: Float[np.ndarray, "P T2 3"]) -> dict[str, float | None]:
    """Returns the root mean squared distance, and its standard error over pairs."""
    squared = (errors**2).sum(axis=-1).mean(axis=1)
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(squared), size=(RESAMPLED, len(squared)))
    return {
        f"{name}_rmse": float(np.sqrt(squared.mean())),
        f"{name}_rmse_error": float(np.sqrt(squared[drawn].mean(axis=1)).std(ddof=1)),
    }


def _by_pair(values: Float[np.ndarray, "S T n"]) -> Float[np.ndarray, "P T2 n"]:
    """Joins the views of twins, which are not independent of one another."""
    return values.reshape(len(values) // 2, -1, values.shape[-1])


def _flat(images: Float[np.ndarray, "S T H W 3"]) -> Float[np.ndarray, "N H W 3"]:
    return images.reshape(-1, *images.shape[2:])


def table_of(figures: dict[str, Any], name: str) -> str:
    """Returns the rows as CSV, the format of docs/transfer.md.

    Args:
      figures: what `measure_transfer` returned.
      name: the model's.
    """
    lines = [",".join(COLUMNS)]
    for model, measured in ((name, "model"), (f"{name} untrained", "untrained")):
        for row in figures[measured]["rows"]:
            cells = {"model": model, "pairs": figures["pairs"], **row}
            lines.append(
                ",".join(
                    f"{cell:.4f}" if isinstance(cell, float) else str(cell)
                    for cell in (cells[column] for column in COLUMNS)
                )
            )
    return "\n".join(lines) + "\n"
