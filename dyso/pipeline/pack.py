"""Packs parts into shards, and finishes the dataset."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from dyso import records
from dyso.assets.credits import NAME as ATTRIBUTION
from dyso.assets.credits import attribution
from dyso.pipeline.output_layout import COMPLETED, Work, layout
from dyso.pipeline.plan import Part, Shard, plan_parts
from dyso.pipeline.shard_report import (
    Account,
    metadata,
    say_failures,
    shown,
    sum_repeated,
    to_json,
)
from dyso.spec import ResolvedSpec, UserError


def pack_shard(shard: Shard, work: Work) -> None:
    """Writes a shard from its parts, then its account; then the parts go.

    Raises:
      UserError: a part is missing or damaged.
    """
    if work.shard_account(shard) is not None:
        return
    found = work.part_accounts(shard)
    done = [(account.start, account.stop) for account in found.values()]
    parts = list(plan_parts(shard, shard.stop - shard.start, done))
    accounts = []
    for part in parts:
        account = found.get(work.part_file(part, "json"))
        if account is None:
            raise UserError(
                f"{work.output}/{work.part_file(part, 'array_record')}: is missing; "
                "run the same command again to make it"
            )
        accounts.append(account)
    with work.output.scratch() as scratch:
        packed = scratch / "shard"
        info = records.write_shard(packed, _chain(work, parts, accounts))
        work.output.put(packed, work.shard_file(shard), info.sha256)
    total = Account(
        spec_hash=work.spec_hash,
        split=shard.split,
        start=shard.start,
        stop=shard.stop,
        records=info.count,
        bytes=info.bytes,
        sha256=info.sha256,
        seconds=sum(account.seconds for account in accounts),
        core_seconds=sum(account.core_seconds for account in accounts),
        failures=tuple(each for account in accounts for each in account.failures),
        retries=tuple(each for account in accounts for each in account.retries),
        objects=_merged(account.objects for account in accounts),
        backgrounds=_merged(account.backgrounds for account in accounts),
        repeated=sum_repeated(accounts),
    )
    work.output.write(work.shard_account_file(shard), to_json(asdict(total)))
    work.output.remove_folder(work.parts_folder(shard))


def _merged(indices: Iterable[Sequence[int]]) -> tuple[int, ...]:
    return tuple(sorted(set(itertools.chain.from_iterable(indices))))


def _chain(
    work: Work, parts: Sequence[Part], accounts: Sequence[Account]
) -> Iterator[bytes]:
    """Gives the parts' records; of a bucket, one part is on this disk at a time."""
    for part, account in zip(parts, accounts, strict=True):
        name = work.part_file(part, "array_record")
        with work.output.fetch(name) as file:
            if records.checksum(file) != account.sha256:
                work.output.remove(work.part_file(part, "json"))
                raise UserError(
                    f"{work.output}/{name}: is damaged and was dropped; run the same "
                    "command again to make it anew"
                )
            yield from records.read_shard(file)


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Scenes that failed in a part or shard.

    Attributes:
      account: the name of its account.
      split: its split.
      reasons: how many, by reason.
      first: one of the messages.
    """

    account: str
    split: str
    reasons: Counter[str]
    first: str

    @classmethod
    def of(cls, name: str, account: Account) -> Failed:
        """Takes them from an account of this name."""
        return cls(
            account=name,
            split=account.split,
            reasons=account.reasons,
            first=next((each.message for each in account.failures), ""),
        )


def check_failures(found: Iterable[Failed], resolved: ResolvedSpec, work: Work) -> None:
    """Ends a job of which too many scenes fail.

    Args:
      found: of parts and shards that are there.
      resolved: the dataset.
      work: the output folder.

    Raises:
      UserError: of a split, all scenes failed, or more than the spec allows. The parts
        and shards that they are missing from are made anew by the next run, for what
        made so many fail may be mended by then.
    """
    found = list(found)
    for split, planned in resolved.spec.splits.items():
        own = [each for each in found if each.split == split and each.reasons]
        reasons = sum((each.reasons for each in own), Counter[str]())
        most = min(resolved.spec.max_failed * planned, planned - 1)
        if reasons.total() > most:
            for each in own:
                work.output.remove(each.account)
            raise UserError(
                f"{work.output}: of {planned} scenes of split {split!r}, "
                f"{say_failures(reasons)} failed, more than the spec allows "
                f"(max_failed: {resolved.spec.max_failed:g}), the first with: "
                f"{own[0].first}; mend that, then the same command makes them anew"
            )


def finish(shards: Sequence[Shard], resolved: ResolvedSpec, work: Work) -> None:
    """Writes the metadata of a dataset whose shards are all there, and ATTRIBUTION.md.

    Raises:
      UserError: a shard is missing.
    """
    accounts: dict[str, Account] = {}
    lengths: dict[str, list[int]] = {split: [] for split in resolved.spec.splits}
    for shard, account in zip(shards, work.shard_accounts(shards), strict=True):
        file = work.shard_file(shard)
        if account is None:
            raise UserError(
                f"{work.output}/{file}: is missing; run the same command again"
            )
        accounts[file] = account
        lengths[shard.split].append(account.records)
    used = [
        shown(accounts.values(), "objects", len(resolved.objects.assets)),
        shown(accounts.values(), "backgrounds", len(resolved.backgrounds.assets)),
    ]
    work.output.write(ATTRIBUTION, attribution(resolved, *used).encode())
    summary = {**layout(work), **metadata(accounts)}
    records.write_metadata(work.output, resolved, lengths, summary)
    work.output.write(COMPLETED, work.spec_hash.encode() + b"\n")
