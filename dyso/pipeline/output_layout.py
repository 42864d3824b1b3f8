"""The layout of the output folder, on disk or in a bucket, while a job runs.

    OUT/spec.json                                 the resolved spec, written first
    OUT/NAME-SPLIT.array_record-00000-of-00004    shards
    OUT/metadata.json, OUT/dataset_info.json ...  written when all shards are complete
    OUT/COMPLETED                                 written last
    OUT/.work/layout.json                         settings that all jobs here share
    OUT/.work/progress.json                       the state of the job
    OUT/.work/SHARD.json                          the report of a finished shard
    OUT/.work/SHARD/PART.array_record, PART.json  finished parts and their reports
    OUT/.work/SHARD/PART.progress                 the state of an unfinished part

A part or shard counts as finished only if its report exists. The report is written
after the file. `.work` is removed when the dataset is complete. If shards of a complete
dataset are lost later, the next job restores the reports of the remaining shards from
metadata.json and makes only the missing shards.

The files in the folder are not trusted. The names of all files follow from the plan of
the spec, and a report under any other name is ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import dyso
from dyso.pipeline.plan import SCENES_PER_SHARD, Part, Shard, plan_parts, plan_shards
from dyso.pipeline.shard_report import ShardReport, parse_report, reports_of, to_json
from dyso.spec import ResolvedSpec, UserError, parse_resolved, save_resolved
from dyso.storage import Folder

WORK_FOLDER = ".work"
COMPLETED = "COMPLETED"
SPEC = "spec.json"
METADATA = "metadata.json"
PROGRESS = f"{WORK_FOLDER}/progress.json"
_SETTINGS = f"{WORK_FOLDER}/layout.json"
_LOCK = f"{WORK_FOLDER}/lock"
_SETTING_NAMES = ("spec_hash", "scenes_per_shard", "versions")
_BATCH = 512  # number of reports that are read at the same time


@dataclass(frozen=True, kw_only=True)
class OutputLayout:
    """The names of the files in a dataset's output folder, and their reports.

    Attributes:
      output: the folder.
      dataset: the spec's name.
      spec_hash: the dataset's identity.
    """

    output: Folder
    dataset: str
    spec_hash: str

    def shard_file(self, shard: Shard) -> str:
        """Returns the file name of a finished shard."""
        return shard.filename(self.dataset)

    def shard_report_file(self, shard: Shard) -> str:
        """Returns the file name of a finished shard's report."""
        return f"{WORK_FOLDER}/{shard.name}.json"

    def parts_folder(self, shard: Shard) -> str:
        """Returns the folder of a shard's parts."""
        return f"{WORK_FOLDER}/{shard.name}"

    def part_file(self, part: Part, suffix: str) -> str:
        """Returns the file name of a part's `array_record`, `json` or `progress`."""
        return f"{self.parts_folder(part.shard)}/{part.name}.{suffix}"

    def shard_reports(self, shards: Sequence[Shard]) -> list[ShardReport | None]:
        """Returns the reports of shards; None for a shard that is not finished."""
        files = {self.shard_report_file(s): self.shard_file(s) for s in shards}
        by_name = dict(self.reports(files, self.output.sizes()))
        reports = zip(shards, map(by_name.get, files), strict=True)
        return [report if _covers(report, s) else None for s, report in reports]

    def part_reports(self, shard: Shard) -> dict[str, ShardReport]:
        """Returns the reports of a shard's finished parts by their file names."""
        sizes, valid = self.output.sizes(self.parts_folder(shard)), {}
        for name, report in self.reports(report_files(sizes), sizes):
            part = Part(shard=shard, start=report.start, stop=report.stop)
            if (
                shard.start <= part.start < part.stop <= shard.stop
                and _covers(report, part)
                and name == self.part_file(part, "json")
            ):
                valid[name] = report
        return valid

    def reports(
        self, files: Mapping[str, str], sizes: Mapping[str, int]
    ) -> Iterator[tuple[str, ShardReport]]:
        """Yields the names and contents of the reports that match their files.

        Args:
          files: the name of each report's data file, by the report's file name.
          sizes: the sizes of all existing files, by name.
        """
        present = [name for name, file in files.items() if {name, file} <= sizes.keys()]
        for start in range(0, len(present), _BATCH):
            texts = self.output.read_all(present[start : start + _BATCH])
            for name, text in texts.items():
                report = parse_report(text, sizes[files[name]], self.spec_hash)
                if report is not None:
                    yield name, report

    def shard_report(self, shard: Shard) -> ShardReport | None:
        """Returns a shard's report; None if the shard is not finished."""
        report = self._report(self.shard_report_file(shard), self.shard_file(shard))
        return report if _covers(report, shard) else None

    def part_report(self, part: Part) -> ShardReport | None:
        """Returns a part's report; None if the part is not finished."""
        report = self._report(
            self.part_file(part, "json"), self.part_file(part, "array_record")
        )
        return report if _covers(report, part) else None

    def _report(self, name: str, file: str) -> ShardReport | None:
        """Reads one report without listing the folder."""
        size = self.output.size(file)
        try:
            text = self.output.read(name)
        except FileNotFoundError:
            return None
        return None if size is None else parse_report(text, size, self.spec_hash)

    def parts(self, shard: Shard, scenes_per_part: int) -> Iterator[Part]:
        """Returns the shard's parts: finished ones, and new ones in the gaps."""
        done = self.part_reports(shard).values()
        return plan_parts(shard, scenes_per_part, [(a.start, a.stop) for a in done])


