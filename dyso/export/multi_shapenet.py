"""`multi_shapenet`: MultiShapeNet for SRT, OSRT and GTA, by way of the sunds package.

`sunds.builder("multi_shapenet", data_dir=out)` reads it. The features are those of
`dyso.export.sunds`. These readers take the first ten views of a scene, ordered by name,
as views of one static scene. An example therefore has the first `VIEWS` cameras of the
first dynamics step.
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
"""The number of views that these readers use."""
INSTANCES = 33
"""The most objects; OSRT has 34 slots, of which the background takes one."""


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: fewer than ten cameras see the first dynamics step, there may be more
        objects than OSRT supports, or two splits would have the same name.
    """
    sunds.check(spec)
    if spec.cameras.paired or spec.cameras.count < VIEWS:
        count = "one camera sees each" if spec.cameras.paired else spec.cameras.count
        raise UserError(
            f"multi_shapenet: its readers need {VIEWS} views of one dynamics step, but "
            f"cameras.count is {count}; see specs/msn.yaml"
        )
    if spec.objects.count[1] > INSTANCES:
        raise UserError(
            f"multi_shapenet: its readers support at most {INSTANCES} objects, but "
            f"objects.count is {list(spec.objects.count)}"
        )


def notes(spec: Spec) -> list[str]:
    """Returns what users of the export must know; see `dyso.export.formats`."""
    lines = []
    if spec.dynamics.steps > 1 or spec.cameras.count > VIEWS:
        lines.append(f"holds only {VIEWS} cameras of the first dynamics step")
    if spec.resolution != (128, 128):
        lines.append("OSRT hard-codes images of 128 x 128 pixels")
    return lines


def paths(
    resolved: ResolvedSpec, split: str, shard: int, shards: int
) -> tuple[str, ...]:
    """Returns the paths of one shard: the scenes' file and the frames' file."""
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
