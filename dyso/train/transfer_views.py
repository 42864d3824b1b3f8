"""Twin scenes: which they are, and the views that transfer is measured on.

Imports no JAX, so that models of other frameworks can be measured on the same views.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dyso.errors import UserError
from dyso.train.data import Arrangement, Batch, arrange_swap
from dyso.train.evaluation_views import VIEWS_SEED
from dyso.train.view_geometry import FIELDS, view_geometry

if TYPE_CHECKING:
    from dyso.reading import Split

Factor = Literal["camera", "dynamics"]

_KEYS: dict[Factor, str] = {"camera": "cameras", "dynamics": "dynamics"}


def shared_factors(split: Split) -> frozenset[Factor]:
    """Returns what the twins of a split share."""
    twins = split.spec.twins
    return frozenset(factor for factor, key in _KEYS.items() if key in twins)


def pairs_of(split: Split) -> list[tuple[int, int]]:
    """Returns the places of twins in a split.

    Their records are compared: a scene that was sampled again after a failed render
    does not match its twin, and is left out with it.

    Raises:
      UserError: the dataset's scenes are independent.
    """
    shared = shared_factors(split)
    if not shared:
        raise UserError(
            f"{split.spec.name}: its scenes are independent; transfer is measured on "
            "twins, such as those of specs/transfer.yaml (the key `twins`)"
        )
    unpaired: dict[int, tuple[int, dict[str, Any]]] = {}
    pairs = []
    for place in range(len(split)):
        record = split.read(place, fields=["index", *FIELDS])
        index = int(record["index"])
        if index ^ 1 not in unpaired:
            unpaired[index] = place, record
            continue
        other_place, other = unpaired.pop(index ^ 1)
        moves = record["objects/positions"] - other["objects/positions"]
        same: dict[Factor, bool] = {
            "camera": _close(record, other, "extrinsics", "intrinsics"),
            # Heights differ, since each object touches the floor.
            "dynamics": _close(record, other, "objects/quaternions")
            and np.allclose(moves[..., :2], 0, atol=1e-4),
        }
        if all(same[factor] for factor in shared):
            pairs.append((other_place, place))
    return pairs


def _close(one: dict[str, Any], other: dict[str, Any], *names: str) -> bool:
    return all(np.allclose(one[name], other[name], atol=1e-4) for name in names)


def arrangement_of(split: Split, number: int, inputs: int) -> Arrangement:
    """Returns the views of a pair's scenes, and of the unrelated ones beside them.

    Args:
      split: the scenes.
      number: the pair's number, from 0.
      inputs: number of input views.
    """
    rng = np.random.default_rng([VIEWS_SEED, number])
    spec = split.spec
    return arrange_swap(rng, spec.dynamics.steps, spec.cameras.count, inputs)


def read_views(split: Split, index: int, arrangement: Arrangement) -> Batch:
    """Reads a scene in a given arrangement.

    Returns:
      `inputs` [V, H, W, 3] and `targets` [T, H, W, 3], uint8; `cameras` [T] and
      `dynamics` [T], the targets' ids; `camera_position` [T, 3] and `object_position`
      [T, 3], the targets' cameras and the scene's first object, in metres, in the
      camera frame of the first input.
    """
    views = np.concatenate([arrangement.inputs, arrangement.targets])
    color = split.read(index, fields=["color"], views=views.tolist())["color"]
    count, cameras = len(arrangement.inputs), split.spec.cameras.count
    first, targets = int(arrangement.inputs[0]), arrangement.targets
    truth = view_geometry(split, index, first, targets.tolist())
    return {
        "inputs": color[:count],
        "targets": color[count:],
        "cameras": (targets % cameras).astype(np.int32),
        "dynamics": (targets // cameras).astype(np.int32),
        "camera_position": truth["camera_position"][:, 0],
        "object_position": truth["position_in_first"][:, 0],
    }


def read_with_others(
    split: Split, pairs: list[tuple[int, int]], place: int, inputs: int
) -> Batch:
    """Reads a scene with its twin and an unrelated scene, all arranged alike.

    Args:
      split: the scenes.
      pairs: at least two, of which the twins are numbered one after another.
      place: number of the twin, from 0 to twice the number of pairs.
      inputs: number of input views.

    Returns:
      What `read_views` returns of the scene itself as `own/NAME`, of its twin as
      `twin/NAME`, and of the corresponding twin of the next pair as `unrelated/NAME`.
    """
    number, side = divmod(place, 2)
    following = pairs[(number + 1) % len(pairs)]
    indices = {
        "own": pairs[number][side],
        "twin": pairs[number][1 - side],
        "unrelated": following[side],
    }
    arrangement = arrangement_of(split, number, inputs)
    return {
        f"{origin}/{name}": values
        for origin, index in indices.items()
        for name, values in read_views(split, index, arrangement).items()
    }


def tasks(split: Split, inputs: int = 3) -> Iterator[Batch]:
    """Yields what a model of any framework needs to be measured: see docs/transfer.md.

    Args:
      split: twins.
      inputs: number of input views.

    Raises:
      UserError: the scenes are no twins.
    """
    pairs = pairs_of(split)
    for place in range(2 * len(pairs)):
        yield read_with_others(split, pairs, place, inputs)
