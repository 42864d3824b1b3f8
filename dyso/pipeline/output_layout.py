"""The output folder, on disk or in a bucket, while a job runs.

    OUT/spec.json                                 whose data this is, written first
    OUT/NAME-SPLIT.array_record-00000-of-00004    shards
    OUT/metadata.json, OUT/dataset_info.json ...  written when all shards are there
    OUT/COMPLETED                                 written last
    OUT/.work/layout.json                         how splits are cut into shards
    OUT/.work/progress.json                       where the job is
    OUT/.work/SHARD.json                          the account of a finished shard
    OUT/.work/SHARD/PART.array_record, PART.json  finished parts and their accounts
    OUT/.work/SHARD/PART.progress                 scenes done of a part in the making

A part or shard counts only with its account, which is written after it. `.work` goes
when the dataset is complete. A dataset that has lost shards since is begun anew with
the shards that it still has, whose accounts its metadata.json keeps.

What a folder says of itself may be anybody's: files have the names that the plan of
the spec gives them, and what is noted counts where it has one of these.
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
from dyso.pipeline.shard_report import Account, accounts_of, parse_account, to_json
from dyso.spec import ResolvedSpec, UserError, parse_resolved, save_resolved
from dyso.storage import Folder

FOLDER = ".work"
COMPLETED = "COMPLETED"
SPEC = "spec.json"
METADATA = "metadata.json"
PROGRESS = f"{FOLDER}/progress.json"
_LAYOUT = f"{FOLDER}/layout.json"
_LOCK = f"{FOLDER}/lock"
_FIXED = ("spec_hash", "scenes_per_shard", "versions")  # in the layout
_AT_ONCE = 512  # accounts that are read at the same time


@dataclass(frozen=True, kw_only=True)
class Work:
    """The output folder of the dataset with this identity; files go by their names.

    Attributes:
      output: the folder.
      dataset: the spec's name.
      spec_hash: the dataset's identity.
    """

    output: Folder
    dataset: str
    spec_hash: str

    def shard_file(self, shard: Shard) -> str:
        """Gives the name of a finished shard."""
        return shard.filename(self.dataset)

    def shard_account_file(self, shard: Shard) -> str:
        """Gives the name of a finished shard's account."""
        return f"{FOLDER}/{shard.name}.json"

    def parts_folder(self, shard: Shard) -> str:
        """Gives the folder of a shard's parts."""
        return f"{FOLDER}/{shard.name}"

    def part_file(self, part: Part, suffix: str) -> str:
        """Gives the name of a part's `array_record`, `json` or `progress`."""
        return f"{self.parts_folder(part.shard)}/{part.name}.{suffix}"

    def shard_accounts(self, shards: Sequence[Shard]) -> list[Account | None]:
        """Gives the shards' accounts; None for those that are not finished."""
        files = {self.shard_account_file(s): self.shard_file(s) for s in shards}
        found = dict(self.accounts(files, self.output.sizes()))
        accounts = zip(shards, map(found.get, files), strict=True)
        return [account if _is_of(account, s) else None for s, account in accounts]

    def part_accounts(self, shard: Shard) -> dict[str, Account]:
        """Gives the accounts of a shard's finished parts by their names."""
        sizes, found = self.output.sizes(self.parts_folder(shard)), {}
        for name, account in self.accounts(account_files(sizes), sizes):
            part = Part(shard=shard, start=account.start, stop=account.stop)
            inside = shard.start <= part.start < part.stop <= shard.stop
            if (
                inside
                and _is_of(account, part)
                and name == self.part_file(part, "json")
            ):
                found[name] = account
        return found

    def accounts(
        self, files: Mapping[str, str], sizes: Mapping[str, int]
    ) -> Iterator[tuple[str, Account]]:
        """Gives the accounts that hold for their files, with their names.

        Args:
          files: the file of each account.
          sizes: of all files that are there.
        """
        there = [name for name, file in files.items() if {name, file} <= sizes.keys()]
        for start in range(0, len(there), _AT_ONCE):
            texts = self.output.read_all(there[start : start + _AT_ONCE])
            for name, text in texts.items():
                account = parse_account(text, sizes[files[name]], self.spec_hash)
                if account is not None:
                    yield name, account

    def shard_account(self, shard: Shard) -> Account | None:
        """Gives a shard's account if the shard is finished."""
        found = self._account(self.shard_account_file(shard), self.shard_file(shard))
        return found if _is_of(found, shard) else None

    def part_account(self, part: Part) -> Account | None:
        """Gives a part's account if the part is finished."""
        found = self._account(
            self.part_file(part, "json"), self.part_file(part, "array_record")
        )
        return found if _is_of(found, part) else None

    def _account(self, name: str, file: str) -> Account | None:
        """Gives one account, without listing what else is there."""
        size = self.output.size(file)
        try:
            text = self.output.read(name)
        except FileNotFoundError:
            return None
        return None if size is None else parse_account(text, size, self.spec_hash)

    def parts(self, shard: Shard, scenes_per_part: int) -> Iterator[Part]:
        """Gives the shard's parts: the finished ones, and new ones in the gaps."""
        done = self.part_accounts(shard).values()
        return plan_parts(shard, scenes_per_part, [(a.start, a.stop) for a in done])


