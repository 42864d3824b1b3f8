"""Converts assets to archives and a manifest; the same call resumes a stopped job.

    OUT/manifest.json   written last, after all archives
    OUT/broken.json     files that could not be converted, with reasons
    OUT/ID.tar.gz       archives in Kubric's format
    OUT/journal.jsonl   see `dyso.storage.resumable`

The manifest is identical for any number of processes and interruptions. A later call
converts new and changed files, and retries those that failed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dyso.assets.items import Item, Listing
from dyso.assets.manifest import MAX_NAME, is_inside
from dyso.assets.processes import Answer, do_all
from dyso.spec import UserError
from dyso.storage import LocalFolder
from dyso.storage.resumable import Journal, resume

MANIFEST = "manifest.json"
BROKEN = "broken.json"
FORMAT = "dyso assets 1"
ARCHIVE = ".tar.gz"
MAX_CATEGORIES = 255
MAX_FILE_NAME = 255
"""Maximum bytes of a file's name."""

Say = Callable[[int, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The result of a job.

    Attributes:
      manifest: the manifest's path.
      assets: number of assets in the manifest.
      made: number of archives written by this call.
      categories: number of assets by category; empty for HDRIs.
      bytes: total size of the archives.
      broken: reasons by id.
      jointed: number of assets with joints.
      animated: number of assets with clips.
      still: why clips of others cannot be played, by id; they are rigid.
      ignored: see `Listing`.
      skipped: see `Listing`.
      unlicensed: number of assets without a licence.
      missing_textures: number of assets that lack textures.
    """

    manifest: Path
    assets: int
    made: int
    categories: Counter[str]
    bytes: int
    broken: dict[str, str]
    jointed: int
    animated: int
    still: dict[str, str]
    ignored: Counter[str]
    skipped: Counter[str]
    unlicensed: int
    missing_textures: int


def convert(
    listing: Listing,
    out: str | Path,
    *,
    name: str,
    options: dict[str, Any],
    workers: int | None = None,
    timeout: float = 120.0,
    say: Say = lambda done, planned, broken: None,
) -> Summary:
    """Converts files to archives and writes their manifest.

    Args:
      listing: the files.
      out: the output folder.
      name: the manifest's name.
      options: the settings that the archives depend on.
      workers: number of processes; None for one per core.
      timeout: maximum seconds per file.
      say: called with the numbers of finished, planned and broken files.

    Raises:
      UserError: nothing could be made, `out` holds something else, another job
        writes there, or it cannot be written.
    """
    if workers is None:
        workers = len(os.sched_getaffinity(0))
    if workers < 1 or timeout <= 0:
        raise UserError("workers, timeout: expected 1 or more, and above 0")
    listing = _check(listing)
    identity = {"format": FORMAT, **options}
    with resume(LocalFolder(str(out)), identity) as journal:
        return _Job(journal, listing).run(name, workers, timeout, say)


def _check(listing: Listing) -> Listing:
    """Marks items whose names cannot be an archive's name.

    Raises:
      UserError: there are too many categories.
    """
    items = [
        item if item.fault else replace(item, fault=_name_fault(item))
        for item in listing.items
    ]
    kinds = {
        item.entry["metadata"].get("category", "") for item in items if not item.fault
    }
    if len(kinds) > MAX_CATEGORIES:
        raise UserError(
            f"{len(kinds)} categories; category images hold at most {MAX_CATEGORIES}"
        )
    return replace(listing, items=items)


def _name_fault(item: Item) -> str:
    for text in (item.id, item.entry["metadata"].get("category", "")):
        if not text.isprintable() or len(text) > MAX_NAME or not is_inside(text):
            return (
                f"an id or category has at most {MAX_NAME} printable characters; "
                "rename the file or its folder"
            )
    *folders, name = f"{item.id}{ARCHIVE}".split("/")
    if any(len(os.fsencode(part)) > MAX_FILE_NAME for part in (*folders, name)):
        return f"its name with {ARCHIVE} has more than {MAX_FILE_NAME} bytes; rename it"
    if any(folder.endswith(ARCHIVE) for folder in folders):
        return f"lies in a folder that is named as an archive, *{ARCHIVE}; rename it"
    return ""


class _Job:
    def __init__(self, journal: Journal, listing: Listing):
        self._journal, self._listing = journal, listing

    def run(self, name: str, workers: int, timeout: float, say: Say) -> Summary:
        """Converts the missing items, then writes the manifest."""
        items, finished = self._listing.items, self._journal.finished
        missing = [
            item
            for item in items
            if finished.get(f"{item.id}{ARCHIVE}", {}).get("from") != _origin(item)
        ]
        broken = {item.id: item.fault for item in missing if item.fault}
        wanted = [item for item in missing if not item.fault]
        planned, made = len(items), 0
        done = planned - len(wanted)
        say(done, planned, len(broken))
        with (
            self._journal.folder.scratch() as scratch,
            contextlib.closing(_convert(wanted, scratch, workers, timeout)) as answers,
        ):
            for item, temporary, answer in answers:
                done += 1
                if answer.reason:
                    broken[item.id] = answer.message
                else:
                    made += 1
                    report = {
                        "from": _origin(item),
                        "bytes": temporary.stat().st_size,
                        "entry": answer.value,
                    }
                    self._journal.put(temporary, f"{item.id}{ARCHIVE}", report)
                say(done, planned, len(broken))
        return self._finish(name, broken, made)

    def _finish(self, name: str, broken: dict[str, str], made: int) -> Summary:
        folder, listing = self._journal.folder, self._listing
        reports = {
            item.id: self._journal.finished[f"{item.id}{ARCHIVE}"]
            for item in listing.items
            if item.id not in broken
        }
        if not reports:
            first, reason = next(iter(broken.items()))
            raise UserError(
                f"{folder}: none of {len(broken)} files became an asset; the first, "
                f"{first}: {reason}"
            )
        entries = {asset_id: report["entry"] for asset_id, report in reports.items()}
        broken = dict(sorted(broken.items()))
        folder.write(BROKEN, _json(broken))
        folder.write(MANIFEST, _json({"name": name, "assets": entries}))
        metadata = [entry["metadata"] for entry in entries.values()]
        return Summary(
            manifest=Path(folder.location, MANIFEST),
            assets=len(entries),
            made=made,
            categories=Counter(m["category"] for m in metadata if "category" in m),
            bytes=sum(report["bytes"] for report in reports.values()),
            broken=broken,
            jointed=sum("joints" in m for m in metadata),
            animated=sum("animation" in m for m in metadata),
            still={
                asset_id: entry["metadata"]["animation_fault"]
                for asset_id, entry in entries.items()
                if "animation_fault" in entry["metadata"]
            },
            ignored=listing.ignored,
            skipped=listing.skipped,
            unlicensed=sum(not entry["license"] for entry in entries.values()),
            missing_textures=sum("missing_textures" in m for m in metadata),
        )


def _convert(
    items: list[Item], scratch: Path, workers: int, timeout: float
) -> Generator[tuple[Item, Path, Answer], None, None]:
    requests = (
        {
            "number": number,
            "id": item.id,
            "entry": item.entry,
            "out": str(scratch / f"{number}"),
            **item.request,
        }
        for number, item in enumerate(items)
    )
    with contextlib.closing(do_all(requests, workers, timeout)) as answers:
        for request, answer in answers:
            temporary = Path(request["out"])
            yield items[request["number"]], temporary, answer
            temporary.unlink(missing_ok=True)


def _origin(item: Item) -> str:
    """Returns a hash of an archive's inputs."""
    text = json.dumps([item.entry, list(item.stamp)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()
