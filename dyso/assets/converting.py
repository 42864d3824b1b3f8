"""Converts assets to archives and a manifest; the same call resumes a stopped job.

    OUT/manifest.json   written last, after all archives
    OUT/broken.json     files that could not be converted, with reasons
    OUT/ID.tar.gz       archives in Kubric's format
    OUT/journal.jsonl   one line per finished archive

The manifest is identical for any number of processes and interruptions. A later call
converts new and changed files, and retries those that failed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dyso.assets.items import Item, Listing
from dyso.assets.manifest import MAX_NAME, is_inside
from dyso.assets.processes import Answer, do_all
from dyso.spec import UserError
from dyso.storage import LocalFolder

MANIFEST = "manifest.json"
BROKEN = "broken.json"
JOURNAL = "journal.jsonl"
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
    folder = LocalFolder(str(out))
    try:
        with folder.hold("assets.lock"):
            folder.clean()
            job = _Job(folder.path, options)
            return job.run(folder, listing, name, (workers, timeout), say)
    except OSError as error:
        raise UserError(
            f"{error.filename or out}: {error.strerror or error}"
        ) from error


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
    def __init__(self, folder: Path, options: dict[str, Any]):
        """Reads the journal.

        Raises:
          UserError: the folder holds something else.
        """
        self._folder = folder
        self._head = {"format": FORMAT, **options}
        self._done: dict[str, dict[str, Any]] = {}
        lines = self._lines()
        head = next(lines, None)
        if head is None and any(folder.glob("*.json")):
            raise UserError(
                f"{folder}: holds files of something else; choose another folder"
            )
        if head not in (None, self._head):
            raise UserError(
                f"{folder}: holds archives that were made with other options "
                f"({head} there, {self._head} wanted); choose another folder"
            )
        if head is None:
            (folder / JOURNAL).write_text(json.dumps(self._head) + "\n")
        for line in lines:
            self._done[line["id"]] = line

    def _lines(self) -> Iterator[dict[str, Any]]:
        with contextlib.suppress(FileNotFoundError):
            text = (self._folder / JOURNAL).read_bytes()
            whole = text[: text.rfind(b"\n") + 1]
            if whole != text:  # The job was killed while it wrote the last line.
                os.truncate(self._folder / JOURNAL, len(whole))
            yield from map(json.loads, whole.splitlines())

    def run(
        self,
        folder: LocalFolder,
        listing: Listing,
        name: str,
        limits: tuple[int, float],
        say: Say,
    ) -> Summary:
        """Converts the missing items, then writes the manifest."""
        missing = [item for item in listing.items if not self._has(item)]
        broken = {item.id: item.fault for item in missing if item.fault}
        wanted = [item for item in missing if not item.fault]
        planned, made = len(listing.items), 0
        done = planned - len(wanted)
        say(done, planned, len(broken))
        with (
            folder.scratch() as scratch,
            (self._folder / JOURNAL).open("a") as journal,
            contextlib.closing(self._convert(wanted, scratch, *limits)) as answers,
        ):
            for item, temporary, answer in answers:
                done += 1
                if answer.reason:
                    broken[item.id] = answer.message
                else:
                    made += 1
                    line = self._keep(folder, item, temporary, answer.value)
                    journal.write(json.dumps(line) + "\n")
                    journal.flush()
                say(done, planned, len(broken))
        return self._finish(folder, listing, name, broken, made)

    def _has(self, item: Item) -> bool:
        line = self._done.get(item.id)
        if line is None or line["from"] != _origin(item):
            return False
        path = self._folder / f"{item.id}{ARCHIVE}"
        return path.is_file() and path.stat().st_size == line["bytes"]

    def _convert(
        self, items: list[Item], scratch: Path, workers: int, timeout: float
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

    def _keep(
        self, folder: LocalFolder, item: Item, temporary: Path, entry: dict[str, Any]
    ) -> dict[str, Any]:
        line = {
            "id": item.id,
            "from": _origin(item),
            "bytes": temporary.stat().st_size,
            "entry": entry,
        }
        folder.put(temporary, f"{item.id}{ARCHIVE}", "")
        self._done[item.id] = line
        return line

    def _finish(
        self,
        folder: LocalFolder,
        listing: Listing,
        name: str,
        broken: dict[str, str],
        made: int,
    ) -> Summary:
        finished = [i.id for i in listing.items if i.id not in broken]
        if not finished:
            first, reason = next(iter(broken.items()))
            raise UserError(
                f"{folder}: none of {len(broken)} files became an asset; the first, "
                f"{first}: {reason}"
            )
        lines = [self._done[asset_id] for asset_id in finished]
        entries = {line["id"]: line["entry"] for line in lines}
        broken = dict(sorted(broken.items()))
        folder.write(BROKEN, _json(broken))
        folder.write(MANIFEST, _json({"name": name, "assets": entries}))
        folder.clean()
        metadata = [entry["metadata"] for entry in entries.values()]
        return Summary(
            manifest=self._folder / MANIFEST,
            assets=len(finished),
            made=made,
            categories=Counter(m["category"] for m in metadata if "category" in m),
            bytes=sum(line["bytes"] for line in lines),
            broken=broken,
            ignored=listing.ignored,
            skipped=listing.skipped,
            unlicensed=sum(not entry["license"] for entry in entries.values()),
            missing_textures=sum("missing_textures" in m for m in metadata),
        )


def _origin(item: Item) -> str:
    """Returns a hash of an archive's inputs."""
    text = json.dumps([item.entry, list(item.stamp)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()