def _is_of(account: Account | None, planned: Shard | Part) -> bool:
    """Says whether an account is of exactly the scenes that are planned."""
    shard = planned if isinstance(planned, Shard) else planned.shard
    return account is not None and (account.split, account.start, account.stop) == (
        shard.split,
        planned.start,
        planned.stop,
    )


def account_files(names: Iterable[str]) -> dict[str, str]:
    """Gives the parts' accounts among names, each with its file's name."""
    return {
        name: name.removesuffix("json") + "array_record"
        for name in names
        if name.endswith(".json") and name.count("/") == 2
    }


@contextlib.contextmanager
def open_work(resolved: ResolvedSpec, output: Folder) -> Iterator[Work]:
    """Gives the output folder to one job at a time.

    Raises:
      UserError: the folder cannot be written, holds something else, or another job
        is writing to it.
    """
    work = Work(output=output, dataset=resolved.spec.name, spec_hash=resolved.hash)
    check_output(resolved, output)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(output.hold(_LOCK))
        except OSError as error:
            raise UserError(
                f"{error.filename or output}: cannot be written: {error.strerror}; "
                "choose another folder"
            ) from error
        # Again, now that nobody else can begin here in between.
        check_output(resolved, output)
        output.clean()
        for name in output.sizes(FOLDER):
            if name.endswith(".progress"):
                output.remove(name)
        # Always anew: the same catalogs may lie elsewhere on this machine.
        output.write(SPEC, save_resolved(resolved))
        if output.size(METADATA) is not None and not is_whole(resolved, output):
            _reopen(work, resolved)
        yield work
        if output.size(COMPLETED) is not None:
            output.clean()
            output.remove_folder(FOLDER)


def is_whole(resolved: ResolvedSpec, output: Folder) -> bool:
    """Says whether a dataset is complete and still has all of its shards."""
    if output.size(COMPLETED) is None:
        return False
    try:
        noted = json.loads(output.read(METADATA))
        sizes = {each["file"]: each["bytes"] for each in noted["shards"]}
        shards = _planned(resolved, _parse_layout(noted))
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return False
    names = [shard.filename(resolved.spec.name) for shard in shards]
    return sizes.keys() == {*names} and all(
        output.size(name) == sizes[name] for name in names
    )


def _reopen(work: Work, resolved: ResolvedSpec) -> None:
    """Goes back to before the end, with the shards that are there."""
    output = work.output
    text = output.read(METADATA)
    with contextlib.suppress(ValueError, RecursionError):
        fixed = _parse_layout(json.loads(text)) | {"spec_hash": work.spec_hash}
        output.write(_LAYOUT, to_json(fixed))
        shards = {work.shard_file(shard): shard for shard in _planned(resolved, fixed)}
        for file, account in accounts_of(text, work.spec_hash):
            shard = shards.get(file)
            if shard is not None and _is_of(account, shard):
                name = work.shard_account_file(shard)
                output.write(name, to_json(asdict(account)))
    output.remove(COMPLETED)
    output.remove(METADATA)


def check_output(resolved: ResolvedSpec, output: Folder) -> None:
    """Refuses a folder that holds anything but this dataset; writes nothing.

    Raises:
      UserError: it holds another spec's data, or something else.
    """
    if _noted_hash(output) == resolved.hash:
        return
    try:
        text = output.read(SPEC)
    except FileNotFoundError:
        if set(output.entries()) - {FOLDER}:
            raise UserError(
                f"{output}: holds files that no job of this program made; "
                "choose an empty or a new folder"
            ) from None
        return
    except NotADirectoryError:
        return  # `open_work` says why it cannot be written.
    found = parse_resolved(text, f"{output}/{SPEC}")
    if found.hash != resolved.hash:
        raise UserError(
            f"{output}: holds the data of another spec "
            f"({differences(found, resolved)}); choose another folder"
        )


