"""Reports on every scene of a part, a shard and a dataset."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pydantic


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A failed attempt at a scene.

    Attributes:
      index: the scene's index in its split.
      attempt: the attempt that was rendered, or the first that was not visible.
      reason: one word for counting: `record`, `unseen` or a reason of
        `dyso.render.RenderError`.
      asset: the id of the asset that caused the failure, or empty.
      message: one line for the user.
      stderr: the end of the worker's standard error, if the worker caused the failure.
    """

    index: int
    attempt: int
    reason: str
    asset: str
    message: str
    stderr: str = ""


@dataclass(frozen=True, kw_only=True)
class ShardReport:
    """The outcome of scenes [start, stop) of a split, a part or a shard.

    Attributes:
      spec_hash: the dataset's identity.
      split: the split.
      start: index of the first scene.
      stop: index after the last scene.
      records: number of records in the data file, which are ordered by scene index.
      bytes: size of the data file.
      sha256: checksum of the data file, in hexadecimal.
      seconds: wall time of rendering, summed over scenes.
      core_seconds: CPU time of all processes that worked on the scenes.
      failures: the last attempts at the scenes that are not in the data file.
      retries: all other attempts that failed.
      objects: the objects in the records, as sorted indices in the object catalog.
      backgrounds: the HDRIs in the records, as sorted indices in the HDRI catalog.
        Empty in reports of older versions.
      repeated: failed renders, by reason, of attempts that a later render completed.
        They do not affect the records.
    """

    spec_hash: str
    split: str
    start: int
    stop: int
    records: int
    bytes: int
    sha256: str
    seconds: float
    core_seconds: float
    failures: tuple[Failure, ...]
    retries: tuple[Failure, ...]
    objects: tuple[int, ...] = ()
    backgrounds: tuple[int, ...] = ()
    repeated: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError if scenes are missing."""
        if self.records + len(self.failures) != self.stop - self.start:
            raise ValueError(f"{self}: records and failures are not all scenes")

    @property
    def reasons(self) -> Counter[str]:
        """The number of failed scenes by reason."""
        return Counter(failure.reason for failure in self.failures)

    @property
    def resampled(self) -> int:
        """The number of scenes in the file of which an earlier attempt failed."""
        retried = {failure.index for failure in self.retries}
        return len(retried - {failure.index for failure in self.failures})


_REPORT = pydantic.TypeAdapter(ShardReport)


def to_json(value: object) -> bytes:
    """Returns a value as one line of JSON."""
    return json.dumps(value).encode() + b"\n"


def parse_report(text: bytes, size: int, spec_hash: str) -> ShardReport | None:
    """Parses a report; returns None if it is invalid or does not match its data file.

    Args:
      text: the report as JSON.
      size: size of the data file in bytes.
      spec_hash: the dataset's identity.
    """
    try:
        report = _REPORT.validate_json(text)
    except ValueError:
        return None
    valid = report.spec_hash == spec_hash and report.bytes == size
    return report if valid else None


def summarize(reports: Collection[ShardReport]) -> dict[str, Any]:
    """Returns the totals of reports as plain values, for metadata.json."""
    return {
        "planned": sum(a.stop - a.start for a in reports),
        "rendered": sum(a.records for a in reports),
        "failed": dict(sum((a.reasons for a in reports), Counter[str]())),
        "resampled": sum(a.resampled for a in reports),
        "repeated": sum_repeated(reports),
        "bytes": sum(a.bytes for a in reports),
        "render_seconds": round(sum(a.seconds for a in reports), 1),
        "core_seconds": round(sum(a.core_seconds for a in reports), 1),
        "assets": _blamed(
            failure for a in reports for failure in (*a.failures, *a.retries)
        ),
    }


def sum_repeated(reports: Iterable[ShardReport]) -> dict[str, int]:
    """Returns the total number of repeated renders, by reason."""
    return dict(sum((Counter(a.repeated) for a in reports), Counter[str]()))


def _blamed(failures: Iterable[Failure]) -> dict[str, dict[str, Any]]:
    """Returns, for each asset that caused failures, their number and first message."""
    by_asset: dict[str, dict[str, Any]] = {}
    for failure in failures:
        if failure.asset:
            entry = {"attempts": 0, "message": failure.message}
            by_asset.setdefault(failure.asset, entry)["attempts"] += 1
    return dict(sorted(by_asset.items(), key=lambda item: -item[1]["attempts"]))


def metadata(reports: Mapping[str, ShardReport]) -> dict[str, Any]:
    """Returns the contents of a dataset's metadata.json.

    Args:
      reports: the reports of its shards, by data file name.
    """
    values = reports.values()
    flat = {
        name: [
            {"split": report.split, **asdict(failure)}
            for report in values
            for failure in getattr(report, name)
        ]
        for name in ("failures", "retries")
    }
    shards = [
        {
            "file": file,
            "split": report.split,
            "start": report.start,
            "stop": report.stop,
            "count": report.records,
            "bytes": report.bytes,
            "sha256": report.sha256,
            "seconds": report.seconds,
            "core_seconds": report.core_seconds,
            "objects": report.objects,
            "backgrounds": report.backgrounds,
            "repeated": report.repeated,
        }
        for file, report in reports.items()
    ]
    return {**summarize(values), **flat, "shards": shards}


def reports_of(text: bytes, spec_hash: str) -> Iterator[tuple[str, ShardReport]]:
    """Yields the shard reports in a metadata.json, with their data file names.

    Raises:
      ValueError: the text is not a metadata.json of a job.
    """
    try:
        data = json.loads(text)
        for entry in data["shards"]:
            fields = {k: v for k, v in entry.items() if k not in ("file", "count")}
            for name in ("failures", "retries"):
                fields[name] = [
                    {k: v for k, v in failure.items() if k != "split"}
                    for failure in data[name]
                    if failure["split"] == entry["split"]
                    and entry["start"] <= failure["index"] < entry["stop"]
                ]
            fields |= {"spec_hash": spec_hash, "records": entry["count"]}
            yield entry["file"], _REPORT.validate_python(fields)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a job's metadata: {error}") from error


def shown_assets(
    reports: Collection[ShardReport],
    name: Literal["objects", "backgrounds"],
    count: int,
) -> Collection[int]:
    """Returns the assets that the records show, as indices in their catalog.

    Args:
      reports: the reports of the records.
      name: the catalog.
      count: number of assets in the catalog. If a report of an older version does not
        list its assets, all of them are returned.
    """
    # Each record has a background, so a report without backgrounds lists no assets.
    if any(report.records and not report.backgrounds for report in reports):
        return range(count)
    used = set[int]().union(*(getattr(report, name) for report in reports))
    return used & set(range(count))


def say_failures(failed: Mapping[str, int]) -> str:
    """Returns the numbers of failures as a short text: `3 (2 crash, 1 asset)`."""
    if not failed:
        return "0"
    ordered = sorted(failed.items(), key=lambda item: (-item[1], item[0]))
    reasons = ", ".join(f"{count} {reason}" for reason, count in ordered)
    return f"{sum(failed.values())} ({reasons})"


def say_assets(assets: Mapping[str, Mapping[str, Any]], most: int = 5) -> list[str]:
    """Returns a line for each of the assets that caused the most failures.

    Args:
      assets: the `assets` of metadata.json.
      most: maximum number of assets.
    """
    lines = [
        f"asset {asset}: broke {entry['attempts']} attempts: {entry['message']}"
        for asset, entry in itertools.islice(assets.items(), most)
    ]
    if len(assets) > most:
        lines.append(f"and {len(assets) - most} more assets, see metadata.json")
    return lines
