"""The resumable job that makes a folder of clips.

    metadata.json                                     written last
    clips-train.array_record-00000-of-00002           clips, ordered by their names
    journal.jsonl                                     see `dyso.storage.resumable`

Shards are ranges of the list of videos, so neither the number of workers nor stops
change a byte; a shard lacks the videos of its range that failed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dyso import records
from dyso.spec import UserError
from dyso.storage import open_folder
from dyso.storage.resumable import Journal, resume
from dyso.videos.listing import SPLITS, Listing, Video, list_videos
from dyso.videos.options import Options
from dyso.videos.process import Answer, decode_all

FORMAT = "dyso clips 1"
METADATA = "metadata.json"

Say = Callable[[int, int, int], None]


def ingest(
    source: str | Path,
    out: str | Path,
    options: Options,
    *,
    labels: str | Path | None = None,
    workers: int | None = None,
    timeout: float = 60.0,
    say: Say = lambda done, planned, failed: None,
) -> dict[str, Any]:
    """Makes clips of a folder of videos.

    Args:
      source: the folder, see `list_videos`.
      out: the output: a folder, or a bucket's address.
      options: the options of the clips.
      labels: the folder of label files, see `list_videos`.
      workers: processes that decode; None is one per core.
      timeout: the most seconds for one video.
      say: called with the numbers of finished, planned and failed videos.

    Returns:
      The content of metadata.json: `splits`, lists of shards with their checksums,
      `clips`, `frames`, `bytes`, `fewest_frames`, `failures` with the reasons,
      `failed`, which counts them by reason, `ignored`, `options` and `versions`.

    Raises:
      UserError: there are no videos, all of them failed, `out` holds other files,
        another process writes to it, or it cannot be written.
    """
    if importlib.util.find_spec("av") is None:
        raise UserError("reading videos needs PyAV; run: pip install dyso[train]")
    if workers is None:
        workers = len(os.sched_getaffinity(0))
    if workers < 1 or timeout <= 0:
        raise UserError("workers, timeout: expected 1 or more, and above 0")
    listing = list_videos(source, options, labels)
    if not listing.videos:
        reasons = ", ".join(f"{n} {why}" for why, n in listing.ignored.items())
        raise UserError(f"{source}: holds no videos ({reasons or 'nothing at all'})")
    videos = json.dumps(list(map(vars, listing.videos)))
    identity = {
        "format": FORMAT,
        "options": dataclasses.asdict(options),
        "videos": hashlib.sha256(videos.encode()).hexdigest()[:16],
    }
    with resume(open_folder(out), identity) as journal:
        return _Job(journal, listing, options, say).run(workers, timeout)


class _Job:
    def __init__(self, journal: Journal, listing: Listing, options: Options, say: Say):
        self._journal, self._folder = journal, journal.folder
        self._listing, self._options, self._say = listing, options, say
        self._shards = _shards(listing.videos, options.clips_per_shard)
        self._done = self._failed = 0

    def run(self, workers: int, timeout: float) -> dict[str, Any]:
        """Makes the missing shards; returns metadata.json."""
        accounts, videos = self._journal.finished, self._listing.videos
        missing = {n: own for n, own in self._shards.items() if n not in accounts}
        if not missing:
            with contextlib.suppress(FileNotFoundError):
                return dict(json.loads(self._folder.read(METADATA)))
        self._folder.remove(METADATA)
        for name in self._shards.keys() - missing.keys():
            self._done += len(self._shards[name])
            self._failed += len(accounts[name]["failures"])
        self._say(self._done, len(videos), self._failed)
        with contextlib.closing(
            decode_all(
                self._listing.root,
                itertools.chain.from_iterable(missing.values()),
                self._options,
                workers,
                timeout,
            )
        ) as answers:
            for name, own in missing.items():
                self._write(name, own, answers)
        metadata = {"format": FORMAT} | self._summary(accounts)
        if not metadata["clips"]:
            first = metadata["failures"][0]
            raise UserError(
                f"{self._listing.root}: none of {len(videos)} videos became a clip; "
                f"the first, {first['name']}: {first['message']}"
            )
        self._journal.check()
        text = (json.dumps(metadata, indent=1) + "\n").encode()
        self._folder.write(METADATA, text)
        return dict(json.loads(text))

    def _write(
        self, name: str, videos: Sequence[Video], answers: Iterator[Answer]
    ) -> None:
        failures, frames = [], []

        def good() -> Iterator[bytes]:
            for video, answer in zip(videos, answers, strict=False):
                self._done += 1
                if answer.record:
                    frames.append(answer.frames)
                    yield answer.record
                else:
                    self._failed += 1
                    failures.append(
                        {
                            "name": video.name,
                            "split": video.split,
                            "reason": answer.reason,
                            "message": answer.message,
                        }
                    )
                self._say(self._done, len(self._listing.videos), self._failed)

        with self._folder.scratch() as scratch:
            info = records.write_shard(scratch / name, good())
            account = {
                **dataclasses.asdict(info),
                "frames": sum(frames),
                "fewest_frames": min(frames, default=0),
                "failures": failures,
            }
            self._journal.put(scratch / name, name, account, info.sha256)

    def _summary(self, accounts: Mapping[str, Any]) -> dict[str, Any]:
        own = [accounts[name] for name in self._shards]
        splits: dict[str, list[dict[str, Any]]] = {}
        for name, videos in self._shards.items():
            entry = {key: accounts[name][key] for key in ("count", "bytes", "sha256")}
            splits.setdefault(videos[0].split, []).append({"file": name, **entry})
        failures = [failure for account in own for failure in account["failures"]]
        return {
            "splits": splits,
            "clips": sum(account["count"] for account in own),
            "frames": sum(account["frames"] for account in own),
            "bytes": sum(account["bytes"] for account in own),
            "fewest_frames": min(
                (account["fewest_frames"] for account in own if account["count"]),
                default=0,
            ),
            "failed": dict(sorted(Counter(f["reason"] for f in failures).items())),
            "failures": failures,
            "ignored": dict(sorted(self._listing.ignored.items())),
            "options": dataclasses.asdict(self._options),
            "versions": _versions(),
        }


def _shards(videos: Sequence[Video], size: int) -> dict[str, list[Video]]:
    """Returns the videos of each shard, at most `size`, by its file name."""
    shards = {}
    for split in SPLITS:
        own = [video for video in videos if video.split == split]
        starts = range(0, len(own), size)
        for index, start in enumerate(starts):
            name = records.shard_name("clips", split, index, len(starts))
            shards[name] = own[start : start + size]
    return shards


def _versions() -> dict[str, str]:
    import av
    import PIL

    import dyso

    return {
        "dyso": dyso.__version__,
        "av": av.__version__,
        "libavcodec": ".".join(map(str, av.library_versions["libavcodec"])),
        "pillow": PIL.__version__,
    }
