"""Packs parts into shards and finishes the dataset."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from dyso import records
from dyso.assets.credits import NAME as ATTRIBUTION
from dyso.assets.credits import attribution, licenses
from dyso.pipeline.output_layout import COMPLETED, OutputLayout
from dyso.pipeline.output_settings import read_settings
from dyso.pipeline.plan import Part, Shard, plan_parts
from dyso.pipeline.shard_report import (
    ShardReport,
    metadata,
    shown_assets,
    sum_repeated,
    to_json,
)
from dyso.spec import ResolvedSpec, UserError


def pack_shard(shard: Shard, layout: OutputLayout) -> None:
    """Writes a shard from its parts, then its report, then removes the parts.

    Raises:
      UserError: a part is missing or damaged.
    """
    if layout.shard_report(shard) is not None:
        return
    by_name = layout.part_reports(shard)
    done = [(report.start, report.stop) for report in by_name.values()]
    parts = list(plan_parts(shard, shard.stop - shard.start, done))
    reports = []
    for part in parts:
        report = by_name.get(layout.part_file(part, "json"))
        if report is None:
            file = layout.part_file(part, "array_record")
            raise UserError(
                f"{layout.output}/{file}: is missing; run the same command to make it"
            )
        reports.append(report)
    with layout.output.scratch() as scratch:
        packed = scratch / "shard"
        info = records.write_shard(packed, _chain(layout, parts, reports))
        layout.output.put(packed, layout.shard_file(shard), info.sha256)
    total = ShardReport(
        spec_hash=layout.spec_hash,
        split=shard.split,
        start=shard.start,
        stop=shard.stop,
        records=info.count,
        bytes=info.bytes,
        sha256=info.sha256,
        seconds=sum(report.seconds for report in reports),
        core_seconds=sum(report.core_seconds for report in reports),
        failures=tuple(each for report in reports for each in report.failures),
        retries=tuple(each for report in reports for each in report.retries),
        objects=_merged(report.objects for report in reports),
        backgrounds=_merged(report.backgrounds for report in reports),
        repeated=sum_repeated(reports),
    )
    layout.output.write(layout.shard_report_file(shard), to_json(asdict(total)))
    layout.output.remove_folder(layout.parts_folder(shard))


def _merged(indices: Iterable[Sequence[int]]) -> tuple[int, ...]:
    return tuple(sorted(set(itertools.chain.from_iterable(indices))))


def _chain(
    layout: OutputLayout, parts: Sequence[Part], reports: Sequence[ShardReport]
) -> Iterator[bytes]:
    """Yields the parts' records; from a bucket, it fetches one part at a time."""
    for part, report in zip(parts, reports, strict=True):
        name = layout.part_file(part, "array_record")
        with layout.output.fetch(name) as file:
            if records.checksum(file) != report.sha256:
                layout.output.remove(layout.part_file(part, "json"))
                raise UserError(
                    f"{layout.output}/{name}: is damaged and was dropped; run the same "
                    "command to remake it"
                )
            yield from records.read_shard(file)


def finish(
    shards: Sequence[Shard], resolved: ResolvedSpec, layout: OutputLayout
) -> None:
    """Writes ATTRIBUTION.md and the metadata of a dataset whose shards are complete.

    Raises:
      UserError: a shard is missing.
    """
    reports: dict[str, ShardReport] = {}
    lengths: dict[str, list[int]] = {split: [] for split in resolved.spec.splits}
    for shard, report in zip(shards, layout.shard_reports(shards), strict=True):
        file = layout.shard_file(shard)
        if report is None:
            raise UserError(
                f"{layout.output}/{file}: is missing; run the same command to make it"
            )
        reports[file] = report
        lengths[shard.split].append(report.records)
    used = [
        shown_assets(reports.values(), "objects", len(resolved.objects.assets)),
        shown_assets(reports.values(), "backgrounds", len(resolved.backgrounds.assets)),
    ]
    layout.output.write(ATTRIBUTION, attribution(resolved, *used).encode())
    summary = {**read_settings(layout), **metadata(reports)}
    records.write_metadata(
        layout.output, resolved, lengths, summary, licenses(resolved, *used)
    )
    layout.output.write(COMPLETED, layout.spec_hash.encode() + b"\n")
