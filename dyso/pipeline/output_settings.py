"""The settings of a dataset's shards, which the first job in a folder fixes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import dyso
from dyso.pipeline.output_layout import SETTINGS, WORK_FOLDER, OutputLayout
from dyso.pipeline.plan import SCENES_PER_SHARD, Shard, plan_shards
from dyso.pipeline.shard_report import to_json
from dyso.spec import ResolvedSpec, UserError
from dyso.storage.resumable import RESUME

_SETTING_NAMES = ("spec_hash", "scenes_per_shard", "versions")


def read_settings(layout: OutputLayout) -> dict[str, Any]:
    """Reads the settings that the first job in the folder fixed.

    Raises:
      FileNotFoundError: no job has begun here, or the file was removed.
      UserError: the file is damaged.
    """
    text = layout.output.read(SETTINGS)
    try:
        return parse_settings(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{layout.output}/{SETTINGS}: is damaged; remove it, then {RESUME}"
        ) from error


def parse_settings(value: Any) -> dict[str, Any]:
    """Returns the fixed settings in the contents of layout.json or metadata.json.

    Raises:
      ValueError: the settings are missing or invalid.
    """
    match value:
        case {
            "spec_hash": str(),
            "scenes_per_shard": int(per_shard),
            "versions": dict(versions),
        } if per_shard > 0 and all(isinstance(v, str) for v in versions.values()):
            return {name: value[name] for name in _SETTING_NAMES}
    raise ValueError("no valid settings")


def planned_shards(resolved: ResolvedSpec, settings: Mapping[str, Any]) -> list[Shard]:
    return list(plan_shards(resolved.spec.splits, settings["scenes_per_shard"]))


def shards_of(
    layout: OutputLayout, resolved: ResolvedSpec, per_shard: int | None = None
) -> list[Shard]:
    """Returns all shards; the first job in a folder fixes the scenes per shard.

    Args:
      layout: the output folder.
      resolved: the dataset.
      per_shard: maximum number of scenes in a shard; None: the number that was fixed
        before, or the default.

    Raises:
      UserError: the folder was begun with another number, or with other versions (see
        `check_versions`).
    """
    try:
        settings = read_settings(layout)
    except FileNotFoundError:
        settings = {
            "spec_hash": layout.spec_hash,
            "scenes_per_shard": per_shard or SCENES_PER_SHARD,
            "versions": _installed(),
        }
        _check_existing_shards(layout, resolved, planned_shards(resolved, settings))
        layout.output.write(SETTINGS, to_json(settings))
    if per_shard not in (None, settings["scenes_per_shard"]):
        raise UserError(
            f"{layout.output}: was begun with {settings['scenes_per_shard']} scenes "
            f"per shard, got {per_shard}; leave the option out, or choose another "
            "folder"
        )
    check_versions(layout)
    return planned_shards(resolved, settings)


def begun_shards(layout: OutputLayout, resolved: ResolvedSpec) -> list[Shard]:
    """Returns all shards of a running job, as the settings in the folder define them.

    Raises:
      UserError: the settings were removed.
    """
    check_versions(layout)
    return planned_shards(resolved, read_settings(layout))


def _check_existing_shards(
    layout: OutputLayout, resolved: ResolvedSpec, shards: Sequence[Shard]
) -> None:
    """Raises UserError if `.work` is gone and existing shards have other sizes."""
    names = {layout.shard_file(shard) for shard in shards}
    starts = tuple(f"{layout.dataset}-{s}.array_record-" for s in resolved.spec.splits)
    for name in layout.output.entries():
        if name.startswith(starts) and name not in names:
            raise UserError(
                f"{layout.output}: {WORK_FOLDER} was removed, and {name} was made with "
                "another number of scenes per shard; pass the number that the folder "
                "was begun with, or choose another folder"
            )


def check_versions(layout: OutputLayout) -> None:
    """Checks that the installed versions are those that the folder was begun with.

    Raises:
      UserError: the versions differ, or the settings that name them were removed.
    """
    installed = _installed()
    try:
        begun = read_settings(layout)["versions"]
    except FileNotFoundError:
        raise UserError(
            f"{layout.output}/{SETTINGS}: was removed while the job ran; {RESUME}, "
            f"and do not change {WORK_FOLDER} while it runs"
        ) from None
    for name, version in begun.items():
        if installed.get(name, version) != version:
            raise UserError(
                f"{layout.output}: was begun with {name} {version}, whose pixels may "
                f"differ from those of the installed {name} {installed[name]}; install "
                f"{version}, or choose another folder"
            )


def _installed() -> dict[str, str]:
    """Returns the versions of the packages that decide the pixels.

    bpy may be missing on the machine that launches the job.
    """
    versions = {"dyso": dyso.__version__}
    with contextlib.suppress(metadata.PackageNotFoundError):
        versions["bpy"] = metadata.version("bpy")
    return versions