def _noted_hash(output: Folder) -> str | None:
    """Gives the identity that a job left, without reading large catalogs for it."""
    with contextlib.suppress(OSError):
        return output.read(COMPLETED).decode(errors="replace").strip()
    with contextlib.suppress(OSError, ValueError, RecursionError):
        return str(_parse_layout(json.loads(output.read(_LAYOUT)))["spec_hash"])
    return None


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


def layout(work: Work) -> dict[str, Any]:
    """Gives what the first job in the folder fixed.

    Raises:
      FileNotFoundError: none has begun, or somebody has removed what it wrote.
      UserError: it is damaged.
    """
    text = work.output.read(_LAYOUT)
    try:
        return _parse_layout(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{work.output}/{_LAYOUT}: is damaged; remove it, then the same command "
            "goes on from here"
        ) from error


def _parse_layout(value: Any) -> dict[str, Any]:
    """Gives the part of a layout.json, or of a metadata.json, that is fixed.

    Raises:
      ValueError: it is none.
    """
    match value:
        case {
            "spec_hash": str(),
            "scenes_per_shard": int(per_shard),
            "versions": dict(versions),
        } if per_shard > 0 and all(isinstance(v, str) for v in versions.values()):
            return {name: value[name] for name in _FIXED}
    raise ValueError("not a layout")


def _planned(resolved: ResolvedSpec, fixed: Mapping[str, Any]) -> list[Shard]:
    return list(plan_shards(resolved.spec.splits, fixed["scenes_per_shard"]))


def shards_of(
    work: Work, resolved: ResolvedSpec, per_shard: int | None = None
) -> list[Shard]:
    """Gives all shards; the first job in a folder fixes how they are cut.

    Args:
      work: the output folder.
      resolved: the dataset.
      per_shard: most scenes in a shard; None takes what was fixed, or the default.

    Raises:
      UserError: the folder's shards were cut in another way; see `check_versions`.
    """
    try:
        fixed = layout(work)
    except FileNotFoundError:
        fixed = {
            "spec_hash": work.spec_hash,
            "scenes_per_shard": per_shard or SCENES_PER_SHARD,
            "versions": _installed(),
        }
        _refuse_other_cut(work, resolved, _planned(resolved, fixed))
        work.output.write(_LAYOUT, to_json(fixed))
    if per_shard not in (None, fixed["scenes_per_shard"]):
        raise UserError(
            f"{work.output}: was begun with {fixed['scenes_per_shard']} scenes per "
            f"shard, got {per_shard}; leave the option out, or choose another folder"
        )
    check_versions(work)
    return _planned(resolved, fixed)


def begun_shards(work: Work, resolved: ResolvedSpec) -> list[Shard]:
    """Gives all shards of a job that runs, as it has fixed them.

    Raises:
      UserError: somebody has removed what it wrote.
    """
    check_versions(work)
    return _planned(resolved, layout(work))


def _refuse_other_cut(
    work: Work, resolved: ResolvedSpec, shards: Sequence[Shard]
) -> None:
    """Refuses a folder whose `.work` is gone, and with it how its shards are cut."""
    names = {work.shard_file(shard) for shard in shards}
    own = tuple(f"{work.dataset}-{s}.array_record-" for s in resolved.spec.splits)
    for name in work.output.entries():
        if name.startswith(own) and name not in names:
            raise UserError(
                f"{work.output}: {FOLDER} was removed, and {name} is cut in another "
                f"way than what is made now; give the scenes per shard that it "
                "was begun with, or choose another folder"
            )


def check_versions(work: Work) -> None:
    """Refuses to mix what different versions render.

    Raises:
      UserError: the folder was begun with others than are installed here, or somebody
        has removed what it was begun with.
    """
    own = _installed()
    try:
        begun = layout(work)["versions"]
    except FileNotFoundError:
        raise UserError(
            f"{work.output}/{_LAYOUT}: was removed while the job ran; leave {FOLDER} "
            "to it, then the same command goes on from here"
        ) from None
    for name, version in begun.items():
        if own.get(name, version) != version:
            raise UserError(
                f"{work.output}: was begun with {name} {version}, which may give other "
                f"pixels than {name} {own[name]} here; install that, or choose another "
                "folder"
            )


def _installed() -> dict[str, str]:
    """Gives the versions here of what decides pixels; a launcher may lack bpy."""
    found = {"dyso": dyso.__version__}
    with contextlib.suppress(metadata.PackageNotFoundError):
        found["bpy"] = metadata.version("bpy")
    return found
