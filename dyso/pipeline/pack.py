"""Packs parts into shards, and finishes the dataset."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from dyso import records
from dyso.pipeline.account import (
    Account,
    say_failures,
    summarize,
    write_account,
)
from dyso.pipeline.plan import Part, Shard
from dyso.pipeline.work import Work
from dyso.spec import ResolvedSpec, UserError


def pack_shard(shard: Shard, work: Work) -> Account:
    """Writes a shard from its parts, then its account; then the parts go.

    Raises:
      UserError: a part is missing or damaged.
    """
    if done := work.shard_account(shard):
        return done
    accounts = []
    parts = list(work.parts(shard, shard.stop - shard.start))
    for part in parts:
        account = work.part_account(part)
        if account is None:
            raise UserError(
                f"{work.part_file(part, 'array_record')}: is missing; run the same "
                "command again to make it"
            )
        _check_part(part, account, work)
        accounts.append(account)
    files = [work.part_file(part, "array_record") for part in parts]
    # Beside the parts, so that nothing unfinished is ever seen among the shards.
    packed = work.parts_folder(shard) / "packed"
    info = records.write_shard(packed, _chain(files))
    total = Account(
        spec_hash=work.spec_hash,
        split=shard.split,
        start=shard.start,
        stop=shard.stop,
        records=info.count,
        bytes=info.bytes,
        sha256=info.sha256,
        resampled=sum(account.resampled for account in accounts),
        seconds=sum(account.seconds for account in accounts),
        failures=tuple(failure for account in accounts for failure in account.failures),
    )
    os.replace(packed, work.shard_file(shard))
    write_account(work.shard_account_file(shard), total)
    shutil.rmtree(work.parts_folder(shard))
    return total


def _check_part(part: Part, account: Account, work: Work) -> None:
    file = work.part_file(part, "array_record")
    if records.checksum(file) != account.sha256:
        work.part_file(part, "json").unlink()
        raise UserError(
            f"{file}: is damaged and was dropped; run the same command again to "
            "make it anew"
        )


def _chain(files: Sequence[Path]) -> Iterator[bytes]:
    for file in files:
        yield from records.read_shard(file)


def finish(shards: Sequence[Shard], resolved: ResolvedSpec, work: Work) -> None:
    """Writes the metadata of a dataset whose shards are all there.

    Raises:
      UserError: a shard is missing, or a split has no scene at all; it is then made
        anew by the next run, since something general must be wrong.
    """
    accounts: list[Account] = []
    for shard in shards:
        account = work.shard_account(shard)
        if account is None:
            raise UserError(
                f"{work.shard_file(shard)}: is missing; run the same command again"
            )
        accounts.append(account)
    lengths: dict[str, list[int]] = {}
    for split in resolved.spec.splits:
        pairs = zip(shards, accounts, strict=True)
        own = [(shard, account) for shard, account in pairs if shard.split == split]
        lengths[split] = [account.records for _, account in own]
        if not any(lengths[split]):
            _drop_split(own, work)
    files = [
        {
            "file": shard.filename(work.dataset),
            "split": shard.split,
            "start": shard.start,
            "stop": shard.stop,
            "count": account.records,
            "bytes": account.bytes,
            "sha256": account.sha256,
        }
        for shard, account in zip(shards, accounts, strict=True)
    ]
    failures = [
        {"split": account.split, **asdict(failure)}
        for account in accounts
        for failure in account.failures
    ]
    summary = {**summarize(accounts), "failures": failures, "shards": files}
    records.write_metadata(work.output, resolved, lengths, summary)
    temporary = work.folder / "COMPLETED"
    temporary.write_text(work.spec_hash + "\n", encoding="utf-8")
    os.replace(temporary, work.completed)


def _drop_split(shards: Sequence[tuple[Shard, Account]], work: Work) -> NoReturn:
    for shard, _ in shards:
        work.shard_account_file(shard).unlink()
        work.shard_file(shard).unlink()
    accounts = [account for _, account in shards]
    failed = say_failures(summarize(accounts)["failed"])
    raise UserError(
        f"{work.output}: no scene of split {accounts[0].split!r} could be rendered, "
        f"{failed} failed, the first with: {accounts[0].failures[0].message}; mend "
        "that, then the same command makes them anew"
    )
