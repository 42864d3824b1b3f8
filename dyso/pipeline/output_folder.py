"""Opens the output folder of a job; checks and reopens what it holds."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict

from dyso.pipeline.output_layout import (
    COMPLETED,
    METADATA,
    SETTINGS,
    SPEC,
    WORK_FOLDER,
    OutputLayout,
    covers,
)
from dyso.pipeline.output_settings import parse_settings, planned_shards
from dyso.pipeline.shard_report import reports_of, to_json
from dyso.spec import ResolvedSpec, UserError, parse_resolved, save_resolved
from dyso.storage import Folder
from dyso.storage.resumable import differences, hold_output, require_empty

_LOCK = f"{WORK_FOLDER}/lock"


@contextlib.contextmanager
def open_output(resolved: ResolvedSpec, output: Folder) -> Iterator[OutputLayout]:
    """Opens the output folder exclusively for one job.

    Raises:
      UserError: the folder cannot be written, holds something other than this dataset,
        or another job is writing to it.
    """
    layout = OutputLayout(
        output=output, dataset=resolved.spec.name, spec_hash=resolved.hash
    )
    with hold_output(output, _LOCK, lambda: check_output(resolved, output)):
        for name in output.sizes(WORK_FOLDER):
            if name.endswith(".progress"):
                output.remove(name)
        # Write it every time: on this machine the catalogs may have other paths.
        output.write(SPEC, save_resolved(resolved))
        if output.size(METADATA) is not None and not is_whole(resolved, output):
            _reopen(layout, resolved)
        yield layout
        if output.size(COMPLETED) is not None:
            output.remove_folder(WORK_FOLDER)


def is_whole(resolved: ResolvedSpec, output: Folder) -> bool:
    """Returns whether a dataset is complete and still has all of its shards."""
    if output.size(COMPLETED) is None:
        return False
    try:
        contents = json.loads(output.read(METADATA))
        sizes = {each["file"]: each["bytes"] for each in contents["shards"]}
        shards = planned_shards(resolved, parse_settings(contents))
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return False
    names = [shard.filename(resolved.spec.name) for shard in shards]
    return sizes.keys() == {*names} and all(
        output.size(name) == sizes[name] for name in names
    )


def _reopen(layout: OutputLayout, resolved: ResolvedSpec) -> None:
    """Turns a finished dataset into an unfinished one with the remaining shards."""
    output = layout.output
    text = output.read(METADATA)
    with contextlib.suppress(ValueError, RecursionError):
        settings = parse_settings(json.loads(text)) | {"spec_hash": layout.spec_hash}
        output.write(SETTINGS, to_json(settings))
        shards = {layout.shard_file(s): s for s in planned_shards(resolved, settings)}
        for file, report in reports_of(text, layout.spec_hash):
            shard = shards.get(file)
            if shard is not None and covers(report, shard):
                name = layout.shard_report_file(shard)
                output.write(name, to_json(asdict(report)))
    output.remove(COMPLETED)
    output.remove(METADATA)


def check_output(resolved: ResolvedSpec, output: Folder) -> None:
    """Checks, without writing, that a folder is empty or holds this dataset.

    Raises:
      UserError: it holds another spec's data, or other files.
    """
    if _stored_hash(output) == resolved.hash:
        return
    try:
        text = output.read(SPEC)
    except (FileNotFoundError, NotADirectoryError):
        require_empty(output, WORK_FOLDER)
        return
    stored = parse_resolved(text, f"{output}/{SPEC}")
    if stored.hash != resolved.hash:
        raise UserError(
            f"{output}: holds the data of another spec "
            f"({differences(resolved.identity(), stored.identity())}); choose another "
            "folder"
        )


def _stored_hash(output: Folder) -> str | None:
    """Returns the identity stored by a job, without reading its large spec.json."""
    with contextlib.suppress(OSError):
        return output.read(COMPLETED).decode(errors="replace").strip()
    with contextlib.suppress(OSError, ValueError, RecursionError):
        return str(parse_settings(json.loads(output.read(SETTINGS)))["spec_hash"])
    return None
