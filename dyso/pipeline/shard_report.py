"""Accounts: what became of every scene of a part, a shard, a dataset."""

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
    """An attempt at a scene that failed, and why.

    Attributes:
      index: the scene's index in its split.
      attempt: the attempt that was rendered, or the first that was not seen.
      reason: one word for counting, see `dyso.render.RenderError`; or `unseen`.
      asset: the id of the asset that is to blame, or empty.
      message: one line.
      stderr: the last lines that the worker process wrote, if it was to blame.
    """

    index: int
    attempt: int
    reason: str
    asset: str
    message: str
    stderr: str = ""


@dataclass(frozen=True, kw_only=True)
class Account:
    """What became of scenes [start, stop) of a split; written beside their file.

    Attributes:
      spec_hash: the dataset's identity.
      records: scenes in the file, in the order of their indices.
      bytes: the file's size.
      sha256: of the file.
      seconds: of rendering, summed over scenes.
      core_seconds: of all processes that worked on the scenes.
      failures: the scenes that are not in the file, by their last attempts.
      retries: all other attempts that failed.
      objects: what the records show, in order, as indices in the catalog of objects.
      backgrounds: likewise of HDRIs; there are none in accounts of old.
      repeated: tries that failed, by reason, at attempts that then were rendered: of
        no consequence for the records.
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
        """Checks that no scene is missing."""
        if self.records + len(self.failures) != self.stop - self.start:
            raise ValueError(f"{self}: records and failures are not all scenes")

    @property
    def reasons(self) -> Counter[str]:
        """Failed scenes by reason."""
        return Counter(failure.reason for failure in self.failures)

    @property
    def resampled(self) -> int:
        """Scenes in the file under another attempt than the first one rendered."""
        retried = {failure.index for failure in self.retries}
        return len(retried - {failure.index for failure in self.failures})


_ACCOUNT = pydantic.TypeAdapter(Account)


def to_json(value: object) -> bytes:
    """Gives a line of JSON."""
    return json.dumps(value).encode() + b"\n"


def parse_account(text: bytes, size: int, spec_hash: str) -> Account | None:
    """Reads an account; None if it does not hold for its file.

    Args:
      text: the account as JSON.
      size: bytes of the file that it speaks of.
      spec_hash: the dataset's identity.
    """
    try:
        account = _ACCOUNT.validate_json(text)
    except ValueError:
        return None
    valid = account.spec_hash == spec_hash and account.bytes == size
    return account if valid else None


def summarize(accounts: Collection[Account]) -> dict[str, Any]:
    """Gives the sums of accounts as plain values, for people and metadata."""
    return {
        "planned": sum(a.stop - a.start for a in accounts),
        "rendered": sum(a.records for a in accounts),
        "failed": dict(sum((a.reasons for a in accounts), Counter[str]())),
        "resampled": sum(a.resampled for a in accounts),
        "repeated": sum_repeated(accounts),
        "bytes": sum(a.bytes for a in accounts),
        "render_seconds": round(sum(a.seconds for a in accounts), 1),
        "core_seconds": round(sum(a.core_seconds for a in accounts), 1),
        "assets": _blamed(
            failure for a in accounts for failure in (*a.failures, *a.retries)
        ),
    }


def sum_repeated(accounts: Iterable[Account]) -> dict[str, int]:
    """Returns the repeated tries of accounts, by reason."""
    return dict(sum((Counter(a.repeated) for a in accounts), Counter[str]()))


def _blamed(failures: Iterable[Failure]) -> dict[str, dict[str, Any]]:
    """Gives assets that broke attempts: how many, and the first one's message."""
    found: dict[str, dict[str, Any]] = {}
    for failure in failures:
        if failure.asset:
            entry = {"attempts": 0, "message": failure.message}
            found.setdefault(failure.asset, entry)["attempts"] += 1
    return dict(sorted(found.items(), key=lambda item: -item[1]["attempts"]))


def metadata(accounts: Mapping[str, Account]) -> dict[str, Any]:
    """Gives a dataset's metadata.json.

    Args:
      accounts: of its shards, by their files' names.
    """
    every = accounts.values()
    flat = {
        name: [
            {"split": account.split, **asdict(failure)}
            for account in every
            for failure in getattr(account, name)
        ]
        for name in ("failures", "retries")
    }
    shards = [
        {
            "file": file,
            "split": account.split,
            "start": account.start,
            "stop": account.stop,
            "count": account.records,
            "bytes": account.bytes,
            "sha256": account.sha256,
            "seconds": account.seconds,
            "core_seconds": account.core_seconds,
            "objects": account.objects,
            "backgrounds": account.backgrounds,
            "repeated": account.repeated,
        }
        for file, account in accounts.items()
    ]
    return {**summarize(every), **flat, "shards": shards}


def accounts_of(text: bytes, spec_hash: str) -> Iterator[tuple[str, Account]]:
    """Gives the accounts that a metadata.json was made of, by their files' names.

    Raises:
      ValueError: it is no metadata.json.
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
            yield entry["file"], _ACCOUNT.validate_python(fields)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a job's metadata: {error}") from error


def shown(
    accounts: Collection[Account], name: Literal["objects", "backgrounds"], many: int
) -> Collection[int]:
    """Gives the assets that records show, as indices in their catalog.

    Args:
      accounts: of the records.
      name: which catalog.
      many: the assets that it has, which are all given if an account does not say.
    """
    # Each record has a background.
    if any(account.records and not account.backgrounds for account in accounts):
        return range(many)
    every = set[int]().union(*(getattr(account, name) for account in accounts))
    return every & set(range(many))


def say_failures(failed: Mapping[str, int]) -> str:
    """Gives failures by reason as a few words: `3 (2 crash, 1 asset)`."""
    if not failed:
        return "0"
    ordered = sorted(failed.items(), key=lambda item: (-item[1], item[0]))
    reasons = ", ".join(f"{count} {reason}" for reason, count in ordered)
    return f"{sum(failed.values())} ({reasons})"


def say_assets(assets: Mapping[str, Mapping[str, Any]], most: int = 5) -> list[str]:
    """Gives a line for each of the assets that broke most attempts."""
    lines = [
        f"asset {asset}: broke {entry['attempts']} attempts: {entry['message']}"
        for asset, entry in itertools.islice(assets.items(), most)
    ]
    if len(assets) > most:
        lines.append(f"and {len(assets) - most} more assets, see metadata.json")
    return lines
