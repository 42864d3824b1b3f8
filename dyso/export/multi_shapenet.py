"""`multi_shapenet`: MultiShapeNet as SRT, OSRT and GTA read it with the sunds package.

`sunds.builder("multi_shapenet", data_dir=out)` reads it. The features are those of
`dyso.export.sunds`. These readers take the first ten views of a scene, in the order of
their names, as views of the same still scene. So an example has `VIEWS` views of the
first dynamics step, those of the first cameras.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dyso.export import sunds
from dyso.export.sunds import Release
from dyso.spec import ResolvedSpec, Spec, UserError

ABOUT = "MultiShapeNet for SRT, OSRT and GTA: ten views of a scene at rest"
VIEWS = 10
"""That these readers take."""
INSTANCES = 33
"""At most; OSRT counts the background and further ones as one of 34."""


def check(spec: Spec) -> None:
    """Refuses what `dyso.export.formats` says.

    Raises:
      UserError: fewer than ten cameras see the first dynamics step, there may be more
        objects than OSRT tells apart, or two splits would have one name.
    """
    sunds.check(spec)
    if spec.cameras.paired or spec.cameras.count < VIEWS:
        got = "one camera sees each" if spec.cameras.paired else spec.cameras.count
        raise UserError(
            f"multi_shapenet: its readers take {VIEWS} views of one dynamics step, but "
            f"cameras.count is {got}; see specs/msn.yaml"
        )
    if spec.objects.count[1] > INSTANCES:
        raise UserError(
            f"multi_shapenet: its readers tell {INSTANCES} objects apart, but "
            f"objects.count is {list(spec.objects.count)}"
        )


def notes(spec: Spec) -> list[str]:
    """Returns what users of the export must know; see `dyso.export.formats`."""
    found = []
    if spec.dynamics.steps > 1 or spec.cameras.count > VIEWS:
        found.append(f"holds {VIEWS} cameras of the first dynamics step alone")
    if spec.resolution != (128, 128):
        found.append("OSRT has 128 x 128 pixels in its code")
    return found


def paths(
    resolved: ResolvedSpec, split: str, shard: int, shards: int
) -> tuple[str, ...]:
    """Returns the paths of one shard: of the scenes, and of their frames."""
    return sunds.release_paths(_release(resolved.spec), split, shard, shards)


def write(
    resolved: ResolvedSpec, scenes: Iterable[Mapping[str, Any]], files: Sequence[Path]
) -> None:
    """Writes one shard of the frames and of the scenes."""
    sunds.write_release(_release(resolved.spec), resolved, scenes, files)


def finish(
    resolved: ResolvedSpec, shards: Mapping[str, Sequence[int]], out: Path
) -> None:
    """Writes tfds's metadata."""
    sunds.finish_release(_release(resolved.spec), resolved, shards, out)


def _release(spec: Spec) -> Release:
    return Release(
        builder=f"multi_shapenet_{{kind}}/{spec.version}", views=range(VIEWS)
    )
