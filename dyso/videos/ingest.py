"""The job that makes a folder of clips; the same call goes on after a stop.

    metadata.json                                     last, when all is there
    clips-train.array_record-00000-of-00002           clips, in the order of their names
    ingest.json, accounts/*.json                      until then: what is being made

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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dyso import records
from dyso.spec import UserError
from dyso.storage import Folder, open_folder
from dyso.videos.listing import SPLITS, Listing, Video, list_videos
from dyso.videos.options import Options
from dyso.videos.process import Answer, decode_all

FORMAT = "dyso clips 1"
METADATA = "metadata.json"
BEGUN = "ingest.json"
ACCOUNTS = "accounts/"

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
    try:
        folder = open_folder(out)
        with contextlib.ExitStack() as stack:
            check = stack.enter_context(folder.hold("ingest.lock"))
            job = _Job(folder, listing, options, check, say)
            found = job.finished() or job.run(workers, timeout)
    except OSError as error:
        raise UserError(
            f"{error.filename or out}: {error.strerror or error}"
        ) from error
    return found


@dataclass(frozen=True, kw_only=True)
class _Shard:
    """A range of the videos of a split.

    Attributes:
      name: of the file.
      split: of the videos.
      videos: the range.
    """

    name: str
    split: str
    videos: tuple[Video, ...]

    @property
    def account(self) -> str:
        """Gives the name of the file that says what became of the videos."""
        return f"{ACCOUNTS}{self.name}.json"


class _Job:
    def __init__(
        self,
        folder: Folder,
        listing: Listing,
        options: Options,
        check: Callable[[], None],
        say: Say,
    ):
        self._folder, self._listing, self._options = folder, listing, options
        self._check, self._say = check, say
        self._shards = list(_shards(listing.videos, options))
        about = [dataclasses.asdict(options), list(map(vars, listing.videos))]
        self._key = hashlib.sha256(json.dumps(about).encode()).hexdigest()
        self._done = self._failed = 0

    def finished(self) -> dict[str, Any] | None:
        """Gives metadata.json, if it is of this job.

        Raises:
          UserError: the folder holds something else.
        """
        found = self._folder.read_all([METADATA, BEGUN, "dataset_info.json"])
        for name, data in found.items():
            try:
                document = json.loads(data)
                own = document["format"] == FORMAT and document["key"] == self._key
            except (ValueError, LookupError, TypeError):
                own = False
            if not own:
                raise UserError(
                    f"{self._folder}: {name} is of other videos or other options; "
                    "take another folder, or remove it"
                )
            if name == METADATA:
                return dict(document)
        return None

    def run(self, workers: int, timeout: float) -> dict[str, Any]:
        """Makes what is missing; gives metadata.json."""
        folder, videos = self._folder, self._listing.videos
        folder.clean()
        begun = {"format": FORMAT, "key": self._key}
        folder.write(BEGUN, _json(begun))
        accounts = self._accounts()
        for account in accounts.values():
            self._done += account["count"] + len(account["failures"])
            self._failed += len(account["failures"])
        self._say(self._done, len(videos), self._failed)
        missing = [shard for shard in self._shards if shard.name not in accounts]
        with contextlib.closing(
            decode_all(
                self._listing.root,
                (video for shard in missing for video in shard.videos),
                self._options,
                workers,
                timeout,
            )
        ) as answers:
            for shard in missing:
                accounts[shard.name] = self._write(shard, answers)
        metadata = begun | self._summary(accounts)
        if not metadata["clips"]:
            first = metadata["failures"][0]
            raise UserError(
                f"{self._listing.root}: none of {len(videos)} videos became a clip; "
                f"the first, {first['name']}: {first['message']}"
            )
        self._check()
        text = _json(metadata)
        folder.write(METADATA, text)
        folder.remove_folder(ACCOUNTS.rstrip("/"))
        folder.remove(BEGUN)
        folder.clean()
        return dict(json.loads(text))

    def _accounts(self) -> dict[str, dict[str, Any]]:
        """Gives the accounts of the shards that are there, by the shards' names."""
        sizes = self._folder.sizes()
        texts = self._folder.read_all(shard.account for shard in self._shards)
        found = {}
        for shard in self._shards:
            if shard.account in texts:
                account = json.loads(texts[shard.account])
                if sizes.get(shard.name) == account["bytes"]:
                    found[shard.name] = account
        return found

    def _write(self, shard: _Shard, answers: Iterator[Answer]) -> dict[str, Any]:
        """Writes a shard and its account."""
        failures, frames = [], []

        def good() -> Iterator[bytes]:
            for video, answer in zip(shard.videos, answers, strict=False):
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
            info = records.write_shard(scratch / shard.name, good())
            self._check()
            self._folder.put(scratch / shard.name, shard.name, info.sha256)
        account = {
            **dataclasses.asdict(info),
            "frames": sum(frames),
            "fewest_frames": min(frames, default=0),
            "failures": failures,
        }
        self._folder.write(shard.account, _json(account))
        return account

    def _summary(self, accounts: dict[str, dict[str, Any]]) -> dict[str, Any]:
        own = [accounts[shard.name] for shard in self._shards]
        splits: dict[str, list[dict[str, Any]]] = {}
        for shard, account in zip(self._shards, own, strict=True):
            entry = {name: account[name] for name in ("count", "bytes", "sha256")}
            splits.setdefault(shard.split, []).append({"file": shard.name, **entry})
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


def _shards(videos: Sequence[Video], options: Options) -> Iterator[_Shard]:
    for split in SPLITS:
        own = [video for video in videos if video.split == split]
        size = options.clips_per_shard
        count = -(-len(own) // size)
        for index in range(count):
            yield _Shard(
                name=records.shard_name("clips", split, index, count),
                split=split,
                videos=tuple(itertools.islice(own, index * size, (index + 1) * size)),
            )


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


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()
