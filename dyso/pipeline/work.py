"""The output folder while a job runs.

    OUT/spec.json                                 whose data this is, written first
    OUT/NAME-SPLIT.array_record-00000-of-00004    shards
    OUT/metadata.json, OUT/dataset_info.json ...  written when all shards are there
    OUT/COMPLETED                                 written last
    OUT/.work/layout.json                         how splits are cut into shards
    OUT/.work/SHARD.json                          the account of a finished shard
    OUT/.work/SHARD/PART.array_record, PART.json  finished parts and their accounts
    OUT/.work/SHARD/PART.progress                 scenes done of a part in the making

A part or shard counts only with its account, which is written after it. `.work` goes
when the dataset is complete.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dyso.pipeline.account import Account, read_account, write_json
from dyso.pipeline.plan import SCENES_PER_SHARD, Part, Shard, plan_parts, plan_shards
from dyso.spec import ResolvedSpec, UserError, load_resolved, save_resolved


@dataclass(frozen=True, kw_only=True)
class Work:
    """The output folder of the dataset with this identity.

    Attributes:
      output: the folder.
      dataset: the spec's name.
      spec_hash: the dataset's identity.
    """

    output: Path
    dataset: str
    spec_hash: str

    @property
    def folder(self) -> Path:
        """Everything that goes when the dataset is complete."""
        return self.output / ".work"

    @property
    def completed(self) -> Path:
        """Its presence says that the dataset is complete."""
        return self.output / "COMPLETED"

    def shard_file(self, shard: Shard) -> Path:
        """Gives the place of a finished shard."""
        return self.output / shard.filename(self.dataset)

    def shard_account_file(self, shard: Shard) -> Path:
        """Gives the place of a finished shard's account."""
        return self.folder / f"{shard.name}.json"

    def shard_account(self, shard: Shard) -> Account | None:
        """Gives a shard's account if the shard is finished."""
        return self.account(self.shard_account_file(shard), self.shard_file(shard))

    def parts_folder(self, shard: Shard) -> Path:
        """Gives the folder of a shard's parts."""
        return self.folder / shard.name

    def part_file(self, part: Part, suffix: str) -> Path:
        """Gives the place of a part's `array_record`, `json` or `progress`."""
        return self.parts_folder(part.shard) / f"{part.name}.{suffix}"

    def part_account(self, part: Part) -> Account | None:
        """Gives a part's account if the part is finished."""
        return self.account(
            self.part_file(part, "json"), self.part_file(part, "array_record")
        )

    def finished_parts(self, shard: Shard) -> list[tuple[int, int]]:
        """Gives [start, stop) of the shard's finished parts."""
        found = []
        for path in self.parts_folder(shard).glob("*.json"):
            if account := self.account(path, path.with_suffix(".array_record")):
                found.append((account.start, account.stop))
        return found

    def account(self, path: Path, file: Path) -> Account | None:
        """Gives the account at a path; None if it does not hold for its file."""
        return read_account(path, file, self.spec_hash)

    def parts(self, shard: Shard, scenes_per_part: int) -> Iterator[Part]:
        """Gives the shard's parts: the finished ones, and new ones in the gaps."""
        return plan_parts(shard, scenes_per_part, self.finished_parts(shard))


@contextlib.contextmanager
def open_work(resolved: ResolvedSpec, output: Path) -> Iterator[Work]:
    """Gives the output folder to one job at a time.

    Raises:
      UserError: the folder cannot be written, holds something else, or another job
        is writing to it.
    """
    work = Work(output=output, dataset=resolved.spec.name, spec_hash=resolved.hash)
    check_output(resolved, output)
    try:
        work.folder.mkdir(parents=True, exist_ok=True)
        lock = (work.folder / "lock").open("w")
    except OSError as error:
        raise UserError(
            f"{output}: cannot be written: {error.strerror}; choose another folder"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{output}: another job is writing here; wait for it or stop it"
            ) from error
        # Again, now that nobody else can begin here in between.
        check_output(resolved, output)
        stale = ["*.tmp", ".work/*.tmp", ".work/*/*.tmp", ".work/*/*.progress"]
        for path in itertools.chain.from_iterable(map(output.glob, stale)):
            path.unlink()
        # Always anew: the same catalogs may lie elsewhere on this machine.
        temporary = work.folder / "spec.json.tmp"
        temporary.write_text(save_resolved(resolved), encoding="utf-8")
        os.replace(temporary, output / "spec.json")
        yield work
        if work.completed.exists():
            shutil.rmtree(work.folder)


def check_output(resolved: ResolvedSpec, output: Path) -> None:
    """Refuses a folder that holds anything but this dataset; writes nothing.

    Raises:
      UserError: it holds another spec's data, or something else.
    """
    if output.parts and ":" in output.parts[0]:
        raise UserError(
            f"{output}: must be a folder that all workers see, such as a mounted disk"
        )
    spec_file = output / "spec.json"
    if spec_file.exists():
        found = load_resolved(spec_file)
        if found.hash != resolved.hash:
            raise UserError(
                f"{output}: holds the data of another spec "
                f"({differences(found, resolved)}); choose another folder"
            )
    elif output.is_dir() and any(p.name != ".work" for p in output.iterdir()):
        raise UserError(
            f"{output}: holds files that no job of this program made; "
            "choose an empty or a new folder"
        )


def differences(there: ResolvedSpec, wanted: ResolvedSpec) -> str:
    """Says in a short line in which fields two specs differ."""
    old, new = _flat(there.identity()), _flat(wanted.identity())
    lines = [
        f"{key}: {old.get(key)} there, {new.get(key)} wanted"
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


def shards_of(work: Work, resolved: ResolvedSpec, per_shard: int | None) -> list[Shard]:
    """Gives all shards; the first job in a folder fixes how they are cut.

    Args:
      work: the output folder.
      resolved: the dataset.
      per_shard: most scenes in a shard; None takes what was fixed, or the default.

    Raises:
      UserError: the folder's shards were cut in another way.
    """
    path = work.folder / "layout.json"
    if path.exists():
        fixed = json.loads(path.read_text(encoding="utf-8"))["scenes_per_shard"]
        if per_shard not in (None, fixed):
            raise UserError(
                f"{work.output}: was begun with {fixed} scenes per shard, got "
                f"{per_shard}; leave the option out, or choose another folder"
            )
    else:
        fixed = per_shard or SCENES_PER_SHARD
        write_json(path, {"scenes_per_shard": fixed})
    return list(plan_shards(resolved.spec.splits, fixed))
