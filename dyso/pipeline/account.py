"""Accounts: what became of every scene of a part, a shard, a dataset."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pydantic

from dyso.records import replacing


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A scene that is not in the data, and why.

    Attributes:
      index: the scene's index in its split.
      attempt: the last attempt that was rendered, or the first that was not seen.
      reason: one word for counting, see `dyso.render.RenderError`; or `unseen`.
      asset: the id of the asset that is to blame, or empty.
      message: one line.
    """

    index: int
    attempt: int
    reason: str
    asset: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Account:
    """What became of scenes [start, stop) of a split; written beside their file.

    Attributes:
      spec_hash: the dataset's identity.
      records: scenes in the file, in the order of their indices.
      bytes: the file's size.
      sha256: of the file.
      resampled: scenes that stand in the data under another attempt than the first
        one that was rendered.
      seconds: of rendering, summed over scenes.
      failures: the scenes that are not in the file.
    """

    spec_hash: str
    split: str
    start: int
    stop: int
    records: int
    bytes: int
    sha256: str
    resampled: int
    seconds: float
    failures: tuple[Failure, ...]

    def __post_init__(self) -> None:
        """Checks that no scene is missing."""
        if self.records + len(self.failures) != self.stop - self.start:
            raise ValueError(f"{self}: records and failures are not all scenes")

    @property
    def reasons(self) -> Counter[str]:
        """Failed scenes by reason."""
        return Counter(failure.reason for failure in self.failures)


_ACCOUNT = pydantic.TypeAdapter(Account)


def write_json(path: Path, value: object) -> None:
    """Writes a JSON file that appears whole."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value) + "\n", encoding="utf-8")


def write_account(path: Path, account: Account) -> None:
    """Writes an account as JSON."""
    write_json(path, asdict(account))


def read_account(path: Path, file: Path, spec_hash: str) -> Account | None:
    """Reads an account; None if it is missing, or does not hold for its file.

    Args:
      path: the account.
      file: the file it speaks of, which must be there in its full size.
      spec_hash: the dataset's identity.
    """
    try:
        account = _ACCOUNT.validate_json(path.read_bytes())
        size = file.stat().st_size
    except (FileNotFoundError, ValueError):
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
        "bytes": sum(a.bytes for a in accounts),
        "render_seconds": round(sum(a.seconds for a in accounts), 1),
    }


def say_failures(failed: Mapping[str, int]) -> str:
    """Gives failures by reason as a few words: `3 (2 crash, 1 asset)`."""
    if not failed:
        return "0"
    ordered = sorted(failed.items(), key=lambda item: (-item[1], item[0]))
    reasons = ", ".join(f"{count} {reason}" for reason, count in ordered)
    return f"{sum(failed.values())} ({reasons})"