def _covers(report: ShardReport | None, planned: Shard | Part) -> bool:
    """Returns whether a report covers exactly the planned scenes."""
    shard = planned if isinstance(planned, Shard) else planned.shard
    return report is not None and (report.split, report.start, report.stop) == (
        shard.split,
        planned.start,
        planned.stop,
    )


def report_files(names: Iterable[str]) -> dict[str, str]:
    """Returns the part reports among file names, each with its data file's name."""
    return {
        name: name.removesuffix("json") + "array_record"
        for name in names
        if name.endswith(".json") and name.count("/") == 2
    }


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
    check_output(resolved, output)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(output.hold(_LOCK))
        except OSError as error:
            raise UserError(
                f"{error.filename or output}: cannot be written: {error.strerror}; "
                "choose another folder"
            ) from error
        # Check again, since another job may have begun here before the lock was taken.
        check_output(resolved, output)
        output.clean()
        for name in output.sizes(WORK_FOLDER):
            if name.endswith(".progress"):
                output.remove(name)
        # Write it every time: on this machine the catalogs may have other paths.
        output.write(SPEC, save_resolved(resolved))
        if output.size(METADATA) is not None and not is_whole(resolved, output):
            _reopen(layout, resolved)
        yield layout
        if output.size(COMPLETED) is not None:
            output.clean()
            output.remove_folder(WORK_FOLDER)


def is_whole(resolved: ResolvedSpec, output: Folder) -> bool:
    """Returns whether a dataset is complete and still has all of its shards."""
    if output.size(COMPLETED) is None:
        return False
    try:
        contents = json.loads(output.read(METADATA))
        sizes = {each["file"]: each["bytes"] for each in contents["shards"]}
        shards = _planned(resolved, _parse_settings(contents))
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
        settings = _parse_settings(json.loads(text)) | {"spec_hash": layout.spec_hash}
        output.write(_SETTINGS, to_json(settings))
        shards = {layout.shard_file(s): s for s in _planned(resolved, settings)}
        for file, report in reports_of(text, layout.spec_hash):
            shard = shards.get(file)
            if shard is not None and _covers(report, shard):
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
    except FileNotFoundError:
        if set(output.entries()) - {WORK_FOLDER}:
            raise UserError(
                f"{output}: holds files that DySO did not make; "
                "choose an empty or a new folder"
            ) from None
        return
    except NotADirectoryError:
        return  # `open_output` reports why it cannot be written.
    stored = parse_resolved(text, f"{output}/{SPEC}")
    if stored.hash != resolved.hash:
        raise UserError(
            f"{output}: holds the data of another spec "
            f"({differences(stored, resolved)}); choose another folder"
        )


def _stored_hash(output: Folder) -> str | None:
    """Returns the identity stored by a job, without reading its large spec.json."""
    with contextlib.suppress(OSError):
        return output.read(COMPLETED).decode(errors="replace").strip()
    with contextlib.suppress(OSError, ValueError, RecursionError):
        return str(_parse_settings(json.loads(output.read(_SETTINGS)))["spec_hash"])
    return None


def differences(stored: ResolvedSpec, wanted: ResolvedSpec) -> str:
    """Returns a short line that lists the fields in which two specs differ."""
    old, new = _flat(stored.identity()), _flat(wanted.identity())
    lines = [
        f"{key}: expected {new.get(key)}, got {old.get(key)}"
        for key in [*old, *(new.keys() - old.keys())]
        if old.get(key) != new.get(key)
    ]
    more = f" and {len(lines) - 4} more" if len(lines) > 4 else ""
    return "; ".join(lines[:4]) + more


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(value, dict):
        text = json.dumps(value)
        if len(text) > 40:
            digest = hashlib.sha256(text.encode()).hexdigest()[:6]
            text = f"{len(value)} entries ({digest})"
        return {prefix.removeprefix("spec."): text}
    return {
        name: text
        for key, inner in value.items()
        for name, text in _flat(inner, f"{prefix}.{key}".lstrip(".")).items()
    }


def read_settings(layout: OutputLayout) -> dict[str, Any]:
    """Reads the settings that the first job in the folder fixed.

    Raises:
      FileNotFoundError: no job has begun here, or the file was removed.
      UserError: the file is damaged.
    """
    text = layout.output.read(_SETTINGS)
    try:
        return _parse_settings(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{layout.output}/{_SETTINGS}: is damaged; remove it, then run the same "
            "command to resume"
        ) from error


def _parse_settings(value: Any) -> dict[str, Any]:
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


def _planned(resolved: ResolvedSpec, settings: Mapping[str, Any]) -> list[Shard]:
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
        _check_existing_shards(layout, resolved, _planned(resolved, settings))
        layout.output.write(_SETTINGS, to_json(settings))
    if per_shard not in (None, settings["scenes_per_shard"]):
        raise UserError(
            f"{layout.output}: was begun with {settings['scenes_per_shard']} scenes "
            f"per shard, got {per_shard}; leave the option out, or choose another "
            "folder"
        )
    check_versions(layout)
    return _planned(resolved, settings)


def begun_shards(layout: OutputLayout, resolved: ResolvedSpec) -> list[Shard]:
    """Returns all shards of a running job, as the settings in the folder define them.

    Raises:
      UserError: the settings were removed.
    """
    check_versions(layout)
    return _planned(resolved, read_settings(layout))


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
            f"{layout.output}/{_SETTINGS}: was removed while the job ran; run the same "
            f"command to resume, and do not change {WORK_FOLDER} while it runs"
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
